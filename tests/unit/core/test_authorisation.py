"""Who may charge: the tables of cache, central system and offline rules."""

from dataclasses import replace

import pytest

from evcharge_agent.core.authorisation import (
    Accepted,
    Ask,
    Refused,
    believed_utc_s,
    decide_claim,
    decide_stand_alone,
    is_cacheable,
    is_conflict,
    judge,
    look_up,
    may_stop,
    merge,
    might_stop,
)
from evcharge_agent.core.facts import (
    AuthorizationStatus,
    IdTag,
    IdTagInfo,
    Instant,
    TransactionKey,
    TransactionStart,
)
from evcharge_agent.core.reasons import Reason
from evcharge_agent.core.rules import StandAlone
from evcharge_agent.core.state import CentralSystem, Transaction
from evcharge_hal.contract.units import WattHours
from tests.support.core_station import TestRules

ACCEPTED = IdTagInfo(AuthorizationStatus.ACCEPTED)
BLOCKED = IdTagInfo(AuthorizationStatus.BLOCKED)
EXPIRED = IdTagInfo(AuthorizationStatus.ACCEPTED, expiry_utc_s=100.0)
EMPTY_PARENT = IdTagInfo(AuthorizationStatus.ACCEPTED, IdTag(""))
NOW_UTC_S = 1000.0
ONLINE, OFFLINE = CentralSystem(True, True), CentralSystem(False, True)
NOT_ACCEPTED = CentralSystem(True, False)
RULES = TestRules()
ASK = Ask.CENTRAL_SYSTEM
UNKNOWN = Refused(Reason.ID_UNKNOWN_OFFLINE)


@pytest.mark.parametrize(
    ("known", "changes", "central", "expected"),
    [
        (None, {}, ONLINE, ASK),
        (ACCEPTED, {}, ONLINE, ASK),
        (BLOCKED, {}, ONLINE, ASK),
        (ACCEPTED, {"local_pre_authorize": True}, ONLINE, Accepted(ACCEPTED)),
        (BLOCKED, {"local_pre_authorize": True}, ONLINE, ASK),
        (EXPIRED, {"local_pre_authorize": True}, ONLINE, ASK),
        (None, {"local_pre_authorize": True}, ONLINE, ASK),
        (ACCEPTED, {}, OFFLINE, Accepted(ACCEPTED)),
        (ACCEPTED, {}, NOT_ACCEPTED, Accepted(ACCEPTED)),
        (ACCEPTED, {"local_authorize_offline": False}, OFFLINE, UNKNOWN),
        (BLOCKED, {}, OFFLINE, Refused(Reason.ID_BLOCKED)),
        (BLOCKED, {"local_authorize_offline": False}, OFFLINE, Refused(Reason.ID_BLOCKED)),
        (BLOCKED, {"allow_offline_tx_for_unknown_id": True}, OFFLINE, Refused(Reason.ID_BLOCKED)),
        (EXPIRED, {"allow_offline_tx_for_unknown_id": True}, OFFLINE, Refused(Reason.ID_EXPIRED)),
        (None, {}, OFFLINE, UNKNOWN),
        (None, {"allow_offline_tx_for_unknown_id": True}, OFFLINE, Accepted(ACCEPTED)),
    ],
)
def test_a_card_is_decided(known, changes, central, expected):
    assert decide_claim(known, replace(RULES, **changes), central, NOW_UTC_S) == expected


@pytest.mark.parametrize(
    ("info", "reason"),
    [
        (IdTagInfo(AuthorizationStatus.BLOCKED), Reason.ID_BLOCKED),
        (IdTagInfo(AuthorizationStatus.EXPIRED), Reason.ID_EXPIRED),
        (IdTagInfo(AuthorizationStatus.INVALID), Reason.ID_INVALID),
        (IdTagInfo(AuthorizationStatus.CONCURRENT_TX), Reason.ID_CONCURRENT),
        (EXPIRED, Reason.ID_EXPIRED),
    ],
)
def test_a_refusal_says_why(info, reason):
    assert judge(info, NOW_UTC_S) == Refused(reason)


@pytest.mark.parametrize(
    ("id_tag", "listed", "mode", "expected"),
    [
        ("any", None, StandAlone.ACCEPT_ALL, Accepted(ACCEPTED)),
        ("any", BLOCKED, StandAlone.ACCEPT_ALL, Accepted(ACCEPTED)),
        ("any", None, StandAlone.AUTOSTART, Accepted(ACCEPTED)),
        ("any", None, StandAlone.LOCAL_LIST, Refused(Reason.ID_INVALID)),
        ("any", ACCEPTED, StandAlone.LOCAL_LIST, Accepted(ACCEPTED)),
        ("any", BLOCKED, StandAlone.LOCAL_LIST, Refused(Reason.ID_BLOCKED)),
        ("any", EXPIRED, StandAlone.LOCAL_LIST, Refused(Reason.ID_EXPIRED)),
        ("house", None, StandAlone.LOCAL_LIST, Accepted(ACCEPTED)),
        ("HOUSE", BLOCKED, StandAlone.LOCAL_LIST, Accepted(ACCEPTED)),
    ],
)
def test_without_a_central_system_the_mode_decides(id_tag, listed, mode, expected):
    rules = replace(RULES, stand_alone=mode, stand_alone_ids=frozenset({IdTag("HOUSE")}))
    assert decide_stand_alone(IdTag(id_tag), listed, rules, NOW_UTC_S) == expected


@pytest.mark.parametrize(
    ("listed", "told", "expected"),
    [
        (ACCEPTED, ACCEPTED, False),
        (ACCEPTED, BLOCKED, True),
        (BLOCKED, ACCEPTED, True),
        (EXPIRED, ACCEPTED, True),
        (BLOCKED, IdTagInfo(AuthorizationStatus.INVALID), False),
        (ACCEPTED, IdTagInfo(AuthorizationStatus.CONCURRENT_TX), False),
    ],
)
def test_a_list_that_says_otherwise_is_in_conflict(listed, told, expected):
    assert is_conflict(listed, told, NOW_UTC_S) is expected


def test_while_the_time_is_not_known_nothing_has_expired():
    assert judge(EXPIRED, believed_utc_s(Instant(0.0, NOW_UTC_S, is_utc_trusted=False))) == Accepted(EXPIRED)
    assert judge(EXPIRED, believed_utc_s(Instant(0.0, NOW_UTC_S, is_utc_trusted=True))) == Refused(Reason.ID_EXPIRED)


def test_an_expiry_in_the_future_does_not_refuse():
    info = IdTagInfo(AuthorizationStatus.ACCEPTED, expiry_utc_s=NOW_UTC_S + 1)
    assert judge(info, NOW_UTC_S) == Accepted(info)


def test_the_cache_is_asked_without_case_and_only_when_it_is_on():
    known = {IdTag("ABC"): ACCEPTED}
    assert look_up(known, IdTag("aBc"), RULES) == ACCEPTED
    assert look_up(known, IdTag("abd"), RULES) is None
    assert look_up(known, IdTag("abc"), replace(RULES, authorization_cache_enabled=False)) is None


@pytest.mark.parametrize("status", AuthorizationStatus)
def test_everything_but_a_moments_verdict_is_kept(status):
    assert is_cacheable(IdTagInfo(status), RULES) is (status is not AuthorizationStatus.CONCURRENT_TX)
    assert not is_cacheable(IdTagInfo(status), replace(RULES, authorization_cache_enabled=False))


def transaction(parent):
    start = TransactionStart(TransactionKey("t"), 1, IdTag("Owner"), WattHours(0), Instant(0.0, 0.0, False), "plug")
    return Transaction(start, IdTagInfo(AuthorizationStatus.ACCEPTED, parent), began_s=0.0)


def of_parent(parent):
    return IdTagInfo(AuthorizationStatus.ACCEPTED, IdTag(parent) if parent else None)


@pytest.mark.parametrize(
    ("id_tag", "parent", "info", "is_stopped", "is_asked"),
    [
        ("OWNER", None, None, True, False),
        ("owner", "Family", None, True, False),
        ("other", None, None, False, False),
        ("other", None, of_parent("Family"), False, False),
        ("other", "Family", of_parent("FAMILY"), True, False),
        ("other", "Family", of_parent("Else"), False, False),
        ("other", "Family", None, False, True),
        ("other", "Family", of_parent(None), False, True),
        ("other", "Family", EMPTY_PARENT, False, True),
        ("other", "", EMPTY_PARENT, False, False),
        ("other", "", None, False, False),
    ],
)
def test_who_may_stop_and_of_whom_it_is_to_be_asked(id_tag, parent, info, is_stopped, is_asked):
    running = transaction(IdTag(parent) if parent is not None else None)
    assert may_stop(IdTag(id_tag), info, running) is is_stopped
    assert might_stop(IdTag(id_tag), info, running) is is_asked


def test_a_later_verdict_without_parent_keeps_the_known_one():
    assert merge(of_parent("Family"), BLOCKED) == IdTagInfo(AuthorizationStatus.BLOCKED, IdTag("Family"))
    assert merge(of_parent("Family"), of_parent("Else")).parent_id_tag == "Else"
