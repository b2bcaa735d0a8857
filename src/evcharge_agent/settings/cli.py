"""Commands about settings: `check-config`, `config schema`, `config get`, `config set`.

Exit codes: 0 done, 2 the file or the value is wrong. Talking to the running daemon is the caller's: it
hands in `request`, which raises an `EvchargeError` where the daemon refuses or does not answer.
"""

import argparse
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from evcharge_agent.settings import control
from evcharge_agent.settings.errors import ConfigurationError
from evcharge_agent.settings.instrument_sections import AUTO_MAP, MeterKind, MeterRole
from evcharge_agent.settings.loader import SIMULATED_BOARD, check_tables, named_board, split_file
from evcharge_agent.settings.schema import json_schema
from evcharge_agent.settings.sections import Settings
from evcharge_hal.boards.board import Board
from evcharge_hal.boards.loader import build_board
from evcharge_hal.contract.errors import EvchargeError, InvalidFieldError
from evcharge_hal.contract.schema import decode
from evcharge_hal.instruments.registers import load_map

OK = 0
WRONG = 2

Request = Callable[[str, Mapping[str, Any]], Mapping[str, Any]]
"""Sends a verb and its arguments to the daemon and returns the answer."""


class _Subparsers(Protocol):
    def add_parser(self, name: str, **kwargs: Any) -> argparse.ArgumentParser: ...


def add_parsers(subparsers: _Subparsers, request: Request) -> None:
    """Add the commands; each parser's `handler` default takes the arguments and returns an exit code."""
    check = subparsers.add_parser("check-config", help="check a configuration file and say what is wrong with it")
    check.add_argument("file", type=Path)
    check.set_defaults(handler=lambda arguments: check_config(arguments.file))

    config = subparsers.add_parser("config", help="show and change settings")
    verbs = config.add_subparsers(dest="verb", required=True, metavar="VERB")
    schema = verbs.add_parser("schema", help="print the JSON schema of the configuration file")
    schema.set_defaults(handler=lambda _: print_schema())
    get = verbs.add_parser("get", help="show one setting of the running charger, or all")
    get.add_argument("name", nargs="?")
    get.add_argument("--json", action="store_true", help="print one JSON object")
    get.set_defaults(handler=lambda arguments: print_settings(request, arguments.name, as_json=arguments.json))
    reset = verbs.add_parser("reset-keys", help="put the OCPP keys of the running charger back to its file's values")
    reset.add_argument("--json", action="store_true", help="print one JSON object")
    reset.set_defaults(handler=lambda arguments: reset_keys(request, as_json=arguments.json))
    put = verbs.add_parser("set", help="change a setting of the running charger")
    put.add_argument("name")
    put.add_argument("value")
    put.add_argument("--json", action="store_true", help="print one JSON object")
    put.set_defaults(
        handler=lambda arguments: change_setting(request, arguments.name, arguments.value, as_json=arguments.json)
    )


def check_config(path: Path) -> int:
    """Check a file of the agent, of the guard, or one that holds everything."""
    problems, notes = find_problems(path)
    if problems:
        return _refuse("\n".join(problems))
    _say("".join(f"{path}: note: {note}\n" for note in notes) + f"{path}: ok")
    return OK


def find_problems(path: Path) -> tuple[list[str], tuple[str, ...]]:
    """Everything that is wrong with a file, and what should be said of one that is right."""
    problems: list[str] = []
    notes: tuple[str, ...] = ()
    settings = Settings()
    try:
        agent, board, sim = split_file(path)
    except ConfigurationError as error:
        return [str(error)], notes
    try:
        # A file without any table of the board says nothing of it; only then nothing can be checked.
        checked = check_tables(agent, str(path), named_board(board) or (SIMULATED_BOARD if board else None))
        notes = (*checked.notes, *unmetered_notes(checked.settings))
        problems += [f"{path}: {problem}" for problem in file_problems(checked.settings)]
        settings = checked.settings
    except ConfigurationError as error:
        problems.append(str(error))
    try:
        # The world is wired to the board, so a [sim] table is checked against the board beside it.
        if board or sim:
            built = build_board(board, path)
            # The agent's own file says nothing of the board it will run on.
            on_board = board_problems(settings, built) if board else []
            problems += [f"{path}: {problem}" for problem in on_board]
            check_world(sim.get("sim", {}), built, path.parent)
    except InvalidFieldError as error:
        problems.append(f"{path}: {error}")
    except EvchargeError as error:
        problems.append(str(error))
    return problems, notes


def unmetered_notes(settings: Settings) -> list[str]:
    """Connectors a card can start although nothing measures what it takes."""
    metered = {meter.connector for meter in settings.meter if meter.role is MeterRole.SESSION}
    return [
        f"reader[{index}].connectors: connector {connector} has no session meter, so no session can start on it"
        for index, reader in enumerate(settings.reader)
        for connector in reader.connectors
        if connector not in metered
    ]


def board_problems(settings: Settings, board: Board) -> list[InvalidFieldError]:
    """Meters and readers of connectors the board does not have."""
    there = {section.id for section in board.connector}
    allowed = "a connector of the board: " + ", ".join(str(number) for number in sorted(there))
    wanted = [(f"meter[{index}].connector", meter.connector) for index, meter in enumerate(settings.meter)]
    for index, reader in enumerate(settings.reader):
        wanted += [(f"reader[{index}].connectors", connector) for connector in reader.connectors]
    return [InvalidFieldError(name, connector, allowed) for name, connector in wanted if connector not in there]


def file_problems(settings: Settings) -> list[InvalidFieldError]:
    """Files the settings name and nobody can read: register maps, roots."""
    problems = []
    ca_file = settings.ocpp.ca_file
    if ca_file is not None and not Path(ca_file).is_file():
        problems.append(InvalidFieldError("ocpp.ca_file", ca_file, "a file that is there"))
    for index, meter in enumerate(settings.meter):
        if meter.map == AUTO_MAP or meter.kind not in (MeterKind.MODBUS_TCP, MeterKind.MODBUS_RTU):
            continue
        try:
            load_map(meter.map)
        except InvalidFieldError as error:
            problems.append(
                InvalidFieldError(f"meter[{index}].{error.path}", error.value, error.allowed, error.nearest)
            )
    return problems


def check_world(table: object, board: Board, directory: Path) -> None:
    """Check the `[sim]` table; file names in it are relative to `directory`.

    Raises:
        InvalidFieldError: the first thing that does not fit.
    """
    # Only this command reads the simulator's declarations; the daemon never loads them.
    from evcharge_hal.sim.config import SimConfig, check_meters  # noqa: PLC0415

    config = decode(SimConfig, table, "sim")
    check_meters(config, board)
    if config.house is not None and not (directory / config.house).is_file():
        raise InvalidFieldError("sim.house", config.house, "a file that is there, relative to this one")


def print_schema() -> int:
    """Print the JSON schema of the file."""
    _say(json.dumps(json_schema(), indent=2, ensure_ascii=False))
    return OK


def print_settings(request: Request, name: str | None, *, as_json: bool) -> int:
    """Print one setting of the running daemon, or all."""
    values: Mapping[str, str] = request(control.GET, {} if name is None else {"name": name})["values"]
    if as_json:
        _say(json.dumps(dict(values), ensure_ascii=False))
    elif name is not None:
        _say(values[name])
    else:
        _say("\n".join(f"{path} = {value}" for path, value in values.items()))
    return OK


def change_setting(request: Request, name: str, value: str, *, as_json: bool) -> int:
    """Change a setting of the running daemon."""
    answer = request(control.SET, {"name": name, "value": value})
    if as_json:
        _say(json.dumps(dict(answer), ensure_ascii=False))
    else:
        when = "acts now" if answer["applies"] == "live" else "acts after a restart"
        _say(f"{name} = {answer['value']} ({when})")
    return OK


def reset_keys(request: Request, *, as_json: bool) -> int:
    """Put the OCPP keys of the running daemon back."""
    answer = request(control.RESET_KEYS, {})
    if as_json:
        _say(json.dumps(dict(answer), ensure_ascii=False))
    else:
        _say("\n".join(answer["reset"]) or "no key was changed")
    return OK


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")


def _refuse(text: str) -> int:
    sys.stderr.write(text + "\n")
    return WRONG
