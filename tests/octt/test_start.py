"""Starting a transaction."""

from tests.octt.bench import Bench, in_memory
from tests.support.rig import CARD

TIMEOUT_S = 5


@in_memory()
async def test_tc_003_start_plugin_first(bench: Bench) -> None:
    """Cable, then card: Preparing, Authorize, StartTransaction, Charging."""
    await bench.booted()
    await bench.plug()
    await bench.status("Preparing")
    await bench.swipe()
    await bench.central.expect("Authorize", idTag=CARD)
    await bench.central.expect("StartTransaction", connectorId=1, idTag=CARD)
    await bench.status("Charging")
    await bench.central.expect("MeterValues", connectorId=1)
    assert await bench.is_charging()


@in_memory()
async def test_tc_004_1_start_identification_first(bench: Bench) -> None:
    """Card, then cable: Authorize, Preparing, StartTransaction, Charging."""
    await bench.booted()
    await bench.swipe()
    await bench.central.expect("Authorize", idTag=CARD)
    await bench.status("Preparing")
    await bench.central.quiet("StartTransaction", for_s=2)
    await bench.plug()
    await bench.central.expect("StartTransaction", connectorId=1, idTag=CARD)
    await bench.status("Charging")


@in_memory(keys={"ConnectionTimeOut": TIMEOUT_S})
async def test_tc_004_2_start_identification_first_connection_time_out(bench: Bench) -> None:
    """A card without a cable lapses after ConnectionTimeOut; the next attempt needs the card again."""
    await bench.booted()
    await bench.swipe()
    authorised = await bench.central.expect("Authorize", idTag=CARD)
    await bench.status("Preparing")
    lapsed = await bench.status("Available", within_s=TIMEOUT_S + 10)
    assert -1.0 <= lapsed.at_s - authorised.at_s - TIMEOUT_S <= 10.0
    await bench.plug()
    await bench.status("Preparing")
    await bench.central.quiet("StartTransaction", for_s=2)
    assert not await bench.is_charging()
    await bench.swipe()
    await bench.central.expect("StartTransaction", connectorId=1)
