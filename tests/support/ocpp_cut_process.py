"""One process of a charger under a knife: its disk, its line, its guard, and a plant that remembers who took what."""

import asyncio
import os
import shutil
import sqlite3
import stat
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from evcharge_agent.demo.central_system import CentralSystem, MemoryConnector
from evcharge_agent.demo.pipe import PipeEnd
from evcharge_agent.runtime.inbox import Inbox
from evcharge_agent.store import database
from evcharge_agent.store.disk import Disk
from evcharge_agent.store.executor import InlineExecutor
from evcharge_hal.contract.channel import AgentMessage, EventKind
from tests.support.coarse_rig import CoarseHardware, Outlet
from tests.support.memory_rig import ChannelPort
from tests.support.store_cuts import CutConnection, CutDisk, CutError


class NoThreads(ThreadPoolExecutor):
    """What is given to threads is done at once, so that one write comes after the other."""

    submit = InlineExecutor.submit


class Process:
    """One run of the agent, seen from outside: alive until it is not."""

    def __init__(self) -> None:
        self.is_dead = False
        self.over = asyncio.Event()
        self.line: PipeEnd | None = None

    def die(self) -> None:
        """Nothing that comes after this is heard by anybody."""
        self.is_dead = True
        self.over.set()

    async def hang_if_dead(self) -> None:
        """What a dead process waits for does not come."""
        if self.is_dead:
            await asyncio.Event().wait()


class AgentDisk(CutDisk):
    """Counts its points from `arm` on, over the whole directory; at point `cut_at` the process is dead."""

    def __init__(self, directory: Path, kept: Path, cut_at: int | None, process: Process) -> None:
        super().__init__(directory, cut_at)
        self._kept = kept
        self._process = process
        self._paths: dict[int, Path] = {}
        self._safe: dict[Path, int] = {}
        self.is_armed = False

    def reach(self) -> None:
        if self._process.is_dead:
            raise CutError
        if self.is_armed:
            self.points += 1
            if self.points == self._cut_at:
                self.keep()
                raise CutError

    def keep(self) -> None:
        """The process ends here and now."""
        self._process.die()
        shutil.copytree(self._directory, self._kept, ignore=shutil.ignore_patterns("*-shm"))

    def lose_unsynced(self, directory: Path) -> None:
        """What a power cut leaves of the copy in `directory`."""
        for path, size in self._safe.items():
            copy = directory / path.relative_to(self._directory)
            if copy.exists() and copy.stat().st_size > size:
                os.truncate(copy, size)

    def connect(self, path: Path, timeout_s: float) -> sqlite3.Connection:
        connection: type[CutConnection] = type("Connection", (CutConnection,), {"disk": self})
        return sqlite3.connect(path, timeout=timeout_s, isolation_level=None, factory=connection)

    def open(self, path: Path, flags: int) -> int:
        descriptor = Disk.open(self, path, flags)
        self._paths[descriptor] = path
        if path.name != database.FILE_NAME:
            self._safe.setdefault(path, os.fstat(descriptor).st_size)
        return descriptor

    def sync(self, descriptor: int) -> None:
        Disk.sync(self, descriptor)
        # A directory may have the number of a file that was closed before.
        found = os.fstat(descriptor)
        if descriptor in self._paths and stat.S_ISREG(found.st_mode):
            self._safe[self._paths[descriptor]] = found.st_size
            self.reach()

    def replace(self, source: Path, target: Path) -> None:
        self.reach()
        self._safe[target] = self._safe.pop(source)
        Disk.replace(self, source, target)
        self.reach()

    def remove(self, path: Path) -> None:
        self.reach()
        Disk.remove(self, path)
        self.reach()


class Connection:
    """The charger's end of a line while its process lives."""

    def __init__(self, process: Process, line: PipeEnd) -> None:
        self._process = process
        self._line = line

    async def recv(self) -> str | bytes:
        """Next frame."""
        message = await self._line.recv()
        await self._process.hang_if_dead()
        return message

    async def send(self, message: str | bytes) -> None:
        """Send a frame."""
        await self._process.hang_if_dead()
        await self._line.send(message)

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """A dead process has no last words; its line is closed by the system."""
        if not self._process.is_dead:
            await self._line.close(code, reason)

    def set_ping_interval(self, interval_s: float) -> None:
        """Nothing is pinged."""
        self._line.set_ping_interval(interval_s)


class Connector:
    """Reaches the central system; satisfies `ocpp16.link.Connector`."""

    def __init__(self, central: CentralSystem, process: Process) -> None:
        self._pipes = MemoryConnector(central, "RIG-1")
        self._process = process

    async def connect(self) -> Connection:
        """Connect."""
        await self._process.hang_if_dead()
        line = await self._pipes.connect()
        assert isinstance(line, PipeEnd)
        self._process.line = line
        return Connection(self._process, line)


class GuardPort(ChannelPort):
    """The guard channel while the process lives."""

    def __init__(self, hardware: CoarseHardware, inbox: Inbox, process: Process) -> None:
        super().__init__(hardware, inbox)  # type: ignore[arg-type]
        self._process = process

    def _deliver(self, message: AgentMessage) -> None:
        if not self._process.is_dead:
            super()._deliver(message)


@dataclass(slots=True)
class Served:
    """What the plant knows of one car, Wh of its meter."""

    connector: int
    start_wh: int
    stop_wh: int | None = None


class Plant(CoarseHardware):
    """Writes down which car took what."""

    def __init__(self) -> None:
        super().__init__()
        self.cars: dict[str, Served] = {}
        """By plug, in the order of their coming."""
        self.process: Process | None = None

    def channel(self, inbox: Inbox) -> ChannelPort:
        assert self.process is not None
        self._listener = GuardPort(self, inbox, self.process)
        return self._listener

    def lose_agent(self) -> None:
        """Its socket is closed."""
        self._listener = None

    @property
    def served(self) -> list[Served]:
        """Cars that took energy."""
        return [one for one in self.cars.values() if one.stop_wh is None or one.stop_wh > one.start_wh]

    def _record(self, kind: EventKind, outlet: Outlet, plug_id: str | None) -> None:
        if kind is EventKind.PLUGGED and plug_id is not None:
            self.cars[plug_id] = Served(outlet.number, int(outlet.energy_wh))
        elif kind is EventKind.UNPLUGGED and plug_id is not None:
            self.cars[plug_id].stop_wh = int(outlet.energy_wh)
        super()._record(kind, outlet, plug_id)
