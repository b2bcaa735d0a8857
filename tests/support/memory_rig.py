"""The charger in one process under virtual time: real cores, drivers, frames and services; no sockets."""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

from evcharge_agent.app import Agent, ConfiguredMeter, ConfiguredReader, Ports, serve
from evcharge_agent.core.effects import Note
from evcharge_agent.core.events import GuardConnected, GuardLost, GuardReplied, GuardReported, StatusReceived
from evcharge_agent.demo.central_system import CentralSystem, MemoryConnector
from evcharge_agent.file_parts import FilePorts
from evcharge_agent.ocpp16.keys import Configuration
from evcharge_agent.ocpp16.link import Connector
from evcharge_agent.ocpp16.security.ports import SecurityEvent
from evcharge_agent.ocpp16.security.vault import Vault
from evcharge_agent.runtime.clock import Clock
from evcharge_agent.runtime.inbox import Inbox
from evcharge_agent.settings.loader import check_tables
from evcharge_agent.store.disk import Disk
from evcharge_agent.store.store import Store
from evcharge_hal.boards.board import Board, ConnectorPins
from evcharge_hal.contract.channel import (
    CHANNEL_VERSION,
    AgentMessage,
    GuardEvent,
    GuardMessage,
    Hello,
    Reply,
    Status,
    Welcome,
    read_agent_message,
    read_guard_message,
    write_message,
)
from evcharge_hal.contract.lines import ConnectorLines
from evcharge_hal.guard.runtime import Guard
from evcharge_hal.guard.statefile import MemoryState
from evcharge_hal.instruments.blocks import decode_values, plan_blocks
from evcharge_hal.instruments.registers import load_map
from evcharge_hal.instruments.values import InstrumentError, MeterValues, Swipe
from evcharge_hal.link.native import NativeLink
from evcharge_hal.sim.config import MeterRole, SimConfig, SimMeter
from evcharge_hal.sim.persistence import InMemoryPersistence
from evcharge_hal.sim.world import World
from tests.support.rig import Json, Rig
from tests.support.rig_settings import split_board
from tests.support.virtual_time import START_UTC_S, virtual_loop

MakeConnector = Callable[[Configuration, Vault], Connector]

RESTART_AFTER_S = 0.5
"""As units and simulation do."""
TICK_MIN_S = 0.002
TICK_MAX_S = 0.05


class MemoryRig(Rig):
    """See `running`."""

    poll_s = 0.02

    def __init__(
        self,
        settings: Mapping[str, Any],
        state_dir: Path,
        disk: Disk | None = None,
        make_connector: MakeConnector | None = None,
    ) -> None:
        self._disk = disk
        self._make_connector = make_connector or (lambda _, __: MemoryConnector(self.central, "RIG-1"))
        self._loop = virtual_loop()
        self._settings_data, self._board = split_board(settings)
        self._state_dir = state_dir
        self._persistence = InMemoryPersistence()
        self._guard_memory = MemoryState()
        self._numbers = itertools.count(1)
        self._boot_id = "boot-1"
        self.central = CentralSystem(now_utc_s=self._utc_s)
        self.notes: list[Note] = []
        self.hardware = Hardware(self._board, self._new_world())
        self._agent: Agent | None = None
        self._stop = asyncio.Event()
        self._serving: asyncio.Task[None] | None = None
        self.restarts = {"guard": 0, "agent": 0}
        self.on_agent_over: Callable[[], object] = lambda: None
        """Called when the agent's process has ended, however it did: its sockets are closed then."""
        self._ticker: asyncio.Task[None] | None = None
        self._tasks: list[asyncio.Task[None]] = []

    @classmethod
    @contextlib.asynccontextmanager
    async def running(
        cls,
        settings: Mapping[str, Any],
        state_dir: Path,
        disk: Disk | None = None,
        make_connector: MakeConnector | None = None,
    ) -> AsyncIterator["MemoryRig"]:
        """A started charger, its store on `disk`; on leaving, no part may have counted a bug.

        `make_connector` leads it to another central system than the rig's own.
        """
        rig = cls(settings, state_dir, disk, make_connector)
        rig._ticker = asyncio.create_task(rig.hardware.run())
        rig.hardware.on_guard_over = lambda: rig._tasks.append(asyncio.create_task(rig._bring_back("guard")))
        await rig.start("guard")
        await rig.start("agent")
        try:
            yield rig
            assert rig._ticker is not None
            assert not rig._ticker.done(), rig._ticker.exception()
        finally:
            await asyncio.gather(*rig._tasks)
            await rig.kill("agent")
            rig._ticker.cancel()
            await asyncio.gather(rig._ticker, return_exceptions=True)

    # --- Rig ----------------------------------------------------------------------------------------------

    async def do(self, verb: str, **fields: Any) -> None:
        self.hardware.world.perform(verb, fields)
        self.hardware.lines_moved = True

    async def world(self) -> Json:
        return self.hardware.world.state()

    async def ask(self, command: str, **fields: Any) -> Json | None:
        if self._agent is None:
            return None
        return await self._agent.commands.handlers()[command](fields)

    async def sleep(self, duration_s: float) -> None:
        await asyncio.sleep(duration_s)

    def now_s(self) -> float:
        return self._loop.time()

    @property
    def agent_dir(self) -> Path:
        return self._state_dir

    async def start(self, name: str) -> None:
        if name == "guard":
            self.hardware.start_guard(self._guard_memory, f"guard-{next(self._numbers)}", self._boot_id)
            return
        self._stop = asyncio.Event()
        self._serving = asyncio.create_task(self._serve(self._stop))
        while self._agent is None:
            assert not self._serving.done(), self._serving.exception()
            await asyncio.sleep(0)

    async def _serve(self, stop: asyncio.Event) -> None:
        """What the daemon does, with the ports of this rig."""
        store = Store.open(self._state_dir, boot_id=self._boot_id, disk=self._disk, is_patient=True)
        clock = Clock(monotonic_s=self._loop.time, system_utc_s=self._utc_s)
        vault = Vault.open(self._state_dir, store, clock, self._boot_id, self._disk)
        vault.events.report(SecurityEvent.STARTUP_OF_THE_DEVICE)
        agents: list[Agent] = []

        def started(agent: Agent) -> None:
            agents.append(agent)
            self._agent = agent

        settings = check_tables(self._settings_data, "rig", "sim").settings
        try:
            await serve(
                settings,
                store,
                lambda changed: Agent(changed, self._ports(clock, store, vault), settings),
                started,
                stop,
            )
        finally:
            self.on_agent_over()
            with self._loop.real_work():
                store.close()
        assert all(agent.bugs == 0 for agent in agents)
        if not stop.is_set():
            self._agent = None
            self._tasks.append(asyncio.create_task(self._bring_back("agent")))

    async def _bring_back(self, name: str) -> None:
        """A process has ended by itself."""
        self.restarts[name] += 1
        await asyncio.sleep(RESTART_AFTER_S)
        await self.start(name)

    async def kill(self, name: str) -> None:
        if name == "guard":
            self.hardware.kill_guard()
            return
        serving, self._serving, self._agent = self._serving, None, None
        if serving is not None:
            self._stop.set()
            await serving

    async def freeze(self, name: str) -> None:
        assert name == "guard", "freezing the agent is the process rig's"
        self.hardware.is_frozen = True

    async def thaw(self, name: str) -> None:
        assert name == "guard"
        self.hardware.is_frozen = False

    async def cut_power(self) -> None:
        await self.kill("agent")
        self.hardware.kill_guard()
        self._boot_id = f"boot-{next(self._numbers)}"
        self.hardware.world = self._new_world()
        await self.start("guard")
        await self.start("agent")

    # --- parts --------------------------------------------------------------------------------------------

    def note(self, note: Note) -> None:
        """Journal of the agent."""
        self.notes.append(note)

    def bug(self, doing: str, subject: object, error: BaseException) -> None:
        """A mistake of ours fails the scenario where it happens."""
        raise AssertionError(f"bug while {doing} {subject}") from error

    def _new_world(self) -> World:
        meters = tuple(
            SimMeter(meter["name"], MeterRole.SESSION, meter["connector"]) for meter in self._settings_data["meter"]
        )
        return World(SimConfig(meters=meters), self._board, self._persistence, self._loop.time())

    def _ports(self, clock: Clock, store: Store, vault: Vault) -> Ports:
        return Ports(
            clock=clock,
            store=store,
            journal=self,
            boot_id=self._boot_id,
            make_guard=self.hardware.channel,
            make_connector=lambda configuration: self._make_connector(configuration, vault),
            meters=[
                ConfiguredMeter(meter["connector"], ImageMeter(self.hardware, meter["name"]), 1.0)
                for meter in self._settings_data["meter"]
            ],
            readers=[ConfiguredReader("reader", SwipeReader(self.hardware), (1, 2))],
            random=lambda: 0.5,
            new_id=lambda: f"run-{next(self._numbers)}",
            files=FilePorts(self._state_dir, vault.events, vault.certificates, vault.log),
            vault=vault,
        )

    def _utc_s(self) -> float:
        return START_UTC_S + self._loop.time()


class Hardware:
    """World and guard side by side, moved by one task."""

    def __init__(self, board: Board, world: World) -> None:
        self._board = board
        self._loop = asyncio.get_running_loop()
        self.world = world
        self.guard: Guard | None = None
        self.is_frozen = False
        self.lines_moved = False
        self._listener: ChannelPort | None = None
        self.on_guard_over: Callable[[], object] = lambda: None
        world.on_line_change = self._line_moved

    def start_guard(self, memory: MemoryState, guard_id: str, boot_id: str) -> None:
        """A new guard process."""
        self.is_frozen = False
        self.world.on_line_change = self._line_moved
        link = NativeLink(tuple(section.id for section in self._board.connector))
        lines = {section.id: self._lines(section.pins) for section in self._board.connector}
        self.guard = Guard(self._board, link, lines, memory, guard_id, boot_id, self._loop.time(), self._emit)
        if self._listener is not None:
            self._listener.greet()

    def kill_guard(self) -> None:
        """SIGKILL: nothing is said to anybody, the lines stay as they are (retained GPIO)."""
        self.guard = None
        if self._listener is not None:
            self._listener.lost()

    def channel(self, inbox: Inbox) -> "ChannelPort":
        """A fresh agent's end of the guard channel."""
        self._listener = ChannelPort(self, inbox)
        return self._listener

    async def run(self) -> None:
        """Move bytes, lines and time until cancelled."""
        while True:
            now_s = self._loop.time()
            self.world.advance(now_s)
            upward = self.world.serial_take()
            if self.guard is not None and not self.is_frozen:
                self._move_guard(self.guard, upward, now_s)
            due_s = self.world.next_event_s()
            if self.guard is not None:
                due_s = min(due_s, self.guard.next_deadline_s(now_s))
            await asyncio.sleep(min(max(due_s - now_s, TICK_MIN_S), TICK_MAX_S))

    def _move_guard(self, guard: Guard, upward: bytes, now_s: float) -> None:
        if upward:
            guard.link_bytes(upward, now_s)
        if self.lines_moved:
            self.lines_moved = False
            guard.lines_changed(now_s)
        guard.turn(now_s)
        if guard.is_over:
            guard.shut_down(now_s)
        downward = guard.link.outgoing()
        if downward:
            self.world.serial_receive(downward, now_s)
        if guard.is_over and guard is self.guard:
            self.kill_guard()
            self.on_guard_over()

    def _emit(self, message: GuardMessage) -> None:
        if self._listener is not None:
            self._listener.take(read_guard_message(write_message(message)))

    def _line_moved(self, _pin: int, _is_high: bool) -> None:
        self.lines_moved = True

    def _lines(self, pins: ConnectorPins) -> ConnectorLines:
        assert pins.feedback is not None
        assert pins.rcm is not None
        assert pins.rcm_test is not None
        return ConnectorLines(
            relay=WorldLine(self, pins.relay),
            feedback=WorldLine(self, pins.feedback),
            rcm=WorldLine(self, pins.rcm),
            rcm_test=WorldLine(self, pins.rcm_test),
        )


class WorldLine:
    """One line of the shipped simulated board, where every line is active high."""

    def __init__(self, hardware: Hardware, pin: int) -> None:
        self._hardware = hardware
        self._pin = pin

    def set_closed(self, is_closed: bool) -> None:
        self._hardware.world.set_line(self._pin, is_closed)

    def set_active(self, is_active: bool) -> None:
        self._hardware.world.set_line(self._pin, is_active)

    def is_active(self) -> bool:
        return self._hardware.world.line(self._pin)


class ChannelPort:
    """The guard channel without a socket; messages still pass the codec."""

    def __init__(self, hardware: Hardware, inbox: Inbox) -> None:
        self._hardware = hardware
        self._inbox = inbox
        self._guard_id: str | None = None
        self._last_event = 0
        self._is_up = False

    async def run(self) -> None:
        self.greet()
        await asyncio.Event().wait()

    def greet(self) -> None:
        self._is_up = True
        self._deliver(Hello(CHANNEL_VERSION, "rig", self._guard_id, self._last_event))

    def send(self, message: AgentMessage) -> None:
        self._deliver(message)

    def lost(self) -> None:
        if self._is_up:
            self._is_up = False
            self._inbox.post(GuardLost())

    def take(self, message: GuardMessage) -> None:
        match message:
            case Welcome():
                if message.guard_id != self._guard_id:
                    self._guard_id, self._last_event = message.guard_id, 0
                self._inbox.post(GuardConnected(message))
                for event in message.events:
                    self._report(event)
            case GuardEvent():
                self._report(message)
            case Status():
                self._inbox.post(StatusReceived(message))
            case Reply():
                self._inbox.post(GuardReplied(message))

    def _report(self, event: GuardEvent) -> None:
        if event.number > self._last_event:
            self._last_event = event.number
            self._inbox.post(GuardReported(event))

    def _deliver(self, message: AgentMessage) -> None:
        guard = self._hardware.guard
        if guard is not None and not self._hardware.is_frozen:
            now_s = asyncio.get_running_loop().time()
            guard.agent_message(read_agent_message(write_message(message)), now_s)


class ImageMeter:
    """The meter engine on a register image instead of a TCP connection."""

    def __init__(self, hardware: Hardware, name: str) -> None:
        self._hardware = hardware
        self._name = name
        self._map = load_map("sdm630")
        self._blocks = plan_blocks(self._map)

    async def read(self) -> MeterValues:
        image = self._hardware.world.register_image(self._name)
        if image is None:
            raise InstrumentError(f"{self._name}: no answer")
        return decode_values(
            self._map, {block: image[block.address : block.address + block.count] for block in self._blocks}
        )

    async def close(self) -> None:
        """Nothing is open."""


class SwipeReader:
    """Cards held to the simulated reader."""

    def __init__(self, hardware: Hardware) -> None:
        self._hardware = hardware
        self._waiting: list[Swipe] = []

    async def next_swipe(self) -> Swipe:
        while not self._waiting:
            await asyncio.sleep(0.05)
            self._waiting += [Swipe(one.id_tag, one.connectors) for one in self._hardware.world.take_swipes()]
        return self._waiting.pop(0)

    async def close(self) -> None:
        """Nothing is open."""
