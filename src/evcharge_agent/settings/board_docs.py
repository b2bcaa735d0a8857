"""Renders `docs/board.md` from the dataclasses the guard reads its file with."""

import dataclasses
import enum
import types
import typing
from collections.abc import Iterator
from typing import Any

from evcharge_agent.settings.tables import GENERATED, cell, code, table
from evcharge_hal.boards.board import Board
from evcharge_hal.boards.loader import shipped_boards
from evcharge_hal.contract.schema import Declared, declared_of, encode

_TYPE_TEXTS = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}


def render() -> str:
    """`board.toml`, table by table."""
    lines = [
        "# The board file",
        "",
        GENERATED,
        "",
        "`board.toml` is the guard's. It belongs to root; the agent can only lower what stands in it. It is read over the"
        " shipped board it names: " + ", ".join(code(name) for name in shipped_boards()) + ".",
        "",
    ]
    for heading, cls, declared in _tables(Board, ""):
        lines += [f"## {heading}", "", f"{declared.title}.", ""]
        lines += [*table(("name", "meaning", "allowed", "default"), _rows(cls)), ""]
    return "\n".join(lines)


def _tables(cls: Any, prefix: str) -> Iterator[tuple[str, Any, Declared]]:
    hints = typing.get_type_hints(cls)
    for field in dataclasses.fields(cls):
        inner, is_list = _inner(hints[field.name])
        if inner is not None:
            yield (f"[[{prefix}{field.name}]]" if is_list else f"[{prefix}{field.name}]"), inner, declared_of(field)
            yield from _tables(inner, f"{prefix}{field.name}.")


def _inner(hint: Any) -> tuple[Any, bool]:
    """The dataclass a field holds, and whether as a list."""
    if typing.get_origin(hint) is tuple:
        item = typing.get_args(hint)[0]
        return (item, True) if dataclasses.is_dataclass(item) else (None, True)
    return (hint, False) if dataclasses.is_dataclass(hint) else (None, False)


def _rows(cls: Any) -> Iterator[tuple[str, ...]]:
    hints = typing.get_type_hints(cls)
    for field in dataclasses.fields(cls):
        declared = declared_of(field)
        hint = hints[field.name]
        yield code(field.name), cell(declared.title), cell(_allowed(hint, declared)), _default(field)


def _allowed(hint: Any, declared: Declared) -> str:
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        (hint,) = [part for part in typing.get_args(hint) if part is not types.NoneType]
    hint = getattr(hint, "__supertype__", hint)  # NewType
    inner, is_list = _inner(hint)
    if inner is not None or is_list:
        return "tables" if is_list else "a table"
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return ", ".join(f"`{member.value}`" for member in hint)
    text = _TYPE_TEXTS[hint]
    if declared.ge is not None and declared.le is not None:
        text += f" from {declared.ge:.10g} to {declared.le:.10g}"
    elif declared.max_length is not None and declared.min_length:
        text += f" of {declared.min_length} to {declared.max_length} characters"
    elif declared.max_length is not None:
        text += f" of at most {declared.max_length} characters"
    return f"{text} {declared.unit}" if declared.unit else text


def _default(field: dataclasses.Field[Any]) -> str:
    if field.default is not dataclasses.MISSING:
        value = field.default
    elif field.default_factory is not dataclasses.MISSING:
        value = field.default_factory()
    else:
        return "required"
    if value is None:
        return "none"
    shown = encode(value)
    if isinstance(shown, list):
        return f"{len(shown)} entries" if shown else "empty"
    if isinstance(shown, bool):
        return code("true" if shown else "false")
    return code(f"{shown:g}" if isinstance(shown, float) else str(shown))
