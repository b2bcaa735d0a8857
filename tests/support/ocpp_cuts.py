"""A whole agent whose process ends at its n-th write, and the next one on what is left.

Composition, core, store, vault and OCPP are the real ones; guard and world are those of `coarse_rig`. At the chosen
point the directory is kept byte for byte as it is, and from that moment the process says nothing more to anybody:
what had been sent arrives, what it would have sent does not.
"""

import abc
import asyncio
import contextlib
import os
import tempfile
from collections.abc import AsyncIterator, Awaitable, Coroutine, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from evcharge_agent.app import Agent, ConfiguredMeter, ConfiguredReader, Ports, serve
from evcharge_agent.core.state import State
from evcharge_agent.core.view import StationView
from evcharge_agent.ocpp16.security.ports import SecurityEvent
from evcharge_agent.ocpp16.security.vault import Vault
from evcharge_agent.runtime.clock import Clock
from evcharge_agent.settings.loader import check_tables
from evcharge_agent.store import database
from evcharge_agent.store.executor import InlineExecutor
from evcharge_agent.store.store import Store
from tests.support.coarse_rig import METER_EVERY_S, CoarseRig, QueueReader
from tests.support.memory_rig import ImageMeter
from tests.support.ocpp_cut_process import AgentDisk, Connector, NoThreads, Plant, Process
from tests.support.rig import CARD
from tests.support.rig_settings import RIG_SETTINGS
from tests.support.store_cuts import After, CutError
from tests.support.virtual_time import run_virtual

WIRE_TURNS = 50
"""So many turns of the loop take what had been sent to where it goes, and the answer's reader to its next thought."""


class CutRig(CoarseRig):
    """A charger that lives several lives; the n-th ends at its point `cuts[n]`, if there is one."""

    poll_s = 0.5

    def __init__(self, settings: Mapping[str, Any], root: Path, after: After, cuts: tuple[int, ...]) -> None:
        directory = root / "0"
        directory.mkdir()
        super().__init__(settings, directory)
        self.plant = self.coarse = self.hardware = Plant()  # type: ignore[assignment]
        self._root = root
        self._after = after
        self._cuts = cuts
        self.lives = 0
        self.points: list[int] = []
        """How many each life had."""
        self.process = Process()
        self.disk = AgentDisk(directory, directory, None, self.process)
        self.vault: Vault | None = None
        self.store: Store | None = None

    @property
    def core(self) -> State:
        """The state of the agent's core."""
        assert self._agent is not None
        return self._agent._loop.state

    @property
    def latest(self) -> StationView:
        """The station as the agent last published it."""
        assert self._agent is not None
        return self._agent.snapshots.latest

    async def born(self, *, is_armed: bool) -> None:
        """Start the next process and, unless it dies before, wait until it knows its guard and its central system."""
        self.process = self.plant.process = Process()
        kept = self._root / str(self.lives + 1)
        cut_at = self._cuts[self.lives] if self.lives < len(self._cuts) else None
        self.disk = AgentDisk(self._state_dir, kept, cut_at, self.process)
        self.disk.is_armed = is_armed
        self.plant.swipes = asyncio.Queue()
        self._agent = None
        self._stop = asyncio.Event()
        self._serving = asyncio.create_task(self._serve(self._stop))
        await self.alive(self._until_up())

    async def _until_up(self) -> None:
        while self._agent is None:
            assert self._serving is not None
            assert not self._serving.done(), self._serving.exception()
            await asyncio.sleep(0)
        await self.until_view("guard", lambda _: self.latest.is_guard_connected)
        if self.central.is_reachable:
            await self.until_view("central system", lambda _: self.latest.is_central_system_accepted)
            await self.until_view("states told", lambda _: bool(self.central.states(2)))
            await self.sleep(1.0)

    async def alive(self, doing: Awaitable[None]) -> bool:
        """Do something until it is done or the process is dead; whether it still lives."""
        task = asyncio.ensure_future(doing)
        over = asyncio.create_task(self.process.over.wait())
        await asyncio.wait({task, over}, return_when=asyncio.FIRST_COMPLETED)
        over.cancel()
        if not self.process.is_dead:
            task.result()
            return True
        if self.process.line is not None:
            await self.process.line.close(1011)
        for _ in range(WIRE_TURNS):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return False

    async def buried(self) -> None:
        """The process is gone; what the next one finds is ready."""
        if not self.process.is_dead:
            self.disk.keep()
            if self.process.line is not None:
                await self.process.line.close(1011)
        self.plant.lose_agent()
        if self._after is not After.KILL:
            self.plant.kill_guard()
        self._stop.set()
        assert self._serving is not None
        await asyncio.gather(self._serving, return_exceptions=True)
        self.lives += 1
        self.points.append(self.disk.points)
        self._state_dir = self._root / str(self.lives)
        if self._after is not After.KILL:
            self.disk.lose_unsynced(self._state_dir)
            self._boot_id = f"boot-{self.lives + 1}"
            await self.start("guard")
        if self._after in (After.DAMAGE, After.LOSS):
            for path in self._state_dir.glob(f"{database.FILE_NAME}*"):
                path.unlink()
        if self._after is After.DAMAGE:
            (self._state_dir / database.FILE_NAME).write_bytes(b"\x5a" * 8192)

    async def _serve(self, stop: asyncio.Event) -> None:
        process = self.process
        with contextlib.suppress(CutError):
            store = Store.open(self._state_dir, boot_id=self._boot_id, executor=InlineExecutor(), disk=self.disk)
            try:
                await self._serve_store(store, stop)
            finally:
                with contextlib.suppress(CutError):
                    store.close()
        assert process.is_dead or stop.is_set()

    async def _serve_store(self, store: Store, stop: asyncio.Event) -> None:
        clock = Clock(monotonic_s=self._loop.time, system_utc_s=self._utc_s)
        vault = Vault.open(self._state_dir, store, clock, self._boot_id, self.disk)
        vault.events.report(SecurityEvent.STARTUP_OF_THE_DEVICE)
        self.store, self.vault = store, vault

        def started(agent: Agent) -> None:
            self._agent = agent

        settings = check_tables(self._settings_data, "rig", "sim").settings
        ports = self._own_ports(clock, store, vault)
        await serve(settings, store, lambda changed: Agent(changed, ports, settings), started, stop)

    def _own_ports(self, clock: Clock, store: Store, vault: Vault) -> Ports:
        """Everything of this process; it has no firmware, whose cuts have tests of their own."""
        process = self.process
        return Ports(
            clock=clock,
            store=store,
            journal=self,
            boot_id=self._boot_id,
            make_guard=self.plant.channel,
            make_connector=lambda _: Connector(self.central, process),
            meters=[
                ConfiguredMeter(number, ImageMeter(self.hardware, f"meter-{number}"), METER_EVERY_S)
                for number in self.plant.outlets
            ],
            readers=[ConfiguredReader("reader", QueueReader(self.plant), (1, 2))],
            random=lambda: 0.5,
            new_id=lambda: f"run-{next(self._numbers)}",
            vault=vault,
        )

    def bug(self, doing: str, subject: object, error: BaseException) -> None:
        """What a process does when it is dead, nobody sees."""
        if not self.process.is_dead:
            raise AssertionError(f"bug while {doing} {subject}") from error

    # --- people -------------------------------------------------------------------------------------------

    async def plug(self, connector: int = 1) -> None:
        """Plug a car in where there is none."""
        await self.do("plug", connector=connector)
        await self.until_view("a car", lambda at: at["state"] != "Available")

    async def begin(self, card: str = CARD, connector: int = 1) -> None:
        """Have the car charge: the card is held to the reader unless there is a session."""
        await self.until_view("settled", lambda at: at["state"] != "Available")
        if (await self.view(connector)).get("session") is None:
            await self.do("swipe", id_tag=card, connectors=[connector])
        await self.until_state("Charging", connector)
        before_wh = (await self.at(connector))["energy_wh"]
        while (await self.at(connector))["energy_wh"] < before_wh + 4:
            await self.sleep(1.0)

    async def end(self, card: str = CARD, connector: int = 1) -> None:
        """Have the session end, unless it has."""
        if (await self.view(connector)).get("session") is not None:
            await self.do("swipe", id_tag=card, connectors=[connector])
        await self.until_world("open", lambda at: not at["is_contactor_closed"])
        await self.until_view("no session", lambda at: at["session"] is None)

    async def leave(self, connector: int = 1) -> None:
        """Take the cable along, and wait until nobody is there."""
        await self.do("unplug", connector=connector)
        await self.until_view("nobody", lambda at: at["state"] not in ("Finishing", "Preparing", "Charging"))

    async def drained(self) -> None:
        """Wait until the central system has been told everything about transactions."""
        self.central.is_reachable = True
        await self.until_view("drained", lambda _: self._is_drained(), 120.0)

    def _is_drained(self) -> bool:
        is_ending = any(one.session.ending is not None for one in self.core.connectors.values())
        return not is_ending and self.store is not None and self.store.outbox_size() == 0


class Scenario(abc.ABC):
    """What people and the central system do, and what must then be true."""

    keys: Mapping[str, Any] = MappingProxyType({})
    """Factory values of OCPP keys."""
    is_in_second_copy = False
    """It is about what outlives a database that is damaged or deleted."""

    def __init__(self, rig: CutRig) -> None:
        self.rig = rig
        self.may: list[object] = []
        """What the next process may find; more than one only while a question is not answered."""

    async def prepare(self) -> None:  # noqa: B027 - not every scenario needs it
        """Nothing is cut yet."""

    @abc.abstractmethod
    async def act(self) -> None:
        """Cut anywhere."""

    @abc.abstractmethod
    async def check(self) -> None:
        """The next process must have all that was answered; then go on to the end."""

    async def asked(self, question: Coroutine[Any, Any, str], becomes: object, answer: str = "Accepted") -> None:
        """Ask for a change. Unanswered it may have happened or not; answered it has."""
        if self.rig.process.is_dead:
            question.close()
            await self.rig.process.hang_if_dead()
        self.may.append(becomes)
        assert await question == answer
        self.may = [becomes]

    def found(self, state: object) -> None:
        """What the next process has is what it may have, and from now on nothing else."""
        assert state in self.may, f"found {state}, not one of {self.may}"
        self.may = [state]


def play(make: type[Scenario], root: Path, after: After, cuts: tuple[int, ...] = ()) -> list[int]:
    """Play a scenario, ending the n-th process at its point `cuts[n]`; return how many points each life had.

    A process that is not cut ends when it has nothing more to do. Writes of the first count from `act` on, those of
    a later one from its start to the moment it is up.
    """
    keys = {**RIG_SETTINGS["ocpp"]["keys"], **make.keys}
    settings = {**RIG_SETTINGS, "ocpp": {**RIG_SETTINGS["ocpp"], "keys": keys}}

    async def main() -> list[int]:
        asyncio.get_running_loop().set_default_executor(NoThreads())
        asyncio.get_running_loop().set_exception_handler(_say_unless_cut)
        rig = CutRig(settings, root, after, cuts)
        async with _world(rig):
            scenario = make(rig)
            await rig.born(is_armed=False)
            await scenario.prepare()
            rig.disk.is_armed = True
            await rig.alive(scenario.act())
            await rig.buried()
            for _ in cuts[1:]:
                await rig.born(is_armed=True)
                await rig.buried()
            await rig.born(is_armed=False)
            await scenario.check()
            await rig.drained()
            judge_sessions(rig)
            assert rig._agent is not None
            assert rig._agent.bugs == 0
            return rig.points

    return run_virtual(main())


def _say_unless_cut(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Nobody asks what a task of a dead process died of."""
    error = context.get("exception")
    rest = error.split(CutError)[1] if isinstance(error, BaseExceptionGroup) else error
    if rest is not None and not isinstance(rest, CutError):
        loop.default_exception_handler(context)


@contextlib.asynccontextmanager
async def _world(rig: CutRig) -> AsyncIterator[None]:
    ticker = asyncio.create_task(rig.plant.run())
    await rig.start("guard")
    try:
        yield
        assert not ticker.done(), ticker.exception()
    finally:
        if not rig.process.is_dead:
            rig.process.die()
        rig._stop.set()
        if rig._serving is not None:
            await asyncio.gather(rig._serving, return_exceptions=True)
        ticker.cancel()
        await asyncio.gather(ticker, return_exceptions=True)


def judge_sessions(rig: CutRig) -> None:
    """Every car that took energy has one start and one stop, with the plant's registers; nothing else was told."""
    told = [(one.connector, one.meter_start_wh, one.meter_stop_wh) for one in rig.central.transactions.values()]
    served = [(one.connector, one.start_wh, one.stop_wh) for one in rig.plant.served]
    assert sorted(told, key=repr) == sorted(served, key=repr), f"told {told}, served {served}"
    stops = {one.message_id: one.payload["transaction_id"] for one in rig.central.of("StopTransaction")}
    assert sorted(stops.values()) == sorted(rig.central.transactions)


def ends_of(make: type[Scenario]) -> tuple[After, ...]:
    """What a scenario can be followed by; a lost database leaves only what the second copy knows."""
    return tuple(After) if make.is_in_second_copy else (After.KILL, After.POWER)


def spread(points: int, most: int, seed: int) -> list[int]:
    """At most `most` of the points 1 to `points`, evenly spread."""
    if points <= most:
        return list(range(1, points + 1))
    return sorted({1 + (seed + round(points * (2 * number + 1) / (2 * most))) % points for number in range(most)})


def live(make: type[Scenario], after: After, *cuts: int) -> int:
    """`play` in a directory of its own, in memory where that is possible; return the points of the last process."""
    # It is the order of the writes that counts, not the disk.
    memory = Path("/dev/shm")  # noqa: S108
    try:
        with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as root:
            return play(make, Path(root), after, cuts)[-1]
    except Exception as error:
        error.add_note(f"{make.__name__} cut at {cuts}, then {after.value}")
        raise
