"""When a transaction is sampled: at exact multiples of the interval after its start (ocpp16.md rule 13). Pure."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from evcharge_agent.core.facts import Instant, MeterReading, MeterSample, ReadingContext
from evcharge_agent.core.rules import SamplingRules
from evcharge_agent.core.state import Transaction

_Item = TypeVar("_Item")


def is_on(rules: SamplingRules) -> bool:
    """MeterValueSampleInterval 0 switches the periodic samples of transactions off."""
    is_wanted = bool(rules.meter_values_sampled_data or rules.stop_txn_sampled_data)
    return rules.meter_value_sample_interval_s > 0 and is_wanted


def has_ends(rules: SamplingRules) -> bool:
    """A transaction's first and last sample are taken: StopTransaction repeats them without any interval."""
    return is_on(rules) or bool(rules.stop_txn_sampled_data)


def due_s(transaction: Transaction, rules: SamplingRules) -> float | None:
    """Monotonic time of the next periodic sample; counted from the start, so nothing drifts."""
    if not is_on(rules):
        return None
    return transaction.began_s + transaction.next_sample * rules.meter_value_sample_interval_s


def advance(transaction: Transaction, rules: SamplingRules, now_s: float) -> Transaction:
    """Go past the sample that was due; what was missed is not made up."""
    interval_s = rules.meter_value_sample_interval_s
    passed = math.floor((now_s - transaction.began_s) / interval_s)
    return replace(transaction, next_sample=max(transaction.next_sample, passed) + 1)


def restart(transaction: Transaction, rules: SamplingRules, now_s: float) -> Transaction:
    """Count anew with a changed interval: the next multiple from now on."""
    if not is_on(rules):
        return transaction
    interval_s = rules.meter_value_sample_interval_s
    return replace(transaction, next_sample=max(1, math.floor((now_s - transaction.began_s) / interval_s) + 1))


def sample(
    transaction: Transaction,
    taken: Instant,
    context: ReadingContext,
    reading: MeterReading,
    rules: SamplingRules,
    offered_a: float,
) -> MeterSample:
    """A sample with the measurands that are configured now; without an interval it is for StopTransaction alone."""
    return MeterSample(
        transaction.start.connector,
        transaction.start.transaction,
        taken,
        context,
        reading,
        tuple(rules.meter_values_sampled_data) if rules.meter_value_sample_interval_s > 0 else (),
        offered_a,
        stop_measurands=tuple(rules.stop_txn_sampled_data),
    )


def spread(items: Sequence[_Item], count: int, is_kept: Callable[[_Item], bool]) -> list[_Item]:
    """At most `count` of the items in their order: those that are kept, and of the others evenly as many as fit."""
    others = [index for index, item in enumerate(items) if not is_kept(item)]
    room = max(0, count - (len(items) - len(others)))
    if room < len(others):
        step = (len(others) - 1) / (room - 1) if room > 1 else 0.0
        others = [others[round(place * step)] for place in range(room)]
    chosen = set(others)
    return [item for index, item in enumerate(items) if index in chosen or is_kept(item)]
