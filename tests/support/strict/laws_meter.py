"""Laws about MeterValues: when, what and why (OCPP 1.6, 3.16 and 7.33; rule 13)."""

import itertools
import math
from collections.abc import Iterator

from tests.support.strict.expectations import Expectations, list_at, seconds_at
from tests.support.strict.law import Finding
from tests.support.strict.laws_boot import TRIGGERS
from tests.support.strict.readings import CLOCK, PERIODIC, Reading, readings_of
from tests.support.strict.trace import Trace, Transaction, stamp_s

SAMPLE_TOLERANCE_S = 1.0
STOP_TAKES_S = 8.0
"""A transaction that is being stopped is not sampled any more while the car lets go."""
CLOCK_TOLERANCE_S = 0.01
DAY_S = 86_400.0
OF_TRANSACTION = (PERIODIC, "Transaction.Begin", "Transaction.End")
CHANGE_S = 2.0
"""A value that was taken right before a change of the configuration may be told after it."""


def samples_keep_their_beat(trace: Trace, expectations: Expectations) -> Iterator[Finding]:
    """Periodic samples are taken at start + n x MeterValueSampleInterval, until a power cut takes the clock away."""
    for transaction, reading in _periodic(trace):
        began_s = _began_s(transaction)
        from_s, to_s = began_s - trace.utc_offset_s, reading.utc_s - trace.utc_offset_s
        if any(from_s <= mark.at_s <= to_s for mark in trace.marks("power")):
            continue
        interval_s = seconds_at(trace, expectations, "MeterValueSampleInterval", reading.utc_s - trace.utc_offset_s)
        if interval_s == 0:
            yield reading.call.at_s, "a sample though MeterValueSampleInterval is 0"
            continue
        off_s = math.remainder(reading.utc_s - began_s, interval_s)
        if abs(off_s) > SAMPLE_TOLERANCE_S or reading.utc_s - began_s < interval_s - SAMPLE_TOLERANCE_S:
            yield reading.call.at_s, f"{off_s:+.1f} s off the beat of {interval_s:g} s in transaction {transaction.id}"


def no_sample_is_missing(trace: Trace, expectations: Expectations) -> Iterator[Finding]:
    """A transaction that was told to its end has all its samples."""
    taken = list(_periodic(trace))
    for transaction in trace.transactions:
        stop = transaction.stop
        if stop is None or all(send.result is None for send in transaction.stops):
            continue
        began_s, ended_s = _began_s(transaction), stamp_s(str(stop.payload["timestamp"]))
        from_s, to_s = began_s - trace.utc_offset_s, ended_s - trace.utc_offset_s
        interval_s = seconds_at(trace, expectations, "MeterValueSampleInterval", from_s)
        changed = [call for call in trace.asked("ChangeConfiguration") if from_s <= call.at_s <= to_s]
        wanted = list_at(trace, expectations, "MeterValuesSampledData", from_s) & expectations.meter_gives
        if interval_s == 0 or changed or not wanted or not trace.is_without_start(from_s, to_s):
            continue
        beats = {round((one.utc_s - began_s) / interval_s) for of, one in taken if of == transaction}
        missing = set(range(1, int((ended_s - began_s - STOP_TAKES_S) // interval_s) + 1)) - beats
        if missing:
            yield stop.at_s, f"samples {sorted(missing)} of transaction {transaction.id} are missing"


def clock_samples_are_on_the_boundary(trace: Trace, expectations: Expectations) -> Iterator[Finding]:
    """Clock-aligned values are stamped with exact multiples of the interval since midnight UTC."""
    for reading in _of_context(trace, CLOCK):
        at_s = reading.utc_s - trace.utc_offset_s
        intervals = {
            seconds_at(trace, expectations, "ClockAlignedDataInterval", moment_s)
            for moment_s in (at_s, at_s - CHANGE_S)
        } - {0.0}
        day_s = reading.utc_s % DAY_S
        if not any(abs(math.remainder(day_s, interval_s)) <= CLOCK_TOLERANCE_S for interval_s in intervals):
            yield reading.call.at_s, f"{day_s:.3f} s after midnight is no multiple of {sorted(intervals)}"


def no_boundary_is_missing(trace: Trace, expectations: Expectations) -> Iterator[Finding]:
    """Every boundary is told once for each connector."""
    for connector in range(1, expectations.connectors + 1):
        mine = [reading for reading in _of_context(trace, CLOCK) if reading.connector == connector]
        mine.sort(key=lambda reading: reading.utc_s)
        for before, after in itertools.pairwise(mine):
            at_s = before.utc_s - trace.utc_offset_s, after.utc_s - trace.utc_offset_s
            intervals = {seconds_at(trace, expectations, "ClockAlignedDataInterval", moment_s) for moment_s in at_s}
            gap_s = after.utc_s - before.utc_s
            is_whole = len(intervals) == 1 and trace.is_up(*at_s) and trace.is_without_start(*at_s)
            if gap_s < CLOCK_TOLERANCE_S or (is_whole and gap_s > max(intervals) + CLOCK_TOLERANCE_S):
                yield after.call.at_s, f"{gap_s:g} s between two clock-aligned values of connector {connector}"


def only_configured_measurands_are_sent(trace: Trace, expectations: Expectations) -> Iterator[Finding]:
    """A value has the measurands configured for its kind, and all of them that the meter gives."""
    for reading in readings_of(trace):
        name = "MeterValuesAlignedData" if reading.context == CLOCK else "MeterValuesSampledData"
        at_s = reading.utc_s - trace.utc_offset_s
        wanted = [
            {part.split(".L")[0] for part in list_at(trace, expectations, name, moment_s)}
            for moment_s in (at_s, at_s - CHANGE_S, at_s + CHANGE_S)
        ]
        if not any(reading.measurands <= one for one in wanted):
            yield reading.call.at_s, f"{sorted(reading.measurands - wanted[0])} with {reading.context} not configured"
        is_whole = reading.context in (PERIODIC, CLOCK)
        if is_whole and not any(one & expectations.meter_gives <= reading.measurands for one in wanted):
            missing = wanted[0] & expectations.meter_gives - reading.measurands
            yield reading.call.at_s, f"{sorted(missing)} missing with {reading.context}"


def contexts_tell_the_truth(trace: Trace, expectations: Expectations) -> Iterator[Finding]:
    """Begin, End and Periodic belong to a transaction, Clock to the clock, Trigger to a trigger."""
    for reading in readings_of(trace):
        if reading.context in OF_TRANSACTION and reading.transaction_id is None:
            yield reading.call.at_s, f"{reading.context} outside a transaction"
        if reading.context == "Trigger":
            asked = [one for one in trace.asked(*TRIGGERS) if one.payload["requestedMessage"] == "MeterValues"]
            if not any(one.number < reading.call.number and one.status == "Accepted" for one in asked):
                yield reading.call.at_s, "Trigger without a trigger"
        if reading.context == CLOCK:
            at_s = reading.utc_s - trace.utc_offset_s
            moments = (at_s, at_s - CHANGE_S, at_s + CHANGE_S)
            if not any(seconds_at(trace, expectations, "ClockAlignedDataInterval", one) for one in moments):
                yield reading.call.at_s, "Sample.Clock though ClockAlignedDataInterval is 0"


def stop_data_is_as_configured(trace: Trace, expectations: Expectations) -> Iterator[Finding]:
    """StopTransaction carries samples only of measurands configured for it."""
    for stop in trace.sent("StopTransaction"):
        wanted = list_at(trace, expectations, "StopTxnSampledData", stop.at_s) | list_at(
            trace, expectations, "StopTxnAlignedData", stop.at_s
        )
        for value in stop.payload.get("transactionData", []):
            for one in value["sampledValue"]:
                measurand = one.get("measurand", "Energy.Active.Import.Register")
                if measurand not in {part.split(".L")[0] for part in wanted}:
                    yield stop.at_s, f"{measurand} in StopTransaction is not configured"


def _of_context(trace: Trace, context: str) -> list[Reading]:
    return [reading for reading in readings_of(trace) if reading.context == context]


def _periodic(trace: Trace) -> Iterator[tuple[Transaction, Reading]]:
    transactions = {transaction.id: transaction for transaction in trace.transactions if transaction.id is not None}
    for reading in _of_context(trace, PERIODIC):
        if reading.transaction_id in transactions:
            yield transactions[reading.transaction_id], reading


def _began_s(transaction: Transaction) -> float:
    return stamp_s(str(transaction.start.payload["timestamp"]))


METER_LAWS = (
    samples_keep_their_beat,
    no_sample_is_missing,
    clock_samples_are_on_the_boundary,
    no_boundary_is_missing,
    only_configured_measurands_are_sent,
    contexts_tell_the_truth,
    stop_data_is_as_configured,
)
