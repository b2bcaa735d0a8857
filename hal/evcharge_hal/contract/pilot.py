"""What a pilot co-processor is told and what it reports, whatever link it speaks.

A link driver is sans-I/O: bytes in, facts out, and no clock of its own. The native link and the RAPI link
both satisfy `PilotLink`, so the guard knows no frame format.
"""

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from evcharge_hal.contract.units import Amps, Celsius


class PilotState(enum.Enum):
    """Vehicle state read from the control pilot (IEC 61851-1 Table A.2)."""

    A = "A"
    B = "B"
    C = "C"
    D = "D"
    E = "E"
    F = "F"
    INVALID = "invalid"
    """Between two windows for longer than the co-processor's time-out."""


class PilotOutput(enum.Enum):
    """What the pilot is driven with (IEC 61851-1: X1 steady, X2 oscillating)."""

    X1 = "x1"
    """Steady +12 V: the car may not draw."""
    X2 = "x2"
    """PWM: the duty states the current."""
    F = "f"
    """Steady -12 V: not available."""
    E = "e"
    """Disconnected or 0 V."""


class ResetCause(enum.Enum):
    """Why the co-processor last started."""

    POWER_ON = "power_on"
    BROWN_OUT = "brown_out"
    WATCHDOG = "watchdog"
    SOFTWARE = "software"
    FAULT = "fault"

    @property
    def is_power_loss(self) -> bool:
        """Only these two mean that mains power was away; a mere process death never does."""
        return self in (ResetCause.POWER_ON, ResetCause.BROWN_OUT)


class CoprocessorFault(enum.IntFlag):
    """Fault bits of a co-processor, active or latched."""

    NONE = 0
    HOST_LOST = 1
    DIODE = 2
    PILOT_SHORT = 4
    PILOT_INVALID = 8
    CABLE = 16
    SELF_TEST = 32
    SUPPLY_FAILING = 64
    """Its supply falls: the mains is about to go, or has gone. Active only, never latched."""
    # From here on: boards that close their own relay (RAPI). The native link has 16 bits for its own and none of these.
    RESIDUAL_CURRENT = 0x1_0000
    RESIDUAL_SELF_TEST = 0x2_0000
    NO_GROUND = 0x4_0000
    RELAY_STUCK = 0x8_0000
    RELAY_DID_NOT_CLOSE = 0x10_0000
    OVER_TEMPERATURE = 0x20_0000
    OVER_CURRENT = 0x40_0000
    VENTILATION = 0x80_0000
    HARD_FAULT = 0x100_0000
    """It has latched a fault and does not say which."""


@dataclass(frozen=True, slots=True)
class PilotCommand:
    """The full set-point for one connector, repeated as long as it holds.

    `limit_a` is 0 or 6..80; with output X2 it becomes the duty. `permit` lets the coil be energised.
    """

    connector: int
    output: PilotOutput
    limit_a: Amps
    permit: bool
    is_locked: bool = False
    phases: int = 3
    session_number: int = 0


@dataclass(frozen=True, slots=True)
class CoprocessorIdentity:
    """What a co-processor says of itself in the handshake."""

    uid: str
    """16 hexadecimal digits, unique for each board."""
    firmware: str
    boot_count: int
    reset_cause: ResetCause
    connectors: int
    max_a: Amps


@dataclass(frozen=True, slots=True)
class PilotReport:
    """One connector as the co-processor sees it."""

    connector: int
    received_s: float
    """Host monotonic time at which the frame was complete."""
    sample_age_s: float
    """Age of the pilot sample when the frame was sent."""
    state: PilotState
    output: PilotOutput
    duty: float
    """0..1; 1.0 is steady +12 V."""
    high_v: float
    low_v: float
    pp_ohm: float | None
    """Proximity resistance; None where nothing is plugged in or the board has no PP."""
    is_permitted: bool
    """The co-processor's own permit towards the coil."""
    is_locked: bool
    temperature_c: Celsius | None
    active: CoprocessorFault
    latched: CoprocessorFault
    boot_count: int
    plug_count: int
    """Times a car was plugged in since boot; 0 with a car present: it was there at boot."""


@dataclass(frozen=True, slots=True)
class LinkUp:
    """The handshake is complete; reports follow."""

    identity: CoprocessorIdentity
    is_restart: bool
    """The co-processor has booted since the last handshake of this process."""


@dataclass(frozen=True, slots=True)
class LinkDown:
    """No valid frame for 1.0 s, or the port failed."""

    reason: str


@dataclass(frozen=True, slots=True)
class LinkIncompatible:
    """The peer speaks another major version; it is told nothing."""

    reason: str


@dataclass(frozen=True, slots=True)
class LinkNoticed:
    """Something a technician should see in the log: noise, a refused frame, a numbered event."""

    code: str
    connector: int | None
    detail: str


LinkEvent = LinkUp | LinkDown | LinkIncompatible | LinkNoticed | PilotReport


class PilotLink(Protocol):
    """A sans-I/O driver of one co-processor. Times are host monotonic seconds."""

    def receive(self, data: bytes, now_s: float) -> Sequence[LinkEvent]:
        """Take bytes as they arrive, of any length and content; never raises on their account."""
        ...

    def advance(self, now_s: float) -> Sequence[LinkEvent]:
        """Let time pass: deadlines are noticed and periodic frames become due."""
        ...

    def command(self, command: PilotCommand, now_s: float) -> None:
        """Replace the set-point of one connector; a change is sent at once, then at 10 Hz."""
        ...

    def clear_latch(self, connector: int) -> None:
        """Ask the co-processor to drop its latched faults whose cause has gone."""
        ...

    def reset(self) -> None:
        """Ask the co-processor to start again; a restart is reported as `LinkDown`. Permits are withdrawn before."""
        ...

    def outgoing(self) -> bytes:
        """Bytes to write now; empty when nothing is due. Taking them empties the buffer."""
        ...

    def next_deadline_s(self) -> float:
        """When `advance` wants to be called at the latest."""
        ...
