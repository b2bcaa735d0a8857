"""What the shell asks of the core between steps: the status, and when time alone may change a decision."""

from collections.abc import Sequence

from evcharge_hal.contract.channel import ConnectorStatus, ContactorState, Status
from evcharge_hal.contract.faults import FaultCode
from evcharge_hal.contract.pilot import PilotOutput, PilotState
from evcharge_hal.contract.units import Amps
from evcharge_hal.guard import ceilings, deadlines, faulting, lease, locking
from evcharge_hal.guard.closing import find_wait, reclose_s, stale_s
from evcharge_hal.guard.observe import lost_at_s
from evcharge_hal.guard.sequence import SequenceState
from evcharge_hal.guard.state import ConnectorState, GuardState, RcmPhase, Situation


def status(state: GuardState, now_s: float) -> Status:
    """The board as the agent sees it."""
    connectors = tuple(
        _connector_status(Situation(state.board, state.link, connector, state.started_s, now_s))
        for connector in state.connectors
    )
    return Status(at_s=now_s, is_coprocessor_up=state.link.is_up, connectors=connectors)


def _connector_status(situation: Situation) -> ConnectorStatus:
    connector = situation.connector
    report, drive = connector.pilot.report, connector.sequence.drive
    return ConnectorStatus(
        connector=connector.section.id,
        plug_id=connector.pilot.plug_id,
        pilot=PilotState.INVALID if report is None else report.state,
        output=PilotOutput.X1 if drive is None else drive.pilot.output,
        offered_a=Amps(connector.offer.offered_a),
        contactor=_contactor_state(connector),
        lease=lease.state_at(connector.lease, situation.now_s),
        wait=find_wait(situation),
        ceilings=connector.offer.ceilings,
        faults=frozenset(connector.faults),
        temperature_c=ceilings.read_temperature_c(connector),
        is_cable_present=ceilings.is_cable_present(connector),
        is_locked=locking.read_position(connector),
    )


def _contactor_state(connector: ConnectorState) -> ContactorState:
    contactor = connector.contactor
    if FaultCode.CONTACTOR_WELDED in connector.faults:
        return ContactorState.WELDED
    if contactor.is_driven:
        # Its contacts bounce for some milliseconds; once proven closed, only the monitor says otherwise.
        is_proven = connector.sequence.state is SequenceState.CHARGING or contactor.is_closed is not False
        return ContactorState.CLOSED if is_proven else ContactorState.CLOSING
    return ContactorState.OPENING if contactor.is_closed is True else ContactorState.OPEN


def next_deadline_s(state: GuardState, now_s: float) -> float:  # noqa: ARG001 - the form of every core (DESIGN D3)
    """When `TimePassed` is due at the latest: the first deadline after the last turn, and once a second."""
    return state.due_s


def find_deadline_s(
    state: GuardState, connectors: Sequence[ConnectorState], stepped_s: float, decided_s: float
) -> float:
    """The first deadline after `stepped_s`; at the latest 1 s after all connectors were decided about."""
    found_s = decided_s + deadlines.IDLE_TURN_S
    for connector in connectors:
        if connector.rcm.phase is not RcmPhase.IDLE:
            found_s = min(found_s, stepped_s + deadlines.RCM_TURN_S)
        for due_s in _deadlines(state, connector):
            if stepped_s < due_s < found_s:
                found_s = due_s
    return found_s


def _deadlines(state: GuardState, connector: ConnectorState) -> list[float]:
    """Every instant at which a decision may change by time alone, past or future."""
    offer, contactor, sequence, rcm = connector.offer, connector.contactor, connector.sequence, connector.rcm
    pilot = connector.pilot
    thresholds = state.board.thresholds
    limit_s = deadlines.RCM_TRIP_WITHIN_S if rcm.phase is RcmPhase.TRIPPING else deadlines.RCM_CLEAR_WITHIN_S
    return [
        state.started_s + deadlines.LINK_GRACE_S,
        state.started_s + deadlines.NO_CLOSE_AFTER_START_S,
        lease.lapse_s(connector.lease),
        lease.spent_s(connector.lease),
        offer.raised_s + deadlines.RAISE_APART_S,
        offer.x1_since_s + deadlines.X1_DWELL_S,
        offer.peak_until_s,
        contactor.driven_s + deadlines.FEEDBACK_WAIT_S,
        contactor.driven_s + deadlines.WELD_CHECK_S,
        contactor.changed_s + deadlines.FEEDBACK_WAIT_S,
        rcm.phase_s + limit_s,
        rcm.passed_s + deadlines.RCM_VALID_S,
        float("inf") if rcm.read_s is None else rcm.read_s + deadlines.LINES_AGE_MAX_S,
        float("inf") if pilot.report is None else stale_s(pilot.report),
        sequence.stop_by_s,
        sequence.since_s + deadlines.PERMIT_OFF_S,
        sequence.since_s + deadlines.PERMIT_WAIT_S,
        pilot.plugged_s + deadlines.CABLE_SETTLE_S,
        *(faulting.clear_s(code, fault) for code, fault in connector.faults.items()),
        *_latch_deadlines_s(connector),
        state.link.since_s + deadlines.SENSOR_SETTLE_S,
        reclose_s(contactor, thresholds.reclose_after_s, thresholds.closings_per_10_min),
        lost_at_s(pilot, state.link) if state.link.is_up else float("inf"),
        *locking.deadlines_s(connector, state.link),
    ]


def _latch_deadlines_s(connector: ConnectorState) -> list[float]:
    """When the co-processor may be asked to drop a latch, and asked again."""
    fault = connector.faults.get(FaultCode.COPROCESSOR_FAULT)
    if fault is None:
        return []
    cleared_s = connector.sequence.latch_cleared_s
    return [fault.raised_s + deadlines.LATCH_CLEAR_AFTER_S, cleared_s + deadlines.LATCH_CLEAR_APART_S]
