"""Rule 9: ChangeAvailability is scheduled while somebody is served, cascades, cancels, and outlives restarts."""

import pytest

from evcharge_agent.core import events as e
from evcharge_agent.core.availability import apply_order
from evcharge_agent.core.effects import Answer, CommitStart, Note, RememberAvailability, ReportStatus
from evcharge_agent.core.events import RequestId
from evcharge_agent.core.facts import IdTag
from evcharge_hal.contract.faults import FaultCode
from evcharge_hal.contract.pilot import PilotState
from tests.support.core_station import TAG, Station, TestRules


def order(station, connector=1, *, is_operative=False):
    """Ask and carry out, as the OCPP side does; returns the word of the answer, None while there is none."""
    answer = station.order_availability(connector, is_operative=is_operative)
    if answer is None:
        return None
    if not answer.is_accepted:
        return "Rejected"
    return "Scheduled" if answer.reason == "scheduled" else "Accepted"


@pytest.mark.parametrize(
    ("before", "number", "is_operative", "after"),
    [
        (set(), 1, False, {1}),
        ({1}, 1, False, {1}),
        ({1}, 2, False, {1, 2}),
        ({1}, 1, True, set()),
        ({1}, 0, False, {0}),
        ({0}, 1, False, {0}),
        ({0}, 0, True, set()),
        ({1, 2}, 0, True, set()),
        ({0}, 1, True, {2}),
    ],
)
def test_an_order_of_the_station_cascades_and_the_last_word_counts(before, number, is_operative, after):
    assert apply_order(frozenset(before), number, (1, 2), is_operative=is_operative) == after


def test_an_idle_connector_goes_out_and_comes_back():
    station = Station().ready()
    assert order(station) == "Accepted"
    assert station.statuses() == ["Available", "Unavailable"]
    assert order(station, is_operative=True) == "Accepted"
    assert station.statuses()[-1] == "Available"


def test_before_the_answer_has_been_sent_nobody_else_is_told():
    station = Station().ready()
    effects = station.tell(e.AvailabilityAsked(RequestId("q"), 1, is_operative=False))
    assert [type(effect) for effect in effects if not isinstance(effect, Note)] == [RememberAvailability, Answer]
    assert station.statuses() == ["Available"]
    station.tell(e.AvailabilityOrdered(1, is_operative=False))
    assert station.statuses() == ["Available", "Unavailable"]


def test_an_answer_that_could_not_be_sent_holds_nothing_up():
    station = Station().ready()
    station.tell(e.AvailabilityAsked(RequestId("q"), 1, is_operative=False))
    station.tell(e.CentralSystemChanged(is_connected=False, is_accepted=True))
    assert station.statuses() == ["Available", "Unavailable"]


def test_an_order_that_cannot_be_written_is_refused_and_changes_nothing():
    station = Station().ready()
    station.is_disk_well = False
    assert order(station) == "Rejected"
    assert station.statuses() == ["Available"]
    station.is_disk_well = True
    assert order(station) == "Accepted"
    assert station.statuses() == ["Available", "Unavailable"]


def test_the_same_state_again_is_accepted_and_silent():
    station = Station().ready()
    order(station)
    told = len(station.all(ReportStatus))
    assert order(station) == "Accepted"
    assert len(station.all(ReportStatus)) == told
    assert len(station.all(RememberAvailability)) == 1


def test_nobody_is_told_before_the_order_is_on_the_disk_and_the_last_one_counts():
    station = Station().ready()
    station.is_committing = False
    words = [order(station), order(station, is_operative=True), order(station)]
    assert words == [None, None, None]
    writes = station.all(RememberAvailability)
    assert [one.inoperative for one in writes] == [{1}, set(), {1}]
    for write in writes:
        station.tell(e.AvailabilityKept(is_kept=True, request=write.request))
        assert station.answers()[write.request].is_accepted
    assert station.statuses() == ["Available"]
    station.tell(e.AvailabilityOrdered(1, is_operative=False))
    assert station.statuses() == ["Available", "Unavailable"]


@pytest.mark.parametrize("connector", [3, -1])
def test_an_unknown_connector_is_rejected(connector):
    assert order(Station(connectors=2).ready(), connector) == "Rejected"


def test_a_transaction_goes_on_and_unavailable_follows_without_available():
    station = Station().ready()
    station.start()
    station.close()
    assert order(station) == "Scheduled"
    assert station.statuses()[-1] == "Charging"
    assert station.set_point().permission
    station.swipe()
    station.open()
    station.wait(2.0)
    assert len(station.finishes()) == 1
    station.unplug()
    assert station.statuses()[-2:] == ["Charging", "Unavailable"]


def test_unplugging_a_running_transaction_leads_straight_to_unavailable():
    station = Station().ready()
    station.start()
    station.close()
    order(station)
    station.unplug()
    station.wait(2.0)
    assert station.statuses()[-2:] == ["Charging", "Unavailable"]


def test_preparing_counts_as_being_served():
    station = Station().ready()
    station.plug()
    assert order(station) == "Scheduled"
    station.swipe()
    station.answer_authorize(None)
    assert station.statuses()[-1] == "Preparing"


def test_a_car_that_waited_in_vain_is_followed_by_unavailable_and_never_by_available():
    station = Station(TestRules(connection_time_out_s=20)).ready()
    station.plug()
    order(station)
    station.wait(21.0)
    assert station.statuses() == ["Available", "Preparing", "Finishing", "Unavailable"]


def test_a_later_operative_cancels_what_was_scheduled():
    station = Station().ready()
    station.start()
    station.close()
    assert order(station) == "Scheduled"
    assert order(station, is_operative=True) == "Accepted"
    station.unplug()
    station.wait(2.0)
    assert "Unavailable" not in station.statuses()
    assert station.statuses()[-1] == "Available"


def test_out_of_service_stays_so_whatever_is_plugged_in():
    station = Station().ready()
    order(station)
    station.plug()
    station.swipe()
    station.tell(e.RemoteStartRequested(RequestId("r"), IdTag("x"), 1))
    station.wait(70.0)
    assert station.statuses()[-1] == "Unavailable"
    assert station.all(CommitStart) == []
    assert station.answers()[RequestId("r")].reason == "out_of_service"
    assert station.seen().waiting.reason == "out_of_service"
    order(station, is_operative=True)
    assert station.statuses()[-2:] == ["Preparing", "Finishing"]


def test_an_authorisation_is_not_carried_to_a_connector_out_of_service():
    station = Station(connectors=2).ready()
    station.tell(e.RemoteStartRequested(RequestId("r"), TAG, None))
    order(station, 2)
    station.plug(2)
    assert station.all(CommitStart) == []
    assert station.phase(1) == "authorised"


def test_connector_0_takes_the_free_ones_out_at_once_and_itself_when_all_are_out():
    station = Station(connectors=2).ready()
    station.start(connector=1)
    station.close(1)
    assert order(station, 0) == "Scheduled"
    assert station.statuses(2)[-1] == "Unavailable"
    assert station.statuses(0)[-1] == "Available"
    station.unplug(1)
    station.wait(2.0)
    assert station.statuses(1)[-1] == "Unavailable"
    assert station.statuses(0)[-1] == "Unavailable"
    assert order(station, 0, is_operative=True) == "Accepted"
    assert [station.statuses(number)[-1] for number in (0, 1, 2)] == ["Available"] * 3


def test_one_connector_back_in_service_takes_the_station_back():
    station = Station(connectors=2).ready()
    order(station, 0)
    order(station, 1, is_operative=True)
    assert [station.statuses(number)[-1] for number in (0, 1, 2)] == ["Available", "Available", "Unavailable"]
    assert station.last(RememberAvailability).inoperative == {2}


def test_a_fault_shows_and_unavailable_comes_back_after_it():
    station = Station().ready()
    order(station)
    station.latch(FaultCode.RCM_TRIP)
    station.latch()
    assert station.statuses()[-3:] == ["Unavailable", "Faulted", "Unavailable"]


@pytest.mark.parametrize("ordered", [{1}, {0}])
def test_it_outlives_a_restart_and_is_never_available_in_between(ordered):
    station = Station()
    station.begin(inoperative=frozenset(ordered))
    station.connect_guard()
    assert station.statuses() == ["Unavailable"]


def test_a_car_that_is_there_at_the_restart_does_not_bring_it_back():
    station = Station()
    station.outlets[1].plug_id, station.outlets[1].pilot = "00ff-1-1.1", PilotState.B
    station.begin(inoperative=frozenset({1}))
    station.connect_guard()
    assert station.statuses() == ["Unavailable"]
