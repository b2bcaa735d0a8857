"""The charge point's side of OCPP 1.6-J: puts link, registration, reports and outbox together.

The core's effects come in by methods, its events go out by the inbox. Nothing here decides about charging.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from evcharge_agent.core.effects import AskAuthorize, ReportStatus
from evcharge_agent.core.events import AuthorizeAnswered, CentralSystemChanged
from evcharge_agent.core.facts import IdTagInfo, MeterSample
from evcharge_agent.ocpp16.boot import Registration
from evcharge_agent.ocpp16.charge_point import ChargePoint
from evcharge_agent.ocpp16.core_profile import CoreProfile
from evcharge_agent.ocpp16.errors import CallFailedError
from evcharge_agent.ocpp16.keys import Configuration, Station
from evcharge_agent.ocpp16.link import Connection, Connector, Link
from evcharge_agent.ocpp16.outbox import Outbox, OutboxSender
from evcharge_agent.ocpp16.profile import Context, MakeProfile, handlers_of, supported, triggers_of
from evcharge_agent.ocpp16.registration import Registrar, StampCorrector, TimeKeeper
from evcharge_agent.ocpp16.reports import Reporter
from evcharge_agent.ocpp16.security.extended_trigger import ExtendedTriggerProfile
from evcharge_agent.ocpp16.translate import authorize, id_tag_info
from evcharge_agent.ocpp16.trigger_profile import TriggerProfile
from evcharge_agent.ocpp16.waiting import Signal
from evcharge_agent.runtime.clock import Clock
from evcharge_agent.runtime.inbox import Inbox
from evcharge_agent.settings.ocpp_section import BASIC_AUTH_PROFILES


class OcppStore(Outbox, StampCorrector, Protocol):
    """What this side needs of the store."""


@dataclass(frozen=True, slots=True)
class LinkView:
    """The connection as a person sees it."""

    url: str | None
    identity: str
    is_connected: bool
    registration: Registration
    last_error: str | None
    """Why there is no connection, in words."""
    is_time_known: bool

    def as_json(self) -> dict[str, object]:
        """Plain data; names are only added."""
        return {
            "url": self.url,
            "identity": self.identity,
            "is_connected": self.is_connected,
            "registration": self.registration.value,
            "last_error": self.last_error,
        }


class OcppService:
    """Speaks with the central system, for ever.

    `random` gives numbers in [0, 1); `make_profiles` are the feature profiles beside Core and RemoteTrigger.
    """

    def __init__(
        self,
        connector: Connector,
        store: OcppStore,
        inbox: Inbox,
        clock: Clock,
        configuration: Configuration,
        station: Station,
        random: Callable[[], float],
        make_profiles: Sequence[MakeProfile] = (),
    ) -> None:
        self._inbox = inbox
        self._clock = clock
        self._configuration = configuration
        self._station = station
        self.on_invalid: Callable[[str], None] | None = None
        """Hears what is wrong with frames that are none."""
        self._link = Link(
            connector,
            self._open_session,
            ping_interval_s=lambda: configuration.connection.keys.web_socket_ping_interval_s,
            reconnect_max_s=lambda: configuration.connection.reconnect_max_s,
            random=random,
            on_change=self._line_moved,
        )
        self._registrar = Registrar(
            self._link, clock, configuration, station, TimeKeeper(clock, store), on_change=self._line_moved
        )
        self._sender = OutboxSender(store, self, configuration, inbox.post)
        self._reporter = Reporter(self, clock, station, self._sender.settle)
        context = Context(
            inbox, configuration, station, clock, self, lambda: self._registrar.is_accepted, self._link.reconnect
        )
        features = configuration.connection.keys.supported_feature_profiles
        own = supported((make(context) for make in (CoreProfile, *make_profiles)), features)
        triggers = TriggerProfile(self, inbox.post, triggers_of(own))
        extended = ExtendedTriggerProfile(self, inbox.post, triggers_of(own))
        self._profiles = supported((*own, triggers, extended), features)
        self._handlers = handlers_of(self._profiles)
        self._credentials = self._current_credentials()
        self._line_changed = Signal()

    async def run(self) -> None:
        """Run until cancelled; no central system, however hostile, ends it."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._link.run())
            tasks.create_task(self._registrar.run())
            tasks.create_task(self._reporter.run())
            tasks.create_task(self._sender.run())
            for profile in self._profiles:
                tasks.create_task(profile.run())

    def report_status(self, effect: ReportStatus) -> None:
        """Tell the central system a connector's state, now or when it can hear it."""
        self._reporter.report(effect)

    async def ask_authorize(self, effect: AskAuthorize) -> None:
        """Ask about an id tag, at once or not at all: somebody stands at the charger."""
        self._inbox.post(AuthorizeAnswered(effect.request, await self._verdict_on(effect)))

    def send_sample(self, sample: MeterSample) -> None:
        """Send a sample outside any transaction if there is a connection; those of one are the store's."""
        self._reporter.add_sample(sample)

    async def settle(self, within_s: float) -> None:
        """Deliver what can be delivered now, at most for `within_s`; returns at once without a connection."""
        if self._is_ready():
            await self._sender.settle(within_s)

    def settings_changed(self) -> None:
        """Put changed settings to work: intervals at once, new credentials by a new connection."""
        self._link.settings_changed()
        self._registrar.settings_changed()
        credentials = self._current_credentials()
        if credentials != self._credentials:
            self._credentials = credentials
            self._link.reconnect("the credentials were changed")

    @property
    def view(self) -> LinkView:
        """The connection as it is now."""
        return LinkView(
            url=self._configuration.connection.url,
            identity=self._station.identity,
            is_connected=self._link.is_connected,
            registration=self._registrar.boot.registration,
            last_error=self._link.last_error,
            is_time_known=self._clock.is_trusted,
        )

    # --- the line, as the parts see it --------------------------------------------------------------------

    async def ready(self) -> None:
        """Return once calls of our own may be made: connected, and the boot accepted."""
        await self._line_changed.wait_until(self._is_ready)

    async def call(self, payload: object, message_id: str | None = None) -> Any:
        """Make one call."""
        return await self._link.call(payload, message_id)

    # --- what can be asked for ----------------------------------------------------------------------------

    @property
    def connectors(self) -> tuple[int, ...]:
        """Known connectors, 0 among them."""
        return self._reporter.connectors

    @property
    def is_accepted(self) -> bool:
        """The central system has accepted the boot."""
        return self._registrar.is_accepted

    async def send_boot(self) -> None:
        """Send BootNotification now."""
        await self._registrar.register()

    async def send_heartbeat(self) -> None:
        """Send Heartbeat now."""
        await self._registrar.beat()

    async def send_status(self, connector: int) -> None:
        """Send a connector's state now."""
        await self._reporter.tell(connector)

    def _is_ready(self) -> bool:
        return self._link.is_connected and self._registrar.is_accepted

    # --- inside -------------------------------------------------------------------------------------------

    async def _verdict_on(self, question: AskAuthorize) -> IdTagInfo | None:
        if not self._is_ready():
            return None
        try:
            answer = await self._link.call(authorize(question.id_tag))
        except CallFailedError:
            return None
        return id_tag_info(answer.id_tag_info)

    def _line_moved(self) -> None:
        """Tell the core and the parts that the line came or went."""
        self._inbox.post(CentralSystemChanged(self._link.is_connected, self._registrar.is_accepted))
        self._reporter.line_changed(is_online=self._is_ready())
        self._line_changed.notify()

    def _open_session(self, connection: Connection) -> ChargePoint:
        return ChargePoint(
            self._station.identity,
            connection,
            self._handlers,
            call_timeout_s=lambda: self._configuration.connection.call_timeout_s,
            may_answer=self._registrar.may_answer,
            on_late_result=self._sender.take_late_result,
            on_invalid=self._note_invalid,
        )

    def _note_invalid(self, reason: str) -> None:
        if self.on_invalid is not None:
            self.on_invalid(reason)

    def _current_credentials(self) -> tuple[str | None, int, str | None]:
        """What a connection was made with; the key counts only where it is used."""
        connection = self._configuration.connection
        key = connection.authorization_key if connection.security_profile in BASIC_AUTH_PROFILES else None
        return connection.url, connection.security_profile, None if key is None else key.get_secret_value()
