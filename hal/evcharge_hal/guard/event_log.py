"""The guard's events in the journal."""

import logging

from evcharge_hal.contract.channel import EventKind
from evcharge_hal.guard.effects import Record
from evcharge_hal.guard.journal import EVENT_ATTRIBUTE, Throttle
from evcharge_hal.guard.ring import is_chatter

_WARNINGS = frozenset({EventKind.FAULT_RAISED, EventKind.COPROCESSOR_LOST, EventKind.NOTICE, EventKind.LEASE_LAPSED})
_log = logging.getLogger(__name__)


def log_event(record: Record, throttle: Throttle, now_s: float) -> None:
    """Write an event to the journal; what the agent can repeat at will only as often as `throttle` admits."""
    key = f"{record.kind.value} {record.connector} {record.fault}"
    if is_chatter(record.kind, record.connector, record.fault) and not throttle.admits(key, now_s):
        return
    fault = None if record.fault is None else record.fault.value
    fields = {"event": record.kind.value, "connector": record.connector, "plug_id": record.plug_id, "fault": fault}
    _log.log(
        logging.WARNING if record.kind in _WARNINGS else logging.INFO,
        *("connector %s: %s%s %s", record.connector or "-", record.kind.value, f" {fault}" if fault else ""),
        record.detail,
        extra={EVENT_ATTRIBUTE: fields},
    )
