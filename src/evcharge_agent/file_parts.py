"""Firmware, diagnostics and logs of one agent, put together: the part of the composition root that is about files."""

import functools
import ssl
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from pathlib import Path

import structlog

from evcharge_agent.core.view import StationView
from evcharge_agent.ocpp16.diagnostics import Pieces, Window
from evcharge_agent.ocpp16.firmware_profile import (
    FileSources,
    FirmwareManagement,
    FirmwareProfile,
    SecureFirmwareProfile,
)
from evcharge_agent.ocpp16.firmware_service import FirmwareTools
from evcharge_agent.ocpp16.keys import Station
from evcharge_agent.ocpp16.profile import Context, MakeProfile, Profile
from evcharge_agent.ocpp16.security import exhaustion
from evcharge_agent.ocpp16.security.ports import EventSink, ManufacturerRoots, SecurityEvent, SecurityLogReader
from evcharge_agent.ocpp16.transfer.network import Network
from evcharge_agent.ocpp16.transfer.spool import Spool
from evcharge_agent.ocpp16.transfer.transfer import Transfers, threads
from evcharge_agent.ocpp16.transfer.urls import HostPolicy, Scheme
from evcharge_agent.ocpp16.updater import NoUpdater, Updater
from evcharge_agent.runtime.clock import Clock
from evcharge_agent.runtime.diagnostics import Diagnostics
from evcharge_agent.settings.file_sections import Installer
from evcharge_agent.settings.live import LiveSettings
from evcharge_agent.store.disk import Disk
from evcharge_agent.store.store import Store

Lines = Sequence[tuple[float, str]]
_LOG = structlog.get_logger(__name__)


def _no_lines() -> Lines:
    return ()


@dataclass(frozen=True, slots=True)
class FilePorts:
    """Where files are, and who else knows something of them."""

    state_dir: Path
    events: EventSink | None = None
    roots: ManufacturerRoots | None = None
    security_log: SecurityLogReader | None = None
    recent_log: Callable[[], Lines] = _no_lines
    make_executor: Callable[[], Executor] = threads
    disk: Disk | None = None


class FileParts:
    """Everything about files. `close` it once."""

    def __init__(
        self, ports: FilePorts, live: LiveSettings, store: Store, clock: Clock, view: Callable[[], StationView]
    ) -> None:
        settings = live.settings
        self._ports = ports
        self._settings = settings
        self._store = store
        self._executor = ports.make_executor()
        self._updater: Updater = NoUpdater()
        if settings.firmware.installer is Installer.SIMULATED:
            from evcharge_agent.updates.simulated import SimulatedUpdater  # noqa: PLC0415 - start-up of those without

            self._updater = SimulatedUpdater(ports.state_dir, ports.disk)
        self._diagnostics = Diagnostics(live, store, clock, view, ports.recent_log, self._versions)
        self._management: FirmwareManagement | None = None

    def station(self, station: Station) -> Station:
        """Who this charger is, with the firmware an update brought."""
        return replace(station, firmware_version=self._updater.version or station.firmware_version)

    def make_profiles(self) -> Sequence[MakeProfile]:
        """The two plugs; both work with the same update."""
        return (self._make_plain, self._make_secure)

    def as_json(self) -> Mapping[str, object]:
        """Updates and transfers for people to see; names are only added."""
        return {} if self._management is None else {"firmware": self._management.service.as_json()}

    async def watch_room(self) -> None:
        """Report when disk or memory are getting full, for ever."""
        if self._ports.events is not None:
            await exhaustion.watch(functools.partial(exhaustion.look, self._ports.state_dir), self._ports.events)

    def close(self) -> None:
        """Let the threads end; transfers have been cancelled by then."""
        self._executor.shutdown(wait=False, cancel_futures=True)

    def _make_plain(self, context: Context) -> Profile:
        return FirmwareProfile(self._shared(context))

    def _make_secure(self, context: Context) -> Profile:
        return SecureFirmwareProfile(self._shared(context))

    def _shared(self, context: Context) -> FirmwareManagement:
        if self._management is None:
            self._management = FirmwareManagement(context, self._sources())
        return self._management

    def _sources(self) -> FileSources:
        settings, ports = self._settings, self._ports
        network = Network(
            HostPolicy(settings.files.allow_hosts),
            frozenset(Scheme(name) for name in settings.files.protocols),
            functools.partial(_make_tls, settings.ocpp.ca_file),
        )
        return FileSources(
            tools=FirmwareTools(
                shelves=self._store,
                transfers=Transfers(Spool(ports.state_dir), network, self._executor),
                updater=self._updater,
                announce=self._announce,
            ),
            has_installer=settings.firmware.installer is not None,
            is_unsigned_allowed=settings.firmware.allow_unsigned,
            roots=self._roots,
            revoked=lambda: (
                Path(settings.firmware.revoked_file).read_text("ascii", "replace")
                if settings.firmware.revoked_file is not None
                else ""
            ),
            diagnostics=self._pieces,
            security_log=self._security_log,
        )

    def _roots(self) -> Sequence[str]:
        installed = self._ports.roots.manufacturer_roots() if self._ports.roots is not None else ()
        shipped = _text_of(self._settings.firmware.roots_file)
        return (*installed, shipped) if shipped else installed

    async def _pieces(self, window: Window) -> Pieces:
        files, secrets, id_tags = await self._diagnostics.files(window.holds)
        return Pieces(files, secrets, id_tags)

    def _security_log(self, window: Window) -> bytes:
        log = self._ports.security_log
        return b"" if log is None else log.read(window.oldest_utc_s, window.latest_utc_s)

    def _announce(self, event_type: str, info: str) -> None:
        _LOG.info("security_event", event_type=event_type, info=info)
        if self._ports.events is not None:
            self._ports.events.report(SecurityEvent(event_type), info[:255])

    def _versions(self) -> Mapping[str, object]:
        return {"firmware": self._updater.version, "station": self._settings.firmware_version}


def _make_tls(ca_file: str | None) -> ssl.SSLContext:
    """The system's roots, and those the central system is checked against; raises OSError."""
    context = ssl.create_default_context()
    if ca_file is not None:
        context.load_verify_locations(cafile=ca_file)
    return context


def _text_of(file: str | None) -> str:
    """A file of certificates; one that cannot be read holds none, and it is said."""
    if file is None:
        return ""
    try:
        return Path(file).read_text("ascii", "replace")
    except OSError as error:
        _LOG.error("certificate_file_unreadable", file=file, reason=error.strerror)
        return ""
