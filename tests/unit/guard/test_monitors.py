"""Each fault the guard decides: raised by its cause in state C, what happens to the contactor, and when it is over."""

from dataclasses import dataclass, replace

import pytest

from evcharge_hal.contract.faults import CATALOGUE, FaultCode, Owner
from evcharge_hal.contract.pilot import CoprocessorFault, LinkIncompatible, PilotOutput, PilotState
from evcharge_hal.guard import core
from evcharge_hal.guard.effects import ClearCoprocessorLatch
from evcharge_hal.guard.monitors import MONITORS
from tests.support.guard_world import Spot, World, make_board


@dataclass(frozen=True)
class Cause:
    wound: dict[str, object]
    heal: dict[str, object]
    is_open_at_once: bool = True


CAUSES = {
    FaultCode.PILOT_SHORT: Cause({"wound": PilotState.E}, {"wound": None}),
    FaultCode.PILOT_INVALID: Cause({"wound": PilotState.INVALID}, {"wound": None}),
    FaultCode.DIODE: Cause({"has_diode": False}, {"has_diode": True}),
    FaultCode.VENTILATION_REQUIRED: Cause({"car": PilotState.D}, {"car": PilotState.C}),
    FaultCode.RCM_TRIP: Cause({"leaks": True}, {"leaks": False}),
    FaultCode.OVER_TEMPERATURE: Cause({"temperature_c": 65.0}, {"temperature_c": 54.9}),
    FaultCode.TEMPERATURE_SENSOR_LOST: Cause({"temperature_c": None}, {"temperature_c": 25.0}, is_open_at_once=False),
    FaultCode.CABLE_CHANGED: Cause({"pp_ohm": 680.0}, {"pp_ohm": 220.0}),
    FaultCode.COPROCESSOR_FAULT: Cause({"latched": CoprocessorFault.SELF_TEST}, {"latched": CoprocessorFault.NONE}),
    FaultCode.SUPPLY_FAILING: Cause(
        {"active": CoprocessorFault.SUPPLY_FAILING}, {"active": CoprocessorFault.NONE}, is_open_at_once=False
    ),
}


def change(spot: Spot, values: dict[str, object]) -> None:
    for name, value in values.items():
        setattr(spot, name, value)


def faults_of(world: World) -> frozenset[FaultCode]:
    return core.status(world.state, world.now_s).connectors[0].faults


def test_every_fault_of_guard_and_coprocessor_has_one_monitor() -> None:
    watched = [monitor.code for monitor in MONITORS]
    assert len(watched) == len(set(watched))
    assert set(watched) == {code for code, row in CATALOGUE.items() if row.owner is not Owner.AGENT}


@pytest.mark.parametrize("code", list(CAUSES))
def test_raised_in_c_and_acted_on(code: FaultCode) -> None:
    world = World(make_board())
    world.charge()
    change(world.spots[1], CAUSES[code].wound)
    world.run(0.11)
    assert faults_of(world) == {code}
    assert world.drives[1].is_relay_closed is not CAUSES[code].is_open_at_once
    assert world.drives[1].pilot.permit is not CAUSES[code].is_open_at_once


@pytest.mark.parametrize("code", [code for code in CAUSES if code is not FaultCode.RCM_TRIP])
def test_over_by_the_catalogue(code: FaultCode) -> None:
    world = World(make_board())
    world.charge()
    change(world.spots[1], CAUSES[code].wound)
    world.run(0.5)
    change(world.spots[1], CAUSES[code].heal)
    after_s = CATALOGUE[code].clear_after_s
    if after_s is None:
        world.run(200.0)
        assert code in faults_of(world)
        world.spots[1].car = PilotState.A
        world.run(0.2)
    elif after_s > 0.0:
        world.run(after_s - 1.0)
        assert code in faults_of(world)
        world.run(1.2)
    else:
        world.run(0.2)
    assert faults_of(world) == frozenset()


@pytest.mark.parametrize("state", [PilotState.E, PilotState.INVALID, PilotState.F])
def test_a_pilot_fault_is_gone_with_the_car(state: PilotState) -> None:
    world = World(make_board())
    world.charge()
    world.spots[1].wound = state
    world.run(0.2)
    assert faults_of(world)
    world.spots[1].wound, world.spots[1].car = None, PilotState.A
    world.run(0.2)
    assert faults_of(world) == frozenset()


def test_the_first_report_with_pwm_proves_nothing_about_the_diode() -> None:
    """Its sample may be from before; the second one counts."""
    world = World(make_board())
    world.connect()
    world.plug()
    world.run(6.0)
    world.wish()
    spot = world.spots[1]
    bad = replace(world.report(spot), output=PilotOutput.X2, low_v=9.0)
    world.feed(replace(bad, received_s=world.now_s))
    assert faults_of(world) == frozenset()
    world.feed(replace(bad, received_s=world.now_s))
    assert faults_of(world) == {FaultCode.DIODE}


@pytest.mark.parametrize("state", [PilotState.E, PilotState.F, PilotState.INVALID])
def test_a_pilot_fault_in_an_old_sample_is_a_pilot_fault(state: PilotState) -> None:
    """An old sample proves nothing good, but what it shows was there; it holds for 60 s like any other."""
    world = World(make_board())
    world.charge()
    world.spots[1].is_silent = True
    world.feed(replace(world.report(replace(world.spots[1], wound=state)), sample_age_s=1.2))
    assert not world.drives[1].is_relay_closed
    world.spots[1].is_silent = False
    world.run(50.0)
    assert faults_of(world) <= {FaultCode.PILOT_SHORT, FaultCode.PILOT_INVALID}
    assert len(faults_of(world)) == 1
    assert not world.drives[1].is_relay_closed
    world.run(20.0)
    assert faults_of(world) == frozenset()


@pytest.mark.parametrize("bit", [CoprocessorFault.DIODE, CoprocessorFault.PILOT_SHORT, CoprocessorFault.PILOT_INVALID])
def test_what_the_coprocessor_sees_counts_as_seen(bit: CoprocessorFault) -> None:
    world = World(make_board())
    world.charge()
    world.feed(replace(world.report(world.spots[1]), active=bit))
    assert not world.drives[1].is_relay_closed
    assert len(faults_of(world)) == 1


def test_temperature_has_hysteresis_and_a_lost_sensor_proves_no_cooling() -> None:
    world = World(make_board())
    world.charge()
    spot = world.spots[1]
    for temperature_c, is_hot in ((64.9, False), (65.0, True), (60.0, True), (55.0, True), (None, True), (54.9, False)):
        spot.temperature_c = temperature_c
        world.run(1.1)
        assert (FaultCode.OVER_TEMPERATURE in faults_of(world)) is is_hot, temperature_c


def test_a_weld_is_latched_1_s_after_opening() -> None:
    world = World(make_board())
    world.charge()
    world.spots[1].is_welded = True
    world.spots[1].car = PilotState.B
    world.run(1.0)
    assert faults_of(world) == frozenset()
    world.run(0.2)
    assert faults_of(world) == {FaultCode.CONTACTOR_WELDED}
    assert world.memory.latched[1] == {FaultCode.CONTACTOR_WELDED}
    world.clear(FaultCode.CONTACTOR_WELDED)
    assert faults_of(world) == {FaultCode.CONTACTOR_WELDED}
    world.spots[1].is_welded = False
    world.spots[1].contact_due_s = world.now_s
    world.run(0.1)
    world.clear(FaultCode.CONTACTOR_WELDED)
    assert faults_of(world) == frozenset()


def test_a_contact_that_is_closed_at_the_start_is_a_weld() -> None:
    world = World(make_board())
    world.spots[1].is_contact_closed = world.spots[1].is_welded = True
    world.connect()
    world.run(1.2)
    assert faults_of(world) == {FaultCode.CONTACTOR_WELDED}


def test_a_contactor_that_does_not_close_is_given_up_after_half_a_second() -> None:
    world = World(make_board())
    world.spots[1].is_stuck_open = True
    with pytest.raises(AssertionError):
        world.charge()
    assert faults_of(world) == {FaultCode.CONTACTOR_DID_NOT_CLOSE}
    world.spots[1].is_stuck_open = False
    world.run(75.0)
    assert world.drives[1].is_relay_closed


@pytest.mark.parametrize("pp_ohm", [None, 40.0, 5000.0])
def test_a_cable_without_a_rating_is_a_fault_after_1_s(pp_ohm: float | None) -> None:
    world = World(make_board())
    world.spots[1].pp_ohm = pp_ohm  # type: ignore[assignment]
    world.connect()
    world.plug()
    world.wish()
    world.run(0.9)
    assert faults_of(world) == frozenset()
    world.run(0.3)
    assert faults_of(world) == {FaultCode.CABLE_INVALID}
    assert world.drives[1].pilot.limit_a == 0.0


def test_an_incompatible_coprocessor_is_named_as_such() -> None:
    world = World(make_board())
    world.run(5.5)
    assert faults_of(world) == {FaultCode.COPROCESSOR_LOST}
    world.feed(LinkIncompatible("speaks 2"))
    assert faults_of(world) == {FaultCode.COPROCESSOR_INCOMPATIBLE}
    world.connect()
    world.run(0.2)
    assert faults_of(world) == frozenset()


def test_a_coprocessors_latch_is_dropped_after_60_s_or_a_replug() -> None:
    world = World(make_board())
    world.charge()
    world.spots[1].latched = CoprocessorFault.DIODE
    world.run(59.0)
    assert not any(isinstance(effect, ClearCoprocessorLatch) for _, effect in world.effects)
    world.run(2.0)
    assert any(isinstance(effect, ClearCoprocessorLatch) for _, effect in world.effects)
    assert faults_of(world) == frozenset()


def test_a_refused_clear_is_asked_for_once_a_second_at_most() -> None:
    world = World(make_board())
    world.connect()
    world.run(1.0)
    times = []
    for _ in range(50):
        world.spots[1].latched = CoprocessorFault.SELF_TEST
        before = len(world.effects)
        world.run(0.1)
        times += [at_s for at_s, effect in world.effects[before:] if isinstance(effect, ClearCoprocessorLatch)]
    assert 4 <= len(times) <= 6


def test_missing_the_host_is_no_fault_of_the_coprocessor() -> None:
    world = World(make_board())
    world.charge()
    world.spots[1].latched = CoprocessorFault.HOST_LOST
    world.run(0.2)
    assert faults_of(world) == frozenset()
    assert world.drives[1].pilot.output is PilotOutput.X1
