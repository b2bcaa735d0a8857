"""One SQLite connection: opening, checking, migrating, and giving up after an error. Blocking; one thread.

WAL with synchronous=FULL: what was committed survives a power cut. A failed write or fsync makes the handle
worthless (what the kernel kept of it is unknown), so it is closed and the next operation opens a new one.

What a new connection finds in the log need not be on the disk: it may be what a failed fsync left in memory, and
the next fsync would not say so. So before its first write the log is carried into the database, page by page, and
that is synced; only then "it is there already" may be believed.
"""

import contextlib
import logging
import os
import sqlite3
from collections.abc import Callable, Sequence
from importlib import resources
from pathlib import Path
from typing import TypeVar

from evcharge_agent.store.disk import Disk
from evcharge_agent.store.errors import DiskError

FILE_NAME = "agent.db"
_MIGRATIONS = "evcharge_agent.store.migrations"
BUSY_TIMEOUT_S = 5.0
# A commit writes whole pages to the log: 8 KB for a sample with pages of 1 KiB, 27 KB with the usual 4 KiB.
_PAGE_BYTES = 1024
_JOURNAL_LIMIT_BYTES = 1024 * 1024
_CACHE_KIB = 512
_DAMAGED_FILES_KEPT = 5
_DAMAGE_CODES = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_UNREADABLE_CODES = (sqlite3.SQLITE_IOERR_READ, sqlite3.SQLITE_IOERR_SHORT_READ, sqlite3.SQLITE_IOERR_CORRUPTFS)
_UNREADABLE_TRIES = 3
"""So often in a row the disk must fail to read a file before that counts as damage of the file."""

_log = logging.getLogger(__name__)
T = TypeVar("T")
Work = Callable[[sqlite3.Connection], T]
Migration = tuple[int, str]


class DamagedError(Exception):
    """The file is not a sound database."""


class Database:
    """The file in `directory`, opened on first use and again after every error.

    `migrations` are (version, SQL), oldest first; the package's own unless given. `busy_timeout_s` is how
    long another process (an export, a backup) may hold the file. `on_open` is handed every new connection
    before anybody else; a file it refuses is not opened.
    """

    def __init__(
        self,
        directory: Path,
        *,
        migrations: Sequence[Migration] | None = None,
        busy_timeout_s: float = BUSY_TIMEOUT_S,
        disk: Disk | None = None,
        on_open: Callable[[sqlite3.Connection], None] | None = None,
    ) -> None:
        self._path = directory / FILE_NAME
        self._migrations = shipped_migrations() if migrations is None else migrations
        self._busy_timeout_s = busy_timeout_s
        self._disk = disk or Disk()
        self._on_open = on_open
        self._unreadable = 0
        self._connection: sqlite3.Connection | None = None
        self._is_suspect = True
        self._is_log_proven = False
        self._undo: list[Work[object]] = []

    def write(self, work: Work[T], *, undo: Work[object] | None = None) -> T:
        """Run `work` in one transaction; when it returns, the result is on the disk.

        `undo` takes back what `work` did. It runs before anything else can be read or written, should a COMMIT
        that failed turn out to have happened all the same.

        Raises:
            DiskError: nothing was changed, or (a failed COMMIT without `undo`) it is unknown whether it was.
        """
        connection = self.connection()
        try:
            self._prove_log(connection)
            connection.execute("BEGIN IMMEDIATE")
            result = work(connection)
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            if undo is not None:
                self._undo.append(undo)
            raise self._given_up(error) from error
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
            raise
        return result

    def read(self, work: Work[T]) -> T:
        """Run `work`, which only reads.

        Raises:
            DiskError: the file cannot be read.
        """
        connection = self.connection()
        try:
            return work(connection)
        except sqlite3.Error as error:
            raise self._given_up(error) from error

    def connection(self) -> sqlite3.Connection:
        """Return the open connection; open the file where there is none.

        Raises:
            DiskError: the file cannot be opened, or was made by a newer version.
        """
        if self._connection is None:
            try:
                self._connection = self._opened()
            except (sqlite3.Error, OSError, DamagedError) as error:
                raise DiskError(f"{self._path}: {error}") from error
        return self._connection

    def close(self) -> None:
        """Close the connection; harmless when there is none."""
        connection, self._connection = self._connection, None
        self._is_log_proven = False
        if connection is not None:
            with contextlib.suppress(sqlite3.Error):
                connection.close()

    def _prove_log(self, connection: sqlite3.Connection) -> None:
        """Before the first write of a connection: what it found in the log is on the disk after this."""
        if not self._is_log_proven:
            is_busy, *_ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            # Somebody else reads: then the next write tries again.
            self._is_log_proven = not is_busy

    def _take_back(self, connection: sqlite3.Connection) -> None:
        """Undo what was told to have failed."""
        if not self._undo:
            return
        connection.execute("BEGIN IMMEDIATE")
        for undo in self._undo:
            undo(connection)
        connection.execute("COMMIT")
        self._undo.clear()

    def _given_up(self, error: sqlite3.Error) -> DiskError:
        """Drop the connection after an error and word the error."""
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
        # The low byte is the primary code; extended codes say where an I/O error happened.
        self._is_suspect = self._is_suspect or code & 0xFF in _DAMAGE_CODES
        self.close()
        return DiskError(f"{self._path}: {error}")

    def _opened(self) -> sqlite3.Connection:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # SQLite gives the -wal and -shm files the mode of the database: id tags are nobody else's business.
        os.close(self._disk.open(self._path, os.O_RDWR))
        try:
            connection = self._connected(is_to_be_checked=self._is_suspect)
        except DamagedError as damage:
            self._unreadable = 0
            aside = _move_aside(self._path)
            _log.error(
                "The store %s is damaged (%s): moved to %s, starting with an empty one", self._path, damage, aside
            )
            connection = self._connected(is_to_be_checked=False)
        self._is_suspect = False
        return connection

    def _connected(self, *, is_to_be_checked: bool) -> sqlite3.Connection:
        """Open, configure, check and migrate.

        Raises:
            DamagedError: the file is not a sound database.
        """
        connection = self._disk.connect(self._path, self._busy_timeout_s)
        connection.row_factory = sqlite3.Row
        try:
            _configure(connection)
            if is_to_be_checked:
                _check(connection)
            _migrate(connection, self._path, self._migrations)
            self._take_back(connection)
            if self._on_open is not None:
                self._on_open(connection)
        except BaseException as error:
            connection.close()
            if isinstance(error, sqlite3.DatabaseError) and self._is_damage(error):
                raise DamagedError(str(error)) from error
            raise
        self._unreadable = 0
        return connection

    def _is_damage(self, error: sqlite3.DatabaseError) -> bool:
        """The file itself is bad, not the moment: by its content, or because it cannot be read again and again."""
        code = getattr(error, "sqlite_errorcode", 0)
        self._unreadable = self._unreadable + 1 if code in _UNREADABLE_CODES else 0
        return code & 0xFF in _DAMAGE_CODES or self._unreadable >= _UNREADABLE_TRIES


def _configure(connection: sqlite3.Connection) -> None:
    for pragma in (
        f"page_size = {_PAGE_BYTES}",
        "journal_mode = WAL",
        "synchronous = FULL",
        "foreign_keys = ON",
        f"journal_size_limit = {_JOURNAL_LIMIT_BYTES}",
        f"cache_size = -{_CACHE_KIB}",
        "temp_store = MEMORY",
        "cell_size_check = ON",
        "trusted_schema = OFF",
    ):
        connection.execute(f"PRAGMA {pragma}").fetchall()


def _check(connection: sqlite3.Connection) -> None:
    findings = [str(row[0]) for row in connection.execute("PRAGMA quick_check(3)")]
    if findings != ["ok"]:
        raise DamagedError("; ".join(findings))


def _move_aside(path: Path) -> Path:
    """Rename the database together with its WAL: a stale WAL must never be applied to a new file."""
    taken = [path.with_name(f"{path.name}.damaged-{number}") for number in range(1, _DAMAGED_FILES_KEPT + 1)]
    aside = next((name for name in taken if not name.exists()), taken[-1])
    for suffix in ("", "-wal", "-shm"):
        source = path.with_name(path.name + suffix)
        if source.exists():
            source.replace(aside.with_name(aside.name + suffix))
    return aside


def shipped_migrations() -> Sequence[Migration]:
    """All migrations as (version, SQL), oldest first."""
    files = [entry for entry in resources.files(_MIGRATIONS).iterdir() if entry.name.endswith(".sql")]
    return sorted((int(entry.name.split("_", 1)[0]), entry.read_text("utf-8")) for entry in files)


def _migrate(connection: sqlite3.Connection, path: Path, steps: Sequence[Migration]) -> None:
    """Bring the schema forward, one transaction for each step; before the first, keep a copy."""
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version > steps[-1][0]:
        raise DiskError(f"{path}: schema {version} was made by a newer version; this one knows up to {steps[-1][0]}")
    due = [step for step in steps if step[0] > version]
    if due and version > 0:
        backup = path.with_name(f"{path.name}.schema-{version}")
        backup.unlink(missing_ok=True)
        connection.execute("VACUUM INTO ?", (str(backup),))
    for number, script in due:
        connection.executescript(f"BEGIN IMMEDIATE;\n{script}\nPRAGMA user_version = {number};\nCOMMIT;")
