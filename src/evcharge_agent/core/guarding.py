"""What the guard says: connection, event ring, status of the connectors, replies."""

from dataclasses import replace

from evcharge_agent.core import continuation, lifecycle, reset, transactions, unlocking
from evcharge_agent.core.continuation import End
from evcharge_agent.core.effects import Level, TellGuard
from evcharge_agent.core.events import (
    ClearFaultRequested,
    GuardConnected,
    GuardLost,
    GuardReplied,
    GuardReported,
    StatusReceived,
)
from evcharge_agent.core.facts import AuthorizationStatus, Instant, StopReason
from evcharge_agent.core.reasons import Reason
from evcharge_agent.core.session import Phase
from evcharge_agent.core.state import GuardLink, StopCause, Transaction, Unplug
from evcharge_agent.core.turn import Turn
from evcharge_hal.contract.channel import ClearFault, ConnectorStatus, ContactorState, EventKind, GuardEvent, RaiseFault
from evcharge_hal.contract.faults import FaultCode
from evcharge_hal.contract.pilot import PilotState

_UNPLUGS_KEPT = 16


def connect(turn: Turn, event: GuardConnected) -> None:
    """The handshake is done. What we know of the plugs is old until the first status.

    The missed events are read from the welcome, so that the first status finds them all known; when they
    come again one by one their numbers give them away.
    """
    welcome = event.welcome
    ring = turn.state.guard.ring
    if welcome.guard_id != turn.state.guard.guard_id:
        ring = replace(ring, last_number=0)
    guard = GuardLink(is_connected=True, lost_s=turn.state.guard.lost_s, guard_id=welcome.guard_id, ring=ring)
    turn.state = replace(turn.state, guard=guard)
    for rating in welcome.connectors:
        if turn.meet(rating.connector):
            turn.put(replace(turn.connector(rating.connector), rating=rating))
    for missed in welcome.events:
        _take_event(turn, missed)
    for number in turn.numbers:
        _forget_told(turn, number)
        _tell_faults(turn, number)
    turn.note("guard_connected")


def lose(turn: Turn, _event: GuardLost) -> None:
    """The channel broke: nothing can be sent, and nothing we know of the plugs is sure any more."""
    guard = turn.state.guard
    lost_s = turn.now_s if guard.is_current else guard.lost_s
    turn.state = replace(
        turn.state,
        guard=replace(guard, is_connected=False, is_current=False, is_coprocessor_up=False, lost_s=lost_s),
    )
    for request in turn.state.pending.clears.values():
        turn.answer(request, Reason.GUARD_LOST)
    turn.state = replace(turn.state, pending=replace(turn.state.pending, clears={}))
    unlocking.give_up(turn)
    for number in turn.numbers:
        _forget_told(turn, number)
    turn.note("guard_lost", level=Level.WARNING)


def take_status(turn: Turn, event: StatusReceived) -> None:
    """The guard's view. While the co-processor is away it says nothing about plugs."""
    guard = turn.state.guard
    if not guard.is_connected:
        return
    status = event.status
    guard = replace(guard, is_current=True, is_coprocessor_up=status.is_coprocessor_up)
    turn.state = replace(turn.state, guard=guard)
    for seen in status.connectors:
        if not turn.meet(seen.connector):
            continue
        turn.put(replace(turn.connector(seen.connector), seen=seen))
        if status.is_coprocessor_up:
            _follow_plug(turn, seen)
        if turn.session(seen.connector).phase is Phase.STOPPING and seen.contactor is ContactorState.OPEN:
            lifecycle.energy_off(turn, seen.connector)
        transactions.follow_energy(turn, seen.connector)
        _follow_supply(turn, seen)


def take_report(turn: Turn, event: GuardReported) -> None:
    """One fact of the ring. The status that belongs to it decides; here only its true time is kept."""
    _take_event(turn, event.event)


def take_reply(turn: Turn, event: GuardReplied) -> None:
    """The guard answered an acknowledgement, or a reset."""
    reply = event.reply
    reset.take_reply(turn, reply)
    unlocking.take_reply(turn, reply)
    clears = turn.state.pending.clears
    request = clears.get(reply.request)
    if request is None:
        return
    rest = {number: waiting for number, waiting in clears.items() if number != reply.request}
    turn.state = replace(turn.state, pending=replace(turn.state.pending, clears=rest))
    turn.answer(request, None if reply.is_accepted else Reason.REFUSED_BY_GUARD, reply.reason)
    if not reply.is_accepted:
        turn.note("clear_fault_refused", level=Level.WARNING, reason=reply.reason)


def clear_fault(turn: Turn, event: ClearFaultRequested) -> None:
    """Somebody acknowledged a fault; the guard decides whether it may go."""
    if not turn.knows(event.connector):
        turn.answer(event.request, Reason.UNKNOWN_CONNECTOR)
        return
    if not turn.state.guard.is_connected:
        turn.answer(event.request, Reason.GUARD_LOST)
        return
    number = turn.run.next_number
    turn.run = replace(turn.run, next_number=number + 1)
    clears = {**turn.state.pending.clears, number: event.request}
    turn.state = replace(turn.state, pending=replace(turn.state.pending, clears=clears))
    turn.emit(TellGuard(ClearFault(number, event.connector, event.code)))


def raise_fault(turn: Turn, number: int, code: FaultCode, *, is_present: bool) -> None:
    """Tell the guard of a fault only we can see; what cannot be sent now is told at the next handshake."""
    if turn.state.guard.is_connected:
        turn.emit(TellGuard(RaiseFault(number, code, is_present)))


def _tell_faults(turn: Turn, number: int) -> None:
    connector = turn.connector(number)
    raise_fault(turn, number, FaultCode.METER_LOST, is_present=connector.meter.is_lost)
    raise_fault(turn, number, FaultCode.OVERCURRENT, is_present=connector.draw.is_overcurrent)


def _forget_told(turn: Turn, number: int) -> None:
    """Nothing the guard was told before counts any more: all is said again."""
    connector = turn.connector(number)
    turn.put(replace(connector, output=replace(connector.output, set_point=None, indication=None)))


def _take_event(turn: Turn, event: GuardEvent) -> None:
    guard = turn.state.guard
    ring = guard.ring
    if event.number <= ring.last_number:
        return
    at_s = min(event.at_s, turn.now_s)
    ring = replace(ring, last_number=event.number)
    if event.kind is EventKind.UNPLUGGED and event.connector is not None:
        unplugs = (*ring.unplugs, Unplug(event.connector, event.plug_id, at_s))
        ring = replace(ring, unplugs=unplugs[-_UNPLUGS_KEPT:])
    elif event.kind is EventKind.PLUGGED and event.plug_id is not None and _is_bound(turn, event.plug_id):
        ring = replace(ring, power_restored_s=None, coprocessor_up_s=None)
    elif event.kind is EventKind.COPROCESSOR_UP:
        ring = replace(ring, coprocessor_up_s=at_s)
    elif event.kind is EventKind.POWER_RESTORED:
        ring = replace(ring, power_restored_s=at_s, coprocessor_up_s=at_s)
    turn.state = replace(turn.state, guard=replace(guard, ring=ring))


def _follow_supply(turn: Turn, seen: ConnectorStatus) -> None:
    """A transaction the power failure would end is ended before it (CHG-7), while it can still be told."""
    if FaultCode.SUPPLY_FAILING not in seen.faults or turn.rules.session.continue_charging_after_power_loss:
        return
    current = turn.session(seen.connector)
    if current.transaction is not None and current.phase is not Phase.RESUMING:
        lifecycle.stop(turn, seen.connector, StopCause(StopReason.POWER_LOSS, turn.now))


def _follow_plug(turn: Turn, seen: ConnectorStatus) -> None:
    """Compare the plug that is there with the one the session is bound to."""
    number, plug_id = seen.connector, seen.plug_id
    if plug_id is None and seen.pilot is not PilotState.A:
        # No plug without state A: the guard has only just begun to look.
        return
    current = turn.session(number)
    if plug_id == current.plug_id and current.phase is not Phase.RESUMING:
        if plug_id is not None:
            _disprove_power_loss(turn)
        return
    transaction = current.transaction
    if transaction is not None:
        _follow_transaction(turn, number, transaction, plug_id)
        return
    if current.plug_id is not None:
        lifecycle.unplug(turn, number, StopCause(StopReason.EV_DISCONNECTED, turn.now))
    if plug_id is not None:
        lifecycle.plug(turn, number, plug_id)


def _follow_transaction(turn: Turn, number: int, transaction: Transaction, plug_id: str | None) -> None:
    current = turn.session(number)
    ring = turn.state.guard.ring
    verdict = continuation.decide(number, current, transaction, plug_id, ring, turn.rules.session)
    if isinstance(verdict, End):
        _end(turn, number, transaction, verdict, plug_id)
    elif plug_id is None and current.phase is not Phase.RESUMING:
        lifecycle.unplug(turn, number, StopCause(StopReason.EV_DISCONNECTED, turn.now), is_kept=True)
    elif current.plug_id is None and plug_id is not None and current.phase is not Phase.RESUMING:
        lifecycle.plug(turn, number, plug_id)
    else:
        lifecycle.go_on(turn, number, plug_id)
        _end_if_refused(turn, number, transaction)


def _end_if_refused(turn: Turn, number: int, transaction: Transaction) -> None:
    """The id was not accepted, which reached the disk in an earlier run, and the stop for it did not (rule 4)."""
    is_accepted = transaction.info.status is AuthorizationStatus.ACCEPTED
    is_ended = turn.rules.authorisation.stop_transaction_on_invalid_id
    if transaction.kept is not None and not is_accepted and is_ended:
        lifecycle.stop(turn, number, StopCause(StopReason.DEAUTHORIZED, turn.now))


def _end(turn: Turn, number: int, transaction: Transaction, end: End, plug_id: str | None) -> None:
    """Stop what the plug's absence or the power loss has ended, with the true time where it is known."""
    at = turn.now if end.at_s is None else _instant(turn, max(end.at_s, transaction.began_s))
    energy_wh = None
    kept = transaction.kept
    if kept is not None and end.at_s is None:
        at = _last_persisted(turn, transaction)
    if kept is not None and end.reason is StopReason.POWER_LOSS:
        energy_wh = kept.last_energy_wh
    cause = StopCause(end.reason, at, None, energy_wh)
    if end.reason is StopReason.POWER_LOSS:
        # The car that is there has to be authorised anew.
        turn.put_session(number, replace(turn.session(number), plug_id=plug_id, plugged=turn.now))
        lifecycle.stop(turn, number, cause)
        return
    if turn.session(number).phase is Phase.RESUMING:
        turn.put_session(number, replace(turn.session(number), plug_id=None, plugged=None))
        lifecycle.stop(turn, number, cause)
    else:
        lifecycle.unplug(turn, number, cause)
    if plug_id is not None:
        lifecycle.plug(turn, number, plug_id)


def _last_persisted(turn: Turn, transaction: Transaction) -> Instant:
    """Time of the last value on the disk, on this boot's monotonic clock."""
    kept = transaction.kept
    if kept is None:
        return turn.now
    last = kept.last_energy_at
    if not transaction.is_after_boot:
        return last
    return Instant(turn.now_s - (turn.now.utc_s - last.utc_s), last.utc_s, last.is_utc_trusted)


def _disprove_power_loss(turn: Turn) -> None:
    """A plug outlives no reset of the co-processor, so power reported before this status was never away.

    A guard that has just started cannot know how long ago the co-processor came up.
    """
    guard = turn.state.guard
    if guard.ring.power_restored_s is not None:
        turn.state = replace(turn.state, guard=replace(guard, ring=replace(guard.ring, power_restored_s=None)))


def _is_bound(turn: Turn, plug_id: str) -> bool:
    """A plug we know is there again in the eyes of a guard that has just started: nothing was ever away."""
    return any(turn.session(number).plug_id == plug_id for number in turn.numbers)


def _instant(turn: Turn, at_s: float) -> Instant:
    """A past monotonic time on both clocks."""
    return Instant(at_s, turn.now.utc_s - (turn.now_s - at_s), turn.now.is_utc_trusted)
