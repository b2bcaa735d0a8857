"""OCPP's word for a connector, derived from everything else and never stored (ocpp16.md rule 8). Pure."""

from collections.abc import Collection
from dataclasses import replace

from evcharge_agent.core import availability, faults
from evcharge_agent.core.effects import ConnectorState
from evcharge_agent.core.facts import Instant
from evcharge_agent.core.permission import decide_waiting, is_settling
from evcharge_agent.core.reasons import TEXTS, Reason
from evcharge_agent.core.session import Phase
from evcharge_agent.core.state import Connector, GuardLink, Reported, StatusReport
from evcharge_hal.contract.faults import CATALOGUE

GUARD_GRACE_S = 5.0
"""A guard that is away for less is restarting; nobody is told that the station is broken."""

EV_SIDE_DISCONNECTED = "EV side disconnected"

_PHASES = {
    Phase.IDLE: ConnectorState.AVAILABLE,
    Phase.PLUGGED: ConnectorState.PREPARING,
    Phase.AUTHORISING: ConnectorState.PREPARING,
    Phase.AUTHORISED: ConnectorState.PREPARING,
    Phase.STARTING: ConnectorState.PREPARING,
    Phase.RESUMING: ConnectorState.SUSPENDED_EVSE,
    Phase.STOPPING: ConnectorState.FINISHING,
    Phase.FINISHED: ConnectorState.FINISHING,
}
_CAR_IS_WAITED_FOR = (Reason.VEHICLE_PAUSED, Reason.VEHICLE_UNPLUGGED)
_GUARD_LOST = StatusReport(
    ConnectorState.FAULTED, faults.ErrorCode.INTERNAL_ERROR.value, TEXTS[Reason.GUARD_LOST], Reason.GUARD_LOST.value
)


def derive_connector(connector: Connector, guard: GuardLink, now_s: float) -> StatusReport | None:
    """Status and errorCode of one connector; None: not known yet, nothing is said.

    Until its stop has gone out a transaction is not over for anybody.
    """
    is_in_transaction = connector.session.transaction is not None or connector.session.ending is not None
    if not guard.is_current and not is_in_transaction:
        if now_s >= guard.lost_s + GUARD_GRACE_S:
            return _GUARD_LOST
        if connector.reported.last is None:
            return None
    latched = connector.seen.faults if connector.seen is not None else frozenset()
    if faults.is_faulted(latched):
        return _with_fault(ConnectorState.FAULTED, connector)
    report = _with_fault(_state_without_fault(connector, guard, now_s), connector)
    return _of_cable_left(report) if _is_cable_left(report, connector) else report


def derive_station(
    guard: GuardLink,
    reported: Reported,
    connectors: Collection[Connector],
    now_s: float,
    inoperative: frozenset[int] = frozenset(),
) -> StatusReport | None:
    """Connector 0: only Available, Unavailable or Faulted; None: not known yet."""
    if not guard.is_current:
        return _GUARD_LOST if now_s >= guard.lost_s + GUARD_GRACE_S else reported.last
    for connector in connectors:
        latched = connector.seen.faults if connector.seen is not None else frozenset()
        for code in faults.by_weight(latched):
            meaning = faults.MEANINGS[code]
            if meaning.is_of_station:
                return _of_fault(ConnectorState.FAULTED, meaning)
    is_out = availability.STATION in inoperative and all(connector.is_out for connector in connectors)
    return StatusReport(ConnectorState.UNAVAILABLE if is_out else ConnectorState.AVAILABLE)


def settle(
    reported: Reported, derived: StatusReport | None, minimum_s: float, now: Instant
) -> tuple[Reported, StatusReport | None]:
    """Let a status through once it has lasted MinimumStatusDuration; returns what is to be reported, if anything.

    A shorter one is swallowed; the one that stays is always reported, with the time it began.
    """
    if derived is None or derived == reported.last:
        return replace(reported, pending=None, since=None), None
    if derived != reported.pending or reported.since is None:
        reported = replace(reported, pending=derived, since=now)
    since = reported.since if reported.since is not None else now
    if reported.last is not None and now.monotonic_s < since.monotonic_s + minimum_s:
        return reported, None
    return Reported(derived, None, since), derived


_LIST_CONFLICT = (faults.ErrorCode.LOCAL_LIST_CONFLICT.value, "The local list says otherwise of this id.")
_IN_TRANSACTION = (ConnectorState.CHARGING, ConnectorState.SUSPENDED_EV, ConnectorState.SUSPENDED_EVSE)
_LEAVES_A_CABLE = (*_IN_TRANSACTION, ConnectorState.FINISHING)


def bridge(before: ConnectorState | None, after: ConnectorState) -> ConnectorState | None:
    """A state that lies between two that OCPP does not let follow each other (1.6, 4.9 status transitions).

    It happens when one step, or MinimumStatusDuration, swallows what was between them.
    """
    if before in _IN_TRANSACTION and after is ConnectorState.PREPARING:
        return ConnectorState.AVAILABLE
    if after is ConnectorState.RESERVED:
        is_next = before in (None, ConnectorState.AVAILABLE, ConnectorState.FAULTED)
        return None if is_next else ConnectorState.AVAILABLE
    if before is ConnectorState.RESERVED and (after in _IN_TRANSACTION or after is ConnectorState.FINISHING):
        return ConnectorState.PREPARING
    if before in (ConnectorState.AVAILABLE, ConnectorState.UNAVAILABLE) and after is ConnectorState.FINISHING:
        return ConnectorState.PREPARING
    if before is ConnectorState.PREPARING and after is ConnectorState.UNAVAILABLE:
        return ConnectorState.FINISHING
    if before is ConnectorState.FINISHING and after in _IN_TRANSACTION:
        return ConnectorState.PREPARING
    return None


def settle_deadline_s(reported: Reported, minimum_s: float) -> float | None:
    """When a pending status is due."""
    if reported.pending is None or reported.since is None:
        return None
    return reported.since.monotonic_s + minimum_s


def grace_deadline_s(guard: GuardLink) -> float | None:
    """When an absent guard becomes a fault."""
    return None if guard.is_current else guard.lost_s + GUARD_GRACE_S


def _state_without_fault(connector: Connector, guard: GuardLink, now_s: float) -> ConnectorState:
    session = connector.session
    if session.ending is not None:
        last = connector.reported.last
        is_kept = last is not None and last.state is not ConnectorState.FAULTED
        return last.state if last is not None and is_kept else ConnectorState.SUSPENDED_EVSE
    if connector.is_out:
        return ConnectorState.UNAVAILABLE
    if session.phase is Phase.ACTIVE:
        return _state_in_transaction(decide_waiting(connector, guard, now_s), connector, now_s)
    is_empty = session.plug_id is None and session.phase in (Phase.IDLE, Phase.AUTHORISING)
    if is_empty:
        # A card that is refused on a free connector leaves no trace.
        return ConnectorState.RESERVED if connector.is_reserved else ConnectorState.AVAILABLE
    return _PHASES[session.phase]


def _is_cable_left(report: StatusReport, connector: Connector) -> bool:
    """The car of the last session was unplugged at its own end only: the socket is not free yet (rule 8)."""
    seen, last = connector.seen, connector.reported.last
    is_over = report.state is ConnectorState.AVAILABLE and connector.session.phase is Phase.IDLE
    is_cable_there = seen is not None and seen.is_cable_present is True
    return is_over and is_cable_there and last is not None and last.state in _LEAVES_A_CABLE


def _of_cable_left(report: StatusReport) -> StatusReport:
    return replace(report, state=ConnectorState.FINISHING, info=report.info or EV_SIDE_DISCONNECTED)


def _state_in_transaction(waiting: Reason | None, connector: Connector, now_s: float) -> ConnectorState:
    """SuspendedEVSE beats SuspendedEV: the car is only blamed when all else is ready."""
    if waiting is None:
        return ConnectorState.CHARGING
    transaction = connector.session.transaction
    if waiting is Reason.IN_TRANSIT and transaction is not None and is_settling(transaction, now_s):
        # A contactor that moves again, or bounces, is no new beginning.
        last = connector.reported.last
        return last.state if last is not None and last.state in _IN_TRANSACTION else ConnectorState.PREPARING
    return ConnectorState.SUSPENDED_EV if waiting in _CAR_IS_WAITED_FOR else ConnectorState.SUSPENDED_EVSE


def _with_fault(state: ConnectorState, connector: Connector) -> StatusReport:
    meaning = faults.primary(connector.seen.faults) if connector.seen is not None else None
    if meaning is not None:
        return _of_fault(state, meaning)
    return StatusReport(state, *_LIST_CONFLICT) if connector.has_list_conflict else StatusReport(state)


def _of_fault(state: ConnectorState, meaning: faults.FaultMeaning) -> StatusReport:
    text = CATALOGUE[meaning.code].text
    return StatusReport(state, meaning.error_code.value, text, meaning.vendor_error_code)
