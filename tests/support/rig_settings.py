"""The settings both rigs charge with: the demo's, with a short sample interval."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from evcharge_hal.boards.board import Board
from evcharge_hal.boards.loader import build_board

RIG_SETTINGS: dict[str, Any] = {
    "station": {"vendor": "evcharge", "model": "rig", "serial": "RIG-1"},
    "ocpp": {
        "url": "ws://central.invalid/ocpp",
        "reconnect_max_s": 5,
        "keys": {"MeterValueSampleInterval": 3, "ConnectionTimeOut": 60},
    },
    "meter": [
        {"name": "meter-1", "role": "session", "connector": 1, "map": "sdm630"},
        {"name": "meter-2", "role": "session", "connector": 2, "map": "sdm630"},
    ],
    "reader": [{"name": "reader", "kind": "sim", "connectors": [1, 2]}],
}

LOCKED_SETTINGS: dict[str, Any] = {
    **RIG_SETTINGS,
    "connector": [{"id": 1, "lock": "solenoid"}, {"id": 2, "lock": "solenoid"}],
}
"""The same with sockets that hold the plug, as a combined file would say it."""


def settings_for(scenario: Callable[..., object]) -> dict[str, Any]:
    """What a scenario runs with: it asks for locks by an attribute `has_locks`."""
    return LOCKED_SETTINGS if getattr(scenario, "has_locks", False) else RIG_SETTINGS


def split_tables(settings: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The agent's tables and the board's of a combined file."""
    agent = {key: table for key, table in settings.items() if key != "connector"}
    board: dict[str, Any] = {"board": {"name": "sim"}}
    return agent, board | ({"connector": settings["connector"]} if "connector" in settings else {})


def split_board(settings: Mapping[str, Any]) -> tuple[dict[str, Any], Board]:
    """The same with the board as it is then built."""
    agent, board = split_tables(settings)
    return agent, build_board(board, Path("rig"))
