"""A store whose process ends at its n-th write, and a day of charging that goes on after it.

`CutDisk` stands at every place where something reaches the disk: before and after each commit, in the middle and
at the end of each append, before each rename (what comes after the last of them is before the next commit). At the
chosen one it keeps a copy of the directory byte for
byte as it is and ends the process. `Life` plays a scenario against it: the facts a core commits, the real outbox
sender, and a central system that takes a message it has seen before as the same.
"""

import asyncio
import enum
import os
import shutil
import sqlite3
import stat
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ocpp.v16 import call

from evcharge_agent.core.facts import (
    AuthorizationStatus,
    IdTag,
    IdTagInfo,
    Instant,
    Measurand,
    MeterReading,
    MeterSample,
    ReadingContext,
    StopReason,
    TransactionKey,
    TransactionStart,
    TransactionStop,
)
from evcharge_agent.ocpp16.errors import CallRefusedError, LinkClosedError
from evcharge_agent.ocpp16.outbox import OutboxSender
from evcharge_agent.store import database, second_copy
from evcharge_agent.store.disk import Disk
from evcharge_agent.store.executor import InlineExecutor
from evcharge_agent.store.store import Store
from evcharge_hal.contract.units import WattHours

UTC_S = 1_750_000_000.0
ATTEMPTS = 2


class CutError(BaseException):
    """The process has ended."""


class After(enum.Enum):
    """What the next process finds."""

    KILL = "kill"
    """Everything that was written, synced or not."""
    POWER = "power"
    """Another boot; what was not synced is gone."""
    DAMAGE = "damage"
    """As after POWER, and the database is garbage."""
    LOSS = "loss"
    """As after POWER, and there is no database."""


class CutConnection(sqlite3.Connection):
    """Tells its disk of every commit."""

    disk: "CutDisk"

    def execute(self, sql: str, parameters: Any = ()) -> sqlite3.Cursor:
        if sql != "COMMIT":
            return super().execute(sql, parameters)
        self.disk.reach()
        cursor = super().execute(sql)
        self.disk.reach()
        return cursor

    def executescript(self, sql_script: str) -> sqlite3.Cursor:
        self.disk.reach()
        cursor = super().executescript(sql_script)
        self.disk.reach()
        return cursor


class CutDisk(Disk):
    """Ends the process at point `cut_at`, counted from 1; None only counts."""

    def __init__(self, directory: Path, cut_at: int | None = None) -> None:
        self._directory = directory
        self._cut_at = cut_at
        self._synced: dict[str, int] = {}
        self._names: dict[int, str] = {}
        self.points = 0
        self.found: dict[str, bytes] = {}
        """The files at the cut."""
        self.synced: dict[str, int] = {}
        """How much of each appended file was synced by then."""

    def reach(self) -> None:
        """A point has been reached."""
        self.points += 1
        if self.points == self._cut_at:
            # The shared memory of SQLite does not outlive the process that made it.
            found = [path for path in self._directory.iterdir() if not path.name.endswith("-shm")]
            self.found = {path.name: path.read_bytes() for path in found}
            self.synced = dict(self._synced)
        if self._cut_at is not None and self.points >= self._cut_at:
            raise CutError

    def connect(self, path: Path, timeout_s: float) -> sqlite3.Connection:
        disk = self

        class Connection(CutConnection):
            pass

        Connection.disk = disk
        return sqlite3.connect(path, timeout=timeout_s, isolation_level=None, factory=Connection)

    def open(self, path: Path, flags: int) -> int:
        descriptor = super().open(path, flags)
        self._names[descriptor] = path.name
        if path.name.startswith(second_copy.FILE_NAME):
            self._synced.setdefault(path.name, 0)
        return descriptor

    def write(self, descriptor: int, data: bytes) -> None:
        super().write(descriptor, data[: len(data) // 2])
        self.reach()
        super().write(descriptor, data[len(data) // 2 :])
        self.reach()

    def sync(self, descriptor: int) -> None:
        super().sync(descriptor)
        # A directory may have the number of a file that was closed before.
        if descriptor in self._names and not stat.S_ISDIR(os.fstat(descriptor).st_mode):
            name = self._names[descriptor]
            self._synced[name] = (self._directory / name).stat().st_size

    def replace(self, source: Path, target: Path) -> None:
        self.reach()
        self._synced[target.name] = self._synced.pop(source.name)
        super().replace(source, target)


@dataclass(frozen=True)
class Step:
    """One thing that happens: see `Life`."""

    verb: str
    session: str = ""
    wh: int = 0


def steps(text: str) -> Sequence[Step]:
    """Read `start a 100; drain; stop a 900`; in the end everything is delivered."""
    parsed = []
    for part in (*text.split(";"), "drain"):
        words = part.split()
        parsed.append(Step(words[0], words[1] if words[1:] else "", int(words[2]) if words[2:] else 0))
    return parsed


@dataclass
class Central:
    """The central system: what it was told, by message id."""

    answers: dict[str, int] = field(default_factory=dict)
    starts: list[tuple[int, str, int]] = field(default_factory=list)
    """(transaction id, id tag, Wh)"""
    stops: list[tuple[int, int]] = field(default_factory=list)
    """(transaction id, Wh)"""
    samples: list[tuple[int, int]] = field(default_factory=list)
    refused: set[str] = field(default_factory=set)
    """Id tags whose StartTransaction is always answered with an error."""
    is_deaf_once: bool = False
    """The next message is taken in, but its answer gets lost."""
    posted: list[object] = field(default_factory=list)

    async def ready(self) -> None:
        """Always."""

    async def call(self, payload: Any, message_id: str | None = None) -> Any:
        assert message_id is not None
        if isinstance(payload, call.StartTransaction) and payload.id_tag in self.refused:
            raise CallRefusedError("InternalError", "")
        if message_id not in self.answers:
            self.answers[message_id] = self._take(payload)
        if self.is_deaf_once:
            self.is_deaf_once = False
            raise LinkClosedError("cut")
        return _Answer(self.answers[message_id], isinstance(payload, call.StartTransaction))

    def _take(self, payload: Any) -> int:
        match payload:
            case call.StartTransaction():
                self.starts.append((len(self.starts) + 1, payload.id_tag, payload.meter_start))
                return len(self.starts)
            case call.StopTransaction():
                self.stops.append((payload.transaction_id, payload.meter_stop))
            case call.MeterValues():
                value = payload.meter_value[0]["sampled_value"][0]["value"]
                self.samples.append((payload.transaction_id or 0, int(value)))
        return 0


class _Answer:
    def __init__(self, transaction_id: int, is_start: bool) -> None:
        self.transaction_id = transaction_id
        self.id_tag_info = {"status": "Accepted"} if is_start else None


class _Keys:
    transaction_message_attempts = ATTEMPTS
    transaction_message_retry_interval_s = 0
    stop_transaction_max_meter_values = 30


class _Connection:
    keys = _Keys()


class _Configuration:
    connection = _Connection()


@dataclass
class Truth:
    """What a session really was."""

    tag: str
    start_wh: int
    stop_wh: set[int] = field(default_factory=set)


class Life:
    """Plays a scenario on stores in `root`; call `play` once."""

    def __init__(self, root: Path, central: Central) -> None:
        self._root = root
        self._runs = 0
        self._boot_id = "boot-1"
        self._number = 0
        self.central = central
        self.truth: dict[str, Truth] = {}
        self.samples: dict[str, list[int]] = {}
        """Registers of samples whose commit returned, by id tag."""
        self.parked: list[TransactionStart] = []
        """Given up in the end."""

    def play(self, script: Sequence[Step], cut_at: int | None, after: After) -> int:
        """Play all steps, ending the process at point `cut_at`; return how many points were passed."""
        with asyncio.Runner() as runner:
            return runner.run(self._play(script, cut_at, after))

    async def _play(self, script: Sequence[Step], cut_at: int | None, after: After) -> int:
        directory = self._root / "0"
        directory.mkdir()
        disk = CutDisk(directory, cut_at)
        store: Store | None = None
        done = 0
        try:
            store = Store.open(directory, boot_id=self._boot_id, executor=InlineExecutor(), disk=disk)
            for step in script:
                await self._do(store, step)
                done += 1
        except CutError:
            if store is not None:
                store.close()
            store = self._restarted(disk, after)
            for step in script[done:]:
                await self._do(store, step, is_again=step is script[done])
        assert await store.open_transactions() == ()
        for message in await store.parked_messages():
            assert isinstance(message.fact, TransactionStart)
            self.parked.append(message.fact)
        store.close()
        return disk.points

    def _restarted(self, disk: CutDisk, after: After) -> Store:
        """The next process, on the files as the cut left them."""
        directory = self._root / "1"
        directory.mkdir()
        for name, content in disk.found.items():
            kept = len(content) if after is After.KILL else disk.synced.get(name, len(content))
            (directory / name).write_bytes(content[:kept])
        if after is not After.KILL:
            self._boot_id = "boot-2"
        if after in (After.DAMAGE, After.LOSS):
            for path in directory.glob(f"{database.FILE_NAME}*"):
                path.unlink()
        if after is After.DAMAGE:
            (directory / database.FILE_NAME).write_bytes(b"\x5a" * 8192)
        return Store.open(directory, boot_id=self._boot_id, executor=InlineExecutor())

    # --- steps --------------------------------------------------------------------------------------------

    async def _do(self, store: Store, step: Step, *, is_again: bool = False) -> None:
        self._number += not is_again
        now = Instant(10.0 * self._number, UTC_S + 10.0 * self._number, is_utc_trusted=step.verb != "start")
        match step.verb:
            case "start":
                await self._start(store, step, now, is_again=is_again)
            case "sample":
                await self._sample(store, step, now, is_again=is_again)
            case "stop" | "hold":
                stop = TransactionStop(self._key(step.session), WattHours(step.wh), now, StopReason.LOCAL)
                self.truth[step.session].stop_wh |= {step.wh}
                await store.commit_stop(stop, is_held=step.verb == "hold")
            case "finish":
                await self._finish(store, step, now)
            case "drain":
                await self._drain(store)
            case "deafen":
                self.central.is_deaf_once = True
            case "one":
                await self._send_one(store)
            case _:
                await self._do_beside(store, step)

    async def _do_beside(self, store: Store, step: Step) -> None:
        """Writes that are no transaction facts."""
        match step.verb:
            case "setting":
                await store.set_setting(step.session, step.wh)
            case "verdict":
                await store.remember_authorisation(IdTag(step.session), IdTagInfo(AuthorizationStatus.ACCEPTED))
            case "clock":
                await store.correct_stamps(float(step.wh), offset_s=UTC_S + step.wh)
            case _:
                raise ValueError(step.verb)

    def _key(self, session: str) -> TransactionKey:
        return TransactionKey(f"key-{self.truth[session].tag}")

    async def _start(self, store: Store, step: Step, now: Instant, *, is_again: bool) -> None:
        """A driver whose session is not there after the restart presents the card again."""
        if is_again and step.session in self.truth:
            key = self._key(step.session)
            if any(row.start.transaction == key for row in await store.sessions(100)):
                return
        tag = f"{step.session}{'-again' if is_again else ''}"
        self.truth[step.session] = Truth(tag, step.wh)
        start = TransactionStart(self._key(step.session), 1, IdTag(tag), WattHours(step.wh), now, "plug-1")
        if tag.startswith("refused"):
            self.central.refused.add(tag)
        await store.commit_start(start)

    async def _sample(self, store: Store, step: Step, now: Instant, *, is_again: bool) -> None:
        """The core does not repeat a sample after a restart."""
        if is_again:
            return
        reading = MeterReading(energy_wh=WattHours(step.wh))
        sample = MeterSample(
            1, self._key(step.session), now, ReadingContext.PERIODIC, reading, (Measurand.ENERGY_IMPORT,)
        )
        await store.commit_sample(sample)
        self.samples.setdefault(self.truth[step.session].tag, []).append(step.wh)

    async def _finish(self, store: Store, step: Step, now: Instant) -> None:
        """Also after a restart: what was held then still is, unless this had been written already."""
        await store.finish_stop(self._key(step.session), WattHours(step.wh), now)
        self.truth[step.session].stop_wh = {step.wh}

    async def _drain(self, store: Store) -> None:
        while await store.oldest() is not None:
            await self._send_one(store)

    async def _send_one(self, store: Store) -> None:
        if await store.oldest() is not None:
            sender = OutboxSender(store, self.central, _Configuration(), self.central.posted.append)  # type: ignore[arg-type]
            await sender._step()


def judge(life: Life, after: After) -> None:
    """Exactly one start and one stop for each session, with equal energies; nothing else."""
    central = life.central
    wanted = {truth.tag: truth for truth in life.truth.values()}
    accepted = {tag: truth for tag, truth in wanted.items() if tag not in central.refused}
    assert sorted((tag, wh) for _, tag, wh in central.starts) == sorted(
        (tag, truth.start_wh) for tag, truth in accepted.items()
    )
    numbers = {tag: number for number, tag, _ in central.starts}
    for tag, truth in accepted.items():
        stops = [wh for number, wh in central.stops if number == numbers[tag]]
        assert len(stops) == 1, f"{tag} has the stops {stops}"
        assert stops[0] in truth.stop_wh
        samples = [wh for number, wh in central.samples if number == numbers[tag]]
        assert samples == sorted(set(samples)), "in order and once"
        if after in (After.KILL, After.POWER):
            assert set(life.samples.get(tag, [])) <= set(samples), "a committed sample was lost"
    given_up = sorted(wh for number, wh in central.stops if number == -1)
    assert len(given_up) == len(wanted) - len(accepted)
    assert len(central.stops) == len(wanted)
    parked = {fact.id_tag for fact in life.parked}
    assert parked <= set(central.refused)
    # What is over and done goes with a lost database.
    assert after in (After.DAMAGE, After.LOSS) or len(parked) == len(wanted) - len(accepted)


def lives(root: Path, script: Sequence[Step], after: After) -> int:
    """Play a scenario once uncut, then once for each of its points; return how many there were."""
    points = _life(root, script, None, after)
    for cut_at in range(1, points + 1):
        try:
            _life(root, script, cut_at, after)
        except Exception as error:
            error.add_note(f"cut at point {cut_at} of {points}, then {after.value}")
            raise
    return points


def _life(root: Path, script: Sequence[Step], cut_at: int | None, after: After) -> int:
    directory = root / "life"
    directory.mkdir()
    try:
        life = Life(directory, Central())
        points = life.play(script, cut_at, after)
        judge(life, after)
    finally:
        shutil.rmtree(directory)
    return points
