"""Rule 13: clock-aligned samples lie on the multiples since midnight UTC; asked-for samples say so."""

import itertools

import pytest

from evcharge_agent.core import events as e
from evcharge_agent.core.extra_samples import LATE_S, next_boundary_utc_s
from evcharge_agent.core.facts import Instant, Measurand
from tests.support.core_station import UTC_OFFSET_S, Station, TestRules

DAY_S = 86_400
POWER = Measurand.POWER_IMPORT
# 17 000 s after midnight UTC, no multiple of 60 s: the first boundary of 60 s is 40 s away.
BEGIN_S = next(at_s for at_s in range(1000, 2000) if (UTC_OFFSET_S + at_s) % 60 == 20)


def aligned(interval_s=60, **rules):
    rules = TestRules(clock_aligned_data_interval_s=interval_s, meter_values_aligned_data=(POWER,), **rules)
    return Station(rules, connectors=2, at_s=float(BEGIN_S)).ready()


def stamps(station, connector=1):
    samples = station.samples(context="Sample.Clock")
    return [one.sample.taken.utc_s for one in samples if one.sample.connector == connector]


@pytest.mark.parametrize(
    ("since_midnight_s", "interval_s", "boundary_s"),
    [
        (0.0, 900, 900),
        (899.9, 900, 900),
        (900.0, 900, 1800),
        (86_399.0, 900, 86_400),
        (86_000.0, 7000, 86_400),
        (1.0, 86_400, 86_400),
        (0.5, 1, 1),
    ],
)
def test_boundaries_are_multiples_since_midnight(since_midnight_s, interval_s, boundary_s):
    midnight_s = 19_700 * DAY_S
    assert next_boundary_utc_s(midnight_s + since_midnight_s, interval_s) == midnight_s + boundary_s


def test_every_boundary_is_sampled_on_the_boundary_for_every_connector_without_a_transaction():
    station = aligned()
    station.wait(170.0)
    for connector in (1, 2):
        found = stamps(station, connector)
        assert [utc_s % 60 for utc_s in found] == [0.0] * 3
        assert [late - early for early, late in itertools.pairwise(found)] == [60.0, 60.0]
    assert {one.sample.transaction for one in station.samples(context="Sample.Clock")} == {None}
    assert {one.sample.measurands for one in station.samples(context="Sample.Clock")} == {(POWER,)}


def test_within_a_transaction_the_sample_belongs_to_it():
    station = aligned()
    key = station.start()
    station.wait(60.0)
    owners = {one.sample.connector: one.sample.transaction for one in station.samples(context="Sample.Clock")}
    assert owners == {1: key, 2: None}


def test_the_two_kinds_are_switched_apart():
    station = aligned(meter_value_sample_interval_s=0)
    station.start()
    station.wait(61.0)
    assert len(stamps(station)) == 1
    assert station.samples(context="Sample.Periodic") == []
    station = aligned(interval_s=0, meter_value_sample_interval_s=10)
    station.start()
    station.wait(61.0)
    assert stamps(station) == []
    assert len(station.samples(context="Sample.Periodic")) == 6


def test_a_changed_interval_realigns_at_once():
    station = aligned(900)
    station.wait(10.0)
    station.change(clock_aligned_data_interval_s=60)
    station.wait(31.0)
    assert len(stamps(station)) == 1
    assert stamps(station)[0] % 60 == 0.0
    station.change(clock_aligned_data_interval_s=0)
    station.wait(120.0)
    assert len(stamps(station)) == 1


def test_while_the_time_is_not_known_there_are_none():
    station = aligned()
    station.is_clock_trusted = False
    station.wait(120.0)
    assert stamps(station) == []
    station.is_clock_trusted = True
    station.wait(60.0)
    assert len(stamps(station)) == 1


def test_a_meter_that_is_lost_leaves_a_gap():
    station = aligned()
    station.meters_speak = False
    station.wait(60.0)
    assert stamps(station) == []


def test_a_clock_that_jumps_past_a_boundary_invents_no_sample():
    station = aligned()
    station.tell_at(station.now_s, 40.0 + LATE_S + 1.0)
    assert stamps(station) == []
    station.tell_at(station.now_s, 40.0 + LATE_S + 1.5)
    assert stamps(station) == []


def test_a_clock_set_back_does_not_repeat_a_boundary():
    station = aligned()
    station.wait(41.0)
    assert len(stamps(station)) == 1
    station.tell_at(station.now_s, -2.0)
    station.tell_at(station.now_s + 1.01, -2.0)
    assert len(stamps(station)) == 1


@pytest.mark.parametrize("connector", [1, None, 7])
def test_an_asked_for_sample_has_its_own_context_and_the_measurands_of_the_periodic_ones(connector):
    station = Station(TestRules(meter_values_sampled_data=(POWER,)), connectors=2).ready()
    key = station.start()
    station.tell(e.SampleRequested(connector))
    found = [one.sample for one in station.samples(context="Trigger")]
    expected = {1: [(1, key)], None: [(1, key), (2, None)], 7: []}
    assert [(sample.connector, sample.transaction) for sample in found] == expected[connector]
    assert all(sample.measurands == (POWER,) for sample in found)


def test_instants_of_boundaries_are_the_same_moment_on_both_clocks():
    station = aligned()
    station.wait(41.0)
    (sample,) = [one.sample for one in station.samples(context="Sample.Clock") if one.sample.connector == 1]
    assert sample.taken == Instant(BEGIN_S + 40.0, UTC_OFFSET_S + BEGIN_S + 40.0, is_utc_trusted=True)
