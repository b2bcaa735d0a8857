"""Rule 15: which profiles are taken, which give way, which are cleared."""

from dataclasses import replace

import pytest

from evcharge_agent.core import charging_profiles
from evcharge_agent.core.charging_profiles import MAX_LIMIT, Criteria, Installed, Kind, Recurrency, Schedule
from evcharge_agent.core.facts import Instant, TransactionKey
from tests.support.charging import AMPERE, DEFAULT, MAX, TX, WATT, periods, profile
from tests.support.core_station import TestRules

RULES = TestRules(charge_profile_max_stack_level=42, charging_schedule_max_periods=3, max_charging_profiles_installed=3)
NOW = Instant(1000.0, 1_790_000_000.0, is_utc_trusted=True)
KEY = TransactionKey("t")


def installed(one, connector=1, transaction=None):
    return Installed(connector, one, NOW, "boot", transaction)


def book(*entries):
    return {one.profile.id: one for one in entries}


FITTING = {
    "plain": profile(),
    "highest level": profile(level=42),
    "as many periods as there may be": profile((0, 6.0), (1, 7.0), (2, 8.0)),
    "a limit of 0": profile((0, 0.0)),
    "a gap before the first period": profile((60, 10.0)),
    "one and three phases": profile((0, 10.0, 1), (1, 10.0, 3)),
    "watt": profile((0, 11_000.0), unit=WATT),
    "minChargingRate": profile(min_rate=6.0),
    "recurring": profile(kind=Kind.RECURRING, recurrency=Recurrency.DAILY, start_utc_s=0.0),
    "absolute without start": profile(kind=Kind.ABSOLUTE),
    "start in the past": profile(kind=Kind.ABSOLUTE, start_utc_s=1.0),
    "validity": profile(valid_from_utc_s=1.0, valid_to_utc_s=2.0),
    "negative id": profile(id=-1),
}
UNFIT = {
    "stackLevel": [profile(level=43), profile(level=-1)],
    "chargingSchedulePeriod": [
        profile((0, 6.0), (1, 7.0), (2, 8.0), (3, 9.0)),
        replace(profile(), schedule=Schedule(AMPERE, ())),
    ],
    "startPeriod": [profile((0, 6.0), (0, 7.0)), profile((5, 6.0), (4, 7.0)), profile((-1, 6.0))],
    "limit": [profile((0, -0.1)), profile((0, MAX_LIMIT * 2)), profile((0, float("nan"))), profile((0, float("inf")))],
    "numberPhases": [profile((0, 6.0, 0)), profile((0, 6.0, 4))],
    "duration": [profile(duration_s=0), profile(duration_s=-1)],
    "minChargingRate": [profile(min_rate=-1.0)],
    "chargingProfileKind": [
        profile(kind=Kind.RECURRING, recurrency=Recurrency.DAILY),
        profile(kind=Kind.RECURRING, start_utc_s=0.0),
    ],
    "validTo": [profile(valid_from_utc_s=2.0, valid_to_utc_s=2.0)],
}


@pytest.mark.parametrize("name", FITTING)
def test_a_profile_that_fits_is_taken(name):
    assert charging_profiles.objection(FITTING[name], RULES) is None


@pytest.mark.parametrize(("member", "one"), [(member, one) for member, all_of in UNFIT.items() for one in all_of])
def test_a_profile_that_does_not_fit_is_refused_by_the_name_of_the_member(member, one):
    assert charging_profiles.objection(one, RULES).startswith(f"{member}: ")


@pytest.mark.parametrize(
    ("units", "unit", "is_taken"),
    [(("Current",), WATT, False), (("Power",), AMPERE, False), (("Current", "Power"), WATT, True)],
)
def test_units_that_are_not_allowed_are_refused(units, unit, is_taken):
    rules = replace(RULES, charging_rate_units=units)
    assert (charging_profiles.objection(profile(unit=unit), rules) is None) is is_taken


@pytest.mark.parametrize(
    ("purpose", "connector", "is_at_home"),
    [(MAX, 0, True), (MAX, 1, False), (DEFAULT, 0, True), (DEFAULT, 1, True), (TX, 1, True), (TX, 0, False)],
)
def test_where_a_purpose_belongs(purpose, connector, is_at_home):
    assert (charging_profiles.misplaced(profile(purpose=purpose), connector) is None) is is_at_home


@pytest.mark.parametrize(
    ("one", "is_taken"),
    [
        (profile(purpose=TX), True),
        (profile(purpose=DEFAULT), False),
        (profile(purpose=MAX), False),
        (profile(purpose=TX, transaction_id=1), False),
        (profile(purpose=TX, level=43), False),
    ],
)
def test_what_may_come_with_a_remote_start(one, is_taken):
    assert (charging_profiles.remote_start_objection(one, RULES) is None) is is_taken


@pytest.mark.parametrize(
    ("new", "connector", "gone"),
    [
        (profile(id=9), 1, {1}),  # the same purpose, level and connector
        (profile(id=9), 2, set()),
        (profile(id=9), 0, {3}),
        (profile(id=9, level=1), 1, set()),
        (profile(id=9, purpose=MAX), 0, {2}),
        (profile(id=2), 2, {2}),  # an id is used once
        (profile(id=2), 1, {1, 2}),  # both at once
    ],
)
def test_what_a_profile_replaces(new, connector, gone):
    before = book(installed(profile(id=1)), installed(profile(id=2, purpose=MAX), 0), installed(profile(id=3), 0))
    after = charging_profiles.install(before, installed(new, connector))
    assert set(after) == set(before) - gone | {new.id}
    assert after[new.id].profile == new


def test_one_that_replaces_needs_no_room():
    full = book(*(installed(profile(id=number, level=number)) for number in (1, 2, 3)))
    assert charging_profiles.is_full(full, 1, profile(id=4, level=4), RULES)
    assert not charging_profiles.is_full(full, 1, profile(id=4, level=3), RULES)
    assert not charging_profiles.is_full(full, 2, profile(id=1), RULES)


ALL = book(
    installed(profile(id=1, purpose=MAX), 0),
    installed(profile(id=2, purpose=DEFAULT), 0),
    installed(profile(id=3, purpose=DEFAULT, level=5), 1),
    installed(profile(id=4, purpose=TX, level=5), 1, KEY),
    installed(profile(id=0, purpose=DEFAULT), 2),
)


@pytest.mark.parametrize(
    ("criteria", "gone"),
    [
        (Criteria(), {0, 1, 2, 3, 4}),
        (Criteria(id=3), {3}),
        (Criteria(id=0), {0}),
        (Criteria(id=7), set()),
        (Criteria(id=3, connector=2, purpose=MAX, stack_level=9), {3}),  # the id alone wins
        (Criteria(connector=0), {1, 2}),
        (Criteria(connector=1), {3, 4}),
        (Criteria(connector=9), set()),
        (Criteria(purpose=DEFAULT), {0, 2, 3}),
        (Criteria(purpose=TX), {4}),
        (Criteria(stack_level=5), {3, 4}),
        (Criteria(stack_level=0), {0, 1, 2}),
        (Criteria(connector=1, purpose=DEFAULT), {3}),
        (Criteria(connector=0, purpose=DEFAULT, stack_level=0), {2}),
        (Criteria(connector=0, purpose=DEFAULT, stack_level=1), set()),
    ],
)
def test_what_criteria_match(criteria, gone):
    assert charging_profiles.matching(ALL, criteria) == gone


@pytest.mark.parametrize(("running", "gone"), [({}, {4}), ({KEY: 1}, set()), ({KEY: 2}, {4})])
def test_a_tx_profile_without_its_transaction_is_over(running, gone):
    assert charging_profiles.orphaned(ALL, running) == gone


def test_periods_are_written_short():
    assert [(one.start_s, one.limit, one.phases) for one in periods((0, 6.0), (1, 7.0, 3))] == [
        (0, 6.0, None),
        (1, 7.0, 3),
    ]
