"""A firmware update that waits: free connectors are out of service, those in use when they become free (L01.FR.16)."""

from evcharge_agent.core import events as e
from evcharge_agent.core.availability import GUARD_COMES_WITHIN_S
from evcharge_agent.core.events import RequestId
from evcharge_agent.core.facts import IdTag
from tests.support.core_station import TAG, Station


def may_install(station):
    request = RequestId(f"q{len(station.effects)}")
    station.tell(e.UpdateAsked(request))
    return station.answers()[request].is_accepted


def test_an_idle_station_goes_out_at_once_and_comes_back():
    station = Station(connectors=2).ready()
    assert not may_install(station), "nothing waits"
    station.tell(e.UpdateAwaited(is_awaited=True))
    assert [station.statuses(number)[-1] for number in (0, 1, 2)] == ["Unavailable"] * 3
    assert may_install(station)
    station.tell(e.UpdateAwaited(is_awaited=True))
    station.tell(e.UpdateAwaited(is_awaited=False))
    assert [station.statuses(number)[-1] for number in (0, 1, 2)] == ["Available"] * 3
    assert not may_install(station)


def test_a_transaction_is_waited_for_and_nobody_else_begins():
    station = Station(connectors=2).ready()
    station.start()
    station.tell(e.UpdateAwaited(is_awaited=True))
    assert station.statuses(2)[-1] == "Unavailable"
    assert station.statuses(0)[-1] == "Available"
    assert not may_install(station)
    station.plug(2)
    station.swipe("OTHER", 2)
    station.tell(e.RemoteStartRequested(RequestId("r"), IdTag("APP"), 2))
    assert not station.answers()["r"].is_accepted
    assert station.seen(2).session is None
    assert station.seen(1).session is not None, "it goes on"
    station.swipe(TAG)
    station.open()
    station.wait(20.0)
    assert station.seen(1).session is None
    assert station.statuses(1)[-1] == "Unavailable"
    assert may_install(station)


def test_an_order_of_the_central_system_outlives_the_update():
    station = Station(connectors=2).ready()
    station.order_availability()
    station.tell(e.UpdateAwaited(is_awaited=True))
    station.tell(e.UpdateAwaited(is_awaited=False))
    assert [station.statuses(number)[-1] for number in (1, 2)] == ["Unavailable", "Available"]


def test_until_the_guard_has_told_which_connectors_there_are_nobody_knows_who_is_served():
    station = Station().begin()
    station.tell(e.UpdateAwaited(is_awaited=True))
    assert not may_install(station)
    station.wait(GUARD_COMES_WITHIN_S)
    assert may_install(station), "a guard that does not come may be what the update is for"
