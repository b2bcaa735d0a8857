"""Log lines for journald or a terminal, written on a thread so that a stalled reader never stalls the loop."""

import logging
import os
import queue
import threading
from collections.abc import Mapping
from typing import TextIO

_WAITING_LINES = 1000
# sd-daemon(3): the number in front of a line is its syslog priority.
_PRIORITIES = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))
_DEBUG_PRIORITY = 7


class JournalFormatter(logging.Formatter):
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
        prefix = f"<{_priority(record.levelno)}>"
        return "\n".join(prefix + line for line in text.splitlines())


class BackgroundHandler(logging.Handler):
    """Formats in the caller's thread and writes in its own; drops lines when a thousand wait."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self._stream = stream
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
        while (line := self._lines.get()) is not None:
            try:
                self._stream.write(line + "\n")
                self._stream.flush()
            except (OSError, ValueError):
                return  # Nobody reads any more; there is no other place to say so.


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


def is_journal(stream: TextIO, environment: Mapping[str, str]) -> bool:
    """Tell whether `stream` is connected to journald: systemd names its device and inode in the environment."""
    named = environment.get("JOURNAL_STREAM")
    if not named:
        return False
    try:
        found = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return named == f"{found.st_dev}:{found.st_ino}"


def configure_logging(level: str, stream: TextIO, environment: Mapping[str, str]) -> BackgroundHandler:
    """Send all log records to `stream`; the caller closes the handler at the end."""
    handler = BackgroundHandler(stream)
    handler.setFormatter(JournalFormatter(has_priority=is_journal(stream, environment)))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    return handler


def _priority(level: int) -> int:
    for at_least, priority in _PRIORITIES:
        if level >= at_least:
            return priority
    return _DEBUG_PRIORITY
