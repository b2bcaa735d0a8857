"""What a RAPI board says of itself, in the words of the port: states, faults, numbers. Pure.

States and flags: OpenEVSE firmware, `EVSE_STATE_*` and `ECVF_*`. A board measures no volts and no cable for us.
"""

import enum
import math
import zlib
from collections.abc import Mapping
from dataclasses import dataclass

from evcharge_hal.contract.faults import FaultCode
from evcharge_hal.contract.pilot import CoprocessorFault, PilotOutput, PilotReport, PilotState
from evcharge_hal.contract.units import MAX_CURRENT_A, MIN_CURRENT_A, Celsius
from evcharge_hal.link.rapi_frames import RapiState, read_decimal

MIN_LIMIT_A = 6
"""Lowest limit of a board; it takes a lower one for this, so a lower one is a pause and never a number."""

STATE_A, STATE_B, STATE_C, STATE_D = 0x01, 0x02, 0x03, 0x04
STATE_SLEEPING, STATE_DISABLED = 0xFE, 0xFF
FLAG_HARD_FAULT, FLAG_AUTH_LOCK, FLAG_RELAY_CLOSED = 0x0002, 0x0008, 0x0040
FLAG_CONNECTED, FLAG_BOOT_LOCK = 0x0100, 0x4000

_NO_SENSOR_DECICELSIUS = -2560
_ROUNDING_SLACK_A = 1e-6
"""Absorbs binary rounding (15.999999999 A that was 16 A), far below one step of 1 A."""


class Mode(enum.Enum):
    """What the board lets its pilot do."""

    ENABLED = "enabled"
    """It offers current and closes its relay by itself when a car asks."""
    SLEEPING = "sleeping"
    """Steady +12 V; the relay opens when the car has let go, draws less than 1 A, or after 3 s."""
    DISABLED = "disabled"
    """Steady -12 V; the relay is open at once."""


@dataclass(frozen=True, slots=True)
class BoardFault:
    """One state or boot code that means a fault."""

    bit: CoprocessorFault
    code: FaultCode
    """The row of the catalogue a guard raises for it."""


FAULTS: Mapping[int, BoardFault] = {
    STATE_D: BoardFault(CoprocessorFault.VENTILATION, FaultCode.VENTILATION_REQUIRED),
    0x05: BoardFault(CoprocessorFault.DIODE, FaultCode.DIODE),
    0x06: BoardFault(CoprocessorFault.RESIDUAL_CURRENT, FaultCode.RCM_TRIP),
    # The catalogue has no row for a missing protective earth yet; as a fault of the board it trips all the same.
    0x07: BoardFault(CoprocessorFault.NO_GROUND, FaultCode.COPROCESSOR_FAULT),
    0x08: BoardFault(CoprocessorFault.RELAY_STUCK, FaultCode.CONTACTOR_WELDED),
    0x09: BoardFault(CoprocessorFault.RESIDUAL_SELF_TEST, FaultCode.RCM_SELF_TEST),
    0x0A: BoardFault(CoprocessorFault.OVER_TEMPERATURE, FaultCode.OVER_TEMPERATURE),
    # `OVERCURRENT` is the agent's (DESIGN D6: one owner); what the board's own ammeter saw is a fault of the board.
    0x0B: BoardFault(CoprocessorFault.OVER_CURRENT, FaultCode.COPROCESSOR_FAULT),
    0x0E: BoardFault(CoprocessorFault.RELAY_DID_NOT_CLOSE, FaultCode.CONTACTOR_DID_NOT_CLOSE),
}
_VEHICLE = {STATE_A: PilotState.A, STATE_B: PilotState.B, STATE_C: PilotState.C, STATE_D: PilotState.D}

SELF_TESTS: Mapping[int, str] = {
    0x0002: "diode",
    0x0004: "ventilation",
    0x0008: "ground",
    0x0010: "stuck relay",
    0x0200: "residual current self-test",
    0x0400: "temperature",
}
"""Flags of `$GE` that switch a check of the board off. We never send `$FF`, which would set them."""


@dataclass(frozen=True, slots=True)
class BoardView:
    """The board as last heard; what is older than a restart has been dropped."""

    state: RapiState
    heard_s: float
    """Host time at which the line was complete."""
    age_s: float
    """How old the state may have been then, at most."""

    @property
    def mode(self) -> Mode:
        """What the pilot is allowed to do; unknown states count as enabled, which is the worse case."""
        if self.state.evse == STATE_SLEEPING:
            return Mode.SLEEPING
        return Mode.DISABLED if self.state.evse == STATE_DISABLED else Mode.ENABLED

    @property
    def is_relay_closed(self) -> bool:
        """The board drives its relay."""
        return bool(self.state.flags & FLAG_RELAY_CLOSED)

    @property
    def is_locked_out(self) -> bool:
        """Boot or authentication lock: it offers nothing until told."""
        return bool(self.state.flags & (FLAG_AUTH_LOCK | FLAG_BOOT_LOCK))

    @property
    def active(self) -> CoprocessorFault:
        """Faults the board reports now."""
        fault = FAULTS.get(self.state.evse)
        bits = CoprocessorFault.NONE if fault is None else fault.bit
        if self.state.flags & FLAG_HARD_FAULT:
            bits |= CoprocessorFault.HARD_FAULT
        return bits

    def vehicle(self, known: PilotState) -> PilotState:
        """The car. `known` is what it was last: while the pilot is at -12 V nobody can tell."""
        if self.mode is Mode.DISABLED:
            return known
        if self.mode is Mode.ENABLED and self.state.evse in _VEHICLE:
            return _VEHICLE[self.state.evse]
        if self.mode is Mode.ENABLED and self.state.evse not in FAULTS:
            return PilotState.INVALID if self.state.evse else known
        # Asleep or faulted the board goes on looking for a car, and for nothing else: its pilot state is an old one.
        if self.is_relay_closed:
            return PilotState.C
        return PilotState.B if self.state.flags & FLAG_CONNECTED else PilotState.A

    @property
    def output(self) -> PilotOutput:
        """What the board puts on the pilot."""
        if self.mode is Mode.DISABLED:
            return PilotOutput.F
        is_pwm = self.state.evse in (STATE_B, STATE_C) and not self.is_locked_out
        return PilotOutput.X2 if is_pwm else PilotOutput.X1


def limit_to_amps(limit_a: float) -> int:
    """Round down to the whole amperes a board knows; 0, a pause, for everything it cannot state."""
    if math.isnan(limit_a) or limit_a < MIN_CURRENT_A:
        return 0
    return math.floor(min(limit_a, MAX_CURRENT_A) + _ROUNDING_SLACK_A)


def duty_of(output: PilotOutput, amps: int | None) -> float:
    """Duty, 0..1, a board drives for a capacity (IEC 61851-1 Table A.8)."""
    if output is PilotOutput.X1:
        return 1.0
    if output is not PilotOutput.X2 or amps is None:
        return 0.0
    return min(amps / 60.0 if amps <= 51 else amps / 250.0 + 0.64, 0.96)  # noqa: PLR2004 - the branches meet at 51 A


def read_temperature_c(arguments: tuple[str, ...]) -> Celsius | None:
    """The warmest sensor of `$GP` in °C; None where none is fitted or the answer is none."""
    values = [read_decimal(word) for word in arguments]
    fitted = [value for value in values if value is not None and value > _NO_SENSOR_DECICELSIUS]
    return Celsius(max(fitted) / 10.0) if fitted else None


def read_uid(arguments: tuple[str, ...]) -> str:
    """16 hexadecimal digits from `$GI`, whose form depends on the chip; zeros where a board has no number."""
    raw = " ".join(arguments).encode()
    return f"{zlib.crc32(raw):08x}{zlib.crc32(raw[::-1]):08x}" if raw else "0" * 16


def disabled_tests(flags: int) -> str:
    """Names of the self-tests a board was told to leave out, for the log; empty when all are on."""
    return ", ".join(name for bit, name in SELF_TESTS.items() if flags & bit)


def make_report(
    view: BoardView, vehicle: PilotState, latched: CoprocessorFault, amps: int | None, plug_count: int, boot_count: int
) -> PilotReport:
    """One report; the driver adds what is no state of the board: temperature and the host's own faults.

    `high_v`, `low_v` are not a number, for the board keeps its voltages to itself: whoever needs a proven diode finds
    none here. `is_permitted` is the board's relay: nothing else stands between its permit and the car.
    """
    output = view.output
    return PilotReport(
        connector=1,
        received_s=view.heard_s,
        sample_age_s=view.age_s,
        state=vehicle,
        output=output,
        duty=duty_of(output, amps),
        high_v=math.nan,
        low_v=math.nan,
        pp_ohm=None,
        is_permitted=view.is_relay_closed,
        is_locked=False,
        temperature_c=None,
        active=view.active,
        latched=latched,
        boot_count=boot_count,
        plug_count=plug_count,
    )
