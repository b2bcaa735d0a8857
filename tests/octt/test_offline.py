"""The line goes away in the middle."""

from tests.octt.bench import Bench, in_memory
from tests.support.rig import CARD
from tests.support.strict.central import wanted
from tests.support.strict.trace import Call, stamp_s

AWAY_S = 5.0
BACK_WITHIN_S = 15.0
ANYBODY = {"AllowOfflineTxForUnknownId": True}


async def _come_back(bench: Bench) -> None:
    bench.central.go_online()
    await bench.central.online(within_s=BACK_WITHIN_S)


async def _charge_offline(bench: Bench) -> float:
    """Plug in and swipe without a central system; returns when the energy began."""
    await bench.booted()
    await bench.central.go_offline()
    await bench.sleep(1)
    await bench.plug()
    await bench.rig.until_state("Preparing")
    await bench.swipe()
    await bench.rig.until_state("Charging")
    began_utc_s = bench.central.utc_s()
    await bench.sleep(AWAY_S)
    return began_utc_s


def _happened(call: Call, before_utc_s: float) -> None:
    """The stamp is the moment of the event, not of its delivery."""
    assert stamp_s(call.payload["timestamp"]) <= before_utc_s


@in_memory()
async def test_tc_036_connection_loss_during_transaction(bench: Bench) -> None:
    """The transaction goes on; what was sampled meanwhile is told in order; no boot."""
    await bench.booted()
    start = await bench.charging()
    assert start.result is not None
    number = start.result["transactionId"]
    await bench.central.expect("MeterValues", transactionId=number)
    await bench.central.go_offline()
    lost_utc_s = bench.central.utc_s()
    await bench.sleep(AWAY_S)
    assert await bench.is_charging()
    back_utc_s = bench.central.utc_s()
    await _come_back(bench)
    late = await bench.central.expect("MeterValues", transactionId=number)
    assert lost_utc_s < stamp_s(late.payload["meterValue"][0]["timestamp"]) < back_utc_s
    await bench.swipe()
    await bench.stopped(start)
    await bench.status("Finishing")
    assert len(bench.central.sent("BootNotification")) == 1


@in_memory(keys=ANYBODY)
async def test_tc_037_1_offline_start_valid(bench: Bench) -> None:
    """Begun offline, accepted later: it goes on."""
    began_utc_s = await _charge_offline(bench)
    await _come_back(bench)
    start, _ = await bench.central.expect_all(
        wanted("StartTransaction", idTag=CARD), wanted("StatusNotification", connectorId=1, status="Charging")
    )
    _happened(start, began_utc_s)
    await bench.central.expect("MeterValues", connectorId=1)
    await bench.sleep(3)
    assert await bench.is_charging()


@in_memory(keys={**ANYBODY, "StopTransactionOnInvalidId": False})
async def test_tc_037_2_offline_start_invalid_goes_on(bench: Bench) -> None:
    """Refused later, StopTransactionOnInvalidId = false: no energy, SuspendedEVSE, open until the driver stops it."""
    bench.central.answers.tag(CARD, "Invalid")
    began_utc_s = await _charge_offline(bench)
    await _come_back(bench)
    start, _ = await bench.central.expect_all(
        wanted("StartTransaction", idTag=CARD), wanted("StatusNotification", connectorId=1, status="SuspendedEVSE")
    )
    _happened(start, began_utc_s)
    await bench.central.quiet("StopTransaction", for_s=8)
    assert not await bench.is_charging()
    await bench.swipe()
    stop = await bench.stopped(start)
    assert stop.payload["idTag"] == CARD


@in_memory(keys={**ANYBODY, "StopTransactionOnInvalidId": True})
async def test_tc_037_3_offline_start_invalid_stops(bench: Bench) -> None:
    """Refused later, StopTransactionOnInvalidId = true: DeAuthorized."""
    bench.central.answers.tag(CARD, "Invalid")
    began_utc_s = await _charge_offline(bench)
    await _come_back(bench)
    start = await bench.central.expect("StartTransaction", idTag=CARD)
    _happened(start, began_utc_s)
    stop = await bench.stopped(start, "DeAuthorized")
    assert "idTag" not in stop.payload
    assert not await bench.is_charging()
    await bench.status("Finishing")


@in_memory()
async def test_tc_038_offline_stop(bench: Bench) -> None:
    """Stopped offline by the card that started: told later, with its true time."""
    await bench.booted()
    start = await bench.charging()
    await bench.central.go_offline()
    await bench.sleep(1)
    await bench.swipe()
    await bench.rig.until_state("Finishing")
    ended_utc_s = bench.central.utc_s()
    await bench.sleep(AWAY_S)
    await _come_back(bench)
    stop = await bench.stopped(start)
    assert stop.payload["idTag"] == CARD
    _happened(stop, ended_utc_s)
    await bench.status("Finishing")


@in_memory(keys=ANYBODY)
async def test_tc_039_offline_transaction(bench: Bench) -> None:
    """A whole transaction without a central system: all of it is told later, in order."""
    began_utc_s = await _charge_offline(bench)
    await bench.swipe()
    await bench.rig.until_state("Finishing")
    ended_utc_s = bench.central.utc_s()
    await bench.unplug()
    await bench.rig.until_state("Available")
    await bench.sleep(2)
    await _come_back(bench)
    start = await bench.central.expect("StartTransaction", idTag=CARD)
    _happened(start, began_utc_s)
    await bench.central.expect("MeterValues", connectorId=1)
    stop = await bench.stopped(start)
    _happened(stop, ended_utc_s)
    assert stop.payload["meterStop"] > start.payload["meterStart"]
    assert len(bench.central.sent("BootNotification")) == 1
