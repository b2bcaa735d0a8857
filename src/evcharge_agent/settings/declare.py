"""How a setting is declared: one pydantic field that carries everything else derives from (DESIGN D5).

    user_limit_a: float = setting("User's limit", "…", default=32.0, unit="A", ge=6.0, le=80.0, changed_by=(USER,))

The meaning travels in `json_schema_extra`, so the JSON schema shows it and `meaning_of` reads it back.
"""

import enum
import types
import typing
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import annotated_types
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationInfo, field_validator
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

NOT_SUPPORTED = "not supported by this version"
NO_CONTROL_CHARACTERS = "without control characters and line breaks"
# Control characters, halves of surrogate pairs, line and paragraph separators. Joiners, as in emoji, may stay.
_NOT_IN_TEXTS = frozenset({"Cc", "Cs", "Zl", "Zp"})
_EXTRA_KEY = "x-evcharge"


class Role(enum.Enum):
    """Who may change a setting while the charger runs; the file may always set the start value."""

    USER = "user"
    INSTALLER = "installer"
    CENTRAL_SYSTEM = "central system"


class Applies(enum.Enum):
    """When a changed value acts."""

    LIVE = "live"
    RESTART = "restart"


class KeyAccess(enum.Enum):
    """What a central system may do with a configuration key (OCPP 1.6, 9)."""

    READ = "R"
    READ_WRITE = "RW"
    WRITE = "W"


@dataclass(frozen=True, slots=True)
class OcppKey:
    """The OCPP configuration key a setting is reachable as."""

    name: str
    access: KeyAccess


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a declaration says beyond type, default and bounds."""

    unit: str | None
    changed_by: tuple[Role, ...]
    applies: Applies
    allowed: str | None
    """What is accepted, in words, where type and bounds do not say it."""
    not_yet: tuple[str, ...]
    """Values other versions know and this one refuses."""
    ocpp_key: OcppKey | None


class Section(BaseModel):
    """Base of all sections: frozen, unknown names are errors, nothing is coerced."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False, hide_input_in_errors=True)

    @field_validator("*", mode="after")
    @classmethod
    def _refuse_what_steers_a_terminal(cls, value: object, info: ValidationInfo) -> object:
        """Refuse texts no file name, host or header can hold and no log should."""
        if isinstance(value, str) and any(unicodedata.category(one) in _NOT_IN_TEXTS for one in value):
            raise ValueError(f"{allowed_text(cls.model_fields[str(info.field_name)])}, {NO_CONTROL_CHARACTERS}")
        return value

    @field_validator("*", mode="after")
    @classmethod
    def _refuse_what_is_not_there_yet(cls, value: object, info: ValidationInfo) -> object:
        """Refuse values later versions know, so that nobody relies on something that does nothing."""
        field = cls.model_fields[str(info.field_name)]
        meaning = meaning_of(field)
        shown = str(value.value if isinstance(value, enum.Enum) else value)
        if meaning is not None and shown in meaning.not_yet:
            raise ValueError(f"{allowed_text(field)}; {shown} is {NOT_SUPPORTED}")
        return value


def setting(  # noqa: PLR0913 - one keyword for each thing a declaration can say
    title: str,
    description: str,
    *,
    default: Any = PydanticUndefined,
    alias: str | None = None,
    unit: str | None = None,
    ge: float | None = None,
    le: float | None = None,
    min_length: int | None = None,
    max_length: int | None = None,
    changed_by: Sequence[Role] = (),
    applies: Applies = Applies.RESTART,
    allowed: str | None = None,
    not_yet: Sequence[str] = (),
    ocpp_key: OcppKey | None = None,
) -> Any:
    """Declare one setting; without a default it is required."""
    extra: dict[str, Any] = {"changedBy": [role.value for role in changed_by], "applies": applies.value}
    optional = {"unit": unit, "allowed": allowed, "notYet": list(not_yet)}
    extra |= {name: value for name, value in optional.items() if value}
    if ocpp_key is not None:
        extra["ocppKey"] = {"name": ocpp_key.name, "access": ocpp_key.access.value}
    return Field(
        default,
        alias=alias,
        title=title,
        description=description,
        ge=ge,
        le=le,
        min_length=min_length,
        max_length=max_length,
        json_schema_extra={_EXTRA_KEY: extra},
    )


def meaning_of(info: FieldInfo) -> Meaning | None:
    """Read the declaration back; None for a field that is a section of its own."""
    extra = info.json_schema_extra
    if not isinstance(extra, dict) or _EXTRA_KEY not in extra:
        return None
    declared: Any = extra[_EXTRA_KEY]
    key = declared.get("ocppKey")
    return Meaning(
        unit=declared.get("unit"),
        changed_by=tuple(Role(name) for name in declared["changedBy"]),
        applies=Applies(declared["applies"]),
        allowed=declared.get("allowed"),
        not_yet=tuple(declared.get("notYet", ())),
        ocpp_key=OcppKey(key["name"], KeyAccess(key["access"])) if key else None,
    )


@dataclass(frozen=True, slots=True)
class Bounds:
    """The bounds of a field, as far as it has any."""

    ge: float | None = None
    le: float | None = None
    max_length: int | None = None


def bounds_of(info: FieldInfo) -> Bounds:
    """Read the bounds of a declared field."""
    found: dict[str, Any] = {}
    for constraint in info.metadata:
        if isinstance(constraint, annotated_types.Ge):
            found["ge"] = constraint.ge
        elif isinstance(constraint, annotated_types.Le):
            found["le"] = constraint.le
        elif isinstance(constraint, annotated_types.MaxLen):
            found["max_length"] = constraint.max_length
    return Bounds(**found)


def type_of(info: FieldInfo) -> Any:
    """The plain type of a field, without `| None` and `Annotated`."""
    hint: Any = info.annotation
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        (hint,) = [part for part in typing.get_args(hint) if part is not types.NoneType]
    return typing.get_args(hint)[0] if typing.get_origin(hint) is typing.Annotated else hint


_TYPE_TEXTS = {bool: "true or false", int: "a whole number", float: "a number", str: "a text", SecretStr: "a text"}


def allowed_text(info: FieldInfo) -> str:
    """Say in words what a field accepts: `a number from 6 to 80 A`."""
    meaning = meaning_of(info)
    if meaning is None:
        return "a table of named values"
    if meaning.allowed is not None:
        return meaning.allowed
    hint = type_of(info)
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        names = [str(member.value) for member in hint if str(member.value) not in meaning.not_yet]
        return "one of " + ", ".join(names) if len(names) > 1 else names[0]
    bounds = bounds_of(info)
    text = _TYPE_TEXTS[hint]
    if bounds.ge is not None and bounds.le is not None:
        text += f" from {bounds.ge:.10g} to {bounds.le:.10g}"
    elif bounds.max_length is not None:
        text += f" of at most {bounds.max_length} characters"
    return f"{text} {meaning.unit}" if meaning.unit else text
