"""Rule 8: unplugged at the car only, the socket still holds the cable: Finishing until that is out, too."""

import pytest

from evcharge_agent.core import events as e
from evcharge_agent.core.effects import ReportStatus
from evcharge_agent.core.facts import StopReason
from tests.support.core_station import Station, TestRules


def charging(rules=None, *, has_cable=True):
    station = Station(rules).ready()
    station.outlets[1].is_cable_present = has_cable
    station.start()
    station.close()
    return station


def reports(station):
    return [(item.state.value, item.info) for item in station.all(ReportStatus) if item.connector == 1]


def cable_out(station):
    station.outlets[1].is_cable_present = False
    station.send_status()


def test_unplugged_at_the_car_is_finishing_until_the_cable_is_out():
    station = charging()
    station.unplug()
    station.wait(5.0)
    assert [stop.stop.reason for stop in station.stops()] == [StopReason.EV_DISCONNECTED]
    assert reports(station)[-1] == ("Finishing", "EV side disconnected")
    station.wait(100.0)
    assert station.statuses()[-1] == "Finishing"
    cable_out(station)
    assert reports(station)[-1] == ("Available", "")
    assert station.statuses()[-3:] == ["Charging", "Finishing", "Available"]


@pytest.mark.parametrize("has_cable", [False, None])
def test_both_ends_out_or_a_fixed_cable_is_available(has_cable):
    station = charging()
    station.outlets[1].is_cable_present = has_cable
    station.unplug()
    station.wait(5.0)
    assert station.statuses()[-2:] == ["Charging", "Available"]


def test_a_card_that_stopped_before_changes_nothing_about_it():
    station = charging()
    station.swipe()
    station.open()
    station.wait(5.0)
    station.unplug()
    assert station.statuses()[-1] == "Finishing"
    cable_out(station)
    assert station.statuses()[-1] == "Available"


def test_a_cable_without_a_session_leaves_the_socket_available():
    station = Station().ready()
    station.outlets[1].is_cable_present = True
    station.send_status()
    assert station.statuses() == ["Available"]


def test_the_same_cable_in_a_car_again_is_preparing():
    station = charging()
    station.unplug()
    station.wait(5.0)
    station.plug()
    assert station.statuses()[-2:] == ["Finishing", "Preparing"]


def test_a_transaction_that_is_kept_is_suspended_not_finishing():
    station = charging(TestRules(stop_transaction_on_ev_side_disconnect=False))
    station.unplug()
    station.wait(5.0)
    assert station.stops() == []
    assert station.statuses()[-1] == "SuspendedEV"
    station.tell(e.TimePassed())
    assert station.statuses()[-1] == "SuspendedEV"
