"""Declared fields: one stdlib dataclass gives parsing, bounds, error texts and reference docs.

The guard has no pydantic (`docs/adr/0003`), so `board.toml`, the guard channel and the simulator's
verbs are frozen dataclasses whose fields carry their meaning in metadata:

    max_a: float = declare("Rated current of this connector", unit="A", ge=6.0, le=80.0, default=32.0)

`decode` turns untrusted JSON or TOML data into such a class or raises `InvalidFieldError` that names the
field and the allowed values; `encode` is its inverse. Nothing else is accepted: unknown keys, wrong types,
NaN and out-of-range values are errors.
"""

import dataclasses
import difflib
import enum
import functools
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from evcharge_hal.contract.errors import InvalidFieldError

_METADATA_KEY = "declared"
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Declared:
    """What a field means: shown in errors and in the generated reference."""

    title: str
    unit: str | None = None
    ge: float | None = None
    le: float | None = None
    max_length: int | None = None
    min_length: int = 0
    """Of a text."""


def declare(
    title: str,
    *,
    default: Any = dataclasses.MISSING,
    default_factory: Any = dataclasses.MISSING,
    unit: str | None = None,
    ge: float | None = None,
    le: float | None = None,
    max_length: int | None = None,
    min_length: int = 0,
) -> Any:
    """Declare a dataclass field with its title, unit and bounds."""
    declared = Declared(title, unit, ge, le, max_length, min_length)
    keywords: dict[str, Any] = {"metadata": {_METADATA_KEY: declared}}
    if default is not dataclasses.MISSING:
        keywords["default"] = default
    if default_factory is not dataclasses.MISSING:
        keywords["default_factory"] = default_factory
    return dataclasses.field(**keywords)


def declared_of(field: dataclasses.Field[Any]) -> Declared:
    """Return the declaration of a field; an undeclared one is free of bounds."""
    return cast("Declared", field.metadata.get(_METADATA_KEY, Declared(field.name)))


def decode(cls: type[T], data: object, path: str = "") -> T:
    """Build `cls` from untrusted data.

    Raises:
        InvalidFieldError: a key is unknown, missing, of the wrong type or out of bounds.
    """
    if not isinstance(data, Mapping):
        raise InvalidFieldError(path or cls.__name__, data, "a table of named values")
    hints = _hints(cast("Any", cls))
    known = {field.name: field for field in dataclasses.fields(cast("Any", cls))}
    for key in data:
        if key not in known:
            nearest = difflib.get_close_matches(str(key), known, n=1)
            raise InvalidFieldError(
                _joined(path, str(key)),
                data[key],
                "one of the names " + ", ".join(sorted(known)),
                nearest[0] if nearest else None,
            )
    values = {}
    for name, field in known.items():
        if name in data:
            values[name] = _decode_value(hints[name], data[name], _joined(path, name), declared_of(field))
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise InvalidFieldError(
                _joined(path, name), None, "required, " + _range_text(hints[name], declared_of(field))
            )
    return cls(**values)


def encode(value: object) -> Any:
    """Turn a declared dataclass (or any part of one) into plain JSON or TOML data."""
    if isinstance(value, enum.Enum):
        return value.value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: encode(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): encode(item) for key, item in value.items()}
    if isinstance(value, frozenset | set):
        return sorted(encode(item) for item in value)
    if isinstance(value, list | tuple):
        return [encode(item) for item in value]
    return value


@functools.cache
def _hints(cls: type) -> dict[str, Any]:
    return typing.get_type_hints(cls)


def _joined(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _decode_value(hint: Any, value: object, path: str, declared: Declared) -> object:
    hint = getattr(hint, "__supertype__", hint)  # NewType
    origin = typing.get_origin(hint)
    if origin in (types.UnionType, typing.Union):
        return _decode_union(hint, value, path, declared)
    if origin in (tuple, frozenset):
        return _decode_collection(origin, hint, value, path, declared)
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return _decode_enum(hint, value, path)
    if dataclasses.is_dataclass(hint):
        return decode(cast("type[object]", hint), value, path)
    return _decode_scalar(hint, value, path, declared)


def _decode_union(hint: Any, value: object, path: str, declared: Declared) -> object:
    """Only `X | None` is a declared union; None stands for an absent value."""
    if value is None:
        return None
    (inner,) = [part for part in typing.get_args(hint) if part is not types.NoneType]
    return _decode_value(inner, value, path, declared)


def _decode_collection(origin: type, hint: Any, value: object, path: str, declared: Declared) -> object:
    if not isinstance(value, Sequence) or isinstance(value, str | bytes):
        raise InvalidFieldError(path, value, "a list")
    if declared.max_length is not None and len(value) > declared.max_length:
        raise InvalidFieldError(path, value, f"a list of at most {declared.max_length} entries")
    item_hint = typing.get_args(hint)[0]
    return origin(_decode_value(item_hint, item, f"{path}[{i}]", declared) for i, item in enumerate(value))


def _decode_enum(hint: type[enum.Enum], value: object, path: str) -> enum.Enum:
    names = [str(member.value) for member in hint]
    if isinstance(value, str | int) and not isinstance(value, bool):
        for member in hint:
            if member.value == value:
                return member
    nearest = difflib.get_close_matches(str(value), names, n=1)
    raise InvalidFieldError(path, value, "one of " + ", ".join(names), nearest[0] if nearest else None)


def _decode_scalar(hint: Any, given: object, path: str, declared: Declared) -> object:
    value, fits = given, False
    if hint is bool:
        fits = isinstance(value, bool)
    elif hint is int:
        fits = isinstance(value, int) and not isinstance(value, bool)
    elif hint is float:
        if isinstance(value, int | float) and not isinstance(value, bool):
            fits = abs(value) < 1e300  # noqa: PLR2004 - beyond, float() overflows; nan is below nothing
            value = float(value) if fits else value
    elif hint is str:
        fits = isinstance(value, str) and declared.min_length <= len(value) <= (declared.max_length or len(value))
    else:
        msg = f"{path}: a field of type {hint!r} cannot be declared"
        raise TypeError(msg)
    if fits and isinstance(value, int | float) and not isinstance(value, bool):
        fits = (declared.ge is None or value >= declared.ge) and (declared.le is None or value <= declared.le)
    if not fits:
        raise InvalidFieldError(path, given, _range_text(hint, declared))
    return value


_TYPE_TEXTS = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}


def _range_text(hint: Any, declared: Declared) -> str:
    """Say in words what a field accepts: `a number from 6 to 80 A`."""
    hint = getattr(hint, "__supertype__", hint)
    text = _TYPE_TEXTS.get(hint, "a value")
    if declared.ge is not None and declared.le is not None:
        text += f" from {declared.ge:g} to {declared.le:g}"
    elif declared.ge is not None:
        text += f" of at least {declared.ge:g}"
    elif declared.le is not None:
        text += f" of at most {declared.le:g}"
    elif declared.max_length is not None and declared.min_length:
        text += f" of {declared.min_length} to {declared.max_length} characters"
    elif declared.max_length is not None:
        text += f" of at most {declared.max_length} characters"
    return f"{text} {declared.unit}" if declared.unit else text
