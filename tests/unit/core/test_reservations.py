"""Reservations: the tables of what is answered and of who is kept away (ocpp16.md rule 18)."""

import pytest

from evcharge_agent.core.facts import AuthorizationStatus, IdTag, IdTagInfo
from evcharge_agent.core.reservations import (
    Admission,
    Place,
    Refusal,
    Reservation,
    admit,
    decide,
    find_over,
    find_used,
)

FREE, BUSY, FAULTED, OUT = Place.FREE, Place.OCCUPIED, Place.FAULTED, Place.UNAVAILABLE
NOW_UTC_S, LATER_UTC_S = 1000.0, 2000.0
FAMILY = IdTag("Family")


def kept(number, connector, id_tag="Owner", parent=None, expiry_utc_s=LATER_UTC_S):
    return Reservation(number, connector, IdTag(id_tag), parent, expiry_utc_s)


def book(*reservations):
    return {one.reservation_id: one for one in reservations}


def of_parent(parent):
    return IdTagInfo(AuthorizationStatus.ACCEPTED, parent)


@pytest.mark.parametrize(
    ("held", "connector", "places", "expected"),
    [
        ((), 1, {1: FREE, 2: FREE}, None),
        ((), 1, {1: BUSY, 2: FREE}, Refusal.OCCUPIED),
        ((), 1, {1: FAULTED, 2: FREE}, Refusal.FAULTED),
        ((), 1, {1: OUT, 2: FREE}, Refusal.UNAVAILABLE),
        ((), 3, {1: FREE, 2: FREE}, Refusal.REJECTED),
        ((), -1, {1: FREE}, Refusal.REJECTED),
        ((kept(5, 1),), 1, {1: FREE, 2: FREE}, Refusal.OCCUPIED),
        ((kept(5, 1),), 2, {1: FREE, 2: FREE}, None),
        ((kept(9, 1),), 1, {1: FREE, 2: FREE}, None),
        ((kept(9, 1),), 2, {1: FREE, 2: FREE}, None),
        ((kept(9, 1),), 1, {1: BUSY, 2: FREE}, Refusal.OCCUPIED),
        # connector 0
        ((), 0, {1: FREE, 2: FREE}, None),
        ((), 0, {1: BUSY, 2: FREE}, None),
        ((), 0, {1: BUSY, 2: FAULTED}, Refusal.OCCUPIED),
        ((), 0, {1: BUSY, 2: BUSY}, Refusal.OCCUPIED),
        ((), 0, {1: FAULTED, 2: FAULTED}, Refusal.FAULTED),
        ((), 0, {1: FAULTED, 2: OUT}, Refusal.FAULTED),
        ((), 0, {1: OUT, 2: OUT}, Refusal.UNAVAILABLE),
        ((kept(5, 0),), 0, {1: FREE, 2: FREE}, None),
        ((kept(5, 0), kept(6, 0)), 0, {1: FREE, 2: FREE}, Refusal.OCCUPIED),
        ((kept(5, 1),), 0, {1: FREE, 2: FREE}, None),
        ((kept(5, 1),), 0, {1: FREE, 2: BUSY}, Refusal.OCCUPIED),
        ((kept(5, 1), kept(6, 2)), 0, {1: FREE, 2: FREE}, Refusal.OCCUPIED),
        ((kept(9, 0),), 0, {1: FREE}, None),
        ((kept(5, 0),), 1, {1: FREE, 2: FREE}, None),
        ((kept(5, 0),), 1, {1: FREE, 2: BUSY}, Refusal.OCCUPIED),
        ((kept(5, 0),), 1, {1: FREE}, Refusal.OCCUPIED),
    ],
)
def test_what_a_reservation_is_answered(held, connector, places, expected):
    assert decide(book(*held), kept(9, connector), places, NOW_UTC_S, takes_station=True) is expected


def test_connector_zero_can_be_switched_off_and_the_past_cannot_be_reserved():
    places = {1: FREE}
    assert decide({}, kept(9, 0), places, NOW_UTC_S, takes_station=False) is Refusal.REJECTED
    assert decide({}, kept(9, 1), places, NOW_UTC_S, takes_station=False) is None
    assert decide({}, kept(9, 1, expiry_utc_s=NOW_UTC_S), places, NOW_UTC_S, takes_station=True) is Refusal.REJECTED


YES, NO, ASK = Admission


@pytest.mark.parametrize(
    ("held", "id_tag", "info", "free", "expected"),
    [
        ((), "stranger", None, (1, 2), YES),
        ((kept(1, 1),), "OWNER", None, (1, 2), YES),
        ((kept(1, 1),), "stranger", None, (1, 2), NO),
        ((kept(1, 1),), "stranger", of_parent(FAMILY), (1, 2), NO),
        ((kept(1, 2),), "stranger", None, (1, 2), YES),
        ((kept(1, 1, parent=FAMILY),), "stranger", None, (1, 2), ASK),
        ((kept(1, 1, parent=FAMILY),), "stranger", of_parent(None), (1, 2), ASK),
        ((kept(1, 1, parent=FAMILY),), "stranger", of_parent(IdTag("FAMILY")), (1, 2), YES),
        ((kept(1, 1, parent=FAMILY),), "stranger", of_parent(IdTag("Else")), (1, 2), NO),
        ((kept(1, 1, parent=IdTag("")),), "stranger", of_parent(IdTag("")), (1, 2), NO),
        # connector 0
        ((kept(1, 0),), "stranger", None, (1, 2), YES),
        ((kept(1, 0),), "stranger", None, (1,), NO),
        ((kept(1, 0),), "stranger", None, (2,), YES),
        ((kept(1, 0),), "owner", None, (1,), YES),
        ((kept(1, 0, parent=FAMILY),), "stranger", None, (1,), ASK),
        ((kept(1, 0, parent=FAMILY),), "stranger", of_parent(FAMILY), (1,), YES),
        ((kept(1, 0), kept(2, 2)), "stranger", None, (1, 2), NO),
        ((kept(1, 0), kept(2, 0, "Other")), "stranger", None, (1, 2), NO),
        ((kept(1, 0), kept(2, 0, "Other")), "other", None, (1, 2), YES),
    ],
)
def test_who_is_admitted_to_connector_1(held, id_tag, info, free, expected):
    assert admit(book(*held), 1, IdTag(id_tag), info, free) is expected


@pytest.mark.parametrize(
    ("held", "id_tag", "info", "expected"),
    [
        ((), "owner", None, None),
        ((kept(1, 1),), "owner", None, 1),
        ((kept(1, 2),), "owner", None, None),
        ((kept(1, 0),), "owner", None, 1),
        ((kept(1, 0), kept(2, 1)), "owner", None, 2),
        ((kept(1, 0, "Other"), kept(2, 0)), "owner", None, 2),
        ((kept(1, 1, "Other", FAMILY),), "owner", of_parent(FAMILY), 1),
        ((kept(1, 1, "Other", FAMILY),), "owner", None, None),
    ],
)
def test_which_reservation_a_transaction_on_connector_1_uses_up(held, id_tag, info, expected):
    found = find_used(book(*held), 1, IdTag(id_tag), info)
    assert (found.reservation_id if found is not None else None) == expected


@pytest.mark.parametrize(
    ("one", "places", "is_over"),
    [
        (kept(1, 1), {1: FREE, 2: FREE}, False),
        (kept(1, 1), {1: BUSY, 2: FREE}, False),
        (kept(1, 1), {1: FAULTED, 2: FREE}, True),
        (kept(1, 1), {1: OUT, 2: FREE}, True),
        (kept(1, 1), {1: FREE, 2: OUT}, False),
        (kept(1, 1), {}, False),
        (kept(1, 0), {1: FAULTED, 2: FREE}, False),
        (kept(1, 0), {1: FAULTED, 2: OUT}, True),
        (kept(1, 0), {}, False),
        (kept(1, 1, expiry_utc_s=NOW_UTC_S), {1: FREE}, True),
    ],
)
def test_when_a_reservation_is_over(one, places, is_over):
    assert find_over(book(one), places, NOW_UTC_S) == (frozenset({1}) if is_over else frozenset())
