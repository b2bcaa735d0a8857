"""Waiting for "something changed" without missing a change."""

import asyncio
from collections.abc import Callable


class Signal:
    """Wakes everybody who waits. Belongs to one event loop; no thread may touch it."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def notify(self) -> None:
        """Wake all who wait now; those who come later wait for the next change."""
        event, self._event = self._event, asyncio.Event()
        event.set()

    async def wait(self, timeout_s: float | None = None) -> bool:
        """Wait for the next change; False when `timeout_s` passed first."""
        event = self._event
        try:
            async with asyncio.timeout(timeout_s):
                await event.wait()
        except TimeoutError:
            return False
        return True

    async def wait_until(self, is_true: Callable[[], bool]) -> None:
        """Return once `is_true`, which can only become so by a change that is notified."""
        while not is_true():
            await self.wait()
