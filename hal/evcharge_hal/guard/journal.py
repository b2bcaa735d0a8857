"""Log lines for journald or a terminal; whoever reads them, a stalled reader never stalls the loop.

journald gets entries with fields over its socket, which never waits. Where that cannot be had, lines with a priority
or for a terminal are written by a thread.
"""

import contextlib
import logging
import os
import queue
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

from evcharge_hal.host.journald import (
    JOURNAL_SOCKET,
    Entry,
    JournaldHandler,
    JournalSocket,
    field_name,
    is_journal,
    priority,
)
from evcharge_hal.host.message_ids import MESSAGE_IDS

IDENTIFIER = "evcharge-guard"
EVENT_ATTRIBUTE = "evcharge_event"
"""`extra={EVENT_ATTRIBUTE: {…}}` gives a record fields of its own; `event` names what happened."""
_WAITING_LINES = 1000


class _PlainFormatter(logging.Formatter):
    """Escapes what would begin a line or move a cursor: names and ids come from peers as they please."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the library's name
        record.message = escape_controls(record.message)
        return super().formatMessage(record)

    def formatException(self, ei: Any) -> str:  # noqa: N802 - same
        return "\n".join(map(escape_controls, super().formatException(ei).split("\n")))


def escape_controls(text: str) -> str:
    """Return `text` with control characters, line separators and direction marks as Python would write them."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


class JournalFormatter(_PlainFormatter):
    """One line per record; with `has_priority` every line starts with `<prio>` for journald."""

    def __init__(self, *, has_priority: bool) -> None:
        text = "%(name)s: %(message)s"
        super().__init__(text if has_priority else "%(asctime)s %(levelname)-7s " + text)
        self._has_priority = has_priority

    def format(self, record: logging.LogRecord) -> str:
        """Return the line; a traceback, which only debug records have, keeps the priority on each of its lines."""
        text = super().format(record)
        if not self._has_priority:
            return text
        prefix = f"<{priority(record.levelno)}>"
        return "\n".join(prefix + line for line in text.splitlines())


class BackgroundHandler(logging.Handler):
    """Formats in the caller's thread and writes in its own; drops lines when a thousand wait."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self._stream = stream
        # Whoever writes to a stream holds its lock, and the interpreter takes that lock at its end: with a reader
        # that stopped it would never end. So the thread writes past the stream, to a descriptor of its own.
        self._fd = _own_descriptor(stream)
        self._dropped = 0
        # None ends the thread.
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        """Queue a line."""
        if self._lines.qsize() >= _WAITING_LINES:
            self._dropped += 1
            return
        if self._dropped:
            self._lines.put(f"({self._dropped} lines were dropped here)")
            self._dropped = 0
        self._lines.put(self.format(record))

    def close(self) -> None:
        """Write what waits, for at most a second, and end the thread."""
        self._lines.put(None)
        self._thread.join(1.0)
        super().close()

    def _run(self) -> None:
        # An error means that nobody reads any more; there is no other place to say so.
        with contextlib.suppress(OSError, ValueError):
            while (line := self._lines.get()) is not None:
                self._write(line + "\n")
        if self._fd is not None:
            os.close(self._fd)

    def _write(self, text: str) -> None:
        if self._fd is None:
            self._stream.write(text)
            return
        rest = memoryview(text.encode("utf-8", "backslashreplace"))
        while rest:
            rest = rest[os.write(self._fd, rest) :]


def _own_descriptor(stream: TextIO) -> int | None:
    """Return a descriptor for what `stream` writes to, None for one that exists in memory only."""
    try:
        stream.flush()
        return os.dup(stream.fileno())
    except (OSError, ValueError):
        return None


class Throttle:
    """Lets one line per `every_s` through for each key, so that a noisy peer cannot fill the journal."""

    def __init__(self, every_s: float) -> None:
        self._every_s = every_s
        self._last_s: dict[str, float] = {}

    def admits(self, key: str, now_s: float) -> bool:
        """Tell whether a line about `key` may be written now. Keys come from us, never from a peer."""
        last_s = self._last_s.get(key)
        if last_s is not None and now_s - last_s < self._every_s:
            return False
        self._last_s[key] = now_s
        return True


def journal_entry(record: logging.LogRecord) -> Entry:
    """Return what the journal keeps of a record: its text, and as fields what its event says of itself."""
    own: Mapping[str, object] = getattr(record, EVENT_ATTRIBUTE, {})
    entry = {"MESSAGE": _PLAIN.format(record), "EVC_LOGGER": record.name}
    message_id = MESSAGE_IDS.get(str(own.get("event")))
    if message_id is not None:
        entry["MESSAGE_ID"] = message_id
    return entry | {field_name(name): escape_controls(str(value)) for name, value in own.items() if value is not None}


def configure_logging(
    level: str, stream: TextIO, environment: Mapping[str, str], journal_path: Path = JOURNAL_SOCKET
) -> logging.Handler:
    """Send all log records to `stream`, or to the journal itself where `stream` leads there.

    The caller closes the handler at the end.
    """
    is_for_journal = is_journal(stream, environment)
    handler = _native_handler(journal_path) if is_for_journal else None
    if handler is None:
        handler = BackgroundHandler(stream)
        handler.setFormatter(JournalFormatter(has_priority=is_for_journal))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    return handler


def _native_handler(journal_path: Path) -> logging.Handler | None:
    try:
        return JournaldHandler(JournalSocket(journal_path), IDENTIFIER, journal_entry)
    except OSError:
        return None  # lines with a priority do as well


_PLAIN = _PlainFormatter("%(message)s")
