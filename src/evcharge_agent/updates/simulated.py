"""The simulated installer: two slots in the state directory, and a pointer to the one that counts.

The new firmware is written to the slot that is not in use and reaches the disk before the pointer is replaced in one
step: whenever the power goes, either the old or the new one is there. No version is older than the newest there ever
was; that floor stands in two places, the pointer and a file of its own. Nothing in a slot is ever run.
"""

import json
import os
import shutil
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import structlog

from evcharge_agent.store.disk import Disk
from evcharge_agent.updates.bundle import BadBundleError, Bundle, order_of
from evcharge_hal.contract.errors import InvalidFieldError
from evcharge_hal.contract.schema import declare, decode, encode

DIRECTORY = "firmware"
SLOTS = ("a", "b")
_POINTER = "current"
_FLOOR = "floor"
_LOG = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Installed:
    """What the pointer says."""

    slot: str = declare("Directory it is in", max_length=1)
    version: str = declare("Its version", max_length=30)
    digest: str = declare("SHA-256 of the bundle, hexadecimal", max_length=64)


@dataclass(frozen=True, slots=True)
class _Floor:
    version: str = declare("No older one is installed", max_length=30)


P = TypeVar("P", Installed, _Floor)


class SimulatedUpdater:
    """See the module; satisfies `ocpp16.updater.Updater`. What runs is what the pointer said when this was made."""

    def __init__(self, state_dir: Path, disk: Disk | None = None) -> None:
        self._directory = state_dir / DIRECTORY
        self._disk = disk or Disk()
        self._running = self._installed()

    @property
    def version(self) -> str | None:
        """Of the firmware an update brought."""
        return None if self._running is None else self._running.version

    @property
    def digest(self) -> str:
        """Of the bundle it came from."""
        return "" if self._running is None else self._running.digest

    def install(self, path: Path, digest: str) -> str | None:
        """Put the bundle at `path` in place for the next start; returns why it is none for this charger."""
        try:
            with Bundle(path) as bundle:
                self._put_in_place(bundle, digest)
        except BadBundleError as error:
            _LOG.warning("firmware_refused", reason=str(error))
            return str(error)
        return None

    def _put_in_place(self, bundle: Bundle, digest: str) -> None:
        version = bundle.manifest.version
        before = self._installed()
        floor = max((order_of(one) for one in self._floors(before)), default=(0,))
        if order_of(version) < floor:
            raise BadBundleError(f"version {version} is older than {'.'.join(map(str, floor))}")
        slot = SLOTS[0] if before is None or before.slot != SLOTS[0] else SLOTS[1]
        directory = self._directory / slot
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True, mode=0o700)
        for name in bundle.manifest.files:
            with closing(bundle.chunks(name)) as chunks:
                self._write(directory / name, chunks)
        self._write(directory / ".version", [version.encode()])
        self._sync(directory)
        self._point(_POINTER, Installed(slot, version, digest))
        self._point(_FLOOR, _Floor(version))

    def _floors(self, before: Installed | None) -> list[str]:
        found = _read(self._directory / _FLOOR, _Floor)
        return [one.version for one in (before, found) if one is not None]

    def _installed(self) -> Installed | None:
        found = _read(self._directory / _POINTER, Installed)
        return found if found is not None and found.slot in SLOTS else None

    def _point(self, name: str, value: object) -> None:
        fresh = self._directory / f"{name}.new"
        self._write(fresh, [json.dumps(encode(value)).encode()])
        self._disk.replace(fresh, self._directory / name)

    def _write(self, path: Path, chunks: Iterable[bytes]) -> None:
        path.unlink(missing_ok=True)
        descriptor = self._disk.open(path, os.O_WRONLY | os.O_EXCL | os.O_NOFOLLOW)
        try:
            for chunk in chunks:
                self._disk.write(descriptor, chunk)
            self._disk.sync(descriptor)
        finally:
            os.close(descriptor)

    def _sync(self, directory: Path) -> None:
        for path in (directory, directory.parent):
            descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                self._disk.sync(descriptor)
            finally:
                os.close(descriptor)


def _read(path: Path, kind: type[P]) -> P | None:
    """Read a pointer; one that cannot be read says nothing."""
    try:
        value = decode(kind, json.loads(path.read_bytes()))
        order_of(value.version)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError, InvalidFieldError, BadBundleError) as error:
        _LOG.warning("firmware_pointer_unreadable", file=path.name, reason=type(error).__name__)
        return None
    return value
