"""The `[ocpp]` table: where the central system is, who we are to it, and what is believed."""

import enum
import re
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, SecretStr, model_validator

from evcharge_agent.settings.checks import HOST_ALLOWED, is_host, misplaced
from evcharge_agent.settings.declare import Applies, KeyAccess, OcppKey, Role, Section, setting
from evcharge_agent.settings.keys import OcppKeys
from evcharge_hal.contract.units import MAX_CURRENT_A

BASIC_AUTH_PROFILES = (1, 2)
"""Security profiles with a user name and password (OCPP security white paper, 2)."""
_URL = re.compile(r"wss?://[^\s/?#@]+(/[^\s?#]*)?", re.ASCII)
_URL_ALLOWED = "ws://host[:port][/path] or wss://host[:port][/path], without user name and query"
_PROXY = re.compile(r"http://[^\s/?#@]+/?", re.ASCII)
_PROXY_ALLOWED = "http://host[:port], without user name and path"


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


Url = Annotated[str, AfterValidator(_check_url)]
ProxyUrl = Annotated[str, AfterValidator(_check_proxy)]


class CipherPolicy(enum.Enum):
    """Which TLS 1.2 suites are offered to a central system; TLS 1.3 always is."""

    STANDARD = "standard"
    ALL = "all"


class SecurityEventNames(enum.Enum):
    """How security events are spelled to the central system."""

    EDITION_3 = "edition-3"
    EDITION_4 = "edition-4"
    OFF = "off"


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
        le=float(MAX_CURRENT_A),
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
