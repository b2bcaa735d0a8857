"""Sockets that hold the plug: UnlockConnector, and locks that do not move."""

from tests.octt.bench import Bench, in_memory


@in_memory(has_locks=True)
async def test_tc_017_1_unlock_without_session_no_fixed_cable(bench: Bench) -> None:
    """Unlocked, with a plug in the socket and without; no connector becomes Available by that."""
    await bench.booted()
    assert await bench.central.order("UnlockConnector", connectorId=1) == "Unlocked"
    await bench.plug()
    await bench.status("Preparing")
    assert await bench.central.order("UnlockConnector", connectorId=1) == "Unlocked"
    assert not (await bench.world())["is_locked"]
    await bench.central.quiet("StatusNotification", for_s=2)
    await bench.unplug()
    await bench.status("Available")


@in_memory(has_locks=True)
async def test_tc_018_1_unlock_with_session_no_fixed_cable(bench: Bench) -> None:
    """The transaction ends with UnlockCommand, the plug is free, and stays Finishing until it is out."""
    await bench.booted()
    start = await bench.charging()
    assert (await bench.world())["is_locked"]
    assert await bench.central.order("UnlockConnector", connectorId=1) == "Unlocked"
    assert not (await bench.world())["is_locked"]
    assert not await bench.is_charging()
    stop = await bench.stopped(start, "UnlockCommand")
    assert "idTag" not in stop.payload
    await bench.status("Finishing")
    await bench.central.quiet("StatusNotification", for_s=2)
    await bench.unplug()
    await bench.status("Available")


@in_memory(has_locks=True)
async def test_tc_024_start_with_lock_failure(bench: Bench) -> None:
    """ConnectorLockFailure and no energy; the transaction ends with nothing, with a lock that works the next charges."""
    await bench.booted()
    await bench.rig.do("fault", connector=1, kind="lock_jam")
    await bench.plug()
    await bench.status("Preparing")
    await bench.swipe()
    start = await bench.central.expect("StartTransaction")
    await bench.status("Faulted", errorCode="ConnectorLockFailure")
    await bench.central.quiet("StatusNotification", for_s=5, status="Charging")
    assert not await bench.is_charging()
    assert (await bench.world())["energy_wh"] == 0
    await bench.unplug()
    stop = await bench.stopped(start, "EVDisconnected")
    assert stop.payload["meterStop"] == start.payload["meterStart"]
    await bench.status("Available")
    await bench.rig.do("clear", connector=1, kind="lock_jam")
    await bench.charging()


@in_memory(has_locks=True)
async def test_tc_030_unlock_failure(bench: Bench) -> None:
    """UnlockFailed while the lock is stuck; the transaction is over all the same."""
    await bench.booted()
    start = await bench.charging()
    await bench.rig.do("fault", connector=1, kind="lock_jam")
    assert await bench.central.order("UnlockConnector", connectorId=1) == "UnlockFailed"
    await bench.stopped(start, "UnlockCommand")
    assert (await bench.world())["is_locked"]
    await bench.rig.do("clear", connector=1, kind="lock_jam")
    assert await bench.central.order("UnlockConnector", connectorId=1) == "Unlocked"
    assert not (await bench.world())["is_locked"]
