"""A bounded log of OCPP frames, for the live view and for tests."""

import enum
import json
from collections import OrderedDict, deque
from dataclasses import dataclass

FRAMES_KEPT = 1000
CALLS_REMEMBERED = 200

_CALL, _RESULT, _ERROR = 2, 3, 4


class Direction(enum.Enum):
    """Who sent it."""

    FROM_CHARGER = "→"
    FROM_CENTRAL = "←"


@dataclass(frozen=True, slots=True)
class LoggedFrame:
    """One frame as it was on the wire."""

    number: int
    """Counts from 1, over all frames ever."""
    at_utc_s: float
    direction: Direction
    text: str
    summary: str
    """`StartTransaction`, `StartTransaction answered`, …"""


class FrameLog:
    """The latest frames, oldest first."""

    def __init__(self, kept: int = FRAMES_KEPT) -> None:
        self._frames: deque[LoggedFrame] = deque(maxlen=kept)
        self._actions: OrderedDict[str, str] = OrderedDict()
        self._total = 0

    def add(self, direction: Direction, text: str, at_utc_s: float) -> None:
        """Append a frame."""
        self._total += 1
        self._frames.append(LoggedFrame(self._total, at_utc_s, direction, text, self._summary(text)))

    def all(self) -> tuple[LoggedFrame, ...]:
        """Everything kept."""
        return tuple(self._frames)

    def newer_than(self, number: int) -> tuple[LoggedFrame, ...]:
        """Frames after the one of that number."""
        return tuple(frame for frame in self._frames if frame.number > number)

    def _summary(self, text: str) -> str:
        try:
            frame = json.loads(text)
            kind, message_id = frame[0], str(frame[1])
        except (ValueError, TypeError, LookupError):
            return "?"
        if kind == _CALL and len(frame) > _CALL:
            self._remember(message_id, str(frame[2]))
            return str(frame[2])
        action = self._actions.get(message_id, "?")
        if kind == _RESULT:
            return f"{action} answered"
        return f"{action} refused" if kind == _ERROR else "?"

    def _remember(self, message_id: str, action: str) -> None:
        self._actions[message_id] = action
        while len(self._actions) > CALLS_REMEMBERED:
            self._actions.popitem(last=False)
