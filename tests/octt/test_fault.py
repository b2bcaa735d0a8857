"""A charger that is broken says so."""

from tests.octt.bench import Bench, in_memory


@in_memory()
async def test_tc_041_fault_behaviour(bench: Bench) -> None:
    """Faulted with its error code and no remote start; after it is over, the state as before."""
    await bench.booted()
    await bench.rig.do("fault", kind="rcm_trip", connector=1)
    fault = await bench.status("Faulted")
    assert fault.payload["errorCode"] == "GroundFailure"
    assert await bench.central.order("RemoteStartTransaction", idTag="APP-USER", connectorId=1) == "Rejected"
    assert await bench.central.order("RemoteStartTransaction", idTag="APP-USER", connectorId=2) == "Accepted"
    await bench.status("Preparing", 2)
    await bench.rig.do("clear", kind="rcm_trip", connector=1)
    await bench.sleep(1)
    answer = await bench.rig.ask("clear-fault", connector=1, code="rcm_trip")
    assert answer is not None
    assert answer["is_accepted"] is True
    await bench.status("Available")
