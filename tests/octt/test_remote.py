"""Remote start and stop."""

from tests.octt.bench import Bench, in_memory

APP = "APP-USER"
TIMEOUT_S = 5


async def _start(bench: Bench, connector: int = 1) -> None:
    assert await bench.central.order("RemoteStartTransaction", idTag=APP, connectorId=connector) == "Accepted"


@in_memory()
async def test_tc_010_remote_start_cable_first(bench: Bench) -> None:
    """Plugged in, then started from afar."""
    await bench.booted()
    await bench.plug()
    await bench.status("Preparing")
    await _start(bench)
    await bench.central.expect("StartTransaction", connectorId=1, idTag=APP)
    await bench.status("Charging")
    assert bench.central.sent("Authorize") == [], "AuthorizeRemoteTxRequests is false"


@in_memory(keys={"AuthorizeRemoteTxRequests": True})
async def test_tc_011_1_remote_start_first(bench: Bench) -> None:
    """Started from afar, then plugged in."""
    await bench.booted()
    await _start(bench)
    await bench.central.expect("Authorize", idTag=APP)
    await bench.status("Preparing")
    await bench.plug()
    await bench.central.expect("StartTransaction", connectorId=1, idTag=APP)
    await bench.status("Charging")


@in_memory(keys={"ConnectionTimeOut": TIMEOUT_S})
async def test_tc_011_2_remote_start_time_out(bench: Bench) -> None:
    """Started from afar, and nobody comes."""
    await bench.booted()
    await _start(bench)
    preparing = await bench.status("Preparing")
    lapsed = await bench.status("Available", within_s=TIMEOUT_S + 10)
    assert -1.0 <= lapsed.at_s - preparing.at_s - TIMEOUT_S <= 10.0
    await bench.plug()
    await bench.status("Preparing")
    await bench.central.quiet("StartTransaction", for_s=2)


@in_memory()
async def test_tc_012_remote_stop(bench: Bench) -> None:
    """Stopped from afar: Remote, no tag, Finishing, and Available once unplugged."""
    await bench.booted()
    start = await bench.charging()
    assert start.result is not None
    number = start.result["transactionId"]
    assert await bench.central.order("RemoteStopTransaction", transactionId=number) == "Accepted"
    stop = await bench.stopped(start, "Remote")
    assert "idTag" not in stop.payload
    await bench.status("Finishing")
    assert not await bench.is_charging()
    await bench.unplug()
    await bench.status("Available")
