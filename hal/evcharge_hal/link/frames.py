"""Frames of pilot link v1: typed values to bytes and back. Pure; `hal/protocol/pilot-link.md` is the specification.

Frames hold what is on the wire: whole numbers in mV, mA, ms, 0.1 °C and 0.01 % of duty. Both ends convert at
their own edge, so a rounding mistake of one is not hidden by the other.
"""

import enum
import struct
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from evcharge_hal.contract.errors import InvalidFieldError, ProtocolError
from evcharge_hal.contract.pilot import PilotOutput, PilotState, ResetCause
from evcharge_hal.link import cobs

PROTOCOL_VERSION = 1
MAX_FRAME_BYTES = 64
"""Longest frame before stuffing, header and check included: it fits the RAM of a small controller."""
MAX_WIRE_BYTES = MAX_FRAME_BYTES + 2
"""Longest frame on the wire: one byte of stuffing and the zero byte."""
NEVER_MS = 0xFFFF
"""Age of something that has not happened since boot; longer ages are stated as this, too."""
LAST_SEQUENCE = 255


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


# --- layouts ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Field:
    """How one field lies in the payload: a `struct` letter and what its numbers mean."""

    letter: str
    to_wire: Callable[[Any], int] = int
    from_wire: Callable[[int], Any] = int


def _coded(letter: str, numbers: Mapping[Any, int]) -> _Field:
    """A closed enumeration; a number outside it makes the frame bad."""
    members = {number: member for member, number in numbers.items()}
    return _Field(letter, numbers.__getitem__, members.__getitem__)


def _optional(letter: str, absent: int) -> _Field:
    return _Field(
        letter,
        lambda value: absent if value is None else int(value),
        lambda number: None if number == absent else number,
    )


def _flag(number: int) -> bool:
    return {0: False, 1: True}[number]


_OUTPUT_NUMBERS = {PilotOutput.X1: 1, PilotOutput.X2: 2, PilotOutput.F: 3, PilotOutput.E: 4}
_STATE_NUMBERS = {
    PilotState.A: 1,
    PilotState.B: 2,
    PilotState.C: 3,
    PilotState.D: 4,
    PilotState.E: 5,
    PilotState.F: 6,
    PilotState.INVALID: 7,
}
_CAUSE_NUMBERS = {
    ResetCause.POWER_ON: 1,
    ResetCause.BROWN_OUT: 2,
    ResetCause.WATCHDOG: 3,
    ResetCause.SOFTWARE: 4,
    ResetCause.FAULT: 5,
}

_U8, _U16, _U32, _U64, _I16 = (_Field(letter) for letter in "BHIQh")
_BOOL = _Field("B", int, _flag)
_OUTPUT = _coded("B", _OUTPUT_NUMBERS)
_KIND = _coded("B", {kind: kind.value for kind in RequestKind})

_PAYLOADS: Mapping[type[Frame], tuple[FrameType, Mapping[str, _Field]]] = {
    Hello: (FrameType.HELLO, {"proto_min": _U8, "proto_max": _U8, "nonce": _U32}),
    HelloAck: (
        FrameType.HELLO_ACK,
        {
            "proto_min": _U8,
            "proto_max": _U8,
            "nonce": _U32,
            "firmware_major": _U8,
            "firmware_minor": _U8,
            "firmware_patch": _U8,
            "firmware_commit": _U32,
            "hardware_id": _U16,
            "uid": _U64,
            "boot_count": _U32,
            "reset_cause": _coded("B", _CAUSE_NUMBERS),
            "capabilities": _U16,
            "connectors": _U8,
            "max_current_ma": _U32,
        },
    ),
    Control: (
        FrameType.CONTROL,
        {
            "connector": _U8,
            "mode": _OUTPUT,
            "limit_ma": _U32,
            "is_permitted": _BOOL,
            "is_locked": _BOOL,
            "phases": _U8,
            "session_id": _U16,
            "deadline_ms": _U16,
        },
    ),
    Status: (
        FrameType.STATUS,
        {
            "connector": _U8,
            "state": _coded("B", _STATE_NUMBERS),
            "output": _OUTPUT,
            "high_mv": _I16,
            "low_mv": _I16,
            "duty_centipercent": _U16,
            "pp_ohm": _optional("H", 0xFFFF),
            "is_permitted": _BOOL,
            "is_locked": _BOOL,
            "temperature_decicelsius": _optional("h", -0x8000),
            "active_faults": _U16,
            "latched_faults": _U16,
            "first_fault": _U16,
            "last_control_seq": _U8,
            "control_age_ms": _U16,
            "sample_age_ms": _U16,
            "boot_count": _U32,
            "plug_count": _U32,
            "uptime_ms": _U32,
        },
    ),
    Event: (
        FrameType.EVENT,
        {"number": _U8, "connector": _U8, "code": _U8, "detail": _U32, "uptime_ms": _U32},
    ),
    Request: (FrameType.REQUEST, {"connector": _U8, "kind": _KIND, "argument": _U16}),
    Reply: (
        FrameType.REPLY,
        {
            "connector": _U8,
            "kind": _KIND,
            "argument": _U16,
            "result": _coded("B", {result: result.value for result in Result}),
            "measured_ms": _U16,
        },
    ),
    Nak: (
        FrameType.NAK,
        {"reason": _coded("B", {reason: reason.value for reason in NakReason}), "refused_type": _U8},
    ),
}
_STRUCTS = {
    cls: struct.Struct("<" + "".join(field.letter for field in fields.values()))
    for cls, (_, fields) in _PAYLOADS.items()
}
_CLASSES = {int(number): cls for cls, (number, _) in _PAYLOADS.items()}
_RANGES = {"B": (0, 0xFF), "H": (0, 0xFFFF), "I": (0, 0xFFFFFFFF), "Q": (0, 0xFFFFFFFFFFFFFFFF), "h": (-0x8000, 0x7FFF)}
_HEADER = struct.Struct("<BBB")
_CHECK = struct.Struct("<I")


def next_sequence(seq: int) -> int:
    """The number after `seq`: 1..255, never 0."""
    return seq % LAST_SEQUENCE + 1


def encode(frame: Frame, version: int = PROTOCOL_VERSION) -> bytes:
    """Encode one frame for the wire, stuffing and terminating zero byte included.

    Raises:
        InvalidFieldError: a value does not fit its field; the sender's own mistake.
    """
    number, fields = _PAYLOADS[type(frame)]
    values = []
    for name, field in fields.items():
        value = field.to_wire(getattr(frame, name))
        low, high = _RANGES[field.letter]
        if not low <= value <= high:
            raise InvalidFieldError(f"{number.name.lower()}.{name}", value, f"a whole number from {low} to {high}")
        values.append(value)
    header = _HEADER.pack((version & 0x0F) << 4 | number, frame.seq & 0xFF, frame.ack & 0xFF)
    body = header + _STRUCTS[type(frame)].pack(*values)
    return cobs.encode(body + _CHECK.pack(zlib.crc32(body))) + b"\0"


def decode(stuffed: bytes) -> Frame | BadFrame:
    """Decode what stood between two zero bytes; never raises."""
    if len(stuffed) >= MAX_WIRE_BYTES:
        return BadFrame(BadFrameReason.TOO_LONG, len(stuffed))
    try:
        frame = cobs.decode(stuffed)
    except ProtocolError:
        return BadFrame(BadFrameReason.NOT_COBS, len(stuffed))
    if len(frame) < _HEADER.size + _CHECK.size:
        return BadFrame(BadFrameReason.TOO_SHORT, len(frame))
    body, check = frame[: -_CHECK.size], frame[-_CHECK.size :]
    if _CHECK.pack(zlib.crc32(body)) != check:
        return BadFrame(BadFrameReason.CHECKSUM, len(frame))
    return _decode_body(body)


def _decode_body(body: bytes) -> Frame | BadFrame:
    version_and_type, seq, ack = _HEADER.unpack_from(body)
    version, number = version_and_type >> 4, version_and_type & 0x0F

    def bad(reason: BadFrameReason) -> BadFrame:
        return BadFrame(reason, len(body) + _CHECK.size, number, seq)

    # The handshake keeps its layout for ever, so that two versions can tell each other that they differ.
    if version != PROTOCOL_VERSION and number not in (FrameType.HELLO, FrameType.HELLO_ACK):
        return bad(BadFrameReason.VERSION)
    if number not in _CLASSES:
        return bad(BadFrameReason.UNKNOWN_TYPE)
    cls = _CLASSES[number]
    layout = _STRUCTS[cls]
    if len(body) < _HEADER.size + layout.size:
        return bad(BadFrameReason.SHORT_PAYLOAD)
    fields = _PAYLOADS[cls][1]
    numbers = layout.unpack_from(body, _HEADER.size)
    try:
        values = {name: field.from_wire(value) for (name, field), value in zip(fields.items(), numbers, strict=True)}
    except KeyError:
        return bad(BadFrameReason.BAD_VALUE)
    return cls(seq=seq, ack=ack, **values)


class FrameDecoder:
    """Cuts a stream of bytes into frames. Holds at most one frame, resynchronises at each zero byte, never raises."""

    def __init__(self) -> None:
        self._partial = bytearray()
        self._is_overlong = False

    def feed(self, data: bytes) -> list[Frame | BadFrame]:
        """Take bytes of any length; returns the frames they complete, bad ones included, in order."""
        results: list[Frame | BadFrame] = []
        *ended, rest = data.split(b"\0")
        for piece in ended:
            self._append(piece)
            if self._is_overlong:
                results.append(BadFrame(BadFrameReason.TOO_LONG, MAX_WIRE_BYTES))
            elif self._partial:
                results.append(decode(bytes(self._partial)))
            self.reset()
        self._append(rest)
        return results

    def reset(self) -> None:
        """Forget a frame that has begun."""
        self._partial.clear()
        self._is_overlong = False

    def _append(self, piece: bytes) -> None:
        if self._is_overlong or len(self._partial) + len(piece) >= MAX_WIRE_BYTES:
            self._is_overlong = True
            self._partial.clear()
        else:
            self._partial += piece
