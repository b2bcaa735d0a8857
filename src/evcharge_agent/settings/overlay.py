"""Run-time changes: an overlay of texts over the file's settings, kept in the store (DESIGN D5)."""

from collections.abc import Mapping

from pydantic import ValidationError

from evcharge_agent.settings.catalogue import Entry, entries, ocpp_entries
from evcharge_agent.settings.errors import HIDDEN, ConfigurationError, explain
from evcharge_agent.settings.loader import Tables, build
from evcharge_agent.settings.sections import Settings
from evcharge_hal.contract.errors import EvchargeError, InvalidFieldError

OVERLAY_SOURCE = "stored settings"


def apply(settings: Settings, overlay: Mapping[str, object]) -> Settings:
    """Put stored values over the settings of the file. Names are paths; an OCPP key's own name is one too.

    Raises:
        ConfigurationError: a name is unknown or given twice, or a value does not fit.
    """
    problems: list[InvalidFieldError | str] = []
    data = dump(settings)
    seen: dict[str, str] = {}
    for name, text in overlay.items():
        try:
            entry = _find_once(name, seen)
            if not isinstance(text, str):
                problems.append(InvalidFieldError(entry.path, HIDDEN, "a value kept as text"))
                continue
            _put(data, entry.path, entry.parse(text))
        except InvalidFieldError as error:
            problems.append(error)
    try:
        changed = build(data)
    except ValidationError as error:
        problems += explain(error, Settings, data)
        raise ConfigurationError(OVERLAY_SOURCE, problems) from None
    if problems:
        raise ConfigurationError(OVERLAY_SOURCE, problems)
    return changed


def apply_usable(settings: Settings, overlay: Mapping[str, object]) -> tuple[Settings, tuple[str, ...]]:
    """Apply what fits and say what does not: a stored value of another version never prevents a start."""
    problems: list[str] = []
    for name, text in sorted(overlay.items()):
        try:
            settings = apply(settings, {name: text})
        except EvchargeError as error:
            problems.append(str(error))
    return settings, tuple(problems)


def change(settings: Settings, entry: Entry, text: str) -> Settings:
    """Return the settings with one value changed.

    Raises:
        InvalidFieldError: the value does not fit; the first reason.
    """
    data = dump(settings)
    _put(data, entry.path, entry.parse(text))
    try:
        return build(data)
    except ValidationError as error:
        raise explain(error, Settings, data)[0] from None


def take_over(settings: Settings, entry: Entry, other: Settings) -> Settings:
    """Return the settings with one value of `other`, which must fit."""
    data, source = dump(settings), dump(other)
    *tables, name = entry.path.split(".")
    for table in tables:
        source = source[table]
    _put(data, entry.path, source[name])
    return build(data)


def dump(settings: Settings) -> Tables:
    """Write settings as the plain data of a file, secrets included: for rebuilding only, never for showing."""
    data = settings.model_dump(mode="json", by_alias=True)
    for entry in entries().values():
        if entry.is_secret and (secret := entry.value_in(settings)) is not None:
            _put(data, entry.path, secret.get_secret_value())
    return data


def _find_once(name: str, seen: dict[str, str]) -> Entry:
    entry = entries().get(name) or ocpp_entries().get(name.casefold())
    if entry is None:
        raise InvalidFieldError("name", name, "the name of a setting")
    if entry.path in seen:
        raise InvalidFieldError(name, HIDDEN, f"one mention; it is also {seen[entry.path]}")
    seen[entry.path] = name
    return entry


def _put(data: Tables, path: str, value: object) -> None:
    *tables, name = path.split(".")
    for table in tables:
        data = data[table]
    data[name] = value
