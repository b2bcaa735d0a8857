"""Where files may be fetched from and sent to: a closed URL grammar and a host policy. Pure (spec security 3.2).

Whatever is not in the grammar is refused; nothing is repaired. What a name resolves to is judged by `HostPolicy`,
by the very address that is then connected to.
"""

import enum
import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from urllib.parse import unquote

from evcharge_hal.contract.errors import EvchargeError

MAX_URL_LENGTH = 512
"""OCPP security white paper: location, remoteLocation."""
_LONGEST_HOST = 253
_HIGHEST_PORT = 65_535

_URL = re.compile(
    r"(?P<scheme>[A-Za-z]{3,5})://"
    r"(?:(?P<user>[A-Za-z0-9._~!$&'()*+,;=%-]*)(?P<has_password>:(?P<password>[A-Za-z0-9._~!$&'()*+,;=:%-]*))?@)?"
    r"(?P<host>\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9._-]{1,253})"
    r"(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<path>/[A-Za-z0-9._~!$&'()*+,;=:@%/-]*)?"
    r"(?:\?(?P<query>[A-Za-z0-9._~!$&'()*+,;=:@%/?-]*))?",
    re.ASCII,
)
_LABEL = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?", re.ASCII)
_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})", re.ASCII)
_NUMBER_LIKE = re.compile(r"[0-9]+|0[xX][0-9A-Fa-f]*", re.ASCII)


class Scheme(enum.Enum):
    """How a file travels; the values are those of `[files] protocols`."""

    HTTP = "http"
    HTTPS = "https"
    FTP = "ftp"
    FTPS = "ftps"
    """FTP that becomes TLS by AUTH TLS, also for the data (RFC 4217)."""

    @property
    def is_secure(self) -> bool:
        """TLS."""
        return self in (Scheme.HTTPS, Scheme.FTPS)

    @property
    def is_http(self) -> bool:
        """HTTP or HTTPS."""
        return self in (Scheme.HTTP, Scheme.HTTPS)


_PORTS = {Scheme.HTTP: 80, Scheme.HTTPS: 443, Scheme.FTP: 21, Scheme.FTPS: 21}


class UrlRefusedError(EvchargeError):
    """The address is not in the grammar, or not allowed; the text names no part of it that could be a secret."""


@dataclass(frozen=True, slots=True)
class Url:
    """An address inside the grammar. Its text never shows user, password, path or query."""

    scheme: Scheme
    host: str
    """Lower case; an IPv6 address without brackets."""
    port: int
    path: str = field(repr=False)
    """As given, percent-encoded; begins with a slash."""
    query: str | None = field(default=None, repr=False)
    user: str | None = field(default=None, repr=False)
    """Decoded."""
    password: str | None = field(default=None, repr=False)

    def __str__(self) -> str:
        return f"{self.scheme.value}://{self.authority}"

    @property
    def authority(self) -> str:
        """Host, and the port where it is not the usual one."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def target(self) -> str:
        """Path and query, as an HTTP request names them."""
        return self.path if self.query is None else f"{self.path}?{self.query}"

    @property
    def segments(self) -> tuple[str, ...]:
        """The decoded parts of the path that are not empty."""
        return tuple(unquote(part) for part in self.path.split("/") if part)


def parse_url(text: str) -> Url:
    """Read an address.

    Raises:
        UrlRefusedError: it is not in the grammar.
    """
    found = _URL.fullmatch(text) if len(text) <= MAX_URL_LENGTH else None
    if found is None:
        raise UrlRefusedError(f"not scheme://[user[:password]@]host[:port]/path of at most {MAX_URL_LENGTH} characters")
    try:
        scheme = Scheme(found["scheme"].lower())
    except ValueError:
        raise UrlRefusedError("allowed: " + ", ".join(one.value for one in Scheme)) from None
    path, query = found["path"] or "/", found["query"]
    if query is not None and not scheme.is_http:
        raise UrlRefusedError("a query belongs to http and https only")
    _check_path(path)
    if query is not None:
        _decoded(query)
    user = found["user"]
    password = found["password"]
    return Url(
        scheme,
        _host(found["host"]),
        _port(found["port"], scheme),
        path,
        query,
        None if user is None else _decoded(user),
        None if password is None else _decoded(password),
    )


def _decoded(text: str) -> str:
    """Decode escapes; what they hide must be text without control characters."""
    if _ESCAPE.search(text):
        raise UrlRefusedError("a % stands before two hexadecimal digits")
    try:
        decoded = unquote(text, errors="strict")
    except UnicodeDecodeError:
        raise UrlRefusedError("escapes are UTF-8") from None
    if not decoded.isprintable():
        raise UrlRefusedError("no control characters")
    return decoded


def _check_path(path: str) -> None:
    for segment in path.split("/"):
        decoded = _decoded(segment)
        if decoded in (".", "..") or "/" in decoded or "\\" in decoded:
            raise UrlRefusedError("no way upwards in the path")


def _port(text: str | None, scheme: Scheme) -> int:
    if text is None:
        return _PORTS[scheme]
    port = int(text)
    if not 1 <= port <= _HIGHEST_PORT:
        raise UrlRefusedError(f"a port from 1 to {_HIGHEST_PORT}")
    return port


def _host(text: str) -> str:
    if text.startswith("["):
        try:
            return str(ipaddress.IPv6Address(text[1:-1]))
        except ValueError:
            raise UrlRefusedError("an IPv6 address in brackets, without a zone") from None
    labels = text.lower().split(".")
    # Resolvers read 127.1, 0x7f.1 and 2130706433 as addresses, too: what ends in a number is an IPv4 address or nothing.
    if _NUMBER_LIKE.fullmatch(labels[-1]):
        try:
            return str(ipaddress.IPv4Address(text))
        except ValueError:
            raise UrlRefusedError("an IPv4 address has four decimal numbers") from None
    if len(text) > _LONGEST_HOST or not all(_LABEL.fullmatch(label) for label in labels):
        raise UrlRefusedError("a host name whose parts have 1 to 63 letters, digits and hyphens")
    return text.lower()


Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


class HostPolicy:
    """Which hosts may be connected to: the public ones, and those of the own network that are listed.

    An entry is a host name, an address or a network (`10.0.0.0/8`). A listed name may resolve to a private, loopback
    or link-local address; no entry makes `0.0.0.0`, multicast or broadcast a host.
    """

    def __init__(self, allow_hosts: Iterable[str] = ()) -> None:
        self._names: set[str] = set()
        self._networks: list[Network] = []
        for entry in allow_hosts:
            try:
                self._networks.append(ipaddress.ip_network(entry, strict=False))
            except ValueError:
                self._names.add(entry.lower())

    def allows(self, host: str, address: str) -> bool:
        """Tell whether `address`, which `host` resolved to, may be connected to."""
        try:
            plain = _without_wrapping(ipaddress.ip_address(address))
        except ValueError:
            return False
        if plain.is_multicast or plain.is_unspecified or (plain.version == 4 and int(plain) >> 28 == 0xF):  # noqa: PLR2004 - 240.0.0.0/4
            return False
        if host.lower() in self._names or any(plain in network for network in self._networks):
            return True
        return plain.is_global and not plain.is_reserved


def _without_wrapping(address: Address) -> Address:
    """The IPv4 address inside an IPv6 one that is only a way to it."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address.scope_id is not None:
        raise ValueError(address)
    inner = address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)
    if inner is None and address in _NAT64:
        inner = ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    return inner if inner is not None else address
