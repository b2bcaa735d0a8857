"""Log output: readable on a terminal, entries with fields or `<prio>`-prefixed lines for journald, or JSON lines.

The standard library's loggers (ours, websockets', pymodbus') and the core's notes pass the same processors,
so nothing gets around the redaction of named fields.
"""

import enum
import json
import logging
import os
import sys
from collections.abc import Mapping, MutableMapping
from functools import partial
from pathlib import Path
from typing import Any, TextIO

# structlog imports rich wherever that is installed: 4 MB for coloured tracebacks a daemon never shows. A module
# that is None counts as not installed.
_is_rich_held_back = sys.modules.setdefault("rich", None) is None  # type: ignore[arg-type]
import structlog  # noqa: E402 - after the line above

if _is_rich_held_back:
    del sys.modules["rich"]

from evcharge_agent.core.effects import Level, Note  # noqa: E402
from evcharge_agent.runtime import journald  # noqa: E402
from evcharge_agent.runtime.redaction import redact_event  # noqa: E402
from evcharge_hal.contract.schema import encode  # noqa: E402
from evcharge_hal.host.journald import (  # noqa: E402
    JOURNAL_SOCKET,
    STREAM_VARIABLE,
    JournaldHandler,
    JournalSocket,
    is_journal,
)

_LEVELS = {
    Level.DEBUG: logging.DEBUG,
    Level.INFO: logging.INFO,
    Level.WARNING: logging.WARNING,
    Level.ERROR: logging.ERROR,
}
_PRIORITIES = {"debug": 7, "info": 6, "warning": 4, "error": 3, "critical": 2}
"""syslog priorities, as journald reads them (sd-daemon(3))."""
_RESERVED = ("event", "level", "logger", "timestamp", "exc_info", "exception", "stack_info", "positional_args")
_NOT_SHOWN = ("event", "level", "logger")
_QUIET_LOGGERS = ("asyncio", "websockets", "ocpp", "uvicorn")
_LONGEST_SUBJECT = 2000


class LogStyle(enum.Enum):
    """How a line looks."""

    CONSOLE = "console"
    JOURNAL = "journal"
    """Lines with a priority in front, for the standard error of a service."""
    NATIVE = "native"
    """Entries with fields over the journal's own socket."""
    JSON = "json"


def configure_logging(
    level: str = "info",
    style: LogStyle | None = None,
    stream: TextIO | None = None,
    journal_path: Path = JOURNAL_SOCKET,
) -> None:
    """Send all logs to `stream` (stderr), or where that is the journal, to the journal itself.

    Without a style, a stream that systemd set up gets its priorities, all else is for people.

    Raises:
        ValueError: there is no such level.
    """
    stream = stream if stream is not None else sys.stderr
    journal = _journal(journal_path) if style is LogStyle.NATIVE or (style is None and _is_journal(stream)) else None
    if style is None or (style is LogStyle.NATIVE and journal is None):
        # systemd sets this for a service whose output goes to the journal (systemd.exec(5)).
        style = LogStyle.JOURNAL if STREAM_VARIABLE in os.environ else LogStyle.CONSOLE
    style = style if journal is None else LogStyle.NATIVE
    shared: list[Any] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.PositionalArgumentsFormatter(),
        redact_event,
    ]
    if style not in (LogStyle.JOURNAL, LogStyle.NATIVE):
        shared.append(structlog.processors.TimeStamper(fmt="iso", utc=True))
    entries = journald.EntryRenderer(_line)
    renderers = [structlog.processors.format_exc_info, entries] if journal else _renderers(style, stream)
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderers],
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    root.handlers[:] = [
        _handler(stream, formatter) if journal is None else _native_handler(formatter, journal, entries)
    ]
    root.setLevel(level.upper())
    for name in _QUIET_LOGGERS:
        logging.getLogger(name).setLevel(max(root.level, logging.WARNING))


def _is_journal(stream: TextIO) -> bool:
    return is_journal(stream, os.environ)


def _journal(path: Path) -> JournalSocket | None:
    try:
        return JournalSocket(path)
    except OSError:
        return None  # lines with a priority do as well


def _handler(stream: TextIO, formatter: logging.Formatter) -> logging.Handler:
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter)
    return handler


def _native_handler(
    formatter: logging.Formatter, journal: JournalSocket, entries: journald.EntryRenderer
) -> logging.Handler:
    return JournaldHandler(journal, journald.IDENTIFIER, partial(entries.entry_of, formatter))


def _renderers(style: LogStyle, stream: TextIO) -> list[Any]:
    if style is LogStyle.CONSOLE:
        plain = structlog.dev.plain_traceback
        return [structlog.dev.ConsoleRenderer(colors=stream.isatty(), exception_formatter=plain)]
    if style is LogStyle.JSON:
        return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(default=str)]
    return [structlog.processors.format_exc_info, render_journal_line]


def render_journal_line(_logger: object, _method: str, event: MutableMapping[str, Any]) -> str:
    """Render `<prio>event key=value …`; every further line of a traceback has the prefix too."""
    prefix = f"<{_PRIORITIES.get(str(event.pop('level', 'info')), 6)}>"
    exception = str(event.pop("exception", ""))
    return "\n".join(prefix + line for line in (_line(event), *exception.splitlines()))


def _line(event: Mapping[str, Any]) -> str:
    name = event.get("logger")
    fields = " ".join(f"{key}={_shown(event[key])}" for key in event if key not in _NOT_SHOWN)
    # Texts from outside may hold line breaks: one event is one line, whatever they say.
    text = str(event.get("event", "")).replace("\n", " ⏎ ").replace("\r", " ")
    return " ".join(part for part in (text, fields, f"logger={_shown(name)}" if name else "") if part)


def _shown(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)
    if isinstance(value, str) and (not text or not text.isprintable() or any(mark in text for mark in ' ="')):
        return json.dumps(value, ensure_ascii=False)
    return text


class StructuredJournal:
    """Writes the core's notes and our bugs; see `journal.Journal`."""

    def __init__(self) -> None:
        self._logger = structlog.stdlib.get_logger("evcharge_agent.core")

    def note(self, note: Note) -> None:
        """Write one note with its fields."""
        fields = {"connector": note.connector, "transaction": note.transaction, **_plain(note.fields)}
        self._logger.log(_LEVELS[note.level], note.event, **{k: v for k, v in fields.items() if v is not None})

    def bug(self, doing: str, subject: object, error: BaseException) -> None:
        """Write a mistake of ours with its traceback and what was being worked on."""
        # Encoded, not printed: so that the redaction sees the names of the fields in it.
        shown = encode(subject)
        if len(str(shown)) > _LONGEST_SUBJECT:
            shown = "too long to show"
        self._logger.error("bug", doing=doing, subject_type=type(subject).__name__, subject=shown, exc_info=error)


def _plain(fields: Mapping[str, object]) -> dict[str, object]:
    """Plain data, under names that do not hide the logger's own."""
    return {f"{name}_" if name in _RESERVED else name: encode(value) for name, value in fields.items()}
