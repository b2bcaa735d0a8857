"""The local authorisation list: what each update makes of it, and when it counts (ocpp16.md rule 17)."""

from dataclasses import replace

import pytest

from evcharge_agent.core import events as e
from evcharge_agent.core.effects import Answer, Keep
from evcharge_agent.core.events import RequestId
from evcharge_agent.core.facts import AuthorizationStatus, IdTag, IdTagInfo, Shelf
from evcharge_agent.core.local_list import (
    Change,
    LocalList,
    Refusal,
    Update,
    UpdateKind,
    decide,
    from_kept,
    to_keep,
    told_version,
)
from tests.support.core_station import ACCEPTED, Station, TestRules

FULL, DIFFERENTIAL = UpdateKind.FULL, UpdateKind.DIFFERENTIAL
BLOCKED = IdTagInfo(AuthorizationStatus.BLOCKED)
A, B, C = IdTag("A"), IdTag("B"), IdTag("C")
KNOWN = LocalList(5, {A: ACCEPTED, B: BLOCKED})
RULES = TestRules(local_auth_list_max_length=3, send_local_list_max_length=3)
MISMATCH, FAILED, NOT_SUPPORTED = Refusal.VERSION_MISMATCH, Refusal.FAILED, Refusal.NOT_SUPPORTED


@pytest.mark.parametrize(
    ("current", "update", "expected"),
    [
        (KNOWN, Update(FULL, 6, ((C, ACCEPTED),)), LocalList(6, {C: ACCEPTED})),
        (KNOWN, Update(FULL, 1, ((C, ACCEPTED),)), LocalList(1, {C: ACCEPTED})),
        (KNOWN, Update(FULL, 5, ()), LocalList()),
        (KNOWN, Update(FULL, 0, ()), LocalList()),
        (KNOWN, Update(FULL, -1, ()), LocalList()),
        (LocalList(), Update(FULL, 3, ((IdTag("lower"), BLOCKED),)), LocalList(3, {IdTag("LOWER"): BLOCKED})),
        (KNOWN, Update(FULL, 0, ((C, ACCEPTED),)), FAILED),
        (KNOWN, Update(FULL, -1, ((C, ACCEPTED),)), FAILED),
        (KNOWN, Update(FULL, 6, ((C, ACCEPTED), (A, None))), FAILED),
        (KNOWN, Update(FULL, 6, ((C, ACCEPTED), (C, ACCEPTED))), FAILED),
        (KNOWN, Update(FULL, 6, ((C, ACCEPTED), (IdTag("c"), BLOCKED))), FAILED),
        (KNOWN, Update(FULL, 6, ((IdTag(""), ACCEPTED),)), FAILED),
        (KNOWN, Update(FULL, 6, ((IdTag("x" * 21), ACCEPTED),)), FAILED),
        (KNOWN, Update(FULL, 6, tuple((IdTag(f"t{n}"), ACCEPTED) for n in range(4))), FAILED),
        (KNOWN, Update(DIFFERENTIAL, 6, ((C, ACCEPTED),)), LocalList(6, {A: ACCEPTED, B: BLOCKED, C: ACCEPTED})),
        (KNOWN, Update(DIFFERENTIAL, 9, ((A, None), (B, ACCEPTED))), LocalList(9, {B: ACCEPTED})),
        (KNOWN, Update(DIFFERENTIAL, 6, ((IdTag("a"), BLOCKED),)), LocalList(6, {A: BLOCKED, B: BLOCKED})),
        (KNOWN, Update(DIFFERENTIAL, 6, ((IdTag("nobody"), None),)), replace(KNOWN, version=6)),
        (KNOWN, Update(DIFFERENTIAL, 6, ()), replace(KNOWN, version=6)),
        (KNOWN, Update(DIFFERENTIAL, 6, ((A, None), (B, None))), LocalList()),
        (LocalList(), Update(DIFFERENTIAL, 1, ((A, ACCEPTED),)), LocalList(1, {A: ACCEPTED})),
        (LocalList(), Update(DIFFERENTIAL, 0, ((A, ACCEPTED),)), MISMATCH),
        (KNOWN, Update(DIFFERENTIAL, 5, ((C, ACCEPTED),)), MISMATCH),
        (KNOWN, Update(DIFFERENTIAL, 4, ()), MISMATCH),
        (KNOWN, Update(DIFFERENTIAL, 6, ((C, ACCEPTED), (IdTag("D"), ACCEPTED))), FAILED),
        (KNOWN, Update(DIFFERENTIAL, 6, ((C, ACCEPTED), (C, None))), FAILED),
    ],
)
def test_an_update_is_taken_whole_or_not_at_all(current, update, expected):
    decided = decide(current, update, RULES)
    assert (decided.result if isinstance(decided, Change) else decided) == expected


def test_a_list_that_is_switched_off_takes_nothing_and_has_no_version():
    off = replace(RULES, uses_local_list=False)
    assert decide(KNOWN, Update(FULL, 6, ((C, ACCEPTED),)), off) is NOT_SUPPORTED
    assert (told_version(KNOWN, off), told_version(KNOWN, RULES), told_version(LocalList(), RULES)) == (-1, 5, 0)


@pytest.mark.parametrize(
    "update", [Update(FULL, 6, ((C, ACCEPTED),)), Update(DIFFERENTIAL, 6, ((A, None), (C, BLOCKED)))]
)
def test_what_is_written_reads_back_as_the_result(update):
    change = decide(KNOWN, update, RULES)
    before, _ = to_keep(decide(LocalList(), Update(FULL, 5, tuple(KNOWN.entries.items())), RULES))
    put, removed = to_keep(change)
    disk = {} if change.is_whole else {name: value for name, value in before.items() if name not in removed}
    assert from_kept(disk | put) == change.result


@pytest.mark.parametrize("lost", ["version", "all"])
def test_entries_without_their_version_are_no_list(lost):
    put, _ = to_keep(decide(LocalList(), Update(FULL, 5, ((A, ACCEPTED),)), RULES))
    del put["version"]
    assert from_kept({} if lost == "all" else put) == LocalList()


# --- in the core ------------------------------------------------------------------------------------------


def send(station, version, *entries, kind=FULL, name="q"):
    effects = station.tell(e.LocalListSent(RequestId(name), Update(kind, version, entries)))
    return [item for item in effects if isinstance(item, Answer)]


def test_an_update_counts_and_is_answered_when_it_is_on_the_disk():
    station = Station().ready()
    station.is_committing = False
    assert send(station, 3, (A, ACCEPTED)) == []
    assert station.view().local_list_version == 0
    assert station.last(Keep).shelf is Shelf.LOCAL_LIST
    station.tell(e.Kept(Shelf.LOCAL_LIST, is_kept=True, request=RequestId("q")))
    assert station.answers()["q"].is_accepted
    assert station.view().local_list_version == 3


def test_an_update_that_cannot_be_written_leaves_list_and_version():
    station = Station().ready()
    send(station, 3, (A, ACCEPTED))
    station.is_disk_well = False
    (answer,) = send(station, 4, (B, ACCEPTED), name="r")
    assert (answer.is_accepted, answer.reason) == (False, "storage_failed")
    assert station.state.listed.current == LocalList(3, {A: ACCEPTED})
    station.is_disk_well = True
    assert send(station, 4, (B, ACCEPTED), name="s")[0].is_accepted


def test_while_one_update_is_written_another_is_not_decided_on_what_may_not_come():
    station = Station().ready()
    station.is_committing = False
    send(station, 3, (A, ACCEPTED))
    (answer,) = send(station, 4, (B, ACCEPTED), kind=DIFFERENTIAL, name="r")
    assert (answer.is_accepted, answer.reason) == (False, "busy")
    station.tell(e.Kept(Shelf.LOCAL_LIST, is_kept=True, request=RequestId("other")))
    assert station.view().local_list_version == 0, "that was not ours"


@pytest.mark.parametrize(
    ("kind", "version", "entries", "reason"),
    [
        (DIFFERENTIAL, 3, ((B, ACCEPTED),), "local_list_version"),
        (FULL, 4, ((B, None),), "local_list_invalid"),
    ],
)
def test_a_refusal_says_why_and_writes_nothing(kind, version, entries, reason):
    station = Station().ready()
    send(station, 3, (A, ACCEPTED))
    (answer,) = send(station, version, *entries, kind=kind, name="r")
    assert (answer.is_accepted, answer.reason) == (False, reason)
    assert len(station.all(Keep)) == 1


def test_the_list_is_there_after_a_restart_and_hidden_while_switched_off():
    station = Station().begin(local_list=KNOWN)
    assert station.view().local_list_version == 5
    station.change(uses_local_list=False)
    assert station.view().local_list_version == -1
    assert send(station, 9, (C, ACCEPTED))[0].reason == "local_list_off"
    station.change(uses_local_list=True)
    assert station.view().local_list_version == 5
