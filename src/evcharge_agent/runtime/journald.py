"""The agent's log records as entries of the journal: the text of the line, and each of its fields by name.

`journalctl -t evcharge-agent EVC_CONNECTOR=1` shows what happened at a connector, `EVC_TRANSACTION=…` in a
transaction. Fields come here after the redaction.
"""

import json
import logging
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any

from evcharge_hal.host.journald import Entry, field_name
from evcharge_hal.host.message_ids import MESSAGE_IDS

IDENTIFIER = "evcharge-agent"
# What the core calls a transaction that is no longer the connector's.
_ALIASES = {"key": "transaction"}
_NO_FIELD = ("level", "event")


class EntryRenderer:
    """The last processor of a formatter for the journal: gives the text on, keeps the fields for `entry_of`.

    A formatter of the standard library returns nothing but text. One record is formatted at a time: logging calls a
    handler under the handler's lock.
    """

    def __init__(self, render_text: Callable[[MutableMapping[str, Any]], str]) -> None:
        self._render_text = render_text
        self._fields: Mapping[str, str] = {}

    def __call__(self, _logger: object, _method: str, event: MutableMapping[str, Any]) -> str:
        """Render one event; a traceback follows the text."""
        exception = str(event.pop("exception", "") or "").rstrip()
        self._fields = _fields(event)
        return "\n".join(filter(None, (self._render_text(event), exception)))

    def entry_of(self, formatter: logging.Formatter, record: logging.LogRecord) -> Entry:
        """Return the journal's entry for a record; `formatter` ends with this renderer."""
        return {"MESSAGE": formatter.format(record), **self._fields}


def _fields(event: Mapping[str, object]) -> dict[str, str]:
    name = str(event.get("event", ""))
    fields = {"MESSAGE_ID": MESSAGE_IDS[name]} if name in MESSAGE_IDS else {}
    # A text with blanks is a sentence of the standard library's logging, not the name of an event.
    if name.isidentifier():
        fields[field_name("event")] = name
    for key, value in event.items():
        if key not in _NO_FIELD and value is not None:
            fields.setdefault(field_name(_ALIASES.get(key, key)), _text(value))
    return fields


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)
