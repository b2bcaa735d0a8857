"""The security log: every security event, on JSON lines that are chained by their hashes (N01, A04.FR.04).

A line holds the hash of the line before it, so that none can be changed, taken out or put in unseen; `head` beside
the files says which line is the last, so that none can be cut off either. It rolls: the oldest file makes room.
Nobody who can write all the files is kept out by this; it shows accidents and careless intruders.
"""

import hashlib
import json
import logging
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evcharge_agent.ocpp16.security.ports import SecurityEvent
from evcharge_agent.ocpp16.stamps import from_stamp, to_stamp
from evcharge_agent.store.disk import Disk

MAX_FILE_BYTES = 64 * 1024
MAX_FILES = 16
MAX_INFO_LENGTH = 255
_BEGINNING = "0" * 64
_INSPECTED_FILES = 2
"""At every start; all of them would take a small board a second."""
_HEAD = "head"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What `verify` found."""

    lines: int
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Damage:
    """What `inspect` found."""

    words: str
    is_all_gone: bool = False
    """No line is left."""


class SecurityLog:
    """The files in `directory`, which is made when it is missing. Every method blocks."""

    def __init__(self, directory: Path, disk: Disk | None = None, max_file_bytes: int = MAX_FILE_BYTES) -> None:
        self._directory = directory
        self._max_file_bytes = max_file_bytes
        self._disk = disk or Disk()
        self._turn = threading.Lock()
        self._last: tuple[int, str] | None = None

    def append(self, event: str, info: str, utc_s: float, *, is_time_known: bool) -> None:
        """Add a line; it is on the disk when this returns.

        Raises:
            OSError: the disk does not take it.
        """
        with self._turn:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            number, previous = self._last or self._take_up()
            line, digest = _line(number + 1, to_stamp(utc_s), event, info[:MAX_INFO_LENGTH], previous, is_time_known)
            # After an error nobody knows what of the line is there: the end of the file is looked at again.
            self._last = None
            self._write(line)
            self._put_head(number + 1, digest)
            self._last = (number + 1, digest)

    def holds(self, event: str, info: str, utc_s: float) -> bool:
        """Whether there is a line of this event.

        Raises:
            OSError: the disk cannot be read.
        """
        wanted = (to_stamp(utc_s), event, info[:MAX_INFO_LENGTH])
        entries = [entry for line in self._lines() if (entry := _parse(line)) is not None]
        return any((entry.get("at"), entry.get("event"), entry.get("info", "")) == wanted for entry in entries)

    def read(self, oldest_utc_s: float | None = None, latest_utc_s: float | None = None) -> bytes:
        """Return the lines between two moments, oldest first."""
        low = float("-inf") if oldest_utc_s is None else oldest_utc_s
        high = float("inf") if latest_utc_s is None else latest_utc_s
        chosen = []
        for line in self._lines():
            entry = _parse(line)
            # A damaged line belongs to every time: somebody should see it.
            if entry is None or low <= _moment(entry) <= high:
                chosen.append(line + b"\n")
        return b"".join(chosen)

    def verify(self) -> Verdict:
        """Check the chain from the oldest line that is kept to the last one."""
        problems: list[str] = []
        lines, number, digest = 0, None, None
        for line in self._lines():
            lines += 1
            entry = _parse(line)
            if entry is None:
                problems.append(f"line {lines} is damaged")
                continue
            if number is not None and (entry["n"] != number + 1 or entry["previous"] != digest):
                problems.append(f"line {lines}: number {entry['n']} does not follow number {number}")
            number, digest = entry["n"], entry["hash"]
        head = self._head()
        if head is not None and (number is None or head[0] > number or (head[0] == number and head[1] != digest)):
            problems.append(f"the log ends with number {number}, it went on to {head[0]}")
        return Verdict(lines, tuple(problems))

    def inspect(self) -> Damage | None:
        """Look at the start whether what an earlier run wrote is still there, in the newest files (`verify`: in all).

        What lies before a line that told of it has been told. Half a line, as a power cut leaves it, is no damage.

        Raises:
            OSError: the disk cannot be read.
        """
        with self._turn:
            last, _ = self._take_up()
            head = self._head()
            lines = [line for path in self._files()[-_INSPECTED_FILES:] for line in path.read_bytes().splitlines()]
            if head is not None and not lines:
                return Damage(f"the log is empty, it had {head[0]} lines", is_all_gone=True)
            problems: list[str] = []
            number, digest = None, None
            for line in lines:
                entry = _parse(line)
                if entry is None:
                    problems.append("a line is damaged")
                    continue
                if entry["event"] == SecurityEvent.TAMPER_DETECTION_ACTIVATED.value:
                    problems.clear()
                elif number is not None and (entry["n"] != number + 1 or entry["previous"] != digest):
                    problems.append(f"number {entry['n']} does not follow number {number}")
                number, digest = entry["n"], entry["hash"]
            if head is not None and head[0] > last:
                problems.append(f"it ends with number {last} and went on to {head[0]}")
        return Damage("security log: " + "; ".join(problems[:3])) if problems else None

    # --- inside -------------------------------------------------------------------------------------------

    def _files(self) -> list[Path]:
        return sorted(self._directory.glob("security-[0-9]*.jsonl"))

    def _lines(self) -> Iterator[bytes]:
        for path in self._files():
            yield from path.read_bytes().splitlines()

    def _take_up(self) -> tuple[int, str]:
        """Find the end of the chain; half a line, as a power cut leaves it, goes."""
        for path in reversed(self._files()):
            content = path.read_bytes()
            whole = content[: content.rfind(b"\n") + 1]
            if whole != content:
                _log.warning("The security log ended within a line")
                os.truncate(path, len(whole))
            for line in reversed(whole.splitlines()):
                entry = _parse(line)
                if entry is not None:
                    return entry["n"], entry["hash"]
        return 0, _BEGINNING

    def _write(self, line: bytes) -> None:
        files = self._files()
        if not files or files[-1].stat().st_size + len(line) > self._max_file_bytes:
            number = int(files[-1].stem.rpartition("-")[2]) + 1 if files else 1
            files.append(self._directory / f"security-{number:06d}.jsonl")
        descriptor = self._disk.open(files[-1], os.O_WRONLY | os.O_APPEND)
        try:
            self._disk.write(descriptor, line)
            self._disk.sync(descriptor)
        finally:
            os.close(descriptor)
        for old in files[:-MAX_FILES]:
            self._disk.remove(old)

    def _put_head(self, number: int, digest: str) -> None:
        fresh = self._directory / f"{_HEAD}.new"
        descriptor = self._disk.open(fresh, os.O_WRONLY | os.O_TRUNC)
        try:
            self._disk.write(descriptor, f"{number} {digest}\n".encode())
            self._disk.sync(descriptor)
        finally:
            os.close(descriptor)
        self._disk.replace(fresh, self._directory / _HEAD)

    def _head(self) -> tuple[int, str] | None:
        try:
            number, digest = (self._directory / _HEAD).read_text().split()
            return int(number), digest
        except (OSError, ValueError):
            return None


def _line(number: int, at: str, event: str, info: str, previous: str, is_time_known: bool) -> tuple[bytes, str]:
    body: dict[str, Any] = {"n": number, "at": at, "event": event}
    # ASCII with escapes: no text can break out of its line or steer a terminal.
    body |= {"info": info} if info else {}
    body |= {} if is_time_known else {"is_time_known": False}
    body["previous"] = previous
    digest = _digest(body)
    return json.dumps(body | {"hash": digest}, separators=(",", ":")).encode() + b"\n", digest


def _digest(body: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(body, separators=(",", ":"), sort_keys=True).encode()).hexdigest()


def _parse(line: bytes) -> dict[str, Any] | None:
    """Read a line; None when it is not as it was written."""
    try:
        entry = json.loads(line)
        body = {name: value for name, value in entry.items() if name != "hash"}
        is_sound = entry["hash"] == _digest(body) and type(entry["n"]) is int and isinstance(entry["previous"], str)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    return entry if is_sound else None


def _moment(entry: dict[str, Any]) -> float:
    try:
        return from_stamp(entry["at"]) or 0.0
    except (ValueError, KeyError, TypeError):
        return 0.0
