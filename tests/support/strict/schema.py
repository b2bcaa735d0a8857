"""The JSON schemas of OCPP 1.6 and of the security white paper, as the `ocpp` package ships them."""

import functools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from importlib import resources
from typing import Any

from jsonschema import Draft4Validator  # type: ignore[import-untyped]


@dataclass(frozen=True, slots=True)
class Breach:
    """One place where a payload does not fit; `kind` is the schema's word, `null` for a null member."""

    kind: str
    text: str


def breaches(name: str, payload: Any) -> Iterator[Breach]:
    """Everything wrong with a payload; `name` is the action, with `Response` for a result."""
    validator = validator_of(name)
    if validator is None:
        yield Breach("unknown", f"there is no {name}")
        return
    for error in validator.iter_errors(payload):
        kind = "null" if error.instance is None else str(error.validator)
        yield Breach(kind, f"{name}{error.json_path.removeprefix('$')}: {error.message}"[:300])


@functools.cache
def validator_of(name: str) -> Draft4Validator | None:
    """The validator, None for an action that does not exist."""
    path = resources.files("ocpp") / "v16" / "schemas" / f"{name}.json"
    if not name.isalpha() or not path.is_file():
        return None
    return Draft4Validator(json.loads(path.read_text(encoding="utf-8-sig"), parse_float=Decimal))


def exact(text: str) -> Any:
    """Read JSON with exact decimals, which `multipleOf` needs; None when it is no JSON."""
    try:
        return json.loads(text, parse_float=Decimal)
    except ValueError:
        return None
