"""From the plug or the card to energy: both orders, time-outs, refusals, the meter, the disk."""

import pytest

from evcharge_agent.core import events as e
from evcharge_agent.core.effects import AskAuthorize, CommitStart, Note, RememberAuthorisation, ReportStatus, TellGuard
from evcharge_agent.core.facts import AuthorizationStatus, IdTag, IdTagInfo
from evcharge_agent.core.reasons import TEXTS, Reason
from evcharge_hal.contract.channel import Indicate, Indication
from evcharge_hal.contract.faults import FaultCode
from tests.support.core_station import ACCEPTED, TAG, Station, TestRules, set_points

BLOCKED = IdTagInfo(AuthorizationStatus.BLOCKED)


def test_nothing_is_heeded_before_the_store_has_spoken():
    station = Station()
    station.tell(e.CardPresented(TAG, (1,)))
    assert [effect.event for effect in station.all(Note)] == ["ignored_before_restore"]
    assert station.view().connectors == ()


def test_plug_first():
    station = Station().ready()
    plug_id = station.plug()
    assert station.phase() == "plugged"
    station.swipe()
    assert station.phase() == "authorising"
    assert station.last(AskAuthorize).id_tag == TAG
    effects = station.answer_authorize(ACCEPTED)
    start = next(effect.start for effect in effects if isinstance(effect, CommitStart))
    assert (start.id_tag, start.meter_start_wh, start.plug_id, start.started) == (TAG, 1000, plug_id, station.now)
    assert station.phase() == "active"
    assert station.set_point().permission
    assert station.set_point().offer_a == 32.0
    assert station.set_point().plug_id == plug_id
    station.close()
    assert station.statuses() == ["Available", "Preparing", "Charging"]
    assert RememberAuthorisation(TAG, ACCEPTED) in station.all(RememberAuthorisation)


def test_identification_first():
    station = Station().ready()
    station.swipe()
    station.answer_authorize(ACCEPTED)
    assert station.phase() == "authorised"
    station.plug()
    assert station.phase() == "active"
    station.close()
    assert station.statuses() == ["Available", "Preparing", "Charging"]


def test_energy_waits_for_the_disk():
    station = Station().ready()
    station.is_committing = False
    key = station.start()
    station.wait(10.0)
    assert station.phase() == "starting"
    assert not any(item.permission for item in set_points(station.all(TellGuard), 1))
    station.tell(e.StartCommitted(key))
    assert station.set_point().permission


def test_a_start_that_cannot_be_written_is_refused_with_the_reason():
    station = Station().ready()
    station.is_committing = False
    key = station.start()
    station.tell(e.CommitFailed(key, is_start=True, reason="disk full"))
    assert station.phase() == "finished"
    assert not any(item.permission for item in set_points(station.all(TellGuard), 1))
    assert station.stops() == []
    waiting = station.seen().waiting
    assert waiting is not None
    assert waiting.text == TEXTS[Reason.STORAGE_FAILED]
    station.is_committing = True
    station.swipe()
    station.answer_authorize(ACCEPTED)
    assert station.phase() == "active"


def test_news_of_another_start_changes_nothing():
    station = Station().ready()
    station.is_committing = False
    key = station.start()
    station.tell(e.StartCommitted(type(key)("other")))
    assert station.phase() == "starting"


def test_a_refused_card_leaves_a_free_connector_as_it_was():
    station = Station().ready()
    station.swipe()
    station.answer_authorize(BLOCKED)
    assert station.phase() == "idle"
    assert station.statuses() == ["Available"]


def test_a_refused_card_leaves_the_car_waiting_and_says_why():
    station = Station().ready()
    station.plug()
    station.swipe()
    station.answer_authorize(BLOCKED)
    assert station.phase() == "plugged"
    waiting = station.seen().waiting
    assert waiting is not None
    assert waiting.reason == "id_blocked"


def test_an_authorisation_without_a_car_lapses():
    station = Station(TestRules(connection_time_out_s=30)).ready()
    station.swipe()
    station.answer_authorize(ACCEPTED)
    station.wait(29.0)
    assert station.phase() == "authorised"
    station.wait(2.0)
    assert station.phase() == "idle"
    assert station.statuses() == ["Available", "Preparing", "Available"]
    station.plug()
    assert station.phase() == "plugged"


def test_a_car_nobody_authorises_ends_in_finishing_and_can_still_be_authorised():
    station = Station(TestRules(connection_time_out_s=30)).ready()
    station.plug()
    station.wait(31.0)
    assert station.phase() == "finished"
    assert station.statuses()[-1] == "Finishing"
    waiting = station.seen().waiting
    assert waiting is not None
    assert waiting.reason == "not_authorised_in_time"
    station.swipe()
    station.answer_authorize(ACCEPTED)
    assert station.phase() == "active"


def test_a_verdict_that_never_comes_ends_with_the_time_out():
    station = Station(TestRules(connection_time_out_s=30)).ready()
    station.swipe()
    station.wait(31.0)
    assert station.phase() == "idle"
    station.answer_authorize(ACCEPTED)
    assert station.phase() == "idle"


def test_no_answer_means_the_offline_rules():
    station = Station()
    station.begin(authorisations={TAG: ACCEPTED})
    station.connect_guard()
    station.read_meters()
    station.plug()
    station.swipe("STRANGER")
    station.answer_authorize(None)
    assert station.phase() == "plugged"
    station.swipe(TAG.lower())
    station.answer_authorize(None)
    assert station.phase() == "active"


def test_without_a_central_system_every_card_is_accepted_at_once():
    station = Station(TestRules(is_central_system_enabled=False))
    station.begin(is_online=False)
    station.connect_guard()
    station.read_meters()
    station.plug()
    station.swipe("anything")
    assert station.phase() == "active"
    assert station.all(AskAuthorize) == []


def test_the_start_waits_briefly_for_a_reading():
    station = Station()
    station.begin()
    station.connect_guard()
    station.plug()
    station.swipe()
    station.answer_authorize(ACCEPTED)
    assert station.phase() == "authorised"
    waiting = station.seen().waiting
    assert waiting is not None
    assert waiting.reason == "awaiting_meter"
    station.registers[1] = 4321
    station.wait(1.0)
    assert station.last(CommitStart).start.meter_start_wh == 4321


def test_without_a_reading_the_start_takes_what_is_known_and_says_so():
    station = Station()
    station.meters_speak = False
    station.begin()
    station.connect_guard()
    station.plug()
    station.swipe()
    station.answer_authorize(ACCEPTED)
    station.wait(2.9)
    assert station.all(CommitStart) == []
    station.wait(0.2)
    assert station.last(CommitStart).start.meter_start_wh == 0
    assert "started_without_reading" in [note.event for note in station.all(Note)]


def test_a_public_meter_that_is_silent_lets_nobody_start():
    station = Station(TestRules(has_public_meter=True)).ready()
    station.meters_speak = False
    station.plug()
    station.wait(6.0)
    station.swipe()
    assert station.phase() == "plugged"
    assert station.all(CommitStart) == []


@pytest.mark.parametrize("code", [FaultCode.RCM_TRIP, FaultCode.CONTACTOR_WELDED, FaultCode.COPROCESSOR_LOST])
def test_a_broken_connector_takes_no_card(code):
    station = Station().ready()
    station.plug()
    station.latch(code)
    station.swipe()
    assert station.phase() == "plugged"
    assert station.all(AskAuthorize) == []


def test_a_start_waits_while_the_connector_is_broken_and_goes_on_afterwards():
    station = Station().ready()
    station.swipe()
    station.answer_authorize(ACCEPTED)
    station.outlets[1].faults = frozenset({FaultCode.DIODE})
    station.plug()
    assert station.phase() == "authorised"
    station.latch()
    assert station.phase() == "active"


def test_a_start_waits_for_the_guard():
    station = Station().ready()
    station.plug()
    station.swipe()
    station.tell(e.GuardLost())
    station.answer_authorize(ACCEPTED)
    assert station.phase() == "authorised"
    station.connect_guard()
    assert station.phase() == "active"


def test_a_card_on_a_busy_connector_is_ignored():
    station = Station().ready()
    station.swipe()
    station.swipe("other")
    assert len(station.all(AskAuthorize)) == 1
    assert station.all(Note)[-1].event == "card_ignored"


def test_the_led_follows():
    station = Station().ready()
    station.start()
    station.close()
    station.open()
    station.wait(6.0)
    station.swipe()
    station.unplug()
    shown = [effect.message.indication for effect in station.all(TellGuard) if isinstance(effect.message, Indicate)]
    assert shown == [
        Indication.AVAILABLE,
        Indication.AWAITING_AUTHORISATION,
        Indication.AWAITING_VEHICLE,
        Indication.CHARGING,
        Indication.AWAITING_VEHICLE,
        Indication.FINISHED,
        Indication.AVAILABLE,
    ]


def test_a_free_connector_shows_that_the_central_system_is_away():
    station = Station().ready()
    station.tell(e.CentralSystemChanged(is_connected=False, is_accepted=True))
    message = station.last(TellGuard).message
    assert isinstance(message, Indicate)
    assert message.indication is Indication.OFFLINE


def test_a_state_shorter_than_minimum_status_duration_is_never_told():
    station = Station(TestRules(minimum_status_duration_s=5)).ready()
    station.plug()
    plugged_s = station.now_s
    station.wait(2.0)
    station.unplug()
    station.wait(20.0)
    assert station.statuses() == ["Available"]
    station.plug()
    plugged_s = station.now_s
    station.wait(10.0)
    assert station.statuses() == ["Available", "Preparing"]
    assert station.all(ReportStatus)[-1].at.monotonic_s == plugged_s


def test_names_are_counted_and_never_repeat():
    first, second = Station().ready(), Station().ready()
    for station in (first, second):
        station.start()
        station.unplug()
        station.wait(1.0)
        station.start(IdTag("two"))
    assert [item.start.transaction for item in first.all(CommitStart)] == [
        item.start.transaction for item in second.all(CommitStart)
    ]
    assert len({item.start.transaction for item in first.all(CommitStart)}) == 2
