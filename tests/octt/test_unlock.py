"""UnlockConnector where the cable is fixed: there is no lock."""

from tests.octt.bench import Bench, in_memory


@in_memory()
async def test_tc_017_2_unlock_without_session_fixed_cable(bench: Bench) -> None:
    """NotSupported, and nothing changes."""
    await bench.booted()
    assert await bench.central.order("UnlockConnector", connectorId=1) == "NotSupported"
    await bench.central.quiet("StatusNotification", for_s=2)


@in_memory()
async def test_tc_018_2_unlock_with_session_fixed_cable(bench: Bench) -> None:
    """NotSupported, and the transaction goes on."""
    await bench.booted()
    await bench.charging()
    assert await bench.central.order("UnlockConnector", connectorId=1) == "NotSupported"
    await bench.central.quiet("StopTransaction", for_s=3)
    assert await bench.is_charging()


@in_memory()
async def test_tc_031_unlock_unknown_connector(bench: Bench) -> None:
    """A connector that does not exist."""
    await bench.booted()
    assert await bench.central.order("UnlockConnector", connectorId=9) == "NotSupported"
