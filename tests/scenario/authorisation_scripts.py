"""Who may charge: local list, cache and central system together, with restarts and a line that comes and goes."""

from tests.scenario.scripts import Scenario, is_closed, is_open, stamp_s, transaction
from tests.support.rig import CAR, CARD, Rig


async def listed_card_charges_offline_and_over_a_power_cut(rig: Rig) -> None:
    """A list that was sent once is there after a power cut without a central system; who is blocked in it is not."""
    await rig.until_online()
    assert await rig.central.local_list_version() == 0
    assert await rig.central.send_local_list(5, {CARD: "Accepted", "LOST": "Blocked"}) == "Accepted"
    assert await rig.central.local_list_version() == 5
    rig.central.is_reachable = False
    await rig.central.drop()
    await rig.cut_power()
    await rig.until_state("Available")
    await rig.do("ev", connector=1, **CAR)
    await rig.do("plug", connector=1)
    await rig.until_state("Preparing")
    await rig.do("swipe", id_tag="LOST", connectors=[1])
    await rig.until_view("refused", lambda at: (at["waiting"] or {}).get("reason") == "id_blocked")
    await rig.do("swipe", id_tag=CARD.lower(), connectors=[1])
    await rig.until_world("charging", is_closed)
    rig.central.is_reachable = True
    await rig.until_central("told", lambda: bool(rig.central.of("StartTransaction")), within_s=60.0)
    assert await rig.central.local_list_version() == 5


async def local_list_updates_are_taken_whole_or_not_at_all(rig: Rig) -> None:
    """Versions, differences, duplicates, an empty list and a list that is switched off."""
    await rig.until_online()
    send = rig.central.send_local_list
    assert await send(3, {CARD: "Accepted", "B": "Accepted"}) == "Accepted"
    assert await send(3, {"C": "Accepted"}, "Differential") == "VersionMismatch"
    assert await send(4, {"C": "Accepted", "c": "Blocked"}, "Differential") == "Failed"
    assert await send(4, {"C": None}) == "Failed"
    assert await rig.central.local_list_version() == 3
    assert await send(6, {"B": None, CARD: "Blocked"}, "Differential") == "Accepted"
    assert await rig.central.local_list_version() == 6
    assert await rig.central.change_configuration("LocalAuthListEnabled", "false") == "Accepted"
    assert await rig.central.local_list_version() == -1
    assert await send(7, {}, "Full") == "NotSupported"
    assert await rig.central.change_configuration("LocalAuthListEnabled", "true") == "Accepted"
    assert await rig.central.local_list_version() == 6
    assert await send(1, {}) == "Accepted"
    assert await rig.central.local_list_version() == 0


async def listed_card_is_not_asked_for_and_a_conflict_is_told(rig: Rig) -> None:
    """LocalPreAuthorize lets the list answer; the central system disagrees at the start, which ends the charge."""
    await rig.until_online()
    assert await rig.central.change_configuration("LocalPreAuthorize", "true") == "Accepted"
    assert await rig.central.send_local_list(1, {CARD: "Accepted"}) == "Accepted"
    await rig.plug_and_charge()
    assert rig.central.of("Authorize") == []
    await rig.do("unplug", connector=1)
    await rig.until_state("Available")
    rig.central.script.tags[CARD] = "Invalid"
    await rig.do("plug", connector=1)
    await rig.until_state("Preparing")
    await rig.do("swipe", id_tag=CARD, connectors=[1])
    await rig.until_stopped(2)
    assert list(rig.central.transactions.values())[-1].reason == "DeAuthorized"
    await rig.until_central(
        "told",
        lambda: any(one.payload["error_code"] == "LocalListConflict" for one in rig.central.of("StatusNotification")),
    )
    assert not any(one.payload["status"] == "Faulted" for one in rig.central.of("StatusNotification"))
    assert await rig.central.send_local_list(2, {CARD: "Invalid"}) == "Accepted"
    await rig.until_central(
        "settled", lambda: rig.central.of("StatusNotification")[-1].payload["error_code"] == "NoError"
    )


async def refused_card_gets_the_maximum_and_no_more(rig: Rig) -> None:
    """MaxEnergyOnInvalidId: the transaction stays, the energy ends within the maximum, the card ends it."""
    await rig.until_online()
    for key, value in (
        ("StopTransactionOnInvalidId", "false"),
        ("MaxEnergyOnInvalidId", "60"),
        ("LocalPreAuthorize", "true"),
    ):
        assert await rig.central.change_configuration(key, value) == "Accepted"
    assert await rig.central.send_local_list(1, {CARD: "Accepted"}) == "Accepted"
    rig.central.script.tags[CARD] = "Blocked"
    await rig.plug_and_charge()
    await rig.until_state("SuspendedEVSE", within_s=60.0)
    await rig.until_world("off", is_open)
    await rig.sleep(5.0)
    assert rig.central.of("StopTransaction") == []
    await rig.do("swipe", id_tag=CARD, connectors=[1])
    await rig.until_stopped()
    energy_wh = transaction(rig).energy_wh
    assert energy_wh is not None
    assert 20 < energy_wh <= 60


async def stop_repeats_what_it_is_told_to_and_keys_are_put_back(rig: Rig) -> None:
    """StopTransaction carries its samples, thinned, also after a power cut; then all keys are factory values again."""
    await rig.until_online()
    for key, value in (
        ("MeterValueSampleInterval", "1"),
        ("StopTxnSampledData", "Energy.Active.Import.Register,Voltage"),
        ("StopTransactionMaxMeterValues", "6"),
    ):
        assert await rig.central.change_configuration(key, value) == "Accepted"
    await rig.plug_and_charge()
    await rig.sleep(6.0)
    await rig.cut_power()
    await rig.until_world("charging again", is_closed, within_s=40.0)
    await rig.sleep(3.0)
    await rig.do("swipe", id_tag=CARD, connectors=[1])
    await rig.until_stopped(within_s=60.0)
    record, stop = transaction(rig), rig.central.of("StopTransaction")[0].payload
    data = stop["transaction_data"]
    assert len(data) == 6
    contexts = [value["sampled_value"][0]["context"] for value in data]
    assert contexts == ["Transaction.Begin", *["Sample.Periodic"] * 4, "Transaction.End"]
    energies = [float(value["sampled_value"][0]["value"]) for value in data]
    assert energies == sorted(energies)
    assert (energies[0], energies[-1]) == (record.meter_start_wh, record.meter_stop_wh)
    measurands = {one["measurand"] for value in data for one in value["sampled_value"]}
    assert measurands == {"Energy.Active.Import.Register", "Voltage"}
    stamps = [stamp_s(value["timestamp"]) for value in data]
    assert stamps == sorted(stamps)
    answer = await rig.ask("config.reset-keys")
    assert answer is not None
    assert "ocpp.keys.StopTxnSampledData" in answer["reset"]
    assert await rig.central.get_configuration("StopTxnSampledData") == {"StopTxnSampledData": ""}


AUTHORISATION_SCENARIOS: tuple[Scenario, ...] = (
    listed_card_charges_offline_and_over_a_power_cut,
    local_list_updates_are_taken_whole_or_not_at_all,
    listed_card_is_not_asked_for_and_a_conflict_is_told,
    refused_card_gets_the_maximum_and_no_more,
    stop_repeats_what_it_is_told_to_and_keys_are_put_back,
)
