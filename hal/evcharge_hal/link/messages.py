"""The vocabulary of pilot link v1: frame types, enumerations, and one dataclass for each frame. Pure.

Frames hold what is on the wire: whole numbers in mV, mA, ms, 0.1 °C and 0.01 % of duty. Both ends convert at
their own edge, so a rounding mistake of one is not hidden by the other.
"""

import enum
from dataclasses import dataclass

from evcharge_hal.contract.pilot import PilotOutput, PilotState, ResetCause

PROTOCOL_VERSION = 1
MAX_FRAME_BYTES = 64
"""Longest frame before stuffing, header and check included: it fits the RAM of a small controller."""
MAX_WIRE_BYTES = MAX_FRAME_BYTES + 2
"""Longest frame on the wire: one byte of stuffing and the zero byte."""
NEVER_MS = 0xFFFF
"""Age of something that has not happened since boot; longer ages are stated as this, too."""
LAST_SEQUENCE = 255
RESET_ARGUMENT = 0x5253
"""Must stand in a RESET: nobody restarts a co-processor by a field that was left at 0."""


class FrameType(enum.IntEnum):
    """Low nibble of the first byte."""

    HELLO = 1
    HELLO_ACK = 2
    CONTROL = 3
    STATUS = 4
    EVENT = 5
    REQUEST = 6
    REPLY = 7
    NAK = 8


class Capability(enum.IntFlag):
    """What a co-processor can do; unknown bits are kept."""

    OWNS_PERMIT = 1
    HAS_PROXIMITY = 2
    HAS_LOCK = 4
    HAS_RCM = 8
    READS_NEGATIVE_PILOT = 16
    HAS_TEMPERATURE = 32
    SWITCHES_PHASES = 64


class EventCode(enum.IntEnum):
    """What an EVENT tells; receivers keep numbers they do not know."""

    PERMIT_CLOSED = 1
    PERMIT_OPENED = 2
    """`detail` is an `OpenReason`."""
    HOST_LOST = 3
    """`detail` is the age of the last CONTROL in ms."""
    FAULT_LATCHED = 4
    """`detail` holds the new fault bits."""
    LATCH_CLEARED = 5
    """`detail` holds the cleared fault bits."""


class OpenReason(enum.IntEnum):
    """Why a co-processor took its permit away."""

    COMMANDED = 1
    VEHICLE_LEFT_C = 2
    PILOT_FAULT = 3
    OUTPUT_E_OR_F = 4
    HOST_LOST = 5
    STOP_BACKSTOP = 6
    """The car was still in C 7 s after the PWM had been taken away."""


class RequestKind(enum.IntEnum):
    """What a REQUEST asks for."""

    SELF_TEST = 1
    """`argument` is a `SelfTest`."""
    CLEAR_LATCH = 2
    """`argument` holds the fault bits to clear."""
    RESET = 3
    """Open every permit and start again, as after a software reset; no REPLY. `argument` is `RESET_ARGUMENT`."""


class SelfTest(enum.IntEnum):
    """Which self-test; unknown ones are answered with `unsupported`."""

    PILOT_LOOP = 1
    """Without a car: the pilot follows +12 V and -12 V."""
    RCM = 2
    WATCHDOG = 3


class Result(enum.IntEnum):
    """Outcome of a REQUEST."""

    PASS = 0
    FAIL = 1
    UNSUPPORTED = 2
    REFUSED = 3
    """Possible, but not now: a car is there, the permit is closed, or the cause still stands."""


class NakReason(enum.IntEnum):
    """Why a frame that arrived whole was not carried out."""

    UNKNOWN_TYPE = 1
    SHORT_PAYLOAD = 2
    BAD_VALUE = 3
    NO_HELLO = 4
    """CONTROL or REQUEST before the first HELLO since boot."""
    VERSION = 5


class BadFrameReason(enum.Enum):
    """What is wrong with bytes between two zero bytes."""

    TOO_LONG = "too_long"
    NOT_COBS = "not_cobs"
    TOO_SHORT = "too_short"
    CHECKSUM = "checksum"
    VERSION = "version"
    UNKNOWN_TYPE = "unknown_type"
    SHORT_PAYLOAD = "short_payload"
    BAD_VALUE = "bad_value"

    @property
    def arrived_whole(self) -> bool:
        """The check was right: the sender meant it, noise did not make it."""
        return self in _WHOLE_BUT_BAD


_WHOLE_BUT_BAD = frozenset(
    {
        BadFrameReason.VERSION,
        BadFrameReason.UNKNOWN_TYPE,
        BadFrameReason.SHORT_PAYLOAD,
        BadFrameReason.BAD_VALUE,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What every frame carries in front of its payload."""

    seq: int = 0
    """1..255, counted by each sender over all its frames; 0 is skipped."""
    ack: int = 0
    """HELLO_ACK, REPLY, NAK: `seq` of the frame answered. To the co-processor: number of the last EVENT seen."""


@dataclass(frozen=True, slots=True)
class Hello(Header):
    """Host to co-processor: say who you are."""

    proto_min: int
    proto_max: int
    nonce: int
    """Not 0, and another one for each handshake; an answer to an earlier handshake shows itself by it."""


@dataclass(frozen=True, slots=True)
class HelloAck(Header):
    """Co-processor to host: the answer to HELLO, and unasked (`nonce` 0) once after each boot."""

    proto_min: int
    proto_max: int
    nonce: int
    firmware_major: int
    firmware_minor: int
    firmware_patch: int
    firmware_commit: int
    hardware_id: int
    uid: int
    boot_count: int
    reset_cause: ResetCause
    capabilities: int
    connectors: int
    max_current_ma: int


@dataclass(frozen=True, slots=True)
class Control(Header):
    """Host to co-processor, 10 Hz: the full set-point of one connector. It is the heartbeat."""

    connector: int
    mode: PilotOutput
    limit_ma: int
    is_permitted: bool
    is_locked: bool
    phases: int
    session_id: int
    deadline_ms: int


@dataclass(frozen=True, slots=True)
class Status(Header):
    """Co-processor to host, 10 Hz and at once on change: one connector as it is."""

    connector: int
    state: PilotState
    output: PilotOutput
    high_mv: int
    low_mv: int
    duty_centipercent: int
    pp_ohm: int | None
    is_permitted: bool
    is_locked: bool
    temperature_decicelsius: int | None
    active_faults: int
    latched_faults: int
    first_fault: int
    """The fault bit that was latched first since nothing was latched; 0 without one."""
    last_control_seq: int
    control_age_ms: int
    sample_age_ms: int
    boot_count: int
    plug_count: int
    uptime_ms: int


@dataclass(frozen=True, slots=True)
class Event(Header):
    """Co-processor to host: a numbered fact, repeated until its number comes back in `ack`."""

    number: int
    """1..255, from 1 after each boot; 0 is skipped."""
    connector: int
    code: int
    detail: int
    uptime_ms: int


@dataclass(frozen=True, slots=True)
class Request(Header):
    """Host to co-processor: do this once and answer. Repeating it does no harm."""

    connector: int
    kind: RequestKind
    argument: int


@dataclass(frozen=True, slots=True)
class Reply(Header):
    """Co-processor to host: the outcome of a REQUEST."""

    connector: int
    kind: RequestKind
    argument: int
    result: Result
    measured_ms: int


@dataclass(frozen=True, slots=True)
class Nak(Header):
    """Co-processor to host: a frame arrived whole and was not carried out."""

    reason: NakReason
    refused_type: int


Frame = Hello | HelloAck | Control | Status | Event | Request | Reply | Nak


@dataclass(frozen=True, slots=True)
class BadFrame:
    """Bytes between two zero bytes that are no frame; `type_number` and `seq` are 0 unless the check was right."""

    reason: BadFrameReason
    length: int
    type_number: int = 0
    seq: int = 0
