"""TriggerMessage."""

from tests.octt.bench import Bench, in_memory


async def _trigger(bench: Bench, message: str, **connector: int) -> str:
    return await bench.central.order("TriggerMessage", requestedMessage=message, **connector)


@in_memory()
async def test_tc_054_trigger_message(bench: Bench) -> None:
    """Every message of the Core profile that can be asked for, answered first."""
    await bench.booted()
    start = await bench.charging()
    assert start.result is not None
    bench.central.skip()
    assert await _trigger(bench, "MeterValues", connectorId=1) == "Accepted"
    values = await bench.central.expect("MeterValues", meterValue=lambda values: _context(values) == "Trigger")
    assert values.payload["transactionId"] == start.result["transactionId"]
    assert await _trigger(bench, "Heartbeat") == "Accepted"
    await bench.central.expect("Heartbeat")
    assert await _trigger(bench, "StatusNotification", connectorId=1) == "Accepted"
    await bench.status("Charging")
    assert await _trigger(bench, "StatusNotification") == "Accepted"
    await bench.statuses("Available", "Charging", "Available")
    assert await _trigger(bench, "BootNotification") == "Accepted"
    await bench.central.expect("BootNotification")


@in_memory()
async def test_tc_055_trigger_message_rejected(bench: Bench) -> None:
    """A connector that does not exist."""
    await bench.booted()
    assert await _trigger(bench, "MeterValues", connectorId=9) == "Rejected"
    assert await _trigger(bench, "StatusNotification", connectorId=9) == "Rejected"
    await bench.central.quiet("StatusNotification", for_s=2)


def _context(values: list[dict[str, object]]) -> object:
    sampled = values[0]["sampledValue"]
    assert isinstance(sampled, list)
    return sampled[0]["context"]
