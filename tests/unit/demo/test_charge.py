"""The scripted car meets a fault."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from evcharge_agent.demo.charge import ScriptedCharge, StepFailedError
from evcharge_agent.runtime.control import ControlError
from evcharge_hal.sim.client import SimClient
from tests.support.memory_rig import MemoryRig
from tests.support.rig_settings import RIG_SETTINGS
from tests.support.virtual_time import run_virtual


class RigCharge(ScriptedCharge):
    """The same script on a charger in memory, which has no sockets."""

    def __init__(self, rig: MemoryRig, told: list[str]) -> None:
        super().__init__(SimClient(Path("nowhere")), Path("nowhere"), rig.central, told.append)
        self._rig = rig

    async def _do(self, verb: str, **fields: Any) -> None:
        await self._rig.do(verb, **fields)

    async def _view(self) -> Any:
        view = await self._rig.ask("status")
        if view is None:
            raise ControlError("no agent")
        return view

    async def _stop_from_outside(self, connector: int) -> None:
        await self._rig.ask("stop", connector=connector)


def in_rig(tmp_path: Path, test: Callable[[MemoryRig, RigCharge, list[str]], Awaitable[None]]) -> None:
    async def main() -> None:
        async with MemoryRig.running(RIG_SETTINGS, tmp_path) as rig:
            await rig.until_online()
            told: list[str] = []
            await test(rig, RigCharge(rig, told), told)

    run_virtual(main())


def test_a_fault_is_waited_for_and_the_demo_goes_on(tmp_path: Path) -> None:
    async def test(rig: MemoryRig, charge: RigCharge, told: list[str]) -> None:
        running = asyncio.create_task(charge.run_for_ever(0.0))
        await rig.until_state("Charging")
        await rig.do("fault", connector=1, kind="rcm_trip")
        await rig.until_central("told", lambda: any("waiting until the fault is cleared" in step for step in told), 60)
        await rig.sleep(40.0)
        assert not running.done()
        assert not any(step.startswith("done") for step in told)
        assert sum("waiting until the fault" in step for step in told) == 1, "it is told once"
        assert (await rig.view())["plug_id"] is None
        await rig.do("clear", connector=1, kind="rcm_trip")
        await rig.sleep(5.0)
        cleared = await rig.ask("clear-fault", connector=1, code="rcm_trip")
        assert cleared is not None
        assert cleared["is_accepted"], cleared["text"]
        await rig.until_central("gone on", lambda: any(step.startswith("done") for step in told), 120)
        running.cancel()

    in_rig(tmp_path, test)


def test_one_charge_fails_with_words_and_soon(tmp_path: Path) -> None:
    async def test(rig: MemoryRig, charge: RigCharge, told: list[str]) -> None:
        await rig.do("fault", connector=1, kind="rcm_trip")
        with pytest.raises(StepFailedError) as caught:
            await charge.run(1, 0.0)
        text = str(caught.value)
        assert "connector 1 is Faulted (" in text
        assert not set("[]{}'") & set(text)

    in_rig(tmp_path, test)
