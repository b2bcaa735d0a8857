"""A PN532 at the level of bytes, written from the user manual; shares no code with the driver.

It sleeps until woken, answers nothing before SAMConfiguration, and can hang in the ways the chip is known for.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from tests.support.device_pty import DevicePty

ACK = bytes((0x00, 0x00, 0xFF, 0x00, 0xFF, 0x00))
WAKE = 0x55


def frame(*body: int) -> bytes:
    """A normal information frame from the chip."""
    length = len(body)
    return bytes((0x00, 0x00, 0xFF, length, 256 - length, *body, (256 - sum(body) % 256) % 256, 0x00))


class FakePn532:
    """`card` is what lies in the field; `requests` keeps the codes of what was asked."""

    def __init__(self) -> None:
        self.card: bytes | None = None
        self.requests: list[int] = []
        self.aborts = 0
        self.is_awake = False
        self.is_configured = False
        self.is_hung = False
        """Takes nothing until it is woken anew."""
        self.is_mute = False
        """Acknowledges and never answers."""
        self.noise = b""
        """Sent before every answer."""
        self._waiting = b""
        self.device = DevicePty(self._take)

    def sleep(self) -> None:
        """Lose everything, as after a dip of the supply."""
        self.is_awake = self.is_configured = False

    def _take(self, data: bytes) -> None:
        self._waiting += data
        if WAKE in data[:2]:
            self.is_awake, self.is_hung = True, False
        if not self.is_awake or self.is_hung:
            self._waiting = b""
            return
        while (start := self._waiting.find(b"\x00\xff")) >= 0:
            rest = self._waiting[start + 2 :]
            if len(rest) < 2:
                return
            if rest[:2] == b"\x00\xff":
                self.aborts += 1
                self._waiting = rest[2:]
                continue
            length = rest[0]
            if len(rest) < length + 3:
                return
            assert (length + rest[1]) % 256 == 0, "length checksum"
            body, check = rest[2 : 2 + length], rest[2 + length]
            assert (sum(body) + check) % 256 == 0, "data checksum"
            self._waiting = rest[3 + length :]
            self._answer(body)

    def _answer(self, body: bytes) -> None:
        assert body[0] == 0xD4, "direction"
        command = body[1]
        self.requests.append(command)
        if command == 0x14:
            assert body[2] == 0x01, "normal mode"
            self.is_configured = True
        if not self.is_configured:
            return
        self.device.send(ACK)
        if self.is_mute:
            return
        answer = {0x14: (), 0x02: (0x32, 0x01, 0x06, 0x07), 0x32: (), 0x4A: self._target()}.get(command)
        code = command + 1
        self.device.send(self.noise + (frame(0x7F) if answer is None else frame(0xD5, code, *answer)))

    def _target(self) -> tuple[int, ...]:
        if self.card is None:
            return (0x00,)
        return (0x01, 0x01, 0x00, 0x44, 0x08, len(self.card), *self.card)


@contextlib.asynccontextmanager
async def fake_pn532() -> AsyncIterator[FakePn532]:
    """Run a chip for the length of a test."""
    chip = FakePn532()
    try:
        yield chip
    finally:
        chip.device.unplug()
        await asyncio.sleep(0)
