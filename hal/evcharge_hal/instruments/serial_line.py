"""A serial port on the event loop: opened by pyserial, then read and written on its bare descriptor.

pyserial's own reads and writes wait; opening stays with it for the exclusive lock and the line settings.
"""

import asyncio
import enum
import os
import termios
from dataclasses import dataclass

import serial

from evcharge_hal.instruments.values import InstrumentError

_MOST_BYTES = 4096
_MOST_WAITING_BYTES = 16_384
"""More than any telegram; a flood is forgotten from its beginning."""


class Parity(enum.Enum):
    """Parity bit of each character."""

    NONE = "none"
    EVEN = "even"
    ODD = "odd"


_PARITIES = {Parity.NONE: serial.PARITY_NONE, Parity.EVEN: serial.PARITY_EVEN, Parity.ODD: serial.PARITY_ODD}


@dataclass(frozen=True, slots=True)
class LineSettings:
    """How the characters of a line look."""

    baud: int = 9600
    parity: Parity = Parity.NONE
    data_bits: int = 8
    stop_bits: int = 1


class SerialLine:
    """One open port. Every method but `close` raises `InstrumentError` when the device has gone."""

    def __init__(self, path: str, settings: LineSettings) -> None:
        """Open `path` for this process alone; needs a running loop.

        Raises:
            InstrumentError: no such device, no access, in use, or not a serial port.
        """
        self._path = path
        self._waiting = bytearray()
        self._arrived = asyncio.Event()
        self._trouble: str | None = None
        try:
            self._serial = serial.Serial(
                path,
                settings.baud,
                bytesize=settings.data_bits,
                parity=_PARITIES[settings.parity],
                stopbits=settings.stop_bits,
                exclusive=True,
                timeout=0,
            )
        except (OSError, ValueError, termios.error) as error:
            raise InstrumentError(f"cannot open {path} at {settings.baud} bit/s: {error}") from error
        self._descriptor = self._serial.fileno()
        os.set_blocking(self._descriptor, False)
        _make_end_of_file_visible(self._descriptor)
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._descriptor, self._take)
        self._is_open = True
        self._arrived_s = self._loop.time()

    @property
    def age_s(self) -> float:
        """How long ago the last bytes came, or the port was opened."""
        return self._loop.time() - self._arrived_s

    async def write(self, data: bytes) -> None:
        """Send all of `data`, waiting where the port is full."""
        left = memoryview(data)
        while left:
            self._check()
            try:
                left = left[os.write(self._descriptor, left) :]
            except BlockingIOError:
                await self._writable()
            except OSError as error:
                raise InstrumentError(f"cannot write {self._path}: {error}") from error

    async def read(self) -> bytes:
        """Wait for bytes and return all that are there."""
        while not self._waiting:
            self._check()
            self._arrived.clear()
            await self._arrived.wait()
        data = bytes(self._waiting)
        self._waiting.clear()
        return data

    def discard(self) -> int:
        """Forget what has arrived and return how much it was."""
        if self._is_open and self._trouble is None:
            self._take()
        count = len(self._waiting)
        self._waiting.clear()
        return count

    def forget(self) -> None:
        """Forget what has been taken from the port; what is in it just now is kept."""
        self._waiting.clear()

    def close(self) -> None:
        """Give the port back; may be called again."""
        if self._is_open:
            self._is_open = False
            self._loop.remove_reader(self._descriptor)
            self._serial.close()

    def _check(self) -> None:
        if self._trouble is not None or not self._is_open:
            raise InstrumentError(self._trouble or f"{self._path} is closed")

    def _take(self) -> None:
        try:
            data = os.read(self._descriptor, _MOST_BYTES)
        except BlockingIOError:
            return
        except OSError as error:
            self._stop(f"cannot read {self._path}: {error}")
            return
        if not data:
            self._stop(f"{self._path} was hung up")
            return
        self._arrived_s = self._loop.time()
        self._waiting += data
        del self._waiting[:-_MOST_WAITING_BYTES]
        self._arrived.set()

    def _stop(self, trouble: str) -> None:
        self._trouble = trouble
        self._loop.remove_reader(self._descriptor)
        self._arrived.set()

    async def _writable(self) -> None:
        ready = asyncio.Event()
        self._loop.add_writer(self._descriptor, ready.set)
        try:
            await ready.wait()
        finally:
            self._loop.remove_writer(self._descriptor)


def _make_end_of_file_visible(descriptor: int) -> None:
    """Set VMIN to 1: with pyserial's 0 an idle line and a line that is gone both read as no bytes."""
    attributes = termios.tcgetattr(descriptor)
    attributes[6][termios.VMIN] = 1
    attributes[6][termios.VTIME] = 0
    termios.tcsetattr(descriptor, termios.TCSANOW, attributes)
