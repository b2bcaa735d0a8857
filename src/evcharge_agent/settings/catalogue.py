"""All settings by name: the dotted path of the file and, where there is one, the OCPP key.

Values travel as text between people, central systems and the store; reading and writing that text is
here, once for every type.
"""

import enum
import functools
import re
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from evcharge_agent.settings.declare import Meaning, Section, allowed_text, meaning_of, type_of
from evcharge_agent.settings.errors import HIDDEN, is_list, nearest_name, section_of
from evcharge_agent.settings.sections import Settings
from evcharge_hal.contract.errors import InvalidFieldError

_WHOLE = re.compile(r"-?[0-9]{1,18}", re.ASCII)
_NUMBER = re.compile(r"-?[0-9]{1,18}(\.[0-9]{1,18})?", re.ASCII)
_BOOLEANS = {"true": True, "false": False}


@dataclass(frozen=True, slots=True)
class Entry:
    """One setting that is not part of a list."""

    path: str
    """As in the file: `limits.user_limit_a`, `ocpp.keys.HeartbeatInterval`."""
    attributes: tuple[str, ...]
    """The same in Python names."""
    info: FieldInfo
    meaning: Meaning

    def value_in(self, settings: Settings) -> Any:
        """The value this setting has now."""
        value: Any = settings
        for name in self.attributes:
            value = getattr(value, name)
        return value

    def show(self, settings: Settings) -> str | None:
        """The value as text; None when it is not set or a secret."""
        value = self.value_in(settings)
        if value is None or isinstance(value, SecretStr):
            return None
        return show_value(value)

    @property
    def is_secret(self) -> bool:
        """The value is never shown."""
        return type_of(self.info) is SecretStr

    def parse(self, text: str) -> Any:
        """Read a value as the file would hold it; bounds are checked when it is put in place.

        Raises:
            InvalidFieldError: the text is not of the setting's type.
        """
        value = _parse(type_of(self.info), text)
        if value is None:
            raise InvalidFieldError(self.path, HIDDEN if self.is_secret else text, allowed_text(self.info))
        return value


def show_value(value: object) -> str:
    """Write a value as text; booleans lower-case, as OCPP wants them."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, enum.Enum):
        return str(value.value)
    if isinstance(value, tuple):
        return ",".join(show_value(item) for item in value)
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _parse(hint: Any, text: str) -> Any:
    """The value, or None when the text is not of that type."""
    stripped = text.strip()
    if hint is bool:
        return _BOOLEANS.get(stripped.casefold())
    if hint is int:
        return int(stripped) if _WHOLE.fullmatch(stripped) else None
    if hint is float:
        return float(stripped) if _NUMBER.fullmatch(stripped) else None
    if typing.get_origin(hint) is tuple:
        return [part.strip() for part in stripped.split(",") if part.strip()]
    return text


@functools.cache
def entries() -> Mapping[str, Entry]:
    """All settings outside lists, by path, in the order they are declared."""
    return {entry.path: entry for entry in _walk(Settings, "", ())}


@functools.cache
def ocpp_entries() -> Mapping[str, Entry]:
    """Those with an OCPP key, by its casefolded name, in alphabetical order (names compare without case)."""
    found = {e.meaning.ocpp_key.name.casefold(): e for e in entries().values() if e.meaning.ocpp_key is not None}
    return dict(sorted(found.items()))


_CREDENTIALS = frozenset({"authorizationkey", "securityprofile"})


def resettable_keys() -> list[Entry]:
    """The OCPP keys that can be put back to their factory values: all but the credentials."""
    return [entry for name, entry in ocpp_entries().items() if name not in _CREDENTIALS]


def find(path: str) -> Entry:
    """Look a setting up by its path.

    Raises:
        InvalidFieldError: there is none of that name.
    """
    entry = entries().get(path)
    if entry is None:
        raise InvalidFieldError("name", path, "the name of a setting", nearest_name(path, entries()))
    return entry


def _walk(section: type[Section], prefix: str, attributes: tuple[str, ...]) -> list[Entry]:
    found: list[Entry] = []
    for name, info in section.model_fields.items():
        path = f"{prefix}{info.alias or name}"
        meaning = meaning_of(info)
        inner = section_of(info)
        if meaning is not None:
            found.append(Entry(path, (*attributes, name), info, meaning))
        elif inner is not None and not is_list(info):
            found.extend(_walk(inner, f"{path}.", (*attributes, name)))
    return found
