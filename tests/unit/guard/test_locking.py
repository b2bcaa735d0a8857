"""The connector lock: closed before the contactor, opened only when nothing can flow, tried again, given back."""

import itertools

import pytest

from evcharge_hal.boards.board import Lock
from evcharge_hal.contract.channel import ConnectorStatus, EventKind, Reply, UnlockOutcome, Wait
from evcharge_hal.contract.faults import FaultCode
from evcharge_hal.contract.pilot import PilotState
from evcharge_hal.guard import core
from evcharge_hal.guard.effects import Record
from evcharge_hal.guard.events import LeaveOrdered
from tests.support.guard_world import World, make_board


def locked_world(lock: Lock = Lock.MOTOR) -> World:
    return World(make_board(lock=lock))


def charging() -> World:
    world = locked_world()
    world.charge()
    return world


def is_driven(world: World) -> bool:
    return world.drives[1].pilot.is_locked


def outcome(world: World) -> tuple[bool, str] | None:
    """The last reply, if there is one."""
    replies = [effect for _, effect in world.effects if isinstance(effect, Reply)]
    return (replies[-1].is_accepted, replies[-1].reason) if replies else None


def status(world: World) -> ConnectorStatus:
    return core.status(world.state, world.now_s).connectors[0]


UNLOCKED = (True, UnlockOutcome.UNLOCKED.value)
FAILED = (False, UnlockOutcome.FAILED.value)


def test_it_is_locked_before_the_contactor_closes() -> None:
    world = charging()
    moments = [effect for _, effect in world.effects if hasattr(effect, "is_relay_closed")]
    first_closed = next(drive for drive in moments if drive.is_relay_closed)
    assert first_closed.pilot.is_locked
    assert status(world).is_locked is True


def test_a_board_without_a_lock_drives_none() -> None:
    world = World(make_board())
    world.charge()
    assert not is_driven(world)
    assert status(world).is_locked is None
    world.unlock()
    assert outcome(world) == (False, UnlockOutcome.NOT_SUPPORTED.value)
    assert world.drives[1].is_relay_closed


def test_after_the_session_it_opens_half_a_second_after_the_contactor() -> None:
    world = charging()
    world.wish(permission=False)
    world.run(1.0)
    assert world.drives[1].is_relay_closed, "the car has not let go yet"
    assert is_driven(world)
    world.spots[1].car = PilotState.B
    world.run(0.4)
    assert not world.drives[1].is_relay_closed
    assert is_driven(world)
    world.run(0.4)
    assert not is_driven(world)


def test_a_guard_that_starts_holds_the_plug_until_the_outlet_is_proven_dead() -> None:
    world = charging()
    world.restart_guard()
    world.connect()
    assert is_driven(world)
    world.run(0.4)
    assert is_driven(world)
    world.spots[1].set_point = None
    world.run(1.0)
    assert not is_driven(world)


def test_a_lock_that_does_not_close_is_tried_again_then_jammed_and_nothing_is_closed() -> None:
    world = locked_world()
    world.connect()
    world.run(6.0)
    world.spots[1].is_lock_jammed = True
    world.plug()
    world.run(2.0)
    world.wish()
    world.run(1.0)
    assert status(world).wait is Wait.LOCK
    world.run(4.0)
    turns = [effect.pilot.is_locked for _, effect in world.effects if hasattr(effect, "is_relay_closed")]
    assert sum(new and not old for old, new in itertools.pairwise(turns)) == 3, "three tries"
    assert FaultCode.LOCK_JAM in status(world).faults
    world.spots[1].car = PilotState.C
    world.run(20.0)
    assert EventKind.CONTACTOR_CLOSED not in [effect.kind for _, effect in world.effects if isinstance(effect, Record)]
    world.spots[1].is_lock_jammed = False
    world.run(5.0)
    assert FaultCode.LOCK_JAM in status(world).faults, "until the plug is out"
    world.spots[1].car = PilotState.A
    world.run(0.5)
    assert status(world).faults == frozenset()


def test_a_lock_that_closes_at_the_second_try_is_no_fault() -> None:
    world = locked_world()
    world.connect()
    world.run(2.0)
    world.spots[1].is_lock_jammed = True
    world.plug()
    world.run(0.5)
    world.wish()
    world.run(1.2)
    world.spots[1].is_lock_jammed = False
    world.run(12.0)
    world.spots[1].car = PilotState.C
    world.run(4.0)
    assert world.drives[1].is_relay_closed
    assert status(world).faults == frozenset()


def test_a_lock_that_is_lost_under_load_opens_the_contactor() -> None:
    world = charging()
    world.spots[1].is_lock_jammed, world.spots[1].is_locked = True, False
    world.run(1.3)
    assert not world.drives[1].is_relay_closed
    assert FaultCode.LOCK_JAM in status(world).faults


@pytest.mark.parametrize("lock", [Lock.SOLENOID, Lock.MOTOR])
def test_an_empty_or_waiting_connector_is_unlocked_on_demand(lock: Lock) -> None:
    world = locked_world(lock)
    world.connect()
    world.run(2.0)
    world.unlock()
    world.run(0.3)
    assert outcome(world) == UNLOCKED
    world.plug()
    world.run(1.0)
    world.unlock()
    world.run(0.3)
    assert outcome(world) == UNLOCKED


def test_a_session_is_not_unlocked_under_the_car() -> None:
    world = charging()
    world.unlock()
    assert outcome(world) == FAILED
    assert world.drives[1].is_relay_closed
    assert is_driven(world)


def test_right_after_a_session_the_answer_comes_when_the_plug_is_free() -> None:
    world = charging()
    world.wish(permission=False)
    world.spots[1].car = PilotState.B
    world.run(0.3)
    world.unlock()
    assert outcome(world) is None
    world.run(0.6)
    assert outcome(world) == UNLOCKED


def test_a_lock_that_does_not_open_is_said_to_have_failed() -> None:
    world = charging()
    world.spots[1].is_lock_jammed = True
    world.wish(permission=False)
    world.spots[1].car = PilotState.B
    world.run(1.0)
    world.unlock()
    world.run(2.5)
    assert outcome(world) is None
    world.run(1.0)
    assert outcome(world) == FAILED


def test_a_lock_that_does_not_open_is_a_warning_until_it_does_and_stops_nobody() -> None:
    world = charging()
    world.spots[1].is_lock_jammed = True
    world.wish(permission=False)
    world.spots[1].car = PilotState.B
    world.run(1.0)
    assert status(world).faults == frozenset()
    world.run(1.0)
    assert status(world).faults == {FaultCode.LOCK_STUCK}
    world.wish()
    world.run(12.0)
    world.spots[1].car = PilotState.C
    world.run(4.0)
    assert world.drives[1].is_relay_closed, "the plug is held, which is all that charging needs"
    assert status(world).faults == frozenset()
    world.wish(permission=False)
    world.spots[1].car = PilotState.B
    world.run(2.0)
    assert status(world).faults == {FaultCode.LOCK_STUCK}
    world.spots[1].is_lock_jammed = False
    world.run(0.2)
    assert status(world).faults == frozenset()


def test_a_lock_is_not_stuck_before_a_co_processor_that_was_away_can_have_opened_it() -> None:
    world = charging()
    world.wish(permission=False)
    world.spots[1].car = PilotState.B
    world.disconnect()
    world.run(10.0)
    world.effects.clear()
    world.connect()
    world.run(3.0)
    assert not [one for _, one in world.effects if isinstance(one, Record) and one.fault is FaultCode.LOCK_STUCK]


def test_a_second_order_takes_over_and_the_first_is_answered() -> None:
    world = charging()
    world.wish(permission=False)
    world.spots[1].car = PilotState.B
    world.run(0.2)
    world.unlock()
    world.unlock()
    world.run(1.0)
    answers = [effect.is_accepted for _, effect in world.effects if isinstance(effect, Reply)]
    assert answers == [False, True]


def test_a_weld_keeps_the_plug_whatever_is_asked() -> None:
    world = charging()
    world.spots[1].is_welded = True
    world.wish(permission=False)
    world.spots[1].car = PilotState.B
    world.run(3.0)
    world.unlock()
    assert outcome(world) == FAILED
    assert is_driven(world)


def test_a_hard_reset_lets_the_plug_go_in_order() -> None:
    world = charging()
    world.feed(LeaveOrdered())
    world.run(2.0)
    assert is_driven(world)
    world.spots[1].car = PilotState.B
    world.run(1.0)
    assert not is_driven(world)
