"""The one loop: one event in, one step, its effects out in order, a fresh view published.

Nothing else calls the core. A mistake in the core or in a handler is written down with the event, counted,
and the loop goes on with the state it had: a charger that stops deciding is worse than one lost event.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeVar, assert_never

from evcharge_agent.core.effects import (
    Answer,
    AskAuthorize,
    CommitSample,
    CommitStart,
    CommitStop,
    Effect,
    FinishStop,
    ForgetAuthorisations,
    Keep,
    KeepRegister,
    Note,
    RememberAuthorisation,
    RememberAvailability,
    ReportStatus,
    Restart,
    TellGuard,
)
from evcharge_agent.core.events import AvailabilityKept, CommitFailed, Event, Kept, TimePassed
from evcharge_agent.core.facts import Instant, TransactionKey
from evcharge_agent.runtime.clock import Clock
from evcharge_agent.runtime.inbox import Inbox
from evcharge_agent.runtime.journal import Journal
from evcharge_agent.runtime.snapshots import SnapshotHub

S = TypeVar("S")
V = TypeVar("V")
T = TypeVar("T")
Commit = CommitStart | CommitStop | FinishStop | CommitSample | KeepRegister | RememberAvailability | Keep | Restart

MIN_TICK_S = 0.01
"""Two `TimePassed` are at least this far apart, even if the core asks for a moment that has gone."""

FLUSH_TIMEOUT_S = 10.0
"""How long a shutdown waits for facts that are on their way to the disk."""


@dataclass(frozen=True, slots=True)
class Core(Generic[S, V]):
    """The functions of a core, as values, so that the loop can be tested with a small one."""

    initial: Callable[[Instant], S]
    step: Callable[[S, Event, Instant], tuple[S, Sequence[Effect]]]
    next_deadline_s: Callable[[S], float | None]
    """Monotonic time of the next `TimePassed`; None or infinity: only events matter."""
    view: Callable[[S, Instant], V]


@dataclass(frozen=True, slots=True)
class EffectHandlers:
    """Who does what. `Answer` and `Note` belong to the loop itself."""

    tell_guard: Callable[[TellGuard], None]
    report_status: Callable[[ReportStatus], None]
    ask_authorize: Callable[[AskAuthorize], Coroutine[Any, Any, None]]
    """Runs beside the loop."""
    remember_authorisation: Callable[[RememberAuthorisation], Coroutine[Any, Any, None]]
    """Runs beside the loop."""
    commit_start: Callable[[CommitStart], Awaitable[None]]
    """Commits run one after another in the order of their effects: a stop never overtakes its start."""
    commit_stop: Callable[[CommitStop], Awaitable[None]]
    finish_stop: Callable[[FinishStop], Awaitable[None]]
    commit_sample: Callable[[CommitSample], Awaitable[None]]
    keep_register: Callable[[KeepRegister], Awaitable[None]]
    forget_authorisations: Callable[[ForgetAuthorisations], Coroutine[Any, Any, None]]
    """Runs beside the loop."""
    remember_availability: Callable[[RememberAvailability], Awaitable[None]]
    keep: Callable[[Keep], Awaitable[None]]
    """In the order of the commits, as are all below."""
    restart: Callable[[Restart], Awaitable[None]]
    """Called when every fact before it is on the disk; must not wait for the restart itself."""


class AgentLoop(Generic[S, V]):
    """Runs a core. `run` ends only by cancellation; facts on their way to the disk are then finished."""

    def __init__(
        self, inbox: Inbox, clock: Clock, handlers: EffectHandlers, journal: Journal, core: Core[S, V]
    ) -> None:
        self._inbox = inbox
        self._clock = clock
        self._handlers = handlers
        self._journal = journal
        self._core = core
        now = clock.now()
        self._state = core.initial(now)
        self._snapshots = SnapshotHub(core.view(self._state, now))
        self._commits: asyncio.Queue[Commit] = asyncio.Queue()
        self._tasks: set[asyncio.Task[None]] = set()
        self._bugs = 0
        self._turns = 0
        self._has_ticked = False

    @property
    def snapshots(self) -> SnapshotHub[V]:
        """The view after the last event."""
        return self._snapshots

    @property
    def state(self) -> S:
        """The core's state after the last event; only for recordings and tests."""
        return self._state

    @property
    def bugs(self) -> int:
        """Mistakes of ours since the start; anything but 0 is a bug report."""
        return self._bugs

    @property
    def turns(self) -> int:
        """Events taken since the start."""
        return self._turns

    async def run(self) -> None:
        """Take events and deadlines until cancelled."""
        committer = asyncio.create_task(self._commit_in_order(), name="commits")
        try:
            while True:
                self._turn(await self._next_event())
                # One turn of the event loop for everyone else, also while the inbox is never empty.
                await asyncio.sleep(0)
        finally:
            await self._finish(committer)

    async def _next_event(self) -> Event:
        """The core's deadline when it has come, else the oldest event; whichever is first."""
        wait_s = self._wait_s()
        if self._has_ticked:
            wait_s = max(wait_s, MIN_TICK_S)
        if wait_s <= 0.0:
            # Before the inbox: a flood of events must not starve a deadline.
            self._has_ticked = True
            return TimePassed()
        try:
            async with asyncio.timeout(None if wait_s == math.inf else wait_s):
                event = await self._inbox.take()
        except TimeoutError:
            self._has_ticked = True
            return TimePassed()
        self._has_ticked = False
        return event

    def _wait_s(self) -> float:
        deadline_s = self._guarded("next_deadline", self._state, partial(self._core.next_deadline_s, self._state))
        if deadline_s is None:
            return math.inf
        return deadline_s - self._clock.now().monotonic_s

    def _turn(self, event: Event) -> None:
        self._turns += 1
        now = self._clock.now()
        outcome = self._guarded("step", event, partial(self._core.step, self._state, event, now))
        if outcome is None:
            return
        self._state, effects = outcome
        for effect in effects:
            self._guarded("effect", effect, partial(self._dispatch, effect))
        view = self._guarded("view", event, partial(self._core.view, self._state, now))
        if view is not None:
            self._snapshots.publish(view)

    def _dispatch(self, effect: Effect) -> None:
        match effect:
            case TellGuard():
                self._handlers.tell_guard(effect)
            case CommitStart() | CommitStop() | FinishStop() | CommitSample() | KeepRegister():
                self._commits.put_nowait(effect)
            case RememberAvailability() | Keep() | Restart():
                self._commits.put_nowait(effect)
            case Answer():
                self._inbox.settle(effect)
            case ReportStatus():
                self._handlers.report_status(effect)
            case AskAuthorize():
                self._start(effect, self._handlers.ask_authorize(effect))
            case RememberAuthorisation():
                self._start(effect, self._handlers.remember_authorisation(effect))
            case ForgetAuthorisations():
                self._start(effect, self._handlers.forget_authorisations(effect))
            case Note():
                self._journal.note(effect)
            case _:
                assert_never(effect)

    def _guarded(self, doing: str, subject: object, work: Callable[[], T]) -> T | None:
        """Run `work`; a mistake in it is written down and counted instead of ending the loop."""
        try:
            return work()
        except Exception as error:  # noqa: BLE001 - whatever it is, the loop goes on
            self._note_bug(doing, subject, error)
            return None

    def _note_bug(self, doing: str, subject: object, error: BaseException) -> None:
        self._bugs += 1
        self._journal.bug(doing, subject, error)

    def _start(self, effect: Effect, work: Coroutine[Any, Any, None]) -> None:
        """Run `work` beside the loop; its errors are counted like all others."""
        task = asyncio.create_task(work, name=type(effect).__name__)
        self._tasks.add(task)
        task.add_done_callback(partial(self._ended, effect))

    def _ended(self, effect: Effect, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._note_bug("effect", effect, error)

    async def _commit_in_order(self) -> None:
        while True:
            effect = await self._commits.get()
            try:
                await self._commit(effect)
            except Exception as error:  # noqa: BLE001 - the next fact must still reach the disk
                self._note_bug("commit", effect, error)
                failure = _failure(effect)
                if failure is not None:
                    self._inbox.post(failure)
            finally:
                self._commits.task_done()

    async def _commit(self, effect: Commit) -> None:
        match effect:
            case CommitStart():
                await self._handlers.commit_start(effect)
            case CommitStop():
                await self._handlers.commit_stop(effect)
            case FinishStop():
                await self._handlers.finish_stop(effect)
            case CommitSample():
                await self._handlers.commit_sample(effect)
            case KeepRegister():
                await self._handlers.keep_register(effect)
            case RememberAvailability():
                await self._handlers.remember_availability(effect)
            case Keep():
                await self._handlers.keep(effect)
            case Restart():
                await self._handlers.restart(effect)

    async def _finish(self, committer: asyncio.Task[None]) -> None:
        """Let facts reach the disk, then end all tasks."""
        flushed = asyncio.ensure_future(self._commits.join())
        # Not `asyncio.timeout`: this task is being cancelled, and Python before 3.11.8 then lets the time-out pass
        # for the cancellation.
        done, _ = await asyncio.wait({flushed}, timeout=FLUSH_TIMEOUT_S)
        if not done:
            self._note_bug("flush", self._commits.qsize(), TimeoutError(f"not on the disk in {FLUSH_TIMEOUT_S:g} s"))
        tasks = (*self._tasks, committer, flushed)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _failure(effect: Commit) -> CommitFailed | AvailabilityKept | Kept | None:
    """Tell the core that a fact is not going to be answered by its handler."""
    match effect:
        case CommitStart(start):
            return CommitFailed(start.transaction, is_start=True, reason="internal error")
        case CommitStop(stop):
            return CommitFailed(stop.transaction, is_start=False, reason="internal error")
        case FinishStop(transaction) | KeepRegister(transaction):
            return CommitFailed(transaction, is_start=False, reason="internal error")
        case CommitSample(sample):
            return CommitFailed(sample.transaction or TransactionKey(""), is_start=False, reason="internal error")
        case RememberAvailability():
            return AvailabilityKept(is_kept=False, request=effect.request)
        case Keep(shelf):
            return Kept(shelf, is_kept=False, request=effect.request)
        case Restart():
            return None
