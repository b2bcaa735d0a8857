"""What has to hold before the contactor closes, in the order in which it is reported, and the sequence's signal.

Hardware.md 6: "never close unless ...". Each condition is one row; the first row that holds the contactor back
is the connector's wait reason (`contract.channel.Wait`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from evcharge_hal.boards.board import Lock
from evcharge_hal.contract.channel import LeaseState, Wait
from evcharge_hal.contract.faults import CATALOGUE, Severity
from evcharge_hal.contract.pilot import PilotOutput, PilotReport, PilotState
from evcharge_hal.contract.units import offer_or_pause_a
from evcharge_hal.guard.ceilings import lease_limit_a
from evcharge_hal.guard.deadlines import (
    C_DEBOUNCE_S,
    CLOSINGS_WINDOW_S,
    DIODE_LOWS_NEEDED,
    LINES_AGE_MAX_S,
    NO_CLOSE_AFTER_START_S,
    PERMIT_OFF_S,
    PERMIT_WAIT_S,
    SAMPLE_AGE_MAX_S,
    WELD_CHECK_S,
)
from evcharge_hal.guard.locking import read_position
from evcharge_hal.guard.rcm_test import is_passed
from evcharge_hal.guard.sequence import SequenceState, Signal
from evcharge_hal.guard.state import ContactorView, Situation


@dataclass(frozen=True, slots=True)
class Hold:
    """One condition; `is_holding` is true while it keeps the contactor open."""

    wait: Wait
    is_holding: Callable[[Situation], bool]


def has_stopping_fault(situation: Situation) -> bool:
    """A fault worse than a warning is in force."""
    faults = situation.connector.faults
    return bool(faults) and any(CATALOGUE[code].severity is not Severity.WARNING for code in faults)


def is_sample_stale(situation: Situation) -> bool:
    """The pilot sample is 300 ms old or older (DESIGN 4b, security.md H1)."""
    report = situation.connector.pilot.report
    if report is None or not situation.link.is_up:
        return True
    # An age that is no number is no proof of freshness.
    is_fresh = situation.now_s < stale_s(report)
    return not is_fresh


def stale_s(report: PilotReport) -> float:
    """When the sample is too old to close on; one from the future is as old as its frame."""
    return report.received_s - max(report.sample_age_s, 0.0) + SAMPLE_AGE_MAX_S


def is_coprocessor_latched(situation: Situation) -> bool:
    """The co-processor would not permit, or missed us and has not seen permit 0 yet."""
    report = situation.connector.pilot.report
    return report is None or bool(report.latched.value | report.active.value)


def lacks_fresh_edge(situation: Situation) -> bool:
    """A permit counts only as the answer to a 0-to-1 edge of ours (DESIGN D2)."""
    connector = situation.connector
    if connector.sequence.state is not SequenceState.REQUESTED or connector.pilot.report is None:
        return False
    return connector.pilot.report.is_permitted or situation.now_s < connector.sequence.since_s + PERMIT_OFF_S


def is_starting_up(situation: Situation) -> bool:
    """The first seconds of the guard (security.md H14)."""
    return situation.now_s < situation.started_s + NO_CLOSE_AFTER_START_S


def has_no_lease(situation: Situation) -> bool:
    """Only a held lease closes; a lapsed one never does (DESIGN D2)."""
    return situation.connector.lease.state is not LeaseState.HELD


def is_not_permitted(situation: Situation) -> bool:
    """The agent does not let energy flow."""
    set_point = situation.connector.lease.set_point
    return set_point is None or not set_point.permission


def has_no_current(situation: Situation) -> bool:
    """Some limit leaves less than the 6 A a pilot can state."""
    connector = situation.connector
    limits = (ceiling.limit_a for ceiling in connector.offer.ceilings)
    return offer_or_pause_a(min(lease_limit_a(connector), *limits)) == 0.0


def is_rcm_unproven(situation: Situation) -> bool:
    """The self-test has not been passed, or the input is not known to be healthy now."""
    rcm = situation.connector.rcm
    is_unread = rcm.read_s is None or situation.now_s >= rcm.read_s + LINES_AGE_MAX_S
    return not is_passed(situation) or is_unread or rcm.is_tripped


def is_unlocked(situation: Situation) -> bool:
    """A lock that is fitted is closed before the contactor (DESIGN D13)."""
    connector = situation.connector
    return connector.section.lock is not Lock.NONE and read_position(connector) is not True


def is_contact_unproven(situation: Situation) -> bool:
    """The feedback does not say open, or the weld check after the last opening is not over yet."""
    contactor = situation.connector.contactor
    if contactor.is_driven:
        return False
    return contactor.is_closed is True or situation.now_s < contactor.driven_s + WELD_CHECK_S


def is_reclose_guarded(situation: Situation) -> bool:
    """Contactor wear: seconds between closings, and closings in ten minutes (security.md H16)."""
    thresholds = situation.board.thresholds
    return situation.now_s < reclose_s(
        situation.connector.contactor, thresholds.reclose_after_s, thresholds.closings_per_10_min
    )


def reclose_s(contactor: ContactorView, reclose_after_s: float, closings_per_10_min: int) -> float:
    """When the wear guard lets the contactor close again."""
    recent_s = contactor.recent_s
    if not recent_s:
        return float("-inf")
    after_s = recent_s[-1] + reclose_after_s
    if len(recent_s) < closings_per_10_min:
        return after_s
    return max(after_s, recent_s[-closings_per_10_min] + CLOSINGS_WINDOW_S)


def is_c_unproven(situation: Situation) -> bool:
    """C is not debounced, or the pilot does not say so under PWM (C2)."""
    pilot = situation.connector.pilot
    report = pilot.report
    if report is None or report.state is not PilotState.C or report.output is not PilotOutput.X2:
        return True
    return report.received_s < pilot.state_since_s + C_DEBOUNCE_S


def is_diode_unproven(situation: Situation) -> bool:
    """Too few lows at -12 V since PWM was switched on."""
    return situation.connector.pilot.good_lows < DIODE_LOWS_NEEDED


HOLDS = (
    Hold(Wait.FAULT, has_stopping_fault),
    Hold(Wait.COPROCESSOR, is_sample_stale),
    Hold(Wait.COPROCESSOR, is_coprocessor_latched),
    Hold(Wait.START_UP, is_starting_up),
    Hold(Wait.NO_LEASE, has_no_lease),
    Hold(Wait.NOT_PERMITTED, is_not_permitted),
    Hold(Wait.NO_CURRENT, has_no_current),
    Hold(Wait.RCM_SELF_TEST, is_rcm_unproven),
    Hold(Wait.LOCK, is_unlocked),
    Hold(Wait.RECLOSE_GUARD, is_contact_unproven),
    Hold(Wait.RECLOSE_GUARD, is_reclose_guarded),
    Hold(Wait.VEHICLE, is_c_unproven),
    Hold(Wait.VEHICLE, is_diode_unproven),
    Hold(Wait.COPROCESSOR, lacks_fresh_edge),
)

_UNDER_WAY = (SequenceState.PERMITTING, SequenceState.CLOSING, SequenceState.CHARGING)


def find_wait(situation: Situation, holds: Sequence[Hold] = HOLDS) -> Wait | None:
    """Why no energy flows although a car is there; None while it does or may."""
    connector = situation.connector
    if connector.pilot.plug_id is None or connector.sequence.state in _UNDER_WAY:
        return None
    for hold in holds:
        if hold.is_holding(situation):
            return hold.wait
    return None


def classify(situation: Situation, wanted_a: float, holds: Sequence[Hold] = HOLDS) -> Signal:
    """The first signal that holds (`guard.sequence.Signal`); `wanted_a` is what may be offered now."""
    connector, pilot = situation.connector, situation.connector.pilot
    faults, report = connector.faults, connector.pilot.report
    if faults and any(CATALOGUE[code].severity is Severity.TRIP for code in faults):
        return Signal.TRIP
    if is_overdue(situation):
        return Signal.OVERDUE
    if pilot.lost_s is not None:
        return Signal.LOST
    if report is None:
        return Signal.UNREADY
    if report.state is PilotState.A or pilot.plug_id != connector.sequence.plug_id:
        return Signal.GONE
    if report.state is PilotState.B:
        return Signal.B_OFFERED if wanted_a > 0.0 else Signal.B_PAUSED
    if report.state is PilotState.C:
        return _classify_c(situation, wanted_a, holds)
    # D, E, F and INVALID are faults of severity TRIP; should their monitor be silent, nothing is charged either.
    return Signal.TRIP


def is_overdue(situation: Situation) -> bool:
    """The time of the present state is over."""
    sequence = situation.connector.sequence
    if sequence.state is SequenceState.STOPPING:
        return situation.now_s >= sequence.stop_by_s
    return sequence.state is SequenceState.PERMITTING and situation.now_s >= sequence.since_s + PERMIT_WAIT_S


def _classify_c(situation: Situation, wanted_a: float, holds: Sequence[Hold]) -> Signal:
    connector, report = situation.connector, situation.connector.pilot.report
    is_permitted = report is not None and report.is_permitted
    if wanted_a == 0.0:
        return Signal.C_PAUSED if is_permitted else Signal.C_REFUSED
    if is_permitted and connector.contactor.is_driven and connector.contactor.is_closed is not False:
        return Signal.C_CLOSED
    is_held = any(hold.is_holding(situation) for hold in holds)
    if is_permitted:
        return Signal.C_PERMITTED_HELD if is_held else Signal.C_PERMITTED
    return Signal.C_HELD if is_held else Signal.C_READY
