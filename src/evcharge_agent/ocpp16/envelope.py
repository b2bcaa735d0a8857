"""The outer array of a frame, read before anything else looks at it. Pure.

The `ocpp` library's receive loop dies of an action that is no string and of deep nesting, and leaves
malformed frames unanswered. So every frame passes here first: bounded in size, depth and numbers, its names
unique, its strings real text (spec security 3.10). What can be answered is, with OCPP 1.6's own spelling of
the error codes (OCPP-J 1.6, 4.2.3).
"""

import enum
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MAX_FRAME_LENGTH = 65_536
MAX_DEPTH = 32
MAX_MESSAGE_ID_LENGTH = 36
MAX_DIGITS = 18
"""Longest integer that is read: the store's 64 bits hold it, nothing in OCPP needs more."""

_CALL_LENGTH = 4
_RESULT_LENGTH = 3
_ERROR_CODE_INDEX = 2
_DESCRIPTION_INDEX = 3

# A string, closed or cut off, or one bracket. Possessive, so that no input makes it slow.
_TOKEN = re.compile(r'"(?:[^"\\]++|\\.)*+"?|[\[\]{}]', re.DOTALL)
_CALL_HEAD = re.compile(r'\s*\[\s*2\s*,\s*"([^"\\\x00-\x1f]{1,36})"\s*,')


class ErrorCode(enum.Enum):
    """Error codes of a CALLERROR in the spelling of OCPP-J 1.6, `Occurence` included."""

    NOT_IMPLEMENTED = "NotImplemented"
    NOT_SUPPORTED = "NotSupported"
    INTERNAL_ERROR = "InternalError"
    PROTOCOL_ERROR = "ProtocolError"
    SECURITY_ERROR = "SecurityError"
    FORMATION_VIOLATION = "FormationViolation"
    PROPERTY_CONSTRAINT_VIOLATION = "PropertyConstraintViolation"
    OCCURENCE_CONSTRAINT_VIOLATION = "OccurenceConstraintViolation"
    TYPE_CONSTRAINT_VIOLATION = "TypeConstraintViolation"
    GENERIC_ERROR = "GenericError"


@dataclass(frozen=True, slots=True)
class CallFrame:
    """A request of the central system; the payload is not yet checked."""

    message_id: str
    action: str
    payload: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ResultFrame:
    """A CALLRESULT; the payload is not yet checked."""

    message_id: str
    payload: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ErrorFrame:
    """A CALLERROR."""

    message_id: str
    code: str
    description: str


@dataclass(frozen=True, slots=True)
class MalformedCall:
    """A request that cannot be handled, yet can be answered with a CALLERROR."""

    message_id: str
    code: ErrorCode
    description: str


@dataclass(frozen=True, slots=True)
class Unusable:
    """Nothing that could be answered: noted and dropped (OCPP-J 1.6, 4.1.3: unknown types are ignored)."""

    reason: str


Frame = CallFrame | ResultFrame | ErrorFrame | MalformedCall | Unusable


def read_frame(raw: str | bytes) -> Frame:
    """Read one frame; whatever the input is, an answerable description of it comes out."""
    if isinstance(raw, bytes):
        return Unusable("a binary frame")
    if len(raw) > MAX_FRAME_LENGTH:
        return _broken(raw, f"more than {MAX_FRAME_LENGTH} characters")
    if _depth_exceeds(raw, MAX_DEPTH):
        return _broken(raw, f"nested deeper than {MAX_DEPTH}")
    reader = _JsonReader()
    try:
        data = reader.read(raw)
    except (ValueError, RecursionError):
        return Unusable("not JSON")
    if not isinstance(data, list) or not data:
        return Unusable("not an array")
    return _read_array(data, reader.fault)


def call_error(message_id: str, code: ErrorCode, description: str) -> str:
    """Write a CALLERROR; the description is at most 255 characters (OCPP-J 1.6, 4.2.3)."""
    return json.dumps([4, message_id, code.value, description[:255], {}], separators=(",", ":"))


def _read_array(data: list[Any], fault: str | None) -> Frame:
    message_type = data[0]
    # `True` and 2.0 equal numbers in Python and are no message type.
    if type(message_type) is not int or message_type not in (2, 3, 4):
        return Unusable("an unknown message type")
    message_id = data[1] if len(data) > 1 else None
    if not isinstance(message_id, str) or not 1 <= len(message_id) <= MAX_MESSAGE_ID_LENGTH:
        return Unusable(f"a message id that is no string of 1 to {MAX_MESSAGE_ID_LENGTH} characters")
    if not _is_text(message_id):
        return Unusable("a message id that is no text")
    if message_type == 2:  # noqa: PLR2004 - CALL
        return _read_call(data, message_id, fault)
    if fault is not None:
        return Unusable(fault)
    return _read_result(data, message_id) if message_type == 3 else _read_error(data, message_id)  # noqa: PLR2004


def _read_call(data: list[Any], message_id: str, fault: str | None) -> CallFrame | MalformedCall:
    def malformed(description: str) -> MalformedCall:
        return MalformedCall(message_id, ErrorCode.FORMATION_VIOLATION, description)

    if fault is not None:
        return malformed(fault)
    if len(data) != _CALL_LENGTH:
        return malformed("a CALL has four elements")
    action, payload = data[2], data[3]
    if not isinstance(action, str):
        return malformed("the action is not a string")
    if not isinstance(payload, dict):
        return malformed("the payload is not an object")
    return CallFrame(message_id, action, payload)


def _read_result(data: list[Any], message_id: str) -> ResultFrame | Unusable:
    if len(data) != _RESULT_LENGTH or not isinstance(data[2], dict):
        return Unusable("a CALLRESULT that is not type, id and object")
    return ResultFrame(message_id, data[2])


def _read_error(data: list[Any], message_id: str) -> ErrorFrame:
    """Be lenient: however an error is written, it says that there will be no result."""

    def text(index: int) -> str:
        return data[index] if len(data) > index and isinstance(data[index], str) else ""

    return ErrorFrame(message_id, text(_ERROR_CODE_INDEX), text(_DESCRIPTION_INDEX))


def _broken(raw: str, reason: str) -> MalformedCall | Unusable:
    """A frame that is not parsed at all; its id may still be legible."""
    head = _CALL_HEAD.match(raw)
    if head is None:
        return Unusable(reason)
    return MalformedCall(head.group(1), ErrorCode.FORMATION_VIOLATION, reason)


def _depth_exceeds(raw: str, limit: int) -> bool:
    if raw.count("[") + raw.count("{") <= limit:
        return False
    depth = 0
    for token in _TOKEN.finditer(raw):
        character = raw[token.start()]
        if character in "[{":
            depth += 1
            if depth > limit:
                return True
        elif character in "]}":
            depth -= 1
    return False


def _is_text(text: str) -> bool:
    """Half a surrogate pair can be escaped into JSON, but never written out again."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


class _JsonReader:
    """JSON without its loopholes. A fault is remembered, not raised, so that the message id is not lost."""

    def __init__(self) -> None:
        self.fault: str | None = None

    def read(self, raw: str) -> Any:
        """Parse strictly; raises ValueError or RecursionError for what is no JSON at all."""
        data = json.loads(
            raw,
            object_pairs_hook=self._table,
            parse_int=self._integer,
            parse_float=self._number,
            parse_constant=self._constant,
        )
        if "\\ud" in raw.casefold() and not _is_text(json.dumps(data, ensure_ascii=False)):
            self.fault = "half a surrogate pair"
        return data

    def _table(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        table = dict(pairs)
        if len(table) != len(pairs):
            self.fault = "a name appears twice"
        return table

    def _integer(self, digits: str) -> int:
        if len(digits) <= MAX_DIGITS:
            return int(digits)
        self.fault = "a number is too long"
        return 0

    def _number(self, digits: str) -> float:
        value = float(digits)
        if math.isfinite(value):
            return value
        self.fault = "a number is too large"
        return 0.0

    def _constant(self, name: str) -> None:
        self.fault = f"{name} is not JSON"
