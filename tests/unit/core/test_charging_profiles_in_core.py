"""Rules 14 to 16 in the core: a profile acts in the step that brings it, and as long as it should."""

from dataclasses import replace

import pytest

from evcharge_agent.core import events as e
from evcharge_agent.core.charging_profiles import Criteria, Kind, Recurrency
from evcharge_agent.core.effects import Answer, CommitStart, Keep, Note, ReportStatus
from evcharge_agent.core.events import RequestId
from evcharge_agent.core.facts import IdTag, OpenTransaction, Shelf
from evcharge_agent.core.step import next_deadline_s
from evcharge_hal.contract.units import WattHours
from tests.support.charging import DEFAULT, MAX, TX, WATT, profile, sent
from tests.support.charging_laws import excess_of_offers, orphans
from tests.support.core_station import ACCEPTED, BOOT, UTC_OFFSET_S, Station, TestRules

CLEAR_ALL = e.ChargingProfilesCleared(RequestId("clear"), Criteria())


def charging(connectors=1, **rules):
    station = Station(TestRules(**rules), connectors).ready()
    for number in station.outlets:
        station.start(f"card-{number}", number)
        station.close(number)
    station.wait(6.0)
    return station


def outcome(station, event):
    """The one answer to a request."""
    effects = station.tell(event)
    (answer,) = [item for item in effects if isinstance(item, Answer)]
    return "Accepted" if answer.is_accepted else answer.reason


def shelf(station):
    """What a restart would find."""
    kept = {}
    for keep in station.all(Keep):
        if keep.shelf is Shelf.CHARGING_PROFILES:
            kept = {name: value for name, value in kept.items() if name not in keep.remove} | dict(keep.put)
    return kept


def restarted(station, *, boot_id=BOOT, is_clock_trusted=True, after_s=0.0, **rules):
    """A new process on the same store; open transactions go on."""
    again = Station(replace(station.rules, **rules), len(station.outlets), at_s=station.now_s + after_s)
    again.boot_id, again.is_clock_trusted = boot_id, is_clock_trusted
    for number, outlet in station.outlets.items():
        again.outlets[number] = outlet
    again.registers = station.registers
    opened = tuple(
        OpenTransaction(one.start, 7, ACCEPTED, WattHours(1000), one.start.started, BOOT)
        for connector in station.state.connectors.values()
        for one in (connector.session.transaction,)
        if one is not None
    )
    kept = tuple(shelf(station).values())
    again.tell(e.Restored(again.rules, opened, {}, again.boot_id, "run-2", charging_profiles=kept))
    again.connect_guard()
    again.read_meters()
    return again


# --- taken or not -----------------------------------------------------------------------------------------


def test_a_tx_profile_needs_a_running_transaction():
    station = Station().ready()
    assert outcome(station, sent(profile(purpose=TX))) == "no_transaction"
    assert station.state.charging.book == {}
    assert shelf(station) == {}


@pytest.mark.parametrize(
    ("transaction_id", "verdict"), [(None, "Accepted"), (7, "Accepted"), (8, "no_transaction"), (0, "no_transaction")]
)
def test_a_tx_profile_names_its_transaction_or_none(transaction_id, verdict):
    station = charging()
    key = station.state.connectors[1].session.transaction.start.transaction
    station.tell(e.TransactionRegistered(key, 7, ACCEPTED))
    assert outcome(station, sent(profile(purpose=TX, transaction_id=transaction_id))) == verdict


def test_a_transaction_without_number_matches_no_number():
    assert outcome(charging(), sent(profile(purpose=TX, transaction_id=7))) == "no_transaction"


@pytest.mark.parametrize(
    ("event", "verdict"),
    [
        (sent(profile(), 3), "unknown_connector"),
        (sent(profile(), -1), "unknown_connector"),
        (sent(profile(purpose=MAX), 1), "profile_refused"),
        (sent(profile(purpose=TX), 0), "profile_refused"),
        (sent(profile(level=101)), "profile_refused"),
        (sent(profile(), 0), "Accepted"),
    ],
)
def test_the_verdict_names_why(event, verdict):
    assert outcome(charging(), event) == verdict


def test_before_the_guard_has_spoken_no_connector_is_known_nor_unknown():
    assert outcome(Station().begin(), sent(profile())) == "guard_lost"


def test_over_the_count_is_refused_and_replacing_is_not():
    station = charging(max_charging_profiles_installed=2)
    for number in (1, 2):
        assert outcome(station, sent(profile(id=number, level=number))) == "Accepted"
    assert outcome(station, sent(profile(id=3, level=3))) == "profiles_full"
    assert outcome(station, sent(profile(id=3, level=2))) == "Accepted"
    assert sorted(shelf(station)) == ["1", "3"]


# --- acting at once ---------------------------------------------------------------------------------------


def test_a_limit_cuts_in_the_step_that_brings_it_and_its_end_raises_after_five_seconds():
    station = charging()
    assert station.set_point().offer_a == 32.0
    station.tell(sent(profile((0, 16.0))))
    assert station.set_point().offer_a == 16.0
    station.wait(1.0)
    station.tell(CLEAR_ALL)
    assert station.set_point().offer_a == 32.0, "the last raise was long ago"
    station.tell(sent(profile((0, 10.0))))
    station.tell(CLEAR_ALL)
    assert station.set_point().offer_a == 10.0, "not twice within 5 s"
    station.wait(5.0)
    assert station.set_point().offer_a == 32.0


def test_a_write_is_not_waited_for():
    station = charging()
    station.is_committing = False
    station.tell(sent(profile((0, 16.0))))
    assert station.set_point().offer_a == 16.0
    assert not [one for one in station.all(Answer) if one.request == "q"]


def test_what_cannot_be_written_is_taken_back_and_refused():
    station = charging()
    station.tell(sent(profile((0, 16.0), id=1)))
    station.is_disk_well = False
    assert outcome(station, sent(profile((0, 10.0), id=1), request="r")) == "storage_failed"
    assert station.state.charging.book[1].profile.schedule.periods[0].limit == 16.0
    assert outcome(station, CLEAR_ALL) == "storage_failed"
    assert set(station.state.charging.book) == {1}
    assert station.set_point().offer_a == 16.0


def test_taking_back_leaves_what_came_later():
    station = charging()
    station.is_committing = False
    station.tell(sent(profile((0, 16.0), id=1), request="first"))
    station.tell(sent(profile((0, 10.0), id=1), request="second"))
    station.tell(e.Kept(Shelf.CHARGING_PROFILES, is_kept=False, request=RequestId("first")))
    assert station.state.charging.book[1].profile.schedule.periods[0].limit == 10.0
    station.tell(e.Kept(Shelf.CHARGING_PROFILES, is_kept=True, request=RequestId("second")))
    assert station.set_point().offer_a == 10.0
    assert [station.answers()[name].is_accepted for name in ("first", "second")] == [False, True]


def test_taking_back_twice_ends_where_it_began():
    station = charging()
    station.tell(sent(profile((0, 20.0), id=1)))
    station.is_committing = False
    station.tell(sent(profile((0, 16.0), id=1), request="first"))
    station.tell(sent(profile((0, 10.0), id=1), request="second"))
    for request in ("first", "second"):
        station.tell(e.Kept(Shelf.CHARGING_PROFILES, is_kept=False, request=RequestId(request)))
    assert station.state.charging.book[1].profile.schedule.periods[0].limit == 20.0
    assert station.state.charging.awaited == {}


@pytest.mark.parametrize(
    ("purpose", "connector", "reason"),
    [
        (MAX, 0, "charge_point_max_profile"),
        (DEFAULT, 0, "tx_default_profile"),
        (DEFAULT, 1, "tx_default_profile"),
        (TX, 1, "tx_profile"),
    ],
)
def test_the_chain_names_the_purpose(purpose, connector, reason):
    station = charging()
    station.tell(sent(profile((0, 9.0), purpose=purpose), connector))
    (acting,) = [one for one in station.seen().limits if one.is_acting]
    assert (acting.source, acting.reason, acting.limit_a.minimum) == ("central_system", reason, 9.0)
    assert acting.scope == ("station" if purpose is MAX else "connector")


@pytest.mark.parametrize("limit_a", [0.0, 0.1, 5.9])
@pytest.mark.parametrize(("purpose", "connector"), [(MAX, 0), (DEFAULT, 0), (TX, 1)])
def test_less_than_six_ampere_pauses_for_the_central_system(limit_a, purpose, connector):
    station = charging()
    station.tell(sent(profile((0, limit_a), purpose=purpose), connector))
    assert station.set_point().offer_a == 0.0
    assert station.set_point().permission, "the transaction goes on"
    assert station.seen().waiting.reason == "paused_by_profile"
    assert station.statuses()[-1] == "SuspendedEVSE"
    station.tell(CLEAR_ALL)
    station.wait(6.0)
    assert station.statuses()[-1] == "Charging"


def test_a_pause_shorter_than_the_minimum_status_duration_is_not_told():
    station = charging(minimum_status_duration_s=10)
    station.wait(12.0)
    station.tell(sent(profile((0, 0.0), (5, 16.0), kind=Kind.ABSOLUTE)))
    station.wait(20.0)
    assert station.statuses()[-1] == "Charging"
    assert "SuspendedEVSE" not in station.statuses()


def test_limits_a_person_set_still_count():
    station = charging(user_limit_a=8.0)
    station.tell(sent(profile((0, 16.0))))
    assert station.set_point().offer_a == 8.0


def test_a_power_limit_is_spread_over_its_phases():
    station = charging()
    station.tell(sent(profile((0, 11_040.0), unit=WATT)))
    assert station.set_point().offer_a == 16.0
    station.tell(sent(profile((0, 3680.0, 1), unit=WATT)))
    station.wait(6.0)
    assert station.set_point().offer_a == 16.0


# --- by the clock -----------------------------------------------------------------------------------------


def test_the_next_change_is_a_deadline_and_happens_on_time():
    station = charging()
    began_s = station.state.connectors[1].session.transaction.began_s
    station.tell(sent(profile((0, 16.0), (100, 10.0), (200, 0.0), (300, 20.0))))
    for after_s, offer_a in [(100, 10.0), (200, 0.0), (300, 20.0)]:
        station.wait(began_s + after_s - 0.05 - station.now_s)
        assert station.set_point().offer_a != offer_a
        assert next_deadline_s(station.state) <= began_s + after_s
        station.wait(0.06)
        assert station.set_point().offer_a == offer_a
    limit = next(one for one in station.seen().limits if one.source == "central_system")
    assert limit.valid_until_s is None, "the last period goes on"


def test_a_limit_says_until_when_it_holds():
    station = charging()
    station.tell(sent(profile((0, 16.0), duration_s=60, purpose=MAX), 0))
    limit = next(one for one in station.seen().limits if one.source == "central_system")
    assert limit.valid_until_s == pytest.approx(station.now_s + 60.0)
    assert station.state.charging.spans.next_change_s == pytest.approx(station.now_s + 60.0)
    station.wait(60.0)
    assert station.set_point().offer_a == 32.0


def test_a_clock_that_is_corrected_moves_absolute_schedules_and_not_relative_ones():
    station = charging()
    start_utc_s = UTC_OFFSET_S + station.now_s + 3600.0
    station.tell(sent(profile((0, 20.0), (1800, 18.0), id=1)))
    station.tell(sent(profile((0, 10.0), id=2, purpose=MAX, kind=Kind.ABSOLUTE, start_utc_s=start_utc_s), 0))
    assert station.set_point().offer_a == 20.0
    station.tell_at(station.now_s, 3600.0)
    assert station.set_point().offer_a == 10.0


# --- a clock nobody has set -------------------------------------------------------------------------------

ABSOLUTE = {"kind": Kind.ABSOLUTE, "start_utc_s": UTC_OFFSET_S}
DAILY = {"kind": Kind.RECURRING, "recurrency": Recurrency.DAILY, "start_utc_s": UTC_OFFSET_S}


@pytest.mark.parametrize("kind", [ABSOLUTE, DAILY])
@pytest.mark.parametrize(
    ("steps", "offer_a"),
    [
        (((0, 32.0), (3600, 8.0), (7200, 16.0)), 8.0),
        (((0, 0.0), (3600, 13.0), (7200, 3.0)), 13.0),
        (((0, 0.0), (3600, 5.9)), 0.0),
    ],
)
def test_without_the_time_the_least_a_schedule_charges_with(kind, steps, offer_a):
    station = charging()
    station.is_clock_trusted = False
    station.tell(sent(profile(*steps, **kind)))
    assert station.set_point().offer_a == offer_a
    limit = next(one for one in station.seen().limits if one.source == "central_system")
    assert (limit.reason, limit.valid_until_s) == ("profile_time_unknown", None)
    station.is_clock_trusted = True
    station.wait(6.0)
    assert next(one for one in station.seen().limits if one.source == "central_system").reason == "tx_default_profile"


def test_without_the_time_a_profile_that_cannot_be_placed_does_not_hide_a_lower_one():
    station = charging()
    station.is_clock_trusted = False
    station.tell(sent(profile((0, 20.0), id=1, level=5, **ABSOLUTE)))
    station.tell(sent(profile((0, 12.0), id=2, level=1)))
    assert station.set_point().offer_a == 12.0
    station.tell(sent(profile((0, 25.0), id=3, level=9)))
    station.wait(6.0)
    assert station.set_point().offer_a == 25.0, "what surely acts, at the top, decides"


def test_without_the_time_relative_ones_go_on():
    station = charging()
    station.is_clock_trusted = False
    station.tell(sent(profile((0, 16.0), (60, 10.0), purpose=MAX), 0))
    station.wait(61.0)
    assert station.set_point().offer_a == 10.0
    assert station.state.charging.spans.next_change_s is None


# --- life -------------------------------------------------------------------------------------------------


def test_a_tx_profile_ends_with_its_transaction():
    station = charging()
    station.tell(sent(profile((0, 10.0), id=5, purpose=TX)))
    station.tell(sent(profile((0, 20.0), id=6)))
    assert sorted(shelf(station)) == ["5", "6"]
    station.swipe("card-1")
    assert set(station.state.charging.book) == {6}
    assert sorted(shelf(station)) == ["6"]
    station.open()
    station.wait(2.0)
    station.unplug()
    station.start("card-1")
    assert station.set_point().offer_a == 20.0


def test_a_tx_default_profile_acts_on_every_transaction_until_it_is_cleared():
    station = charging(connectors=2)
    station.tell(sent(profile((0, 10.0)), 0))
    assert [station.set_point(number).offer_a for number in (1, 2)] == [10.0, 10.0]
    station.tell(sent(profile((0, 12.0), id=2), 2))
    station.wait(6.0)
    assert [station.set_point(number).offer_a for number in (1, 2)] == [10.0, 12.0]


def test_the_same_profile_anew_counts_from_its_new_acceptance():
    station = charging()
    station.tell(sent(profile((0, 16.0), (60, 10.0), purpose=MAX), 0))
    station.wait(50.0)
    station.tell(sent(profile((0, 16.0), (60, 10.0), purpose=MAX), 0, request="again"))
    station.wait(50.0)
    assert station.set_point().offer_a == 16.0


def test_profiles_survive_a_restart_and_the_tx_profile_with_its_transaction():
    station = charging()
    station.tell(sent(profile((0, 10.0), (60, 14.0), id=5, purpose=TX)))
    station.tell(sent(profile((0, 20.0), id=6, purpose=MAX), 0))
    again = restarted(station, after_s=2.0)
    assert set(again.state.charging.book) == {5, 6}
    assert again.set_point().offer_a == 10.0
    again.wait(60.0)
    assert again.set_point().offer_a == 14.0, "relative to the start of the transaction, not of the process"


def test_a_tx_profile_whose_transaction_did_not_survive_is_dropped_at_the_start():
    station = charging()
    station.tell(sent(profile((0, 10.0), id=5, purpose=TX)))
    again = Station(station.rules)
    kept = tuple(shelf(station).values())
    again.tell(e.Restored(again.rules, (), {}, BOOT, "run-2", charging_profiles=kept))
    assert again.state.charging.book == {}
    assert again.last(Keep).remove == {"5"}


@pytest.mark.parametrize(
    ("boot_id", "is_trusted", "offer_a", "reason"),
    [
        (BOOT, True, 13.0, "charge_point_max_profile"),
        (BOOT, False, 13.0, "charge_point_max_profile"),
        ("boot-2", True, 13.0, "charge_point_max_profile"),
        ("boot-2", False, 7.0, "profile_time_unknown"),
    ],
)
def test_what_counts_from_acceptance_goes_on_where_time_can_tell(boot_id, is_trusted, offer_a, reason):
    station = charging()
    station.tell(sent(profile((0, 7.0), (60, 13.0), purpose=MAX), 0))
    again = restarted(station, boot_id=boot_id, is_clock_trusted=is_trusted, after_s=90.0)
    again.wait(6.0)
    assert again.set_point().offer_a == offer_a
    assert next(one for one in again.seen().limits if one.source == "central_system").reason == reason


@pytest.mark.parametrize("change", [{"uses_charging_profiles": False}, {"is_central_system_enabled": False}])
def test_profiles_nobody_can_change_any_more_count_for_nothing(change):
    station = charging()
    station.tell(sent(profile((0, 0.0), purpose=MAX), 0))
    again = restarted(station, **change)
    again.wait(6.0)
    assert again.set_point().offer_a == 32.0
    assert set(again.state.charging.book) == {1}, "they are there when the feature comes back"


def test_clearing_answers_whether_there_was_something():
    station = charging()
    assert outcome(station, CLEAR_ALL) == "no_profile"
    station.tell(sent(profile()))
    assert outcome(station, CLEAR_ALL) == "Accepted"
    assert shelf(station) == {}


# --- remote start -----------------------------------------------------------------------------------------


def remote_start(one, connector=1):
    return e.RemoteStartRequested(RequestId("start"), IdTag("app"), connector, one)


def test_a_profile_of_a_remote_start_acts_from_the_first_ampere():
    station = Station().ready()
    station.tell(sent(profile((0, 20.0), id=1)))
    assert outcome(station, remote_start(profile((0, 8.0), (60, 9.0), id=2, purpose=TX))) == "Accepted"
    assert set(station.state.charging.book) == {1}, "not before the transaction"
    station.plug()
    key = station.last(CommitStart).start.transaction
    assert station.state.charging.book[2].transaction == key
    assert max(point.offer_a for point in [station.set_point()]) == 8.0
    station.wait(61.0)
    assert station.set_point().offer_a == 9.0
    assert sorted(shelf(station)) == ["1", "2"]
    order = [type(effect) for _, effect in station.effects if isinstance(effect, CommitStart | Keep)]
    assert order == [Keep, Keep, CommitStart], "a cut never leaves the transaction without its limit"


@pytest.mark.parametrize(
    "one",
    [
        profile(purpose=DEFAULT),
        profile(purpose=MAX),
        profile(purpose=TX, transaction_id=1),
        profile((0, -1.0), purpose=TX),
    ],
)
def test_a_remote_start_with_any_other_profile_is_refused(one):
    station = Station().ready()
    assert outcome(station, remote_start(one)) == "profile_refused"
    station.plug()
    assert station.phase() == "plugged"


def test_a_remote_start_that_comes_to_nothing_leaves_no_profile():
    station = Station().ready()
    station.tell(remote_start(profile(purpose=TX)))
    station.wait(61.0)
    station.start()
    assert station.state.charging.book == {}
    assert station.set_point().offer_a == 32.0


def test_a_start_that_cannot_be_written_leaves_no_profile():
    station = Station().ready()
    station.is_committing = False
    station.tell(remote_start(profile(purpose=TX)))
    station.plug()
    key = station.last(CommitStart).start.transaction
    assert set(station.state.charging.book) == {1}
    station.tell(e.CommitFailed(key, is_start=True, reason="full"))
    assert station.state.charging.book == {}


def test_a_remote_start_without_room_charges_without_the_profile_and_says_so():
    station = Station(TestRules(max_charging_profiles_installed=0)).ready()
    station.tell(remote_start(profile(purpose=TX)))
    station.plug()
    assert station.set_point().offer_a == 32.0
    assert "charging_profile_dropped" in [note.event for note in station.all(Note)]


# --- two connectors ---------------------------------------------------------------------------------------


def test_a_charge_point_max_profile_is_shared():
    station = charging(connectors=2)
    station.tell(sent(profile((0, 20.0), purpose=MAX), 0))
    assert [station.set_point(number).offer_a for number in (1, 2)] == [10.0, 10.0]
    assert {one.reason for one in station.seen(2).limits if one.is_acting} == {"charge_point_max_profile_shared"}
    station.swipe("card-1")
    station.open(1)
    station.wait(6.0)
    assert station.set_point(2).offer_a == 20.0


def test_where_there_is_not_enough_for_two_the_first_one_charges():
    station = charging(connectors=2)
    station.tell(sent(profile((0, 10.0), purpose=MAX), 0))
    assert [station.set_point(number).offer_a for number in (1, 2)] == [10.0, 0.0]
    assert station.seen(2).waiting.reason == "paused_by_profile"


def test_who_is_paused_by_its_own_profile_leaves_its_share_to_the_other():
    station = charging(connectors=2)
    station.tell(sent(profile((0, 10.0), purpose=MAX), 0))
    station.tell(sent(profile((0, 0.0), id=2, purpose=TX), 1))
    station.wait(6.0)
    assert [station.set_point(number).offer_a for number in (1, 2)] == [0.0, 10.0]
    station.tell(e.ChargingProfilesCleared(RequestId("c"), Criteria(id=2)))
    assert station.set_point(2).offer_a == 0.0, "cut in the same step"
    station.wait(6.0)
    assert station.set_point(1).offer_a == 10.0


def test_a_profile_of_another_connectors_transaction_does_not_act_here():
    station = charging(connectors=2)
    station.tell(sent(profile((0, 7.0), purpose=TX), 2))
    station.wait(6.0)
    assert station.set_point(2).offer_a == 7.0
    assert station.set_point(1).offer_a > 7.0


# --- what others see --------------------------------------------------------------------------------------


def test_the_view_carries_what_a_schedule_follows_from():
    station = charging()
    station.tell(sent(profile()))
    basis = station.view().charging
    assert [one.profile.id for one in basis.profiles] == [1]
    transaction = station.state.connectors[1].session.transaction
    assert basis.by_number[1].running.transaction == transaction.start.transaction
    assert Station().view().charging.by_number == {}


def test_the_laws_of_random_lives_see_an_offer_that_is_too_high_and_a_profile_that_outlives_its_transaction():
    station = charging(connectors=2)
    station.tell(sent(profile((0, 10.0), purpose=TX), 1))
    station.tell(sent(profile((0, 20.0), id=2, purpose=MAX), 0))
    assert excess_of_offers(station.state, station.now) is None
    assert orphans(station.state) == []
    connectors = station.state.connectors
    for number, offer_a, found in [(1, 10.1, "connector 1"), (2, 13.0, "station")]:
        raised = replace(connectors[number], output=replace(connectors[number].output, offer_a=offer_a))
        wrong = replace(station.state, connectors={**connectors, number: raised})
        assert excess_of_offers(wrong, station.now).startswith(found)
    idle = replace(connectors[1], session=replace(connectors[1].session, transaction=None))
    assert orphans(replace(station.state, connectors={**connectors, 1: idle})) == [1]


def test_setting_a_profile_reports_no_status_by_itself():
    station = charging()
    known = len(station.all(ReportStatus))
    station.tell(sent(profile((0, 16.0))))
    station.wait(3.0)
    assert len(station.all(ReportStatus)) == known
