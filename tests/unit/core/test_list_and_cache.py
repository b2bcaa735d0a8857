"""Who may charge, in the whole core: list before cache before central system, and what each learns (rules 4 and 17)."""

import pytest

from evcharge_agent.core import events as e
from evcharge_agent.core.effects import AskAuthorize, RememberAuthorisation, ReportStatus
from evcharge_agent.core.events import RequestId
from evcharge_agent.core.facts import AuthorizationStatus, IdTag, IdTagInfo
from evcharge_agent.core.local_list import LocalList, Update, UpdateKind
from evcharge_agent.core.rules import StandAlone
from tests.support.core_station import ACCEPTED, UTC_OFFSET_S, Station, TestRules

BLOCKED = IdTagInfo(AuthorizationStatus.BLOCKED)
INVALID = IdTagInfo(AuthorizationStatus.INVALID)
CARD = IdTag("Card")
KEY = IdTag("CARD")


def station(listed=None, cached=None, *, is_online=True, connectors=1, **rules):
    """A station that knows one card from its list, from its cache, or from both."""
    built = Station(TestRules(**rules), connectors)
    built.begin(
        authorisations={} if cached is None else {CARD: cached},
        local_list=LocalList() if listed is None else LocalList(3, {KEY: listed}),
        is_online=is_online,
    )
    built.connect_guard()
    built.read_meters()
    return built


def outcome(built):
    """What became of a card at a plugged-in car."""
    built.plug()
    built.swipe(CARD)
    if built.state.pending.inquiries:
        return "asked"
    return "charging" if built.phase() == "active" else built.seen().waiting.reason


@pytest.mark.parametrize(
    ("listed", "cached", "rules", "is_online", "expected"),
    [
        (ACCEPTED, None, {}, True, "asked"),
        (ACCEPTED, None, {"local_pre_authorize": True}, True, "charging"),
        (ACCEPTED, BLOCKED, {"local_pre_authorize": True}, True, "charging"),
        (BLOCKED, ACCEPTED, {"local_pre_authorize": True}, True, "asked"),
        (None, ACCEPTED, {"local_pre_authorize": True}, True, "charging"),
        (ACCEPTED, None, {"local_pre_authorize": True, "uses_local_list": False}, True, "asked"),
        (ACCEPTED, None, {"authorization_cache_enabled": False, "local_pre_authorize": True}, True, "charging"),
        (ACCEPTED, None, {}, False, "charging"),
        (ACCEPTED, BLOCKED, {}, False, "charging"),
        (BLOCKED, ACCEPTED, {}, False, "id_blocked"),
        (BLOCKED, None, {"allow_offline_tx_for_unknown_id": True}, False, "id_blocked"),
        (BLOCKED, None, {"allow_offline_tx_for_unknown_id": True, "uses_local_list": False}, False, "charging"),
        (None, BLOCKED, {"allow_offline_tx_for_unknown_id": True}, False, "id_blocked"),
        (None, None, {"allow_offline_tx_for_unknown_id": True}, False, "charging"),
        (None, None, {}, False, "id_unknown_offline"),
        (ACCEPTED, None, {"local_authorize_offline": False}, False, "id_unknown_offline"),
        (None, ACCEPTED, {"local_authorize_offline": False}, False, "id_unknown_offline"),
    ],
)
def test_the_list_comes_before_the_cache_and_both_before_the_central_system(listed, cached, rules, is_online, expected):
    assert outcome(station(listed, cached, is_online=is_online, **rules)) == expected


@pytest.mark.parametrize("is_listed", [False, True])
def test_an_expired_entry_is_refused_but_only_by_a_clock_that_is_right(is_listed):
    past = IdTagInfo(AuthorizationStatus.ACCEPTED, expiry_utc_s=UTC_OFFSET_S + 900.0)
    entry = {"listed": past} if is_listed else {"cached": past}
    assert outcome(station(**entry, is_online=False)) == "id_expired"
    unsure = Station()
    unsure.is_clock_trusted = False
    unsure.begin(
        authorisations={} if is_listed else {CARD: past},
        local_list=LocalList(3, {KEY: past}) if is_listed else None,
        is_online=False,
    )
    unsure.connect_guard()
    unsure.read_meters()
    assert outcome(unsure) == "charging"


def test_a_cache_that_is_switched_on_again_does_not_revive_what_has_expired():
    soon = IdTagInfo(AuthorizationStatus.ACCEPTED, expiry_utc_s=UTC_OFFSET_S + 1010.0)
    built = station(cached=soon, is_online=False, authorization_cache_enabled=False)
    assert outcome(built) == "id_unknown_offline"
    built.unplug()
    built.wait(20.0)
    built.change(authorization_cache_enabled=True)
    assert outcome(built) == "id_expired"
    built.unplug()
    built.change(allow_offline_tx_for_unknown_id=True)
    assert outcome(built) == "id_expired", "known and not accepted is not unknown"


def test_listed_ids_never_reach_the_cache():
    built = station(ACCEPTED)
    built.start(CARD)
    key = built.state.connectors[1].session.transaction.start.transaction
    built.tell(e.TransactionRegistered(key, 7, ACCEPTED))
    built.tell(e.TagInfoLearned(CARD, ACCEPTED))
    assert built.all(RememberAuthorisation) == []
    assert not built.state.authorisations
    built.change(uses_local_list=False)
    built.tell(e.TagInfoLearned(CARD, ACCEPTED))
    assert len(built.all(RememberAuthorisation)) == 1


# --- LocalListConflict ------------------------------------------------------------------------------------


def errors(built):
    return [item.error_code for item in built.all(ReportStatus) if item.connector == 1]


@pytest.mark.parametrize(("listed", "told"), [(ACCEPTED, BLOCKED), (BLOCKED, ACCEPTED)])
def test_an_answer_to_authorize_that_contradicts_the_list_is_reported_and_an_agreeing_one_settles_it(listed, told):
    built = station(listed)
    built.plug()
    built.swipe(CARD)
    built.answer_authorize(told)
    assert errors(built)[-1] == "LocalListConflict"
    assert "Faulted" not in built.statuses()
    built.unplug()
    built.wait(10.0)
    assert errors(built)[-1] == "LocalListConflict", "the list is still wrong"
    built.plug()
    built.swipe(CARD)
    built.answer_authorize(listed)
    assert errors(built)[-1] == "NoError"


def test_an_answer_to_the_start_that_contradicts_the_list_is_reported_until_a_new_list_comes():
    built = station(ACCEPTED, local_pre_authorize=True, stop_transaction_on_invalid_id=False)
    built.plug()
    built.swipe(CARD)
    key = built.state.connectors[1].session.transaction.start.transaction
    built.tell(e.TransactionRegistered(key, 7, INVALID))
    assert (built.statuses()[-1], errors(built)[-1]) == ("SuspendedEVSE", "LocalListConflict")
    built.tell(e.LocalListSent(RequestId("q"), Update(UpdateKind.FULL, 4, ((CARD, INVALID),))))
    assert (built.statuses()[-1], errors(built)[-1]) == ("SuspendedEVSE", "NoError")


@pytest.mark.parametrize("status", [AuthorizationStatus.CONCURRENT_TX, AuthorizationStatus.ACCEPTED])
def test_a_verdict_of_the_moment_is_no_conflict(status):
    built = station(ACCEPTED)
    built.plug()
    built.swipe(CARD)
    built.answer_authorize(IdTagInfo(status))
    assert "LocalListConflict" not in errors(built)


def test_a_list_that_is_switched_off_contradicts_nobody():
    built = station(ACCEPTED)
    built.plug()
    built.swipe(CARD)
    built.answer_authorize(BLOCKED)
    built.change(uses_local_list=False)
    assert errors(built)[-1] == "NoError"


# --- one transaction for each id --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rules", "is_online", "expected"),
    [
        ({"local_pre_authorize": True}, True, "id_concurrent"),
        ({}, False, "id_concurrent"),
        ({"is_central_system_enabled": False}, False, None),
    ],
)
def test_an_id_that_charges_elsewhere_is_refused_where_nobody_is_asked(rules, is_online, expected):
    built = station(ACCEPTED, connectors=2, is_online=is_online, **rules)
    built.start("card", 1)
    built.plug(2)
    built.swipe("CARD", 2)
    waiting = built.seen(2).waiting
    assert (waiting.reason if built.phase(2) != "active" else None) == expected


def test_of_an_id_that_charges_elsewhere_the_central_system_has_the_last_word():
    built = station(ACCEPTED, connectors=2)
    built.start("card", 1)
    built.plug(2)
    built.swipe("CARD", 2)
    built.answer_authorize(ACCEPTED)
    assert (built.phase(1), built.phase(2)) == ("active", "active")


# --- MaxEnergyOnInvalidId ---------------------------------------------------------------------------------


def refused_charge(most_wh, drawn_wh=0):
    built = station(is_online=True, stop_transaction_on_invalid_id=False, max_energy_on_invalid_id_wh=most_wh)
    key = built.start(CARD)
    built.close()
    built.registers[1] += drawn_wh
    built.wait(6.0)
    built.tell(e.TransactionRegistered(key, 7, INVALID))
    return built


def test_without_a_maximum_the_energy_goes_at_once_and_the_transaction_stays():
    built = refused_charge(0)
    assert not built.set_point().permission
    assert built.statuses()[-1] == "SuspendedEVSE"
    assert (built.phase(), built.stops()) == ("active", [])


def test_up_to_the_maximum_of_the_whole_transaction_energy_flows():
    built = refused_charge(1000, drawn_wh=400)
    assert built.set_point().permission
    assert built.statuses()[-1] == "Charging"
    built.registers[1] += 500
    built.wait(2.0)
    assert built.set_point().permission
    built.registers[1] += 100
    built.wait(2.0)
    assert not built.set_point().permission
    assert built.statuses()[-1] == "SuspendedEVSE"
    assert built.seen().waiting.reason == "deauthorised"
    assert built.stops() == []
    built.change(max_energy_on_invalid_id_wh=5000)
    assert not built.set_point().permission, "over is over"


def test_more_than_the_maximum_before_the_answer_ends_it_with_the_answer():
    assert not refused_charge(1000, drawn_wh=1000).set_point().permission


def test_what_flows_until_the_car_has_let_go_is_left_of_the_maximum():
    built = station(stop_transaction_on_invalid_id=False, max_energy_on_invalid_id_wh=1000)
    key = built.start(CARD)
    built.close()
    built.currents[1] = 32.0
    built.registers[1] += 980
    built.read_meters()
    built.tell(e.TransactionRegistered(key, 7, INVALID))
    assert not built.set_point().permission


def test_a_meter_that_is_silent_gives_nothing_away():
    built = refused_charge(1000)
    assert built.set_point().permission
    built.meters_speak = False
    built.wait(10.0)
    assert not built.set_point().permission


def test_with_stop_transaction_on_invalid_id_the_maximum_says_nothing():
    built = station(stop_transaction_on_invalid_id=True, max_energy_on_invalid_id_wh=1000)
    key = built.start(CARD)
    built.tell(e.TransactionRegistered(key, 7, INVALID))
    assert [stop.stop.reason.value for stop in built.stops()] == ["DeAuthorized"]


# --- without a central system (CHG-2) ---------------------------------------------------------------------


def alone(mode, listed=None, **rules):
    return station(listed, is_online=False, is_central_system_enabled=False, stand_alone=mode, **rules)


def test_alone_every_card_charges():
    assert outcome(alone(StandAlone.ACCEPT_ALL)) == "charging"


@pytest.mark.parametrize(
    ("listed", "cards", "expected"),
    [(None, (), "id_invalid"), (ACCEPTED, (), "charging"), (BLOCKED, (), "id_blocked"), (None, ("CARD",), "charging")],
)
def test_alone_with_a_list_only_known_cards_charge(listed, cards, expected):
    built = alone(StandAlone.LOCAL_LIST, listed, stand_alone_ids=frozenset(map(IdTag, cards)))
    assert outcome(built) == expected
    assert built.all(AskAuthorize) == []


def test_alone_with_autostart_a_car_charges_when_it_is_plugged_in_and_again_only_after_an_unplug():
    built = alone(StandAlone.AUTOSTART)
    built.plug()
    assert (built.phase(), built.seen().session.id_tag) == ("active", "AUTOSTART")
    built.tell(e.StopRequested(RequestId("q"), 1))
    built.open()
    built.wait(30.0)
    assert built.phase() == "finished"
    built.unplug()
    built.plug()
    assert built.phase() == "active"


@pytest.mark.parametrize(
    ("rules", "mode"), [({"is_central_system_enabled": True}, StandAlone.AUTOSTART), ({}, StandAlone.ACCEPT_ALL)]
)
def test_nothing_starts_by_itself_where_that_is_not_wanted(rules, mode):
    built = station(is_online=False, stand_alone=mode, **({"is_central_system_enabled": False} | rules))
    built.plug()
    built.wait(5.0)
    assert built.phase() == "plugged"


# --- plugged and never authorised -------------------------------------------------------------------------


def test_plugged_and_never_authorised_ends_in_finishing_and_a_card_still_starts():
    built = station(local_pre_authorize=True, listed=ACCEPTED)
    built.plug()
    built.wait(59.0)
    assert built.statuses()[-1] == "Preparing"
    built.wait(2.0)
    assert built.statuses()[-1] == "Finishing"
    assert built.seen().waiting.reason == "not_authorised_in_time"
    built.swipe(CARD)
    assert built.phase() == "active"
