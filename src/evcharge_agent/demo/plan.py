"""From one combined file to what each of the three processes gets."""

import tomllib
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from evcharge_agent.demo.simulation import Plan
from evcharge_agent.settings.cli import find_problems
from evcharge_agent.settings.loader import SIMULATED_BOARD, named_board, split_file
from evcharge_hal.contract.errors import EvchargeError


class UnusableFileError(EvchargeError):
    """The file cannot be simulated; the text lists every problem."""


def plan_from_file(path: Path) -> Plan:
    """Split and check a combined file.

    Raises:
        UnusableFileError: something in it is wrong, or it is for real hardware.
    """
    problems, _ = find_problems(path)
    if problems:
        raise UnusableFileError("\n".join(problems))
    agent, board, sim = split_file(path)
    name = named_board(board) or SIMULATED_BOARD
    if name != SIMULATED_BOARD:
        raise UnusableFileError(f"{path}: board.name = {name!r}: allowed: 'sim'; `simulate` never drives a real board")
    board = {**board, "board": {**board.get("board", {}), "name": name}}
    return make_plan(agent, board, _with_absolute_house(sim, path))


def demo_plan(url: str, speed: float) -> Plan:
    """The demo's own file, with the embedded central system's address."""
    tables = tomllib.loads(resources.files("evcharge_agent.demo").joinpath("demo.toml").read_text())
    board = {"board": tables.pop("board")}
    tables["ocpp"] = {**tables["ocpp"], "url": url}
    return make_plan(tables, board, {"sim": {"speed": speed}})


def make_plan(agent: Mapping[str, Any], board: Mapping[str, Any], sim: Mapping[str, Any]) -> Plan:
    """Give the world a meter for each one the agent reads, unless the file lists the world's own."""
    world = dict(sim.get("sim", {}))
    world.setdefault("meters", [_world_meter(meter) for meter in agent.get("meter", [])])
    return Plan(agent, board, {"sim": world})


def _with_absolute_house(sim: Mapping[str, Any], path: Path) -> Mapping[str, Any]:
    """The world gets a copy of the file in another directory; a relative name means one beside the original."""
    table = sim.get("sim", {})
    house = table.get("house")
    return {"sim": {**table, "house": str(path.resolve().parent / house)}} if isinstance(house, str) else sim


def _world_meter(meter: Mapping[str, Any]) -> dict[str, Any]:
    names = ("name", "role", "connector", "map", "port", "unit")
    return {"role": "session", "connector": 1, **{name: meter[name] for name in names if name in meter}}
