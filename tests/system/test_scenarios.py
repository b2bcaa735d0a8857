"""The scenarios with real processes, a real serial line and real sockets: a sample, and all of them in soak."""

import asyncio
from pathlib import Path

import pytest

from tests.scenario.catalogue import ALL, SAMPLE
from tests.scenario.scripts import Scenario
from tests.support.process_rig import ProcessRig
from tests.support.rig_settings import settings_for
from tests.support.schemas import FrameChecker

CASES = [
    pytest.param(one, id=one.__name__, marks=pytest.mark.system if one in SAMPLE else pytest.mark.soak) for one in ALL
]


@pytest.mark.parametrize("scenario", CASES)
def test_scenario(scenario: Scenario, tmp_path: Path) -> None:
    async def main() -> None:
        async with ProcessRig.running(settings_for(scenario), tmp_path) as rig:
            await scenario(rig)
            checker = FrameChecker()
            for frame in rig.central.frames.all():
                checker.check(frame.text)

    try:
        asyncio.run(main())
    finally:
        print((tmp_path / "log").read_text())  # noqa: T201 - shown by pytest where the scenario fails
