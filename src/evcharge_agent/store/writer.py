"""The store's blocking half: runs in its one thread and keeps database, outbox counts and second copy in step."""

import logging
import sqlite3
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from evcharge_agent.core.facts import Instant, MeterSample, TransactionKey
from evcharge_agent.store import ledger, outbox
from evcharge_agent.store.copies import Copier
from evcharge_agent.store.database import Database
from evcharge_agent.store.errors import DiskError, StoreError
from evcharge_hal.contract.units import WattHours

_log = logging.getLogger(__name__)
T = TypeVar("T")
Work = Callable[[sqlite3.Connection], T]


class Writer:
    """Reads and writes. Without `copier` there is no second copy. Every method may raise `StoreError`."""

    def __init__(self, database: Database, boot_id: str, copier: Copier | None = None) -> None:
        self._database = database
        self._boot_id = boot_id
        self._copier = copier
        self.counts = outbox.Counts(0, 0)
        """After the last finished operation."""
        self.failure: str | None = None
        """Why the disk cannot be read or written; None while the last write succeeded."""

    def read(self, work: Work[T]) -> T:
        """Run `work`, which only reads."""
        try:
            return self._database.read(work)
        except DiskError as error:
            self._note_failure(error)
            raise

    def write(self, work: Work[T], *, undo: Work[object] | None = None) -> T:
        """Run `work` in one transaction; when this returns, it is on the disk (`undo`: see `Database.write`)."""
        try:
            result = self._database.write(work, undo=undo)
        except DiskError as error:
            self._note_failure(error)
            raise
        if self.failure is not None:
            _log.warning("The store can be written again")
            self.failure = None
        return result

    def _note_failure(self, error: DiskError) -> None:
        if self.failure is None:
            _log.error("The store cannot be used, new sessions are refused: %s", error.reason)
        self.failure = error.reason

    def write_outbox(self, work: Work[T], *, undo: Work[object] | None = None) -> T:
        """Write what may change the outbox; count it, and thin it where it has grown too long."""

        def whole(connection: sqlite3.Connection) -> tuple[T, outbox.Counts, int]:
            result = work(connection)
            dropped = outbox.thin(connection)
            return result, outbox.count(connection), dropped

        result, self.counts, dropped = self.write(whole, undo=undo)
        if dropped:
            _log.warning(
                "Too many messages wait: %d meter values were dropped, every second of the older half", dropped
            )
        return result

    def write_fact(self, work: Work[bool], key: TransactionKey, undo: Work[object] | None = None) -> bool:
        """Write a start or stop; when this returns, the second copy has it too."""
        is_new = self.write_outbox(work, undo=undo)
        if is_new:
            self._copy(partial(Copier.note, key=key, is_durable=True))
        return is_new

    def write_sample(self, sample: MeterSample) -> bool:
        """Write a sample; False for a repeated one or one after the stop."""
        is_new = self.write_outbox(partial(ledger.insert_sample, sample=sample, boot_id=self._boot_id))
        if is_new and sample.transaction is not None:
            self._copy(partial(Copier.note_energy, key=sample.transaction, now_s=sample.taken.monotonic_s))
        return is_new

    def write_register(self, key: TransactionKey, energy_wh: WattHours, at: Instant) -> bool:
        """Write the register of a running transaction; False for one after the stop."""
        is_open = self.write(partial(ledger.keep_register, key=key, energy_wh=energy_wh, at=at, boot_id=self._boot_id))
        if is_open:
            self._copy(partial(Copier.note_energy, key=key, now_s=at.monotonic_s))
        return is_open

    def settle(self, work: Work[bool], sequence: int) -> bool:
        """Take a message out. A copy that still owes it costs a repetition under the same id, no more."""
        key = self.read(partial(outbox.owner, sequence=sequence))
        is_new = self.write_outbox(work)
        if is_new and key is not None:
            self._copy(partial(Copier.note, key=key, is_durable=False))
        return is_new

    def write_stamps(self, work: Work[int]) -> int:
        """Correct stamps, in the second copy too; return how many there were."""
        corrected = self.write(work)
        if corrected:
            self._copy(Copier.refresh)
        return corrected

    def _copy(self, act: Callable[[Copier, sqlite3.Connection], None]) -> None:
        """Bring the second copy up to what has just been written; that it could not be read is no error here."""
        copier = self._copier
        if copier is None:
            return
        try:
            self.read(lambda connection: act(copier, connection))
        except StoreError as error:
            _log.warning("The second copy is behind: %s", error.reason)

    def take_up(self) -> None:
        """Try a write; a disk that can only be read is one all the same."""
        try:
            self.write_outbox(_touch)
        except StoreError:
            self.counts = self.read(outbox.count)

    def close(self) -> None:
        """Close the files."""
        self._database.close()
        if self._copier is not None:
            self._copier.close()


def _touch(connection: sqlite3.Connection) -> None:
    """Write one page without changing anything, to see whether the disk takes it."""
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    connection.execute(f"PRAGMA user_version = {version}")
