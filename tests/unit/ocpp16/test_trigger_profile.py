"""TriggerMessage (OCPP 1.6, 5.17): the answer first, then the message, also while the boot is Pending."""

import asyncio

import pytest

from evcharge_agent.core.effects import ConnectorState
from evcharge_agent.core.events import SampleRequested
from evcharge_agent.demo.central_script import Behaviour, Script
from evcharge_agent.ocpp16.boot import Registration
from evcharge_agent.ocpp16.trigger_profile import MAX_ASKED
from tests.support.ocpp_charger import on_site

ANSWERED = "TriggerMessage answered"
ACTIONS = ("BootNotification", "Heartbeat", "StatusNotification")


async def told(charger, central):
    """Report three connectors and wait until the central system knows them."""
    charger.report(0)
    charger.report(1, ConnectorState.CHARGING)
    charger.report(2)
    await central.until(lambda: len(central.of("StatusNotification")) == 3)


def after(central, mark):
    """Frames by summary since a mark: the charger's messages and the answer to the trigger."""
    names = [frame.summary for frame in central.frames.all()[mark:]]
    return [name for name in names if name in (*ACTIONS, ANSWERED)]


@pytest.mark.parametrize("message", ACTIONS)
def test_the_message_follows_its_answer(tmp_path, message):
    async def test(_, charger, central):
        await told(charger, central)
        mark = len(central.frames.all())
        status = await central.trigger(message, 1 if message == "StatusNotification" else None)
        await asyncio.sleep(5.0)
        return status, after(central, mark)

    assert on_site(tmp_path, test) == ("Accepted", [ANSWERED, message])


@pytest.mark.parametrize(("connector", "expected"), [(None, [0, 1, 2]), (0, [0]), (2, [2])])
def test_a_status_is_told_of_the_named_connector_or_of_all(tmp_path, connector, expected):
    async def test(_, charger, central):
        await told(charger, central)
        await central.trigger("StatusNotification", connector)
        await asyncio.sleep(5.0)
        return [(one.payload["connector_id"], one.payload["status"]) for one in central.of("StatusNotification")[3:]]

    statuses = {0: "Available", 1: "Charging", 2: "Available"}
    assert on_site(tmp_path, test) == [(number, statuses[number]) for number in expected]


@pytest.mark.parametrize("message", [*ACTIONS, "MeterValues"])
@pytest.mark.parametrize("connector", [3, -1])
def test_an_unknown_connector_is_rejected_and_nothing_is_sent(tmp_path, message, connector):
    async def test(_, charger, central):
        await told(charger, central)
        mark = len(central.frames.all())
        status = await central.trigger(message, connector)
        await asyncio.sleep(5.0)
        return status, after(central, mark), charger.all(SampleRequested)

    assert on_site(tmp_path, test) == ("Rejected", [ANSWERED], [])


@pytest.mark.parametrize("connector", [1, None])
def test_meter_values_are_the_cores(tmp_path, connector):
    async def test(_, charger, central):
        await told(charger, central)
        return await central.trigger("MeterValues", connector), charger.all(SampleRequested)

    assert on_site(tmp_path, test) == ("Accepted", [SampleRequested(connector)])


def test_the_station_has_no_meter_of_its_own(tmp_path):
    async def test(_, charger, central):
        await told(charger, central)
        return await central.trigger("MeterValues", 0), charger.all(SampleRequested)

    assert on_site(tmp_path, test) == ("Rejected", [])


@pytest.mark.parametrize("message", ["DiagnosticsStatusNotification", "FirmwareStatusNotification"])
def test_messages_of_profiles_this_version_does_not_have_are_not_implemented(tmp_path, message):
    async def test(_, __, central):
        return await central.trigger(message)

    assert on_site(tmp_path, test) == "NotImplemented"


def test_while_pending_only_what_is_triggered_is_sent(tmp_path):
    script = Script()
    script.boot_answers.append(("Pending", 600))

    async def test(_, charger, central):
        await central.until(lambda: bool(central.of("BootNotification")))
        charger.report(0)
        charger.report(1)
        await asyncio.sleep(5.0)
        assert central.of("StatusNotification") == []
        statuses = [await central.trigger("StatusNotification", 1), await central.trigger("MeterValues", 1)]
        await asyncio.sleep(5.0)
        return statuses, [one.payload["connector_id"] for one in central.of("StatusNotification")]

    assert on_site(tmp_path, test, script, is_accepted=False) == (["Accepted", "Rejected"], [1])


def test_a_triggered_boot_that_is_accepted_ends_the_wait_of_a_pending_one(tmp_path):
    script = Script()
    script.boot_answers.append(("Pending", 6000))

    async def test(site, charger, central):
        await central.until(lambda: bool(central.of("BootNotification")))
        charger.report(1)
        await central.trigger("BootNotification")
        await central.until(lambda: bool(central.of("StatusNotification")))
        await asyncio.sleep(700.0)
        return charger.service.view.registration, len(central.of("BootNotification")), len(central.of("Heartbeat"))

    assert on_site(tmp_path, test, script, is_accepted=False) == (Registration.ACCEPTED, 2, 2)


def test_a_triggered_message_that_is_refused_does_no_harm(tmp_path):
    async def test(_, charger, central):
        await told(charger, central)
        for message in ACTIONS:
            central.script.expect(message, Behaviour(refusal="InternalError"))
            await central.trigger(message, 1)
        await asyncio.sleep(5.0)
        before = len(central.of("StatusNotification"))
        status = await central.trigger("StatusNotification", 1)
        await asyncio.sleep(5.0)
        return status, len(central.of("StatusNotification")) - before

    assert on_site(tmp_path, test) == ("Accepted", 1)


def test_a_flood_of_triggers_is_refused_beyond_a_bound(tmp_path):
    async def test(_, charger, central):
        await told(charger, central)
        central.script.expect("Heartbeat", Behaviour(is_silent=True))
        statuses = [await central.trigger("Heartbeat") for _ in range(70)]
        return statuses.count("Accepted"), statuses[-1]

    # One is on its way and unanswered, the others wait.
    assert on_site(tmp_path, test) == (MAX_ASKED + 1, "Rejected")
