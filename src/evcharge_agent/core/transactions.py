"""Writes the facts of a transaction: first and last sample, the one stop, and the stops that failed.

A stop is written twice. In the step that withdraws the permission it is committed with the register as last
read, so that no crash can lose it; but the car still ramps down for seconds, so it is held there until the
contactor is proven open and the meter has been read once more. Then `FinishStop` lets it go out.
"""

from dataclasses import replace
from typing import TypeVar

from evcharge_agent.core import metering, sampling
from evcharge_agent.core.books import Pending
from evcharge_agent.core.effects import CommitSample, CommitStop, FinishStop, KeepRegister, Level
from evcharge_agent.core.facts import (
    AuthorizationStatus,
    Instant,
    MeterReading,
    MeterSample,
    ReadingContext,
    StopReason,
    TransactionKey,
    TransactionStop,
)
from evcharge_agent.core.session import Phase
from evcharge_agent.core.state import Connector, Ending, GuardLink, KeptPlug, Meter, Session, StopCause, Transaction
from evcharge_agent.core.turn import Turn
from evcharge_hal.contract.channel import ContactorState
from evcharge_hal.contract.units import WattHours

_Value = TypeVar("_Value")

RETRY_S = 30.0
"""A stop that could not be written is tried again this often; the store takes it only once."""
FINISH_WITHIN_S = 8.0
"""A held stop goes out after this in any case: 6 s until a contactor is opened under load, 2 s for a reading."""
READING_TAKES_S = 0.5
"""A reading that arrives sooner after the contactor opened may have been begun before."""
OPEN_WITHOUT_GUARD_S = 4.1
"""A contactor is open so long after the death of the guard, by the co-processor's own doing (DESIGN D2)."""
LETTING_GO_S = 5.0
"""A car takes so long to let go: the age of a reading, and what IEC 61851-1 gives it to stop."""
KEEP_REGISTER_S = 60.0
"""So often the register of a running transaction is written, also where it is sampled rarely or not at all."""
_STOPS_KEPT = 8
_UNREGISTERED_KEPT = 64
_TIME_IS_THE_CAUSES = (StopReason.EV_DISCONNECTED, StopReason.POWER_LOSS)
"""Reasons that themselves ended the energy; with all others it ends when the contactor opens."""


def record_begin(turn: Turn, number: int) -> None:
    """The first sample, with the register the start carries."""
    connector = turn.connector(number)
    transaction = connector.session.transaction
    if transaction is None or not sampling.has_ends(turn.rules.sampling):
        return
    reading = metering.steady_reading(connector.meter) or MeterReading()
    reading = replace(reading, energy_wh=transaction.start.meter_start_wh)
    taken = transaction.start.started
    begin = sampling.sample(transaction, taken, ReadingContext.BEGIN, reading, turn.rules.sampling, 0.0)
    turn.emit(CommitSample(begin))


def record_periodic(turn: Turn, number: int) -> None:
    """The sample that is due; a meter that is lost leaves a gap, not an invention."""
    connector = turn.connector(number)
    transaction = connector.session.transaction
    if transaction is None or not sampling.is_on(turn.rules.sampling):
        return
    reading = metering.steady_reading(connector.meter)
    if reading is not None:
        offered_a = connector.output.offer_a
        periodic = sampling.sample(
            transaction, turn.now, ReadingContext.PERIODIC, reading, turn.rules.sampling, offered_a
        )
        turn.emit(CommitSample(periodic))
        if reading.energy_wh is not None:
            transaction = replace(transaction, register_kept_s=turn.now_s)
    advanced = sampling.advance(transaction, turn.rules.sampling, turn.now_s)
    turn.put_session(number, replace(connector.session, transaction=advanced))


def register_due_s(transaction: Transaction) -> float:
    """Monotonic time at which the register is written unless a sample has brought it to the disk; the start has."""
    kept_s = transaction.register_kept_s
    return (kept_s if kept_s is not None else transaction.began_s) + KEEP_REGISTER_S


def keep_register(turn: Turn, number: int) -> None:
    """Write the register when it is due; one that is not known is written as soon as it is."""
    connector = turn.connector(number)
    transaction = connector.session.transaction
    register_wh = metering.fresh_register_wh(connector.meter)
    if transaction is None or register_wh is None or turn.now_s < register_due_s(transaction):
        return
    energy_wh = WattHours(max(register_wh, transaction.start.meter_start_wh))
    turn.emit(KeepRegister(transaction.start.transaction, energy_wh, turn.now))
    kept = replace(transaction, register_kept_s=turn.now_s)
    turn.put_session(number, replace(connector.session, transaction=kept))


def record_stop(turn: Turn, number: int, after: Session, cause: StopCause) -> Session:
    """Write the one stop of a transaction; returns the session without it.

    The permission is gone with the transaction, so the set-point of this very step takes the energy away.
    The idTag stands only where somebody presented it (ocpp16.md rule 5).
    """
    connector = turn.connector(number)
    transaction = after.transaction
    if transaction is None:
        return after
    stop_wh = _meter_stop_wh(connector, transaction, cause)
    key = transaction.start.transaction
    stop = TransactionStop(key, stop_wh, cause.at, cause.reason, cause.id_tag)
    # What the meter says now belongs to the end only if the end is now.
    is_now = cause.at == turn.now
    reading = metering.steady_reading(connector.meter) if is_now else None
    offered_a = connector.output.offer_a if is_now else 0.0
    end = _end_sample(turn, transaction, stop, reading, offered_a)
    is_held = cause.energy_wh is None
    _write(turn, key, CommitStop(stop, end, is_held))
    turn.note("transaction_stopped", number, reason=cause.reason.value)
    if transaction.transaction_id is None:
        pending = turn.state.pending
        unregistered = {**pending.unregistered, key: transaction.start.id_tag}
        pending = replace(pending, unregistered=_newest(unregistered, _UNREGISTERED_KEPT))
        turn.state = replace(turn.state, pending=pending)
    is_kept = cause.reason is StopReason.DEAUTHORIZED and after.plug_id is not None
    kept_plug = KeptPlug(after.plug_id, transaction) if is_kept and after.plug_id is not None else None
    turn.put(replace(turn.connector(number), kept_plug=kept_plug))
    off_s = turn.now_s if _is_energy_off(turn, connector, after) else None
    ending = Ending(stop, transaction, turn.now_s + FINISH_WITHIN_S, off_s) if is_held else None
    return replace(after, claim=None, transaction=None, held_stop=None, refusal=None, ending=ending)


def follow_energy(turn: Turn, number: int) -> None:
    """The guard has spoken: note when the energy of a stopped transaction ended, or that it has not."""
    connector = turn.connector(number)
    ending = connector.session.ending
    if ending is None:
        return
    if not _is_energy_off(turn, connector, connector.session):
        ending = replace(ending, off_s=None)
    elif ending.off_s is None:
        ending = replace(ending, off_s=turn.now_s, stop=_ended_at(ending, turn.now))
    turn.put_session(number, replace(connector.session, ending=ending))


def check_ending(turn: Turn, number: int) -> None:
    """Let a held stop go out with the register after the energy ended, or without it when it cannot come."""
    connector = turn.connector(number)
    ending = connector.session.ending
    if ending is None:
        return
    meter = connector.meter
    off_s = ending.off_s if ending.off_s is not None else _off_without_guard_s(turn.state.guard)
    is_read = off_s is not None and metering.is_register_read_since(meter, off_s + READING_TAKES_S)
    is_hopeless = off_s is not None and turn.now_s >= off_s and meter.is_lost
    if not (is_read or is_hopeless or turn.now_s >= ending.deadline_s):
        return
    stop = ending.stop if ending.off_s is not None else _ended_at(ending, turn.now)
    stop = replace(stop, meter_stop_wh=WattHours(max(stop.meter_stop_wh, meter.register_wh or 0)))
    turn.put_session(number, replace(connector.session, ending=None))
    _give_out(turn, ending.transaction, stop, metering.steady_reading(meter) if is_read else None)


def take_up(turn: Turn, number: int, transaction: Transaction, stop: TransactionStop) -> None:
    """Take up a stop that an earlier run held: the register of its end is still to be read, now as then.

    Its time stays the one of the decision, at most the seconds a car takes to let go before the energy's end.
    """
    connector = turn.connector(number) if turn.meet(number) else None
    if connector is None or connector.session != Session():
        # Something has followed on this connector: what the meter says now is no longer the end of this one.
        _give_out(turn, transaction, stop, None)
        return
    ending = Ending(stop, transaction, turn.now_s + FINISH_WITHIN_S, is_of_earlier_run=True)
    meter = Meter(since_s=turn.now_s, register_wh=stop.meter_stop_wh)
    session = Session(Phase.STOPPING, plug_id=transaction.start.plug_id, ending=ending)
    turn.put(replace(connector, session=session, meter=meter))


def _give_out(turn: Turn, transaction: Transaction, stop: TransactionStop, reading: MeterReading | None) -> None:
    """Let a stop go out with its final values."""
    end = _end_sample(turn, transaction, stop, reading, 0.0)
    _write(turn, stop.transaction, FinishStop(stop.transaction, stop.meter_stop_wh, stop.stopped, end))
    number, energy_wh = transaction.start.connector, stop.meter_stop_wh - transaction.start.meter_start_wh
    turn.note("transaction_finished", number, key=stop.transaction, energy_wh=energy_wh, is_read=reading is not None)


def check_grace(turn: Turn, number: int) -> None:
    """Take the energy away from an id that is not accepted once MaxEnergyOnInvalidId is reached (rule 4).

    It is counted from the start of the transaction, as what the central system would not have allowed; what flows
    until the car has let go is left of it. Without a meter there is nothing to count, and so nothing to give.
    """
    connector = turn.connector(number)
    transaction = connector.session.transaction
    if transaction is None or transaction.is_grace_over or transaction.info.status is AuthorizationStatus.ACCEPTED:
        return
    register_wh = metering.fresh_register_wh(connector.meter)
    most_wh = turn.rules.authorisation.max_energy_on_invalid_id_wh
    reading = metering.steady_reading(connector.meter)
    power_w = reading.power_w if reading is not None and reading.power_w is not None else 0.0
    ahead_wh = power_w * LETTING_GO_S / 3600.0
    if register_wh is None or register_wh - transaction.start.meter_start_wh + ahead_wh >= most_wh:
        over = replace(transaction, is_grace_over=True)
        turn.put_session(number, replace(connector.session, transaction=over))
        turn.note("energy_refused", number, status=transaction.info.status.value)


def stop_failed(turn: Turn, key: TransactionKey, reason: str) -> None:
    """A write of a running or ended transaction failed. A stop is tried again, a sample is not."""
    turn.note("commit_failed", None, Level.ERROR, key=key, reason=reason)
    pending = turn.state.pending
    if key not in pending.stops:
        return
    retry_s = pending.retry_s if pending.retry_s is not None else turn.now_s + RETRY_S
    turn.state = replace(turn.state, pending=replace(pending, failed=pending.failed | {key}, retry_s=retry_s))


def check_time(turn: Turn) -> None:
    """Write the failed stops again when it is time."""
    pending = turn.state.pending
    if pending.retry_s is None or turn.now_s < pending.retry_s:
        return
    for key in sorted(pending.failed):
        for write in pending.stops[key]:
            turn.emit(write)
    turn.state = replace(turn.state, pending=replace(pending, failed=frozenset(), retry_s=None))


def deadline_s(pending: Pending) -> float | None:
    """When failed stops are tried again."""
    return pending.retry_s


def _meter_stop_wh(connector: Connector, transaction: Transaction, cause: StopCause) -> WattHours:
    """Never below the start, whatever a meter says (ocpp16.md rule 13)."""
    register_wh = cause.energy_wh if cause.energy_wh is not None else connector.meter.register_wh
    start_wh = transaction.start.meter_start_wh
    return WattHours(max(register_wh if register_wh is not None else 0, start_wh))


def _end_sample(
    turn: Turn, transaction: Transaction, stop: TransactionStop, reading: MeterReading | None, offered_a: float
) -> MeterSample | None:
    """The last sample, with the register of the stop."""
    if not sampling.has_ends(turn.rules.sampling):
        return None
    reading = replace(reading or MeterReading(), energy_wh=stop.meter_stop_wh)
    rules = turn.rules.sampling
    return sampling.sample(transaction, stop.stopped, ReadingContext.END, reading, rules, offered_a)


def _is_energy_off(turn: Turn, connector: Connector, current: Session) -> bool:
    """No car, or the contactor proven open."""
    if current.plug_id is None:
        return True
    is_seen = turn.state.guard.is_current and connector.seen is not None
    return is_seen and connector.seen is not None and connector.seen.contactor is ContactorState.OPEN


def _off_without_guard_s(guard: GuardLink) -> float | None:
    """When the energy has ended although nobody tells; a guard that is back by then tells better."""
    return None if guard.is_current else guard.lost_s + OPEN_WITHOUT_GUARD_S


def _ended_at(ending: Ending, ended: Instant) -> TransactionStop:
    is_kept = ending.is_of_earlier_run or ending.stop.reason in _TIME_IS_THE_CAUSES
    return ending.stop if is_kept else replace(ending.stop, stopped=ended)


def _write(turn: Turn, key: TransactionKey, write: CommitStop | FinishStop) -> None:
    """Have it written, and keep it in case that fails."""
    turn.emit(write)
    pending = turn.state.pending
    stops = {**pending.stops, key: (*pending.stops.get(key, ()), write)}
    turn.state = replace(turn.state, pending=replace(pending, stops=_newest(stops, _STOPS_KEPT, pending.failed)))


def _newest(
    items: dict[TransactionKey, _Value], count: int, keep: frozenset[TransactionKey] = frozenset()
) -> dict[TransactionKey, _Value]:
    """Bound a mapping; the ones to keep stay."""
    outdated = [key for key in list(items)[: max(0, len(items) - count)] if key not in keep]
    return {key: value for key, value in items.items() if key not in outdated}
