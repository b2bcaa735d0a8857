"""Charging profiles for tests, written short."""

from typing import Any

from evcharge_agent.core.charging_profiles import ChargingProfile, Kind, Period, Purpose, RateUnit, Schedule
from evcharge_agent.core.events import ChargingProfileSet, RequestId

MAX, DEFAULT, TX = Purpose.CHARGE_POINT_MAX, Purpose.TX_DEFAULT, Purpose.TX
AMPERE, WATT = RateUnit.CURRENT, RateUnit.POWER


def periods(*steps: tuple[float, ...]) -> tuple[Period, ...]:
    """`(start_s, limit)` or `(start_s, limit, phases)` each."""
    return tuple(Period(int(step[0]), step[1], int(step[2]) if len(step) > 2 else None) for step in steps)


def profile(
    *steps: tuple[float, ...],
    id: int = 1,  # noqa: A002 - OCPP's name
    level: int = 0,
    purpose: Purpose = DEFAULT,
    kind: Kind = Kind.RELATIVE,
    unit: RateUnit = AMPERE,
    duration_s: int | None = None,
    start_utc_s: float | None = None,
    min_rate: float | None = None,
    **more: Any,
) -> ChargingProfile:
    """A profile; without steps one limit of 10 A for ever."""
    found = periods(*(steps or ((0, 10.0),)))
    return ChargingProfile(id, level, purpose, kind, Schedule(unit, found, duration_s, start_utc_s, min_rate), **more)


def sent(one: ChargingProfile, connector: int = 1, request: str = "q") -> ChargingProfileSet:
    """SetChargingProfile as the core hears it."""
    return ChargingProfileSet(RequestId(request), connector, one)
