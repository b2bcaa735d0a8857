"""A USB card reader that plays keyboard, read from its event device without a library.

The device is grabbed: otherwise every card would be typed into the console as well.
"""

import asyncio
import fcntl
import os
from collections import deque
from collections.abc import Callable

from evcharge_hal.instruments.key_events import EVENT, Typing, take_event
from evcharge_hal.instruments.touch import Touch, see
from evcharge_hal.instruments.uid import UidRule, id_tag_of
from evcharge_hal.instruments.values import InstrumentError, Swipe

_EVIOCGRAB = 0x40044590
"""_IOW('E', 0x90, int), linux/input.h."""
_MOST_BYTES = 64 * EVENT.size
_MOST_CARDS = 16


def grab(descriptor: int) -> None:
    """Take the device for ourselves.

    Raises:
        OSError: it is no event device, or somebody else has it.
    """
    fcntl.ioctl(descriptor, _EVIOCGRAB, 1)


class UsbKeyboardReader:
    """Reads `/dev/input/by-id/…-event-kbd`; see `values.CardReader`.

    With a `rule` the typed number is taken for hex digits and written anew; without one it stands as typed.
    """

    def __init__(self, path: str, rule: UidRule | None = None, take_hold: Callable[[int], None] = grab) -> None:
        self._path = path
        self._rule = rule
        self._take_hold = take_hold
        self._descriptor: int | None = None
        self._partial = b""
        self._typing = Typing()
        self._touch = Touch()
        self._cards: deque[str] = deque(maxlen=_MOST_CARDS)
        self._arrived = asyncio.Event()
        self._trouble: str | None = None

    async def next_swipe(self) -> Swipe:
        """Wait for the next card; see `values.CardReader.next_swipe`."""
        if self._descriptor is None:
            self._open()
        while not self._cards:
            if self._trouble is not None:
                trouble = self._trouble
                await self.close()
                raise InstrumentError(f"card reader at {self._path}: {trouble}")
            self._arrived.clear()
            await self._arrived.wait()
        return Swipe(self._cards.popleft())

    async def close(self) -> None:
        """Give the device back; the next `next_swipe` opens it again."""
        descriptor, self._descriptor = self._descriptor, None
        self._partial, self._typing, self._trouble = b"", Typing(), None
        if descriptor is not None:
            asyncio.get_running_loop().remove_reader(descriptor)
            os.close(descriptor)

    def _open(self) -> None:
        try:
            descriptor = os.open(self._path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise InstrumentError(f"card reader at {self._path}: {error.strerror}") from error
        try:
            self._take_hold(descriptor)
        except OSError as error:
            os.close(descriptor)
            raise InstrumentError(f"card reader at {self._path}: cannot be grabbed: {error.strerror}") from error
        self._descriptor = descriptor
        asyncio.get_running_loop().add_reader(descriptor, self._read, descriptor)

    def _read(self, descriptor: int) -> None:
        loop = asyncio.get_running_loop()
        try:
            data = os.read(descriptor, _MOST_BYTES)
        except BlockingIOError:
            return
        except OSError as error:  # ENODEV: unplugged
            self._stop(descriptor, str(error.strerror))
            return
        if not data:
            self._stop(descriptor, "gone")
            return
        self._partial += data
        while len(self._partial) >= EVENT.size:
            event, self._partial = self._partial[: EVENT.size], self._partial[EVENT.size :]
            self._typing, typed = take_event(self._typing, event, loop.time())
            if typed is not None:
                self._present(typed, loop.time())

    def _present(self, typed: str, now_s: float) -> None:
        self._touch, is_new = see(self._touch, typed, now_s)
        if not is_new:
            return
        try:
            self._cards.append(typed if self._rule is None else id_tag_of(bytes.fromhex(typed), self._rule))
        except (ValueError, InstrumentError):
            # What is no card in the format that was asked for stands as it was typed.
            self._cards.append(typed)
        self._arrived.set()

    def _stop(self, descriptor: int, trouble: str) -> None:
        self._trouble = trouble
        asyncio.get_running_loop().remove_reader(descriptor)
        self._arrived.set()
