"""Registering with the central system."""

from tests.octt.bench import Bench, in_memory
from tests.support.strict.central import StrictCentral

REJECTED_FOR_S = 5
BEATS_EVERY_S = 8


def _reject_first(central: StrictCentral) -> None:
    central.answers.boot("Rejected", REJECTED_FOR_S)
    central.answers.heartbeat_interval_s = BEATS_EVERY_S


def _pending_first(central: StrictCentral) -> None:
    central.answers.boot("Pending", REJECTED_FOR_S)


@in_memory(prepare=_reject_first)
async def test_tc_001_cold_boot(bench: Bench) -> None:
    """Rejected: silent, and again after the interval. Accepted: all statuses, then heartbeats as told."""
    central = bench.central
    rejected = await central.expect("BootNotification")
    assert rejected.status == "Rejected"
    await bench.booted()
    assert (await central.call("GetConfiguration", key=["HeartbeatInterval"]))["configurationKey"][0]["value"] == "8"
    await central.expect("Heartbeat", within_s=BEATS_EVERY_S + 2)
    await central.expect("Heartbeat", within_s=BEATS_EVERY_S + 2)


@in_memory(prepare=_pending_first)
async def test_tc_002_cold_boot_pending(bench: Bench) -> None:
    """Pending: answers, sends what is triggered, starts nothing; accepted after the interval."""
    central = bench.central
    await central.expect("BootNotification")
    await central.call("GetConfiguration", key=["MeterValueSampleInterval"])
    await central.configure(MeterValueSampleInterval=4)
    assert await central.order("RemoteStartTransaction", idTag="TAG1", connectorId=1) == "Rejected"
    assert await central.order("RemoteStopTransaction", transactionId=1) == "Rejected"
    assert await central.order("TriggerMessage", requestedMessage="StatusNotification", connectorId=1) == "Accepted"
    await bench.status("Available")
    await central.quiet("StatusNotification", for_s=REJECTED_FOR_S - 2)
    await bench.booted()
