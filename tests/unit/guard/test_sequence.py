"""The sequence table: every pair decided, and what the table alone already guarantees."""

from pathlib import Path

import pytest

from evcharge_hal.contract.pilot import PilotOutput
from evcharge_hal.guard.sequence import OUTPUTS, TABLE, SequenceState, Signal, render_markdown

ENERGISED = {SequenceState.CLOSING, SequenceState.CHARGING, SequenceState.STOPPING}
DOCUMENT = Path(__file__).parents[3] / "docs" / "guard-sequence.md"


def test_every_state_and_signal_is_decided() -> None:
    assert set(TABLE) == set(SequenceState) == set(OUTPUTS)
    for row in TABLE.values():
        assert set(row) == set(Signal)


def test_document_is_the_table() -> None:
    assert DOCUMENT.read_text(encoding="utf-8") == render_markdown()


def test_the_relay_is_closed_only_with_the_permit_and_only_where_it_belongs() -> None:
    assert {state for state, output in OUTPUTS.items() if output.is_relay_closed} == ENERGISED
    assert all(output.permit for output in OUTPUTS.values() if output.is_relay_closed)
    assert OUTPUTS[SequenceState.STOPPING].pilot is PilotOutput.X1


@pytest.mark.parametrize("state", list(SequenceState))
def test_a_fault_trips_from_everywhere(state: SequenceState) -> None:
    assert TABLE[state][Signal.TRIP] is SequenceState.TRIPPED


@pytest.mark.parametrize("state", list(SequenceState))
def test_only_one_edge_closes(state: SequenceState) -> None:
    """The permit has to be asked for, answered and proven: no other pair leads to a driven relay."""
    for signal, target in TABLE[state].items():
        if target in ENERGISED and state not in ENERGISED:
            assert (state, signal) == (SequenceState.PERMITTING, Signal.C_PERMITTED)


@pytest.mark.parametrize("state", sorted(ENERGISED, key=lambda state: state.value))
@pytest.mark.parametrize("signal", [Signal.GONE, Signal.B_PAUSED, Signal.B_OFFERED, Signal.C_REFUSED, Signal.UNREADY])
def test_without_a_car_in_c_or_a_permit_nothing_stays_closed(state: SequenceState, signal: Signal) -> None:
    assert TABLE[state][signal] not in ENERGISED


@pytest.mark.parametrize("state", list(SequenceState))
@pytest.mark.parametrize("signal", list(Signal))
def test_a_lasting_signal_settles(state: SequenceState, signal: Signal) -> None:
    seen = [state]
    while TABLE[seen[-1]][signal] is not seen[-1]:
        seen.append(TABLE[seen[-1]][signal])
        assert len(seen) <= len(SequenceState), seen


def test_every_state_is_reached_from_the_start() -> None:
    reached, new = set(), {SequenceState.START_UP}
    while new:
        reached |= new
        new = {target for state in new for target in TABLE[state].values()} - reached
    assert reached == set(SequenceState)


def test_a_begun_stop_never_goes_back_to_charging() -> None:
    assert SequenceState.CHARGING not in TABLE[SequenceState.STOPPING].values()
