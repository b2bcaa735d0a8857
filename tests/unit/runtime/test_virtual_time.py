"""The virtual-time loop itself."""

import asyncio
import threading
import time

import pytest

from tests.support.virtual_time import (
    START_MONOTONIC_S,
    RunawayError,
    StuckError,
    run_virtual,
    virtual_clock,
    virtual_loop,
)


def test_a_week_of_sleep_takes_no_time():
    async def main() -> float:
        await asyncio.sleep(7 * 86_400)
        return asyncio.get_running_loop().time()

    began_s = time.monotonic()
    assert run_virtual(main()) == START_MONOTONIC_S + 7 * 86_400
    assert time.monotonic() - began_s < 5.0


def test_sleepers_wake_in_the_order_of_their_moments():
    async def main() -> list[tuple[float, str]]:
        woken = []

        async def sleeper(name: str, delay_s: float) -> None:
            await asyncio.sleep(delay_s)
            woken.append((asyncio.get_running_loop().time(), name))

        await asyncio.gather(sleeper("c", 3.5), sleeper("a", 0.001), sleeper("b", 1.0))
        return woken

    assert run_virtual(main(), start_s=0.0) == [(0.001, "a"), (1.0, "b"), (3.5, "c")]


@pytest.mark.parametrize("start_s", [0.0, 1000.0, 1e7 / 3])
@pytest.mark.parametrize("deadline_s", [0.1, 0.7, 1e3 / 7, 86_400.1])
def test_a_deadline_is_met_exactly(start_s, deadline_s):
    async def main() -> float:
        loop = asyncio.get_running_loop()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(start_s + deadline_s - loop.time()):
                await asyncio.Event().wait()
        return loop.time()

    assert run_virtual(main(), start_s=start_s) == start_s + deadline_s


def test_waiting_for_nothing_is_an_error_and_not_a_hanging_test():
    async def main() -> None:
        await asyncio.Event().wait()

    with pytest.raises(StuckError):
        run_virtual(main())


def test_time_has_an_end():
    async def main() -> None:
        for _ in range(1000):
            await asyncio.sleep(1.0)

    with pytest.raises(RunawayError):
        run_virtual(main(), limit_s=100.0)


def test_time_stands_still_while_a_thread_works():
    async def main() -> tuple[str, float]:
        loop = asyncio.get_running_loop()
        timer = asyncio.create_task(asyncio.sleep(0.5))
        done = await loop.run_in_executor(None, lambda: time.sleep(0.05) or "done")
        at_s = loop.time()
        await timer
        return done, at_s

    assert run_virtual(main()) == ("done", START_MONOTONIC_S)


def test_declared_real_work_is_waited_for():
    async def main() -> float:
        loop = virtual_loop()
        came = asyncio.Event()
        timer = asyncio.create_task(asyncio.sleep(3600.0))
        with loop.real_work():
            threading.Timer(0.02, loop.call_soon_threadsafe, (came.set,)).start()
            await came.wait()
        timer.cancel()
        return loop.time()

    assert run_virtual(main()) == START_MONOTONIC_S


def test_the_clock_follows_the_loop_and_can_learn():
    async def main() -> None:
        clock = virtual_clock(utc_s=5000.0)
        await asyncio.sleep(60.0)
        assert (clock.now().monotonic_s, clock.now().utc_s) == (START_MONOTONIC_S + 60.0, 5060.0)
        assert not clock.now().is_utc_trusted
        assert clock.learn_utc(9060.0) == 4000.0
        assert clock.now().is_utc_trusted

    run_virtual(main())


def test_it_says_so_where_there_is_no_virtual_time():
    async def main() -> None:
        with pytest.raises(TypeError):
            virtual_loop()

    asyncio.run(main())
