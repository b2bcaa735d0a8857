"""Certificates and keys as files: 0600 in a directory 0700, each written whole or not at all.

A key and what belongs to it share one file, so that no power cut leaves a certificate without its key:

    central-system-root-000001.pem   the root and, where it did not sign itself, its issuer's public key
    manufacturer-root-000002.pem     the same
    request-000003.pem               a private key and the request that was made with it
    charge-point-000004.pem          a private key and the chain that certifies it, as OpenSSL reads it

Nothing is judged here. Every method blocks; OSError says that the disk does not work.
"""

import enum
import logging
import os
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from evcharge_agent.store.disk import Disk

KEPT_REQUESTS = 4
"""Keys that wait for their certificate; an answer to an older request comes too late."""
_MAX_FILE_BYTES = 64 * 1024
_BLOCK = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----.*?-----END \1-----\n?", re.DOTALL)
_FRESH = ".new"

_log = logging.getLogger(__name__)


class Kind(enum.Enum):
    """What a file holds; the values begin its name."""

    CENTRAL_SYSTEM_ROOT = "central-system-root"
    MANUFACTURER_ROOT = "manufacturer-root"
    REQUEST = "request"
    CHARGE_POINT = "charge-point"


@dataclass(frozen=True, slots=True)
class Stored:
    """One file, its blocks by their label."""

    kind: Kind
    number: int
    """Grows with every file that is written: a higher one is newer."""
    path: Path
    certificates: str
    """PEM, in the order of the file; empty for a request."""
    public_key: str
    request: str
    key: str

    def __repr__(self) -> str:
        """Show nothing of the key."""
        return f"Stored({self.path.name})"


class CertificateStore:
    """The files in `directory`, which is made when it is missing."""

    def __init__(self, directory: Path, disk: Disk | None = None) -> None:
        self._directory = directory
        self._disk = disk or Disk()
        self._turn = threading.Lock()

    def all(self, kind: Kind) -> tuple[Stored, ...]:
        """All of one kind, newest first; a file that cannot be read is left out and said."""
        found = [stored for path in self._paths(kind) if (stored := _read(kind, path)) is not None]
        return tuple(sorted(found, key=lambda stored: stored.number, reverse=True))

    def manufacturer_roots(self) -> tuple[str, ...]:
        """The roots firmware is checked against, as PEM, newest first."""
        return tuple(stored.certificates for stored in self.all(Kind.MANUFACTURER_ROOT))

    def add_root(self, kind: Kind, certificate_pem: str, issuer_key_pem: str = "") -> Stored:
        """Keep a root."""
        return self._add(kind, certificate_pem + issuer_key_pem)

    def add_request(self, key_pem: str, request_pem: str) -> Stored:
        """Keep a key until its certificate comes; the oldest of more than `KEPT_REQUESTS` go."""
        stored = self._add(Kind.REQUEST, key_pem + request_pem)
        for old in self.all(Kind.REQUEST)[KEPT_REQUESTS:]:
            self.remove(old)
        return stored

    def add_charge_point(self, chain_pem: str, request: Stored) -> Stored:
        """Keep the certificate `request` asked for, which is done with."""
        stored = self._add(Kind.CHARGE_POINT, request.key + chain_pem)
        self.remove(request)
        return stored

    def remove(self, stored: Stored) -> None:
        """Take a file away."""
        with self._turn:
            self._disk.remove(stored.path)

    def _add(self, kind: Kind, text: str) -> Stored:
        with self._turn:
            self._prepare()
            number = 1 + max((_number(path) for path in self._paths()), default=0)
            path = self._directory / f"{kind.value}-{number:06d}.pem"
            self._put(path, text.encode())
        stored = _read(kind, path)
        if stored is None:
            raise OSError(f"{path.name} could not be read back")
        return stored

    def _prepare(self) -> None:
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._directory.chmod(0o700)
        for rest in self._directory.glob(f"*{_FRESH}"):  # a power cut while it was written
            self._disk.remove(rest)

    def _put(self, path: Path, data: bytes) -> None:
        fresh = path.with_suffix(_FRESH)
        descriptor = self._disk.open(fresh, os.O_WRONLY | os.O_TRUNC)
        try:
            self._disk.write(descriptor, data)
            self._disk.sync(descriptor)
        finally:
            os.close(descriptor)
        self._disk.replace(fresh, path)

    def _paths(self, kind: Kind | None = None) -> Iterator[Path]:
        for one in Kind if kind is None else (kind,):
            yield from self._directory.glob(f"{one.value}-[0-9]*.pem")


def _number(path: Path) -> int:
    digits = path.stem.rpartition("-")[2]
    return int(digits) if digits.isascii() and digits.isdecimal() else 0


def _read(kind: Kind, path: Path) -> Stored | None:
    try:
        with path.open("rb") as file:
            text = file.read(_MAX_FILE_BYTES).decode("ascii")
    except (OSError, UnicodeDecodeError) as error:
        _log.warning("%s cannot be read: %s", path.name, type(error).__name__)
        return None
    blocks: dict[str, str] = {}
    for match in _BLOCK.finditer(text):
        blocks[match[1]] = blocks.get(match[1], "") + match[0]
    stored = Stored(
        kind,
        _number(path),
        path,
        blocks.get("CERTIFICATE", ""),
        blocks.get("PUBLIC KEY", ""),
        blocks.get("CERTIFICATE REQUEST", ""),
        blocks.get("PRIVATE KEY", ""),
    )
    is_whole = bool(stored.request and stored.key) if kind is Kind.REQUEST else bool(stored.certificates)
    if not is_whole:
        _log.warning("%s is damaged and left out", path.name)
    return stored if is_whole else None
