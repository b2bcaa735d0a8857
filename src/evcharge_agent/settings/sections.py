"""The agent's settings, each declared once (DESIGN 4a, D5).

What stands here has behaviour behind it in this version. Names of the design that have none yet are in
`settings.planned`; the board's own file is declared in `evcharge_hal.boards.board`.
"""

import enum
import importlib.metadata
import re
import zoneinfo
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, SecretStr, model_validator

from evcharge_agent.core.facts import IdTag, key_of
from evcharge_agent.core.rules import StandAlone
from evcharge_agent.settings.checks import HOST_ALLOWED, is_host, misplaced
from evcharge_agent.settings.declare import Applies, KeyAccess, OcppKey, Role, Section, setting
from evcharge_agent.settings.file_sections import Files, Firmware
from evcharge_agent.settings.instrument_sections import Meter, MeterRole, Reader
from evcharge_agent.settings.keys import OcppKeys
from evcharge_hal.contract.units import MAX_CURRENT_A, MIN_CURRENT_A

MIN_A = float(MIN_CURRENT_A)
MAX_A = float(MAX_CURRENT_A)
BASIC_AUTH_PROFILES = (1, 2)
"""Security profiles with a user name and password (OCPP security white paper, 2)."""
_PAUSE_OR_CURRENT = f"0, or a number from {MIN_A:g} to {MAX_A:g} A"
_URL = re.compile(r"wss?://[^\s/?#@]+(/[^\s?#]*)?", re.ASCII)
_URL_ALLOWED = "ws://host[:port][/path] or wss://host[:port][/path], without user name and query"
_PROXY = re.compile(r"http://[^\s/?#@]+/?", re.ASCII)
_PROXY_ALLOWED = "http://host[:port], without user name and path"
_ID_TAG_LENGTH = 20
_ID_TAGS_ALLOWED = f"ids of 1 to {_ID_TAG_LENGTH} characters separated by commas"
_ZONE_ALLOWED = "the name of a time zone such as Europe/Berlin"


def _check_pause_or_current(value_a: float) -> float:
    """Between 0 and the pilot's minimum there is nothing (DESIGN D4)."""
    if value_a == 0.0 or MIN_A <= value_a <= MAX_A:
        return value_a
    raise ValueError(_PAUSE_OR_CURRENT)


def _check_url(url: str) -> str:
    try:
        host, port = urlsplit(url).hostname, urlsplit(url).port
    except ValueError as error:  # a port that is no port, a broken IPv6 address
        raise ValueError(_URL_ALLOWED) from error
    if not _URL.fullmatch(url) or host is None or port == 0:
        raise ValueError(_URL_ALLOWED)
    if not is_host(host):
        raise ValueError(HOST_ALLOWED)
    return url.rstrip("/")


def _check_proxy(url: str) -> str:
    try:
        host, port = urlsplit(url).hostname, urlsplit(url).port
    except ValueError as error:
        raise ValueError(_PROXY_ALLOWED) from error
    if not _PROXY.fullmatch(url) or host is None or port == 0 or not is_host(host):
        raise ValueError(_PROXY_ALLOWED)
    return url.rstrip("/")


def _check_zone(name: str) -> str:
    try:
        zoneinfo.ZoneInfo(name)
    except (ValueError, OSError, KeyError) as error:  # ZoneInfoNotFoundError is a KeyError
        raise ValueError(_ZONE_ALLOWED) from error
    return name


def split_id_tags(text: str) -> tuple[str, ...]:
    """Ids of a list separated by commas."""
    return tuple(part.strip() for part in text.split(",")) if text.strip() else ()


def _check_id_tags(text: str) -> str:
    tags = split_id_tags(text)
    if not all(1 <= len(tag) <= _ID_TAG_LENGTH for tag in tags):
        raise ValueError(_ID_TAGS_ALLOWED)
    return ",".join(tags)


IdTagList = Annotated[str, AfterValidator(_check_id_tags)]
PauseOrCurrent = Annotated[float, AfterValidator(_check_pause_or_current)]
Url = Annotated[str, AfterValidator(_check_url)]
ProxyUrl = Annotated[str, AfterValidator(_check_proxy)]
ZoneName = Annotated[str, AfterValidator(_check_zone)]


class Market(enum.Enum):
    """Whose rules apply."""

    NONE = "none"
    GB = "GB"


class CipherPolicy(enum.Enum):
    """Which TLS 1.2 suites are offered to a central system; TLS 1.3 always is."""

    STANDARD = "standard"
    ALL = "all"


class SecurityEventNames(enum.Enum):
    """How security events are spelled to the central system."""

    EDITION_3 = "edition-3"
    EDITION_4 = "edition-4"
    OFF = "off"


class Station(Section):
    """Who this charger is; sent in BootNotification (OCPP 1.6, 6.3)."""

    vendor: str = setting("Vendor", "chargePointVendor.", default="evcharge", min_length=1, max_length=20)
    model: str = setting("Model", "chargePointModel.", default="agent", min_length=1, max_length=20)
    serial: str = setting("Serial number", "chargeBoxSerialNumber.", default="EVC-0001", min_length=1, max_length=25)
    firmware_version: str | None = setting(
        "Firmware version",
        "firmwareVersion; without it the version of this software.",
        default=None,
        min_length=1,
        max_length=50,
    )
    alias: str = setting(
        "Alias",
        "Name shown to people; may contain emoji.",
        default="",
        max_length=64,
        changed_by=(Role.USER, Role.INSTALLER),
        applies=Applies.LIVE,
    )


class Site(Section):
    """Where it stands."""

    market: Market = setting(
        "Market", "Whose national rules apply; none of them without a market.", default=Market.NONE, not_yet=("GB",)
    )
    time_zone: ZoneName = setting(
        "Time zone", "Local time for people; everything stored is UTC.", default="UTC", allowed=_ZONE_ALLOWED
    )
    public_meter: bool = setting(
        "Public charging",
        "The session meter is what somebody is billed by: when it is lost the session stops. Otherwise it goes on,"
        " flagged.",
        default=False,
        changed_by=(Role.INSTALLER,),
        applies=Applies.LIVE,
    )

    stand_alone: StandAlone = setting(
        "Without a central system",
        "Who may charge while no central system is configured. accept_all: every card. local_list: the cards of"
        " stand_alone_cards and of the local list. autostart: whoever plugs in, without a card.",
        default=StandAlone.ACCEPT_ALL,
        changed_by=(Role.INSTALLER,),
        applies=Applies.LIVE,
    )
    stand_alone_cards: IdTagList = setting(
        "Cards",
        'Cards that may charge with `stand_alone = "local_list"`, separated by commas.',
        default="",
        max_length=2000,
        changed_by=(Role.INSTALLER,),
        applies=Applies.LIVE,
        allowed=_ID_TAGS_ALLOWED,
    )

    @property
    def stand_alone_ids(self) -> frozenset[IdTag]:
        """The cards, as they are compared."""
        return frozenset(key_of(IdTag(part)) for part in split_id_tags(self.stand_alone_cards))


class Store(Section):
    """Where lasting data is kept."""

    dir: str = setting(
        "Directory",
        "Created when missing, readable by its owner only.",
        default="/var/lib/evcharge-agent",
        min_length=1,
    )


class Ocpp(Section):
    """The connection to a central system (OCPP 1.6-J)."""

    enabled: bool = setting("Enabled", "false: no connection although a url is given.", default=True)
    url: Url | None = setting(
        "URL",
        "Address of the central system; the identity is appended. Without it there is no central system.",
        default=None,
        max_length=512,
        allowed=_URL_ALLOWED,
    )
    identity: str | None = setting(
        "Identity", "Charge point identity; without it the serial number.", default=None, min_length=1, max_length=48
    )
    security_profile: int = setting(
        "Security profile",
        "OCPP security white paper, 2. 0: no credentials. 1: HTTP Basic with the authorization key. 2: the same over TLS."
        " 3: TLS with a certificate of the charger's own. 2 and 3 turn ws:// into wss://. A central system can only"
        " raise it.",
        default=0,
        ge=0,
        le=3,
        changed_by=(Role.CENTRAL_SYSTEM, Role.INSTALLER),
        applies=Applies.LIVE,
        ocpp_key=OcppKey("SecurityProfile", KeyAccess.READ_WRITE),
    )
    authorization_key: SecretStr | None = setting(
        "Authorization key",
        "Password for HTTP Basic: 32 to 40 hex digits of even number are decoded to bytes, anything else is used as it"
        " stands. Never shown.",
        default=None,
        min_length=1,
        max_length=40,
        changed_by=(Role.CENTRAL_SYSTEM, Role.INSTALLER),
        applies=Applies.LIVE,
        ocpp_key=OcppKey("AuthorizationKey", KeyAccess.WRITE),
    )
    ca_file: str | None = setting(
        "CA file",
        "PEM file with the roots a wss:// server is checked against, beside those a central system installed; without"
        " any the system's.",
        default=None,
    )
    client_certificate_file: str | None = setting(
        "Client certificate",
        "PEM file with the charger's own certificate and its chain, for profile 3. One that a central system had signed"
        " is preferred.",
        default=None,
        min_length=1,
    )
    client_key_file: str | None = setting(
        "Client key", "PEM file with the key of the client certificate.", default=None, min_length=1
    )
    ciphers: CipherPolicy = setting(
        "TLS ciphers",
        "standard: TLS 1.3 and ECDHE with AES-GCM. all: also RSA key exchange with AES-GCM, which has no forward"
        " secrecy, for central systems that know nothing else.",
        default=CipherPolicy.STANDARD,
    )
    verify_host: bool = setting(
        "Check the host name",
        "The server's certificate must name the host of a wss:// url. Can be switched off on the simulated board only.",
        default=True,
    )
    proxy: ProxyUrl | None = setting(
        "Proxy",
        "HTTP proxy the central system is reached through; without it directly, whatever the environment says.",
        default=None,
        max_length=300,
        allowed=_PROXY_ALLOWED,
    )
    security_events: SecurityEventNames = setting(
        "Security events",
        "Editions of the security white paper spell one event differently. off: none are sent, all are logged.",
        default=SecurityEventNames.EDITION_3,
    )
    call_timeout_s: int = setting(
        "Call time-out",
        "How long to wait for the answer to a call.",
        default=30,
        unit="s",
        ge=1,
        le=300,
        changed_by=(Role.CENTRAL_SYSTEM, Role.INSTALLER),
        applies=Applies.LIVE,
        ocpp_key=OcppKey("MessageTimeout", KeyAccess.READ_WRITE),
    )
    reconnect_max_s: int = setting(
        "Longest wait before reconnecting",
        "The wait doubles, with jitter, up to this.",
        default=300,
        unit="s",
        ge=1,
        le=3600,
    )
    default_limit_a: float = setting(
        "Limit where no profile applies",
        "What GetCompositeSchedule tells for a connector no charging profile limits; it limits nothing.",
        default=32.0,
        unit="A",
        ge=0.0,
        le=MAX_A,
        changed_by=(Role.INSTALLER,),
        applies=Applies.LIVE,
    )
    keys: OcppKeys = OcppKeys()

    @model_validator(mode="after")
    def _check_credentials(self) -> Self:
        if self.security_profile in BASIC_AUTH_PROFILES and self.authorization_key is None:
            raise misplaced("authorization_key", f"required while security_profile is {self.security_profile}")
        if (self.client_certificate_file is None) != (self.client_key_file is None):
            missing = "client_key_file" if self.client_key_file is None else "client_certificate_file"
            raise misplaced(missing, "required beside the other of certificate and key")
        return self

    @property
    def is_active(self) -> bool:
        """A central system is configured and wanted."""
        return self.enabled and self.url is not None


class Limits(Section):
    """Limits a person set, and what to do when the agent falls silent."""

    user_limit_a: float = setting(
        "User's limit",
        "Most current per phase the user wants.",
        default=32.0,
        unit="A",
        ge=MIN_A,
        le=MAX_A,
        changed_by=(Role.USER, Role.INSTALLER),
        applies=Applies.LIVE,
    )
    installer_limit_a: float = setting(
        "Installer's limit",
        "Most current per phase the installation allows; the board's rating caps it.",
        default=32.0,
        unit="A",
        ge=MIN_A,
        le=MAX_A,
        changed_by=(Role.INSTALLER,),
        applies=Applies.LIVE,
    )
    agent_lost_a: PauseOrCurrent = setting(
        "Current without the agent",
        "What the guard offers at most while the agent is silent (`on_lapse_a`); 0 pauses.",
        default=6.0,
        unit="A",
        changed_by=(Role.INSTALLER,),
        applies=Applies.LIVE,
        allowed=_PAUSE_OR_CURRENT,
    )
    agent_lost_hold_s: float = setting(
        "Time without the agent",
        "How long the guard holds that current before it stops the car.",
        default=120.0,
        unit="s",
        ge=0.0,
        le=120.0,
        changed_by=(Role.INSTALLER,),
        applies=Applies.LIVE,
    )


class Settings(Section):
    """Everything the agent can be told; the defaults alone run."""

    station: Station = Station()
    site: Site = Site()
    store: Store = Store()
    ocpp: Ocpp = Ocpp()
    limits: Limits = Limits()
    files: Files = Files()
    firmware: Firmware = Firmware()
    reader: tuple[Reader, ...] = ()
    meter: tuple[Meter, ...] = ()

    @model_validator(mode="after")
    def _check_names_are_different(self) -> Self:
        for table, names in (("reader", [r.name for r in self.reader]), ("meter", [m.name for m in self.meter])):
            if len(set(names)) < len(names):
                raise misplaced(table, "entries with different names")
        measured = [meter.connector for meter in self.meter if meter.role is MeterRole.SESSION]
        if len(set(measured)) < len(measured):
            raise misplaced("meter", "one session meter for each connector")
        return self

    @model_validator(mode="after")
    def _check_serial_buses(self) -> Self:
        by_port: dict[str, Meter] = {}
        seen = set()
        for meter in self.meter:
            if meter.serial_port is None:
                continue
            first = by_port.setdefault(meter.serial_port, meter)
            if (first.baud, first.parity, first.stop_bits) != (meter.baud, meter.parity, meter.stop_bits):
                raise misplaced("meter", "the same baud, parity and stop_bits for meters on one serial_port")
            if (meter.serial_port, meter.unit) in seen:
                raise misplaced("meter", "different units for meters on one serial_port")
            seen.add((meter.serial_port, meter.unit))
        devices = [reader.device for reader in self.reader if reader.device is not None] + list(by_port)
        if len(set(devices)) < len(devices):
            raise misplaced("reader", "a device of its own for each reader")
        return self

    @model_validator(mode="after")
    def _check_identity(self) -> Self:
        profile = self.ocpp.security_profile
        if profile in BASIC_AUTH_PROFILES and ":" in self.identity:
            field = "ocpp.identity" if self.ocpp.identity is not None else "station.serial"
            raise misplaced(field, f"a text without ':' while security_profile is {profile} (RFC 7617, 2)")
        return self

    @property
    def firmware_version(self) -> str:
        """What BootNotification says of the software."""
        return self.station.firmware_version or importlib.metadata.version("evcharge-agent")

    @property
    def identity(self) -> str:
        """The charge point identity the central system knows."""
        return self.ocpp.identity or self.station.serial
