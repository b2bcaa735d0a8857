"""Payloads against the schemas the `ocpp` library ships, judged with the error codes of OCPP 1.6. Pure."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from ocpp.messages import MessageType, get_validator

from evcharge_agent.ocpp16.envelope import ErrorCode

CALL = MessageType.Call
RESULT = MessageType.CallResult

# These schemas ask for multiples of 0.1, which only decimals can be (library: `_validate_payload`).
_DECIMAL_SCHEMAS = frozenset(
    {(CALL, "SetChargingProfile"), (CALL, "RemoteStartTransaction"), (RESULT, "GetCompositeSchedule")}
)

_CODES: Mapping[str, ErrorCode] = {
    "type": ErrorCode.TYPE_CONSTRAINT_VIOLATION,
    "required": ErrorCode.OCCURENCE_CONSTRAINT_VIOLATION,
    "minItems": ErrorCode.OCCURENCE_CONSTRAINT_VIOLATION,
    "maxItems": ErrorCode.OCCURENCE_CONSTRAINT_VIOLATION,
    "enum": ErrorCode.PROPERTY_CONSTRAINT_VIOLATION,
    "maxLength": ErrorCode.PROPERTY_CONSTRAINT_VIOLATION,
    "minimum": ErrorCode.PROPERTY_CONSTRAINT_VIOLATION,
    "multipleOf": ErrorCode.PROPERTY_CONSTRAINT_VIOLATION,
}


@dataclass(frozen=True, slots=True)
class Violation:
    """Why a payload breaks its schema; the text names the member, never its value."""

    code: ErrorCode
    description: str


def find_violation(message_type: int, action: str, payload: Mapping[str, Any]) -> Violation | None:
    """Find the first violation of the schema of `action`; unknown members are one (FormationViolation).

    Raises:
        OSError: there is no such action.
    """
    is_decimal = (message_type, action) in _DECIMAL_SCHEMAS
    validator = get_validator(message_type, action, "1.6", parse_float=Decimal if is_decimal else float)
    instance = json.loads(json.dumps(payload), parse_float=Decimal) if is_decimal else payload
    errors = sorted(validator.iter_errors(instance), key=lambda error: [str(part) for part in error.absolute_path])
    if not errors:
        return None
    first = errors[0]
    path = ".".join(str(part) for part in first.absolute_path) or action
    return Violation(_CODES.get(first.validator, ErrorCode.FORMATION_VIOLATION), f"{path}: {first.validator}")


def without_extras(action: str, payload: Mapping[str, Any]) -> dict[str, Any]:
    """Drop null and unknown members of an answer.

    Requests are judged strictly, answers leniently: refusing a StartTransaction.conf for a vendor's extra
    member would send the same start again and again.
    """
    schema = get_validator(RESULT, action, "1.6").schema
    return _known_members(schema, payload)


def _known_members(schema: Mapping[str, Any], payload: Mapping[str, Any]) -> dict[str, Any]:
    known = schema.get("properties", {})
    return {
        name: _known_members(known[name], value) if isinstance(value, dict) else value
        for name, value in payload.items()
        if name in known and value is not None
    }
