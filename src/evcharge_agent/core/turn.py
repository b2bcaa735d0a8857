"""One step in progress: the state as changed so far and the effects asked for. Lives only within `step`."""

from dataclasses import replace

from evcharge_agent.core.effects import Answer, Effect, Level, Note, TellGuard
from evcharge_agent.core.events import RequestId
from evcharge_agent.core.facts import Instant, TransactionKey
from evcharge_agent.core.reasons import TEXTS, Reason
from evcharge_agent.core.rules import Rules
from evcharge_agent.core.state import Connector, Run, Session, State
from evcharge_hal.contract.channel import MAX_CONNECTORS, ResetGuard, SetPoint


class Turn:
    """Collects what one event changes; `finish` hands out the new values."""

    __slots__ = ("_connectors", "_effects", "now", "run", "state")

    def __init__(self, state: State, run: Run, now: Instant) -> None:
        self.state = state
        self.run = run
        self.now = now
        self._connectors = dict(state.connectors)
        self._effects: list[Effect] = []

    @property
    def now_s(self) -> float:
        """Monotonic time of this step."""
        return self.now.monotonic_s

    @property
    def rules(self) -> Rules:
        """The settings in force."""
        return self.run.rules

    @property
    def numbers(self) -> tuple[int, ...]:
        """All known connectors in order."""
        return tuple(sorted(self._connectors))

    def connector(self, number: int) -> Connector:
        """A known connector."""
        return self._connectors[number]

    def knows(self, number: int) -> bool:
        """The connector exists."""
        return number in self._connectors

    def meet(self, number: int) -> bool:
        """Make a connector known that something speaks of; False where the contract has no such number."""
        if number not in self._connectors and 1 <= number <= MAX_CONNECTORS:
            connector = Connector(number)
            self._connectors[number] = replace(connector, meter=replace(connector.meter, since_s=self.now_s))
        return number in self._connectors

    def put(self, connector: Connector) -> None:
        """Replace a connector."""
        self._connectors[connector.number] = connector

    def find(self, key: TransactionKey) -> Connector | None:
        """The connector on which this transaction is open."""
        for connector in self._connectors.values():
            transaction = connector.session.transaction
            if transaction is not None and transaction.start.transaction == key:
                return connector
        return None

    def session(self, number: int) -> Session:
        """A connector's session."""
        return self._connectors[number].session

    def put_session(self, number: int, session: Session) -> None:
        """Replace a connector's session."""
        self.put(replace(self._connectors[number], session=session))

    def next_name(self, prefix: str = "") -> str:
        """A name nobody had in this run: no randomness, so a run can be replayed."""
        number = self.run.next_number
        self.run = replace(self.run, next_number=number + 1)
        return f"{self.run.run_id}-{prefix}{number}"

    def emit(self, effect: Effect) -> None:
        """Ask for an effect."""
        self._effects.append(effect)

    def answer(self, request: RequestId | None, refusal: Reason | None = None, detail: str = "") -> None:
        """Answer a request, if somebody waits: accepted, or refused with the reason; `detail` says more of it."""
        if request is None:
            return
        if refusal is None:
            self.emit(Answer(request, is_accepted=True))
            return
        text = f"{TEXTS[refusal]} {detail}".rstrip()
        self.emit(Answer(request, is_accepted=False, reason=refusal.value, text=text))

    def note(self, event: str, connector: int | None = None, level: Level = Level.INFO, **fields: object) -> None:
        """Ask for a line in the log."""
        transaction = None
        if connector is not None and self.knows(connector):
            running = self.session(connector).transaction
            transaction = running.start.transaction if running is not None else None
        self.emit(Note(event, level, connector, transaction, fields))

    def finish(self) -> tuple[State, tuple[Effect, ...]]:
        """The new state and the effects in the order they are to be carried out.

        Set-points go first, for stopping and lowering wait for nothing (DESIGN D7); answers go before
        what they announce (ocpp16.md rule 10).
        """
        state = replace(self.state, run=self.run, connectors=self._connectors, stepped_s=self.now_s)
        return state, tuple(sorted(self._effects, key=_rank))


def _rank(effect: Effect) -> int:
    if isinstance(effect, TellGuard) and isinstance(effect.message, SetPoint | ResetGuard):
        return 0
    return 1 if isinstance(effect, Answer) else 2
