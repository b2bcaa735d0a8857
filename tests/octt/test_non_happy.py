"""What must not start, and what must not stop."""

from tests.octt.bench import OTHER_CARD, Bench, in_memory
from tests.support.rig import CARD

BAD = "BAD-CARD"


@in_memory()
async def test_tc_023_4_local_start_authorize_invalid(bench: Bench) -> None:
    """A refused card starts nothing; the next card may try."""
    bench.central.answers.tag(BAD, "Invalid")
    await bench.booted()
    await bench.plug()
    await bench.status("Preparing")
    await bench.swipe(BAD)
    await bench.central.expect("Authorize", idTag=BAD)
    await bench.central.quiet("StartTransaction", for_s=3)
    assert not await bench.is_charging()
    await bench.swipe()
    await bench.central.expect("StartTransaction", idTag=CARD)
    await bench.status("Charging")


@in_memory(keys={"AuthorizeRemoteTxRequests": True})
async def test_tc_023_5_remote_start_authorize_invalid(bench: Bench) -> None:
    """A remote start that must be authorised, and is not."""
    bench.central.answers.tag(BAD, "Invalid")
    await bench.booted()
    await bench.plug()
    await bench.status("Preparing")
    assert await bench.central.order("RemoteStartTransaction", idTag=BAD, connectorId=1) == "Accepted"
    await bench.central.expect("Authorize", idTag=BAD)
    await bench.central.quiet("StartTransaction", for_s=3)
    assert not await bench.is_charging()
    await bench.unplug()
    await bench.status("Available")


@in_memory()
async def test_tc_026_remote_start_rejected(bench: Bench) -> None:
    """Where another charges, where it is out of service, and on a connector that does not exist."""
    await bench.booted()
    await bench.charging()
    for connector in (1, 9):
        assert await _remote_start(bench, connector) == "Rejected"
    assert await bench.central.order("ChangeAvailability", connectorId=2, type="Inoperative") == "Accepted"
    await bench.status("Unavailable", 2)
    assert await _remote_start(bench, 2) == "Rejected"
    await bench.central.quiet("StartTransaction", for_s=2)


@in_memory()
async def test_tc_027_remote_start_connector_zero(bench: Bench) -> None:
    """Connector 0 is no place to charge at."""
    await bench.booted()
    await bench.plug()
    await bench.status("Preparing")
    assert await _remote_start(bench, 0) == "Rejected"
    await bench.central.quiet("StartTransaction", for_s=2)


@in_memory()
async def test_tc_028_remote_stop_rejected(bench: Bench) -> None:
    """A transaction nobody knows; the one that runs goes on."""
    await bench.booted()
    start = await bench.charging()
    assert start.result is not None
    unknown = start.result["transactionId"] + 1
    assert await bench.central.order("RemoteStopTransaction", transactionId=unknown) == "Rejected"
    await bench.central.quiet("StopTransaction", for_s=2)
    assert await bench.is_charging()


async def _remote_start(bench: Bench, connector: int) -> str:
    return await bench.central.order("RemoteStartTransaction", idTag=OTHER_CARD, connectorId=connector)
