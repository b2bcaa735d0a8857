"""Everything the guard's core can ask of its shell. Outputs are full set-points, never deltas."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from evcharge_hal.contract.channel import EventKind, Reply
from evcharge_hal.contract.faults import FaultCode
from evcharge_hal.contract.pilot import PilotCommand


@dataclass(frozen=True, slots=True)
class Drive:
    """The outputs of one connector. The shell opens the relay before it does anything else."""

    connector: int
    is_relay_closed: bool
    is_rcm_test_active: bool
    pilot: PilotCommand


@dataclass(frozen=True, slots=True)
class Record:
    """Append a fact to the event ring, log it and send it to the agent."""

    kind: EventKind
    connector: int | None = None
    plug_id: str | None = None
    fault: FaultCode | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Remember:
    """Write the state file: what must outlive the process (DESIGN D11)."""

    latched: Mapping[int, frozenset[FaultCode]]
    """Acknowledge-only faults by connector."""
    closings: Mapping[int, int]
    """Contactor closings by connector since the board was made."""
    recent_s: Mapping[int, tuple[float, ...]] = field(default_factory=dict)
    """Monotonic times of the closings of the last ten minutes; of use within one kernel boot only."""
    testing: frozenset[int] = frozenset()
    """Connectors whose RCM self-test runs: should the process die now, the trip it then finds is its own doing."""
    acknowledged: Mapping[int, frozenset[FaultCode]] = field(default_factory=dict)
    """Faults that count as acknowledged for the car that is in, by connector."""
    coprocessor: tuple[str, int] | None = None
    """Uid and boot count of the co-processor whose start an agent has been told of."""


@dataclass(frozen=True, slots=True)
class ClearCoprocessorLatch:
    """Ask the co-processor to drop its latches."""

    connector: int


GuardEffect = Drive | Record | Remember | ClearCoprocessorLatch | Reply
