"""An agent can keep a plug locked without letting energy flow, for as long as its word counts."""

from dataclasses import replace

from evcharge_hal.boards.board import Lock
from evcharge_hal.contract.pilot import PilotState
from tests.support.guard_world import World, make_board


def test_a_plug_that_is_kept_stays_locked_until_the_agent_lets_it_go() -> None:
    world = World(make_board(lock=Lock.MOTOR))
    world.charge()
    world.wish(permission=False)
    spot = world.spots[1]
    assert spot.set_point is not None
    spot.set_point = replace(spot.set_point, is_plug_kept=True)
    spot.car = PilotState.B
    world.run(30.0)
    assert not world.drives[1].is_relay_closed
    assert world.drives[1].pilot.is_locked
    spot.set_point = replace(spot.set_point, is_plug_kept=False)
    world.run(2.0)
    assert not world.drives[1].pilot.is_locked


def test_an_agent_that_has_gone_keeps_nobody_for_ever() -> None:
    world = World(make_board(lock=Lock.MOTOR))
    world.charge()
    world.wish(permission=False, hold_s=20.0)
    spot = world.spots[1]
    assert spot.set_point is not None
    spot.set_point = replace(spot.set_point, is_plug_kept=True)
    spot.car = PilotState.B
    world.run(3.0)
    assert world.drives[1].pilot.is_locked
    spot.is_agent_silent = True
    world.run(130.0)
    assert not world.drives[1].pilot.is_locked
