"""Two sockets and one reader: whose swipe means what, and how many verdicts are remembered."""

import pytest

from evcharge_agent.core import events as e
from evcharge_agent.core.authorisation import AUTHORISATIONS_KEPT
from evcharge_agent.core.effects import AskAuthorize, Note
from evcharge_agent.core.facts import AuthorizationStatus, IdTag, IdTagInfo
from tests.support.core_station import ACCEPTED, Station, TestRules

FAMILY = IdTagInfo(AuthorizationStatus.ACCEPTED, IdTag("Family"))


def two_sockets():
    return Station(TestRules(), connectors=2).ready()


def notes(station, event):
    return [item for item in station.all(Note) if item.event == event]


@pytest.mark.parametrize("is_accepted_before", [False, True])
def test_a_second_swipe_before_the_car_comes_claims_no_second_socket(is_accepted_before):
    station = two_sockets()
    station.swipe("driver")
    if is_accepted_before:
        station.answer_authorize(ACCEPTED)
    station.swipe("DRIVER")
    assert [item.id_tag for item in station.all(AskAuthorize)] == ["driver"]
    assert len(notes(station, "card_ignored")) == 1
    if not is_accepted_before:
        station.answer_authorize(ACCEPTED)
    station.plug(2)
    assert (station.phase(1), station.phase(2)) == ("idle", "active")
    station.plug(1)
    station.wait(10.0)
    assert station.phase(1) == "plugged", "a stranger's car waits for its own card"
    assert not station.set_point(1).permission


def test_a_second_swipe_while_the_first_is_asked_about_starts_no_strangers_car():
    station = two_sockets()
    station.plug(2)
    station.swipe("driver")
    station.plug(1)
    station.swipe("driver")
    station.answer_authorize(ACCEPTED)
    assert (station.phase(1), station.phase(2)) == ("plugged", "active")
    assert not station.state.pending.inquiries


def test_another_card_takes_the_other_socket():
    station = two_sockets()
    station.swipe("one")
    station.swipe("two")
    assert (station.phase(1), station.phase(2)) == ("authorising", "authorising")


@pytest.mark.parametrize("is_accepted_before", [False, True])
def test_the_claim_follows_the_car_from_socket_to_socket(is_accepted_before):
    station = Station(TestRules(), connectors=2).begin().connect_guard()
    station.swipe("driver")
    if is_accepted_before:
        station.answer_authorize(ACCEPTED)
    station.plug(1)
    station.unplug(1)
    station.plug(2)
    for _ in station.state.pending.inquiries:
        station.answer_authorize(ACCEPTED)
    assert (station.phase(1), station.phase(2)) == ("idle", "authorised")
    station.read_meters()
    assert station.phase(2) == "active"
    station.plug(1)
    assert station.phase(1) == "plugged"


def test_who_swipes_to_stop_starts_nobody_elses_car():
    station = two_sockets()
    key = station.start("driver", 1)
    station.plug(2)
    station.swipe("driver")
    assert [stop.stop.transaction for stop in station.stops()] == [key]
    assert station.phase(2) == "plugged"
    assert not station.set_point(2).permission


def test_who_has_the_parent_of_a_running_charge_stops_it():
    station = two_sockets()
    station.tell(e.TagInfoLearned(IdTag("partner"), FAMILY))
    station.plug(1)
    station.swipe("driver", 1)
    station.answer_authorize(FAMILY)
    station.plug(2)
    station.swipe("partner")
    assert len(station.stops()) == 1
    assert station.phase(2) == "plugged"


def test_ones_own_charge_is_stopped_before_the_familys():
    station = two_sockets()
    for connector, id_tag in ((1, "partner"), (2, "driver")):
        station.plug(connector)
        station.swipe(id_tag, connector)
        station.answer_authorize(FAMILY)
    station.swipe("driver")
    assert [stop.stop.id_tag for stop in station.stops()] == ["driver"]
    assert station.phase(1) == "active"
    assert not station.set_point(2).permission


def test_as_many_verdicts_as_the_store_keeps_are_remembered_the_newest():
    station = two_sockets()
    for number in range(AUTHORISATIONS_KEPT + 2):
        station.tell(e.TagInfoLearned(IdTag(f"card-{number}"), ACCEPTED))
        station.tell(e.TagInfoLearned(IdTag("CARD-0"), FAMILY if number % 2 else ACCEPTED))
    known = station.state.authorisations
    assert len(known) == AUTHORISATIONS_KEPT
    assert "CARD-0" in known
    assert {"CARD-1", "CARD-2"}.isdisjoint(known)
    assert f"CARD-{AUTHORISATIONS_KEPT + 1}" in known
