"""Rule 8: StatusNotification after the boot, on change, after an outage; samples outside transactions."""

import asyncio

import pytest

from evcharge_agent.core.effects import ConnectorState
from evcharge_agent.core.facts import Measurand, MeterReading, MeterSample, ReadingContext
from evcharge_agent.demo.central_script import Behaviour, Script
from evcharge_agent.ocpp16.stamps import from_stamp
from evcharge_hal.contract.units import WattHours
from tests.support.ocpp_charger import CENTRAL_IS_AHEAD_S, on_site
from tests.support.virtual_time import START_UTC_S

PREPARING, CHARGING, FINISHING = ConnectorState.PREPARING, ConnectorState.CHARGING, ConnectorState.FINISHING


def told(central):
    return [(one.payload["connector_id"], one.payload["status"]) for one in central.of("StatusNotification")]


def test_after_the_boot_one_status_for_the_station_and_every_connector(tmp_path):
    async def test(site, charger, central):
        for connector in (2, 0, 1):
            charger.report(connector)
        await site.accepted()
        await asyncio.sleep(1.0)
        return told(central), [one.action for one in central.received]

    statuses, received = on_site(tmp_path, test, is_accepted=False)
    assert statuses == [(0, "Available"), (1, "Available"), (2, "Available")]
    assert received == ["BootNotification", *["StatusNotification"] * 3]


@pytest.mark.parametrize("state", [FINISHING, ConnectorState.AVAILABLE])
def test_after_the_boot_the_state_follows_the_stop_it_speaks_of(tmp_path, state):
    """A transaction that ended before the boot was accepted is in the outbox when the state is told first."""

    async def test(site, charger, central):
        key = await charger.start("cut")
        await charger.stop(key)
        charger.report(1, state)
        await site.accepted()
        await asyncio.sleep(1.0)
        return [one.action for one in central.received]

    received = on_site(tmp_path, test, is_accepted=False)
    assert received == ["BootNotification", "StartTransaction", "StopTransaction", "StatusNotification"]


def test_afterwards_changes_only_with_the_moment_of_the_change(tmp_path):
    async def test(_, charger, central):
        charger.report(1)
        await asyncio.sleep(100.0)
        charger.report(1)
        charger.report(1, PREPARING)
        charger.report(1, CHARGING)
        await asyncio.sleep(1.0)
        stamps = [from_stamp(one.payload["timestamp"]) for one in central.of("StatusNotification")]
        return told(central), round(stamps[-1] - stamps[0])

    assert on_site(tmp_path, test) == ([(1, "Available"), (1, "Preparing"), (1, "Charging")], 100)


def test_a_state_from_before_the_first_sync_has_its_true_time(tmp_path):
    async def test(site, charger, central):
        central.is_reachable = False
        charger.report(1, PREPARING)
        await asyncio.sleep(1000.0)
        central.is_reachable = True
        await site.accepted()
        await asyncio.sleep(1.0)
        return from_stamp(central.of("StatusNotification")[0].payload["timestamp"])

    assert on_site(tmp_path, test, is_accepted=False) == START_UTC_S + CENTRAL_IS_AHEAD_S


def test_after_an_outage_only_the_current_state_if_it_changed(tmp_path):
    async def test(site, charger, central):
        charger.report(1)
        charger.report(2)
        await asyncio.sleep(1.0)
        central.is_reachable = False
        await central.drop()
        for state in (PREPARING, CHARGING, FINISHING):
            charger.report(1, state)
        charger.report(2, PREPARING)
        charger.report(2)
        await asyncio.sleep(1000.0)
        central.is_reachable = True
        await site.accepted()
        await asyncio.sleep(1.0)
        return told(central)[2:]

    assert on_site(tmp_path, test) == [(1, "Finishing")]


def test_a_fault_carries_error_code_info_and_vendor_code(tmp_path):
    async def test(_, charger, central):
        charger.report(1, ConnectorState.FAULTED, "GroundFailure")
        charger.report(1)
        await asyncio.sleep(1.0)
        return [(one.payload["status"], one.payload["error_code"]) for one in central.of("StatusNotification")]

    assert on_site(tmp_path, test) == [("Faulted", "GroundFailure"), ("Available", "NoError")]


def test_a_refused_status_is_tried_again(tmp_path):
    script = Script()
    script.expect("StatusNotification", Behaviour(refusal="GenericError"), Behaviour(is_silent=True))

    async def test(_, charger, central):
        charger.report(1)
        await asyncio.sleep(100.0)
        return told(central)

    assert on_site(tmp_path, test, script) == [(1, "Available")]


def test_a_status_that_is_always_refused_does_not_hold_up_the_next(tmp_path):
    script = Script()
    script.expect("StatusNotification", *[Behaviour(refusal="GenericError")] * 3)

    async def test(_, charger, central):
        charger.report(1)
        charger.report(1, PREPARING)
        await asyncio.sleep(100.0)
        return told(central), len([f for f in central.frames.all() if f.summary == "StatusNotification"])

    assert on_site(tmp_path, test, script) == ([(1, "Preparing")], 4)


def test_a_status_cut_off_is_told_after_the_reconnect(tmp_path):
    script = Script()
    script.expect("StatusNotification", Behaviour(is_silent=True, is_cut=True))

    async def test(_, charger, central):
        charger.report(1, PREPARING)
        await asyncio.sleep(10.0)
        return told(central)

    assert on_site(tmp_path, test, script) == [(1, "Preparing")]


def test_samples_outside_a_transaction_are_sent_while_connected_only(tmp_path):
    def sample(charger, energy_wh):
        reading = MeterReading(WattHours(energy_wh))
        return MeterSample(1, None, charger.clock.now(), ReadingContext.CLOCK, reading, (Measurand.ENERGY_IMPORT,))

    async def test(site, charger, central):
        charger.service.send_sample(sample(charger, 1))
        await asyncio.sleep(1.0)
        central.is_reachable = False
        await central.drop()
        await asyncio.sleep(1.0)
        charger.service.send_sample(sample(charger, 2))
        central.is_reachable = True
        await site.accepted()
        charger.service.send_sample(sample(charger, 3))
        await asyncio.sleep(1.0)
        return central.of("MeterValues")

    sent = on_site(tmp_path, test)
    assert [one.payload["meter_value"][0]["sampled_value"][0]["value"] for one in sent] == ["1", "3"]
    assert all("transaction_id" not in one.payload for one in sent)
