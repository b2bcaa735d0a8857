"""Everything is keyed by connector: two cars, one reader, one supply."""

from evcharge_agent.core import events as e
from evcharge_agent.core.effects import Note
from evcharge_agent.core.events import RequestId
from evcharge_agent.core.facts import IdTag, MeterReading
from evcharge_hal.contract.units import WattHours
from tests.support.core_station import ACCEPTED, Station, TestRules


def station_of_two(**rules):
    return Station(TestRules(**rules), connectors=2).ready()


def accept(station):
    if station.state.pending.inquiries:
        station.answer_authorize(ACCEPTED)


def test_a_card_goes_to_the_connector_where_a_car_waits():
    station = station_of_two()
    station.plug(2)
    station.swipe()
    accept(station)
    assert (station.phase(1), station.phase(2)) == ("idle", "active")


def test_a_card_before_any_car_goes_to_whichever_is_plugged_in():
    station = station_of_two()
    station.swipe()
    accept(station)
    station.plug(2)
    assert (station.phase(1), station.phase(2)) == ("idle", "active")
    assert station.statuses(1) == ["Available", "Preparing", "Available"]


def test_a_car_that_comes_while_the_card_is_being_asked_about_is_served():
    station = station_of_two()
    station.swipe()
    station.plug(2)
    accept(station)
    accept(station)
    assert (station.phase(1), station.phase(2)) == ("idle", "active")


def test_a_card_for_one_connector_stays_there():
    station = station_of_two()
    station.swipe("card", 1)
    accept(station)
    station.plug(2)
    assert (station.phase(1), station.phase(2)) == ("authorised", "plugged")


def test_one_card_two_cars_then_each_is_stopped():
    station = station_of_two()
    station.start(IdTag("same"), 1)
    station.plug(2)
    station.swipe("same", 2)
    accept(station)
    assert station.phase(2) == "active"
    station.swipe("same")
    station.swipe("same")
    assert len({stop.stop.transaction for stop in station.stops()}) == 2


def test_the_cars_of_two_people_do_not_know_each_other():
    station = station_of_two()
    first, second = station.start(IdTag("one"), 1), station.start(IdTag("two"), 2)
    assert first != second
    station.swipe("two")
    assert [stop.stop.transaction for stop in station.stops()] == [second]
    assert station.phase(1) == "active"
    assert station.set_point(1).permission
    assert not station.set_point(2).permission


def test_the_installers_limit_is_shared_and_given_back():
    station = station_of_two(installer_limit_a=20.0)
    station.start(IdTag("one"), 1)
    assert station.set_point(1).offer_a == 20.0
    station.start(IdTag("two"), 2)
    assert (station.set_point(1).offer_a, station.set_point(2).offer_a) == (10.0, 10.0)
    acting = [limit for limit in station.seen(1).limits if limit.is_acting]
    assert [(limit.scope, limit.reason) for limit in acting] == [("station", "installer_limit_shared")]
    station.wait(6.0)
    station.unplug(2)
    assert station.set_point(1).offer_a == 20.0


def test_where_there_is_not_enough_for_both_the_first_is_served():
    station = station_of_two(installer_limit_a=10.0)
    station.start(IdTag("one"), 2)
    station.wait(1.0)
    station.start(IdTag("two"), 1)
    assert (station.set_point(2).offer_a, station.set_point(1).offer_a) == (10.0, 0.0)
    assert station.seen(1).state.value == "SuspendedEVSE"


def test_a_remote_start_without_connector_takes_the_one_with_a_car():
    station = station_of_two()
    station.plug(2)
    station.tell(e.RemoteStartRequested(RequestId("r"), IdTag("remote"), None))
    assert station.phase(2) == "active"
    station.tell(e.RemoteStartRequested(RequestId("r2"), IdTag("remote"), None))
    assert station.phase(1) == "authorised"
    station.tell(e.RemoteStartRequested(RequestId("r3"), IdTag("remote"), None))
    assert not station.answers()["r3"].is_accepted


def test_a_fault_on_one_does_not_touch_the_other():
    station = station_of_two()
    station.start(IdTag("one"), 1)
    station.close(1)
    station.meters_speak = False
    for _ in range(6):
        station.read_meter(1)
        station.wait(1.0)
    assert station.state.connectors[2].meter.is_lost
    assert not station.state.connectors[1].meter.is_lost
    assert station.seen(1).state.value == "Charging"


def test_a_meter_makes_no_connector():
    station = Station().ready()
    station.tell(e.MeterRead(2, MeterReading(WattHours(5))))
    assert station.last(Note).event == "reading_ignored"
    assert sorted(station.state.connectors) == [1]
    assert station.statuses(2) == []
    station.tell(e.RemoteStartRequested(RequestId("r"), IdTag("remote"), 2))
    assert not station.answers()["r"].is_accepted
