"""The session meter: a register that never falls, and silence that is not zero."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evcharge_agent.core import events as e
from evcharge_agent.core.facts import MeterReading
from evcharge_agent.core.metering import (
    draw_a,
    fresh_register_wh,
    is_plausible,
    lost_at_s,
    steady_reading,
    take,
)
from evcharge_agent.core.state import Meter
from evcharge_hal.contract.units import PerPhase, WattHours
from tests.support.core_station import Station, TestRules


def reading(energy_wh=None, **values):
    return MeterReading(WattHours(energy_wh) if energy_wh is not None else None, **values)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (reading(), True),
        (reading(0, power_w=0.0), True),
        (reading(-1), False),
        (reading(5, power_w=math.nan), False),
        (reading(5, power_w=math.inf), False),
        (reading(5, current_a=PerPhase(1.0, math.nan, 0.0)), False),
        (reading(5, voltage_v=PerPhase(1.0, 1.0, -math.inf)), False),
        (reading(5, frequency_hz=math.nan), False),
        (reading(5, power_factor=math.nan), False),
    ],
)
def test_what_is_not_finite_is_silence(found, expected):
    assert is_plausible(found) is expected


@given(st.lists(st.one_of(st.none(), st.integers(0, 10_000)), max_size=30))
def test_the_register_never_falls(energies_wh):
    meter, seen = Meter(), 0
    for at_s, energy_wh in enumerate(energies_wh):
        meter = take(meter, reading(energy_wh), float(at_s))
        register_wh = meter.register_wh if meter.register_wh is not None else 0
        assert register_wh >= seen
        assert register_wh == max([*(item for item in energies_wh[: at_s + 1] if item is not None), 0])
        seen = register_wh


def test_a_register_that_fell_is_marked_and_covered():
    meter = take(take(Meter(), reading(500), 1.0), reading(400, power_w=7.0), 2.0)
    assert meter.is_register_low
    assert steady_reading(meter) == reading(500, power_w=7.0)


@pytest.mark.parametrize(("period_s", "lost_after_s"), [(1.0, 5.0), (0.2, 5.0), (2.0, 6.0), (10.0, 30.0)])
def test_three_periods_but_at_least_five_seconds_of_silence(period_s, lost_after_s):
    meter = take(take(Meter(), reading(1), 100.0), reading(1), 100.0 + period_s)
    assert lost_at_s(meter) == pytest.approx(100.0 + period_s + lost_after_s)


def test_a_meter_that_never_spoke_is_lost_too():
    assert lost_at_s(Meter(since_s=50.0)) == 55.0


def test_what_a_lost_meter_said_is_not_what_it_says():
    lost = Meter(reading=reading(5, current_a=PerPhase.uniform(3.0)), read_s=1.0, register_wh=5, is_lost=True)
    assert fresh_register_wh(lost) is None
    assert steady_reading(lost) is None
    assert draw_a(lost) is None


def test_the_gap_of_a_lost_meter_is_not_its_period():
    lost = Meter(reading=reading(5), read_s=1.0, register_wh=5, period_s=1.0, is_lost=True)
    assert take(lost, reading(6), 1000.0).period_s == 1.0


def test_a_meter_that_is_read_rarely_is_not_lost_between_two_readings():
    meter = take(Meter(), reading(1), 10.0, period_s=20.0)
    assert lost_at_s(meter) == 70.0, "known from the first reading on"
    missed = take(meter, reading(1), 50.0, period_s=20.0)
    assert lost_at_s(missed) == 110.0, "one that was missed makes no longer period"


def test_a_public_meter_that_is_read_rarely_stops_nobody():
    station = Station(TestRules(has_public_meter=True)).ready()
    station.meters_speak = False
    station.tell(e.MeterRead(1, reading(1000), period_s=20.0))
    station.start()
    for _ in range(3):
        station.wait(20.0)
        station.tell(e.MeterRead(1, reading(1000), period_s=20.0))
    assert station.stops() == []
    assert not station.state.connectors[1].meter.is_lost


def test_a_register_from_the_store_is_no_fresh_reading():
    assert fresh_register_wh(Meter(register_wh=100)) is None
    assert fresh_register_wh(take(Meter(register_wh=100), reading(None, power_w=1.0), 1.0)) is None
