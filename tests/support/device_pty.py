"""A serial device of a test: a pty whose far end the driver opens, and whose near end the test answers on."""

import asyncio
import contextlib
import os
import pty
import tty
from collections.abc import AsyncIterator, Callable


class DevicePty:
    """Hands what the driver writes to `received`; `send` answers."""

    def __init__(self, received: Callable[[bytes], None]) -> None:
        self.received = received
        self._near, self._far = pty.openpty()
        tty.setraw(self._far)
        os.set_blocking(self._near, False)
        self.path = os.ttyname(self._far)
        self._is_open = True
        asyncio.get_running_loop().add_reader(self._near, self._take)

    def send(self, data: bytes) -> None:
        """Put bytes on the line."""
        os.write(self._near, data)

    def unplug(self) -> None:
        """Take the device away."""
        if self._is_open:
            self._is_open = False
            asyncio.get_running_loop().remove_reader(self._near)
            os.close(self._near)
            os.close(self._far)

    def _take(self) -> None:
        with contextlib.suppress(OSError):
            self.received(os.read(self._near, 4096))


@contextlib.asynccontextmanager
async def device_pty(received: Callable[[bytes], None] = lambda _data: None) -> AsyncIterator[DevicePty]:
    """Make a device for the length of a test."""
    device = DevicePty(received)
    try:
        yield device
    finally:
        device.unplug()
