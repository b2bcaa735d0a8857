"""A disk that fails, seen from outside: the running session is finished, new ones are refused with the reason
(DESIGN D7), and nothing has to be done by anybody when the disk is back."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tests.scenario.scripts import is_closed, is_open, transaction
from tests.support.failing_disk import FailingDisk
from tests.support.memory_rig import MemoryRig
from tests.support.rig import CARD
from tests.support.rig_settings import RIG_SETTINGS
from tests.support.virtual_time import run_virtual

Script = Callable[[MemoryRig, FailingDisk], Awaitable[None]]


async def storage(rig: MemoryRig) -> dict[str, object]:
    station = await rig.ask("status")
    assert station is not None
    return dict(station["storage"])


async def is_refused(rig: MemoryRig) -> None:
    """A car and a card get no session, and are told why."""
    await rig.do("plug", connector=1)
    await rig.until_state("Preparing")
    await rig.do("swipe", id_tag=CARD, connectors=[1])
    await rig.until_view("refused", lambda at: (at["waiting"] or {}).get("reason") == "storage_failed")
    await rig.sleep(5.0)
    assert is_open(await rig.at())


async def full_while_charging(rig: MemoryRig, disk: FailingDisk) -> None:
    """The charge goes on; its stop opens the contactor at once and reaches the central system later, once."""
    await rig.until_online()
    await rig.plug_and_charge()
    await rig.until_view("number", lambda at: at["session"]["transaction_id"] is not None)
    disk.is_full = True
    await rig.sleep(7.0)
    assert is_closed(await rig.at()), "no disk is needed to charge"
    assert (await storage(rig))["is_failing"], "the samples could not be written"
    await rig.do("swipe", id_tag=CARD, connectors=[1])
    await rig.until_world("open", is_open, within_s=5.0)
    await rig.do("unplug", connector=1)
    await rig.until_state("Available")
    register_wh = (await rig.at())["energy_wh"]
    await is_refused(rig)
    assert "full" in str((await storage(rig))["reason"])
    assert rig.central.of("StopTransaction") == []
    await rig.do("unplug", connector=1)
    disk.is_full = False
    await rig.until_stopped(within_s=45.0)
    record = transaction(rig)
    assert record.meter_stop_wh == register_wh
    assert (await storage(rig)) == {"is_failing": False, "reason": None}
    await rig.plug_and_charge()
    await rig.do("swipe", id_tag=CARD, connectors=[1])
    await rig.until_stopped(2)
    await rig.sleep(40.0)
    assert len(rig.central.of("StartTransaction")) == len(rig.central.of("StopTransaction")) == 2


async def full_for_a_moment_while_nothing_is_written(rig: MemoryRig, disk: FailingDisk) -> None:
    """The alarm goes away by itself: the disk is tried again without waiting for the next session."""
    await rig.until_online()
    disk.is_full = True
    await is_refused(rig)
    disk.is_full = False
    await rig.sleep(11.0)
    assert (await storage(rig)) == {"is_failing": False, "reason": None}


async def broken_at_the_start(rig: MemoryRig, disk: FailingDisk) -> None:
    """The agent is there without a disk: online, telling what is wrong, beginning nothing; later all is well."""
    await rig.until_online()
    await rig.kill("agent")
    disk.is_broken = True
    await rig.start("agent")
    await rig.until_central("online again", lambda: len(rig.central.of("BootNotification")) == 2)
    assert await storage(rig) == {"is_failing": True, "reason": (await storage(rig))["reason"]}
    assert "I/O error" in str((await storage(rig))["reason"])
    await is_refused(rig)
    await rig.do("unplug", connector=1)
    disk.is_broken = False
    await rig.until_central("another agent", lambda: len(rig.central.of("BootNotification")) == 3)
    assert not (await storage(rig))["is_failing"]
    await rig.until_state("Available")
    await rig.plug_and_charge()
    await rig.do("swipe", id_tag=CARD, connectors=[1])
    await rig.until_stopped()


async def broken_at_a_restart_with_a_car_charging(rig: MemoryRig, disk: FailingDisk) -> None:
    """Nobody knows whose energy it is, so it stops; when the disk is back the same transaction goes on."""
    await rig.until_online()
    await rig.plug_and_charge()
    await rig.until_view("number", lambda at: at["session"]["transaction_id"] is not None)
    before = (await rig.view())["session"]
    await rig.kill("agent")
    disk.is_broken = True
    await rig.start("agent")
    await rig.until_world("open", is_open, within_s=20.0)
    await rig.do("swipe", id_tag=CARD, connectors=[1])
    await rig.until_view("refused", lambda at: (at["waiting"] or {}).get("reason") == "storage_failed")
    disk.is_broken = False
    await rig.until_view("same", lambda at: (at["session"] or {}).get("transaction") == before["transaction"])
    await rig.until_world("closed", is_closed, within_s=40.0)
    await rig.do("swipe", id_tag=CARD, connectors=[1])
    await rig.until_stopped()
    assert transaction(rig).transaction_id == before["transaction_id"]
    assert len(rig.central.of("StartTransaction")) == 1


async def full_at_the_start_with_a_stop_to_send(rig: MemoryRig, disk: FailingDisk) -> None:
    """What is on the disk is known also when it is full; the car charges on with its transaction."""
    await rig.until_online()
    await rig.plug_and_charge()
    await rig.until_view("number", lambda at: at["session"]["transaction_id"] is not None)
    before = (await rig.view())["session"]
    await rig.kill("agent")
    disk.is_full = True
    await rig.start("agent")
    await rig.until_view("same", lambda at: (at["session"] or {}).get("transaction") == before["transaction"])
    assert (await storage(rig))["is_failing"]
    await rig.do("swipe", id_tag=CARD, connectors=[1])
    await rig.until_world("open", is_open, within_s=5.0)
    await rig.sleep(5.0)
    disk.is_full = False
    await rig.until_stopped(within_s=45.0)
    assert transaction(rig).transaction_id == before["transaction_id"]


SCRIPTS = (
    full_while_charging,
    full_for_a_moment_while_nothing_is_written,
    broken_at_the_start,
    broken_at_a_restart_with_a_car_charging,
    full_at_the_start_with_a_stop_to_send,
)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.__name__)
def test_scenario(script: Script, tmp_path: Path) -> None:
    async def main() -> None:
        disk = FailingDisk()
        async with MemoryRig.running(RIG_SETTINGS, tmp_path, disk) as rig:
            await script(rig, disk)
        assert disk.refusals > 0

    run_virtual(main())
