"""Writes the facts of a transaction: first and last sample, the one stop, and the stops that failed."""

from dataclasses import replace
from typing import TypeVar

from evcharge_agent.core import metering, sampling
from evcharge_agent.core.effects import CommitSample, CommitStop, Level
from evcharge_agent.core.facts import MeterReading, ReadingContext, TransactionKey, TransactionStop
from evcharge_agent.core.state import Connector, Pending, Session, StopCause, Transaction
from evcharge_agent.core.turn import Turn
from evcharge_hal.contract.units import WattHours

_Value = TypeVar("_Value")

RETRY_S = 30.0
"""A stop that could not be written is tried again this often; the store takes it only once."""
_STOPS_KEPT = 8
_UNREGISTERED_KEPT = 64


def record_begin(turn: Turn, number: int) -> None:
    """The first sample, with the register the start carries."""
    connector = turn.connector(number)
    transaction = connector.session.transaction
    if transaction is None or not sampling.is_on(turn.rules.sampling):
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
    advanced = sampling.advance(transaction, turn.rules.sampling, turn.now_s)
    turn.put_session(number, replace(connector.session, transaction=advanced))


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
    _record_end(turn, connector, transaction, cause, stop_wh)
    stop = TransactionStop(key, stop_wh, cause.at, cause.reason, cause.id_tag)
    turn.emit(CommitStop(stop))
    energy_wh = stop_wh - transaction.start.meter_start_wh
    turn.note("transaction_stopped", number, reason=cause.reason.value, energy_wh=energy_wh)
    pending = turn.state.pending
    stops = _newest({**pending.stops, key: stop}, _STOPS_KEPT, pending.failed)
    pending = replace(pending, stops=stops)
    if transaction.transaction_id is None:
        unregistered = {**pending.unregistered, key: transaction.start.id_tag}
        pending = replace(pending, unregistered=_newest(unregistered, _UNREGISTERED_KEPT))
    turn.state = replace(turn.state, pending=pending)
    return replace(after, claim=None, transaction=None, held_stop=None, refusal=None)


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
        turn.emit(CommitStop(pending.stops[key]))
    turn.state = replace(turn.state, pending=replace(pending, failed=frozenset(), retry_s=None))


def deadline_s(pending: Pending) -> float | None:
    """When failed stops are tried again."""
    return pending.retry_s


def _meter_stop_wh(connector: Connector, transaction: Transaction, cause: StopCause) -> WattHours:
    """Never below the start, whatever a meter says (ocpp16.md rule 13)."""
    register_wh = cause.energy_wh if cause.energy_wh is not None else connector.meter.register_wh
    start_wh = transaction.start.meter_start_wh
    return WattHours(max(register_wh if register_wh is not None else 0, start_wh))


def _record_end(
    turn: Turn, connector: Connector, transaction: Transaction, cause: StopCause, stop_wh: WattHours
) -> None:
    if not sampling.is_on(turn.rules.sampling):
        return
    # What the meter says now belongs to the end only if the end is now.
    is_now = cause.at == turn.now
    reading = metering.steady_reading(connector.meter) if is_now else None
    reading = replace(reading or MeterReading(), energy_wh=stop_wh)
    offered_a = connector.output.offer_a if is_now else 0.0
    end = sampling.sample(transaction, cause.at, ReadingContext.END, reading, turn.rules.sampling, offered_a)
    turn.emit(CommitSample(end))


def _newest(
    items: dict[TransactionKey, _Value], count: int, keep: frozenset[TransactionKey] = frozenset()
) -> dict[TransactionKey, _Value]:
    """Bound a mapping; the ones to keep stay."""
    outdated = [key for key in list(items)[: max(0, len(items) - count)] if key not in keep]
    return {key: value for key, value in items.items() if key not in outdated}
