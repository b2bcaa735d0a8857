"""From a file to `Settings`: TOML in, frozen settings or a list of problems out."""

import copy
import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from evcharge_agent.settings.catalogue import Entry, ocpp_entries
from evcharge_agent.settings.declare import KeyAccess
from evcharge_agent.settings.errors import HIDDEN, ConfigurationError, explain, list_names, nearest_name, sounds_secret
from evcharge_agent.settings.file_sections import PROTOCOLS
from evcharge_agent.settings.planned import take_planned
from evcharge_agent.settings.sections import Settings
from evcharge_hal.boards.board import Board
from evcharge_hal.contract.errors import InvalidFieldError

MAX_FILE_BYTES = 1_000_000
SIMULATED_BOARD = "sim"
BOARD_TABLES = frozenset(field.name for field in fields(Board))
SIM_TABLES = frozenset({"sim"})
_SIMULATED_DEFAULTS: Mapping[str, Mapping[str, object]] = {
    "files": {"protocols": PROTOCOLS, "allow_hosts": ("localhost", "127.0.0.0/8", "::1")},
    "firmware": {"installer": "simulated", "allow_unsigned": True},
}
"""What stands there on the simulated board, if the file says nothing: tests and demos need no certificates."""

Tables = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Checked:
    """The agent's settings and what should be said about them."""

    settings: Settings
    notes: tuple[str, ...]


def load(path: Path | None, board_name: str | None = None) -> Settings:
    """Read the agent's settings; tables of the guard and the simulator are left to them.

    Without a path the defaults are used. `board_name` is the board the guard runs where the file does not
    name one; read-only OCPP keys may be given on the simulated board only.

    Raises:
        ConfigurationError: the file cannot be read or used; it lists every problem.
    """
    if path is None:
        return Settings()
    agent, board, _ = split_file(path)
    return check_tables(agent, str(path), board_name or named_board(board)).settings


def split_file(path: Path) -> tuple[Tables, Tables, Tables]:
    """Split a combined file into the tables of the agent, the guard's board and the simulator.

    Raises:
        ConfigurationError: the file cannot be read or is not TOML.
    """
    tables = _read_toml(path)
    board = {name: value for name, value in tables.items() if name in BOARD_TABLES}
    sim = {name: value for name, value in tables.items() if name in SIM_TABLES}
    agent = {name: value for name, value in tables.items() if name not in board and name not in sim}
    return agent, board, sim


def named_board(board: Mapping[str, Any]) -> str | None:
    """The board's name where the file has one."""
    table = board.get("board")
    name = table.get("name") if isinstance(table, Mapping) else None
    return name if isinstance(name, str) else None


def check_tables(agent: Mapping[str, Any], source: str, board_name: str | None) -> Checked:
    """Build the settings from the agent's tables.

    Raises:
        ConfigurationError: a name or value does not fit; it lists every problem.
    """
    data = copy.deepcopy(dict(agent))
    problems, notes = take_planned(data)
    is_simulated = board_name == SIMULATED_BOARD
    problems += _settle_keys(data, is_simulated=is_simulated)
    problems += _find_unchecked_host(data, is_simulated=is_simulated)
    if board_name == SIMULATED_BOARD:
        for table, defaults in _SIMULATED_DEFAULTS.items():
            if isinstance(data.setdefault(table, {}), dict):
                data[table] = {**defaults, **data[table]}
    try:
        settings = build(data)
    except ValidationError as error:
        problems += [_among_all_tables(problem) for problem in explain(error, Settings, data)]
        raise ConfigurationError(source, problems) from None
    if problems:
        raise ConfigurationError(source, problems)
    return Checked(settings, tuple(notes))


def build(data: Mapping[str, Any]) -> Settings:
    """Validate plain data strictly.

    By way of JSON, because pydantic's strict mode then still takes a text for an enum and a list for a tuple.

    Raises:
        ValidationError: something does not fit.
    """
    return Settings.model_validate_json(json.dumps(data, default=_mark_date))


def _mark_date(value: object) -> object:
    """TOML dates fit no setting: make them a type that none accepts."""
    return {"date": str(value)}


def _read_toml(path: Path) -> Tables:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise ConfigurationError(str(path), [f"cannot be read: {error.strerror}"]) from None
    if len(content) > MAX_FILE_BYTES:
        raise ConfigurationError(str(path), [f"cannot be read: larger than {MAX_FILE_BYTES} bytes"])
    try:
        return tomllib.loads(content.decode())
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigurationError(str(path), [f"line {line}: not UTF-8"]) from None
    except tomllib.TOMLDecodeError as error:
        last_line = content.rstrip().count(b"\n") + 1
        last = f"at line {last_line}, the end of the file"
        raise ConfigurationError(str(path), [f"not TOML: {error}".replace("at end of document", last)]) from None
    except RecursionError:
        raise ConfigurationError(str(path), ["not TOML: nested too deeply"]) from None


def _settle_keys(data: Tables, *, is_simulated: bool) -> list[InvalidFieldError]:
    """Bring each name in `[ocpp.keys]` to the one place its setting is declared."""
    ocpp = data.get("ocpp")
    keys = ocpp.get("keys") if isinstance(ocpp, dict) else None
    if not isinstance(ocpp, dict) or not isinstance(keys, dict):
        return []
    problems: list[InvalidFieldError] = []
    settled: Tables = {}
    for name, value in keys.items():
        entry = ocpp_entries().get(name.casefold())
        if entry is None:
            problems.append(_unknown_key(name, value))
            continue
        shown = HIDDEN if entry.is_secret else value
        _, _, field = entry.path.rpartition(".")
        home = settled if entry.path.startswith("ocpp.keys.") else ocpp
        if field in home:
            problems.append(InvalidFieldError(f"ocpp.keys.{name}", shown, f"one mention; it is also {entry.path}"))
        elif _is_read_only(entry) and home is settled and not is_simulated:
            problems.append(
                InvalidFieldError(
                    f"ocpp.keys.{name}", shown, "nothing; read-only keys are set on the simulated board only"
                )
            )
        else:
            home[field] = value
    ocpp["keys"] = settled
    return problems


def _find_unchecked_host(data: Tables, *, is_simulated: bool) -> list[InvalidFieldError]:
    """A server that need not be the one that was meant is no central system (spec security 3.9)."""
    ocpp = data.get("ocpp")
    if is_simulated or not isinstance(ocpp, dict) or ocpp.get("verify_host") is not False:
        return []
    return [InvalidFieldError("ocpp.verify_host", value=False, allowed="true; false is for the simulated board only")]


def _unknown_key(name: str, value: object) -> InvalidFieldError:
    known = [entry.meaning.ocpp_key.name for entry in ocpp_entries().values() if entry.meaning.ocpp_key]
    nearest = nearest_name(name, known)
    is_hidden = sounds_secret(name) or (nearest is not None and ocpp_entries()[nearest.casefold()].is_secret)
    shown = HIDDEN if is_hidden else value
    return InvalidFieldError(f"ocpp.keys.{name}", shown, "one of the keys in docs/ocpp-keys.md", nearest)


def _is_read_only(entry: Entry) -> bool:
    key = entry.meaning.ocpp_key
    return key is not None and key.access is KeyAccess.READ


def _among_all_tables(problem: InvalidFieldError) -> InvalidFieldError:
    """An unknown table may be a misspelt one of the guard or the simulator."""
    if "." in problem.path or "[" in problem.path or not problem.allowed.startswith("one of the names"):
        return problem
    tables = sorted({*list_names(Settings), *BOARD_TABLES, *SIM_TABLES})
    return InvalidFieldError(
        problem.path, problem.value, "one of the tables " + ", ".join(tables), nearest_name(problem.path, tables)
    )
