"""How the strict central system answers: properly, unless the scenario says otherwise."""

import itertools
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.support.strict.trace import Payload

Makers = Mapping[str, Callable[[], Payload]]


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What happens to one request of the charger."""

    delay_s: float = 0.0
    error: str | None = None
    """Answer with this CALLERROR."""
    payload: Payload | None = None
    """Answer with this instead."""
    is_silent: bool = False
    is_answer_lost: bool = False
    """Take it in, drop the line without answering."""
    is_dropped: bool = False
    """Drop the line after answering."""


def late(delay_s: float) -> Behaviour:
    """Answer properly, but late."""
    return Behaviour(delay_s=delay_s)


def error(code: str = "InternalError") -> Behaviour:
    """Answer with a CALLERROR."""
    return Behaviour(error=code)


def silence() -> Behaviour:
    """Never answer."""
    return Behaviour(is_silent=True)


def answer(**payload: Any) -> Behaviour:
    """Answer with this."""
    return Behaviour(payload=payload)


def cut() -> Behaviour:
    """Take the request in and drop the line instead of answering."""
    return Behaviour(is_answer_lost=True)


@dataclass(slots=True)
class Answers:
    """May be changed at any time."""

    heartbeat_interval_s: int = 300
    unknown_tag: str = "Accepted"
    first_transaction_id: int = 1
    tags: dict[str, Payload] = field(default_factory=dict)
    """idTagInfo by tag, compared without case."""
    start_tags: dict[str, Payload] = field(default_factory=dict)
    """The same, in StartTransaction.conf only."""
    boots: deque[tuple[str, int]] = field(default_factory=deque)
    behaviours: dict[str, deque[Behaviour]] = field(default_factory=dict)
    _given: dict[str, int] = field(default_factory=dict)
    _numbers: "itertools.count[int] | None" = None

    def tag(self, id_tag: str, status: str = "Accepted", **info: str) -> None:
        """Verdict on a tag; `info` is parentIdTag, expiryDate."""
        self.tags[id_tag.casefold()] = {"status": status, **info}

    def tag_at_start(self, id_tag: str, status: str, **info: str) -> None:
        """Verdict on a tag in StartTransaction.conf only."""
        self.start_tags[id_tag.casefold()] = {"status": status, **info}

    def boot(self, status: str, interval_s: int = 0) -> None:
        """Queue the answer to the next boot that has none yet."""
        self.boots.append((status, interval_s))

    def next(self, action: str, *behaviours: Behaviour) -> None:
        """Queue what happens to the next requests of that action."""
        self.behaviours.setdefault(action, deque()).extend(behaviours)

    def behaviour(self, action: str) -> Behaviour:
        """Take what is due."""
        queued = self.behaviours.get(action)
        return queued.popleft() if queued else Behaviour()

    def to(self, action: str, message_id: str, payload: Payload, now: str) -> Payload:
        """The proper answer."""
        makers: Makers = {
            "Authorize": lambda: {"idTagInfo": self.info(payload["idTag"])},
            "BootNotification": lambda: self._boot(now),
            "DataTransfer": lambda: {"status": "Accepted"},
            "Heartbeat": lambda: {"currentTime": now},
            "SignCertificate": lambda: {"status": "Accepted"},
            "StartTransaction": lambda: self._start(message_id, payload),
            "StopTransaction": lambda: {"idTagInfo": self.info(payload["idTag"])} if "idTag" in payload else {},
        }
        return makers.get(action, dict)()

    def info(self, id_tag: str) -> Payload:
        """What is known of a tag."""
        return self.tags.get(id_tag.casefold(), {"status": self.unknown_tag})

    def _boot(self, now: str) -> Payload:
        status, interval_s = self.boots.popleft() if self.boots else ("Accepted", self.heartbeat_interval_s)
        return {"currentTime": now, "interval": interval_s, "status": status}

    def _start(self, message_id: str, payload: Payload) -> Payload:
        """A message that was seen before gets the same number."""
        if self._numbers is None:
            self._numbers = itertools.count(self.first_transaction_id)
        if message_id not in self._given:
            self._given[message_id] = next(self._numbers)
        info = self.start_tags.get(payload["idTag"].casefold(), self.info(payload["idTag"]))
        return {"transactionId": self._given[message_id], "idTagInfo": info}
