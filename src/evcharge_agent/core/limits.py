"""One number, many limits (DESIGN D4): each source is a function, `combine` is the only place they meet.

A limit says where it comes from, for whom it holds, how much, why and until when. Between 0 and 6 A there
is nothing: the car is paused, and the limit that acts says why.
"""

import enum
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from evcharge_agent.core.reasons import Reason
from evcharge_agent.core.rules import LimitRules
from evcharge_hal.contract.channel import Ceiling, CeilingSource
from evcharge_hal.contract.units import PerPhase, offer_or_pause_a

RAISE_INTERVAL_S = 5.0
"""Repeated raises are at least this far apart; the car has as long to follow (DESIGN D4)."""


class Scope(enum.Enum):
    """For whom a limit holds."""

    CONNECTOR = "connector"
    STATION = "station"
    """For all connectors together; what a connector sees is its share (`sharing`)."""


class Source(enum.Enum):
    """Who sets a limit."""

    RATING = "rating"
    CABLE = "cable"
    SUPPLY = "supply"
    TEMPERATURE = "temperature"
    TEMPERATURE_SENSOR_LOST = "temperature_sensor_lost"
    COPROCESSOR = "coprocessor"
    INSTALLER = "installer"
    USER = "user"
    CENTRAL_SYSTEM = "central_system"


@dataclass(frozen=True, slots=True)
class Limit:
    """What one source allows one connector."""

    source: Source
    scope: Scope
    current_a: PerPhase
    reason: Reason
    valid_until_s: float | None = None
    """Monotonic; None holds until it is changed."""


@dataclass(frozen=True, slots=True)
class Target:
    """The minimum of all limits as an offer, and the limit that sets it."""

    offer_a: float
    acting: Limit | None


_CEILINGS: Mapping[CeilingSource, tuple[Source, Reason]] = {
    CeilingSource.RATING: (Source.RATING, Reason.RATING),
    CeilingSource.CABLE: (Source.CABLE, Reason.CABLE),
    CeilingSource.SUPPLY: (Source.SUPPLY, Reason.SUPPLY),
    CeilingSource.TEMPERATURE: (Source.TEMPERATURE, Reason.TEMPERATURE),
    CeilingSource.TEMPERATURE_SENSOR_LOST: (Source.TEMPERATURE_SENSOR_LOST, Reason.TEMPERATURE_SENSOR_LOST),
    CeilingSource.COPROCESSOR: (Source.COPROCESSOR, Reason.COPROCESSOR_LIMIT),
}


def guard_limits(ceilings: Sequence[Ceiling]) -> tuple[Limit, ...]:
    """The guard's ceilings; it enforces them itself, here they take part in the chain."""
    return tuple(
        Limit(source, Scope.CONNECTOR, PerPhase.uniform(ceiling.limit_a), reason)
        for ceiling in ceilings
        for source, reason in (_CEILINGS[ceiling.source],)
    )


def installer_limit(rules: LimitRules, share_a: float) -> Limit:
    """What the installation allows the station, as this connector's share."""
    is_shared = share_a < rules.installer_limit_a
    reason = Reason.INSTALLER_LIMIT_SHARED if is_shared else Reason.INSTALLER_LIMIT
    return Limit(Source.INSTALLER, Scope.STATION, PerPhase.uniform(share_a), reason)


def user_limit(rules: LimitRules) -> Limit:
    """The "allowed current" slider (CHG-8); never above the installer's, because the minimum counts."""
    return Limit(Source.USER, Scope.CONNECTOR, PerPhase.uniform(rules.user_limit_a), Reason.USER_LIMIT)


def combine(limits: Iterable[Limit]) -> Target:
    """The minimum over all limits and phases, as an offer; of equals the first acts.

    Nothing known is nothing offered.
    """
    acting = min(limits, key=lambda limit: limit.current_a.minimum, default=None)
    if acting is None:
        return Target(0.0, None)
    return Target(offer_or_pause_a(acting.current_a.minimum), acting)


def next_offer(offer_a: float, target_a: float, raised_s: float | None, now_s: float) -> tuple[float, float | None]:
    """Move the offer towards its target: down at once, up at most every 5 s.

    Returns the offer and when it last rose.
    """
    if target_a <= offer_a:
        return target_a, raised_s
    if raised_s is not None and now_s < raised_s + RAISE_INTERVAL_S:
        return offer_a, raised_s
    return target_a, now_s


def raise_deadline_s(offer_a: float, target_a: float, raised_s: float | None) -> float | None:
    """When an offer that is held back may rise."""
    return raised_s + RAISE_INTERVAL_S if target_a > offer_a and raised_s is not None else None
