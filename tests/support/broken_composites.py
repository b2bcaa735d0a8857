"""Composite schedules with a mistake each, as charge points in the field have made them. All must be caught.

A mistake is made in what the right code is given or in what it gives back.
"""

import zoneinfo
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

from evcharge_agent.core import composite
from evcharge_agent.core.charging_profiles import ChargingProfile, Installed, Kind, Period, Purpose
from evcharge_agent.core.composite import Basis, Question, ReportedSchedule, Running
from evcharge_agent.core.facts import Instant

Report = Callable[[Basis, Question, Instant], ReportedSchedule]
_BERLIN = zoneinfo.ZoneInfo("Europe/Berlin")


def _each(change: Callable[[Installed, Basis, Instant], Installed | None]) -> Report:
    def report(basis: Basis, question: Question, now: Instant) -> ReportedSchedule:
        changed = [change(one, basis, now) for one in basis.profiles]
        profiles = tuple(one for one in changed if one is not None)
        return composite.report(replace(basis, profiles=profiles), question, now)

    return report


def _profile(change: Callable[[ChargingProfile], ChargingProfile]) -> Report:
    return _each(lambda one, _, __: replace(one, profile=change(one.profile)))


def _periods(change: Callable[[int, Period], Period]) -> Report:
    def changed(profile: ChargingProfile) -> ChargingProfile:
        periods = tuple(change(place, period) for place, period in enumerate(profile.schedule.periods))
        return replace(profile, schedule=replace(profile.schedule, periods=periods))

    return _profile(changed)


def _longer(profile: ChargingProfile) -> ChargingProfile:
    duration_s = profile.schedule.duration_s
    if duration_s is None:
        return profile
    return replace(profile, schedule=replace(profile.schedule, duration_s=duration_s + 1))


def _endless(profile: ChargingProfile) -> ChargingProfile:
    return replace(profile, schedule=replace(profile.schedule, duration_s=None))


def _by_local_time(one: Installed, _: Basis, now: Instant) -> Installed:
    """The same time on the wall clock, which summer time moves."""
    start_utc_s = one.profile.schedule.start_utc_s
    if one.profile.kind is not Kind.RECURRING or start_utc_s is None:
        return one
    then, today = (datetime.fromtimestamp(utc_s, UTC).astimezone(_BERLIN) for utc_s in (start_utc_s, now.utc_s))
    moved_s = ((then.utcoffset() or then - then) - (today.utcoffset() or today - today)).total_seconds()
    schedule = replace(one.profile.schedule, start_utc_s=start_utc_s + moved_s)
    return replace(one, profile=replace(one.profile, schedule=schedule))


def _of_any_transaction(one: Installed, basis: Basis, _: Instant) -> Installed:
    outlet = basis.by_number.get(one.connector)
    is_tx = one.profile.purpose is Purpose.TX and outlet is not None and outlet.running is not None
    return replace(one, transaction=outlet.running.transaction) if is_tx and outlet and outlet.running else one


def _what_has_begun(one: Installed, _: Basis, now: Instant) -> Installed | None:
    start_utc_s = one.profile.schedule.start_utc_s
    return None if start_utc_s is not None and start_utc_s > now.utc_s else one


def _relative_to_now(basis: Basis, question: Question, now: Instant) -> ReportedSchedule:
    outlets = {
        number: replace(outlet, running=Running(outlet.running.transaction, now.monotonic_s))
        if outlet.running is not None
        else outlet
        for number, outlet in basis.by_number.items()
    }
    return composite.report(replace(basis, outlets=outlets), question, now)


def _without_phases(basis: Basis, question: Question, now: Instant) -> ReportedSchedule:
    outlets = {number: replace(outlet, phases=1) for number, outlet in basis.by_number.items()}
    return composite.report(replace(basis, outlets=outlets), question, now)


def _believes_any_clock(basis: Basis, question: Question, now: Instant) -> ReportedSchedule:
    return composite.report(basis, question, replace(now, is_utc_trusted=True))


def _split(basis: Basis, question: Question, now: Instant) -> ReportedSchedule:
    found = composite.report(basis, question, now)
    last = found.periods[-1]
    if last.start_s + 1 >= found.duration_s:
        return found
    return replace(found, periods=(*found.periods, replace(last, start_s=last.start_s + 1)))


def _rounded_up(basis: Basis, question: Question, now: Instant) -> ReportedSchedule:
    found = composite.report(basis, question, now)
    return replace(found, periods=tuple(replace(one, limit=one.limit + 0.1) for one in found.periods))


def _first_connector_only(basis: Basis, question: Question, now: Instant) -> ReportedSchedule:
    return composite.report(basis, replace(question, connector=question.connector or 1), now)


def _dropping(purpose: Purpose) -> Report:
    return _each(lambda one, _, __: None if one.profile.purpose is purpose else one)


BROKEN: dict[str, Report] = {
    "ignores the stack level": _profile(lambda profile: replace(profile, stack_level=0)),
    "lowest stack level wins": _profile(lambda profile: replace(profile, stack_level=-profile.stack_level)),
    "duration a second too long": _profile(_longer),
    "duration without effect": _profile(_endless),
    "recurs by local time": _each(_by_local_time),
    "TxProfile of another transaction, or one that is over": _each(_of_any_transaction),
    "forgets what begins later in the window": _each(_what_has_begun),
    "relative to the question instead of the transaction": _relative_to_now,
    "watt and ampere without phases": _without_phases,
    "ignores validFrom": _profile(lambda profile: replace(profile, valid_from_utc_s=None)),
    "ignores validTo": _profile(lambda profile: replace(profile, valid_to_utc_s=None)),
    "fills the gap before the first period": _periods(
        lambda place, period: period if place else replace(period, start_s=0)
    ),
    "periods begin a second late": _periods(
        lambda place, period: replace(period, start_s=period.start_s + 1) if place else period
    ),
    "ignores numberPhases": _periods(lambda _, period: replace(period, phases=None)),
    "connector's own default does not override": _each(
        lambda one, _, __: replace(one, connector=0) if one.profile.purpose is Purpose.TX_DEFAULT else one
    ),
    "ignores ChargePointMaxProfile": _dropping(Purpose.CHARGE_POINT_MAX),
    "ignores TxProfile": _dropping(Purpose.TX),
    "believes a clock nobody has set": _believes_any_clock,
    "neighbours not merged": _split,
    "rounds up": _rounded_up,
    "connector 0 is connector 1": _first_connector_only,
}
"""By what is wrong with them."""
