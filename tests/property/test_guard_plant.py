"""The guard's core with the real link, the fake co-processor and the plant: what happens to contacts and pilot.

Here the invariants are physical: when the car lets go, who opens, how soon, and what happens when the guard or
the co-processor is not there any more. The judges of `tests.support.guard_laws` watch every step as well.
"""

import random
from dataclasses import dataclass, replace
from typing import ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evcharge_hal.contract.channel import LeaseState
from evcharge_hal.contract.faults import FaultCode
from evcharge_hal.contract.pilot import ResetCause
from evcharge_hal.guard import core
from evcharge_hal.guard.core import RULES
from evcharge_hal.guard.sequence import SequenceState, Signal
from evcharge_hal.sim.coprocessor import Coprocessor
from evcharge_hal.sim.coprocessor_connector import CoprocessorConnector
from evcharge_hal.sim.plant.car import CarQuirks
from tests.support.guard_laws import BrokenLawError
from tests.support.guard_plant import PlantWorld
from tests.support.guard_plant_acts import ACTS, Physics, make_world, pause_or_go_on
from tests.support.guard_world import Step, make_board

PILOT_OFF_S = 1.1
OPEN_S = 4.1
bounded = settings(deadline=None, max_examples=9, derandomize=True, database=None)


# --- the process is away: INV-12, INV-13 ----------------------------------------------------------------------


@dataclass(slots=True)
class Silence:
    """From an instant on the guard says nothing: pilot off in 1.1 s, contacts open in 4.1 s, and they stay so."""

    since_s: float
    has_opened: bool = False

    def __call__(self, world: PlantWorld) -> None:
        silent_s = world.now_s - self.since_s
        if silent_s > PILOT_OFF_S and world.has_pwm():
            raise BrokenLawError(f"PWM {silent_s:.2f} s after the guard fell silent")
        if silent_s > OPEN_S and world.is_live():
            raise BrokenLawError(f"contacts closed {silent_s:.2f} s after the guard fell silent")
        if self.has_opened and world.is_live():
            raise BrokenLawError("contacts closed again without the guard")
        self.has_opened |= silent_s > 0.1 and not world.is_live()


def advance_to(world: PlantWorld, seconds: float, *, is_stubborn: bool, is_stopping: bool) -> None:
    """Plug a car in and come to some instant of its charge."""
    connector = world.plant.connectors[1]
    connector.car.quirks = CarQuirks(is_stubborn=is_stubborn)
    world.run(5.0)
    connector.plug(32)
    world.wish()
    if is_stopping:
        world.run(8.0)
        world.wish(permission=False)
    world.run(seconds)


instants = st.floats(0.0, 9.0, allow_nan=False)


@bounded
@given(seconds=instants, keeps_gpio=st.booleans(), is_stubborn=st.booleans(), is_stopping=st.booleans())
def test_inv_13_guard_dies_at_any_instant(
    seconds: float, keeps_gpio: bool, is_stubborn: bool, is_stopping: bool
) -> None:
    world = make_world(keeps_gpio=keeps_gpio)
    advance_to(world, seconds, is_stubborn=is_stubborn, is_stopping=is_stopping)
    world.kill_guard()
    world.watch = Silence(world.now_s)
    world.run(12.0)


@bounded
@given(seconds=instants, away_s=st.floats(0.1, 12.0), is_stubborn=st.booleans(), is_stopping=st.booleans())
def test_inv_12_guard_hangs_at_any_instant_and_comes_back(
    seconds: float, away_s: float, is_stubborn: bool, is_stopping: bool
) -> None:
    world = make_world()
    advance_to(world, seconds, is_stubborn=is_stubborn, is_stopping=is_stopping)
    world.is_agent_silent = True
    world.is_stopped = True
    world.watch = Silence(world.now_s)
    world.run(away_s)
    world.watch = None
    closings = world.plant.connectors[1].contactor.closings
    was_live = world.is_live()
    world.is_stopped = False
    world.run(8.0)
    if away_s > OPEN_S:
        # Its lease has lapsed meanwhile: nothing may close before the agent has spoken again.
        assert not was_live
        assert world.plant.connectors[1].contactor.closings == closings


class DeafConnector(CoprocessorConnector):
    """A co-processor that forgot its deadline, as the Yeti firmware did (hardware.md 1.2)."""

    def _check_deadline(self, now_s: float) -> None:
        self._has_lapsed = False


class DeafCoprocessor(Coprocessor):
    connector_type: ClassVar[type[CoprocessorConnector]] = DeafConnector


@pytest.mark.parametrize("keeps_gpio", [True, False])
def test_planted_inv_13_coprocessor_without_a_deadline_is_found(keeps_gpio: bool) -> None:
    world = make_world(keeps_gpio=keeps_gpio, coprocessor_type=DeafCoprocessor)
    world.charge()
    world.kill_guard()
    world.watch = Silence(world.now_s)
    with pytest.raises(BrokenLawError, match=r"PWM 1\.1"):
        world.run(6.0)


def test_planted_inv_12_coprocessor_without_a_deadline_is_found() -> None:
    world = make_world(coprocessor_type=DeafCoprocessor)
    world.charge()
    world.is_stopped = True
    world.watch = Silence(world.now_s)
    with pytest.raises(BrokenLawError, match=r"PWM 1\.1"):
        world.run(6.0)


def test_inv_12_a_guard_that_was_away_opens_in_its_first_turn() -> None:
    """Even with a co-processor that would hold the permit for ever, the guard's own relay follows the stages."""
    world = make_world(coprocessor_type=DeafCoprocessor)
    world.charge()
    world.is_stopped = True
    world.run(6.0)
    assert world.is_live()
    world.is_stopped = False
    world.is_agent_silent = True
    world.run(0.1)
    assert not world.is_live()


# --- the co-processor is away: INV-11 ---------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["silent", "hung", "both"])
def test_inv_11_a_lost_coprocessor_stops_in_stages(kind: str) -> None:
    world = make_world()
    world.charge()
    world.coprocessor.is_silent = kind in ("silent", "both")
    world.coprocessor.is_hung = kind in ("hung", "both")
    connector = world.plant.connectors[1]
    world.run(2.5)
    assert not world.has_pwm()
    world.run(OPEN_S - 2.5 + 1.0)
    assert not connector.is_relay_on
    assert not world.is_live()
    assert world.guard is not None
    assert FaultCode.COPROCESSOR_LOST in core.status(world.guard.state, world.now_s).connectors[0].faults


@pytest.mark.parametrize("cause", list(ResetCause))
def test_inv_11_a_reboot_opens_at_once_and_needs_everything_anew(cause: ResetCause) -> None:
    world = make_world()
    world.charge()
    connector = world.plant.connectors[1]
    world.coprocessor.reset(cause, world.now_s)
    world.run(0.1)
    assert not world.is_live()
    assert not connector.is_relay_on
    world.run(15.0)
    assert world.is_live(), world.explain()
    assert world.guard is not None
    status = core.status(world.guard.state, world.now_s).connectors[0]
    assert status.plug_id == "00000000000000a1-4-1.0"
    assert status.lease is LeaseState.HELD


# --- anything happens -------------------------------------------------------------------------------------------


@bounded
@given(
    acts=st.lists(st.tuples(st.sampled_from(sorted(ACTS)), st.sampled_from([0.05, 0.4, 1.3, 5.0])), max_size=12),
    connectors=st.integers(1, 2),
    keeps_gpio=st.booleans(),
)
def test_inv_1_2_3_4_5_11_12_13_14_16_hold_in_the_plant(
    acts: list[tuple[str, float]], connectors: int, keeps_gpio: bool
) -> None:
    play(acts, connectors, keeps_gpio, core.step)


def play(acts: list[tuple[str, float]], connectors: int, keeps_gpio: bool, step: Step) -> None:
    world = make_world(connectors, keeps_gpio=keeps_gpio, step=step)
    world.watch = Physics()
    for number in world.plant.connectors:
        world.charge(number)
    for index, (name, then_s) in enumerate(acts):
        ACTS[name](world, 1 + index % connectors)
        world.run(then_s)


def test_planted_inv_1_a_guard_and_a_coprocessor_that_ignore_b_are_found() -> None:
    """Either barrier alone still opens; only both bugs together are seen at the contacts."""
    table = {state: dict(row) for state, row in RULES.table.items()}
    table[SequenceState.CHARGING].update(
        {Signal.B_OFFERED: SequenceState.CHARGING, Signal.C_HELD: SequenceState.CHARGING}
    )
    broken = replace(RULES, table=table)

    def step(state, event, now_s):
        return core.step(state, event, now_s, broken)

    class Stuck(CoprocessorConnector):
        def _reason_to_open(self, now_s: float) -> None:
            return None

    class StuckCoprocessor(Coprocessor):
        connector_type: ClassVar[type[CoprocessorConnector]] = Stuck

    for options, is_found in (
        ({"coprocessor_type": StuckCoprocessor}, False),
        ({"coprocessor_type": StuckCoprocessor, "step": step}, True),
    ):
        board = make_board(1)
        world = PlantWorld(board, **options)
        world.charge()
        world.watch = Physics()
        pause_or_go_on(world, 1)
        if is_found:
            with pytest.raises(BrokenLawError, match="INV-1"):
                world.run(4.0)
        else:
            world.run(4.0)
            assert not world.is_live()


@pytest.mark.soak
@pytest.mark.parametrize("block", range(20))
def test_inv_all_hold_in_the_plant_over_long_campaigns(block: int) -> None:
    for seed in range(block * 50, block * 50 + 50):
        rng = random.Random(seed)
        acts = [(rng.choice(sorted(ACTS)), rng.choice([0.05, 0.4, 1.3, 5.0, 20.0])) for _ in range(30)]
        play(acts, 1 + seed % 2, seed % 3 > 0, core.step)
