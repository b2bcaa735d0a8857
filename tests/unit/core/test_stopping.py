"""Every way a transaction ends: reason, tag, time, register, and energy off before anything else."""

import pytest

from evcharge_agent.core import events as e
from evcharge_agent.core.effects import AskAuthorize, CommitStop, FinishStop, Note, TellGuard
from evcharge_agent.core.facts import AuthorizationStatus, IdTag, IdTagInfo, StopReason
from evcharge_agent.core.transactions import RETRY_S
from evcharge_hal.contract.channel import EventKind, SetPoint
from tests.support.core_station import ACCEPTED, TAG, Station, TestRules, set_points

INVALID = IdTagInfo(AuthorizationStatus.INVALID)
FAMILY = IdTagInfo(AuthorizationStatus.ACCEPTED, IdTag("Family"))


def charging(rules=None, **keywords):
    station = Station(rules, **keywords).ready()
    key = station.start()
    station.close()
    station.registers[1] += 500
    station.read_meter()
    station.wait(1.0)
    return station, key


def test_the_same_card_stops_without_case():
    station, key = charging()
    station.swipe(TAG.upper())
    (stop,) = station.stops()
    assert (stop.stop.transaction, stop.stop.reason, stop.stop.id_tag) == (key, StopReason.LOCAL, TAG.upper())
    assert (stop.stop.meter_stop_wh, stop.stop.stopped) == (1500, station.now)
    assert station.phase() == "stopping"
    station.open(wait=None)
    assert station.phase() == "finished"
    station.wait(1.0)
    station.unplug()
    assert station.statuses() == ["Available", "Preparing", "Charging", "Finishing", "Available"]


def test_energy_is_taken_away_in_the_same_step_and_first():
    station, _ = charging()
    effects = station.swipe()
    kinds = [type(effect) for effect in effects]
    first = effects[0]
    assert isinstance(first, TellGuard)
    assert isinstance(first.message, SetPoint)
    assert not first.message.permission
    assert first.message.offer_a == 0.0
    assert CommitStop in kinds[1:]


def test_a_strangers_card_does_not_stop():
    station, _ = charging()
    station.swipe("stranger")
    assert station.stops() == []
    assert station.all(Note)[-1].event == "card_ignored"


def test_the_same_parent_stops_when_the_cache_knows_it():
    station = Station()
    station.begin(authorisations={IdTag("SPOUSE"): FAMILY})
    station.connect_guard()
    station.read_meters()
    station.plug()
    station.swipe()
    station.answer_authorize(FAMILY)
    station.swipe("spouse")
    assert station.last(CommitStop).stop.id_tag == "spouse"


@pytest.mark.parametrize(("answer", "is_stopped"), [(FAMILY, True), (ACCEPTED, False), (INVALID, False), (None, False)])
def test_the_parent_is_asked_for_where_it_is_not_known(answer, is_stopped):
    station = Station().ready()
    station.plug()
    station.swipe()
    station.answer_authorize(FAMILY)
    station.swipe("spouse")
    assert station.last(AskAuthorize).id_tag == "spouse"
    station.answer_authorize(answer)
    assert bool(station.stops()) is is_stopped


def test_an_unplug_stops_with_its_true_time():
    station, _ = charging()
    unplugged_s = station.now_s
    event = station.ring(EventKind.UNPLUGGED, 1, station.outlets[1].plug_id)
    station.pull()
    station.now_s += 0.7
    station.tell(e.GuardReported(event))
    station.send_status()
    (stop,) = station.stops()
    assert (stop.stop.reason, stop.stop.id_tag) == (StopReason.EV_DISCONNECTED, None)
    assert stop.stop.stopped == station.at(unplugged_s)
    assert station.phase() == "idle"
    station.wait(1.0)
    assert station.statuses()[-2:] == ["Charging", "Available"]


def test_an_unplug_that_nobody_timed_stops_now():
    station, _ = charging()
    station.pull()
    station.send_status()
    assert station.last(CommitStop).stop.stopped == station.now


def test_an_unplug_is_proven_only_by_state_a():
    station, _ = charging()
    outlet = station.outlets[1]
    outlet.plug_id = None
    station.send_status()
    assert station.stops() == []
    station.send_status(is_coprocessor_up=False)
    assert station.stops() == []


def test_another_car_in_one_status_ends_the_first_session_and_waits_itself():
    station, _ = charging()
    station.pull()
    station.plug()
    assert station.last(CommitStop).stop.reason is StopReason.EV_DISCONNECTED
    assert station.phase() == "plugged"
    station.wait(1.0)
    assert station.statuses()[-3:] == ["Charging", "Available", "Preparing"]


def test_a_transaction_can_survive_the_unplug():
    station, _ = charging(TestRules(stop_transaction_on_ev_side_disconnect=False))
    station.unplug()
    station.wait(30.0)
    assert station.stops() == []
    assert not station.set_point().permission
    assert station.statuses()[-1] == "SuspendedEV"
    station.plug()
    assert station.set_point().permission
    station.close()
    assert station.statuses()[-1] == "Charging"
    station.unplug()
    station.swipe()
    assert station.last(CommitStop).stop.reason is StopReason.LOCAL
    assert station.phase() == "idle"


def test_a_car_that_leaves_before_the_start_is_written_is_stopped_right_after():
    station = Station().ready()
    station.is_committing = False
    key = station.start()
    station.unplug()
    assert station.stops() == []
    station.tell(e.StartCommitted(key))
    assert station.last(CommitStop).stop.reason is StopReason.EV_DISCONNECTED
    assert station.phase() == "idle"
    assert not any(item.permission for item in set_points(station.all(TellGuard), 1))


def test_a_card_before_the_start_is_written_stops_right_after():
    station = Station().ready()
    station.is_committing = False
    key = station.start()
    station.swipe()
    station.swipe()
    station.tell(e.StartCommitted(key))
    (stop,) = station.stops()
    assert (stop.stop.reason, stop.stop.id_tag) == (StopReason.LOCAL, TAG)
    assert not any(item.permission for item in set_points(station.all(TellGuard), 1))


@pytest.mark.parametrize("status", [item for item in AuthorizationStatus if item is not AuthorizationStatus.ACCEPTED])
def test_an_id_that_is_not_accepted_after_all_is_stopped(status):
    station, key = charging()
    station.wait(3600.0)
    station.tell(e.TransactionRegistered(key, 7, IdTagInfo(status)))
    (stop,) = station.stops()
    assert (stop.stop.reason, stop.stop.id_tag) == (StopReason.DEAUTHORIZED, None)


def test_an_id_that_is_not_accepted_may_keep_its_transaction_without_energy():
    station, key = charging(TestRules(stop_transaction_on_invalid_id=False))
    station.tell(e.TransactionRegistered(key, 7, INVALID))
    assert station.stops() == []
    assert not station.set_point().permission
    assert station.statuses()[-1] == "SuspendedEVSE"
    waiting = station.seen().waiting
    assert waiting is not None
    assert waiting.reason == "deauthorised"
    station.swipe()
    assert station.last(CommitStop).stop.reason is StopReason.LOCAL


def test_the_central_systems_number_and_parent_are_kept():
    station, key = charging()
    station.tell(e.TransactionRegistered(key, 0, FAMILY))
    session = station.seen().session
    assert session is not None
    assert session.transaction_id == 0
    station.swipe("spouse")
    station.answer_authorize(FAMILY)
    assert len(station.stops()) == 1


def test_an_answer_for_a_transaction_that_is_over_still_feeds_the_cache():
    station, key = charging()
    station.unplug()
    station.tell(e.TransactionRegistered(key, 7, INVALID))
    assert station.state.authorisations[IdTag(TAG.upper())] == INVALID
    assert len(station.stops()) == 1


def test_a_lost_private_meter_is_flagged_and_a_public_one_stops():
    private, _ = charging()
    public, _ = charging(TestRules(has_public_meter=True))
    for station in (private, public):
        station.meters_speak = False
        station.wait(6.0)
        assert "meter_lost" in [note.event for note in station.all(Note)]
    assert private.stops() == []
    assert public.last(CommitStop).stop.reason is StopReason.OTHER


def test_the_end_never_lies_below_the_start():
    station = Station().ready()
    station.start()
    station.registers[1] = 10
    station.read_meter()
    station.swipe()
    assert station.last(CommitStop).stop.meter_stop_wh == 1000


def test_a_stop_that_could_not_be_written_is_tried_again():
    station, key = charging()
    station.swipe()
    station.tell(e.CommitFailed(key, is_start=False, reason="disk full"))
    station.open()
    station.wait(1.0)
    station.tell(e.CommitFailed(key, is_start=False, reason="it has no stop yet"))
    station.wait(RETRY_S)
    writes = [effect for _, effect in station.effects if isinstance(effect, CommitStop | FinishStop)]
    assert [type(write) for write in writes] == [CommitStop, FinishStop, CommitStop, FinishStop]
    assert writes[:2] == writes[2:]
    station.wait(10 * RETRY_S)
    assert len(station.stops()) == 2


def test_a_sample_that_could_not_be_written_ends_nothing():
    station, key = charging()
    station.tell(e.CommitFailed(key, is_start=False, reason="disk full"))
    station.wait(60.0)
    assert station.stops() == []
    assert station.phase() == "active"


def test_a_stop_is_recorded_while_the_guard_is_away():
    station, _ = charging()
    station.tell(e.GuardLost())
    station.swipe()
    assert len(station.stops()) == 1
    station.connect_guard()
    assert not station.set_point().permission
