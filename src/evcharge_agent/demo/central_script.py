"""How the embedded central system behaves, and what it remembers."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What happens to one request of the charger instead of a prompt answer."""

    delay_s: float = 0.0
    refusal: str | None = None
    """Answer with a CALLERROR of this code; the request is not taken in."""
    is_silent: bool = False
    """Never answer; the request is not taken in."""
    is_answer_lost: bool = False
    """Take the request in, but lose the answer."""
    is_cut: bool = False
    """Cut the line afterwards."""


@dataclass(slots=True)
class Script:
    """How the central system behaves. May be changed at any time."""

    boot_answers: deque[tuple[str, int]] = field(default_factory=deque)
    """Status and interval of the next boots; afterwards every boot is accepted."""
    heartbeat_interval_s: int = 300
    tags: dict[str, str] = field(default_factory=dict)
    """Verdicts by id tag; compared without case."""
    parents: dict[str, str] = field(default_factory=dict)
    unknown_tag: str = "Accepted"
    """Verdict on all other tags."""
    behaviours: dict[str, deque[Behaviour]] = field(default_factory=dict)
    """By action: what happens to the next requests."""
    next_transaction_id: int = 1

    def expect(self, action: str, *behaviours: Behaviour) -> None:
        """Queue behaviours for the next requests of that action."""
        self.behaviours.setdefault(action, deque()).extend(behaviours)

    def verdict(self, id_tag: str) -> dict[str, str]:
        """The idTagInfo of a tag, snake_case."""
        folded = id_tag.casefold()
        tags = {tag.casefold(): status for tag, status in self.tags.items()}
        info = {"status": tags.get(folded, self.unknown_tag)}
        parents = {tag.casefold(): parent for tag, parent in self.parents.items()}
        return info | ({"parent_id_tag": parents[folded]} if folded in parents else {})

    def next_behaviour(self, action: str) -> Behaviour | None:
        """Take the behaviour that is due."""
        queued = self.behaviours.get(action)
        return queued.popleft() if queued else None


@dataclass(slots=True)
class TransactionRecord:
    """What the central system was told of one transaction."""

    transaction_id: int
    connector: int
    id_tag: str
    meter_start_wh: int
    started: str
    verdict: str
    meter_values: list[dict[str, Any]] = field(default_factory=list)
    meter_stop_wh: int | None = None
    stopped: str | None = None
    reason: str | None = None
    stop_id_tag: str | None = None

    @property
    def energy_wh(self) -> int | None:
        """Energy of a transaction that has ended."""
        return None if self.meter_stop_wh is None else self.meter_stop_wh - self.meter_start_wh


@dataclass(frozen=True, slots=True)
class Received:
    """One request as it was taken in, in the order of arrival."""

    action: str
    message_id: str
    payload: Mapping[str, Any]
    at_utc_s: float
