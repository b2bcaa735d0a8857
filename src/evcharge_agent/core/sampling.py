"""When a transaction is sampled: at exact multiples of the interval after its start (ocpp16.md rule 13). Pure."""

import math
from dataclasses import replace

from evcharge_agent.core.facts import Instant, MeterReading, MeterSample, ReadingContext
from evcharge_agent.core.rules import SamplingRules
from evcharge_agent.core.state import Transaction


def is_on(rules: SamplingRules) -> bool:
    """MeterValueSampleInterval 0 switches the samples of transactions off."""
    return rules.meter_value_sample_interval_s > 0 and len(rules.meter_values_sampled_data) > 0


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
    """A sample with the measurands that are configured now."""
    return MeterSample(
        transaction.start.connector,
        transaction.start.transaction,
        taken,
        context,
        reading,
        tuple(rules.meter_values_sampled_data),
        offered_a,
    )
