"""A charger whose supply fails ends or keeps its transactions before it goes down (CHG-7, OCTT 032_1)."""

from evcharge_agent.core import events as e
from evcharge_agent.core.facts import StopReason
from evcharge_hal.contract.channel import Wait
from evcharge_hal.contract.faults import FaultCode
from tests.support.core_station import Station, TestRules, set_points

ENDS = TestRules(continue_charging_after_power_loss=False)


def charging(rules):
    station = Station(rules).ready()
    station.start()
    station.close()
    station.wait(1.0)
    return station


def test_what_the_power_loss_would_end_is_ended_before_it_once_and_for_nobody():
    station = charging(ENDS)
    station.registers[1] += 40
    station.read_meter()
    station.latch(FaultCode.SUPPLY_FAILING)
    station.open(wait=Wait.FAULT)
    station.wait(5.0)
    (stop,) = station.stops()
    assert (stop.stop.reason, stop.stop.id_tag, stop.stop.meter_stop_wh) == (StopReason.POWER_LOSS, None, 1040)
    assert not station.set_point().permission
    station.latch()
    station.wait(20.0)
    assert not station.set_point().permission, "the car that is there has to be authorised anew"
    assert len(station.stops()) == 1


def test_what_outlives_a_power_loss_waits_for_it():
    station = charging(TestRules(continue_charging_after_power_loss=True))
    station.latch(FaultCode.SUPPLY_FAILING)
    station.open(wait=Wait.FAULT)
    assert station.stops() == []
    assert station.statuses()[-1] == "SuspendedEVSE"
    assert station.phase() == "active"


def test_without_a_transaction_a_warning_is_only_a_warning():
    station = Station(ENDS).ready()
    station.latch(FaultCode.SUPPLY_FAILING)
    station.plug()
    assert station.stops() == []
    assert station.statuses() == ["Available", "Available", "Preparing"]


def test_a_transaction_that_is_just_being_written_is_ended_when_it_is():
    station = Station(ENDS).ready()
    station.is_committing = False
    key = station.start()
    station.latch(FaultCode.SUPPLY_FAILING)
    assert station.stops() == []
    station.tell(e.StartCommitted(key))
    (stop,) = station.stops()
    assert stop.stop.reason is StopReason.POWER_LOSS
    assert not any(point.permission for point in set_points((effect for _, effect in station.effects), 1))
