import pytest

from evcharge_hal.boards.board import Rotation
from evcharge_hal.contract.errors import InvalidFieldError
from evcharge_hal.contract.units import PerPhase
from evcharge_hal.sim.plant.site import (
    HouseLoad,
    grid_frequency_hz,
    grid_voltage_v,
    parse_profile,
    to_charger,
    to_grid,
)

HEADER = "time_s,l1_a,l2_a,l3_a,pv_w\n"


def test_each_row_of_a_profile_holds_until_the_next():
    profile = parse_profile(HEADER + "0,1,2,3,0\n60,4,5,6,700\n")
    first, second = HouseLoad(PerPhase(1.0, 2.0, 3.0), 0.0), HouseLoad(PerPhase(4.0, 5.0, 6.0), 700.0)
    assert [profile.at(time_s) for time_s in (0.0, 59.9, 60.0, 1e6)] == [first, first, second, second]


def test_before_the_first_row_the_first_row_counts():
    assert parse_profile(HEADER + "10,1,1,1,0\n").at(0.0).load_a == PerPhase.uniform(1.0)


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("", "house.columns"),
        ("time_s,l1_a\n0,1\n", "house.columns"),
        (HEADER, "house"),
        (HEADER + "0,1,2,x,0\n", "house.line[2].l3_a"),
        (HEADER + "0,1,2\n", "house.line[2].l3_a"),
        (HEADER + "0,1,2,nan,0\n", "house.line[2].l3_a"),
        (HEADER + "0,1,2,-3,0\n", "house.line[2].l3_a"),
        (HEADER + "0,1,1,1,0\n0,1,1,1,0\n", "house.line[3].time_s"),
    ],
)
def test_a_bad_profile_is_refused_by_line_and_column(text, path):
    with pytest.raises(InvalidFieldError) as refusal:
        parse_profile(text)
    assert refusal.value.path == path


@pytest.mark.parametrize("rotation", Rotation)
def test_rotation_to_the_charger_and_back_changes_nothing(rotation):
    grid = PerPhase(1.0, 2.0, 3.0)
    assert to_grid(to_charger(grid, rotation), rotation) == grid


def test_rotation_names_the_grid_phase_on_each_terminal():
    grid = PerPhase(10.0, 20.0, 30.0)
    assert to_charger(grid, Rotation.STR) == PerPhase(20.0, 30.0, 10.0)
    assert to_grid(PerPhase(16.0, 0.0, 0.0), Rotation.STR) == PerPhase(0.0, 16.0, 0.0)


def test_the_grid_is_never_still_and_never_far_off():
    idle = PerPhase.uniform(0.0)
    volts = [grid_voltage_v(230.0, idle, time_s) for time_s in range(60)]
    assert len({each.l1 for each in volts}) > 10
    assert all(229.5 < phase < 230.5 for each in volts for phase in (each.l1, each.l2, each.l3))
    assert grid_voltage_v(230.0, PerPhase.uniform(100.0), 0.0).l1 < grid_voltage_v(230.0, idle, 0.0).l1 - 4.0
    assert all(49.9 < grid_frequency_hz(time_s) < 50.1 for time_s in range(60))
