"""What is wrong with a configuration, told to a person: all problems at once, never a traceback."""

import difflib
import typing
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from evcharge_agent.settings.declare import Section, allowed_text, type_of
from evcharge_hal.contract.errors import EvchargeError, InvalidFieldError


class ConfigurationError(EvchargeError):
    """The configuration cannot be used; one line for each problem."""

    def __init__(self, source: str, problems: Sequence[InvalidFieldError | str]) -> None:
        super().__init__(source, problems)
        self.source = source
        self.problems = tuple(problems)

    def __str__(self) -> str:
        return "\n".join(f"{self.source}: {problem}" for problem in self.problems)


class _Hidden:
    """Stands for a secret in an error text."""

    def __repr__(self) -> str:
        return "(hidden)"


HIDDEN = _Hidden()
# A misspelt name has no declaration that says what it is, and still holds what somebody wanted to keep.
_SECRET_WORDS = ("key", "password", "secret", "token")


def nearest_name(name: str, known: Iterable[str]) -> str | None:
    """The known name somebody who wrote `name` probably meant, or None."""
    by_folded = {candidate.casefold(): candidate for candidate in known}
    found = difflib.get_close_matches(name.casefold(), by_folded, n=1)
    return by_folded[found[0]] if found else None


def explain(error: ValidationError, root: type[Section], data: Mapping[str, Any]) -> list[InvalidFieldError]:
    """Turn pydantic's findings about `data` into problems that name key, value and what is allowed."""
    return [_explain_one(details, root, data) for details in error.errors(include_url=False, include_input=False)]


def _explain_one(details: ErrorDetails, root: type[Section], data: Mapping[str, Any]) -> InvalidFieldError:
    location = details["loc"]
    context: Mapping[str, Any] = details.get("ctx", {})
    if details["type"] == "cross_field":
        location = (*location, *context["field"].split("."))
        return InvalidFieldError(dotted(location), _value_at(data, location), context["allowed"])
    known, info = _declaration_at(root, location)
    value = HIDDEN if _is_secret(info) else _shown(_value_at(data, location))
    if details["type"] == "extra_forbidden":
        name = str(location[-1])
        nearest = nearest_name(name, known)
        if sounds_secret(name) or (nearest and _is_secret(_declaration_at(root, (*location[:-1], nearest))[1])):
            value = HIDDEN
        return InvalidFieldError(dotted(location), value, "one of the names " + ", ".join(sorted(known)), nearest)
    allowed = allowed_text(info) if info is not None else "a table of named values"
    if details["type"] == "missing":
        return InvalidFieldError(dotted(location), None, f"required, {allowed}")
    if details["type"] == "value_error":
        allowed = str(context["error"])
    nearest = (
        nearest_name(str(value), allowed.removeprefix("one of ").split(", ")) if details["type"] == "enum" else None
    )
    return InvalidFieldError(dotted(location), value, allowed, nearest)


def _is_secret(info: FieldInfo | None) -> bool:
    return info is not None and type_of(info) is SecretStr


def sounds_secret(name: str) -> bool:
    """Tell whether what stands under an unknown name may be a secret."""
    return any(word in name.casefold() for word in _SECRET_WORDS)


def _shown(value: object) -> object:
    """What an error may show of a value: a table in the wrong place may hold a secret."""
    if isinstance(value, Mapping):
        return {name: HIDDEN if sounds_secret(str(name)) else _shown(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_shown(inner) for inner in value]
    return value


def dotted(location: Sequence[int | str]) -> str:
    """Write a location as people do: `meter[0].host`."""
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def _value_at(data: Mapping[str, Any], location: Sequence[int | str]) -> object:
    value: Any = data
    for part in location:
        try:
            value = value[part]
        except (KeyError, IndexError, TypeError):
            return None
    return value


def _declaration_at(root: type[Section], location: Sequence[int | str]) -> tuple[list[str], FieldInfo | None]:
    """Names known in the innermost table of `location`, and the field it ends at."""
    section = root
    names: list[str] = list_names(section)
    info: FieldInfo | None = None
    for part in location:
        if isinstance(part, int):
            continue
        names = list_names(section)
        info = next((field for name, field in section.model_fields.items() if (field.alias or name) == part), None)
        inner = section_of(info) if info is not None else None
        if inner is None:
            break
        section = inner
    return names, info


def list_names(section: type[Section]) -> list[str]:
    """The names a table of the file may contain."""
    return [field.alias or name for name, field in section.model_fields.items()]


def section_of(info: FieldInfo) -> type[Section] | None:
    """The section a field holds, alone or as a list; None for a plain setting."""
    hint: Any = info.annotation
    for candidate in (hint, *typing.get_args(hint)):
        if isinstance(candidate, type) and issubclass(candidate, Section):
            return candidate
    return None


def is_list(info: FieldInfo) -> bool:
    """The field is a list, written `[[name]]` in the file where it holds sections."""
    return typing.get_origin(info.annotation) is tuple
