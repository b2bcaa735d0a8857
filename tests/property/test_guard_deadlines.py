"""The guard decides only where a fact is new or a deadline is due, and misses nothing by that.

Beside the core runs a restless twin: the same core, which decides about every connector in every step, and again and
again while the core would sleep. Whatever the twin does, the core does, in the same step: each decision that depends
on time has its deadline, and each that depends on another decision has its second look.
"""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evcharge_hal.boards.board import Lock
from evcharge_hal.guard import core, deadlines
from evcharge_hal.guard.effects import GuardEffect
from evcharge_hal.guard.events import GuardInput, TimePassed
from evcharge_hal.guard.state import GuardState
from tests.support.guard_histories import ACTIONS, DURATIONS_S, Act, play, random_history
from tests.support.guard_world import Step, World, make_board

LOOKS = 3
"""How often the twin looks while the core sleeps, evenly spread."""


class TwinError(AssertionError):
    """The core and its restless twin are of different opinion."""


class Twin:
    """A step of the core that has its restless twin decide the same; both may be the same core with a bug."""

    def __init__(self, step: Step = core.step) -> None:
        self._step = step
        self._seen: GuardState | None = None
        self._restless: GuardState | None = None

    def __call__(
        self, state: GuardState, event: GuardInput, now_s: float
    ) -> tuple[GuardState, tuple[GuardEffect, ...]]:
        if self._restless is None or state is not self._seen:
            self._restless = state  # another process
        else:
            self._look_again(state, now_s)
        after, effects = self._step(state, event, now_s)
        self._restless, expected = core.step(_awake(self._restless), event, now_s)
        if effects != expected:
            raise TwinError(f"{now_s:.3f} s, {event}: {effects} instead of {expected}")
        self._seen = after
        return after, effects

    def _look_again(self, state: GuardState, now_s: float) -> None:
        """Decide while the core sleeps; a core that was kept from its deadline did not sleep."""
        due_s = core.next_deadline_s(state, now_s)
        if now_s > due_s or self._restless is None:
            return
        for part in range(1, LOOKS + 1):
            look_s = state.stepped_s + (now_s - state.stepped_s) * part / (LOOKS + 1)
            if look_s >= due_s:
                return
            self._restless, effects = core.step(_awake(self._restless), TimePassed(), look_s)
            if effects:
                raise TwinError(f"{look_s:.3f} s, asleep until {due_s:.3f} s: {effects}")


def _awake(state: GuardState) -> GuardState:
    return replace(state, due_s=float("-inf"))


def twin_world(connectors: int, lock: Lock = Lock.NONE, supply_a: float | None = None, step: Step = core.step) -> World:
    return World(make_board(connectors, supply_a=supply_a, lock=lock), step=Twin(step))


def histories(connectors: int) -> st.SearchStrategy[list[Act]]:
    acts = st.builds(Act, st.sampled_from(sorted(ACTIONS)), st.integers(1, connectors), st.sampled_from(DURATIONS_S))
    return st.lists(acts, min_size=4, max_size=18)


bounded = settings(
    deadline=None, max_examples=10, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow]
)


@bounded
@given(history=histories(1), seed=st.integers(0, 1000))
def test_a_core_that_sleeps_misses_nothing_on_one_connector_with_a_lock(history: Sequence[Act], seed: int) -> None:
    play(twin_world(1, Lock.MOTOR), history, seed)


@bounded
@given(history=histories(2), seed=st.integers(0, 1000))
def test_a_core_that_sleeps_misses_nothing_on_two_connectors(history: Sequence[Act], seed: int) -> None:
    play(twin_world(2), history, seed)


@bounded
@given(history=histories(2), seed=st.integers(0, 1000))
def test_a_core_that_sleeps_misses_nothing_on_a_shared_supply(history: Sequence[Act], seed: int) -> None:
    play(twin_world(2, supply_a=32.0), history, seed)


@pytest.mark.soak
@pytest.mark.parametrize("block", range(20))
def test_a_core_that_sleeps_misses_nothing_over_long_campaigns(block: int) -> None:
    for seed in range(block * 50, block * 50 + 50):
        connectors = 1 + seed % 2
        lock, supply_a = (Lock.SOLENOID, 32.0) if seed % 3 == 0 else (Lock.NONE, None)
        play(twin_world(connectors, lock, supply_a), random_history(seed, connectors, length=40), seed)


# --- planted bugs -------------------------------------------------------------------------------------------

Stepped = tuple[GuardState, tuple[GuardEffect, ...]]


def wake_once_a_second(state: GuardState, event: GuardInput, now_s: float) -> Stepped:
    """As if no decision had a deadline."""
    state, effects = core.step(state, event, now_s)
    return replace(state, due_s=state.decided_s + 1.0), effects


def decide_about_the_first_only(state: GuardState, event: GuardInput, now_s: float) -> Stepped:
    """As if time passed for the first connector alone."""
    after, effects = core.step(state, event, now_s)
    if isinstance(event, TimePassed):
        effects = tuple(effect for effect in effects if getattr(effect, "connector", 1) == 1)
        after = after.with_connectors((after.connectors[0], *state.connectors[1:]))
    return after, effects


def play_some(step: Step) -> None:
    for seed in range(5):
        play(twin_world(2, step=step), random_history(seed, 2), seed)


@pytest.mark.parametrize("step", [wake_once_a_second, decide_about_the_first_only])
def test_planted_core_that_sleeps_too_long_is_found(step: Step) -> None:
    with pytest.raises(TwinError):
        play_some(step)


def test_a_release_of_the_monitor_is_not_taken_for_a_stall_while_the_link_is_down() -> None:
    play(twin_world(1), random_history(44, 1, length=30), seed=44)


@pytest.mark.parametrize("at_s", [0.0, 0.05, 0.3, 0.31, 1.0, 7.3])
def test_the_core_never_asks_for_a_turn_in_the_past(at_s: float) -> None:
    world = twin_world(1, Lock.MOTOR)
    world.charge()
    world.run(at_s)
    state = world.state
    assert state.stepped_s < core.next_deadline_s(state, world.now_s) <= state.decided_s + deadlines.IDLE_TURN_S
