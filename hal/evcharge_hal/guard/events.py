"""Everything the guard's core can be told, one class for each fact from outside."""

from dataclasses import dataclass

from evcharge_hal.contract.channel import ClearFault, RaiseFault, SetPoint, Unlock
from evcharge_hal.contract.pilot import LinkDown, LinkIncompatible, LinkUp, PilotReport


@dataclass(frozen=True, slots=True)
class LinesRead:
    """The digital inputs of one connector, read together, on every change and at least once a second."""

    connector: int
    is_contactor_closed: bool | None
    """Mirror contact; None on a board without feedback."""
    is_rcm_tripped: bool


@dataclass(frozen=True, slots=True)
class TimePassed:
    """`next_deadline_s` was reached, or simply time went by."""


@dataclass(frozen=True, slots=True)
class AgentHeard:
    """An agent that was welcomed has spoken: what the guard told before has reached it."""


@dataclass(frozen=True, slots=True)
class LeaveOrdered:
    """The process is going to end: every car is stopped in order, and no wish counts any more."""


GuardInput = (
    LinkUp
    | LinkDown
    | LinkIncompatible
    | PilotReport
    | LinesRead
    | SetPoint
    | RaiseFault
    | ClearFault
    | Unlock
    | TimePassed
    | AgentHeard
    | LeaveOrdered
)
