"""What the OCPP side reads of the settings, and how configuration keys reach them (DESIGN D5).

The sections in `evcharge_agent.settings` satisfy the protocols; mypy proves it in `RegistryConfiguration`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from evcharge_agent.settings.ocpp_keys import ChangeStatus, KeyRegistry, KeyValue
from evcharge_agent.settings.ocpp_section import CipherPolicy, SecurityEventNames
from evcharge_agent.settings.sections import Settings


class Secret(Protocol):
    """A value that does not show itself."""

    def get_secret_value(self) -> str:
        """Return it in clear."""
        ...


class ConnectionKeys(Protocol):
    """Configuration keys the connection obeys (OCPP 1.6, 9.1)."""

    @property
    def heartbeat_interval_s(self) -> int:
        """HeartbeatInterval."""
        ...

    @property
    def supported_feature_profiles(self) -> str:
        """SupportedFeatureProfiles; read at the start."""
        ...

    @property
    def charging_rate_units(self) -> Sequence[str]:
        """ChargingScheduleAllowedChargingRateUnit."""
        ...

    @property
    def web_socket_ping_interval_s(self) -> int:
        """WebSocketPingInterval; 0 is off."""
        ...

    @property
    def transaction_message_attempts(self) -> int:
        """TransactionMessageAttempts: sends of one message while connected."""
        ...

    @property
    def transaction_message_retry_interval_s(self) -> int:
        """TransactionMessageRetryInterval: times the sends so far is the wait."""
        ...

    @property
    def stop_transaction_max_meter_values(self) -> int:
        """StopTransactionMaxMeterValues: samples one StopTransaction repeats."""
        ...


class SecurityKeys(Protocol):
    """Configuration keys of the security white paper."""

    @property
    def additional_root_certificate_check(self) -> bool:
        """AdditionalRootCertificateCheck."""
        ...

    @property
    def certificate_signed_max_chain_size(self) -> int:
        """CertificateSignedMaxChainSize, characters."""
        ...

    @property
    def certificate_store_max_length(self) -> int:
        """CertificateStoreMaxLength."""
        ...

    @property
    def cpo_name(self) -> str:
        """CpoName; empty: not set."""
        ...


class LinkKeys(ConnectionKeys, SecurityKeys, Protocol):
    """All keys the connection obeys."""


class ConnectionSettings(Protocol):
    """Where the central system is and who we are to it."""

    @property
    def url(self) -> str | None:
        """`ws://` or `wss://`; the identity is appended."""
        ...

    @property
    def security_profile(self) -> int:
        """0: none. 1: HTTP Basic. 2: the same over TLS. 3: TLS with a certificate (OCPP security white paper, 2)."""
        ...

    @property
    def authorization_key(self) -> Secret | None:
        """Password for HTTP Basic."""
        ...

    @property
    def ca_file(self) -> str | None:
        """Roots for `wss://`; without it the system's."""
        ...

    @property
    def client_certificate_file(self) -> str | None:
        """Our certificate and its chain."""
        ...

    @property
    def client_key_file(self) -> str | None:
        """Its key."""
        ...

    @property
    def ciphers(self) -> CipherPolicy:
        """TLS 1.2 suites that are offered."""
        ...

    @property
    def proxy(self) -> str | None:
        """HTTP proxy on the way to the central system."""
        ...

    @property
    def security_events(self) -> SecurityEventNames:
        """How security events are spelled."""
        ...

    @property
    def verify_host(self) -> bool:
        """The server's certificate must name its host."""
        ...

    @property
    def default_limit_a(self) -> float:
        """What GetCompositeSchedule tells where no profile applies."""
        ...

    @property
    def call_timeout_s(self) -> int:
        """How long to wait for an answer."""
        ...

    @property
    def reconnect_max_s(self) -> int:
        """Longest wait before connecting again."""
        ...

    @property
    def keys(self) -> LinkKeys:
        """The keys the connection obeys."""
        ...


class Configuration(Protocol):
    """The settings as they are at this moment, and the configuration keys."""

    @property
    def connection(self) -> ConnectionSettings:
        """Current values; read anew for every use, so that changes act live."""
        ...

    def report(self, names: Sequence[str] = ()) -> tuple[Sequence[KeyValue], Sequence[str]]:
        """Values of the named keys (all without names) and the names that are unknown, in request order."""
        ...

    async def change(self, name: str, text: str) -> ChangeStatus:
        """Change a key; a refused value leaves the old one."""
        ...


@dataclass(frozen=True, slots=True)
class Station:
    """Who this charger is (OCPP 1.6, 6.3)."""

    identity: str
    """Charge point identity: last part of the url and user name of HTTP Basic."""
    vendor: str
    model: str
    serial: str
    firmware_version: str


def station_of(settings: Settings) -> Station:
    """Read the charger's identity from the settings."""
    return Station(
        identity=settings.identity,
        vendor=settings.station.vendor,
        model=settings.station.model,
        serial=settings.station.serial,
        firmware_version=settings.firmware_version,
    )


class RegistryConfiguration:
    """`Configuration` over the settings' key registry."""

    def __init__(self, registry: KeyRegistry) -> None:
        self._registry = registry

    @property
    def connection(self) -> ConnectionSettings:
        """The `[ocpp]` section as it is now."""
        return self._registry.live.settings.ocpp

    def report(self, names: Sequence[str] = ()) -> tuple[Sequence[KeyValue], Sequence[str]]:
        """Ask the registry."""
        return self._registry.report(names)

    async def change(self, name: str, text: str) -> ChangeStatus:
        """Ask the registry."""
        return await self._registry.change(name, text)
