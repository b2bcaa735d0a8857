"""The session table: complete, sound and printed."""

from pathlib import Path

import pytest

from evcharge_agent.core import session
from evcharge_agent.core.session import TABLE, Action, Phase, Trigger, as_markdown, next_move

DOCS = Path(__file__).parents[3] / "docs" / "session-table.md"


@pytest.mark.parametrize("phase", Phase)
def test_every_pair_is_decided_by_exactly_one_of_the_two_lists(phase):
    moved, ignored = set(session._ROWS[phase]), set(session._IGNORED[phase])
    assert moved | ignored == set(Trigger)
    assert not moved & ignored


def test_the_document_is_the_table():
    assert DOCS.read_text("utf-8") == as_markdown()


def test_the_table_prints_every_phase_and_trigger():
    text = as_markdown()
    assert all(name in text for name in (*Phase.__members__, *Trigger.__members__))


def test_active_is_entered_only_over_a_start_on_the_disk():
    for phase, trigger in TABLE:
        move = next_move(phase, trigger)
        if Phase.ACTIVE in (move.with_car, move.without_car) and phase is not Phase.ACTIVE:
            assert trigger in (Trigger.COMMITTED, Trigger.GO_ON)
            assert phase in (Phase.STARTING, Phase.RESUMING)


def test_an_open_transaction_ends_only_by_recording_its_stop():
    for phase, trigger in TABLE:
        move = next_move(phase, trigger)
        is_open = {Phase.ACTIVE, Phase.RESUMING}
        if phase in is_open and not {move.with_car, move.without_car} <= is_open:
            assert move.action is Action.RECORD_STOP


def test_a_pending_start_is_left_only_by_the_stores_word():
    for phase, trigger in TABLE:
        move = next_move(phase, trigger)
        if phase is Phase.STARTING and {move.with_car, move.without_car} != {Phase.STARTING}:
            assert trigger in (Trigger.COMMITTED, Trigger.COMMIT_FAILED)


def test_without_a_car_no_phase_needs_one():
    for phase, trigger in TABLE:
        move = next_move(phase, trigger)
        if move.with_car is not move.without_car:
            assert move.without_car not in (Phase.PLUGGED, Phase.FINISHED, Phase.STOPPING)


def test_from_every_phase_the_way_back_to_idle_exists():
    reached = {Phase.IDLE}
    while True:
        more = {phase for (phase, _), move in TABLE.items() if {move.with_car, move.without_car} & reached}
        if more <= reached:
            break
        reached |= more
    assert reached == set(Phase)
