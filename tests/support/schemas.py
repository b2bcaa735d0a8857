"""Raw OCPP 1.6 frames of either direction against the schemas shipped with the `ocpp` library.

Independent of our own validation: it reads the schema files itself and knows the frame's shape by itself.
"""

import functools
import json
from collections.abc import Iterable
from decimal import Decimal
from importlib import resources
from typing import Any

from jsonschema import Draft4Validator  # type: ignore[import-untyped]

ERROR_CODES = {
    "NotImplemented",
    "NotSupported",
    "InternalError",
    "ProtocolError",
    "SecurityError",
    "FormationViolation",
    "PropertyConstraintViolation",
    "OccurenceConstraintViolation",
    "TypeConstraintViolation",
    "GenericError",
}
"""Of OCPP-J 1.6, 4.2.3, spelled as there."""


class InvalidFrameError(AssertionError):
    """A frame breaks the standard."""


class FrameChecker:
    """Checks the frames of one connection in their order; results are judged by the call they answer."""

    def __init__(self) -> None:
        self._actions: dict[str, str] = {}

    def check(self, text: str, *, is_judged: bool = True) -> None:
        """Raise `InvalidFrameError` when the frame is not valid; one that is not judged is only remembered."""
        frame = json.loads(text, parse_float=Decimal) if is_judged or text.startswith("[2,") else None
        if not is_judged:
            if isinstance(frame, list) and len(frame) > 2 and isinstance(frame[2], str):
                self._actions[frame[1]] = frame[2]
            return
        if not isinstance(frame, list) or len(frame) < 3 or not isinstance(frame[1], str):
            raise InvalidFrameError(f"no frame: {text}")
        if not 1 <= len(frame[1]) <= 36:
            raise InvalidFrameError(f"message id of wrong length: {text}")
        match frame:
            case [2, message_id, str(action), dict(payload)]:
                self._actions[message_id] = action
                _validate(action, payload, text)
            case [3, message_id, dict(payload)]:
                if message_id not in self._actions:
                    raise InvalidFrameError(f"a result nobody asked for: {text}")
                _validate(self._actions[message_id] + "Response", payload, text)
            case [4, _, str(code), str(description), dict()] if code in ERROR_CODES and len(description) <= 255:
                pass
            case _:
                raise InvalidFrameError(f"no CALL, CALLRESULT or CALLERROR: {text}")


def check_frames(texts: Iterable[str]) -> int:
    """Check all frames of one connection; return how many there were."""
    checker = FrameChecker()
    count = 0
    for text in texts:
        checker.check(text)
        count += 1
    return count


def _validate(schema: str, payload: dict[str, Any], text: str) -> None:
    error = next(iter(_validator(schema).iter_errors(payload)), None)
    if error is not None:
        raise InvalidFrameError(f"{schema}: {error.message} in {text}")
    if _has_null(payload):
        raise InvalidFrameError(f"a null member: {text}")


def _has_null(value: Any) -> bool:
    if isinstance(value, dict):
        return any(_has_null(item) for item in value.values())
    if isinstance(value, list):
        return any(_has_null(item) for item in value)
    return value is None


@functools.cache
def _validator(schema: str) -> Draft4Validator:
    path = resources.files("ocpp") / "v16" / "schemas" / f"{schema}.json"
    if not path.is_file():
        raise InvalidFrameError(f"there is no {schema}")
    return Draft4Validator(json.loads(path.read_text(encoding="utf-8-sig"), parse_float=Decimal))
