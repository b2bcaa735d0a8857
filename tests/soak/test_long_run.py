"""A day and more of sessions with flat memory, descriptors and tasks.

EVC_SOAK_HOURS (default 24) is simulated time of the whole charger, EVC_SOAK_MINUTES (default 10) real time of the
real processes.
"""

import asyncio
import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import structlog

from tests.support.coarse_rig import CoarseRig
from tests.support.long_run import (
    WARM_UP,
    Holding,
    charge_once,
    live_an_hour,
    memory_slope_kb,
    object_slope,
    read_holding,
    read_own_holding,
)
from tests.support.memory_rig import MemoryRig
from tests.support.process_rig import ProcessRig
from tests.support.rig_settings import RIG_SETTINGS
from tests.support.soak import Progress, soak_minutes
from tests.support.virtual_time import run_virtual

pytestmark = pytest.mark.soak

HOURS_VARIABLE = "EVC_SOAK_HOURS"
COARSE_HOURS = 72
MOST_KB_AN_HOUR = 16.0
"""12 MB in a month at twenty sessions an hour; the allocator's own noise is below it over 20 hours."""
MOST_OBJECTS_AN_HOUR = 20.0
"""sqlite3 keeps a weak reference to each cursor and drops the dead ones 200 at a time: a saw tooth, not a leak."""
MOST_GROWTH_KB = 1024
"""Of a real process over minutes, where a slope says little."""
SESSION_EVERY_S = 52.0
"""A contactor is allowed six closings in ten minutes, and there are two."""
PROCESSES = ("guard", "agent")

Say = Callable[[str], None]


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Say:
    def to_terminal(text: str) -> None:
        with capsys.disabled():
            print(text, flush=True)  # noqa: T201 - a long campaign says how far it is

    return to_terminal


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.reset_defaults()


@pytest.mark.parametrize(("kind", "charge_s"), [(CoarseRig, 90.0), (MemoryRig, 60.0)], ids=["agent", "whole"])
def test_hours_of_sessions(kind: type[MemoryRig], charge_s: float, tmp_path: Path, say: Say) -> None:
    hours = COARSE_HOURS if kind is CoarseRig else int(os.environ.get(HOURS_VARIABLE) or 24)
    progress, holdings = Progress(f"long run, {kind.__name__}", say), []

    async def main() -> None:
        sessions = 0
        async with kind.running(RIG_SETTINGS, tmp_path) as rig:
            rig.poll_s = 1.0
            await rig.until_online()
            for hour in range(hours):
                sessions += await live_an_hour(rig, hour, charge_s, sessions)
                holdings.append(read_own_holding(hour + 1.0))
                progress.tell(f"hour {hour + 1} of {hours}, {sessions} sessions: {holdings[-1].text()}")
        progress.conclude(f"{hours} h, {sessions} sessions: from {holdings[0].text()} to {holdings[-1].text()}")

    run_virtual(main())
    grows_kb, grows = memory_slope_kb(holdings), object_slope(holdings)
    progress.conclude(f"memory {grows_kb:+.1f} kB an hour, objects {grows:+.1f} an hour")
    steady = holdings[WARM_UP:]
    assert len({one.descriptors for one in steady}) == 1, [one.descriptors for one in steady]
    assert len({one.tasks for one in steady}) == 1, [one.tasks for one in steady]
    assert grows <= MOST_OBJECTS_AN_HOUR
    assert grows_kb <= MOST_KB_AN_HOUR


def test_minutes_of_real_sessions(tmp_path: Path, say: Say) -> None:
    """Guard and agent as processes; at the end of every session they hold what they held before."""
    minutes = soak_minutes(10.0)
    progress = Progress("real processes", say)
    held: dict[str, list[Holding]] = {name: [] for name in PROCESSES}

    async def main() -> None:
        sessions = 0
        async with ProcessRig.running(RIG_SETTINGS, tmp_path) as rig:
            await rig.until_online()
            while progress.elapsed_s() < minutes * 60.0 or sessions <= 2 * WARM_UP:
                await charge_once(rig, sessions, 5.0)
                sessions += 1
                await rig.sleep(max(3.0, sessions * SESSION_EVERY_S - progress.elapsed_s()))
                for name in PROCESSES:
                    held[name].append(read_holding(progress.elapsed_s() / 3600.0, rig.simulation.pid(name)))
                progress.tell(f"{sessions} sessions: " + "; ".join(f"{n} {held[n][-1].text()}" for n in PROCESSES))
            await rig.until_stopped(sessions)
            assert rig.restarts == {"guard": 0, "agent": 0}

    asyncio.run(main())
    for name in PROCESSES:
        steady = held[name][WARM_UP:]
        grown_kb = max(one.anonymous_kb for one in steady[-3:]) - max(one.anonymous_kb for one in steady[:3])
        progress.conclude(f"{name}: {held[name][0].text()}, then {steady[-1].text()}, grown by {grown_kb} kB")
        assert len({one.descriptors for one in steady}) == 1, name
        assert len({one.threads for one in steady}) == 1, name
        assert grown_kb <= MOST_GROWTH_KB, name
