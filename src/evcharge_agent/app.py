"""The composition root: the only place that knows every part of the agent.

`Agent` takes its ports as values, so that the daemon and the tests under virtual time are put together by the
same code; `run` makes the real ports.
"""

import asyncio
import os
import random
import signal
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import structlog

from evcharge_agent.core import local_list, step, view
from evcharge_agent.core.effects import CommitSample, Restart, TellGuard
from evcharge_agent.core.events import Restored, RulesChanged, TimePassed
from evcharge_agent.core.facts import Shelf
from evcharge_agent.core.view import StationView
from evcharge_agent.file_parts import FileParts, FilePorts
from evcharge_agent.local_commands import LocalCommands
from evcharge_agent.ocpp16.keys import Configuration
from evcharge_agent.ocpp16.link import Connector
from evcharge_agent.ocpp16.security.ports import SecurityEvent
from evcharge_agent.ocpp16.security.vault import Vault
from evcharge_agent.ocpp16.websocket import WebSocketConnector
from evcharge_agent.ocpp_parts import OcppParts, OcppPorts
from evcharge_agent.runtime import shelves
from evcharge_agent.runtime.agent_loop import AgentLoop, Core, EffectHandlers
from evcharge_agent.runtime.clock import Clock
from evcharge_agent.runtime.control import ControlServer
from evcharge_agent.runtime.guard_client import GuardClient
from evcharge_agent.runtime.inbox import Inbox
from evcharge_agent.runtime.instrument_parts import make_meters, make_reader
from evcharge_agent.runtime.instruments import CardReaderTask, MeterPoller
from evcharge_agent.runtime.journal import Journal
from evcharge_agent.runtime.logs import StructuredJournal
from evcharge_agent.runtime.recent_log import RecentLog, keep_recent_lines
from evcharge_agent.runtime.snapshots import SnapshotHub
from evcharge_agent.runtime.store_effects import StoreEffects
from evcharge_agent.runtime.supervisor import Supervisor
from evcharge_agent.runtime.system_time import Source, follow_system_time, source_of
from evcharge_agent.runtime.systemd import ServiceReporter
from evcharge_agent.settings.ocpp_keys import KeyRegistry
from evcharge_agent.settings.overlay import apply_usable
from evcharge_agent.settings.rules import rules_of
from evcharge_agent.settings.sections import Settings
from evcharge_agent.store.errors import StoreError
from evcharge_agent.store.store import Store
from evcharge_hal.contract.boot import read_boot_id
from evcharge_hal.contract.channel import AgentMessage
from evcharge_hal.host.notify import Notifier
from evcharge_hal.instruments.values import CardReader, Meter

CORE = Core(step.initial, step.step, step.next_deadline_s, view.view)
GUARD_SOCKET = "guard.sock"
CONTROL_SOCKET = "agent.sock"
READER_SOCKET = "reader.sock"

_log = structlog.get_logger(__name__)


class GuardPort(Protocol):
    """The guard as the agent reaches it."""

    def send(self, message: AgentMessage) -> None:
        """Send now or not at all."""
        ...

    async def run(self) -> None:
        """Listen until cancelled."""
        ...


@dataclass(frozen=True, slots=True)
class ConfiguredMeter:
    """A session meter and how often it is read."""

    connector: int
    meter: Meter
    period_s: float
    ct_ratio: float = 1.0


@dataclass(frozen=True, slots=True)
class ConfiguredReader:
    """A card reader and the connectors it serves."""

    name: str
    reader: CardReader
    connectors: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Ports:
    """Everything that touches the outside."""

    clock: Clock
    store: Store
    journal: Journal
    boot_id: str
    make_guard: Callable[[Inbox], GuardPort]
    make_connector: Callable[[Configuration], Connector]
    meters: Sequence[ConfiguredMeter]
    readers: Sequence[ConfiguredReader]
    random: Callable[[], float]
    """Numbers in [0, 1)."""
    new_id: Callable[[], str]
    """Names that were never used before."""
    files: FilePorts | None = None
    """Where firmware and logs are; None: this charger has neither."""
    system_time: Callable[[], Source] = lambda: Source.NOBODY
    """Who set the system's clock."""
    vault: Vault | None = None
    """Certificates and security events; None: this charger has neither."""


class Agent:
    """One charger's agent. `start` it once, `stop` it once."""

    def __init__(self, settings: Settings, ports: Ports, factory: Settings | None = None) -> None:
        """`settings` are those of the file, `factory`, under what was changed at run time."""
        self._ports = ports
        self._settings = settings
        self._supervisor = Supervisor()
        self.inbox = Inbox()
        self.registry = KeyRegistry(settings, ports.store, self._settings_changed, self._number_of_connectors, factory)
        self._guard = ports.make_guard(self.inbox)
        self._store_effects = StoreEffects(ports.store, self.inbox)
        self._files = self._make_files()
        self._ocpp = self._make_ocpp(settings)
        self.left = asyncio.Event()
        """Set when the agent is to end and be started anew: a reset was ordered."""
        handlers = EffectHandlers(
            tell_guard=self._tell_guard,
            report_status=self._ocpp.report_status,
            ask_authorize=self._ocpp.ask_authorize,
            remember_authorisation=self._store_effects.remember_authorisation,
            commit_start=self._store_effects.commit_start,
            commit_stop=self._store_effects.commit_stop,
            finish_stop=self._store_effects.finish_stop,
            commit_sample=self._commit_sample,
            keep_register=self._store_effects.keep_register,
            forget_authorisations=self._store_effects.forget_authorisations,
            remember_availability=self._store_effects.remember_availability,
            keep=self._store_effects.keep,
            restart=self._restart,
        )
        self._loop = AgentLoop(self.inbox, ports.clock, handlers, ports.journal, CORE)
        self.commands = LocalCommands(self.inbox, self.snapshots, self.registry.live, ports.store, self._ocpp.as_json)

    @property
    def snapshots(self) -> SnapshotHub[StationView]:
        """The station as it is now."""
        return self._loop.snapshots

    @property
    def bugs(self) -> int:
        """Mistakes of ours since the start that the loop survived."""
        return self._loop.bugs

    async def start(self) -> None:
        """Hand the core what the store knows, then let every part run."""
        ports = self._ports
        self.inbox.post(await self._restored())
        start = self._supervisor.start
        start("core", self._loop.run)
        start("store", ports.store.keep_trying)
        self._ocpp.start(start)
        start("guard", self._guard.run)
        start("system time", lambda: follow_system_time(ports.clock, ports.store, ports.system_time))
        for meter in ports.meters:
            poller = MeterPoller(
                meter.connector, meter.meter, self.inbox, period_s=meter.period_s, ct_ratio=meter.ct_ratio
            )
            start(f"meter of connector {meter.connector}", poller.run)
        for reader in ports.readers:
            task = CardReaderTask(reader.name, reader.reader, reader.connectors, self.inbox)
            start(f"reader {reader.name}", task.run)

    def serve(self, socket_path: Path) -> None:
        """Answer local commands at `socket_path`."""
        server = ControlServer(socket_path, self.commands.handlers(), self.commands.streams())
        self._supervisor.start("local commands", server.run)

    def report_to(self, notifier: Notifier) -> None:
        """Tell the service manager, if there is one, how the agent is."""
        if notifier.is_active:
            reporter = ServiceReporter(
                notifier, self.snapshots, lambda: self._loop.turns, lambda: self.inbox.post(TimePassed())
            )
            self._supervisor.start("service manager", reporter.run)

    async def stop(self) -> None:
        """End every part; facts on their way to the disk still reach it. Charging goes on under the guard."""
        await self._supervisor.stop()
        if self._files is not None:
            self._files.close()

    async def _restored(self) -> Restored:
        """What the store knows. One that cannot be read takes nothing either, until `serve` begins anew on it."""
        store = self._ports.store
        nothing = Restored(
            rules=rules_of(self.registry.live.settings),
            open_transactions=(),
            authorisations={},
            boot_id=self._ports.boot_id,
            run_id=self._ports.new_id(),
        )
        try:
            return replace(
                nothing,
                open_transactions=await store.open_transactions(),
                held_stops=await store.held_stops(),
                authorisations=await store.authorisations(),
                inoperative=await store.inoperative(),
                local_list=local_list.from_kept(await shelves.restore(store, Shelf.LOCAL_LIST)),
                charging_profiles=tuple((await shelves.restore(store, Shelf.CHARGING_PROFILES)).values()),
                reservations=tuple((await shelves.restore(store, Shelf.RESERVATIONS)).values()),
            )
        except StoreError as error:
            store.suspend(error.reason)
            return nothing

    def _make_files(self) -> FileParts | None:
        ports = self._ports
        if ports.files is None:
            return None
        return FileParts(ports.files, self.registry.live, ports.store, ports.clock, lambda: self.snapshots.latest)

    def _make_ocpp(self, settings: Settings) -> OcppParts:
        ports = self._ports
        wanted = OcppPorts(ports.clock, ports.store, ports.make_connector, ports.random, ports.vault)
        return OcppParts(settings, self.registry, self.inbox, wanted, self._files, lambda: self.snapshots.latest)

    # --- effects ------------------------------------------------------------------------------------------

    def _tell_guard(self, effect: TellGuard) -> None:
        self._guard.send(effect.message)

    async def _commit_sample(self, effect: CommitSample) -> None:
        if effect.sample.transaction is not None:
            await self._store_effects.commit_sample(effect)
        else:
            self._ocpp.send_sample(effect.sample)

    async def _restart(self, effect: Restart) -> None:
        """All facts are on the disk by now. A hard reset overtakes a soft one that still delivers."""
        name = "hard restart" if effect.is_hard else "soft restart"
        self._supervisor.start(name, lambda: self._leave(effect))

    async def _leave(self, effect: Restart) -> None:
        await self._ocpp.leave(is_hard=effect.is_hard)
        self.left.set()

    # --- settings -----------------------------------------------------------------------------------------

    def _settings_changed(self, settings: Settings) -> None:
        before, self._settings = self._settings, settings
        self.inbox.post(RulesChanged(rules_of(settings)))
        self._ocpp.settings_changed(before, settings)

    def _number_of_connectors(self) -> int | None:
        return len(self._loop.snapshots.latest.connectors) or None


async def with_stored_changes(settings: Settings, store: Store) -> Settings:
    """The file's settings under what was changed at run time; what does not fit any more is left out and logged.

    Where the store cannot be read, those of the file; it is then suspended.
    """
    try:
        overlay = await store.overlay()
    except StoreError as error:
        store.suspend(error.reason)
        return settings
    settings, problems = apply_usable(settings, overlay)
    for problem in problems:
        _log.warning("stored_setting_left_out", problem=problem)
    return settings


async def serve(
    settings: Settings,
    store: Store,
    make: Callable[[Settings], Agent],
    on_started: Callable[[Agent], None],
    stop: asyncio.Event,
) -> None:
    """Run an agent on `store` until `stop`, or until it leaves to be started anew.

    On a store that cannot be read it knows of no transaction and begins none; when the disk is back, another
    one takes over with what it holds.
    """
    while not stop.is_set():
        agent = make(await with_stored_changes(settings, store))
        await agent.start()
        on_started(agent)
        await _either(stop, store.resumed, agent.left)
        store.resumed.clear()
        await agent.stop()
        if agent.left.is_set():
            return


async def _either(*events: asyncio.Event) -> None:
    waiting = [asyncio.create_task(event.wait()) for event in events]
    try:
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in waiting:
            task.cancel()


async def run(settings: Settings, runtime_dir: Path, state_dir: Path) -> None:
    """Run the daemon until SIGTERM or SIGINT, or until a reset ends it; a supervisor then starts it again.

    Raises:
        ConfigurationError, InvalidFieldError: a meter names a register map that is not shipped.
    """
    stop = asyncio.Event()
    notifier = Notifier.from_environment(os.environ)

    def end() -> None:
        notifier.stopping()
        _log.info("agent_stops")
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, end)
    boot_id = read_boot_id()
    store = Store.open(state_dir, boot_id=boot_id, is_patient=True)
    clock = Clock()
    vault = Vault.open(state_dir, store, clock, boot_id)
    vault.events.report(SecurityEvent.STARTUP_OF_THE_DEVICE)

    files = _files(state_dir, vault, keep_recent_lines())

    def make(changed: Settings) -> Agent:
        ports = _real_ports(changed, store, runtime_dir, boot_id, vault, clock)
        return Agent(changed, replace(ports, files=files), settings)

    def started(agent: Agent) -> None:
        agent.serve(runtime_dir / CONTROL_SOCKET)
        agent.report_to(notifier)
        _log.info("agent_ready", identity=settings.identity, runtime_dir=str(runtime_dir))

    try:
        await serve(settings, store, make, started, stop)
        if not stop.is_set():
            end()
    finally:
        store.close()


def _files(state_dir: Path, vault: Vault, recent: RecentLog) -> FilePorts:
    return FilePorts(state_dir, vault.events, vault.certificates, vault.log, recent.lines)


def _real_ports(settings: Settings, store: Store, runtime_dir: Path, boot_id: str, vault: Vault, clock: Clock) -> Ports:
    return Ports(
        clock=clock,
        store=store,
        journal=StructuredJournal(),
        boot_id=boot_id,
        make_guard=lambda inbox: GuardClient(runtime_dir / GUARD_SOCKET, inbox),
        make_connector=lambda configuration: WebSocketConnector(configuration, settings.identity, vault),
        meters=[
            ConfiguredMeter(section.connector, meter, section.period_s, section.ct_ratio)
            for section, meter in zip(settings.meter, make_meters(settings.meter), strict=True)
        ],
        readers=[
            ConfiguredReader(reader.name, make_reader(reader, runtime_dir / READER_SOCKET), reader.connectors)
            for reader in settings.reader
        ],
        random=random.SystemRandom().random,
        new_id=lambda: str(uuid.uuid4()),
        system_time=source_of,
        vault=vault,
    )
