"""The guard's event ring (DESIGN D11): what an agent that was away has to know, bounded in number and in bytes.

What an agent can cause as often as it likes has a part of its own, so that it pushes out no plug and no power cut.
"""

from collections import deque
from collections.abc import Iterable

from evcharge_hal.contract.channel import EventKind, GuardEvent, write_message
from evcharge_hal.contract.faults import CATALOGUE, FaultCode, Owner

RING_EVENTS = 256
CHATTER_EVENTS = 64
# The line a Welcome makes must stay well below what the agent accepts as one line.
_REPLAY_BYTES = 48 * 1024
_LEASE = (EventKind.LEASE_LAPSED, EventKind.LEASE_SPENT)


class EventRing:
    """Keeps the newest events of each part."""

    def __init__(self) -> None:
        self._facts: deque[GuardEvent] = deque(maxlen=RING_EVENTS)
        self._chatter: deque[GuardEvent] = deque(maxlen=CHATTER_EVENTS)

    def add(self, event: GuardEvent) -> None:
        """Keep `event`; its number is higher than all before."""
        is_idle = is_chatter(event.kind, event.connector, event.fault)
        (self._chatter if is_idle else self._facts).append(event)

    def after(self, number: int) -> tuple[GuardEvent, ...]:
        """Return what came after event `number` and fits one line, in order; gaps show that some were left out."""
        facts, left_bytes = _newest(self._facts, number, _REPLAY_BYTES)
        chatter, _ = _newest(self._chatter, number, left_bytes)
        return tuple(sorted((*facts, *chatter), key=lambda event: event.number))


def is_chatter(kind: EventKind, connector: int | None, fault: FaultCode | None) -> bool:
    """Tell whether the agent can cause such an event as often as it likes; notices of a connector are about it."""
    if fault is not None:
        return CATALOGUE[fault].owner is Owner.AGENT
    return kind in _LEASE or (kind is EventKind.NOTICE and connector is not None)


def _newest(events: Iterable[GuardEvent], number: int, left_bytes: int) -> tuple[list[GuardEvent], int]:
    """Take the newest that fit; returns also how many bytes are left."""
    taken: list[GuardEvent] = []
    for event in sorted(events, key=lambda event: -event.number):
        size = len(write_message(event))
        if event.number <= number or size > left_bytes:
            break
        left_bytes -= size
        taken.append(event)
    return taken, left_bytes
