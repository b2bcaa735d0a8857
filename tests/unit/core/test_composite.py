"""Rules 14 and 16: composite schedules as named cases, readable as the OCPP messages they come from."""

import json
from collections import Counter
from pathlib import Path

import pytest
from ocpp.charge_point import camel_to_snake_case

from evcharge_agent.core import composite
from evcharge_agent.core.charging_profiles import Installed, Kind, Purpose, RateUnit, Recurrency
from evcharge_agent.core.composite import MAX_PERIODS, Basis, Outlet, Question, Running, Sight
from evcharge_agent.core.facts import Instant, TransactionKey
from evcharge_agent.ocpp16.stamps import from_stamp
from evcharge_agent.ocpp16.translate import charging_profile
from tests.support.charging import DEFAULT, profile

GOLDEN = Path(__file__).parents[2] / "golden" / "composite"
CASES = {
    f"{path.stem}: {case['name']}": case
    for path in sorted(GOLDEN.glob("*.json"))
    for case in json.loads(path.read_text())
}
OFFSET_S = 1_700_000_000.0
BOOT = "this"
NOW = Instant(1000.0, OFFSET_S + 1000.0, is_utc_trusted=True)


def moment(text, *, is_trusted=True):
    utc_s = from_stamp(text)
    return Instant(utc_s - OFFSET_S, utc_s, is_trusted)


def key_of(connector):
    return TransactionKey(f"transaction on {connector}")


def installed(entry, now):
    accepted = moment(entry.get("accepted", now), is_trusted=not entry.get("accepted_without_time", False))
    one = charging_profile(camel_to_snake_case(entry["profile"]))
    transaction = key_of(entry["transaction"]) if "transaction" in entry else None
    return Installed(entry["connector"], one, accepted, entry.get("boot", BOOT), transaction)


def basis_of(case):
    outlets = {}
    for name, outlet in case["outlets"].items():
        began = outlet.get("began")
        running = Running(key_of(name), moment(began).monotonic_s) if began is not None else None
        outlets[int(name)] = Outlet(outlet["phases"], running)
    profiles = tuple(installed(entry, case["now"]) for entry in case["profiles"])
    return Basis(profiles, BOOT, outlets, case.get("station_limit_a", 32.0))


@pytest.mark.parametrize("name", CASES)
def test_case(name):
    case = CASES[name]
    ask = case["ask"]
    question = Question(ask["connector"], ask["duration"], RateUnit(ask["unit"]), 32.0)
    now = moment(case["now"], is_trusted=case.get("is_time_known", True))
    found = composite.report(basis_of(case), question, now)
    periods = [[one.start_s, one.limit] + ([] if one.phases is None else [one.phases]) for one in found.periods]
    assert periods == case["expected"]["periods"]
    assert found.duration_s == case["expected"]["duration"]


def test_there_are_cases_of_every_kind():
    assert len(CASES) >= 40
    assert len({case["name"] for case in CASES.values()}) == len(CASES)
    entries = [entry["profile"] for case in CASES.values() for entry in case["profiles"]]
    assert {entry["chargingProfilePurpose"] for entry in entries} == {purpose.value for purpose in Purpose}
    assert {entry["chargingProfileKind"] for entry in entries} == {kind.value for kind in Kind}
    assert Counter(case["rule"] for case in CASES.values()).keys() >= {"14", "15", "16", "time", "errata 3.34"}


def test_a_schedule_that_would_be_endless_is_cut_with_its_duration():
    steps = [(second, 6.0 + second % 2) for second in range(MAX_PERIODS + 100)]
    basis = Basis((Installed(1, profile(*steps), NOW, BOOT),), BOOT, {1: Outlet(3, Running(None, NOW.monotonic_s))})
    found = composite.report(basis, Question(1, 10_000, RateUnit.CURRENT, 32.0), NOW)
    assert len(found.periods) == MAX_PERIODS
    assert found.duration_s == MAX_PERIODS


def test_many_equal_cycles_are_one_period_and_do_not_take_for_ever():
    daily = profile((0, 10.0), kind=Kind.RECURRING, start_utc_s=0.0, recurrency=Recurrency.DAILY)
    basis = Basis((Installed(1, daily, NOW, BOOT),), BOOT, {1: Outlet(3, None)})
    found = composite.report(basis, Question(1, 20 * 366 * 86_400, RateUnit.CURRENT, 32.0), NOW)
    assert len(found.periods) == 1
    assert 0 < found.duration_s <= 20 * 366 * 86_400


def test_the_present_limit_looks_no_further_than_its_next_change():
    """However long a schedule is: what is computed for every event is this span."""
    one = Installed(1, profile((0, 16.0), (100, 10.0), purpose=DEFAULT), NOW, BOOT)
    basis = Basis((one,), BOOT, {1: Outlet(3, Running(key_of(1), NOW.monotonic_s - 40.0))})
    span = composite.connector_span(basis, 1, Sight.of(NOW))
    assert span.allowance is not None
    assert span.allowance.current_a == 16.0
    assert span.until_utc_s == pytest.approx(NOW.utc_s + 60.0)


@pytest.mark.parametrize("early_s", [0.0, 0.0005])
def test_rounding_between_the_clocks_makes_no_limit_late(early_s):
    one = Installed(0, profile((0, 16.0), (100, 10.0), purpose=Purpose.CHARGE_POINT_MAX), NOW, BOOT)
    basis = Basis((one,), BOOT, {1: Outlet(3, None)})
    at = Instant(NOW.monotonic_s + 100.0 - early_s, NOW.utc_s + 100.0 - early_s, is_utc_trusted=True)
    span = composite.station_span(basis, Sight.of(at))
    assert span.allowance is not None
    assert span.allowance.current_a == 10.0
