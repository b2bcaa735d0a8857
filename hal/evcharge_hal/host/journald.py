"""journald's native protocol without a library: one datagram of fields for each log record.

systemd.io/JOURNAL_NATIVE_PROTOCOL: `NAME=value` lines; a value with a line break has its name on a line, then its
length as 64 bits little-endian, then itself. Sending never waits: a journal that is behind loses lines, counted.
"""

import contextlib
import logging
import os
import re
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TextIO

JOURNAL_SOCKET = Path("/run/systemd/journal/socket")
STREAM_VARIABLE = "JOURNAL_STREAM"
PREFIX = "EVC_"
# sd-daemon(3): syslog priorities.
_PRIORITIES = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))
_DEBUG_PRIORITY = 7
_LONGEST_VALUE = 32 * 1024
_LONGEST_NAME = 64
_SEND_BUFFER_BYTES = 1024 * 1024
_NOT_IN_A_NAME = re.compile(r"[^A-Z0-9_]")

Entry = Mapping[str, str]


def encode_entry(entry: Entry) -> bytes:
    """Return the datagram for `entry`; names must be journal field names (`field_name` makes them)."""
    parts = []
    for name, text in entry.items():
        value = text[:_LONGEST_VALUE].encode("utf-8", "backslashreplace")
        if b"\n" in value:
            parts.append(name.encode() + b"\n" + len(value).to_bytes(8, "little") + value + b"\n")
        else:
            parts.append(name.encode() + b"=" + value + b"\n")
    return b"".join(parts)


def field_name(name: str) -> str:
    """Return the journal's name for one of our fields: `connector` is EVC_CONNECTOR."""
    return PREFIX + _NOT_IN_A_NAME.sub("_", name.upper())[: _LONGEST_NAME - len(PREFIX)]


def priority(level: int) -> int:
    """Return the syslog priority of a level of `logging`."""
    for at_least, number in _PRIORITIES:
        if level >= at_least:
            return number
    return _DEBUG_PRIORITY


def is_journal(stream: TextIO, environment: Mapping[str, str]) -> bool:
    """Tell whether `stream` is connected to journald: systemd names its device and inode in the environment."""
    named = environment.get(STREAM_VARIABLE)
    if not named:
        return False
    try:
        found = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return named == f"{found.st_dev}:{found.st_ino}"


class JournalSocket:
    """A way to the journal."""

    def __init__(self, path: Path = JOURNAL_SOCKET) -> None:
        """Connect.

        Raises:
            OSError: no journal listens there.
        """
        self._path = path
        self._socket = _connect(path)

    def send(self, entry: Entry) -> bool:
        """Send one entry now; False when the journal does not take it."""
        datagram = encode_entry(entry)
        try:
            self._socket.send(datagram)
        except BlockingIOError:
            return False
        except OSError:
            return self._send_anew(datagram)
        return True

    def close(self) -> None:
        """Give the socket back."""
        self._socket.close()

    def _send_anew(self, datagram: bytes) -> bool:
        """Connect again to a journald that was restarted: it listens under the same name again."""
        with contextlib.suppress(OSError):
            fresh = _connect(self._path)
            self._socket.close()
            self._socket = fresh
            self._socket.send(datagram)
            return True
        return False


class JournaldHandler(logging.Handler):
    """Sends each record as the fields `entry_of` makes of it; says afterwards how many were lost."""

    def __init__(self, journal: JournalSocket, identifier: str, entry_of: Callable[[logging.LogRecord], Entry]) -> None:
        super().__init__()
        self._journal = journal
        self._identifier = identifier
        self._entry_of = entry_of
        self._lost = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Send one record; logging calls this under the handler's lock."""
        try:
            own = self._entry_of(record)
        except Exception:  # noqa: BLE001 - as every handler of the library: a log call never fails its caller
            self.handleError(record)
            return
        if self._lost and self._send(logging.WARNING, {"MESSAGE": f"({self._lost} lines were lost here)"}):
            self._lost = 0
        if not self._send(record.levelno, own):
            self._lost += 1

    def close(self) -> None:
        """Give the socket back."""
        self._journal.close()
        super().close()

    def _send(self, level: int, own: Entry) -> bool:
        return self._journal.send({"PRIORITY": str(priority(level)), "SYSLOG_IDENTIFIER": self._identifier, **own})


def _connect(path: Path) -> socket.socket:
    made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
        made.connect(str(path))
    except OSError:
        made.close()
        raise
    return made
