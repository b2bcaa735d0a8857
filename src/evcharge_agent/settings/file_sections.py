"""What may be fetched from where and sent whereto, and how firmware is installed: `[files]` and `[firmware]`."""

import enum
import ipaddress
import re
from typing import Annotated

from pydantic import AfterValidator

from evcharge_agent.settings.declare import Section, setting

PROTOCOLS = ("http", "https", "ftp", "ftps")
_PROTOCOLS_ALLOWED = "a list of " + ", ".join(PROTOCOLS)
_HOSTS_ALLOWED = "a list of host names, addresses and networks such as 192.168.1.0/24"
_NAME = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]{0,251}[A-Za-z0-9_])?", re.ASCII)
_MOST_HOSTS = 64


def _check_protocols(names: tuple[str, ...]) -> tuple[str, ...]:
    if not set(names) <= set(PROTOCOLS) or len(set(names)) < len(names):
        raise ValueError(_PROTOCOLS_ALLOWED)
    return names


def _check_hosts(entries: tuple[str, ...]) -> tuple[str, ...]:
    if len(entries) > _MOST_HOSTS or not all(_is_host(entry) for entry in entries):
        raise ValueError(_HOSTS_ALLOWED)
    return entries


def _is_host(entry: str) -> bool:
    try:
        ipaddress.ip_network(entry, strict=False)
    except ValueError:
        return _NAME.fullmatch(entry) is not None
    return "%" not in entry


ProtocolNames = Annotated[tuple[str, ...], AfterValidator(_check_protocols)]
HostEntries = Annotated[tuple[str, ...], AfterValidator(_check_hosts)]


class Installer(enum.Enum):
    """What installs firmware."""

    SIMULATED = "simulated"
    PACKAGE = "package"


class Files(Section):
    """Firmware, diagnostics and logs: which ways they may take."""

    protocols: ProtocolNames = setting(
        "Protocols",
        "What addresses of a central system may begin with. Without TLS anybody on the way can read along; a signed"
        " firmware cannot be changed on the way. On the simulated board all, if nothing else is said.",
        default=("https", "ftps"),
        allowed=_PROTOCOLS_ALLOWED,
    )
    allow_hosts: HostEntries = setting(
        "Hosts of the own network",
        "Public hosts may always be connected to; loopback, link-local and private addresses only if they, or the name"
        " that leads there, are listed. On the simulated board this machine, if nothing else is said.",
        default=(),
        allowed=_HOSTS_ALLOWED,
    )


class Firmware(Section):
    """Updates a central system orders."""

    installer: Installer | None = setting(
        "Installer",
        "What installs firmware: `simulated` keeps bundles and their version in the state directory and runs nothing."
        " Without one updates are answered NotSupported. On the simulated board `simulated`, if nothing else is said.",
        default=None,
        not_yet=("package",),
    )
    allow_unsigned: bool = setting(
        "Take unsigned firmware",
        "UpdateFirmware of OCPP 1.6 works; otherwise it is answered NotSupported and only SignedUpdateFirmware does"
        " (OCPP security white paper, L01.FR.20). On the simulated board true, if nothing else is said.",
        default=False,
    )
    roots_file: str | None = setting(
        "Manufacturer's roots",
        "PEM file with roots of firmware signing certificates, beside those a central system has installed.",
        default=None,
    )
    revoked_file: str | None = setting(
        "Revocation lists",
        "PEM file with revocation lists (CRL) of the manufacturer; a signing certificate in one of them is refused.",
        default=None,
    )
