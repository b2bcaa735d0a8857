"""The central system is away for three days with twenty sessions, eight of them so long that the queue is thinned."""

import logging
import random
import time
from pathlib import Path

import pytest
import structlog

from evcharge_agent.store.outbox import MESSAGES_KEPT
from tests.support.outage import OutageRig, Plan, judge, play, settings_for
from tests.support.rig_settings import RIG_SETTINGS
from tests.support.soak import fresh_seed, soak_seed
from tests.support.virtual_time import run_virtual

pytestmark = pytest.mark.soak

HOURS_S = 3600.0
PLAN = Plan(
    charges_s=[1.0 * HOURS_S, 6.0 * HOURS_S, 0.5 * HOURS_S, 6.5 * HOURS_S, 0.2 * HOURS_S] * 4,
    pauses_s=0.8 * HOURS_S,
    sample_interval_s=60,
    unwell_messages=600,
)


def test_three_days_without_a_central_system(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    seed = soak_seed() or fresh_seed()
    began_s = time.monotonic()
    told: dict[str, float] = {}

    async def main() -> None:
        async with OutageRig.running(settings_for(RIG_SETTINGS, PLAN), tmp_path) as rig:
            truths = await play(rig, PLAN, random.Random(seed))
            judge(rig, truths)
            samples = len({one.message_id for one in rig.central.of("MeterValues")})
            assert MESSAGES_KEPT / 2 < samples < sum(PLAN.charges_s) / PLAN.sample_interval_s, "thinned, not emptied"
            told.update(
                sessions=len(truths),
                samples=samples,
                connections=rig.central.connections,
                attempts=len(rig.line.attempts_s),
                attempts_in_the_busiest_minute=rig.line.most_in_a_minute(),
                states_told=len(rig.central.of("StatusNotification")),
                simulated_days=round((rig.now_s() - 1000.0) / 86_400.0, 2),
            )

    try:
        run_virtual(main())
    finally:
        structlog.reset_defaults()
        with capsys.disabled():
            text = ", ".join(f"{name} {value:g}" for name, value in told.items())
            print(f"[outage {time.monotonic() - began_s:.0f} s] seed {seed}: {text}", flush=True)  # noqa: T201
