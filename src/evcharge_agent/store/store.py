"""The store as the event loop sees it: coroutines in front of one thread that owns SQLite.

Durable before visible (DESIGN D7): when a commit coroutine returns, the fact is on the disk. Operations run
strictly in the order they were called. Every operation may raise `StoreError`; cancelling a coroutine does
not cancel the write it waits for.
"""

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import Executor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import ParamSpec, TypeVar

from evcharge_agent.core.facts import (
    HeldStop,
    IdTag,
    IdTagInfo,
    Instant,
    MeterSample,
    OpenTransaction,
    TransactionKey,
    TransactionStart,
    TransactionStop,
)
from evcharge_agent.store import ledger, memory, outbox, shelves
from evcharge_agent.store.copies import Copier
from evcharge_agent.store.database import Database
from evcharge_agent.store.disk import Disk
from evcharge_agent.store.errors import StoreError
from evcharge_agent.store.executor import writer_thread
from evcharge_agent.store.records import OutboxMessage, SessionRow
from evcharge_agent.store.second_copy import SecondCopy
from evcharge_agent.store.writer import Work, Writer
from evcharge_hal.contract.units import WattHours

RETRY_S = 10.0
"""A disk that failed is tried again this often."""

_log = logging.getLogger(__name__)
T = TypeVar("T")
P = ParamSpec("P")


class Store:
    """Ledger, outbox, authorisation cache and settings overlay. Made by `open`, ended by `close`."""

    def __init__(self, writer: Writer, boot_id: str, executor: Executor) -> None:
        self._writer = writer
        self._boot_id = boot_id
        self._executor = executor
        self._moved_s: float | None = None
        self._is_closed = False
        self._suspended: str | None = None
        self.changed = asyncio.Event()
        """Set whenever a message was queued; the one who drains the outbox clears it."""
        self.resumed = asyncio.Event()
        """Set when a suspended store can be used again; the one who reads it anew clears it."""

    @classmethod
    def open(
        cls,
        directory: Path,
        *,
        boot_id: str,
        executor: Executor | None = None,
        disk: Disk | None = None,
        is_patient: bool = False,
    ) -> "Store":
        """Open the database in `directory`, making what is missing; a damaged file is moved aside.

        `boot_id` names the kernel boot the monotonic stamps of this run belong to. What the second copy knows
        and the database does not is taken up. When `is_patient`, a disk that cannot be used suspends the
        store. Blocks.

        Raises:
            StoreError: the directory or file cannot be used.
        """
        copier = Copier(SecondCopy(directory, disk))
        database = Database(directory, disk=disk, on_open=copier.take_up)
        store = cls(Writer(database, boot_id, copier), boot_id, executor or writer_thread())
        try:
            store._executor.submit(store._writer.take_up).result()
        except StoreError as error:
            if is_patient:
                store.suspend(error.reason)
                return store
            store.close()
            raise
        except BaseException:
            store.close()
            raise
        return store

    def close(self) -> None:
        """Finish what was begun, close the files and end the thread; later operations are refused. Blocks."""
        self._is_closed = True
        self._executor.submit(self._writer.close).result()
        self._executor.shutdown()

    # --- a disk that fails --------------------------------------------------------------------------------

    @property
    def failure(self) -> str | None:
        """Why nothing can be stored; None while the last write succeeded."""
        return self._suspended or self._writer.failure

    @property
    def is_suspended(self) -> bool:
        """Every operation is refused."""
        return self._suspended is not None

    def suspend(self, reason: str) -> None:
        """Refuse every operation until the disk has been read again (see `keep_trying`).

        For a start at which it could not be read: what is open is not known, so nothing new may be written.
        """
        self._suspended = reason
        self.resumed.clear()

    async def keep_trying(self) -> None:
        """Run for ever: while the disk fails, try it again every `RETRY_S`."""
        while True:
            await asyncio.sleep(RETRY_S)
            if self.failure is not None and not self._is_closed:
                await self._try_again()

    async def _try_again(self) -> None:
        try:
            await asyncio.get_running_loop().run_in_executor(self._executor, self._writer.take_up)
        except StoreError as error:
            if self._suspended is not None:
                self._suspended = error.reason
            return
        if self._suspended is not None:
            self._suspended = None
            self.resumed.set()

    # --- facts --------------------------------------------------------------------------------------------

    async def commit_start(self, start: TransactionStart) -> bool:
        """Write the start of a transaction; False when it was written before. After an error it is not there."""
        start = replace(start, started=self._corrected(start.started))
        work = partial(ledger.insert_start, start=start, boot_id=self._boot_id)
        return await self._queue(work, start.transaction, undo=partial(ledger.delete_start, key=start.transaction))

    async def commit_stop(
        self, stop: TransactionStop, *, end: MeterSample | None = None, is_held: bool = False
    ) -> bool:
        """Write the stop of a transaction and its last sample; False, changing nothing, when it has one.

        Held, both are kept but not given out until `finish_stop`, by this run or a later one.
        """
        stop = replace(stop, stopped=self._corrected(stop.stopped))
        end = self._corrected_sample(end)
        work = partial(ledger.insert_stop, stop=stop, end=end, boot_id=self._boot_id, is_held=is_held)
        return await self._queue(work, stop.transaction, is_given_out=not is_held)

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
            ),
            transaction,
        )

    async def commit_sample(self, sample: MeterSample) -> bool:
        """Write a sample of a running transaction; False for a repeated one or one after the stop."""
        sample = replace(sample, taken=self._corrected(sample.taken))
        is_new = await self._run(self._writer.write_sample, sample)
        if is_new:
            self.changed.set()
        return is_new

    async def keep_register(self, transaction: TransactionKey, energy_wh: WattHours, at: Instant) -> bool:
        """Write the register of a running transaction, without a message; False after the stop."""
        return await self._run(self._writer.write_register, transaction, energy_wh, self._corrected(at))

    async def open_transactions(self) -> tuple[OpenTransaction, ...]:
        """Transactions without a stop, oldest first."""
        return await self._run(self._writer.read, ledger.select_open)

    async def held_stops(self) -> tuple[HeldStop, ...]:
        """Stops that have not gone out, oldest first."""
        return await self._run(self._writer.read, ledger.select_held)

    async def sessions(self, limit: int) -> list[SessionRow]:
        """The newest `limit` transactions, newest first."""
        return await self._run(self._writer.read, partial(ledger.select_sessions, limit=limit))

    async def correct_stamps(self, moved_s: float, *, offset_s: float | None = None) -> int:
        """Correct and trust the untrusted stamps of this boot; return how many there were.

        `moved_s` is what `Clock.learn_utc` returned. `offset_s` is UTC minus monotonic as now known; given
        it, stamps of an earlier run of this boot, which began with another guess, come out right too.
        Facts stamped before the correction but committed after it are corrected on their way in.
        """
        self._moved_s = (self._moved_s or 0.0) + moved_s
        return await self._run(
            self._writer.write_stamps,
            partial(ledger.shift_stamps, boot_id=self._boot_id, moved_s=moved_s, offset_s=offset_s),
        )

    # --- outbox -------------------------------------------------------------------------------------------

    async def oldest(self) -> OutboxMessage | None:
        """The message to send next, first in first out over all transactions; it stays until acknowledged."""
        return await self._run(self._writer.read, outbox.select_oldest)

    async def count_attempt(self, sequence: int) -> int:
        """Count a send that was not answered with a CALLRESULT while connected; return the new number."""
        return await self._run(self._writer.write, partial(outbox.count_attempt, sequence=sequence))

    async def acknowledge(
        self, sequence: int, transaction_id: int | None = None, info: IdTagInfo | None = None
    ) -> bool:
        """Take out a message that was answered, queued or parked; False when it was out already.

        A start's answer must carry `transaction_id`; `info` is the verdict in the answer, if any.
        """
        work = partial(outbox.delete_answered, sequence=sequence, transaction_id=transaction_id, info=info)
        return await self._run(self._writer.settle, work, sequence)

    async def park(self, sequence: int) -> bool:
        """Give a message up: out of the queue, kept to be shown. After a parked start, -1 is the transaction id."""
        return await self._run(self._writer.settle, partial(outbox.park, sequence=sequence), sequence)

    async def parked_messages(self) -> tuple[OutboxMessage, ...]:
        """Messages that were given up, oldest first."""
        return await self._run(self._writer.read, outbox.select_parked)

    def outbox_size(self) -> int:
        """Messages waiting to be sent, after the last finished operation."""
        return self._writer.counts.queued

    def parked(self) -> int:
        """Messages that were given up, after the last finished operation."""
        return self._writer.counts.parked

    # --- memory -------------------------------------------------------------------------------------------

    async def remember_authorisation(self, id_tag: IdTag, info: IdTagInfo) -> None:
        """Keep a verdict for offline use; tags are compared without case."""
        await self._run(self._writer.write, partial(memory.upsert_authorisation, id_tag=id_tag, info=info))

    async def authorisations(self) -> Mapping[IdTag, IdTagInfo]:
        """All verdicts kept."""
        return await self._run(self._writer.read, memory.select_authorisations)

    async def forget_authorisations(self) -> None:
        """Drop all verdicts."""
        await self._run(self._writer.write, memory.delete_authorisations)

    async def remember_availability(self, inoperative: frozenset[int]) -> None:
        """Keep which connectors are ordered out of service; 0 stands for all."""
        await self._run(self._writer.write, partial(memory.replace_inoperative, connectors=inoperative))

    async def inoperative(self) -> frozenset[int]:
        """Which connectors are ordered out of service."""
        return await self._run(self._writer.read, memory.select_inoperative)

    async def keep(
        self, shelf: str, put: Mapping[str, str], remove: Collection[str] = (), *, is_whole: bool = False
    ) -> None:
        """Write named texts to a shelf, all or none; `is_whole` removes what is not put."""
        work = partial(shelves.write_shelf, shelf=shelf, put=put, remove=remove, is_whole=is_whole)
        await self._run(self._writer.write, work)

    async def kept(self, shelf: str) -> dict[str, str]:
        """All texts of a shelf by name, in the order of the names."""
        return await self._run(self._writer.read, partial(shelves.select_shelf, shelf=shelf))

    async def overlay(self) -> dict[str, object]:
        """Settings changed at run time, by name, as plain JSON data."""
        return await self._run(self._writer.read, memory.select_overlay)

    async def set_setting(self, name: str, value: object) -> None:
        """Keep the value of a setting (plain JSON data)."""
        await self._run(self._writer.write, partial(memory.upsert_setting, name=name, value=value))

    async def clear_setting(self, name: str) -> bool:
        """Fall back to the file's value; False when there was no overlay."""
        return await self._run(self._writer.write, partial(memory.delete_setting, name=name))

    # --- in the event loop --------------------------------------------------------------------------------

    async def _run(self, access: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        if self._is_closed:
            raise StoreError("the store is closed")
        if self._suspended is not None:
            raise StoreError(self._suspended)
        call = partial(access, *args, **kwargs)
        return await asyncio.get_running_loop().run_in_executor(self._executor, call)

    async def _queue(
        self,
        work: Work[bool],
        key: TransactionKey,
        *,
        is_given_out: bool = True,
        undo: Work[object] | None = None,
    ) -> bool:
        is_new = await self._run(self._writer.write_fact, work, key, undo)
        if is_given_out:
            # Also when it is not new: it may have been written by a COMMIT that seemed to fail.
            self.changed.set()
        return is_new

    def _corrected_sample(self, sample: MeterSample | None) -> MeterSample | None:
        return None if sample is None else replace(sample, taken=self._corrected(sample.taken))

    def _corrected(self, stamp: Instant) -> Instant:
        if stamp.is_utc_trusted or self._moved_s is None:
            return stamp
        return Instant(stamp.monotonic_s, stamp.utc_s + self._moved_s, is_utc_trusted=True)
