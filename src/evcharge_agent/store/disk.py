"""What the store does to the disk, in one place: tests put a disk there that is full, broken or cut off."""

import os
import sqlite3
from pathlib import Path


class Disk:
    """The real one. Every method blocks; files raise OSError, connections sqlite3.Error."""

    def connect(self, path: Path, timeout_s: float) -> sqlite3.Connection:
        """Open a database; transactions are begun and ended by the caller's own statements."""
        return sqlite3.connect(path, timeout=timeout_s, isolation_level=None)

    def open(self, path: Path, flags: int) -> int:
        """Open or make a file that only its owner reads; return its descriptor."""
        return os.open(path, flags | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def write(self, descriptor: int, data: bytes) -> None:
        """Write all of `data`; after an error any part of it may be there."""
        while data:
            data = data[os.write(descriptor, data) :]

    def sync(self, descriptor: int) -> None:
        """Return when all that was written is on the disk. After an error the descriptor must not be used again."""
        os.fsync(descriptor)

    def replace(self, source: Path, target: Path) -> None:
        """Give `source` the name `target`, whatever had it; a power cut leaves one or the other."""
        source.replace(target)
        self._sync_directory(target.parent)

    def remove(self, path: Path) -> None:
        """Take `path` away for good; it may be missing."""
        path.unlink(missing_ok=True)
        self._sync_directory(path.parent)

    def _sync_directory(self, directory: Path) -> None:
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            self.sync(descriptor)
        finally:
            os.close(descriptor)
