"""What the guard's core remembers, grouped by concern. Times are host monotonic seconds.

A `since` or `at` is compared as `now_s >= at_s + duration_s`, everywhere in the same form as in
`core.next_deadline_s`, so that waking exactly at a deadline always finds it passed.
"""

import enum
from collections.abc import Mapping
from dataclasses import dataclass

from evcharge_hal.boards.board import Board, ConnectorSection
from evcharge_hal.contract.channel import Ceiling, LeaseState, SetPoint
from evcharge_hal.contract.faults import FaultCode
from evcharge_hal.contract.pilot import CoprocessorIdentity, PilotReport
from evcharge_hal.guard.effects import Drive
from evcharge_hal.guard.sequence import SequenceState


@dataclass(frozen=True, slots=True)
class LinkView:
    """The co-processor as a whole."""

    since_s: float
    """When the link came up or went down; the start of the guard before the first handshake."""
    identity: CoprocessorIdentity | None = None
    is_up: bool = False
    is_incompatible: bool = False


@dataclass(frozen=True, slots=True)
class PilotView:
    """What one connector's reports add up to."""

    report: PilotReport | None = None
    """The latest; None until the first after a handshake with a co-processor that has booted."""
    state_since_s: float = 0.0
    """When the first of the reports that agree on `report.state` came."""
    x2_reports: int = 0
    """Consecutive reports with PWM on."""
    good_lows: int = 0
    """Consecutive reports with PWM on and the low half at -12 V."""
    plug_id: str | None = None
    plugged_s: float = 0.0
    cable_a: float | None = None
    """What the plugged cable carries; None until its resistor is known."""
    lost_s: float | None = None
    """Since when there is no fresh word; None while there is."""


class RcmPhase(enum.Enum):
    """Progress of the residual current monitor's self-test."""

    IDLE = "idle"
    TRIPPING = "tripping"
    """The test current flows; the input must trip."""
    RELEASING = "releasing"
    """The test current is off; the input must clear."""


@dataclass(frozen=True, slots=True)
class RcmView:
    """The residual current monitor."""

    is_tripped: bool = False
    read_s: float | None = None
    """When the digital inputs were last read; None: never."""
    phase: RcmPhase = RcmPhase.IDLE
    phase_s: float = 0.0
    tested_plug_id: str | None = None
    """Plug the running test is for; None: its result is of no use."""
    passed_plug_id: str | None = None
    passed_s: float = 0.0
    has_failed: bool = False
    """The test failed in this very turn."""


@dataclass(frozen=True, slots=True)
class ContactorView:
    """The contactor as driven and as it answers."""

    is_driven: bool
    """The relay line is closed."""
    driven_s: float
    """When the relay line last changed."""
    total: int
    """Closings since the board was made."""
    recent_s: tuple[float, ...] = ()
    """Closings of the last ten minutes."""
    is_closed: bool | None = None
    """Feedback; None on a board without, and until the first reading."""
    changed_s: float = 0.0
    """When the feedback last changed."""


@dataclass(frozen=True, slots=True)
class LeaseView:
    """The agent's word for the plug that is in."""

    set_point: SetPoint | None = None
    received_s: float = 0.0
    unbroken_s: float = 0.0
    """Since when the lease has been held without a gap."""
    hold_used_s: float = 0.0
    """Spent of the hold budget by earlier gaps."""
    state: LeaseState = LeaseState.NONE
    noticed_plug_id: str | None = None
    """Stale plug that has already been noticed."""


@dataclass(frozen=True, slots=True)
class OfferView:
    """What the pilot says, and why not more."""

    x1_since_s: float
    offered_a: float = 0.0
    raised_s: float = float("-inf")
    peak_a: float = 0.0
    """Highest offer the car may still be following."""
    peak_until_s: float = 0.0
    ceilings: tuple[Ceiling, ...] = ()
    phases: int = 3


@dataclass(frozen=True, slots=True)
class LockView:
    """The connector lock as driven."""

    is_driven: bool = False
    """Driven closed."""
    is_wanted: bool = False
    """The plug has to be held."""
    tries: int = 0
    """Tries of the present wish that came to nothing."""
    moved_s: float = float("-inf")
    """When the drive or the wish last changed."""
    seen_s: float = float("-inf")
    """When it was last reported closed."""
    request: int | None = None
    """An `Unlock` that waits for its answer."""
    asked_s: float = float("-inf")


@dataclass(frozen=True, slots=True)
class LatchedFault:
    """One fault that is in force."""

    raised_s: float
    is_present: bool
    """The cause is there."""
    gone_s: float = 0.0
    """When the cause went; of no meaning while it is there."""


@dataclass(frozen=True, slots=True)
class SequenceView:
    """Where the sequence stands."""

    state: SequenceState
    since_s: float
    plug_id: str | None = None
    """Plug the sequence runs for."""
    stop_by_s: float = float("inf")
    """When STOPPING opens under load."""
    latch_cleared_s: float = float("-inf")
    """When the co-processor was last asked to drop its latches."""
    drive: Drive | None = None
    """Outputs as last given to the shell; None: never."""


@dataclass(frozen=True, slots=True)
class ConnectorState:
    """One connector, grouped by concern."""

    section: ConnectorSection
    pilot: PilotView
    contactor: ContactorView
    rcm: RcmView
    lease: LeaseView
    offer: OfferView
    faults: Mapping[FaultCode, LatchedFault]
    sequence: SequenceView
    acknowledged: frozenset[FaultCode] = frozenset()
    """Faults that count as acknowledged for the car that is in."""
    lock: LockView = LockView()

    def with_pilot(self, pilot: PilotView) -> "ConnectorState":
        """The same with another view of the pilot; see `GuardState.with_connectors`."""
        return ConnectorState(
            self.section,
            pilot,
            self.contactor,
            self.rcm,
            self.lease,
            self.offer,
            self.faults,
            self.sequence,
            self.acknowledged,
            self.lock,
        )


@dataclass(frozen=True, slots=True)
class GuardState:
    """Everything the guard's core knows."""

    board: Board
    started_s: float
    stepped_s: float
    link: LinkView
    connectors: tuple[ConnectorState, ...]
    known_boot: tuple[str, int] | None = None
    """Uid and boot count of the co-processor as last met; at first the one an agent has been told of."""
    told_boot: tuple[str, int] | None = None
    """The same, once an agent knows whether the power was away; remembered, so that no power loss goes untold."""
    is_leaving: bool = False
    """The process is going to end; no wish counts any more."""
    decided_s: float = float("-inf")
    """When all connectors were last decided about."""
    due_s: float = float("-inf")
    """The next deadline of any of them; until then a connector without a new fact decides as it did."""

    def with_connectors(self, connectors: tuple[ConnectorState, ...]) -> "GuardState":
        """The same with other connectors. Twenty times a second: `dataclasses.replace` takes four times as long."""
        return GuardState(
            self.board,
            self.started_s,
            self.stepped_s,
            self.link,
            connectors,
            self.known_boot,
            self.told_boot,
            self.is_leaving,
            self.decided_s,
            self.due_s,
        )


@dataclass(frozen=True, slots=True)
class Situation:
    """One connector with all a decision about it may look at."""

    board: Board
    link: LinkView
    connector: ConnectorState
    started_s: float
    now_s: float

    def about(self, connector: ConnectorState) -> "Situation":
        """The same instant with another connector, or with this one as it has become."""
        if connector is self.connector:
            return self
        return Situation(self.board, self.link, connector, self.started_s, self.now_s)
