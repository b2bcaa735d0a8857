"""Names the design has and this version does nothing with.

A name that promises a function is refused, so that nobody relies on it; one that only prepares something
is accepted and reported as having no effect, so that one file serves this version and the next.
"""

from collections.abc import Mapping
from typing import Any

from evcharge_agent.settings.declare import NOT_SUPPORTED
from evcharge_hal.contract.errors import InvalidFieldError

_REFUSED: Mapping[str, object] = {
    "web.enabled": False,
}
"""Name -> the one value that asks for nothing."""

_WITHOUT_EFFECT = frozenset(
    {
        "web.listen",
    }
)


def take_planned(data: dict[str, Any]) -> tuple[list[InvalidFieldError], list[str]]:
    """Remove planned names from the tables in `data`; return what is refused and what has no effect."""
    problems: list[InvalidFieldError] = []
    notes: list[str] = []
    for path in sorted({*_REFUSED, *_WITHOUT_EFFECT}):
        table_name, _, name = path.partition(".")
        table = data.get(table_name)
        if not isinstance(table, dict) or name not in table:
            continue
        value = table.pop(name)
        if path in _WITHOUT_EFFECT:
            notes.append(f"{path}: has no effect in this version")
        elif value != _REFUSED[path]:
            problems.append(InvalidFieldError(path, value, f"{_shown(_REFUSED[path])}; this is {NOT_SUPPORTED}"))
    for table_name in ("web",):
        if data.get(table_name) == {}:
            del data[table_name]
    return problems, notes


def planned_names() -> list[tuple[str, str]]:
    """Each planned name and what this version does with it, for the reference."""
    refused = {name: f"refused unless {_shown(value)}" for name, value in _REFUSED.items()}
    without_effect = dict.fromkeys(_WITHOUT_EFFECT, "accepted, has no effect")
    return sorted((f"`{name}`", text) for name, text in (refused | without_effect).items())


def _shown(value: object) -> str:
    return "false" if value is False else "nothing"
