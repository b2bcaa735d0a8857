"""The OCPP side with everything real but the core: a scripted one that records its events."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

from evcharge_agent.core.effects import Answer, ConnectorState, ReportStatus
from evcharge_agent.core.events import (
    AvailabilityAsked,
    CacheClearRequested,
    Event,
    RemoteStartRequested,
    RemoteStopRequested,
    UnlockAsked,
)
from evcharge_agent.core.facts import (
    IdTag,
    Measurand,
    MeterReading,
    MeterSample,
    ReadingContext,
    StopReason,
    TransactionKey,
    TransactionStart,
    TransactionStop,
)
from evcharge_agent.demo.central_script import Script
from evcharge_agent.demo.central_system import CentralSystem, MemoryConnector
from evcharge_agent.demo.frames import Direction
from evcharge_agent.ocpp16.boot import Registration
from evcharge_agent.ocpp16.keys import RegistryConfiguration, station_of
from evcharge_agent.ocpp16.link import Connector
from evcharge_agent.ocpp16.service import OcppService
from evcharge_agent.runtime.clock import Clock
from evcharge_agent.runtime.inbox import Inbox
from evcharge_agent.settings.ocpp_keys import KeyRegistry
from evcharge_agent.settings.sections import Settings
from evcharge_agent.store.executor import InlineExecutor
from evcharge_agent.store.store import Store
from evcharge_hal.contract.units import WattHours
from tests.support.schemas import FrameChecker
from tests.support.virtual_time import START_UTC_S, run_virtual, virtual_clock, virtual_loop

E = TypeVar("E", bound=Event)
T = TypeVar("T")
QUESTIONS = (RemoteStartRequested, RemoteStopRequested, AvailabilityAsked, CacheClearRequested, UnlockAsked)
"""Events somebody waits for; the scripted core answers them all alike."""
CENTRAL_IS_AHEAD_S = 3600.0
"""The central system's clock against the charger's first guess."""


class Charger:
    """One charger: facts go straight to its store, statuses straight to its service."""

    def __init__(
        self,
        directory: Path,
        clock: Clock,
        connector: Callable[[RegistryConfiguration, str], Connector],
        ocpp: dict[str, Any] | None = None,
        random: Callable[[], float] = lambda: 0.0,
    ) -> None:
        table: dict[str, Any] = {"url": "ws://central.example", "identity": "charger"} | (ocpp or {})
        settings = Settings.model_validate({"ocpp": table})
        self.clock = clock
        self.inbox = Inbox()
        self.store = Store.open(directory, boot_id="boot", executor=InlineExecutor())
        self.registry = KeyRegistry(settings, self.store, lambda _: self.service.settings_changed(), lambda: 1)
        configuration = RegistryConfiguration(self.registry)
        station = station_of(settings)
        self.service = OcppService(
            connector(configuration, station.identity),
            self.store,
            self.inbox,
            clock,
            configuration,
            station,
            random,
        )
        self.events: list[Event] = []
        self.accepts_remote = True
        self.answers_remote = True
        self.reason = ""

    def all(self, kind: type[E]) -> list[E]:
        """Events of one kind, in order."""
        return [event for event in self.events if isinstance(event, kind)]

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["Charger"]:
        """Run the service and the scripted core."""
        tasks = [asyncio.create_task(self.service.run()), asyncio.create_task(self._take_events())]
        try:
            yield self
            for task in tasks:
                if task.done():
                    task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self.store.close()

    async def _take_events(self) -> None:
        while True:
            event = await self.inbox.take()
            self.events.append(event)
            if isinstance(event, QUESTIONS) and self.answers_remote:
                self.inbox.settle(Answer(event.request, self.accepts_remote, self.reason))

    def report(self, connector: int, state: ConnectorState = ConnectorState.AVAILABLE, error: str = "NoError") -> None:
        """Report a state as the core does."""
        self.service.report_status(ReportStatus(connector, state, error, "", "", self.clock.now()))

    async def start(
        self, name: str, *, connector: int = 1, id_tag: str = "CARD1", meter_wh: int = 100
    ) -> TransactionKey:
        """Commit a start."""
        key = TransactionKey(name)
        await self.store.commit_start(
            TransactionStart(key, connector, IdTag(id_tag), WattHours(meter_wh), self.clock.now(), "plug-1")
        )
        return key

    async def sample(self, key: TransactionKey, meter_wh: int, *, connector: int = 1) -> None:
        """Commit a periodic sample."""
        reading = MeterReading(energy_wh=WattHours(meter_wh), power_w=1e-7)
        await self.store.commit_sample(
            MeterSample(
                connector,
                key,
                self.clock.now(),
                ReadingContext.PERIODIC,
                reading,
                (Measurand.ENERGY_IMPORT, Measurand.POWER_IMPORT),
            )
        )

    async def stop(
        self,
        key: TransactionKey,
        *,
        meter_wh: int = 1100,
        reason: StopReason = StopReason.LOCAL,
        id_tag: str | None = None,
    ) -> None:
        """Commit a stop."""
        tag = None if id_tag is None else IdTag(id_tag)
        await self.store.commit_stop(TransactionStop(key, WattHours(meter_wh), self.clock.now(), reason, tag))

    async def drained(self, within_s: float = 3600.0) -> None:
        """Wait until nothing is queued."""
        async with asyncio.timeout(within_s):
            while self.store.outbox_size():  # noqa: ASYNC110 - the store has no event for it
                await asyncio.sleep(0.1)


class Site:
    """A charger and its central system in one process under virtual time."""

    def __init__(self, directory: Path, script: Script | None = None, ocpp: dict[str, Any] | None = None) -> None:
        loop = virtual_loop()
        clock = virtual_clock()
        began_s = loop.time()
        self.ahead_s = CENTRAL_IS_AHEAD_S
        self.is_central_judged = True
        """False in tests where the central system sends what it must not."""
        self.central = CentralSystem(script, now_utc_s=lambda: loop.time() - began_s + START_UTC_S + self.ahead_s)
        self.lines: list[MemoryConnector] = []
        self.charger = Charger(directory, clock, self._connector, ocpp)

    def _connector(self, _: RegistryConfiguration, identity: str) -> Connector:
        self.lines.append(MemoryConnector(self.central, identity))
        return self.lines[-1]

    @contextlib.asynccontextmanager
    async def running(self, *, is_accepted: bool = True) -> AsyncIterator["Site"]:
        """Run both, by default until the boot is accepted; every frame is checked at the end."""
        async with self.charger.running():
            if is_accepted:
                await self.accepted()
            yield self
        checker = FrameChecker()
        for frame in self.central.frames.all():
            is_judged = self.is_central_judged or frame.direction is Direction.FROM_CHARGER
            checker.check(frame.text, is_judged=is_judged)

    async def accepted(self, within_s: float = 3600.0) -> None:
        """Wait until the charger knows that its boot was accepted and is connected."""
        async with asyncio.timeout(within_s):
            while not self.is_online:  # noqa: ASYNC110 - from outside there is only the view
                await asyncio.sleep(0.1)

    @property
    def is_online(self) -> bool:
        """Connected and accepted, as the charger sees it."""
        view = self.charger.service.view
        return view.is_connected and view.registration is Registration.ACCEPTED


def on_site(
    directory: Path,
    test: Callable[[Site, Charger, CentralSystem], Coroutine[Any, Any, T]],
    script: Script | None = None,
    ocpp: dict[str, Any] | None = None,
    *,
    is_accepted: bool = True,
) -> T:
    """Run `test` on a site under virtual time, by default from the moment the boot is accepted."""

    async def main() -> T:
        site = Site(directory, script, ocpp)
        async with site.running(is_accepted=is_accepted):
            return await test(site, site.charger, site.central)

    return run_virtual(main())
