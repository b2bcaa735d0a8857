"""A hard reset overtakes a soft one, also while that one still waits for the central system (OCPP 1.6, 5.14)."""

from pathlib import Path

from evcharge_agent.demo.central_script import Behaviour
from tests.support.memory_rig import MemoryRig
from tests.support.rig_settings import RIG_SETTINGS
from tests.support.virtual_time import run_virtual


def test_a_hard_reset_does_not_wait_for_the_deliveries_of_a_soft_one(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with MemoryRig.running(RIG_SETTINGS, tmp_path) as rig:
            await rig.until_online()
            await rig.plug_and_charge()
            await rig.until_view("number", lambda at: at["session"]["transaction_id"] is not None)
            rig.central.script.expect("StopTransaction", Behaviour(is_silent=True))
            assert await rig.central.reset("Soft") == "Accepted"
            await rig.sleep(4.0)
            assert rig.restarts["agent"] == 0, "the soft one waits for the answer"
            assert await rig.central.reset("Hard") == "Accepted"
            await rig.sleep(4.0)
            assert rig.restarts["agent"] == 1
            await rig.until_stopped(within_s=60.0)
            assert len(rig.central.transactions) == 1

    run_virtual(scenario())
