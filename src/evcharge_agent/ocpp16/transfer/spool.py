"""The one directory files from and for elsewhere are in, under names of ours. Blocking.

It belongs to the agent alone (0700), holds no link and never grows beyond its files' limits; what a power cut left
there is removed at the start.
"""

import contextlib
import os
import shutil
import stat
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from evcharge_hal.contract.errors import EvchargeError

DIRECTORY = "spool"
RESERVE_BYTES = 32 * 1024 * 1024
"""What a transfer leaves free on the disk: the ledger needs it."""
_CHECK_EVERY_BYTES = 4 * 1024 * 1024


class SpoolError(EvchargeError):
    """A file cannot be kept; the text says why."""


def free_bytes(directory: Path) -> int:
    """Bytes an unprivileged process can still write there."""
    return shutil.disk_usage(directory).free


class Spool:
    """See the module. Who begins files of a name removes what an earlier run left under it."""

    def __init__(self, state_dir: Path, free: Callable[[Path], int] = free_bytes) -> None:
        self.directory = state_dir / DIRECTORY
        self._free = free

    def prepare(self) -> None:
        """Make the directory, readable by its owner only.

        Raises:
            SpoolError: it cannot be made, or is something else.
        """
        try:
            self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            found = self.directory.lstat()
            if not stat.S_ISDIR(found.st_mode):
                raise SpoolError("the spool directory is something else")
            self.directory.chmod(0o700)
        except OSError as error:
            raise SpoolError(f"the spool directory cannot be used: {error.strerror}") from None

    def path(self, name: str) -> Path:
        """Where a file of ours is."""
        return self.directory / name

    def open_new(self, name: str, limit_bytes: int) -> "SpoolFile":
        """Begin a file, removing one of that name.

        Raises:
            SpoolError: the disk does not take it.
        """
        self.prepare()
        self.discard(name)
        return SpoolFile(self.path(name), limit_bytes, self._free)

    def discard(self, name: str) -> None:
        """Remove a file, if it is there; raises `SpoolError`."""
        with _told():
            self.path(name).unlink(missing_ok=True)


class SpoolFile:
    """One file that is being written. Never larger than its limit, and never so that the disk is full.

    It may be closed while a thread still writes: that thread is refused, and never writes into another file that got
    the same descriptor.
    """

    def __init__(self, path: Path, limit_bytes: int, free: Callable[[Path], int]) -> None:
        self._path = path
        self.limit_bytes = limit_bytes
        self._free = free
        self._checked_at = 0
        self._lock = threading.Lock()
        self._is_closed = False
        self.size = 0
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with _told():
            self._descriptor = os.open(path, flags, 0o600)

    def expect(self, total_bytes: int) -> None:
        """Check at the begin that a file of this size fits.

        Raises:
            SpoolError: it does not.
        """
        if total_bytes > self.limit_bytes:
            raise SpoolError(f"larger than {self.limit_bytes} bytes")
        if self._room() < total_bytes - self.size + RESERVE_BYTES:
            raise SpoolError("not enough room on the disk")

    def write(self, data: bytes) -> None:
        """Append.

        Raises:
            SpoolError: the limit or the end of the disk is reached.
        """
        if self.size + len(data) > self.limit_bytes:
            raise SpoolError(f"larger than {self.limit_bytes} bytes")
        if self.size >= self._checked_at:
            self._checked_at = self.size + _CHECK_EVERY_BYTES
            if self._room() < _CHECK_EVERY_BYTES + RESERVE_BYTES:
                raise SpoolError("not enough room on the disk")
        with self._open(), _told():
            written = 0
            while written < len(data):
                written += os.write(self._descriptor, data[written:])
        self.size += len(data)

    def begin_again(self) -> None:
        """Forget what was written."""
        with self._open(), _told():
            os.ftruncate(self._descriptor, 0)
            os.lseek(self._descriptor, 0, os.SEEK_SET)
        self.size = self._checked_at = 0

    def finish(self) -> None:
        """Return when all of it is on the disk.

        Raises:
            SpoolError: it is not.
        """
        with self._open(), _told():
            os.fsync(self._descriptor)
            directory = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                os.fsync(directory)
            finally:
                os.close(directory)

    def close(self) -> None:
        """Let go of the file; again changes nothing."""
        with self._lock:
            if not self._is_closed:
                self._is_closed = True
                os.close(self._descriptor)

    def _room(self) -> int:
        with _told():
            return self._free(self._path.parent)

    @contextlib.contextmanager
    def _open(self) -> Iterator[None]:
        with self._lock:
            if self._is_closed:
                raise SpoolError("the file was given up")
            yield


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """An error of the system as one of ours."""
    try:
        yield
    except OSError as error:
        raise SpoolError(f"the file cannot be written: {error.strerror}") from None
