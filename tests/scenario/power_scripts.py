"""Scenarios in which the mains go away (CHG-7, DESIGN D11), written once for both runners."""

from tests.scenario.scripts import Scenario, is_closed, is_open, transaction
from tests.support.rig import CARD, Rig


async def power_cut_and_the_charge_goes_on(rig: Rig) -> None:
    """ContinueChargingAfterPowerLoss = true: the same transaction, no Stop, no new authorisation."""
    await rig.until_online()
    await rig.plug_and_charge()
    await rig.until_view("number", lambda at: at["session"]["transaction_id"] is not None)
    before = (await rig.view())["session"]
    await rig.sleep(4.0)
    await rig.cut_power()
    await rig.until_world("charging again", is_closed, within_s=40.0)
    await rig.until_view("same", lambda at: (at["session"] or {}).get("transaction") == before["transaction"])
    await rig.until_state("Charging")
    await rig.sleep(3.0)
    await rig.do("swipe", id_tag=CARD, connectors=[1])
    await rig.until_stopped()
    record = transaction(rig)
    assert record.transaction_id == before["transaction_id"]
    assert record.energy_wh is not None
    assert record.energy_wh > 10
    assert len(rig.central.of("BootNotification")) == 2, "a power cut is a boot"


async def power_cut_and_the_charge_is_over(rig: Rig) -> None:
    """ContinueChargingAfterPowerLoss = false: exactly one Stop(PowerLoss), and no energy without a new card."""
    await rig.until_online()
    assert await rig.central.change_configuration("ContinueChargingAfterPowerLoss", "false") == "Accepted"
    await rig.plug_and_charge()
    await rig.until_view("number", lambda at: at["session"]["transaction_id"] is not None)
    await rig.sleep(7.0)
    register_wh = (await rig.at())["energy_wh"]
    await rig.cut_power()
    await rig.until_stopped()
    await rig.sleep(12.0)
    record = transaction(rig)
    assert record.reason == "PowerLoss"
    assert record.stop_id_tag is None
    assert record.meter_stop_wh is not None
    # The last value that reached the disk is at most one sample interval (3 s, 11 kW) old.
    assert 0 <= register_wh - record.meter_stop_wh <= 10
    assert is_open(await rig.at())
    assert len(rig.central.of("StopTransaction")) == 1


async def power_cut_of_a_charge_that_is_not_sampled(rig: Rig) -> None:
    """MeterValueSampleInterval = 0: what was charged is billed all the same, but for the last minute at most."""
    await rig.until_online()
    for key, value in (("ContinueChargingAfterPowerLoss", "false"), ("MeterValueSampleInterval", "0")):
        assert await rig.central.change_configuration(key, value) == "Accepted"
    await rig.plug_and_charge()
    await rig.until_view("number", lambda at: at["session"]["transaction_id"] is not None)
    await rig.sleep(62.0)
    register_wh = (await rig.at())["energy_wh"]
    await rig.cut_power()
    await rig.until_stopped()
    record = transaction(rig)
    assert record.reason == "PowerLoss"
    assert record.meter_values == []
    assert record.energy_wh is not None
    assert record.energy_wh > 100
    # 11 kW for less than the minute between two writes.
    assert 0 <= register_wh - record.meter_stop_wh <= 190


POWER_SCENARIOS: tuple[Scenario, ...] = (
    power_cut_and_the_charge_goes_on,
    power_cut_and_the_charge_is_over,
    power_cut_of_a_charge_that_is_not_sampled,
)
