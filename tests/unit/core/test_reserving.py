"""The life of a reservation in the core: told when it is on the disk, keeps others away, used up, over (rule 18)."""

import pytest

from evcharge_agent.core import events as e
from evcharge_agent.core.effects import Answer, AskAuthorize, CommitStart, Keep, ReportStatus, TellGuard
from evcharge_agent.core.events import RequestId
from evcharge_agent.core.facts import (
    AuthorizationStatus,
    HeldStop,
    IdTag,
    IdTagInfo,
    OpenTransaction,
    Shelf,
    StopReason,
    TransactionKey,
    TransactionStart,
    TransactionStop,
)
from evcharge_agent.core.reservations import Reservation
from evcharge_hal.contract.channel import Indicate, Indication
from evcharge_hal.contract.faults import FaultCode
from evcharge_hal.contract.units import WattHours
from tests.support.core_station import ACCEPTED, TAG, UTC_OFFSET_S, Station, TestRules

FAMILY = IdTag("Family")
OF_FAMILY = IdTagInfo(AuthorizationStatus.ACCEPTED, FAMILY)
LATER_UTC_S = UTC_OFFSET_S + 2000.0


def kept(number=7, connector=1, id_tag="Owner", parent=None, expiry_utc_s=LATER_UTC_S):
    return Reservation(number, connector, IdTag(id_tag), parent, expiry_utc_s)


def reserve(station, wanted, name="q"):
    station.tell(e.ReserveRequested(RequestId(name), wanted))
    answer = station.answers().get(name)
    return None if answer is None else (answer.is_accepted, answer.reason)


def cancel(station, number=7, name="c"):
    station.tell(e.CancelRequested(RequestId(name), number))
    answer = station.answers().get(name)
    return None if answer is None else (answer.is_accepted, answer.reason)


def reserved(wanted=None, connectors=2, **rules):
    station = Station(TestRules(**rules), connectors).ready()
    assert reserve(station, wanted or kept()) == (True, "")
    return station


def held(station):
    return [one.reservation_id for one in station.view().reservations]


def start_of(station):
    return station.last(CommitStart).start


# --- made and withdrawn -----------------------------------------------------------------------------------


def test_it_is_told_when_it_is_on_the_disk_and_keeps_others_away_before():
    station = Station(TestRules(), 2).ready()
    station.is_committing = False
    assert reserve(station, kept()) is None
    assert station.statuses() == ["Available"]
    assert reserve(station, kept(8), "other") == (False, "busy")
    station.swipe("stranger", 1)
    assert station.phase() == "idle"
    effects = station.tell(e.Kept(Shelf.RESERVATIONS, is_kept=True, request=RequestId("q")))
    told = [type(effect) for effect in effects if isinstance(effect, Answer | ReportStatus)]
    assert told == [Answer, ReportStatus], "answered first"
    assert station.statuses() == ["Available", "Reserved"]


def test_one_that_cannot_be_written_is_none():
    station = Station(TestRules(), 2).ready()
    station.is_disk_well = False
    assert reserve(station, kept()) == (False, "storage_failed")
    assert (held(station), station.statuses()) == ([], ["Available"])
    station.swipe("stranger", 1)
    assert station.phase() == "authorising"


def test_the_led_says_reserved():
    station = reserved()
    indications = [item.message for item in station.all(TellGuard) if isinstance(item.message, Indicate)]
    assert [one.indication for one in indications if one.connector == 1][-1] is Indication.RESERVED


def test_the_same_id_replaces_also_on_another_connector():
    station = reserved()
    assert reserve(station, kept(connector=2, id_tag="Else"), "r") == (True, "")
    assert (station.statuses(1)[-1], station.statuses(2)[-1]) == ("Available", "Reserved")
    assert len(held(station)) == 1


def test_a_replacement_that_cannot_be_written_leaves_what_was():
    station = reserved()
    station.is_disk_well = False
    assert reserve(station, kept(connector=2), "r") == (False, "storage_failed")
    assert (station.statuses(1)[-1], station.statuses(2)) == ("Reserved", ["Available"])


def test_cancelling_frees_and_only_what_is_there_can_be_cancelled():
    station = reserved()
    assert cancel(station, 8) == (False, "no_reservation")
    assert cancel(station, 7, "d") == (True, "")
    assert (held(station), station.statuses()) == ([], ["Available", "Reserved", "Available"])
    assert cancel(station, 7, "again") == (False, "no_reservation")


def test_a_cancelling_that_cannot_be_written_leaves_it():
    station = reserved()
    station.is_disk_well = False
    assert cancel(station) == (False, "storage_failed")
    assert station.statuses()[-1] == "Reserved"


def test_one_made_anew_while_its_end_is_written_stays():
    station = reserved()
    station.is_committing = False
    cancel(station)
    reserve(station, kept(connector=2), "r")
    for request in ("c", "r"):
        station.tell(e.Kept(Shelf.RESERVATIONS, is_kept=True, request=RequestId(request)))
    assert station.answers()["c"].is_accepted
    assert station.answers()["r"].is_accepted
    assert (station.statuses(1)[-1], station.statuses(2)[-1]) == ("Available", "Reserved")


@pytest.mark.parametrize(
    ("prepare", "reason"),
    [
        (lambda station: station.plug(), "busy"),
        (lambda station: station.swipe("x", 1), "busy"),
        (lambda station: station.start("x"), "busy"),
        (lambda station: station.latch(FaultCode.RCM_TRIP), "fault"),
        (lambda station: station.tell(e.GuardLost()), "fault"),
        (lambda station: station.order_availability(), "out_of_service"),
        (lambda station: station.tell(e.ResetOrdered(is_hard=False)), "restarting"),
    ],
)
def test_the_state_of_the_connector_is_the_answer(prepare, reason):
    station = Station(TestRules(), 2).ready()
    prepare(station)
    assert reserve(station, kept()) == (False, reason)


def test_a_date_in_the_past_is_refused_by_a_clock_that_is_right():
    station = Station(TestRules()).ready()
    past = kept(expiry_utc_s=UTC_OFFSET_S)
    assert reserve(station, past) == (False, "reservation_refused")
    station.is_clock_trusted = False
    assert reserve(station, past, "unsure") == (True, "")


def test_connector_zero_can_be_switched_off():
    station = Station(TestRules(reserve_connector_zero_supported=False)).ready()
    assert reserve(station, kept(connector=0)) == (False, "reservation_refused")


# --- whom it keeps away -----------------------------------------------------------------------------------


def test_a_stranger_s_card_is_refused_and_told_why_and_the_owner_s_uses_it_up():
    station = reserved(local_pre_authorize=True)
    station.plug()
    station.swipe("stranger", 1)
    assert (station.phase(), station.seen().waiting.reason) == ("plugged", "reserved")
    station.swipe("OWNER", 1)
    station.answer_authorize(ACCEPTED)
    assert start_of(station).reservation_id == 7
    assert (station.phase(), held(station)) == ("active", [])
    assert station.last(Keep).remove == {"7"}


def test_the_swipe_alone_uses_nothing_up():
    station = reserved()
    station.swipe("owner", 1)
    station.answer_authorize(ACCEPTED)
    assert (station.phase(), held(station), station.statuses()[-1]) == ("authorised", [7], "Preparing")
    station.wait(61.0)
    assert (station.phase(), station.statuses()[-1]) == ("idle", "Reserved")


def test_a_start_that_could_not_be_written_uses_nothing_up():
    station = reserved()
    station.is_committing = False
    station.plug()
    station.swipe("owner", 1)
    station.answer_authorize(ACCEPTED)
    station.tell(e.CommitFailed(start_of(station).transaction, is_start=True, reason="full"))
    assert held(station) == [7]


@pytest.mark.parametrize(
    ("id_tag", "connector", "is_accepted"),
    [("stranger", 1, False), ("owner", 1, True), ("stranger", 2, True), ("stranger", None, True)],
)
def test_a_remote_start_of_a_stranger_is_refused(id_tag, connector, is_accepted):
    station = reserved()
    station.tell(e.RemoteStartRequested(RequestId("s"), IdTag(id_tag), connector))
    assert station.answers()["s"].is_accepted is is_accepted
    if connector is None:
        assert (station.phase(1), station.phase(2)) == ("idle", "authorised")


def test_a_remote_start_without_connector_goes_where_the_id_is_expected():
    station = reserved(kept(connector=2))
    station.tell(e.RemoteStartRequested(RequestId("s"), IdTag("owner"), None))
    assert (station.phase(1), station.phase(2)) == ("idle", "authorised")


@pytest.mark.parametrize("is_remote", [False, True])
@pytest.mark.parametrize(("info", "phase"), [(OF_FAMILY, "active"), (ACCEPTED, "plugged")])
def test_the_parent_of_an_unknown_id_is_asked_for(is_remote, info, phase):
    station = reserved(kept(parent=FAMILY))
    station.plug()
    if is_remote:
        station.tell(e.RemoteStartRequested(RequestId("s"), IdTag("partner"), 1))
        assert station.answers()["s"].is_accepted
    else:
        station.swipe("partner", 1)
    assert len(station.all(AskAuthorize)) == 1
    station.answer_authorize(info)
    assert station.phase() == phase
    if phase == "active":
        assert start_of(station).reservation_id == 7
    else:
        assert station.seen().waiting.reason == "reserved"


def test_a_known_parent_need_not_be_asked_for():
    station = Station(TestRules(local_pre_authorize=True), 2)
    station.begin(authorisations={IdTag("PARTNER"): OF_FAMILY}).connect_guard()
    station.read_meters()
    assert reserve(station, kept(parent=FAMILY)) == (True, "")
    station.plug()
    station.swipe("partner", 1)
    assert (station.phase(), station.all(AskAuthorize)) == ("active", [])


def test_offline_an_unknown_parent_is_nobody_s():
    station = reserved(kept(parent=FAMILY), allow_offline_tx_for_unknown_id=True)
    station.tell(e.CentralSystemChanged(is_connected=False, is_accepted=True))
    station.plug()
    station.swipe("partner", 1)
    assert (station.phase(), station.seen().waiting.reason) == ("plugged", "reserved")


def test_a_line_that_breaks_while_the_parent_is_asked_for_opens_nothing():
    station = reserved(kept(parent=FAMILY), allow_offline_tx_for_unknown_id=True)
    station.plug()
    station.swipe("partner", 1)
    station.answer_authorize(None)
    assert station.phase() == "plugged"


def test_one_reader_for_two_connectors_sends_each_card_to_its_own():
    station = reserved(kept(connector=2))
    station.swipe("owner")
    assert (station.phase(1), station.phase(2)) == ("idle", "authorising")
    station.swipe("stranger")
    assert (station.phase(1), station.phase(2)) == ("authorising", "authorising")


def test_a_card_for_either_connector_does_not_follow_a_car_to_a_reserved_one():
    station = Station(TestRules(), 2).ready()
    station.swipe("stranger")
    station.answer_authorize(ACCEPTED)
    assert reserve(station, kept(connector=2)) == (True, "")
    station.plug(2)
    assert (station.phase(1), station.phase(2)) == ("authorised", "plugged")
    station.plug(1)
    assert station.phase(1) == "active"


def test_connector_zero_keeps_one_free_for_its_owner():
    station = reserved(kept(connector=0))
    assert station.statuses(0)[-1] == "Available"
    station.start("stranger", 1)
    station.plug(2)
    station.swipe("another", 2)
    assert (station.phase(2), station.seen(2).waiting.reason) == ("plugged", "reserved")
    station.swipe("owner", 2)
    station.answer_authorize(ACCEPTED)
    assert (start_of(station).connector, start_of(station).reservation_id) == (2, 7)
    assert held(station) == []


def test_a_claim_of_either_connector_follows_its_car_although_one_is_kept_free():
    station = reserved(kept(connector=0))
    station.swipe("stranger")
    station.answer_authorize(ACCEPTED)
    station.plug(2)
    assert (station.phase(1), station.phase(2)) == ("idle", "active")
    assert start_of(station).reservation_id is None


# --- its end ----------------------------------------------------------------------------------------------


def test_it_expires_at_its_date_and_leaves_the_connector_available():
    station = reserved(kept(expiry_utc_s=UTC_OFFSET_S + 1030.0))
    station.wait(29.5)
    assert station.statuses()[-1] == "Reserved"
    station.wait(1.0)
    assert station.statuses()[-1] == "Available"
    assert station.last(ReportStatus).at.utc_s == UTC_OFFSET_S + 1030.0
    assert station.last(Keep).remove == {"7"}


def test_while_the_time_is_not_known_it_does_not_expire():
    station = Station(TestRules()).ready()
    station.is_clock_trusted = False
    assert reserve(station, kept(expiry_utc_s=UTC_OFFSET_S + 1010.0)) == (True, "")
    station.wait(30.0)
    assert station.statuses()[-1] == "Reserved"
    station.is_clock_trusted = True
    station.wait(0.1)
    assert station.statuses()[-1] == "Available"


@pytest.mark.parametrize(
    ("end", "state"),
    [
        (lambda station: station.latch(FaultCode.RCM_TRIP), "Faulted"),
        (lambda station: station.order_availability(), "Unavailable"),
    ],
)
def test_it_ends_with_the_connector(end, state):
    station = reserved()
    end(station)
    assert (held(station), station.statuses()[-1]) == ([], state)
    station.latch()
    station.order_availability(is_operative=True)
    assert station.statuses()[-1] == "Available"


def test_a_guard_that_restarts_ends_nothing():
    station = reserved()
    station.tell(e.GuardLost())
    station.wait(30.0)
    assert station.statuses()[-1] == "Faulted"
    station.connect_guard()
    assert station.statuses()[-1] == "Reserved"


def test_one_that_ends_while_it_is_written_is_not_granted():
    station = Station(TestRules()).ready()
    station.is_committing = False
    reserve(station, kept())
    station.latch(FaultCode.RCM_TRIP)
    station.tell(e.Kept(Shelf.RESERVATIONS, is_kept=True, request=RequestId("q")))
    assert not station.answers()["q"].is_accepted
    assert held(station) == []


def test_a_car_without_authorisation_does_not_end_it():
    station = reserved()
    station.plug()
    station.wait(61.0)
    assert station.statuses()[-2:] == ["Preparing", "Finishing"]
    station.unplug()
    assert station.statuses()[-2:] == ["Available", "Reserved"]


# --- over a restart ---------------------------------------------------------------------------------------


def test_it_is_there_after_a_restart():
    station = Station(TestRules(), 2).begin(reservations=(kept(),))
    station.connect_guard()
    assert station.statuses() == ["Reserved"]
    assert station.statuses(2) == ["Available"]


def test_where_the_feature_is_off_it_is_not():
    station = Station(TestRules(takes_reservations=False)).begin(reservations=(kept(),))
    station.connect_guard()
    assert station.statuses() == ["Available"]


def test_one_that_expired_meanwhile_is_over():
    station = Station(TestRules()).begin(reservations=(kept(expiry_utc_s=UTC_OFFSET_S),))
    station.connect_guard()
    assert station.statuses() == ["Available"]
    assert station.last(Keep).remove == {"7"}


@pytest.mark.parametrize(("connector", "is_there"), [(1, False), (0, False), (2, True)])
@pytest.mark.parametrize("is_stopped", [False, True])
def test_one_that_is_used_stays_so_but_its_number_may_have_been_given_again(connector, is_there, is_stopped):
    """A cut between the start and the removal leaves it on the disk."""
    station = Station(TestRules(), 2)
    begun = TransactionStart(TransactionKey("old"), 1, TAG, WattHours(0), station.at(station.now_s), "p-1.1", 7)
    opened = OpenTransaction(begun, 1, ACCEPTED, WattHours(0), begun.started, station.boot_id)
    stop = TransactionStop(begun.transaction, WattHours(9), begun.started, StopReason.LOCAL)
    station.begin(
        reservations=(kept(connector=connector),),
        open_transactions=() if is_stopped else (opened,),
        held_stops=(HeldStop(opened, stop, station.boot_id),) if is_stopped else (),
    )
    assert bool(station.state.reserved.held) is is_there


def test_a_removal_that_could_not_be_written_is_tried_again_unless_the_id_is_taken_anew():
    station = reserved()
    station.is_disk_well = False
    station.latch(FaultCode.RCM_TRIP)
    station.latch()
    tries = len(station.all(Keep))
    station.is_disk_well = True
    station.wait(31.0)
    assert len(station.all(Keep)) == tries + 1
    assert station.last(Keep).remove == {"7"}
    station.wait(60.0)
    assert len(station.all(Keep)) == tries + 1
    station.is_disk_well = False
    reserve(station, kept(8), "r")
    station.is_disk_well = True
    assert reserve(station, kept(8), "s") == (True, "")
    station.is_disk_well = False
    station.latch(FaultCode.RCM_TRIP)
    station.latch()
    station.is_disk_well = True
    assert reserve(station, kept(8), "t") == (True, "")
    station.wait(31.0)
    assert station.last(Keep).put == {"8": kept(8)}
