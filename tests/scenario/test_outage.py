"""Twenty sessions while the central system is away; the three days are in `tests/soak/test_outage.py`."""

import random
from pathlib import Path

from tests.support.outage import OutageRig, Plan, judge, play, settings_for
from tests.support.rig_settings import RIG_SETTINGS
from tests.support.virtual_time import run_virtual

PLAN = Plan(charges_s=[60.0] * 20, pauses_s=5.0, sample_interval_s=5, unwell_messages=150)


def test_twenty_sessions_are_told_in_order_to_a_central_system_that_comes_back_unwell(tmp_path: Path) -> None:
    async def main() -> None:
        async with OutageRig.running(settings_for(RIG_SETTINGS, PLAN), tmp_path) as rig:
            truths = await play(rig, PLAN, random.Random(3))
            judge(rig, truths)
            assert rig.central.connections > 10, "it was really cut"

    run_virtual(main())
