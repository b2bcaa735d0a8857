"""After DeAuthorized the cable stays locked until the same id, or one with its parent, is presented (ocpp16.md)."""

import pytest

from evcharge_agent.core import events as e
from evcharge_agent.core.effects import AskAuthorize
from evcharge_agent.core.events import RequestId, UnlockAsked
from evcharge_agent.core.facts import AuthorizationStatus, IdTag, IdTagInfo, StopReason
from tests.support.core_station import ACCEPTED, TAG, Station

FAMILY = IdTag("Family")
OF_FAMILY = IdTagInfo(AuthorizationStatus.ACCEPTED, FAMILY)
INVALID = IdTagInfo(AuthorizationStatus.INVALID)


def deauthorised(info=OF_FAMILY):
    """Accepted from the cache, charging, and then not accepted after all."""
    station = Station()
    station.has_lock = True
    station.begin(authorisations={TAG: info, IdTag("WIFE"): OF_FAMILY})
    station.connect_guard()
    station.read_meters()
    station.change(local_pre_authorize=True)
    key = station.start()
    station.close()
    station.tell(e.TransactionRegistered(key, 7, INVALID))
    station.open(wait=None)
    station.wait(2.0)
    assert station.stops()[-1].stop.reason is StopReason.DEAUTHORIZED
    return station


def test_the_set_point_keeps_the_plug_and_gives_no_energy():
    station = deauthorised()
    assert station.set_point().is_plug_kept
    assert not station.set_point().permission
    assert station.statuses()[-1] == "Finishing"


@pytest.mark.parametrize("id_tag", [TAG, TAG.lower(), "WIFE"])
def test_the_same_id_or_one_of_its_family_gets_it_back_and_begins_nothing(id_tag):
    station = deauthorised()
    station.swipe(id_tag)
    assert not station.set_point().is_plug_kept
    assert station.phase() == "finished"
    assert len(station.stops()) == 1


def test_a_stranger_does_not():
    station = deauthorised()
    station.swipe("STRANGER")
    assert station.last(AskAuthorize).id_tag == "STRANGER"
    assert station.set_point().is_plug_kept
    station.answer_authorize(INVALID)
    assert station.set_point().is_plug_kept
    station.swipe("STRANGER")
    station.swipe(TAG)
    assert not station.set_point().is_plug_kept, "also while the stranger waits for an answer"


def test_the_operator_gets_it_back():
    station = deauthorised()
    station.tell(UnlockAsked(RequestId("u"), 1))
    assert not station.set_point().is_plug_kept


def test_it_ends_with_the_plug_and_with_a_transaction_that_ends_as_it_should():
    station = deauthorised()
    station.unplug()
    assert not station.set_point().is_plug_kept
    again = deauthorised()
    again.swipe("NEXT")
    again.answer_authorize(ACCEPTED)
    again.swipe("NEXT")
    again.wait(2.0)
    assert again.stops()[-1].stop.reason is StopReason.LOCAL
    assert not again.set_point().is_plug_kept


def test_any_other_end_keeps_nothing():
    station = Station().ready()
    station.start()
    station.swipe(TAG)
    assert not station.set_point().is_plug_kept
