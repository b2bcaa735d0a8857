"""The house: grid voltages, other loads, the sun."""

import bisect
import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass

from evcharge_hal.boards.board import Rotation
from evcharge_hal.contract.errors import InvalidFieldError
from evcharge_hal.contract.units import PerPhase

NOMINAL_HZ = 50.0

_SOURCE_OHM = 0.05
"""Of the supply up to the main board: voltage falls a little under load."""
_WOBBLE_V = 0.4
_WOBBLE_HZ = 0.006
_WOBBLE_S = 17.0
"""Slow and regular, so that a live meter is never mistaken for a frozen one."""

_COLUMNS = ("time_s", "l1_a", "l2_a", "l3_a", "pv_w")
_MOST = 1e6


@dataclass(frozen=True, slots=True)
class HouseLoad:
    """What everything but the chargers does."""

    load_a: PerPhase = PerPhase(0.0, 0.0, 0.0)
    pv_w: float = 0.0
    """Produced by the sun, spread evenly over the phases."""


@dataclass(frozen=True, slots=True)
class HouseProfile:
    """Loads over time; each row holds until the next, the last one for ever."""

    times_s: Sequence[float]
    loads: Sequence[HouseLoad]

    def at(self, time_s: float) -> HouseLoad:
        """Load at `time_s` after the start of the world."""
        return self.loads[max(0, bisect.bisect_right(self.times_s, time_s) - 1)]


def parse_profile(text: str) -> HouseProfile:
    """Read a CSV with the columns time_s, l1_a, l2_a, l3_a, pv_w.

    Raises:
        InvalidFieldError: a column is missing, a value is no number, or time does not rise.
    """
    rows = csv.DictReader(io.StringIO(text))
    if tuple(rows.fieldnames or ()) != _COLUMNS:
        raise InvalidFieldError("house.columns", rows.fieldnames, "the columns " + ",".join(_COLUMNS))
    times_s: list[float] = []
    loads: list[HouseLoad] = []
    for number, row in enumerate(rows, start=2):
        time_s, l1_a, l2_a, l3_a, pv_w = (_number(row[name], f"house.line[{number}].{name}") for name in _COLUMNS)
        if times_s and time_s <= times_s[-1]:
            raise InvalidFieldError(f"house.line[{number}].time_s", time_s, f"a number above {times_s[-1]:g} s")
        times_s.append(time_s)
        loads.append(HouseLoad(PerPhase(l1_a, l2_a, l3_a), pv_w))
    if not times_s:
        raise InvalidFieldError("house", "no rows", "at least one row below the column names")
    return HouseProfile(times_s, loads)


def _number(text: str | None, path: str) -> float:
    try:
        value = float(text or "")
    except ValueError:
        value = math.nan
    if not 0.0 <= value <= _MOST:
        raise InvalidFieldError(path, text, f"a number from 0 to {_MOST:g}")
    return value


def grid_voltage_v(nominal_v: float, current_a: PerPhase, now_s: float) -> PerPhase:
    """Voltage of each grid phase under the given net load."""
    turn = math.tau * now_s / _WOBBLE_S
    third = math.tau / 3.0
    return PerPhase(
        nominal_v + _WOBBLE_V * math.sin(turn) - _SOURCE_OHM * current_a.l1,
        nominal_v + _WOBBLE_V * math.sin(turn + third) - _SOURCE_OHM * current_a.l2,
        nominal_v + _WOBBLE_V * math.sin(turn - third) - _SOURCE_OHM * current_a.l3,
    )


def grid_frequency_hz(now_s: float) -> float:
    """Frequency of the grid."""
    return NOMINAL_HZ + _WOBBLE_HZ * math.sin(math.tau * now_s / _WOBBLE_S)


def to_charger(grid: PerPhase, rotation: Rotation) -> PerPhase:
    """Grid phases as the charger's L1, L2, L3 see them."""
    if rotation is Rotation.RST:
        return grid
    by_name = {"R": grid.l1, "S": grid.l2, "T": grid.l3}
    return PerPhase(*(by_name[name] for name in rotation.value))


def to_grid(charger: PerPhase, rotation: Rotation) -> PerPhase:
    """The charger's L1, L2, L3 as they load the grid phases."""
    if rotation is Rotation.RST:
        return charger
    by_name = dict(zip(rotation.value, (charger.l1, charger.l2, charger.l3), strict=True))
    return PerPhase(by_name["R"], by_name["S"], by_name["T"])
