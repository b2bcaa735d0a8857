"""The OCPP side of one agent, put together: the part of the composition root that is about the central system."""

from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from evcharge_agent.core.effects import AskAuthorize, ReportStatus
from evcharge_agent.core.events import AuthorizeAnswered
from evcharge_agent.core.facts import MeterSample
from evcharge_agent.core.view import StationView
from evcharge_agent.file_parts import FileParts
from evcharge_agent.ocpp16.keys import Configuration, RegistryConfiguration, station_of
from evcharge_agent.ocpp16.link import Connector
from evcharge_agent.ocpp16.local_auth_list_profile import LocalAuthListProfile
from evcharge_agent.ocpp16.profile import MakeProfile
from evcharge_agent.ocpp16.reservation_profile import ReservationProfile
from evcharge_agent.ocpp16.security.configuration import SecureConfiguration
from evcharge_agent.ocpp16.security.profile import SecurityProfile
from evcharge_agent.ocpp16.security.vault import Vault
from evcharge_agent.ocpp16.service import OcppService
from evcharge_agent.ocpp16.smart_charging_profile import SmartChargingProfile
from evcharge_agent.runtime.clock import Clock
from evcharge_agent.runtime.inbox import Inbox
from evcharge_agent.settings.ocpp_keys import KeyRegistry
from evcharge_agent.settings.sections import Settings
from evcharge_agent.store.store import Store

DELIVER_WITHIN_S = 10.0
"""How long a soft reset lets what waits for the central system go out."""
Start = Callable[[str, Callable[[], Coroutine[Any, Any, None]]], None]
"""Starts a named task and keeps it alive."""


@dataclass(frozen=True, slots=True)
class OcppPorts:
    """What this side touches of the outside."""

    clock: Clock
    store: Store
    make_connector: Callable[[Configuration], Connector]
    random: Callable[[], float]
    """Numbers in [0, 1)."""
    vault: Vault | None
    """Certificates and security events; None: this charger has neither."""


class OcppParts:
    """Speaks with the central system, if one is configured; without one it answers for it."""

    def __init__(
        self,
        settings: Settings,
        registry: KeyRegistry,
        inbox: Inbox,
        ports: OcppPorts,
        files: FileParts | None,
        latest: Callable[[], StationView],
    ) -> None:
        """`latest` is the station as last published."""
        self._registry = registry
        self._inbox = inbox
        self._ports = ports
        self._files = files
        self._latest = latest
        self._service = self._make_service(settings) if settings.ocpp.is_active else None

    def start(self, start: Start) -> None:
        """Let the tasks of this side run; security events are written down also without a central system."""
        if self._ports.vault is not None:
            start("security events", self._ports.vault.events.run)
        if self._files is not None:
            start("room on the disk", self._files.watch_room)
        if self._service is not None:
            start("central system", self._service.run)

    def as_json(self) -> Mapping[str, object] | None:
        """The connection for people to see; None while there is no central system."""
        files = {} if self._files is None else self._files.as_json()
        return None if self._service is None else {**self._service.view.as_json(), **files}

    def report_status(self, effect: ReportStatus) -> None:
        """Tell a connector's state."""
        if self._service is not None:
            self._service.report_status(effect)

    async def ask_authorize(self, effect: AskAuthorize) -> None:
        """Ask about an id tag; nobody's answer is none."""
        if self._service is None:
            self._inbox.post(AuthorizeAnswered(effect.request, None))
        else:
            await self._service.ask_authorize(effect)

    def send_sample(self, sample: MeterSample) -> None:
        """Send a sample outside any transaction."""
        if self._service is not None:
            self._service.send_sample(sample)

    async def leave(self, *, is_hard: bool) -> None:
        """Finish what a reset lets finish; all facts are on the disk by now."""
        if self._ports.vault is not None:
            await self._ports.vault.note_reset(is_hard=is_hard)
        if self._service is not None and not is_hard:
            await self._service.settle(DELIVER_WITHIN_S)

    def settings_changed(self, before: Settings, after: Settings) -> None:
        """Put changed settings to work, and report what was changed of the security parameters."""
        if self._ports.vault is not None:
            self._ports.vault.settings_changed(before.ocpp, after.ocpp)
        if self._service is not None:
            self._service.settings_changed()

    # --- put together -------------------------------------------------------------------------------------

    def _make_service(self, settings: Settings) -> OcppService:
        plain, ports = RegistryConfiguration(self._registry), self._ports
        service = OcppService(
            ports.make_connector(plain),
            ports.store,
            self._inbox,
            ports.clock,
            SecureConfiguration(self._registry, ports.vault or Vault.without_memory(ports.clock)),
            station_of(settings) if self._files is None else self._files.station(station_of(settings)),
            ports.random,
            self._profiles(),
        )
        service.on_invalid = None if ports.vault is None else ports.vault.note_invalid
        return service

    def _profiles(self) -> Sequence[MakeProfile]:
        """The feature profiles beside Core and RemoteTrigger."""
        return (
            lambda context: LocalAuthListProfile(context, self._latest),
            lambda context: SmartChargingProfile(context, self._latest),
            *self._security_profile(),
            *(() if self._files is None else self._files.make_profiles()),
            ReservationProfile,
        )

    def _security_profile(self) -> Sequence[MakeProfile]:
        vault = self._ports.vault
        return () if vault is None else (lambda context: SecurityProfile(context, vault),)
