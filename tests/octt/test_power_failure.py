"""The mains go away and come back."""

from tests.octt.bench import Bench, in_memory
from tests.support.strict.trace import stamp_s


async def _power_is_cut_while_charging(bench: Bench) -> None:
    """Exactly one StopTransaction(PowerLoss), with a register and a moment from before the cut."""
    await bench.booted()
    start = await bench.charging()
    await bench.central.expect("MeterValues")
    await bench.sleep(4)
    register_wh = (await bench.world())["energy_wh"]
    cut_utc_s = bench.central.utc_s()
    await bench.cut_power()
    await bench.central.expect("BootNotification")
    stop = await bench.stopped(start, "PowerLoss")
    assert "idTag" not in stop.payload
    assert stop.payload["meterStop"] <= register_wh
    assert stamp_s(stop.payload["timestamp"]) <= cut_utc_s + 1.0
    await bench.sleep(3)
    assert len(bench.central.sent("StopTransaction")) == 1
    assert not await bench.is_charging()


@in_memory(keys={"ContinueChargingAfterPowerLoss": False})
async def test_tc_032_1_power_failure_stops_before_going_down(bench: Bench) -> None:
    """Warned by its supply, it stops and tells before the power goes; after the boot there is nothing left to tell."""
    await bench.booted()
    start = await bench.charging()
    await bench.central.expect("MeterValues")
    await bench.sleep(4)
    await bench.rig.do("fault", kind="power_fail_warning", connector=1)
    stop = await bench.stopped(start, "PowerLoss")
    assert "idTag" not in stop.payload
    assert not await bench.is_charging()
    assert stop.payload["meterStop"] == (await bench.world())["energy_wh"]
    await bench.status("Finishing")
    await bench.cut_power()
    await bench.central.expect("BootNotification")
    await bench.central.quiet("StopTransaction", for_s=5)
    assert not await bench.is_charging()


@in_memory(keys={"ContinueChargingAfterPowerLoss": False})
async def test_tc_032_2_power_failure_stops_after_going_down(bench: Bench) -> None:
    """What could not be told before is told after the boot."""
    await _power_is_cut_while_charging(bench)


@in_memory()
async def test_tc_034_power_failure_keeps_unavailable(bench: Bench) -> None:
    """What was taken out of service stays so, from the first word on."""
    await bench.booted()
    assert await bench.central.order("ChangeAvailability", connectorId=1, type="Inoperative") == "Accepted"
    await bench.status("Unavailable")
    await bench.cut_power()
    await bench.central.expect("BootNotification")
    await bench.statuses("Available", "Unavailable", "Available")
    assert bench.central.states(1) == ["Available", "Unavailable", "Unavailable"]
