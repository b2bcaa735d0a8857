"""The residual current monitor's self-test, as traces of the core."""

from dataclasses import replace

import pytest

from evcharge_hal.contract.channel import Wait
from evcharge_hal.contract.faults import FaultCode
from evcharge_hal.contract.pilot import PilotState
from evcharge_hal.guard import core
from evcharge_hal.guard.effects import Drive
from evcharge_hal.guard.events import LinesRead, TimePassed
from tests.support.guard_world import World, make_board


def when_tested(world: World) -> list[float]:
    """When the test winding was switched on."""
    was_active, found = False, []
    for at_s, effect in world.effects:
        if isinstance(effect, Drive):
            if effect.is_rcm_test_active and not was_active:
                found.append(at_s)
            was_active = effect.is_rcm_test_active
    return found


def faults_of(world: World) -> frozenset[FaultCode]:
    return core.status(world.state, world.now_s).connectors[0].faults


def wait_of(world: World) -> Wait | None:
    return core.status(world.state, world.now_s).connectors[0].wait


def plugged(**wounds: object) -> World:
    world = World(make_board())
    for name, value in wounds.items():
        setattr(world.spots[1], name, value)
    world.connect()
    world.run(6.0)
    world.plug()
    return world


def test_once_for_each_plug_in() -> None:
    world = plugged()
    world.run(30.0)
    assert len(when_tested(world)) == 1
    world.spots[1].car = PilotState.A
    world.run(1.0)
    world.plug()
    world.run(30.0)
    assert len(when_tested(world)) == 2
    assert faults_of(world) == frozenset()


def test_no_test_without_a_car() -> None:
    world = World(make_board())
    world.connect()
    world.run(30.0)
    assert when_tested(world) == []


def test_a_board_without_a_test_line_charges_untested() -> None:
    world = World(make_board(has_rcm_test=False))
    world.charge()
    assert when_tested(world) == []


def test_a_monitor_that_does_not_trip_is_latched() -> None:
    world = plugged(is_test_broken=True)
    world.run(1.2)
    assert faults_of(world) == {FaultCode.RCM_SELF_TEST}
    assert world.memory.latched[1] == {FaultCode.RCM_SELF_TEST}
    assert not world.drives[1].is_rcm_test_active
    world.run(100.0)
    assert len(when_tested(world)) == 1


def test_acknowledged_it_is_tested_again_and_passes() -> None:
    world = plugged(is_test_broken=True)
    world.run(2.0)
    world.spots[1].is_test_broken = False
    world.clear(FaultCode.RCM_SELF_TEST)
    world.run(3.0)
    assert len(when_tested(world)) == 2
    assert faults_of(world) == frozenset()
    world.charge()


@pytest.mark.parametrize(("release_s", "fails"), [(2.8, False), (3.2, True)])
def test_the_input_has_3_s_to_clear(release_s: float, fails: bool) -> None:
    world = plugged(rcm_release_s=release_s)
    world.run(2.0)
    world.wish()
    world.run(0.1)
    assert wait_of(world) is Wait.RCM_SELF_TEST
    world.run(4.0)
    assert (FaultCode.RCM_SELF_TEST in faults_of(world)) is fails


def test_a_trip_that_outlasts_the_test_is_a_trip() -> None:
    world = plugged(leaks=False)
    world.run(0.2)
    world.spots[1].leaks = True
    world.run(4.0)
    assert faults_of(world) == {FaultCode.RCM_SELF_TEST, FaultCode.RCM_TRIP}
    world.clear(FaultCode.RCM_TRIP)
    assert FaultCode.RCM_TRIP in faults_of(world)


def test_a_pass_is_valid_for_24_h_only() -> None:
    world = plugged()
    world.run(5.0)
    world.now_s += 86_400.0
    world._tick_s = world._agent_s = world.now_s
    world.run(5.0)
    assert len(when_tested(world)) == 2


def test_unplugged_during_the_test_the_winding_is_released_without_a_fault() -> None:
    world = plugged(is_test_broken=True)
    world.run(0.3)
    assert world.drives[1].is_rcm_test_active
    world.spots[1].car = PilotState.A
    world.run(0.2)
    assert not world.drives[1].is_rcm_test_active
    world.run(5.0)
    assert faults_of(world) == frozenset()


@pytest.mark.parametrize("stall_s", [0.35, 0.9, 0.95, 1.1, 5.0])
def test_a_stalled_process_proves_nothing_about_the_monitor(stall_s: float) -> None:
    """Also one that is back just before the deadline, and has not read the input yet."""
    world = plugged()
    world.run(0.2)
    assert world.drives[1].is_rcm_test_active
    world.now_s += stall_s
    world.feed(TimePassed())
    world.run(5.0)
    assert faults_of(world) == frozenset()
    world.charge()


def test_after_a_trip_the_same_plug_is_tested_anew() -> None:
    world = World(make_board())
    world.charge()
    world.spots[1].leaks = True
    world.run(0.5)
    assert not world.drives[1].is_relay_closed
    world.spots[1].leaks = False
    world.run(1.0)
    world.clear(FaultCode.RCM_TRIP)
    world.run(15.0)
    assert len(when_tested(world)) == 2
    assert world.drives[1].is_relay_closed


def test_a_plug_that_changes_while_the_monitor_releases_is_tested_anew() -> None:
    """Also when the first car's id comes back: what was seen in between may have been another car."""
    world = plugged(rcm_release_s=1.5)
    while not when_tested(world) or world.drives[1].is_rcm_test_active:
        world.run(0.05)
    assert len(when_tested(world)) == 1
    report = world.report(world.spots[1])
    world.feed(replace(report, plug_count=report.plug_count + 1))
    world.feed(report)
    world.run(10.0)
    assert len(when_tested(world)) == 2
    assert faults_of(world) == frozenset()


def killed_in_its_test(**wounds: object) -> World:
    """Lines keep their level: the test current flows until the next guard takes it away."""
    world = plugged(**wounds)
    world.run(0.1)
    assert world.drives[1].is_rcm_test_active
    world.feed(LinesRead(1, is_contactor_closed=False, is_rcm_tripped=True))
    world.restart_guard()
    world.feed(LinesRead(1, is_contactor_closed=False, is_rcm_tripped=True))
    return world


def test_a_guard_killed_in_its_test_does_not_take_its_own_current_for_a_leak() -> None:
    world = killed_in_its_test()
    assert faults_of(world) == frozenset()
    world.connect()
    world.charge()
    assert len(when_tested(world)) == 2
    assert world.memory.testing == frozenset()
    assert world.memory.latched[1] == frozenset()


def test_a_leak_that_outlasts_the_test_of_a_killed_guard_is_a_trip() -> None:
    world = killed_in_its_test(leaks=False)
    world.spots[1].leaks = True
    world.connect()
    world.run(4.0)
    assert FaultCode.RCM_TRIP in faults_of(world)


def test_a_guard_killed_outside_of_its_test_latches_what_it_finds_tripped() -> None:
    world = World(make_board())
    world.charge()
    world.restart_guard()
    world.feed(LinesRead(1, is_contactor_closed=False, is_rcm_tripped=True))
    assert faults_of(world) == {FaultCode.RCM_TRIP}


def test_a_monitor_that_does_not_clear_is_latched_also_while_the_co_processor_is_lost() -> None:
    world = plugged(leaks=False, rcm_release_s=60.0)
    world.run(0.26)
    assert len(when_tested(world)) == 1
    world.disconnect()
    world.run(4.0)
    assert FaultCode.RCM_SELF_TEST in faults_of(world)


def test_a_guard_killed_in_its_test_latches_a_leak_also_without_a_co_processor() -> None:
    world = plugged()
    world.run(0.1)
    world.spots[1].leaks = True
    world.restart_guard()
    world.run(4.0)
    assert FaultCode.RCM_SELF_TEST in faults_of(world)
