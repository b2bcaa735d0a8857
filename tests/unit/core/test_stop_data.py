"""What StopTransaction repeats: which samples are taken for it, and how they are thinned (OCPP 1.6, 9.1.26, 9.1.28)."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evcharge_agent.core import events as e
from evcharge_agent.core.effects import CommitSample, CommitStop, FinishStop
from evcharge_agent.core.events import RequestId
from evcharge_agent.core.facts import Measurand
from evcharge_agent.core.sampling import spread
from tests.support.core_station import Station, TestRules

ENERGY, VOLTAGE, POWER = (Measurand.ENERGY_IMPORT,), (Measurand.VOLTAGE,), (Measurand.POWER_IMPORT,)


def charge(**rules):
    """25 s of charging, stopped locally; the samples with what they are for."""
    station = Station(TestRules(**rules)).ready()
    station.start()
    station.close()
    station.wait(25.0)
    station.tell(e.StopRequested(RequestId("q"), 1))
    station.open()
    station.wait(3.0)
    samples = [item.sample for item in station.all(CommitSample)]
    ends = [station.last(CommitStop).end, station.last(FinishStop).end]
    return samples, ends


def told(samples):
    return [(one.context.value, one.measurands, one.stop_measurands) for one in samples]


def test_by_default_nothing_is_repeated():
    samples, ends = charge()
    assert all(one.stop_measurands == () for one in [*samples, *ends])


def test_each_sample_has_what_it_is_for():
    samples, ends = charge(stop_txn_sampled_data=VOLTAGE)
    assert told(samples) == [
        ("Transaction.Begin", ENERGY, VOLTAGE),
        ("Sample.Periodic", ENERGY, VOLTAGE),
        ("Sample.Periodic", ENERGY, VOLTAGE),
    ]
    assert told(ends) == [("Transaction.End", ENERGY, VOLTAGE)] * 2


def test_what_is_only_repeated_is_taken_too():
    samples, ends = charge(meter_values_sampled_data=(), stop_txn_sampled_data=VOLTAGE)
    assert told(samples) == [
        ("Transaction.Begin", (), VOLTAGE),
        ("Sample.Periodic", (), VOLTAGE),
        ("Sample.Periodic", (), VOLTAGE),
    ]
    assert told(ends) == [("Transaction.End", (), VOLTAGE)] * 2


def test_first_and_last_are_repeated_without_an_interval():
    samples, ends = charge(meter_value_sample_interval_s=0, stop_txn_sampled_data=VOLTAGE)
    assert told(samples) == [("Transaction.Begin", (), VOLTAGE)]
    assert told(ends) == [("Transaction.End", (), VOLTAGE)] * 2
    assert charge(meter_value_sample_interval_s=0) == ([], [None, None])


@pytest.mark.parametrize("aligned", [(), POWER])
def test_clock_aligned_ones_are_repeated_of_transactions_only(aligned):
    station = Station(
        TestRules(
            meter_value_sample_interval_s=0,
            clock_aligned_data_interval_s=10,
            meter_values_aligned_data=aligned,
            stop_txn_aligned_data=VOLTAGE,
        )
    ).ready()
    station.wait(10.0)
    assert told([item.sample for item in station.all(CommitSample)]) == (
        [("Sample.Clock", POWER, ())] if aligned else []
    )
    station.start()
    before = len(station.all(CommitSample))
    station.wait(20.0)
    found = told([item.sample for item in station.all(CommitSample)][before:])
    assert found == [("Sample.Clock", aligned, VOLTAGE)] * 2


def test_a_sample_that_was_asked_for_is_not_repeated():
    station = Station(TestRules(stop_txn_sampled_data=VOLTAGE, stop_txn_aligned_data=VOLTAGE)).ready()
    station.start()
    station.tell(e.SampleRequested(1))
    assert told([station.last(CommitSample).sample]) == [("Trigger", ENERGY, ())]


# --- thinning ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("length", "count", "expected"),
    [
        (0, 5, []),
        (3, 5, [0, 1, 2]),
        (5, 5, [0, 1, 2, 3, 4]),
        (9, 5, [0, 1, 4, 7, 8]),
        (9, 4, [0, 1, 7, 8]),
        (9, 3, [0, 1, 8]),
        (9, 2, [0, 8]),
        (9, 1, [0, 8]),
    ],
)
def test_the_first_and_the_last_stay_and_the_others_evenly(length, count, expected):
    assert spread(range(length), count, lambda item: item in (0, length - 1)) == expected


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.integers(2, 400), st.integers(3, 100))
def test_thinning_leaves_as_many_as_there_is_room_for_and_gaps_that_are_alike(length, count):
    chosen = spread(range(length), count, lambda item: item in (0, length - 1))
    assert len(chosen) == min(length, count)
    assert (chosen[0], chosen[-1]) == (0, length - 1)
    inner = chosen[1:-1]
    gaps = [later - earlier for earlier, later in itertools.pairwise(inner)]
    assert not gaps or max(gaps) - min(gaps) <= 1
