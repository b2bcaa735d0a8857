"""The store as the event loop sees it: coroutines in front of one thread that owns SQLite.

Durable before visible (DESIGN D7): when a commit coroutine returns, the fact is on the disk. Operations run
strictly in the order they were called. Every operation may raise `StoreError`; cancelling a coroutine does
not cancel the write it waits for.
"""

import asyncio
import logging
import sqlite3
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeVar

from evcharge_agent.core.facts import (
    IdTag,
    IdTagInfo,
    Instant,
    MeterSample,
    OpenTransaction,
    TransactionKey,
    TransactionStart,
    TransactionStop,
)
from evcharge_agent.store import ledger, memory, outbox
from evcharge_agent.store.database import Database
from evcharge_agent.store.errors import StoreError
from evcharge_agent.store.executor import writer_thread
from evcharge_agent.store.records import OutboxMessage, SessionRow
from evcharge_hal.contract.units import WattHours

_log = logging.getLogger(__name__)
T = TypeVar("T")
Work = Callable[[sqlite3.Connection], T]


class Store:
    """Ledger, outbox, authorisation cache and settings overlay. Made by `open`, ended by `close`."""

    def __init__(self, database: Database, boot_id: str, executor: Executor) -> None:
        self._database = database
        self._boot_id = boot_id
        self._executor = executor
        self._counts = outbox.Counts(0, 0)
        self._moved_s: float | None = None
        self._are_stops_left = True
        """Stops that an earlier run held may not be queued yet."""
        self._is_closed = False
        self.changed = asyncio.Event()
        """Set whenever a message was queued; the one who drains the outbox clears it."""

    @classmethod
    def open(cls, directory: Path, *, boot_id: str, executor: Executor | None = None) -> "Store":
        """Open the database in `directory`, making what is missing; a damaged file is moved aside.

        `boot_id` names the kernel boot the monotonic stamps of this run belong to. Stops an earlier run held
        are queued as they are. Blocks.

        Raises:
            StoreError: the directory or file cannot be used.
        """
        store = cls(Database(directory), boot_id, executor or writer_thread())
        try:
            store._executor.submit(store._take_up).result()
        except BaseException:
            store.close()
            raise
        return store

    def close(self) -> None:
        """Finish what was begun, close the file and end the thread; later operations are refused. Blocks."""
        self._is_closed = True
        self._executor.submit(self._database.close).result()
        self._executor.shutdown()

    # --- facts --------------------------------------------------------------------------------------------

    async def commit_start(self, start: TransactionStart) -> bool:
        """Write the start of a transaction; False when it was written before."""
        start = replace(start, started=self._corrected(start.started))
        return await self._queue(partial(ledger.insert_start, start=start, boot_id=self._boot_id))

    async def commit_stop(
        self, stop: TransactionStop, *, end: MeterSample | None = None, is_held: bool = False
    ) -> bool:
        """Write the stop of a transaction and its last sample; False, changing nothing, when it has one.

        Held, both are kept but not given out until `finish_stop`, or until the store is opened again.
        """
        stop = replace(stop, stopped=self._corrected(stop.stopped))
        end = self._corrected_sample(end)
        work = partial(ledger.insert_stop, stop=stop, end=end, boot_id=self._boot_id, is_held=is_held)
        return await (self._run(self._write_outbox, work) if is_held else self._queue(work))

    async def finish_stop(
        self, transaction: TransactionKey, meter_stop_wh: WattHours, stopped: Instant, end: MeterSample | None = None
    ) -> bool:
        """Give a held stop its final values and queue it, `end` before it; False when it was queued before.

        The register never falls below that of the held stop.
        """
        return await self._queue(
            partial(
                ledger.finish_stop,
                key=transaction,
                meter_stop_wh=meter_stop_wh,
                stopped=self._corrected(stopped),
                end=self._corrected_sample(end),
                boot_id=self._boot_id,
            )
        )

    async def commit_sample(self, sample: MeterSample) -> bool:
        """Write a sample of a running transaction; False for a repeated one or one after the stop."""
        sample = replace(sample, taken=self._corrected(sample.taken))
        return await self._queue(partial(ledger.insert_sample, sample=sample, boot_id=self._boot_id))

    async def open_transactions(self) -> tuple[OpenTransaction, ...]:
        """Transactions without a stop, oldest first."""
        return await self._run(self._read, ledger.select_open)

    async def sessions(self, limit: int) -> list[SessionRow]:
        """The newest `limit` transactions, newest first."""
        return await self._run(self._read, partial(ledger.select_sessions, limit=limit))

    async def correct_stamps(self, moved_s: float, *, offset_s: float | None = None) -> int:
        """Correct and trust the untrusted stamps of this boot; return how many there were.

        `moved_s` is what `Clock.learn_utc` returned. `offset_s` is UTC minus monotonic as now known; given
        it, stamps of an earlier run of this boot, which began with another guess, come out right too.
        Facts stamped before the correction but committed after it are corrected on their way in.
        """
        self._moved_s = (self._moved_s or 0.0) + moved_s
        return await self._run(
            self._write,
            partial(ledger.shift_stamps, boot_id=self._boot_id, moved_s=moved_s, offset_s=offset_s),
        )

    # --- outbox -------------------------------------------------------------------------------------------

    async def oldest(self) -> OutboxMessage | None:
        """The message to send next, first in first out over all transactions; it stays until acknowledged."""
        return await self._run(self._read, outbox.select_oldest)

    async def count_attempt(self, sequence: int) -> int:
        """Count a send that was not answered with a CALLRESULT while connected; return the new number."""
        return await self._run(self._write, partial(outbox.count_attempt, sequence=sequence))

    async def acknowledge(
        self, sequence: int, transaction_id: int | None = None, info: IdTagInfo | None = None
    ) -> bool:
        """Take out a message that was answered, queued or parked; False when it was out already.

        A start's answer must carry `transaction_id`; `info` is the verdict in the answer, if any.
        """
        work = partial(outbox.delete_answered, sequence=sequence, transaction_id=transaction_id, info=info)
        return await self._run(self._write_outbox, work)

    async def park(self, sequence: int) -> bool:
        """Give a message up: out of the queue, kept to be shown. After a parked start, -1 is the transaction id."""
        return await self._run(self._write_outbox, partial(outbox.park, sequence=sequence))

    async def parked_messages(self) -> tuple[OutboxMessage, ...]:
        """Messages that were given up, oldest first."""
        return await self._run(self._read, outbox.select_parked)

    def outbox_size(self) -> int:
        """Messages waiting to be sent, after the last finished operation."""
        return self._counts.queued

    def parked(self) -> int:
        """Messages that were given up, after the last finished operation."""
        return self._counts.parked

    # --- memory -------------------------------------------------------------------------------------------

    async def remember_authorisation(self, id_tag: IdTag, info: IdTagInfo) -> None:
        """Keep a verdict for offline use; tags are compared without case."""
        await self._run(self._write, partial(memory.upsert_authorisation, id_tag=id_tag, info=info))

    async def authorisations(self) -> Mapping[IdTag, IdTagInfo]:
        """All verdicts kept."""
        return await self._run(self._read, memory.select_authorisations)

    async def overlay(self) -> dict[str, object]:
        """Settings changed at run time, by name, as plain JSON data."""
        return await self._run(self._read, memory.select_overlay)

    async def set_setting(self, name: str, value: object) -> None:
        """Keep the value of a setting (plain JSON data)."""
        await self._run(self._write, partial(memory.upsert_setting, name=name, value=value))

    async def clear_setting(self, name: str) -> bool:
        """Fall back to the file's value; False when there was no overlay."""
        return await self._run(self._write, partial(memory.delete_setting, name=name))

    # --- in the writer thread -----------------------------------------------------------------------------

    def _read(self, work: Work[T]) -> T:
        return self._database.read(work)

    def _write(self, work: Work[T]) -> T:
        return self._database.write(work)

    def _write_outbox(self, work: Work[T]) -> T:
        def whole(connection: sqlite3.Connection) -> tuple[T, outbox.Counts]:
            if self._are_stops_left:
                ledger.finish_held_stops(connection)
            return work(connection), outbox.count(connection)

        result, self._counts = self._database.write(whole)
        self._are_stops_left = False
        return result

    def _take_up(self) -> None:
        """Queue what was held; a disk that cannot be written now does so with the first write that succeeds."""
        try:
            self._write_outbox(lambda _: None)
        except StoreError as error:
            self._counts = self._read(outbox.count)
            _log.error("Stops of an earlier run are not queued yet: %s", error.reason)

    # --- in the event loop --------------------------------------------------------------------------------

    async def _run(self, access: Callable[[Work[T]], T], work: Work[T]) -> T:
        if self._is_closed:
            raise StoreError("the store is closed")
        return await asyncio.get_running_loop().run_in_executor(self._executor, access, work)

    async def _queue(self, work: Work[bool]) -> bool:
        is_new = await self._run(self._write_outbox, work)
        if is_new:
            self.changed.set()
        return is_new

    def _corrected_sample(self, sample: MeterSample | None) -> MeterSample | None:
        return None if sample is None else replace(sample, taken=self._corrected(sample.taken))

    def _corrected(self, stamp: Instant) -> Instant:
        if stamp.is_utc_trusted or self._moved_s is None:
            return stamp
        return Instant(stamp.monotonic_s, stamp.utc_s + self._moved_s, is_utc_trusted=True)
