"""The agent's log records as entries of the journal: the text of the line, and each of its fields by name.

`journalctl -t evcharge-agent EVC_CONNECTOR=1` shows what happened at a connector, `EVC_TRANSACTION=…` in a
transaction. Fields come here after the redaction.
"""

import json
import logging
from collections.abc import Mapping, MutableMapping
from typing import Any

from evcharge_hal.host.journald import Entry, field_name
from evcharge_hal.host.message_ids import MESSAGE_IDS

IDENTIFIER = "evcharge-agent"
# What the core calls a transaction that is no longer the connector's.
_ALIASES = {"key": "transaction"}
_NO_FIELD = ("level", "exception", "event")


class JournalText(str):
    """The text of a line together with the fields it was made of."""

    __slots__ = ("fields",)
    fields: Mapping[str, str]


def render_entry(text: str, event: Mapping[str, object]) -> JournalText:
    """Return `text` with the journal's fields of `event`."""
    made = JournalText(text)
    made.fields = _fields(event)
    return made


def entry_of(formatter: logging.Formatter, record: logging.LogRecord) -> Entry:
    """Return the journal's entry for a record, whose formatter ends with `render_entry`."""
    text = formatter.format(record)
    return {"MESSAGE": str(text), **(text.fields if isinstance(text, JournalText) else {})}


def take_exception(event: MutableMapping[str, Any]) -> str:
    """Take the traceback out of `event`; it belongs to the text only."""
    exception = event.pop("exception", "")
    return str(exception) if exception else ""


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
