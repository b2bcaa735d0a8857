"""Limits of the guard as tables: cable, temperature, shared supply, and the offer that follows."""

from dataclasses import replace

import pytest

from evcharge_hal.boards.board import Cable, Thresholds
from evcharge_hal.contract.channel import CeilingSource
from evcharge_hal.contract.pilot import PilotState
from evcharge_hal.guard import core
from evcharge_hal.guard.ceilings import apply_offer, derate_a, find_cable_a
from evcharge_hal.guard.state import OfferView
from tests.support.guard_world import World, make_board


@pytest.mark.parametrize(
    ("pp_ohm", "expected_a"),
    [
        (None, None),
        (float("nan"), None),
        (0.0, None),
        (74.9, None),
        (75.0, 63.0),
        (100.0, 63.0),
        (150.0, 32.0),
        (220.0, 32.0),
        (330.0, 20.0),
        (680.0, 20.0),
        (1000.0, 13.0),
        (1500.0, 13.0),
        (2200.0, None),
        (1e9, None),
    ],
)
def test_proximity_table(pp_ohm: float | None, expected_a: float | None) -> None:
    assert find_cable_a(pp_ohm, Thresholds()) == expected_a


@pytest.mark.parametrize(
    ("temperature_c", "expected_a"),
    [(-20.0, 32.0), (60.0, 32.0), (61.0, 26.8), (62.5, 19.0), (64.0, 11.2), (65.0, 6.0), (90.0, 6.0)],
)
def test_derating_is_linear_from_60_to_65_c(temperature_c: float, expected_a: float) -> None:
    assert derate_a(temperature_c, 32.0, Thresholds()) == pytest.approx(expected_a)


def test_swapped_thresholds_do_not_divide_by_zero() -> None:
    assert derate_a(62.0, 32.0, Thresholds(derate_from_c=62.0, stop_at_c=62.0)) == 32.0
    assert derate_a(62.1, 32.0, Thresholds(derate_from_c=62.0, stop_at_c=62.0)) == 6.0


@pytest.mark.parametrize(("pp_ohm", "is_present"), [(None, False), (220.0, True), (40.0, True), (5000.0, False)])
def test_a_cable_in_the_socket_is_told_with_or_without_a_car(pp_ohm: float | None, is_present: bool) -> None:
    world = World(make_board())
    assert core.status(world.state, world.now_s).connectors[0].is_cable_present is None
    world.connect()
    for car in (PilotState.A, PilotState.B):
        world.feed(replace(world.report(world.spots[1]), state=car, pp_ohm=pp_ohm))
        assert core.status(world.state, world.now_s).connectors[0].is_cable_present is is_present


def test_nobody_asks_for_a_fixed_cable() -> None:
    world = World(make_board(cable=Cable.FIXED))
    world.connect()
    world.feed(replace(world.report(world.spots[1]), pp_ohm=220.0))
    assert core.status(world.state, world.now_s).connectors[0].is_cable_present is None


def ceilings_of(world: World, number: int = 1) -> dict[CeilingSource, float]:
    status = core.status(world.state, world.now_s).connectors[number - 1]
    return {ceiling.source: ceiling.limit_a for ceiling in status.ceilings}


def test_chain_of_a_plugged_socket() -> None:
    world = World(make_board())
    world.spots[1].pp_ohm = 680.0
    world.connect()
    world.plug()
    world.run(0.3)
    assert ceilings_of(world) == {
        CeilingSource.RATING: 32.0,
        CeilingSource.CABLE: 20.0,
        CeilingSource.COPROCESSOR: 32.0,
    }


def test_fixed_cable_ignores_the_resistor() -> None:
    board = make_board(cable=Cable.FIXED)
    section = replace(board.connector[0], cable_a=25.0)
    world = World(replace(board, connector=(section,)))
    world.spots[1].pp_ohm = 40.0
    world.charge(offer_a=32.0)
    assert ceilings_of(world)[CeilingSource.CABLE] == 25.0
    assert world.drives[1].pilot.limit_a == 25.0


@pytest.mark.parametrize(
    ("temperature_c", "offer_a"), [(25.0, 32.0), (62.0, 21.6), (64.9, 6.5), (None, 10.0), (400.0, 10.0)]
)
def test_temperature_lowers_the_offer_at_once(temperature_c: float | None, offer_a: float) -> None:
    world = World(make_board())
    world.charge(offer_a=32.0)
    world.spots[1].temperature_c = temperature_c
    world.run(0.2)
    assert world.drives[1].pilot.limit_a == pytest.approx(offer_a)
    assert world.drives[1].is_relay_closed


@pytest.mark.parametrize(
    ("wish_a", "offer_a"), [(0.0, 0.0), (5.99, 0.0), (6.0, 6.0), (6.19, 6.1), (16.0, 16.0), (63.0, 32.0)]
)
def test_offer_is_quantised_down_and_never_between_0_and_6_a(wish_a: float, offer_a: float) -> None:
    world = World(make_board())
    world.connect()
    world.plug()
    world.run(4.0)
    world.wish(offer_a=wish_a)
    world.run(1.0)
    assert world.drives[1].pilot.limit_a == pytest.approx(offer_a)


def test_cuts_are_immediate_and_raises_5_s_apart() -> None:
    world = World(make_board())
    world.charge(offer_a=16.0)
    world.wish(offer_a=10.0)
    assert world.drives[1].pilot.limit_a == 10.0
    world.wish(offer_a=12.0)
    assert world.drives[1].pilot.limit_a == 12.0
    world.wish(offer_a=20.0)
    assert world.drives[1].pilot.limit_a == 12.0
    world.run(4.9)
    assert world.drives[1].pilot.limit_a == 12.0
    world.run(0.2)
    assert world.drives[1].pilot.limit_a == 20.0


def test_a_pause_keeps_x1_for_3_s() -> None:
    world = World(make_board())
    world.connect()
    world.plug()
    world.run(4.0)
    world.wish(offer_a=16.0)
    world.run(6.0)
    world.wish(offer_a=0.0)
    world.wish(offer_a=16.0)
    world.run(2.9)
    assert world.drives[1].pilot.limit_a == 0.0
    world.run(0.2)
    assert world.drives[1].pilot.limit_a == 16.0


# --- shared supply --------------------------------------------------------------------------------------------


def offers(world: World) -> list[float]:
    return [drive.pilot.limit_a for _, drive in sorted(world.drives.items())]


@pytest.mark.parametrize(
    ("supply_a", "first_a", "second_a", "expected"),
    [
        (32.0, 32.0, 32.0, [16.0, 16.0]),
        (32.0, 32.0, 10.0, [22.0, 10.0]),
        (32.0, 8.0, 32.0, [8.0, 24.0]),
        (20.0, 32.0, 32.0, [10.0, 10.0]),
        (64.0, 32.0, 32.0, [32.0, 32.0]),
        (11.0, 32.0, 32.0, [11.0, 0.0]),
    ],
)
def test_two_cars_share_the_supply(supply_a: float, first_a: float, second_a: float, expected: list[float]) -> None:
    world = World(make_board(2, supply_a=supply_a))
    world.charge(1, offer_a=first_a)
    world.plug(2)
    world.run(1.0)
    world.wish(2, second_a)
    world.run(15.0)
    assert offers(world) == expected


def test_a_raise_waits_until_the_other_car_has_had_time_to_follow_its_cut() -> None:
    world = World(make_board(2, supply_a=32.0))
    world.charge(1, offer_a=32.0)
    world.plug(2)
    world.run(5.0)
    world.wish(2, 32.0)
    assert offers(world) == [16.0, 0.0]
    world.run(4.9)
    assert offers(world) == [16.0, 0.0]
    world.run(0.3)
    assert offers(world) == [16.0, 16.0]


def test_what_one_leaves_the_other_takes() -> None:
    world = World(make_board(2, supply_a=32.0))
    world.charge(1, offer_a=32.0)
    world.charge(2, offer_a=32.0)
    assert offers(world) == [16.0, 16.0]
    world.spots[1].car = PilotState.A
    world.run(0.2)
    assert offers(world) == [0.0, 16.0]
    world.run(6.0)
    assert offers(world) == [0.0, 32.0]


def test_without_a_shared_supply_nothing_is_shared() -> None:
    world = World(make_board(2))
    world.charge(1, offer_a=32.0)
    world.charge(2, offer_a=32.0)
    assert offers(world) == [32.0, 32.0]
    assert CeilingSource.SUPPLY not in ceilings_of(world)


def test_the_peak_outlives_two_cuts() -> None:
    offer = apply_offer(OfferView(x1_since_s=0.0), 32.0, 10.0)
    offer = apply_offer(offer, 16.0, 20.0)
    offer = apply_offer(offer, 8.0, 22.0)
    assert (offer.peak_a, offer.peak_until_s) == (32.0, 27.0)
