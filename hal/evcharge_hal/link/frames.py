"""Frames of pilot link v1: typed values to bytes and back. Pure; `hal/protocol/pilot-link.md` is the specification.

The frames themselves are in `messages`; this module is the one to import them from.
"""

import struct
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from evcharge_hal.contract.errors import InvalidFieldError, ProtocolError
from evcharge_hal.contract.pilot import PilotOutput, PilotState, ResetCause
from evcharge_hal.link import cobs
from evcharge_hal.link.messages import (
    LAST_SEQUENCE,
    MAX_FRAME_BYTES,
    MAX_WIRE_BYTES,
    NEVER_MS,
    PROTOCOL_VERSION,
    RESET_ARGUMENT,
    BadFrame,
    BadFrameReason,
    Capability,
    Control,
    Event,
    EventCode,
    Frame,
    FrameType,
    Header,
    Hello,
    HelloAck,
    Nak,
    NakReason,
    OpenReason,
    Reply,
    Request,
    RequestKind,
    Result,
    SelfTest,
    Status,
)

__all__ = [
    "LAST_SEQUENCE",
    "MAX_FRAME_BYTES",
    "MAX_WIRE_BYTES",
    "NEVER_MS",
    "PROTOCOL_VERSION",
    "RESET_ARGUMENT",
    "BadFrame",
    "BadFrameReason",
    "Capability",
    "Control",
    "Event",
    "EventCode",
    "Frame",
    "FrameDecoder",
    "FrameType",
    "Header",
    "Hello",
    "HelloAck",
    "Nak",
    "NakReason",
    "OpenReason",
    "Reply",
    "Request",
    "RequestKind",
    "Result",
    "SelfTest",
    "Status",
    "decode",
    "encode",
    "next_sequence",
    "pack",
    "wrap",
]

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
# What is not simply a number on the wire: place in the payload, and how it is read.
_READERS = {
    cls: [(place, field.from_wire) for place, field in enumerate(fields.values()) if field.from_wire is not int]
    for cls, (_, fields) in _PAYLOADS.items()
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
    return wrap(frame, pack(frame), frame.seq, frame.ack, version)


def pack(frame: Frame) -> bytes:
    """Encode the payload alone, which is the same for every repetition; raises as `encode`."""
    number, fields = _PAYLOADS[type(frame)]
    values = []
    for name, field in fields.items():
        value = field.to_wire(getattr(frame, name))
        low, high = _RANGES[field.letter]
        if not low <= value <= high:
            raise InvalidFieldError(f"{number.name.lower()}.{name}", value, f"a whole number from {low} to {high}")
        values.append(value)
    return _STRUCTS[type(frame)].pack(*values)


def wrap(frame: Frame, payload: bytes, seq: int, ack: int, version: int = PROTOCOL_VERSION) -> bytes:
    """Put the payload of `frame` on the wire under these sequence numbers."""
    body = _HEADER.pack((version & 0x0F) << 4 | _PAYLOADS[type(frame)][0], seq & 0xFF, ack & 0xFF) + payload
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
    values: list[Any] = list(layout.unpack_from(body, _HEADER.size))
    try:
        for place, read in _READERS[cls]:
            values[place] = read(values[place])
    except KeyError:
        return bad(BadFrameReason.BAD_VALUE)
    return cls(*values, seq=seq, ack=ack)


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
