"""The way into the core, and the one place that reads clocks."""

import asyncio

import pytest

from evcharge_agent.core.effects import Answer
from evcharge_agent.core.events import GuardLost, RequestId, StopRequested
from evcharge_agent.core.facts import Instant
from evcharge_agent.runtime.clock import Clock
from evcharge_agent.runtime.inbox import Inbox
from tests.support.virtual_time import run_virtual


def test_requests_are_told_apart_and_each_gets_its_answer():
    async def main() -> None:
        inbox = Inbox()
        asked = [asyncio.create_task(inbox.ask(lambda request: StopRequested(request, 1))) for _ in range(2)]
        first, second = (await inbox.take()).request, (await inbox.take()).request
        inbox.settle(Answer(second, is_accepted=False, reason="no"))
        inbox.settle(Answer(first, is_accepted=True))
        assert [answer.is_accepted for answer in await asyncio.gather(*asked)] == [True, False]

    run_virtual(main())


def test_an_answer_nobody_waits_for_is_no_error():
    async def main() -> None:
        inbox = Inbox()
        inbox.settle(Answer(RequestId("nobody"), is_accepted=True))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1.0):
                await inbox.ask(lambda request: StopRequested(request, 1))
        inbox.settle(Answer((await inbox.take()).request, is_accepted=True))
        inbox.post(GuardLost())
        assert await inbox.take() == GuardLost()

    run_virtual(main())


def test_the_wall_clock_is_learned_and_the_monotonic_one_never_moves():
    monotonic_s = [100.0]
    system_utc_s = [5000.0]
    clock = Clock(lambda: monotonic_s[0], lambda: system_utc_s[0])
    assert clock.now() == Instant(100.0, 5000.0, is_utc_trusted=False)
    monotonic_s[0], system_utc_s[0] = 110.0, 9999.0  # a step of the system's clock is not ours
    assert clock.now() == Instant(110.0, 5010.0, is_utc_trusted=False)
    assert clock.learn_utc(6010.0) == 1000.0
    assert clock.now() == Instant(110.0, 6010.0, is_utc_trusted=True)
    assert clock.is_trusted
    assert clock.learn_utc(6009.5) == -0.5
