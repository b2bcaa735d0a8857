"""Modbus RTU slaves on a pty whose answers a test decides byte by byte. Shares no code with the client."""

import asyncio
import contextlib
import struct
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass

from tests.support.device_pty import DevicePty

Answer = Callable[["AskedRtu"], bytes | None]
"""What to send for a request; None is silence."""
_REQUEST_BYTES = 8


def slow_crc(data: bytes) -> bytes:
    """CRC-16 of Modbus bit by bit, as the serial line guide draws it, low byte first."""
    register = 0xFFFF
    for byte in data:
        register ^= byte
        for _ in range(8):
            carry = register & 1
            register >>= 1
            if carry:
                register ^= 0xA001
    return bytes((register & 0xFF, register >> 8))


@dataclass(frozen=True)
class AskedRtu:
    """One request for registers."""

    unit: int
    function_code: int
    address: int
    count: int

    def frame(self, body: bytes, unit: int | None = None) -> bytes:
        """`body` as an answer with unit and checksum."""
        whole = bytes((self.unit if unit is None else unit,)) + body
        return whole + slow_crc(whole)

    def registers(self, words: Mapping[int, int], unit: int | None = None) -> bytes:
        """The right answer, from words by address; addresses that are not there are 0."""
        values = [words.get(self.address + offset, 0) for offset in range(self.count)]
        return self.frame(struct.pack(f">BB{self.count}H", self.function_code, 2 * self.count, *values), unit)

    def refusal(self, exception_code: int) -> bytes:
        """A Modbus exception."""
        return self.frame(bytes((self.function_code | 0x80, exception_code)))


class RtuServer:
    """All slaves of a bus; `answer` may be exchanged at any time; `asked` keeps what came, with its moment."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.asked: list[AskedRtu] = []
        self.asked_s: list[float] = []
        self.damaged = 0
        self._waiting = b""
        self._arrived: asyncio.Queue[AskedRtu] = asyncio.Queue()
        self.device = DevicePty(self._take)

    async def next_asked(self) -> AskedRtu:
        """Wait for the next request."""
        return await asyncio.wait_for(self._arrived.get(), 5.0)

    def _take(self, data: bytes) -> None:
        self._waiting += data
        while len(self._waiting) >= _REQUEST_BYTES:
            frame, self._waiting = self._waiting[:_REQUEST_BYTES], self._waiting[_REQUEST_BYTES:]
            if slow_crc(frame[:-2]) != frame[-2:]:
                self.damaged += 1
                continue
            asked = AskedRtu(*struct.unpack(">BBHH", frame[:-2]))
            self.asked.append(asked)
            self._arrived.put_nowait(asked)
            self.asked_s.append(asyncio.get_running_loop().time())
            answer = self.answer(asked)
            if answer is not None:
                self.device.send(answer)


@contextlib.asynccontextmanager
async def rtu_server(answer: Answer) -> AsyncIterator[RtuServer]:
    """Run slaves on a pty."""
    server = RtuServer(answer)
    try:
        yield server
    finally:
        server.device.unplug()
