"""A firmware bundle: a zip with `manifest.json`, which names every other file with its size and SHA-256.

Nothing of it is believed: the list of its members is bounded before it is read, names are plain, sizes and their sum are
bounded before anything is unpacked, and no byte beyond what the manifest says is ever written (spec security 3.3: zip
slip, zip bomb). Members are stored or deflated: other methods take as much memory as the file says. No scripts.
"""

import hashlib
import io
import json
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from evcharge_hal.contract.errors import EvchargeError, InvalidFieldError
from evcharge_hal.contract.schema import declare, decode, encode

MANIFEST = "manifest.json"
FORMAT = 1
MAX_FILES = 64
MAX_MANIFEST_BYTES = 64 * 1024
MAX_UNPACKED_BYTES = 512 * 1024 * 1024
_READ_BYTES = 256 * 1024
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
_VERSION = re.compile(r"[0-9]{1,6}(\.[0-9]{1,6}){0,3}", re.ASCII)
_EPOCH = (1980, 1, 1, 0, 0, 0)
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_MAX_DIRECTORY_BYTES = 64 * 1024
_END = struct.Struct("<4s4H2LH")
"""End of central directory record (APPNOTE 4.3.16): signature, disks, members, size and place of the list, comment."""
_END_SIGNATURE = b"PK\x05\x06"
_LOCATOR = struct.Struct("<4sLQL")
_LOCATOR_SIGNATURE = b"PK\x06\x07"


class BadBundleError(EvchargeError):
    """The file is no bundle, or a bad one."""


@dataclass(frozen=True, slots=True)
class FileEntry:
    """One file of a bundle."""

    size: int = declare("Size", unit="byte", ge=0, le=MAX_UNPACKED_BYTES)
    sha256: str = declare("SHA-256, hexadecimal", min_length=64, max_length=64)


@dataclass(frozen=True, slots=True)
class _Head:
    format: int = declare("Format of the bundle", ge=FORMAT, le=FORMAT)
    version: str = declare("Version, up to four numbers", min_length=1, max_length=30)


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a bundle says of itself."""

    version: str
    files: Mapping[str, FileEntry]


def order_of(version: str) -> tuple[int, ...]:
    """Versions compare by this.

    Raises:
        BadBundleError: it is none.
    """
    if not _VERSION.fullmatch(version):
        raise BadBundleError("a version is one to four numbers with dots between them")
    numbers = tuple(int(part) for part in version.split("."))
    return numbers + (0,) * (4 - len(numbers))


def build(version: str, files: Mapping[str, bytes]) -> bytes:
    """Make a bundle; the same content gives the same bytes.

    Raises:
        BadBundleError: a name or the version does not fit.
    """
    order_of(version)
    entries = {name: FileEntry(len(data), hashlib.sha256(data).hexdigest()) for name, data in sorted(files.items())}
    _check_names(entries)
    manifest = {"format": FORMAT, "version": version, "files": encode(entries)}
    content = {MANIFEST: json.dumps(manifest, indent=1).encode(), **dict(sorted(files.items()))}
    output = io.BytesIO()
    with zipfile.ZipFile(output, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in content.items():
            archive.writestr(zipfile.ZipInfo(name, _EPOCH), data, zipfile.ZIP_DEFLATED)
    return output.getvalue()


class Bundle:
    """An opened bundle whose manifest holds; use as a context manager. Blocking."""

    def __init__(self, path: Path) -> None:
        """Open and check it.

        Raises:
            BadBundleError: it is no bundle.
            OSError: it cannot be read.
        """
        _check_end(path)
        try:
            self._archive = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, NotImplementedError, ValueError) as error:
            raise BadBundleError(f"no zip file: {error}") from None
        try:
            self.manifest = self._read_manifest()
        except BaseException:
            self._archive.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._archive.close()

    def chunks(self, name: str) -> Generator[bytes, None, None]:
        """Unpack a file piece by piece, never more than its size.

        Raises:
            BadBundleError: it is not what the manifest says; all pieces so far are worth nothing then.
        """
        entry = self.manifest.files[name]
        digest, left = hashlib.sha256(), entry.size
        for chunk in self._unpacked(name, left + 1):
            left -= len(chunk)
            if left < 0:
                raise BadBundleError(f"{name} is larger than it says")
            digest.update(chunk)
            yield chunk
        if left or digest.hexdigest() != entry.sha256:
            raise BadBundleError(f"{name} is not what it says")

    def _unpacked(self, name: str, limit: int) -> Iterator[bytes]:
        try:
            with self._archive.open(name) as file:
                while limit > 0 and (chunk := file.read(min(_READ_BYTES, limit))):
                    limit -= len(chunk)
                    yield chunk
        except (zipfile.BadZipFile, NotImplementedError, RuntimeError, ValueError, EOFError, zlib.error) as error:
            raise BadBundleError(f"{name} cannot be unpacked: {type(error).__name__}") from None

    def _read_manifest(self) -> Manifest:
        members = self._archive.infolist()
        names = [member.filename for member in members]
        if len(names) > MAX_FILES + 1 or len(set(names)) < len(names) or MANIFEST not in names:
            raise BadBundleError(f"not a manifest and at most {MAX_FILES} different files")
        for member in members:
            kind = stat.S_IFMT(member.external_attr >> 16)
            if not _NAME.fullmatch(member.filename) or kind not in (0, stat.S_IFREG) or member.flag_bits & 1:
                raise BadBundleError("not only plain files in one directory")
            if member.compress_type not in _METHODS:
                raise BadBundleError("not only stored and deflated files")
        data = b"".join(self._unpacked(MANIFEST, MAX_MANIFEST_BYTES + 1))
        if len(data) > MAX_MANIFEST_BYTES:
            raise BadBundleError("the manifest is too large")
        manifest = _parse(data)
        if set(manifest.files) != set(names) - {MANIFEST}:
            raise BadBundleError("not the files the manifest names")
        if sum(entry.size for entry in manifest.files.values()) > MAX_UNPACKED_BYTES:
            raise BadBundleError(f"more than {MAX_UNPACKED_BYTES} bytes")
        return manifest


def _check_end(path: Path) -> None:
    """The library reads the whole list of members into memory, however long it is: it must be short.

    Raises:
        BadBundleError: the file does not end with a zip's record of a short list, or may be read in another way.
        OSError: it cannot be read.
    """
    length = _LOCATOR.size + _END.size
    with path.open("rb") as file:
        size = file.seek(0, io.SEEK_END)
        file.seek(max(size - length, 0))
        tail = file.read(length)
    if len(tail) < _END.size:
        raise BadBundleError("no zip file: too short")
    signature, _, _, _, members, directory_bytes, _, comment_bytes = _END.unpack(tail[-_END.size :])
    if signature != _END_SIGNATURE or comment_bytes or tail.startswith(_LOCATOR_SIGNATURE):
        raise BadBundleError("no zip file, or one with a comment or of the 64 bit kind")
    if members > MAX_FILES + 1 or directory_bytes > _MAX_DIRECTORY_BYTES:
        raise BadBundleError(f"not a manifest and at most {MAX_FILES} different files")


def _parse(data: bytes) -> Manifest:
    try:
        plain = json.loads(data)
        if not isinstance(plain, dict):
            raise BadBundleError("the manifest is no table")
        files = plain.pop("files", None)
        head = decode(_Head, plain, MANIFEST)
        if not isinstance(files, dict):
            raise BadBundleError("the manifest names no files")
        entries = {str(name): decode(FileEntry, entry, f"files.{name}") for name, entry in files.items()}
    except (ValueError, RecursionError) as error:
        raise BadBundleError(f"the manifest is no JSON: {type(error).__name__}") from None
    except InvalidFieldError as error:
        raise BadBundleError(str(error)) from None
    _check_names(entries)
    order_of(head.version)
    return Manifest(head.version, entries)


def _check_names(entries: Mapping[str, FileEntry]) -> None:
    if len(entries) > MAX_FILES or any(not _NAME.fullmatch(name) or name == MANIFEST for name in entries):
        raise BadBundleError(f"at most {MAX_FILES} files, with names of letters, digits and . _ -")
