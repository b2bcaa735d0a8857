"""Self-test of the residual current monitor: once per plug-in, valid 24 h, with the contact proven open.

    IDLE -- test is due --> TRIPPING -- input trips within 1.0 s --> RELEASING -- clears within 3 s --> passed

A trip while TRIPPING or RELEASING is expected; the relay cannot be driven then, because closing needs the
passed test. A trip at any other time is a fault (hardware.md 3.5, security.md H4).
"""

from dataclasses import replace

from evcharge_hal.contract.faults import CATALOGUE, Severity
from evcharge_hal.contract.pilot import PilotState
from evcharge_hal.guard.deadlines import (
    LINES_AGE_MAX_S,
    RCM_CLEAR_WITHIN_S,
    RCM_SETTLE_S,
    RCM_TRIP_WITHIN_S,
    RCM_VALID_S,
    WELD_CHECK_S,
)
from evcharge_hal.guard.state import RcmPhase, RcmView, Situation


def is_passed(situation: Situation) -> bool:
    """The test has been passed for this plug within 24 h, or the board has no test line."""
    connector, rcm = situation.connector, situation.connector.rcm
    if connector.section.pins.rcm_test is None:
        return True
    return (
        rcm.phase is RcmPhase.IDLE
        and rcm.passed_plug_id is not None
        and rcm.passed_plug_id == connector.pilot.plug_id
        and situation.now_s < rcm.passed_s + RCM_VALID_S
    )


def advance_test(situation: Situation) -> RcmView:
    """Start, continue or finish the test."""
    rcm, now_s = situation.connector.rcm, situation.now_s
    if rcm.phase is RcmPhase.IDLE:
        if _is_due(situation):
            plug_id = situation.connector.pilot.plug_id
            return replace(
                rcm,
                phase=RcmPhase.TRIPPING,
                phase_s=now_s,
                tested_plug_id=plug_id,
                passed_plug_id=None,
                has_failed=False,
            )
        if rcm.is_tripped and rcm.passed_plug_id is not None:
            # A trip outside the test: whatever was proven before it has to be proven again.
            return replace(rcm, passed_plug_id=None, has_failed=False)
        return replace(rcm, has_failed=False) if rcm.has_failed else rcm
    if rcm.phase is RcmPhase.TRIPPING:
        return _watch_trip(situation)
    # Only a reading from after the release counts: the monitor may trip a moment after a short test current.
    if not rcm.is_tripped and rcm.read_s is not None and rcm.read_s >= rcm.phase_s + RCM_SETTLE_S:
        return replace(rcm, phase=RcmPhase.IDLE, phase_s=now_s, passed_plug_id=rcm.tested_plug_id, passed_s=now_s)
    if rcm.is_tripped and now_s >= rcm.phase_s + RCM_CLEAR_WITHIN_S:
        return replace(rcm, phase=RcmPhase.IDLE, phase_s=now_s, has_failed=True)
    return rcm


def abort_test(rcm: RcmView, now_s: float) -> RcmView:
    """Take the test current away without a result: the process was late, so its deadlines prove nothing."""
    if rcm.phase is RcmPhase.IDLE:
        return rcm
    return replace(rcm, phase=RcmPhase.RELEASING, phase_s=now_s, tested_plug_id=None)


def _watch_trip(situation: Situation) -> RcmView:
    rcm, now_s = situation.connector.rcm, situation.now_s
    if rcm.tested_plug_id is None or rcm.tested_plug_id != situation.connector.pilot.plug_id:
        return abort_test(rcm, now_s)
    if rcm.is_tripped:
        return replace(rcm, phase=RcmPhase.RELEASING, phase_s=now_s)
    if now_s >= rcm.phase_s + RCM_TRIP_WITHIN_S:
        return replace(rcm, phase=RcmPhase.IDLE, phase_s=now_s, has_failed=True)
    return rcm


def _is_due(situation: Situation) -> bool:
    connector, contactor = situation.connector, situation.connector.contactor
    pilot, rcm = connector.pilot, connector.rcm
    if is_passed(situation) or pilot.report is None or pilot.lost_s is not None:
        return False
    is_proven_open = (
        not contactor.is_driven
        and contactor.is_closed is not True
        and situation.now_s >= contactor.driven_s + WELD_CHECK_S
    )
    is_input_healthy = not rcm.is_tripped and rcm.read_s is not None and situation.now_s < rcm.read_s + LINES_AGE_MAX_S
    return (
        pilot.plug_id is not None
        and pilot.report.state in (PilotState.B, PilotState.C)
        and is_proven_open
        and is_input_healthy
        and not any(CATALOGUE[code].severity is Severity.TRIP for code in connector.faults)
    )
