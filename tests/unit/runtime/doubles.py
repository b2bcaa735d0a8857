"""A journal that keeps what it is told, and a core as small as possible."""

from dataclasses import dataclass, field

from evcharge_agent.core.effects import Effect, Note
from evcharge_agent.core.events import Event, TimePassed
from evcharge_agent.core.facts import Instant
from evcharge_agent.runtime.agent_loop import Core


@dataclass
class ListJournal:
    notes: list[Note] = field(default_factory=list)
    bugs: list[tuple[str, object, str]] = field(default_factory=list)

    def note(self, note: Note) -> None:
        self.notes.append(note)

    def bug(self, doing: str, subject: object, error: BaseException) -> None:
        self.bugs.append((doing, subject, repr(error)))


@dataclass(frozen=True)
class Trace:
    """The state of the small core: what it was told and when."""

    events: tuple[tuple[float, Event], ...] = ()
    deadline_s: float | None = None


class ScriptedCore:
    """Answers events with effects from a table; `deadlines` are asked for one after another."""

    def __init__(self, effects: dict[Event, list[Effect]] | None = None, deadlines: tuple[float, ...] = ()) -> None:
        self.effects = effects or {}
        self.deadlines = list(deadlines)
        self.raises: set[Event] = set()

    def initial(self, _now: Instant) -> Trace:
        return Trace(deadline_s=self.deadlines.pop(0) if self.deadlines else None)

    def step(self, state: Trace, event: Event, now: Instant) -> tuple[Trace, list[Effect]]:
        if event in self.raises:
            raise ZeroDivisionError
        deadline_s = state.deadline_s
        if isinstance(event, TimePassed):
            deadline_s = self.deadlines.pop(0) if self.deadlines else None
        return Trace((*state.events, (now.monotonic_s, event)), deadline_s), self.effects.get(event, [])

    def next_deadline_s(self, state: Trace) -> float | None:
        return state.deadline_s

    def view(self, state: Trace, _now: Instant) -> int:
        return len(state.events)

    def bound(self) -> Core[Trace, int]:
        return Core(self.initial, self.step, self.next_deadline_s, self.view)
