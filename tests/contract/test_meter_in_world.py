"""A meter of the simulated world that freezes under load, seen from the agent."""

from pathlib import Path

from tests.scenario.scripts import fault_codes
from tests.support.memory_rig import MemoryRig
from tests.support.rig_settings import settings_for
from tests.support.virtual_time import run_virtual


def test_a_frozen_meter_is_lost_and_found_and_a_live_one_is_never_frozen(tmp_path: Path) -> None:
    async def main() -> None:
        async with MemoryRig.running(settings_for(main), tmp_path) as rig:
            await rig.until_online()
            await rig.plug_and_charge()
            # A charge without any change but the register's.
            await rig.sleep(120.0)
            assert "meter_lost" not in fault_codes(await rig.view())
            await rig.do("fault", kind="meter_frozen", connector=1)
            await rig.sleep(29.0)
            assert "meter_lost" not in fault_codes(await rig.view())
            await rig.sleep(8.0)
            assert "meter_lost" in fault_codes(await rig.view())
            await rig.do("clear", kind="meter_frozen", connector=1)
            await rig.sleep(3.0)
            assert "meter_lost" not in fault_codes(await rig.view())

    run_virtual(main())
