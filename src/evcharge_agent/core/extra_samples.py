"""Samples besides the periodic ones of a transaction: clock-aligned (ocpp16.md rule 13) and asked for. Pure.

The clock's day is UTC's: multiples of the interval since midnight UTC, whatever the time zone of the site.
"""

import math
from dataclasses import replace

from evcharge_agent.core import metering
from evcharge_agent.core.books import Alignment
from evcharge_agent.core.effects import CommitSample
from evcharge_agent.core.events import SampleRequested
from evcharge_agent.core.facts import Instant, Measurand, MeterSample, ReadingContext
from evcharge_agent.core.rules import SamplingRules
from evcharge_agent.core.session import Phase
from evcharge_agent.core.turn import Turn

DAY_S = 86_400.0
LATE_S = 5.0
"""A boundary found later than this, after a stall or a clock that jumped, has no reading that belongs to it."""
_TOLERANCE_S = 0.01


def next_boundary_utc_s(utc_s: float, interval_s: int) -> float:
    """The next multiple of the interval since midnight UTC after `utc_s`; every midnight is one."""
    midnight_s = math.floor(utc_s / DAY_S) * DAY_S
    multiple = math.floor((utc_s - midnight_s) / interval_s) + 1
    return min(midnight_s + multiple * interval_s, midnight_s + DAY_S)


def check_time(turn: Turn) -> None:
    """Take the samples of a boundary that was reached, and look for the next one.

    The boundary is sought anew in every step, so a changed interval or a moved clock re-aligns at once. While the
    time is not known there are none.
    """
    rules = turn.rules.sampling
    if not _is_on(rules) or not turn.now.is_utc_trusted:
        if turn.state.aligned is not None:
            turn.state = replace(turn.state, aligned=None)
        return
    utc_s, interval_s = turn.now.utc_s, rules.clock_aligned_data_interval_s
    known = turn.state.aligned
    last_utc_s = known.last_utc_s if known is not None else None
    if known is not None and known.interval_s == interval_s and utc_s >= known.next_utc_s - _TOLERANCE_S:
        if known.next_utc_s != last_utc_s and utc_s < known.next_utc_s + LATE_S:
            _sample_all(turn, known.next_utc_s)
        last_utc_s = known.next_utc_s
    next_utc_s = next_boundary_utc_s(utc_s + _TOLERANCE_S, interval_s)
    aligned = Alignment(interval_s, next_utc_s, turn.now_s + next_utc_s - utc_s, last_utc_s)
    turn.state = replace(turn.state, aligned=aligned)


def take_request(turn: Turn, event: SampleRequested) -> None:
    """TriggerMessage asks for MeterValues (OCPP 1.6, 5.17): the measurands of the periodic samples."""
    for number in turn.numbers if event.connector is None else (event.connector,):
        if turn.knows(number):
            _sample(
                turn, number, turn.now, ReadingContext.TRIGGER, tuple(turn.rules.sampling.meter_values_sampled_data)
            )


def _is_on(rules: SamplingRules) -> bool:
    return rules.clock_aligned_data_interval_s > 0 and bool(
        rules.meter_values_aligned_data or rules.stop_txn_aligned_data
    )


def _sample_all(turn: Turn, boundary_utc_s: float) -> None:
    """Stamped on the boundary; the reading is the latest there is."""
    at = Instant(turn.now_s - (turn.now.utc_s - boundary_utc_s), boundary_utc_s, is_utc_trusted=True)
    rules = turn.rules.sampling
    for number in turn.numbers:
        _sample(
            turn,
            number,
            at,
            ReadingContext.CLOCK,
            tuple(rules.meter_values_aligned_data),
            tuple(rules.stop_txn_aligned_data),
        )


def _sample(
    turn: Turn,
    number: int,
    at: Instant,
    context: ReadingContext,
    measurands: tuple[Measurand, ...],
    stop_measurands: tuple[Measurand, ...] = (),
) -> None:
    """Of the open transaction, else of the connector alone; a meter that is lost leaves a gap."""
    connector = turn.connector(number)
    reading = metering.steady_reading(connector.meter)
    transaction = connector.session.transaction if connector.session.phase is Phase.ACTIVE else None
    repeated = stop_measurands if transaction is not None else ()
    if reading is None or not (measurands or repeated):
        return
    key = transaction.start.transaction if transaction is not None else None
    offer_a = connector.output.offer_a
    taken = MeterSample(number, key, at, context, reading, measurands, offer_a, stop_measurands=repeated)
    turn.emit(CommitSample(taken))
