"""Frames of Modbus RTU (serial line guide V1.02, 2.5.1): bytes in, answers out, no port. Pure.

An answer on a serial line carries no transaction number. What tells it from somebody else's is its unit, its
function, its length and its checksum; everything else on the line is passed over: noise, the echo of an
adapter that hears itself, and the late answer of another meter.
"""

import struct
from dataclasses import dataclass

EXCEPTION_FLAG = 0x80
_CRC_SEED = 0xFFFF
_CRC_POLYNOMIAL = 0xA001
_EXCEPTION_BYTES = 5
_BITS_PER_CHARACTER = 11
_SILENT_CHARACTERS = 3.5
_FAST_BAUD = 19_200
_FAST_SILENCE_S = 0.00175


@dataclass(frozen=True, slots=True)
class Request:
    """Ask `unit` for `count` registers from `address` by function 3 or 4."""

    unit: int
    function_code: int
    address: int
    count: int


@dataclass(frozen=True, slots=True)
class Answer:
    """Registers, or none and the exception code of a refusal."""

    words: tuple[int, ...] = ()
    exception_code: int = 0


def _table() -> tuple[int, ...]:
    rows = []
    for byte in range(256):
        value = byte
        for _ in range(8):
            value = value >> 1 ^ (_CRC_POLYNOMIAL if value & 1 else 0)
        rows.append(value)
    return tuple(rows)


_CRC_TABLE = _table()


def crc16(data: bytes, seed: int = _CRC_SEED) -> int:
    """Checksum of a frame; it travels low byte first. With seed 0 it is the one of smart meters (CRC-16/ARC)."""
    value = seed
    for byte in data:
        value = value >> 8 ^ _CRC_TABLE[(value ^ byte) & 0xFF]
    return value


def encode_request(request: Request) -> bytes:
    """The frame to send."""
    body = struct.pack(">BBHH", request.unit, request.function_code, request.address, request.count)
    return body + crc16(body).to_bytes(2, "little")


def find_answer(request: Request, received: bytes) -> Answer | None:
    """The first whole answer to `request` among the bytes since it was sent; None while there is none."""
    for start in range(len(received)):
        if received[start] == request.unit:
            answer = _answer_at(request, received[start:])
            if answer is not None:
                return answer
    return None


def frame_silence_s(baud: int) -> float:
    """Silence that ends a frame: 3.5 characters, fixed above 19,200 bit/s (serial line guide 2.5.1.1)."""
    return _FAST_SILENCE_S if baud > _FAST_BAUD else _SILENT_CHARACTERS * _BITS_PER_CHARACTER / baud


def transfer_s(byte_count: int, baud: int) -> float:
    """Time `byte_count` characters take on the line."""
    return byte_count * _BITS_PER_CHARACTER / baud


def answer_bytes(count: int) -> int:
    """Length of an answer with `count` registers."""
    return _EXCEPTION_BYTES + 2 * count


def _answer_at(request: Request, data: bytes) -> Answer | None:
    if len(data) < _EXCEPTION_BYTES:
        return None
    if data[1] == request.function_code | EXCEPTION_FLAG and data[2] and _is_sound(data[:_EXCEPTION_BYTES]):
        return Answer(exception_code=data[2])
    length = answer_bytes(request.count)
    if data[1] != request.function_code or data[2] != 2 * request.count or len(data) < length:
        return None
    if not _is_sound(data[:length]):
        return None
    return Answer(struct.unpack(f">{request.count}H", data[3 : length - 2]))


def _is_sound(frame: bytes) -> bool:
    return crc16(frame[:-2]).to_bytes(2, "little") == frame[-2:]
