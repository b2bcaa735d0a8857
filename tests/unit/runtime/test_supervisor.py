"""Tasks are kept alive, later and later, and end together."""

import asyncio
import contextlib
import logging

import pytest

from evcharge_agent.runtime.supervisor import RETRY_MOST_S, STEADY_S, Supervisor
from evcharge_hal.contract.errors import EvchargeError
from tests.support.virtual_time import START_MONOTONIC_S, run_virtual


class Failing:
    """Notes when it is run; each run lasts as long as told, then fails, or returns at the end of the list."""

    def __init__(self, *lasts_s: float, error: Exception | None = None) -> None:
        self.lasts_s = list(lasts_s)
        self.error = error or ZeroDivisionError("oops")
        self.began_s: list[float] = []

    async def run(self) -> None:
        self.began_s.append(asyncio.get_running_loop().time() - START_MONOTONIC_S)
        if not self.lasts_s:
            return
        await asyncio.sleep(self.lasts_s.pop(0))
        raise self.error


def supervised(task: Failing, duration_s: float) -> Supervisor:
    async def main() -> Supervisor:
        supervisor = Supervisor()
        supervisor.start("task", task.run)
        await asyncio.sleep(duration_s)
        await supervisor.stop()
        return supervisor

    return run_virtual(main())


def test_a_failed_task_begins_again_later_and_later():
    task = Failing(*[0.0] * 20)
    supervised(task, 100.0)
    pauses_s = [later - earlier for earlier, later in zip(task.began_s, task.began_s[1:], strict=False)]
    assert pauses_s == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, RETRY_MOST_S, RETRY_MOST_S]


def test_a_task_that_ran_steadily_begins_again_at_once():
    task = Failing(0.0, 0.0, STEADY_S, 0.0)
    supervised(task, 1000.0)
    assert task.began_s == [0.0, 0.5, 1.5, 1.5 + STEADY_S + 0.5, 1.5 + STEADY_S + 0.5 + 1.0]


def test_a_task_that_returns_is_done():
    task = Failing()
    assert supervised(task, 100.0).restarts == 0
    assert task.began_s == [0.0]


def test_expected_errors_are_said_without_a_traceback(caplog):
    caplog.set_level(logging.INFO)
    supervised(Failing(0.0, error=EvchargeError("the socket is in use")), 1.0)
    assert "Task task failed: the socket is in use" in caplog.text
    assert "Traceback" not in caplog.text
    assert "Task task ended" in caplog.text


def test_mistakes_are_said_with_one(caplog):
    assert supervised(Failing(0.0), 0.1).restarts == 1
    assert "ZeroDivisionError: oops" in caplog.text


def test_all_tasks_end_together_and_may_tidy_up():
    async def main() -> list[str]:
        ended = []

        async def task(name: str) -> None:
            try:
                await asyncio.Event().wait()
            finally:
                await asyncio.sleep(1.0)
                ended.append(name)

        supervisor = Supervisor()
        for name in ("a", "b"):
            supervisor.start(name, lambda name=name: task(name))
        await asyncio.sleep(0)
        with pytest.raises(ValueError, match="task a runs already"):
            supervisor.start("a", lambda: task("a"))
        assert supervisor.names == ("a", "b")
        await supervisor.stop()
        await supervisor.stop()
        assert supervisor.names == ()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.Event().wait(), 60.0)
        return ended

    assert sorted(run_virtual(main())) == ["a", "b"]
