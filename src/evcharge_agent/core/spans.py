"""What the charging profiles allow, kept until one of them says something else by the clock. Pure.

Most steps and views find what the one before has found: profiles change by the hour, steps come several a second.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from evcharge_agent.core import composite
from evcharge_agent.core.composite import EARLY_S, Basis, Sight, Span
from evcharge_agent.core.facts import Instant

_SAME_CLOCK_S = 1e-4
"""Less is rounding between the clocks, and well below what a change may come early."""


@dataclass(frozen=True, slots=True)
class Spans:
    """What holds for the station and for each connector. Times are monotonic."""

    basis: Basis = field(default_factory=Basis)
    offset_s: float = 0.0
    """UTC minus monotonic."""
    is_utc_known: bool = False
    since_s: float = 0.0
    until_s: float = -math.inf
    """When something is to be looked at anew; infinite: as long as nobody changes a profile."""
    station: Span | None = None
    by_number: Mapping[int, Span] = field(default_factory=dict)

    @property
    def next_change_s(self) -> float | None:
        """When the limit of a transaction, or of the station, changes by the clock alone."""
        running = [span for number, span in self.by_number.items() if self.basis.by_number[number].running is not None]
        station = [self.station] if self.station is not None else []
        until_utc_s = min((span.until_utc_s for span in (*running, *station)), default=math.inf)
        return until_utc_s - self.offset_s if until_utc_s < math.inf else None


def look(basis: Basis, now: Instant, known: Spans) -> Spans:
    """Find what is allowed now; what is `known` is handed back while it holds."""
    sight = Sight.of(now)
    is_timely = known.since_s <= now.monotonic_s and now.monotonic_s + EARLY_S < known.until_s
    is_same_clock = known.is_utc_known is sight.is_utc_known and abs(known.offset_s - sight.offset_s) < _SAME_CLOCK_S
    if is_timely and is_same_clock and known.basis == basis:
        return known
    if not basis.profiles:
        return Spans(basis, sight.offset_s, sight.is_utc_known, now.monotonic_s, math.inf)
    station = composite.station_span(basis, sight)
    by_number = {number: composite.connector_span(basis, number, sight) for number in basis.by_number}
    until_utc_s = min(span.until_utc_s for span in (station, *by_number.values()))
    until_s = until_utc_s - sight.offset_s
    return Spans(basis, sight.offset_s, sight.is_utc_known, now.monotonic_s, until_s, station, by_number)
