"""Soft and hard reset: answered first; a transaction ends with the reset's name."""

from tests.octt.bench import Bench, in_memory


async def _reset(bench: Bench, kind: str) -> None:
    assert await bench.central.order("Reset", type=kind) == "Accepted"


async def _booted_with_a_car(bench: Bench) -> None:
    """The car is still there, and nobody has authorised anything since."""
    await bench.central.expect("BootNotification")
    await bench.statuses("Available", "Preparing", "Available")
    assert not await bench.is_charging()


@in_memory()
async def test_tc_013_hard_reset_without_transaction(bench: Bench) -> None:
    """Boots again."""
    await bench.booted()
    await _reset(bench, "Hard")
    await bench.booted()
    assert bench.rig.restarts == {"guard": 1, "agent": 1}


@in_memory()
async def test_tc_014_soft_reset_without_transaction(bench: Bench) -> None:
    """Boots again."""
    await bench.booted()
    await _reset(bench, "Soft")
    await bench.booted()
    assert bench.rig.restarts == {"guard": 0, "agent": 1}


@in_memory()
async def test_tc_015_hard_reset_with_transaction(bench: Bench) -> None:
    """StopTransaction(HardReset), before the boot or after it, exactly once."""
    await bench.booted()
    start = await bench.charging()
    assert start.result is not None
    await _reset(bench, "Hard")
    await _booted_with_a_car(bench)
    await bench.central.until(lambda: bench.central.sent("StopTransaction"), "the stop")
    # One whose answer the restart cut off is sent again, and is the same message.
    stop, *again = bench.central.sent("StopTransaction")
    assert {one.id for one in again} <= {stop.id}
    assert stop.payload["transactionId"] == start.result["transactionId"]
    assert stop.payload["reason"] == "HardReset"


@in_memory()
async def test_tc_016_soft_reset_with_transaction(bench: Bench) -> None:
    """StopTransaction(SoftReset) is delivered before the restart."""
    await bench.booted()
    start = await bench.charging()
    await _reset(bench, "Soft")
    await bench.stopped(start, "SoftReset")
    await _booted_with_a_car(bench)
