"""The authorisation cache."""

from tests.octt.bench import Bench, in_memory
from tests.support.rig import CARD

FROM_CACHE = {"LocalPreAuthorize": True, "AuthorizationCacheEnabled": True, "AuthorizeRemoteTxRequests": True}


async def _learn(bench: Bench) -> None:
    """A whole session with the card, which the central system accepts."""
    await bench.booted()
    assert await bench.central.order("ClearCache") == "Accepted"
    await bench.plug()
    await bench.status("Preparing")
    await bench.swipe()
    await bench.central.expect("Authorize", idTag=CARD)
    start = await bench.central.expect("StartTransaction", idTag=CARD)
    await bench.status("Charging")
    await bench.swipe()
    await bench.stopped(start)
    await bench.unplug()
    await bench.status("Available")


async def _start_by_card(bench: Bench) -> None:
    await bench.plug()
    await bench.status("Preparing")
    await bench.swipe()


async def _start_remotely(bench: Bench) -> None:
    await bench.plug()
    await bench.status("Preparing")
    assert await bench.central.order("RemoteStartTransaction", idTag=CARD, connectorId=1) == "Accepted"


async def _nobody_is_asked(bench: Bench) -> None:
    asked = len(bench.central.sent("Authorize"))
    await bench.central.expect("StartTransaction", idTag=CARD)
    await bench.status("Charging")
    assert len(bench.central.sent("Authorize")) == asked


async def _the_central_system_is_asked(bench: Bench) -> None:
    await bench.central.expect("Authorize", idTag=CARD)
    await bench.central.expect("StartTransaction", idTag=CARD)
    await bench.status("Charging")


@in_memory(keys=FROM_CACHE)
async def test_tc_007_1_start_with_cached_id(bench: Bench) -> None:
    """A card that was accepted before starts without Authorize."""
    await _learn(bench)
    await _start_by_card(bench)
    await _nobody_is_asked(bench)


@in_memory(keys=FROM_CACHE)
async def test_tc_007_2_remote_start_with_cached_id(bench: Bench) -> None:
    """So does a remote start that must be authorised."""
    await _learn(bench)
    await _start_remotely(bench)
    await _nobody_is_asked(bench)


@in_memory(keys=FROM_CACHE)
async def test_tc_061_1_clear_cache_then_local_start(bench: Bench) -> None:
    """After ClearCache the central system is asked again."""
    await _learn(bench)
    assert await bench.central.order("ClearCache") == "Accepted"
    await _start_by_card(bench)
    await _the_central_system_is_asked(bench)


@in_memory(keys=FROM_CACHE)
async def test_tc_061_2_clear_cache_then_remote_start(bench: Bench) -> None:
    """Also for a remote start."""
    await _learn(bench)
    assert await bench.central.order("ClearCache") == "Accepted"
    await _start_remotely(bench)
    await _the_central_system_is_asked(bench)
