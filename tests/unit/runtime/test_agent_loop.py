"""The one loop, on a scripted core under virtual time."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from evcharge_agent.core.effects import (
    Answer,
    AskAuthorize,
    CommitSample,
    CommitStart,
    CommitStop,
    ConnectorState,
    FinishStop,
    ForgetAuthorisations,
    KeepRegister,
    Note,
    RememberAuthorisation,
    RememberAvailability,
    ReportStatus,
    Restart,
    TellGuard,
)
from evcharge_agent.core.events import (
    AvailabilityKept,
    CommitFailed,
    GuardLost,
    MeterFailed,
    RequestId,
    StartRequested,
    StopRequested,
    TimePassed,
)
from evcharge_agent.core.facts import AuthorizationStatus, IdTag, IdTagInfo, Instant
from evcharge_agent.runtime.agent_loop import MIN_TICK_S, AgentLoop, EffectHandlers
from evcharge_agent.runtime.inbox import Inbox
from evcharge_hal.contract.channel import Indicate, Indication
from tests.support.virtual_time import START_MONOTONIC_S, run_virtual, virtual_clock
from tests.unit.runtime.doubles import ListJournal, ScriptedCore
from tests.unit.store.examples import sample, start, stop

FIRST, SECOND = MeterFailed(1, "first"), MeterFailed(1, "second")
INDICATE = TellGuard(Indicate(1, Indication.AVAILABLE))
REPORT = ReportStatus(1, ConnectorState.AVAILABLE, "NoError", "", "", Instant(0.0, 0.0, False))
REMEMBER = RememberAuthorisation(IdTag("x"), IdTagInfo(AuthorizationStatus.ACCEPTED))
KEEP = KeepRegister(stop().transaction, stop().meter_stop_wh, stop().stopped)
ASK = AskAuthorize(RequestId("r"), IdTag("x"))


class Running:
    """A loop with everything around it."""

    def __init__(self, core: ScriptedCore) -> None:
        self.inbox = Inbox()
        self.journal = ListJournal()
        self.done: list[object] = []
        self.delays_s: dict[type, float] = {}
        self.raises: set[type] = set()
        handlers = EffectHandlers(
            tell_guard=self.note,
            report_status=self.note,
            ask_authorize=self.later,
            remember_authorisation=self.later,
            commit_start=self.later,
            commit_stop=self.later,
            finish_stop=self.later,
            commit_sample=self.later,
            keep_register=self.later,
            forget_authorisations=self.later,
            remember_availability=self.later,
            keep=self.later,
            restart=self.later,
        )
        self.loop = AgentLoop(self.inbox, virtual_clock(), handlers, self.journal, core.bound())

    def note(self, effect: object) -> None:
        if type(effect) in self.raises:
            raise ZeroDivisionError
        self.done.append(effect)

    async def later(self, effect: object) -> None:
        await asyncio.sleep(self.delays_s.get(type(effect), 0.0))
        self.note(effect)


@contextlib.asynccontextmanager
async def running(core: ScriptedCore) -> AsyncIterator[Running]:
    around = Running(core)
    task = asyncio.create_task(around.loop.run())
    yield around
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


def on_loop(core: ScriptedCore, script: Callable[[Running], Any]) -> Running:
    """Run `script` beside a loop; return what is left when both have ended."""

    async def main() -> Running:
        async with running(core) as around:
            await script(around)
        return around

    return run_virtual(main())


def events_of(around: Running) -> list[tuple[float, object]]:
    return [(at_s - START_MONOTONIC_S, event) for at_s, event in around.loop.state.events]


def test_events_are_taken_in_order_with_the_time_they_are_taken_at():
    async def script(around: Running) -> None:
        around.inbox.post(FIRST)
        around.inbox.post(SECOND)
        await asyncio.sleep(5.0)
        around.inbox.post(GuardLost())
        await asyncio.sleep(1.0)

    around = on_loop(ScriptedCore(), script)
    assert events_of(around) == [(0.0, FIRST), (0.0, SECOND), (5.0, GuardLost())]
    assert (around.loop.turns, around.loop.bugs) == (3, 0)


def test_time_passes_exactly_at_the_deadlines():
    core = ScriptedCore(deadlines=(START_MONOTONIC_S + 0.1, START_MONOTONIC_S + 3600.7, float("inf")))
    around = on_loop(core, lambda _around: asyncio.sleep(9000.0))
    assert events_of(around) == [(pytest.approx(0.1), TimePassed()), (pytest.approx(3600.7), TimePassed())]
    assert [at_s for at_s, _ in around.loop.state.events] == [START_MONOTONIC_S + 0.1, START_MONOTONIC_S + 3600.7]


def test_an_event_before_the_deadline_does_not_move_it():
    async def script(around: Running) -> None:
        await asyncio.sleep(4.0)
        around.inbox.post(FIRST)
        await asyncio.sleep(20.0)

    around = on_loop(ScriptedCore(deadlines=(START_MONOTONIC_S + 10.0,)), script)
    assert events_of(around) == [(4.0, FIRST), (10.0, TimePassed())]


def test_a_flood_of_events_does_not_starve_a_deadline():
    async def script(around: Running) -> None:
        for _ in range(50):
            around.inbox.post(FIRST)
        await asyncio.sleep(1.0)

    around = on_loop(ScriptedCore(deadlines=(START_MONOTONIC_S,)), script)
    assert events_of(around)[0] == (0.0, TimePassed())
    assert len(events_of(around)) == 51


def test_a_core_that_asks_for_the_past_does_not_spin():
    core = ScriptedCore(deadlines=(START_MONOTONIC_S,) * 1000)
    around = on_loop(core, lambda _around: asyncio.sleep(1.0))
    assert around.loop.turns == pytest.approx(1.0 / MIN_TICK_S, rel=0.05)


def test_effects_reach_their_handlers_in_order():
    core = ScriptedCore({FIRST: [INDICATE, REPORT, INDICATE], SECOND: [ASK, REMEMBER]})

    async def script(around: Running) -> None:
        around.inbox.post(FIRST)
        around.inbox.post(SECOND)
        await asyncio.sleep(1.0)

    assert on_loop(core, script).done == [INDICATE, REPORT, INDICATE, ASK, REMEMBER]


def test_questions_run_beside_the_loop():
    core = ScriptedCore({FIRST: [ASK], SECOND: [INDICATE]})

    async def script(around: Running) -> None:
        around.delays_s[AskAuthorize] = 30.0
        around.inbox.post(FIRST)
        around.inbox.post(SECOND)
        await asyncio.sleep(29.0)
        assert around.done == [INDICATE]
        await asyncio.sleep(2.0)

    assert on_loop(core, script).done == [INDICATE, ASK]


def test_a_stop_never_overtakes_its_start_on_the_way_to_the_disk():
    facts = [CommitStart(start()), CommitSample(sample()), KEEP, CommitStop(stop())]
    core = ScriptedCore({FIRST: facts})

    async def script(around: Running) -> None:
        around.delays_s = {CommitStart: 30.0, CommitSample: 1.0}
        around.inbox.post(FIRST)
        await asyncio.sleep(60.0)

    assert on_loop(core, script).done == facts


def test_a_restart_waits_for_the_facts_before_it():
    facts = [CommitStop(stop()), RememberAvailability(frozenset({1}), RequestId("r")), Restart(is_hard=False)]
    core = ScriptedCore({FIRST: facts})

    async def script(around: Running) -> None:
        around.delays_s = {CommitStop: 3.0, RememberAvailability: 1.0}
        around.inbox.post(FIRST)
        await asyncio.sleep(3.5)
        assert around.done == facts[:1]
        await asyncio.sleep(1.0)

    assert on_loop(core, script).done == facts


def test_forgetting_follows_remembering_beside_the_loop():
    forget = ForgetAuthorisations(RequestId("r"))
    core = ScriptedCore({FIRST: [REMEMBER, forget, INDICATE]})
    assert on_loop(core, lambda around: post_and_wait(around, FIRST)).done == [INDICATE, REMEMBER, forget]


def test_a_mistake_while_leaving_or_remembering_is_no_failed_transaction():
    remember = RememberAvailability(frozenset(), RequestId("r"))
    core = ScriptedCore({FIRST: [remember, Restart(is_hard=True), CommitStart(start())]})

    async def script(around: Running) -> None:
        around.raises = {RememberAvailability, Restart}
        await post_and_wait(around, FIRST)

    around = on_loop(core, script)
    assert around.done == [CommitStart(start())]
    assert around.loop.bugs == 2
    found = [event for _, event in events_of(around)]
    assert not any(isinstance(event, CommitFailed) for event in found)
    assert AvailabilityKept(is_kept=False, request=RequestId("r")) in found


def test_facts_on_their_way_are_written_before_the_loop_ends():
    core = ScriptedCore({FIRST: [CommitStart(start()), CommitStop(stop()), ASK]})

    async def script(around: Running) -> None:
        around.delays_s = {CommitStart: 2.0, CommitStop: 2.0, AskAuthorize: 100.0}
        around.inbox.post(FIRST)
        await asyncio.sleep(0.1)

    around = on_loop(core, script)
    assert around.done == [CommitStart(start()), CommitStop(stop())]
    assert around.loop.bugs == 0


def test_a_disk_that_never_answers_does_not_hold_the_shutdown_for_ever():
    core = ScriptedCore({FIRST: [CommitStop(stop())]})

    async def script(around: Running) -> None:
        around.delays_s = {CommitStop: 1e6}
        around.inbox.post(FIRST)
        await asyncio.sleep(0.1)

    around = on_loop(core, script)
    assert [bug[0] for bug in around.journal.bugs] == ["flush"]


def test_an_answer_reaches_the_one_who_asked():
    async def script(around: Running) -> None:
        asked = asyncio.create_task(around.inbox.ask(lambda request: StopRequested(request, 1)))
        await asyncio.sleep(0)
        around.inbox.post(FIRST)
        assert await asked == Answer(RequestId("inbox-1"), is_accepted=True)

    on_loop(ScriptedCore({FIRST: [Answer(RequestId("inbox-1"), is_accepted=True)]}), script)


def test_notes_go_to_the_journal():
    note = Note("something")
    around = on_loop(ScriptedCore({FIRST: [note]}), lambda around: post_and_wait(around, FIRST))
    assert around.journal.notes == [note]


async def post_and_wait(around: Running, *events: object) -> None:
    for event in events:
        around.inbox.post(event)
    await asyncio.sleep(1.0)


def test_a_mistake_in_the_core_costs_one_event_and_is_written_down():
    core = ScriptedCore()
    core.raises = {FIRST}
    around = on_loop(core, lambda around: post_and_wait(around, FIRST, SECOND))
    assert events_of(around) == [(0.0, SECOND)]
    assert around.journal.bugs == [("step", FIRST, "ZeroDivisionError()")]
    assert around.loop.bugs == 1


def test_a_mistake_in_a_handler_costs_one_effect():
    async def script(around: Running) -> None:
        around.raises = {TellGuard, AskAuthorize}
        await post_and_wait(around, FIRST)

    around = on_loop(ScriptedCore({FIRST: [INDICATE, ASK, REPORT]}), script)
    assert around.done == [REPORT]
    assert {(bug[0], type(bug[1])) for bug in around.journal.bugs} == {("effect", TellGuard), ("effect", AskAuthorize)}


def test_a_mistake_in_a_commit_is_told_to_the_core_and_the_next_goes_on():
    start_request = StartRequested(RequestId("r"), 1, IdTag("x"))
    finish = FinishStop(stop().transaction, stop().meter_stop_wh, stop().stopped)
    facts = [CommitStart(start()), CommitSample(sample()), KEEP, finish, CommitStop(stop())]
    core = ScriptedCore({start_request: facts})

    async def script(around: Running) -> None:
        around.raises = {CommitStart, CommitSample, KeepRegister, FinishStop}
        await post_and_wait(around, start_request)

    around = on_loop(core, script)
    assert around.done == [CommitStop(stop())]
    assert [event for _, event in events_of(around)][1:] == [
        CommitFailed(start().transaction, is_start=True, reason="internal error"),
        *[CommitFailed(start().transaction, is_start=False, reason="internal error")] * 3,
    ]
    assert around.loop.bugs == 4


def test_every_change_is_published_and_slow_readers_skip():
    async def script(around: Running) -> None:
        hub = around.loop.snapshots
        assert (hub.latest, hub.version) == (0, 0)
        seen: list[int] = []

        async def read(pause_s: float) -> None:
            async for view in hub.follow():
                seen.append(view)
                await asyncio.sleep(pause_s)

        reader = asyncio.create_task(read(2.5))
        for _ in range(4):
            await asyncio.sleep(1.0)
            around.inbox.post(FIRST)
        await asyncio.sleep(5.0)
        reader.cancel()
        assert seen == [0, 2, 4]
        assert await hub.newer_than(3) == (4, 4)

    on_loop(ScriptedCore(), script)


def test_a_reader_waits_for_a_change():
    async def script(around: Running) -> None:
        waiting = asyncio.create_task(around.loop.snapshots.newer_than(0))
        await asyncio.sleep(10.0)
        assert not waiting.done()
        around.inbox.post(FIRST)
        assert await waiting == (1, 1)
        around.loop.snapshots.publish(1)
        assert around.loop.snapshots.version == 1

    on_loop(ScriptedCore(), script)
