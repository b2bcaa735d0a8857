"""Stopping a transaction."""

from tests.octt.bench import OTHER_CARD, Bench, in_memory
from tests.support.rig import CARD


@in_memory(keys={"StopTransactionOnEVSideDisconnect": True, "UnlockConnectorOnEVSideDisconnect": True}, has_locks=True)
async def test_tc_005_1_ev_side_disconnect_stops_and_unlocks(bench: Bench) -> None:
    """Unplugged at the car: EVDisconnected without a tag, Finishing while the cable is in the socket, which is free."""
    await _disconnect_stops(bench)
    await bench.rig.until_world("cable free", lambda at: not at["is_locked"], within_s=5.0)
    await bench.unplug()
    await bench.status("Available")


@in_memory(keys={"StopTransactionOnEVSideDisconnect": True, "UnlockConnectorOnEVSideDisconnect": False})
async def test_tc_005_2_ev_side_disconnect_stops_and_keeps_locked(bench: Bench) -> None:
    """The same; without a lock there is nothing to keep."""
    await _disconnect_stops(bench)
    await bench.unplug()
    await bench.status("Available")


async def _disconnect_stops(bench: Bench) -> None:
    await bench.booted()
    start = await bench.charging()
    await bench.unplug(side="ev")
    stop = await bench.stopped(start, "EVDisconnected")
    assert "idTag" not in stop.payload
    await bench.status("Finishing", info="EV side disconnected")
    assert not await bench.is_charging()


@in_memory(keys={"StopTransactionOnEVSideDisconnect": False})
async def test_tc_005_3_ev_side_disconnect_keeps_the_transaction(bench: Bench) -> None:
    """SuspendedEV while the car is away; the same transaction goes on with it, and ends by the card."""
    await bench.booted()
    start = await bench.charging()
    await bench.unplug(side="ev")
    await bench.status("SuspendedEV")
    await bench.central.quiet("StopTransaction", for_s=3)
    assert not await bench.is_charging()
    await bench.plug()
    await bench.status("Charging", within_s=30)
    await bench.swipe()
    await bench.stopped(start)
    await bench.status("Finishing")


@in_memory()
async def test_tc_068_stop_with_same_id_tag(bench: Bench) -> None:
    """The card that started stops: idTag, Local, then Finishing, then Available."""
    await bench.booted()
    start = await bench.charging()
    await bench.swipe()
    stop = await bench.stopped(start)
    assert stop.payload["idTag"] == CARD
    await bench.status("Finishing")
    await bench.unplug()
    await bench.status("Available")


@in_memory()
async def test_tc_069_stop_with_same_parent_id_tag(bench: Bench) -> None:
    """A card with the same parent stops; a stranger's does not."""
    answers = bench.central.answers
    for id_tag, parent in ((CARD, "FAMILY"), (OTHER_CARD, "FAMILY"), ("STRANGER", "OTHERS")):
        answers.tag(id_tag, parentIdTag=parent)
    await bench.booted()
    start = await bench.charging()
    await bench.swipe("STRANGER")
    await bench.central.quiet("StopTransaction", for_s=2)
    await bench.swipe(OTHER_CARD)
    stop = await bench.stopped(start)
    assert stop.payload["idTag"] == OTHER_CARD
    await bench.status("Finishing")
