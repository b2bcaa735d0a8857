"""A disk that refuses on command: every write, or everything."""

import errno
import os
import sqlite3
from pathlib import Path
from typing import Any

from evcharge_agent.store.disk import Disk


class FailingDisk(Disk):
    """Works until told otherwise."""

    def __init__(self) -> None:
        self.is_full = False
        """Commits and appends fail; what is there can be read."""
        self.is_broken = False
        """Nothing can be opened or read."""
        self.refusals = 0

    def connect(self, path: Path, timeout_s: float) -> sqlite3.Connection:
        disk = self
        if self.is_broken:
            self.refusals += 1
            raise sqlite3.OperationalError("disk I/O error")

        class Connection(sqlite3.Connection):
            def execute(self, sql: str, parameters: Any = ()) -> sqlite3.Cursor:
                if disk.is_broken:
                    disk.refusals += 1
                    raise sqlite3.OperationalError("disk I/O error")
                if disk.is_full and sql == "COMMIT":
                    disk.refusals += 1
                    raise sqlite3.OperationalError("database or disk is full")
                return super().execute(sql, parameters)

        return sqlite3.connect(path, timeout=timeout_s, isolation_level=None, factory=Connection)

    def write(self, descriptor: int, data: bytes) -> None:
        self._check()
        super().write(descriptor, data)

    def sync(self, descriptor: int) -> None:
        self._check()
        super().sync(descriptor)

    def _check(self) -> None:
        if self.is_full or self.is_broken:
            self.refusals += 1
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
