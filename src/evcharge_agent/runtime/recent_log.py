"""The last lines of the log, in memory: what a support person or a central system is sent.

Bounded, so that no flood grows it; not on the disk, which spares the card. The lines pass the same redaction as
everything that is logged.
"""

import collections
import logging
import time
from collections.abc import Callable

import structlog

from evcharge_agent.runtime.redaction import redact_event

MAX_LINES = 5000
MAX_LINE = 2000
"""Characters."""
MAX_CHARACTERS = 1_500_000
"""Of all lines together: half a percent of a small board's memory."""


class RecentLog(logging.Handler):
    """Keeps the newest lines with their monotonic time: what the clock learns later counts for them, too."""

    def __init__(self, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._monotonic_s = monotonic_s
        self._lines: collections.deque[tuple[float, str]] = collections.deque()
        self._characters = 0
        self.setFormatter(
            structlog.stdlib.ProcessorFormatter(
                foreign_pre_chain=[
                    structlog.stdlib.add_log_level,
                    structlog.stdlib.add_logger_name,
                    structlog.stdlib.PositionalArgumentsFormatter(),
                    redact_event,
                ],
                processors=[
                    structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                    structlog.processors.format_exc_info,
                    structlog.processors.JSONRenderer(default=str),
                ],
            )
        )

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one record; one that cannot be shown is told to the handler's own error path."""
        try:
            text = self.format(record)
        except Exception:  # noqa: BLE001 - the interface of the standard library's handlers
            self.handleError(record)
        else:
            self._keep(text[:MAX_LINE])

    def _keep(self, text: str) -> None:
        """Keep the line, at the expense of the oldest. Handlers are called one at a time."""
        self._lines.append((self._monotonic_s(), text))
        self._characters += len(text)
        while len(self._lines) > MAX_LINES or self._characters > MAX_CHARACTERS:
            self._characters -= len(self._lines.popleft()[1])

    def lines(self) -> list[tuple[float, str]]:
        """Monotonic time and text, oldest first."""
        return list(self._lines)


def keep_recent_lines() -> RecentLog:
    """From now on keep what is logged; replaces one that was kept before."""
    root = logging.getLogger()
    for handler in [one for one in root.handlers if isinstance(one, RecentLog)]:
        root.removeHandler(handler)
    recent = RecentLog()
    root.addHandler(recent)
    return recent
