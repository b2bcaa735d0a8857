"""MeterValues of a transaction: exact multiples of the interval, begin and end, nothing invented."""

import pytest

from evcharge_agent.core import events as e
from evcharge_agent.core.effects import CommitStop
from evcharge_agent.core.facts import Measurand, ReadingContext
from tests.support.core_station import Station, TestRules


def taken(station, context="Sample.Periodic"):
    return [item.sample.taken.monotonic_s for item in station.samples(context=context)]


def running(**rules):
    station = Station(TestRules(**rules)).ready()
    station.start()
    station.close()
    return station, station.now_s


@pytest.mark.parametrize("interval_s", [1, 3, 7, 60])
def test_samples_lie_at_exact_multiples_after_the_start(interval_s):
    station, began_s = running(meter_value_sample_interval_s=interval_s)
    station.wait(10.0 * interval_s)
    assert taken(station) == [began_s + count * interval_s for count in range(1, 11)]


def test_begin_and_end_carry_the_registers_of_start_and_stop():
    station, began_s = running()
    station.registers[1] = 1234
    station.read_meter()
    station.wait(3.0)
    station.swipe()
    (begin,) = station.samples(context="Transaction.Begin")
    end = station.last(CommitStop).end
    assert end is not None
    assert end.context is ReadingContext.END
    assert (begin.sample.taken.monotonic_s, begin.sample.reading.energy_wh) == (began_s, 1000)
    assert (end.taken.monotonic_s, end.reading.energy_wh) == (station.now_s, 1234)


def test_a_sample_carries_what_was_configured_and_offered_then():
    station, _ = running(meter_values_sampled_data=(Measurand.VOLTAGE, Measurand.CURRENT_OFFERED))
    station.wait(10.0)
    station.change(meter_values_sampled_data=(Measurand.FREQUENCY,), user_limit_a=10.0)
    station.wait(10.0)
    first, second = (item.sample for item in station.samples(context="Sample.Periodic"))
    assert (first.measurands, first.offered_a) == ((Measurand.VOLTAGE, Measurand.CURRENT_OFFERED), 32.0)
    assert (second.measurands, second.offered_a) == ((Measurand.FREQUENCY,), 10.0)


@pytest.mark.parametrize("off", [{"meter_value_sample_interval_s": 0}, {"meter_values_sampled_data": ()}])
def test_switched_off_means_none_at_all(off):
    station, _ = running(**off)
    station.wait(60.0)
    station.swipe()
    assert station.samples() == []
    assert len(station.stops()) == 1


def test_a_changed_interval_counts_from_the_start_as_well():
    station, began_s = running(meter_value_sample_interval_s=10)
    station.wait(25.0)
    station.change(meter_value_sample_interval_s=7)
    station.wait(10.0)
    assert [at_s - began_s for at_s in taken(station)] == [10.0, 20.0, 28.0, 35.0]


def test_a_switched_on_interval_counts_from_the_start_as_well():
    station, began_s = running(meter_value_sample_interval_s=0)
    station.wait(25.0)
    station.change(meter_value_sample_interval_s=10)
    station.wait(10.0)
    assert [at_s - began_s for at_s in taken(station)] == [30.0]


def test_a_lost_meter_leaves_a_gap():
    station, began_s = running()
    station.wait(12.0)
    station.meters_speak = False
    station.wait(20.0)
    station.meters_speak = True
    station.wait(20.0)
    assert [at_s - began_s for at_s in taken(station)] == [10.0, 40.0, 50.0]


def test_what_was_slept_through_is_not_made_up():
    station, began_s = running()
    station.now_s = began_s + 45.0
    station.read_meter()
    station.wait(10.0)
    assert [at_s - began_s for at_s in taken(station)] == [45.0, 50.0]


def test_a_step_of_the_wall_clock_moves_no_sample():
    station, began_s = running()
    station.is_clock_trusted = False
    station.tell(e.TimePassed())
    station.wait(10.0)
    assert taken(station) == [began_s + 10.0]


def test_the_register_of_the_samples_never_falls():
    station, _ = running()
    for register_wh in (1500, 1400, 1600):
        station.registers[1] = register_wh
        station.wait(10.0)
    energies_wh = [item.sample.reading.energy_wh for item in station.samples(context="Sample.Periodic")]
    assert energies_wh == [1500, 1500, 1600]
