"""A firmware update whose process ends at its n-th write, and the lives that come after it.

Everything is real but the car and the central system: store, spool, transfer from a server on loopback, installer. What
the next life finds is the directory byte for byte as it was; after a power cut, what was never synced is half there.
"""

import asyncio
import json
import shutil
import sqlite3
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from evcharge_agent.core.effects import Answer
from evcharge_agent.core.events import ResetOrdered, UpdateAsked
from evcharge_agent.ocpp16.firmware_service import SHELF, FirmwareService, FirmwareTools
from evcharge_agent.ocpp16.firmware_values import Order
from evcharge_agent.ocpp16.profile import Context
from evcharge_agent.ocpp16.transfer.network import Network
from evcharge_agent.ocpp16.transfer.spool import Spool
from evcharge_agent.ocpp16.transfer.transfer import Transfers
from evcharge_agent.ocpp16.transfer.urls import HostPolicy, Scheme
from evcharge_agent.runtime.clock import Clock
from evcharge_agent.runtime.inbox import Inbox
from evcharge_agent.store.disk import Disk
from evcharge_agent.store.executor import InlineExecutor
from evcharge_agent.store.store import Store
from evcharge_agent.updates.simulated import SimulatedUpdater
from tests.support.store_cuts import CutConnection, CutDisk, CutError
from tests.support.virtual_time import run_virtual, virtual_clock


class TreeDisk(CutDisk):
    """Ends the process at a point, and keeps the whole tree as it is then."""

    def __init__(self, directory: Path, kept: Path, cut_at: int | None = None) -> None:
        super().__init__(directory, cut_at)
        self._kept = kept

    def reach(self) -> None:
        self.points += 1
        if self.points == self._cut_at:
            shutil.copytree(self._directory, self._kept, ignore=shutil.ignore_patterns("*-shm"))
        if self._cut_at is not None and self.points >= self._cut_at:
            raise CutError

    def connect(self, path: Path, timeout_s: float) -> sqlite3.Connection:
        connection: type[CutConnection] = type("Connection", (CutConnection,), {"disk": self})
        return sqlite3.connect(path, timeout=timeout_s, isolation_level=None, factory=connection)

    def sync(self, descriptor: int) -> None:
        self.reach()
        Disk.sync(self, descriptor)

    def replace(self, source: Path, target: Path) -> None:
        self.reach()
        Disk.replace(self, source, target)
        self.reach()


class CountingUpdater(SimulatedUpdater):
    """Counts installations that were begun."""

    calls = 0

    def install(self, path: Path, digest: str) -> str | None:
        self.calls += 1
        return super().install(path, digest)


@dataclass
class Told:
    """The central system of all lives."""

    statuses: list[str] = field(default_factory=list)
    installs: int = 0
    lives: int = 0
    points: int = 0

    async def ready(self) -> None:
        """Always."""

    async def call(self, payload: Any, message_id: str | None = None) -> Any:
        self.statuses.append(str(payload.status.value))


def update(root: Path, location: str, cut_at: int | None, *, is_power_cut: bool) -> tuple[Told, Path]:
    """Play one update, cut once; returns what was told and the last life's directory."""
    told = Told()
    directory = root / "0"
    directory.mkdir()
    while True:
        told.lives += 1
        kept = root / str(told.lives)
        disk = TreeDisk(directory, kept, cut_at if told.lives == 1 else None)
        end = run_virtual(_live(directory, disk, location, told))
        told.points += disk.points
        if end == "over":
            return told, directory
        if end == "cut":
            directory = kept
            if is_power_cut:
                _lose(directory)
        assert told.lives < 6, told.statuses


def _lose(directory: Path) -> None:
    """What a download has not synced is half there; the job says how far it was."""
    path = directory / "spool" / "firmware"
    if not path.exists():
        return
    with sqlite3.connect(directory / "agent.db") as connection:
        rows = connection.execute("SELECT value FROM shelf WHERE shelf = ?", (SHELF,)).fetchall()
    connection.close()
    if not any(json.loads(row[0])["digest"] for row in rows):
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


async def _live(directory: Path, disk: TreeDisk, location: str, told: Told) -> str:
    """One life: `cut`, `restart` or `over`."""
    clock = virtual_clock()
    clock.learn_utc(clock.now().utc_s)
    store = None
    updater = None
    try:
        store = Store.open(directory, boot_id=f"boot-{told.lives}", executor=InlineExecutor(), disk=disk)
        updater = CountingUpdater(directory, disk)
        return await Life(directory, store, updater, clock, told).play(location)
    except CutError:
        return "cut"
    finally:
        told.installs += 0 if updater is None else updater.calls
        if store is not None:
            store.close()


class Life:
    """One process."""

    def __init__(self, directory: Path, store: Store, updater: CountingUpdater, clock: Clock, told: Told) -> None:
        self._inbox = Inbox()
        self._told = told
        nothing: Any = None
        context = Context(self._inbox, nothing, nothing, clock, told, lambda: True)
        network = Network(HostPolicy(("127.0.0.0/8",)), frozenset(Scheme))
        transfers = Transfers(Spool(directory), network, InlineExecutor())
        self._service = FirmwareService(context, FirmwareTools(store, transfers, updater, lambda *_: None))
        self._is_left = False

    async def play(self, location: str) -> str:
        """Until it ends, in whichever way; raises CutError."""
        parts = (self._service.run(), self._core(), self._order(location))
        tasks = [asyncio.create_task(part) for part in parts]
        try:
            for _ in range(1000):
                await asyncio.sleep(0.5)
                self._raise_what_went_wrong(tasks)
                if self._is_left:
                    return "restart"
                if tasks[2].done() and self._service.as_json()["stage"] is None:
                    return "over"
            raise AssertionError(self._told.statuses)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _raise_what_went_wrong(self, tasks: list[asyncio.Task[None]]) -> None:
        for task in tasks:
            error = task.exception() if task.done() else None
            while isinstance(error, BaseExceptionGroup):
                error = error.exceptions[0]
            if error is not None:
                raise error

    async def _core(self) -> None:
        """Nobody charges."""
        while True:
            event = await self._inbox.take()
            if isinstance(event, UpdateAsked):
                self._inbox.settle(Answer(event.request, is_accepted=True))
            self._is_left |= isinstance(event, ResetOrdered)

    async def _order(self, location: str) -> None:
        if self._told.lives == 1:
            await self._service.order(Order(location, 0.0, attempts=3, interval_s=5))
            self._service.answered()
