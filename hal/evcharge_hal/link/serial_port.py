"""A serial port that never waits: opened by pyserial, then read and written on its bare descriptor.

pyserial's own read and write either wait or spin on a full buffer, whatever their time-outs. Opening stays
with it for the exclusive lock and the line settings.
"""

import contextlib
import os
import termios
from collections import deque

import serial

from evcharge_hal.contract.errors import EvchargeError

MAX_READ_BYTES = 4096
"""Most bytes of one `read`, so that a flooding peer leaves time for everything else."""
MAX_QUEUE_BYTES = 4096
"""About 0.35 s of line time at 115200 bit/s; what waits longer is an old set-point and worth nothing."""


class PortError(EvchargeError):
    """The port cannot be opened, or its device has gone; close it and try again later."""


class SerialPort:
    """A non-blocking 8N1 port. Every method but `close` raises `PortError` when the device is gone or closed."""

    def __init__(self, path: str, baud: int) -> None:
        """Open `path` at `baud` bit/s for this process alone.

        Raises:
            PortError: no such device, no access, in use, or not a serial port.
        """
        self._path = path
        self._queue: deque[memoryview] = deque()
        self._queued = 0
        self._is_first_begun = False
        try:
            self._serial = serial.Serial(path, baud, exclusive=True, timeout=0)
        except (OSError, ValueError, termios.error) as error:
            raise PortError(f"cannot open {path} at {baud} bit/s: {error}") from error
        self._descriptor: int | None = self._serial.fileno()
        try:
            os.set_blocking(self._descriptor, False)
            _make_end_of_file_visible(self._descriptor)
        except (OSError, termios.error) as error:
            self.close()
            raise PortError(f"cannot set up {path}: {error}") from error

    @property
    def wants_write(self) -> bool:
        """Bytes wait for the descriptor to become writable."""
        return bool(self._queue)

    def fileno(self) -> int:
        """Return the descriptor to select on."""
        if self._descriptor is None:
            raise PortError(f"{self._path} is closed")
        return self._descriptor

    def read(self) -> bytes:
        """Return what has arrived, at most 4096 bytes; empty when nothing."""
        descriptor = self.fileno()
        try:
            data = os.read(descriptor, MAX_READ_BYTES)
        except BlockingIOError:
            return b""
        except OSError as error:
            raise PortError(f"cannot read {self._path}: {error}") from error
        if not data:
            raise PortError(f"{self._path} was hung up")
        return data

    def write(self, data: bytes) -> None:
        """Take whole frames and write what fits; the rest waits. Beyond 4096 bytes the oldest frames are dropped."""
        if data:
            self._queue.append(memoryview(bytes(data)))
            self._queued += len(data)
        self._drop_old()
        self.flush()

    def flush(self) -> None:
        """Write what waits, as far as the device takes it now."""
        descriptor = self.fileno()
        while self._queue:
            first = self._queue[0]
            try:
                written = os.write(descriptor, first)
            except BlockingIOError:
                return
            except OSError as error:
                raise PortError(f"cannot write {self._path}: {error}") from error
            self._queued -= written
            self._is_first_begun = written < len(first)
            if self._is_first_begun:
                self._queue[0] = first[written:]
                return
            self._queue.popleft()

    def close(self) -> None:
        """Give the device back; may be called again. What waits is dropped."""
        self._descriptor = None
        self._queue.clear()
        self._queued = 0
        self._is_first_begun = False
        with contextlib.suppress(OSError):
            self._serial.close()

    def _drop_old(self) -> None:
        """Drop the oldest chunks, never one that has begun (half a frame would spoil the next) nor the newest."""
        oldest = 1 if self._is_first_begun else 0
        while self._queued > MAX_QUEUE_BYTES and len(self._queue) > oldest + 1:
            self._queued -= len(self._queue[oldest])
            del self._queue[oldest]


def _make_end_of_file_visible(descriptor: int) -> None:
    """Set VMIN to 1: with pyserial's 0 an idle line and a line that is gone both read as no bytes."""
    attributes = termios.tcgetattr(descriptor)
    attributes[6][termios.VMIN] = 1
    attributes[6][termios.VTIME] = 0
    termios.tcsetattr(descriptor, termios.TCSANOW, attributes)
