"""Every scenario with the real cores, drivers and services in one process, under virtual time."""

from pathlib import Path

import pytest

from tests.scenario.catalogue import ALL
from tests.scenario.scripts import Scenario
from tests.support.memory_rig import MemoryRig
from tests.support.rig_settings import settings_for
from tests.support.schemas import FrameChecker
from tests.support.virtual_time import run_virtual


@pytest.mark.parametrize("scenario", ALL, ids=lambda scenario: scenario.__name__)
def test_scenario(scenario: Scenario, tmp_path: Path) -> None:
    async def main() -> None:
        async with MemoryRig.running(settings_for(scenario), tmp_path) as rig:
            await scenario(rig)
            checker = FrameChecker()
            for frame in rig.central.frames.all():
                checker.check(frame.text)

    run_virtual(main())
