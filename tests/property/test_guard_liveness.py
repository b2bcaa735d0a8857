"""Figures at the contacts, and the law of liveness: a guard that is always open breaks no invariant and is no use."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from evcharge_hal.contract.channel import ContactorState
from evcharge_hal.contract.faults import FaultCode
from evcharge_hal.guard import core
from evcharge_hal.guard.core import RULES
from evcharge_hal.guard.sequence import SequenceState, Signal
from evcharge_hal.sim.plant.car import CarQuirks, Request
from evcharge_hal.sim.plant.connector import PilotBreak
from evcharge_hal.sim.plant.residual import LEAKAGE_A
from tests.support.guard_plant import PlantWorld
from tests.support.guard_plant_acts import ACTS, make_world, pause_or_go_on

RESUME_S = 90.0


# --- figures at the contacts ---------------------------------------------------------------------------------------


def run_until(world: PlantWorld, is_done: Callable[[], bool], limit_s: float) -> float:
    """Seconds until something is so; a test fails at the limit."""
    since_s = world.now_s
    while not is_done():
        assert world.now_s - since_s <= limit_s, world.explain()
        world.run(0.01)
    return world.now_s - since_s


def test_closes_within_3_s_of_c() -> None:
    world = make_world()
    connector = world.plant.connectors[1]
    connector.car.ask(replace(connector.car.settings, request=Request.PAUSE), None)
    world.run(6.0)
    connector.plug(32)
    world.run(1.0)
    world.wish()
    world.run(8.0)
    connector.car.ask(replace(connector.car.settings, request=Request.CHARGE), None)
    run_until(world, lambda: connector.vehicle_state == "C", 2.0)
    assert run_until(world, world.is_live, 3.0) < 1.5


def test_a_car_that_lets_go_is_not_opened_under_load() -> None:
    world = make_world()
    world.charge()
    connector = world.plant.connectors[1]
    world.wish(permission=False)
    world.run(0.06)
    assert not world.has_pwm()
    currents_a = []
    world.watch = lambda seen: currents_a.append(connector.current_a.l1) if seen.is_live() else None
    assert run_until(world, lambda: not world.is_live(), 3.1) < 3.1
    assert currents_a[-1] == 0.0


def test_a_car_that_does_not_let_go_is_opened_under_load_after_6_s() -> None:
    world = make_world()
    world.plant.connectors[1].car.quirks = CarQuirks(is_stubborn=True)
    world.charge()
    world.wish(permission=False)
    assert run_until(world, lambda: not world.is_live(), 6.2) == pytest.approx(6.0, abs=0.1)


def test_unplugged_under_load_opens_within_100_ms() -> None:
    world = make_world()
    world.charge()
    world.plant.connectors[1].unplug(leaves_cable=False)
    assert run_until(world, lambda: not world.is_live(), 0.2) <= 0.1


def test_a_leak_opens_within_20_ms_of_the_trip() -> None:
    world = make_world()
    world.charge()
    connector = world.plant.connectors[1]
    connector.residual.residual_a = LEAKAGE_A
    run_until(world, lambda: connector.residual.is_tripped, 0.2)
    assert run_until(world, lambda: not connector.is_relay_on, 0.1) <= 0.02


def test_inv_3_a_weld_is_latched_and_survives_a_restart() -> None:
    world = make_world()
    world.charge()
    connector = world.plant.connectors[1]
    connector.contactor.weld(True)
    pause_or_go_on(world, 1)
    world.run(5.0)
    assert world.guard is not None
    status = core.status(world.guard.state, world.now_s).connectors[0]
    assert status.contactor is ContactorState.WELDED
    world.kill_guard()
    world.start_guard()
    connector.contactor.weld(False)
    pause_or_go_on(world, 1)
    world.run(20.0)
    assert not world.is_live()
    world.clear(FaultCode.CONTACTOR_WELDED)
    run_until(world, world.is_live, 20.0)


# --- liveness ----------------------------------------------------------------------------------------------------

AUTO_CLEARING = (
    "short", "diode", "gap", "hot", "sensor", "block", "ventilation", "silent", "hung", "reset", "agent", "stop", "kill",
)  # fmt: skip


def disturb(world: PlantWorld, name: str, seconds: float) -> None:
    ACTS[name](world, 1)
    world.run(seconds)
    connector = world.plant.connectors[1]
    connector.wounds.pilot = PilotBreak.NONE
    connector.wounds.is_hot = connector.wounds.is_sensor_lost = False
    connector.contactor.block(False)
    connector.car.quirks = CarQuirks()
    world.coprocessor.is_silent = world.coprocessor.is_hung = world.is_agent_silent = world.is_stopped = False
    if world.guard is None:
        world.start_guard()


BRIEFLY = ("short", "block", "kill", "stop", "reset")


@pytest.mark.parametrize(
    ("name", "seconds"), [(name, 7.0) for name in AUTO_CLEARING] + [(name, 0.3) for name in BRIEFLY]
)
def test_live_charging_resumes_within_90_s(name: str, seconds: float) -> None:
    world = make_world()
    world.charge()
    disturb(world, name, seconds)
    run_until_charging(world)


def run_until_charging(world: PlantWorld) -> None:
    since_s = world.now_s
    world.run(1.0)
    while not (world.is_live() and world.plant.connectors[1].current_a.l1 >= 6.0):
        assert world.now_s - since_s <= RESUME_S, world.explain()
        world.run(0.5)
    world.run(2.0)
    assert world.is_live(), world.explain()


def test_planted_live_always_open_is_found() -> None:
    """A guard that never closes breaks no invariant; the law of liveness finds it."""
    table = {state: dict.fromkeys(row, SequenceState.TRIPPED) for state, row in RULES.table.items()}
    broken = replace(RULES, table=table)
    world = make_world(step=lambda state, event, now_s: core.step(state, event, now_s, broken))
    with pytest.raises(AssertionError):
        world.charge()


def test_planted_live_tripped_for_ever_is_found() -> None:
    table = {state: dict(row) for state, row in RULES.table.items()}
    table[SequenceState.TRIPPED] = dict.fromkeys(Signal, SequenceState.TRIPPED)
    broken = replace(RULES, table=table)
    world = make_world(step=lambda state, event, now_s: core.step(state, event, now_s, broken))
    world.charge()
    disturb(world, "short", 0.3)
    with pytest.raises(AssertionError, match="ConnectorStatus"):
        run_until_charging(world)
