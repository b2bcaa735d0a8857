"""May energy flow, and if none does: why not. Pure; one reason at a time, the first that applies."""

from collections.abc import Mapping

from evcharge_agent.core import faults
from evcharge_agent.core.reasons import Reason
from evcharge_agent.core.session import Phase
from evcharge_agent.core.state import Connector, GuardLink, Session, Transaction
from evcharge_hal.contract.channel import ConnectorStatus, ContactorState, Wait
from evcharge_hal.contract.pilot import PilotState

SETTLE_S = 5.0
"""A fresh transaction is "about to start" this long: set-point, self-test, contactor and car take their time."""

PROFILE_LIMITS = frozenset(
    {
        Reason.CHARGE_POINT_MAX_PROFILE,
        Reason.CHARGE_POINT_MAX_PROFILE_SHARED,
        Reason.TX_DEFAULT_PROFILE,
        Reason.TX_PROFILE,
        Reason.PROFILE_TIME_UNKNOWN,
    }
)
"""Limits by which it is the central system that pauses a charge."""

_GUARD_WAITS: Mapping[Wait, Reason] = {
    Wait.FAULT: Reason.FAULT,
    Wait.COPROCESSOR: Reason.COPROCESSOR,
    Wait.START_UP: Reason.START_UP,
    Wait.RCM_SELF_TEST: Reason.RCM_SELF_TEST,
    Wait.LOCK: Reason.LOCK,
    Wait.RECLOSE_GUARD: Reason.RECLOSE_GUARD,
    Wait.NO_CURRENT: Reason.NO_CURRENT,
    Wait.VEHICLE: Reason.VEHICLE_PAUSED,
    # The set-point that changes these is on its way.
    Wait.NO_LEASE: Reason.IN_TRANSIT,
    Wait.NOT_PERMITTED: Reason.IN_TRANSIT,
}

_PHASE_WAITS: Mapping[Phase, Reason] = {
    Phase.PLUGGED: Reason.AWAITING_AUTHORISATION,
    Phase.AUTHORISING: Reason.AUTHORISING,
    Phase.STARTING: Reason.START_PENDING,
    Phase.RESUMING: Reason.RESUMING,
    Phase.STOPPING: Reason.STOPPED,
    Phase.FINISHED: Reason.STOPPED,
}


def may_charge(session: Session) -> bool:
    """Permission: a committed open transaction whose id is accepted, and the plug it is bound to (D12)."""
    return (
        session.phase is Phase.ACTIVE
        and session.transaction is not None
        and not session.transaction.is_energy_refused
        and session.plug_id is not None
    )


def is_settling(transaction: Transaction, now_s: float) -> bool:
    """The transaction is so fresh that nothing can have been closed yet."""
    return now_s < transaction.began_s + SETTLE_S


def decide_waiting(connector: Connector, guard: GuardLink, now_s: float) -> Reason | None:
    """Why no energy flows; None while it does, or while nobody is there to wait."""
    session = connector.session
    if session.phase is Phase.IDLE:
        return None
    if session.phase is Phase.ACTIVE and session.transaction is not None:
        return _waiting_in_transaction(connector, session.transaction, guard, now_s)
    if connector.is_out:
        return Reason.OUT_OF_SERVICE
    if not guard.is_current:
        return Reason.GUARD_LOST
    if connector.seen is not None and faults.is_blocked(connector.seen.faults):
        return Reason.FAULT
    if session.phase is Phase.AUTHORISED:
        return Reason.AWAITING_VEHICLE if session.plug_id is None else Reason.AWAITING_METER
    if session.refusal is not None and session.phase in (Phase.PLUGGED, Phase.FINISHED):
        return session.refusal
    return _PHASE_WAITS[session.phase]


def _waiting_in_transaction(
    connector: Connector, transaction: Transaction, guard: GuardLink, now_s: float
) -> Reason | None:
    seen = connector.seen
    if transaction.is_energy_refused:
        return Reason.DEAUTHORISED
    if not guard.is_current or seen is None:
        return Reason.GUARD_LOST
    if faults.is_blocked(seen.faults):
        return Reason.FAULT
    if connector.session.plug_id is None:
        return Reason.VEHICLE_UNPLUGGED
    if connector.output.offer_a <= 0.0:
        return Reason.PAUSED_BY_PROFILE if connector.output.acting in PROFILE_LIMITS else Reason.NO_CURRENT
    return None if is_energy_flowing(seen) else _waiting_for_guard(seen, is_settling(transaction, now_s))


def _waiting_for_guard(seen: ConnectorStatus, is_fresh: bool) -> Reason:
    """All is said and done on our side; what the guard still waits for."""
    if is_fresh:
        return Reason.IN_TRANSIT
    if seen.wait is not None:
        return _GUARD_WAITS[seen.wait]
    return Reason.IN_TRANSIT if seen.pilot is PilotState.C else Reason.VEHICLE_PAUSED


def is_energy_flowing(seen: ConnectorStatus) -> bool:
    """The car asks for energy and the contactor is closed; how much it takes is the meter's affair."""
    return seen.contactor is ContactorState.CLOSED and seen.pilot in (PilotState.C, PilotState.D)
