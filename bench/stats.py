"""Distributions of a sample, and no more precision than the sample holds."""

import math
from collections.abc import Sequence
from dataclasses import dataclass


def quantile(ordered: Sequence[float], share: float) -> float:
    """The nearest-rank quantile of an ascending sample: always a value that was measured."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


@dataclass(frozen=True, slots=True)
class Spread:
    """What a sample says. A quantile is None where fewer than one value in the sample lies above it."""

    count: int
    median: float
    p99: float | None
    p999: float | None
    largest: float

    def told(self, share: float) -> float | None:
        """The quantile that can be compared with an aim: p99 or p99.9."""
        return self.p999 if share > 0.99 else self.p99


def spread(values: Sequence[float]) -> Spread | None:
    """Describe a sample; None for an empty one."""
    if not values:
        return None
    ordered = sorted(values)
    count = len(ordered)
    return Spread(
        count=count,
        median=quantile(ordered, 0.5),
        p99=quantile(ordered, 0.99) if count >= 100 else None,
        p999=quantile(ordered, 0.999) if count >= 1000 else None,
        largest=ordered[-1],
    )


def ratio(value: float | None, base: float | None) -> float | None:
    """How many times the baseline; None where one of them is unknown or the baseline is nothing."""
    return None if value is None or not base else value / base


def log_histogram(values: Sequence[float], lowest: float, highest: float, bins: int) -> list[int]:
    """Counts in `bins` classes of equal width on a logarithmic axis; what lies outside goes to the outermost."""
    counts = [0] * bins
    width = math.log(highest / lowest) / bins
    for value in values:
        place = int(math.log(max(value, lowest) / lowest) / width)
        counts[min(place, bins - 1)] += 1
    return counts


def per_hour(amount: float, measured_s: float) -> float:
    """Extrapolate an amount to an hour."""
    return amount * 3600.0 / measured_s
