"""Frames of the NXP PN532 on its serial port (HSU; user manual 141520, 6.2): bytes in, frames out. Pure."""

import enum
from dataclasses import dataclass

from evcharge_hal.instruments.values import InstrumentError

ACK = bytes.fromhex("0000FF00FF00")
"""From the chip: request taken. From the host: stop what you do (6.2.1.3)."""
NACK = bytes.fromhex("0000FFFF00")
WAKE_UP = b"\x55\x55" + bytes(14)
"""Leaves low power: the first edges wake it, the rest is time to do so (7.2.11)."""
_START = b"\x00\xff"
_HOST_TO_CHIP = 0xD4
_CHIP_TO_HOST = 0xD5
_ERROR = 0x7F
_HEADER_BYTES = 4
_MOST_WAITING_BYTES = 600


class Command(enum.IntEnum):
    """What is asked of the chip (7.1)."""

    GET_FIRMWARE_VERSION = 0x02
    RF_CONFIGURATION = 0x32
    SAM_CONFIGURATION = 0x14
    IN_LIST_PASSIVE_TARGET = 0x4A


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """The chip has taken a request."""


@dataclass(frozen=True, slots=True)
class Response:
    """The chip's answer to `command`."""

    command: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Refused:
    """The chip does not know the request, or says it came damaged."""


Frame = Acknowledged | Response | Refused


def encode_command(command: Command, data: bytes = b"") -> bytes:
    """A normal information frame (6.2.1.1)."""
    body = bytes((_HOST_TO_CHIP, command)) + data
    return b"\x00" + _START + bytes((len(body), -len(body) & 0xFF)) + body + bytes((-sum(body) & 0xFF, 0))


class FrameReader:
    """Cuts frames out of what the line brings; what is none is passed over."""

    def __init__(self) -> None:
        self._waiting = bytearray()

    def feed(self, data: bytes) -> list[Frame]:
        """Take bytes in and return the whole frames among them."""
        self._waiting = (self._waiting + data)[-_MOST_WAITING_BYTES:]
        frames: list[Frame] = []
        while True:
            start = self._waiting.find(_START)
            if start < 0:
                del self._waiting[:-1]
                return frames
            del self._waiting[:start]
            taken, frame = _frame_at(bytes(self._waiting))
            if taken == 0:
                return frames
            del self._waiting[:taken]
            if frame is not None:
                frames.append(frame)

    def forget(self) -> None:
        """Start anew."""
        self._waiting.clear()


def _frame_at(data: bytes) -> tuple[int, Frame | None]:
    """Bytes to remove and the frame they were; 0 while more has to come."""
    if len(data) < _HEADER_BYTES:
        return 0, None
    length, check = data[2], data[3]
    if (length, check) == (0x00, 0xFF):
        return _HEADER_BYTES, Acknowledged()
    if (length + check) & 0xFF or length == 0:
        # No frame begins here; the next may begin at the byte after.
        return 1, None
    end = _HEADER_BYTES + length
    if len(data) < end + 1:
        return 0, None
    body = data[_HEADER_BYTES:end]
    if (sum(body) + data[end]) & 0xFF:
        return 1, None
    if body[0] == _ERROR and length == 1:
        return end + 1, Refused()
    if body[0] != _CHIP_TO_HOST or length < 2:  # noqa: PLR2004 - direction and code
        return end + 1, None
    return end + 1, Response(body[1] - 1, body[2:])


def uid_of_target(data: bytes) -> bytes | None:
    """Identifier in the answer to InListPassiveTarget at 106 kbit/s, type A (7.3.5); None: no card.

    Raises:
        InstrumentError: the answer is none.
    """
    if not data or data[0] == 0:
        return None
    # How many, its number, two bytes of SENS_RES, SEL_RES, and the length of what follows: the identifier.
    fixed = 6
    if len(data) < fixed or not 1 <= data[5] <= 10 or len(data) < fixed + data[5]:  # noqa: PLR2004 - ISO 14443-3
        raise InstrumentError("card reader: an answer about a card that is none")
    return data[fixed : fixed + data[5]]
