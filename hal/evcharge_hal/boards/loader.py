"""From `board.toml` to a `Board`: a shipped board, the owner's changes over it, and the checks across fields.

The file belongs to root and is the only way to raise a limit; so everything unknown, contradictory or not yet
supported is refused here, before a single line is driven.
"""

import difflib
import os
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from evcharge_hal.boards.board import Board
from evcharge_hal.boards.checks import check_board
from evcharge_hal.contract.errors import EvchargeError, InvalidFieldError
from evcharge_hal.contract.schema import decode

SIMULATED_BOARD = "sim"
_TABLES = ("board", "link", "thresholds")
_GUARD_SECTIONS = frozenset({*_TABLES, "connector"})
_WORLD_SECTION = "sim"
_SUFFIX = ".toml"
# Beside this file: a wheel is installed unpacked, and `importlib.resources` would cost the guard 0.3 MB.
_SHIPPED = Path(__file__).parent


class BoardFileError(EvchargeError):
    """A board file cannot be used; the text starts with the file."""

    def __init__(self, file: str, problem: str) -> None:
        super().__init__(file, problem)
        self.file = file
        self.problem = problem

    def __str__(self) -> str:
        return f"{self.file}: {self.problem}"


def section_names() -> frozenset[str]:
    """Return the top-level tables that belong to the guard, for a file that holds everything."""
    return _GUARD_SECTIONS


def shipped_boards() -> tuple[str, ...]:
    """Return the names that `[board] name` may have besides a path."""
    return tuple(sorted(file.stem for file in _SHIPPED.glob(f"*{_SUFFIX}")))


def load_board(path: Path | None) -> Board:
    """Read a board file over the shipped board it names; None is the simulated board as shipped.

    A `[sim]` table is accepted and left to the simulated world.

    Raises:
        BoardFileError: the file cannot be read, or a value in it cannot be used; the text names the key, the
            value and what would be allowed.
    """
    file = f"board '{SIMULATED_BOARD}'" if path is None else str(path)
    own = {} if path is None else _read_toml(path)
    try:
        return _build(own, path)
    except InvalidFieldError as error:
        raise BoardFileError(file, str(error)) from error


def build_board(tables: Mapping[str, Any], source: Path) -> Board:
    """Build a board from the guard's tables of a file that holds more; raises as `load_board`."""
    try:
        return _build(tables, source)
    except InvalidFieldError as error:
        raise BoardFileError(str(source), str(error)) from error


def make_pin_factory(board: Board, runtime_dir: Path) -> Any:
    """Make gpiozero's door to the lines: the simulated world's for board "sim", else the Pi's own.

    This is the only place outside the simulator that imports it.

    Raises:
        BoardFileError: this machine has no such lines.
    """
    if board.board.name == SIMULATED_BOARD:
        from evcharge_hal.sim.pin_factory import SimPinFactory  # noqa: PLC0415 - a real board never loads it

        return SimPinFactory(runtime_dir / "gpio.sock")
    # lgpio leaves a FIFO in its working directory and cannot be imported where that is read-only.
    os.environ.setdefault("LG_WD", str(runtime_dir))
    try:
        from gpiozero.pins.lgpio import (  # type: ignore[import-untyped]  # noqa: PLC0415 - not in the simulation
            LGPIOFactory,
        )

        return LGPIOFactory()
    except ImportError as error:
        raise BoardFileError(
            f"board '{board.board.name}'", "needs the lgpio library: pip install 'evcharge-agent[gpio]'"
        ) from error
    except Exception as error:  # lgpio.error derives from Exception and cannot be named without lgpio
        raise BoardFileError(f"board '{board.board.name}'", f"no GPIO on this machine: {error}") from error


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_bytes().decode())
    except OSError as error:
        raise BoardFileError(str(path), f"cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:  # TOMLDecodeError and UnicodeDecodeError are ValueErrors
        raise BoardFileError(str(path), f"is not a TOML file: {error}") from error


def _build(own: Mapping[str, Any], path: Path | None) -> Board:
    _check_sections(own)
    name = _table(own, "board").get("name", SIMULATED_BOARD)
    base = _read_base(name, path)
    rated_by = None if name == SIMULATED_BOARD else name
    sections: dict[str, Any] = {key: {**_table(base, key), **_table(own, key)} for key in _TABLES}
    merged = _merge_connectors(_connectors(base), _connectors(own), rated_by)
    connectors = _fitted(merged, sections["board"].get("connectors"))
    try:
        board = decode(Board, {**sections, "connector": connectors})
    except InvalidFieldError as error:
        path_by_id = _path_by_id(error.path, connectors)
        raise InvalidFieldError(path_by_id, error.value, error.allowed, error.nearest) from error
    check_board(board, named_keys={entry["id"]: frozenset(entry) for entry in connectors})
    return board


def _check_sections(document: Mapping[str, Any]) -> None:
    known = _GUARD_SECTIONS | {_WORLD_SECTION}
    for key, value in document.items():
        if key not in known:
            nearest = difflib.get_close_matches(key, known, n=1)
            allowed = "one of the tables " + ", ".join(sorted(known))
            raise InvalidFieldError(key, value, allowed, nearest[0] if nearest else None)


def _read_base(name: object, path: Path | None) -> Mapping[str, Any]:
    """Return the board that `[board] name` stands for; a file named there stands by itself."""
    names = shipped_boards()
    if isinstance(name, str) and name in names:
        return tomllib.loads((_SHIPPED / f"{name}{_SUFFIX}").read_text("utf-8"))
    if isinstance(name, str) and name.endswith(_SUFFIX):
        base_path = (path.parent if path is not None else Path()) / name
        base = _read_toml(base_path)
        try:
            _check_sections(base)
        except InvalidFieldError as error:
            raise BoardFileError(str(base_path), str(error)) from error
        return base
    nearest = difflib.get_close_matches(str(name), names, n=1)
    allowed = f"{', '.join(names)}, or the path of a board file that ends in {_SUFFIX}"
    raise InvalidFieldError("board.name", name, allowed, nearest[0] if nearest else None)


def _table(document: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = document.get(name, {})
    if not isinstance(value, Mapping):
        raise InvalidFieldError(name, value, f"a table, written [{name}]")
    return value


def _connectors(document: Mapping[str, Any]) -> Mapping[int, Mapping[str, Any]]:
    """Return the [[connector]] tables by id."""
    entries = document.get("connector", [])
    if not isinstance(entries, list) or not all(isinstance(entry, Mapping) for entry in entries):
        raise InvalidFieldError("connector", entries, "tables, each written [[connector]]")
    by_id: dict[int, Mapping[str, Any]] = {}
    for index, entry in enumerate(entries):
        number = entry.get("id")
        if not isinstance(number, int) or isinstance(number, bool):
            raise InvalidFieldError(f"connector[{index}].id", number, "required, a whole number from 1")
        if number in by_id:
            raise InvalidFieldError(f"connector[{index}].id", number, "each number once")
        by_id[number] = entry
    return by_id


def _merge_connectors(
    base: Mapping[int, Mapping[str, Any]], own: Mapping[int, Mapping[str, Any]], rated_by: str | None
) -> list[dict[str, Any]]:
    if rated_by is not None and base and not own.keys() <= base.keys():
        added = sorted(own.keys() - base.keys())
        raise InvalidFieldError("connector.id", added, f"the connectors board '{rated_by}' has: {sorted(base)}")
    merged = []
    for number in sorted(base.keys() | own.keys()):
        shipped, changed = base.get(number, {}), own.get(number, {})
        _check_not_raised(number, shipped.get("max_a"), changed.get("max_a"), rated_by)
        entry = {**shipped, **changed}
        shipped_pins, changed_pins = shipped.get("pins", {}), changed.get("pins", {})
        if isinstance(shipped_pins, Mapping) and isinstance(changed_pins, Mapping):
            entry["pins"] = {**shipped_pins, **changed_pins}
        merged.append(entry)
    return merged


def _check_not_raised(number: int, rated_a: object, wanted_a: object, rated_by: str | None) -> None:
    """A board's rating belongs to its hardware: 63 A typed over 32 A is refused (security.md, H20)."""
    if rated_by is None or not isinstance(rated_a, int | float) or not isinstance(wanted_a, int | float):
        return
    if wanted_a > rated_a:
        raise InvalidFieldError(
            f"connector[id={number}].max_a", wanted_a, f"at most {rated_a:g} A, the rating of board '{rated_by}'"
        )


def _fitted(connectors: list[dict[str, Any]], count: object) -> list[dict[str, Any]]:
    if not isinstance(count, int) or isinstance(count, bool) or count < 1:
        return connectors  # None, or something that `decode` refuses with the field's name
    return [entry for entry in connectors if entry["id"] <= count]


def _path_by_id(path: str, connectors: Iterable[Mapping[str, Any]]) -> str:
    """Name a connector as the file does: by id, for the merged list has another order."""
    for index, entry in enumerate(connectors):
        path = path.replace(f"connector[{index}]", f"connector[id={entry['id']}]")
    return path
