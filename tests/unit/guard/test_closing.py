"""Each condition for closing, alone: it holds the contactor, it is the reason shown, and without it charging goes on."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest

from evcharge_hal.boards.board import Lock
from evcharge_hal.contract.channel import ContactorState, Wait
from evcharge_hal.contract.faults import FaultCode
from evcharge_hal.contract.pilot import CoprocessorFault, PilotOutput, PilotState
from evcharge_hal.guard import core
from evcharge_hal.guard.closing import HOLDS, reclose_s
from evcharge_hal.guard.events import LinesRead
from evcharge_hal.guard.sequence import SequenceState
from evcharge_hal.guard.state import ContactorView
from tests.support.guard_world import World, make_board


def wait_of(world: World) -> Wait | None:
    return core.status(world.state, world.now_s).connectors[0].wait


def ready() -> World:
    """A car in B2 with everything proven; the next C closes."""
    world = World(make_board())
    world.connect()
    world.plug()
    world.run(0.5)
    world.wish()
    world.run(12.0)
    assert wait_of(world) is Wait.VEHICLE
    assert world.drives[1].pilot.output is PilotOutput.X2
    return world


def forget_lease(world: World) -> None:
    world.spots[1].is_agent_silent = True
    world.run(6.0)


@dataclass(frozen=True)
class Case:
    spoil: Callable[[World], None]
    repair: Callable[[World], None]
    wait: Wait


def setting(**values: object) -> Callable[[World], None]:
    def apply(world: World) -> None:
        for name, value in values.items():
            setattr(world.spots[1], name, value)

    return apply


CASES = {
    "fault": Case(
        lambda world: world.raise_fault(FaultCode.OVERCURRENT),
        lambda world: setattr(world.spots[1], "car", PilotState.A),
        Wait.FAULT,
    ),
    "old sample": Case(setting(sample_age_s=0.5), setting(sample_age_s=0.005), Wait.COPROCESSOR),
    "host lost": Case(
        setting(latched=CoprocessorFault.HOST_LOST), setting(latched=CoprocessorFault.NONE), Wait.COPROCESSOR
    ),
    "no lease": Case(forget_lease, setting(is_agent_silent=False), Wait.NO_LEASE),
    "no permission": Case(lambda world: world.wish(permission=False), lambda world: world.wish(), Wait.NOT_PERMITTED),
    "no current": Case(lambda world: world.wish(offer_a=0.0), lambda world: world.wish(), Wait.NO_CURRENT),
}


@pytest.mark.parametrize("name", list(CASES))
def test_one_missing_condition_holds_the_contactor_and_is_the_reason(name: str) -> None:
    case, world = CASES[name], ready()
    case.spoil(world)
    world.run(0.3)
    world.spots[1].car = PilotState.C
    world.run(3.0)
    assert wait_of(world) is case.wait
    assert not world.drives[1].is_relay_closed
    case.repair(world)
    world.run(1.0)
    world.plug(state=PilotState.C)
    world.run(16.0)
    assert world.drives[1].is_relay_closed


def test_the_first_5_s_hold() -> None:
    world = World(make_board())
    world.spots[1].car = PilotState.C
    world.connect()
    world.run(0.2)
    world.wish()
    world.run(4.7)
    assert wait_of(world) is Wait.START_UP
    world.run(1.0)
    assert world.drives[1].is_relay_closed


def test_after_a_closing_before_the_boot_10_s_hold() -> None:
    world = World(make_board())
    world.charge()
    # Another boot: the times of the closings mean nothing any more.
    world.memory = replace(world.memory, recent_s={})
    world.restart_guard()
    world.connect()
    world.run(0.2)
    world.speak()
    world.run(9.5)
    assert wait_of(world) is Wait.RECLOSE_GUARD
    world.run(1.0)
    assert world.drives[1].is_relay_closed


def test_stale_lines_hold() -> None:
    world = ready()
    connector = world.state.connectors[0]
    stale = replace(connector, rcm=replace(connector.rcm, read_s=world.now_s - 2.1))
    status = core.status(replace(world.state, connectors=(stale,)), world.now_s)
    assert status.connectors[0].wait is Wait.RCM_SELF_TEST


def test_an_open_lock_holds() -> None:
    board = make_board()
    world = World(replace(board, connector=(replace(board.connector[0], lock=Lock.MOTOR),)))
    world.connect()
    world.plug()
    world.run(0.5)
    world.wish()
    assert world.drives[1].pilot.is_locked
    world.run(12.0)
    world.spots[1].car = PilotState.C
    jammed = replace(world.report(world.spots[1]), is_locked=False)
    for _ in range(8):
        world.now_s += 0.1
        world.feed(replace(jammed, received_s=world.now_s))
    assert wait_of(world) is Wait.LOCK
    assert not world.drives[1].pilot.permit
    world.run(2.0)
    assert world.drives[1].is_relay_closed


def test_locked_while_it_may_charge_and_until_proven_open() -> None:
    board = make_board()
    world = World(replace(board, connector=(replace(board.connector[0], lock=Lock.SOLENOID),)))
    world.charge()
    assert world.drives[1].pilot.is_locked
    world.spots[1].is_welded = True
    world.wish(permission=False)
    world.spots[1].car = PilotState.B
    world.run(3.0)
    assert core.status(world.state, world.now_s).connectors[0].contactor is ContactorState.WELDED
    assert world.drives[1].pilot.is_locked
    world.spots[1].is_welded = False
    world.spots[1].contact_due_s = world.now_s
    world.run(0.2)
    assert world.drives[1].pilot.is_locked, "a weld keeps the cable until a person has looked"
    world.clear(FaultCode.CONTACTOR_WELDED)
    world.run(0.6)
    assert not world.drives[1].pilot.is_locked


def test_a_stuck_permit_is_not_taken_for_an_answer() -> None:
    """A co-processor that reports a permit nobody asked for does not get the relay closed."""
    world = ready()
    spot = world.spots[1]
    spot.car = PilotState.C
    for _ in range(30):
        world.now_s += 0.1
        world.feed(LinesRead(1, is_contactor_closed=False, is_rcm_tripped=False))
        world.speak()
        world.feed(replace(world.report(spot), received_s=world.now_s, is_permitted=True))
    assert not world.drives[1].is_relay_closed
    assert wait_of(world) is Wait.COPROCESSOR


def test_a_permit_that_does_not_come_is_asked_for_anew() -> None:
    world = ready()
    spot = world.spots[1]
    spot.refuses_permit = True
    spot.car = PilotState.C
    edges, was_permit = 0, False
    for _ in range(50):
        world.run(0.1)
        edges += world.drives[1].pilot.permit and not was_permit
        was_permit = world.drives[1].pilot.permit
    assert 3 <= edges <= 4
    assert not world.drives[1].is_relay_closed


@pytest.mark.parametrize(
    ("recent_s", "expected_s"),
    [
        ((), float("-inf")),
        ((100.0,), 110.0),
        ((10.0, 30.0, 50.0, 70.0, 90.0), 100.0),
        ((10.0, 30.0, 50.0, 70.0, 90.0, 110.0), 610.0),
        ((0.0, 10.0, 30.0, 50.0, 70.0, 90.0, 110.0), 610.0),
    ],
)
def test_wear_guard(recent_s: tuple[float, ...], expected_s: float) -> None:
    contactor = ContactorView(is_driven=False, driven_s=0.0, total=0, recent_s=recent_s)
    assert reclose_s(contactor, 10.0, 6) == expected_s


def test_wear_guard_is_shown_and_ends() -> None:
    world = World(make_board())
    world.charge()
    spot = world.spots[1]
    spot.car = PilotState.B
    world.run(0.5)
    spot.car = PilotState.C
    world.run(2.0)
    assert wait_of(world) is Wait.RECLOSE_GUARD
    world.run(8.0)
    assert world.drives[1].is_relay_closed


def test_reasons_come_in_the_order_of_the_contract() -> None:
    order = list(Wait)
    shown = [order.index(hold.wait) for hold in HOLDS[:-1]]
    assert shown == sorted(shown)


def test_no_reason_without_a_car_and_while_charging() -> None:
    world = World(make_board())
    world.connect()
    world.run(6.0)
    assert wait_of(world) is None
    world.charge()
    assert wait_of(world) is None
    assert world.state.connectors[0].sequence.state is SequenceState.CHARGING
