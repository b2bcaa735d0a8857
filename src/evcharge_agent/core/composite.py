"""What the installed charging profiles allow: at one moment, and as a schedule to report. Pure.

At every instant the limit is the lower of the ChargePointMaxProfile and of the TxProfile, where there is one, else
the TxDefaultProfile; within a purpose the highest stack level that is valid at that instant wins, and where it has
a gap or ends, the next lower one takes over (OCPP 1.6, 3.13; ocpp16.md rules 14 to 16).

Everything is placed on the line of UTC seconds, on which days and weeks have one length. Where the time of day is
not known, a profile that needs it cannot be placed: it then counts with the lowest of its limits a car can charge
with, beside the next lower one that can be placed, and the lower of the two stands.
"""

import math
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from evcharge_agent.core.charging_profiles import (
    CYCLES_S,
    MAX_PHASES,
    STATION,
    ChargingProfile,
    Installed,
    Kind,
    Period,
    Purpose,
    RateUnit,
    Schedule,
)
from evcharge_agent.core.facts import Instant, TransactionKey
from evcharge_hal.contract.units import MIN_CURRENT_A

NOMINAL_VOLTAGE_V = 230.0
EARLY_S = 0.001
"""A limit changes up to this early: so no rounding between the clocks makes it miss its moment."""
MAX_PERIODS = 500
"""Longest schedule that is reported; one that would be longer is cut short, and so is its duration."""
_MAX_LOOKS = 1000
"""Keeps one question, however far it looks, from holding up everything else for more than a fifth of a second."""
_NEVER = math.inf


@dataclass(frozen=True, slots=True)
class Running:
    """The transaction a schedule is relative to."""

    transaction: TransactionKey | None
    """None: one that might begin now."""
    began_s: float
    """Monotonic."""


@dataclass(frozen=True, slots=True)
class Outlet:
    """One connector as far as profiles depend on it."""

    phases: int
    running: Running | None


@dataclass(frozen=True, slots=True)
class Basis:
    """What a schedule follows from; it changes with orders and transactions, not with time."""

    profiles: tuple[Installed, ...] = ()
    boot_id: str = ""
    outlets: Mapping[int, Outlet] | None = None
    station_limit_a: float = _NEVER
    """What the installation allows all connectors together."""

    @property
    def by_number(self) -> Mapping[int, Outlet]:
        """The connectors."""
        return self.outlets or {}

    @property
    def station_phases(self) -> int:
        """Most phases one of the connectors has."""
        return max((outlet.phases for outlet in self.by_number.values()), default=MAX_PHASES)


@dataclass(frozen=True, slots=True)
class Allowance:
    """What one profile allows at one moment."""

    purpose: Purpose
    current_a: float
    """For each phase."""
    power_w: float
    """For all phases together."""
    phases: int | None
    """As the profile says."""
    is_placed: bool = True
    """False: the time of day is not known, so this is what it allows at least."""


@dataclass(frozen=True, slots=True)
class Span:
    """What is allowed, and how long nothing changes."""

    allowance: Allowance | None
    """None: no profile says anything."""
    until_utc_s: float
    """Infinite: as long as nobody changes a profile."""


@dataclass(frozen=True, slots=True)
class Sight:
    """A moment, and what is known about time at it."""

    at_utc_s: float
    offset_s: float
    """UTC minus monotonic."""
    is_utc_known: bool

    @classmethod
    def of(cls, now: Instant) -> "Sight":
        """See the present moment."""
        return cls(now.utc_s + EARLY_S, now.utc_s - now.monotonic_s, now.is_utc_trusted)

    def to(self, at_utc_s: float) -> "Sight":
        """See another moment with the same knowledge."""
        return Sight(at_utc_s, self.offset_s, self.is_utc_known)


def station_span(basis: Basis, sight: Sight) -> Span:
    """What the ChargePointMaxProfiles allow all connectors together."""
    stack = [one for one in basis.profiles if one.profile.purpose is Purpose.CHARGE_POINT_MAX]
    return _span(_by_level(stack), basis, sight, None, basis.station_phases)


def connector_span(basis: Basis, number: int, sight: Sight, running: Running | None = None) -> Span:
    """What TxProfile and TxDefaultProfile allow a connector; `running` stands in where no transaction is.

    A TxDefaultProfile of the connector overrides those of connector 0, whatever the levels.
    """
    outlet = basis.by_number.get(number, Outlet(MAX_PHASES, None))
    running = outlet.running or running or Running(None, sight.at_utc_s - sight.offset_s)
    own = [one for one in basis.profiles if one.connector == number and _is_of(one, running)]
    default = [one for one in basis.profiles if one.profile.purpose is Purpose.TX_DEFAULT]
    stack = [
        *_by_level(own),
        *_by_level(one for one in default if one.connector == number),
        *_by_level(one for one in default if one.connector == STATION),
    ]
    return _span(stack, basis, sight, running, outlet.phases)


def _is_of(one: Installed, running: Running) -> bool:
    """It is a TxProfile of this very transaction."""
    is_running = running.transaction is not None and one.transaction == running.transaction
    return one.profile.purpose is Purpose.TX and is_running


def _by_level(profiles: Iterable[Installed]) -> list[Installed]:
    return sorted(profiles, key=lambda one: -one.profile.stack_level)


# --- one profile ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Stretch:
    """What one profile says, and until when."""

    period: Period | None
    until_utc_s: float
    is_placed: bool = True


def _span(stack: Sequence[Installed], basis: Basis, sight: Sight, running: Running | None, phases: int) -> Span:
    """The first that says something, from the top; one that cannot be placed does not hide those below."""
    found: list[Allowance] = []
    until_utc_s = _NEVER
    for one in stack:
        stretch = _stretch(one, basis.boot_id, sight, running, phases)
        until_utc_s = min(until_utc_s, stretch.until_utc_s)
        if stretch.period is None:
            continue
        found.append(_allowance(one.profile, stretch.period, phases, is_placed=stretch.is_placed))
        if stretch.is_placed:
            break
    return Span(min(found, key=lambda one: (one.current_a, one.power_w), default=None), until_utc_s)


def _stretch(one: Installed, boot_id: str, sight: Sight, running: Running | None, phases: int) -> _Stretch:
    profile = one.profile
    begin_utc_s = _begin_utc_s(one, boot_id, sight, running)
    if begin_utc_s is None:
        return _Stretch(_least(profile.schedule, phases), _NEVER, is_placed=False)
    stretch = _in_schedule(profile, begin_utc_s, sight.at_utc_s)
    from_utc_s, to_utc_s = profile.valid_from_utc_s, profile.valid_to_utc_s
    if from_utc_s is None and to_utc_s is None:
        return stretch
    if not sight.is_utc_known:
        return _Stretch(stretch.period, stretch.until_utc_s, is_placed=False)
    if from_utc_s is not None and sight.at_utc_s < from_utc_s:
        return _Stretch(None, from_utc_s)
    if to_utc_s is None:
        return stretch
    if sight.at_utc_s >= to_utc_s:
        return _Stretch(None, _NEVER)
    return _Stretch(stretch.period, min(stretch.until_utc_s, to_utc_s))


def _begin_utc_s(one: Installed, boot_id: str, sight: Sight, running: Running | None) -> float | None:
    """Where the schedule begins; None: that cannot be known now."""
    profile = one.profile
    if profile.kind is Kind.RELATIVE and running is not None:
        return running.began_s + sight.offset_s
    if profile.kind is not Kind.RELATIVE and profile.schedule.start_utc_s is not None:
        return profile.schedule.start_utc_s if sight.is_utc_known else None
    # From its acceptance on: by the monotonic clock while that is the same, whatever the time of day.
    if one.boot_id == boot_id:
        return one.accepted.monotonic_s + sight.offset_s
    return one.accepted.utc_s if one.accepted.is_utc_trusted and sight.is_utc_known else None


def _in_schedule(profile: ChargingProfile, begin_utc_s: float, at_utc_s: float) -> _Stretch:
    """What a schedule that begins there says at a moment, in its present cycle where it recurs."""
    if at_utc_s < begin_utc_s:
        return _Stretch(None, begin_utc_s)
    schedule = profile.schedule
    next_utc_s = _NEVER
    if profile.kind is Kind.RECURRING and profile.recurrency is not None:
        cycle_s = CYCLES_S[profile.recurrency]
        begin_utc_s = _cycle_begin_utc_s(begin_utc_s, cycle_s, at_utc_s)
        next_utc_s = begin_utc_s + cycle_s
    end_utc_s = next_utc_s
    if schedule.duration_s is not None:
        end_utc_s = min(next_utc_s, begin_utc_s + schedule.duration_s)
    if at_utc_s >= end_utc_s:
        return _Stretch(None, next_utc_s)
    place = bisect_right(schedule.periods, at_utc_s, key=lambda period: begin_utc_s + period.start_s)
    if place < len(schedule.periods):
        end_utc_s = min(end_utc_s, begin_utc_s + schedule.periods[place].start_s)
    return _Stretch(schedule.periods[place - 1] if place else None, end_utc_s)


def _cycle_begin_utc_s(first_utc_s: float, cycle_s: int, at_utc_s: float) -> float:
    """Begin of the cycle a moment lies in; corrected by one where the division was rounded."""
    begin_utc_s = first_utc_s + (at_utc_s - first_utc_s) // cycle_s * cycle_s
    if begin_utc_s > at_utc_s:
        return begin_utc_s - cycle_s
    return begin_utc_s + cycle_s if begin_utc_s + cycle_s <= at_utc_s else begin_utc_s


def _least(schedule: Schedule, phases: int) -> Period:
    """The lowest limit a car can charge with; 0 where there is none."""
    charging = [one for one in schedule.periods if _current_a(schedule.unit, one, phases) >= MIN_CURRENT_A]
    unit = schedule.unit
    return min(
        charging,
        key=lambda one: (_current_a(unit, one, phases), _power_w(unit, one, phases)),
        default=Period(0, 0.0),
    )


# --- units ------------------------------------------------------------------------------------------------


def _phases_of(period: Period, phases: int) -> int:
    """Phases a power is spread over: those the profile says, as far as there are so many (errata 3.34, 3.69)."""
    return min(period.phases if period.phases is not None else MAX_PHASES, phases)


def _current_a(unit: RateUnit, period: Period, phases: int) -> float:
    if unit is RateUnit.CURRENT:
        return period.limit
    return period.limit / (NOMINAL_VOLTAGE_V * _phases_of(period, phases))


def _power_w(unit: RateUnit, period: Period, phases: int) -> float:
    if unit is RateUnit.POWER:
        return period.limit
    return period.limit * NOMINAL_VOLTAGE_V * _phases_of(period, phases)


def _allowance(profile: ChargingProfile, period: Period, phases: int, *, is_placed: bool) -> Allowance:
    unit = profile.schedule.unit
    current_a, power_w = _current_a(unit, period, phases), _power_w(unit, period, phases)
    return Allowance(profile.purpose, current_a, power_w, period.phases, is_placed)


# --- the schedule to report -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ReportedSchedule:
    """A composite schedule as GetCompositeSchedule tells it (OCPP 1.6, 5.7)."""

    start_utc_s: float
    """A whole second."""
    duration_s: int
    unit: RateUnit
    periods: tuple[Period, ...]
    """The first begins at 0; neighbours differ. In A or W with one decimal, rounded down."""


@dataclass(frozen=True, slots=True)
class Question:
    """What GetCompositeSchedule asks for."""

    connector: int
    """0: the total of the station."""
    duration_s: int
    unit: RateUnit
    default_a: float
    """What is reported where no profile says anything."""


def report(basis: Basis, question: Question, now: Instant) -> ReportedSchedule:
    """The schedule from this moment on, which is told as its whole second.

    Looked at once a second counted from now: what was accepted a moment ago already holds at its begin.
    """
    first = Sight.of(now)
    periods: list[Period] = []
    offset_s = 0
    for _ in range(_MAX_LOOKS):
        limit, phases, until_utc_s = _reported(basis, question, first.to(first.at_utc_s + offset_s), now.monotonic_s)
        if not periods or (periods[-1].limit, periods[-1].phases) != (limit, phases):
            if len(periods) == MAX_PERIODS:
                break
            periods.append(Period(offset_s, limit, phases))
        # Infinite where nothing changes any more.
        left_s = min(until_utc_s - first.at_utc_s, float(question.duration_s))
        offset_s = max(math.ceil(left_s), offset_s)
        if offset_s >= question.duration_s:
            break
    return ReportedSchedule(float(math.floor(now.utc_s)), offset_s, question.unit, tuple(periods))


def _reported(basis: Basis, question: Question, sight: Sight, begin_s: float) -> tuple[float, int | None, float]:
    """Limit in the unit asked for, its phases, and how long it stands."""
    idle = Running(None, begin_s)
    station = station_span(basis, sight)
    wanted = sorted(basis.by_number) if question.connector == STATION else [question.connector]
    spans = {number: connector_span(basis, number, sight, idle) for number in wanted}
    until_utc_s = min(span.until_utc_s for span in (station, *spans.values()))
    limits = [(_in_unit(station.allowance, question.unit), station.allowance.phases)] if station.allowance else []
    if question.connector == STATION:
        default_by = {number: _default(question, basis.by_number[number].phases) for number in wanted}
        total = sum(
            _in_unit(span.allowance, question.unit) if span.allowance is not None else default_by[number]
            for number, span in spans.items()
        )
        limits += [(total, None), (_of_current(basis.station_limit_a, basis.station_phases, question.unit), None)]
    else:
        allowed = spans[question.connector].allowance
        limits += [(_in_unit(allowed, question.unit), allowed.phases)] if allowed is not None else []
        phases = basis.by_number.get(question.connector, Outlet(MAX_PHASES, None)).phases
        limits = limits or [(_default(question, phases), None)]
    limit, phases_said = min(limits, key=lambda item: item[0])
    return _one_decimal(limit), phases_said, until_utc_s


def _in_unit(allowance: Allowance, unit: RateUnit) -> float:
    return allowance.current_a if unit is RateUnit.CURRENT else allowance.power_w


def _default(question: Question, phases: int) -> float:
    return _of_current(question.default_a, phases, question.unit)


def _of_current(current_a: float, phases: int, unit: RateUnit) -> float:
    return current_a if unit is RateUnit.CURRENT else current_a * NOMINAL_VOLTAGE_V * phases


def _one_decimal(value: float) -> float:
    """Round down to the one decimal OCPP writes; the slack keeps 16.1 from becoming 16.0."""
    return math.floor(value * 10.0 + 1e-6) / 10.0
