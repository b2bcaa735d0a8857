"""What charging profiles allow at one second, the slow and obvious way: look at every profile, every second.

Written from the rules alone; it shares data types with the code under test, and no code.
"""

from collections.abc import Iterator

from evcharge_agent.core.charging_profiles import (
    ChargingProfile,
    Installed,
    Kind,
    Period,
    Purpose,
    RateUnit,
    Recurrency,
)
from evcharge_agent.core.composite import Basis, Question
from evcharge_agent.core.facts import Instant

VOLTS = 230


def reported_at(basis: Basis, question: Question, now: Instant, second: int) -> float:
    """What a report must say of the second that many after its begin."""
    return limit_at(basis, question, now, now.utc_s + 0.001 + second, idle_since=now.utc_s)


def limit_at(basis: Basis, question: Question, now: Instant, utc: float, idle_since: float) -> float:
    """The limit in the unit asked for; `idle_since` is where a transaction would begin if there is none."""
    outlets = basis.outlets or {}
    station_phases = max([outlet.phases for outlet in outlets.values()], default=3)
    most = chosen(basis, 0, (Purpose.CHARGE_POINT_MAX,), now, utc, None, station_phases, question.unit)
    if question.connector != 0:
        allowed = _of_connector(basis, question.connector, now, utc, idle_since, question.unit)
        known = [value for value in (most, allowed) if value is not None]
        return min(known) if known else _amps_as(question.default_a, outlets[question.connector].phases, question.unit)
    total = 0.0
    for number, outlet in outlets.items():
        allowed = _of_connector(basis, number, now, utc, idle_since, question.unit)
        total += allowed if allowed is not None else _amps_as(question.default_a, outlet.phases, question.unit)
    installed = _amps_as(basis.station_limit_a, station_phases, question.unit)
    return min([total, installed] + ([most] if most is not None else []))


def _of_connector(
    basis: Basis, number: int, now: Instant, utc: float, idle_since: float, unit: RateUnit
) -> float | None:
    outlet = (basis.outlets or {})[number]
    purposes = (Purpose.TX, Purpose.TX_DEFAULT)
    transaction_utc = idle_since
    if outlet.running is not None:
        transaction_utc = outlet.running.began_s + (now.utc_s - now.monotonic_s)
    return chosen(basis, number, purposes, now, utc, transaction_utc, outlet.phases, unit)


def chosen(
    basis: Basis,
    number: int,
    purposes: tuple[Purpose, ...],
    now: Instant,
    utc: float,
    transaction_utc: float | None,
    phases: int,
    unit: RateUnit,
) -> float | None:
    """The best that surely acts, or one above it that perhaps does, if that is lower in ampere."""
    sure: list[tuple[tuple[int, int, int], float, float]] = []
    perhaps: list[tuple[tuple[int, int, int], float, float]] = []
    for one in basis.profiles:
        if one.profile.purpose not in purposes or not _concerns(basis, one, number):
            continue
        rank = (one.profile.purpose is Purpose.TX, one.connector != 0, one.profile.stack_level)
        for is_sure, period in _says(one, basis.boot_id, now, utc, transaction_utc, phases):
            amps, watts = _both(one, period, phases)
            (sure if is_sure else perhaps).append((rank, amps, watts))
    best = max(sure, default=None)
    candidates = [item for item in perhaps if best is None or item[0] > best[0]] + ([best] if best is not None else [])
    if not candidates:
        return None
    lowest = min(candidates, key=lambda item: (item[1], item[2]))
    return lowest[1] if unit is RateUnit.CURRENT else lowest[2]


def _concerns(basis: Basis, one: Installed, number: int) -> bool:
    if one.profile.purpose is Purpose.CHARGE_POINT_MAX:
        return True
    if one.profile.purpose is Purpose.TX_DEFAULT:
        return one.connector in (0, number)
    running = (basis.outlets or {})[number].running
    if one.connector != number:
        return False
    return running is not None and running.transaction is not None and running.transaction == one.transaction


def _says(
    one: Installed, boot_id: str, now: Instant, utc: float, transaction_utc: float | None, phases: int
) -> Iterator[tuple[bool, Period]]:
    """Whether it surely says so, and what; nothing where it says nothing."""
    profile, knows = one.profile, now.is_utc_trusted
    start = _start(one, boot_id, now, transaction_utc)
    if start is None:
        charging = [period for period in profile.schedule.periods if _both(one, period, phases)[0] >= 6]
        yield False, min(charging, key=lambda period: _both(one, period, phases), default=Period(0, 0))
        return
    if knows and not _is_valid(profile, utc):
        return
    into = utc - start
    if into >= 0 and profile.kind is Kind.RECURRING:
        into %= 24 * 3600 if profile.recurrency is Recurrency.DAILY else 7 * 24 * 3600
    is_over = profile.schedule.duration_s is not None and into >= profile.schedule.duration_s
    begun = [period for period in profile.schedule.periods if period.start_s <= into]
    if begun and not is_over:
        has_bounds = profile.valid_from_utc_s is not None or profile.valid_to_utc_s is not None
        yield knows or not has_bounds, begun[-1]


def _start(one: Installed, boot_id: str, now: Instant, transaction_utc: float | None) -> float | None:
    profile, knows = one.profile, now.is_utc_trusted
    if profile.kind is Kind.RELATIVE and profile.purpose is not Purpose.CHARGE_POINT_MAX:
        return transaction_utc
    if profile.kind is not Kind.RELATIVE and profile.schedule.start_utc_s is not None:
        return profile.schedule.start_utc_s if knows else None
    if one.boot_id == boot_id:
        return one.accepted.monotonic_s + (now.utc_s - now.monotonic_s)
    return one.accepted.utc_s if knows and one.accepted.is_utc_trusted else None


def _is_valid(profile: ChargingProfile, utc: float) -> bool:
    if profile.valid_from_utc_s is not None and utc < profile.valid_from_utc_s:
        return False
    return profile.valid_to_utc_s is None or utc < profile.valid_to_utc_s


def _both(one: Installed, period: Period, phases: int) -> tuple[float, float]:
    """Ampere for each phase, and watt for all."""
    per_volt = VOLTS * min(3 if period.phases is None else period.phases, phases)
    if one.profile.schedule.unit is RateUnit.CURRENT:
        return period.limit, period.limit * per_volt
    return period.limit / per_volt, period.limit


def _amps_as(amps: float, phases: int, unit: RateUnit) -> float:
    return amps if unit is RateUnit.CURRENT else amps * VOLTS * phases
