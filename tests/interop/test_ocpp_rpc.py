"""Real processes against npm's `ocpp-rpc` in its strict mode: neither side breaks a schema, both understand."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from evcharge_agent.demo.plan import make_plan
from evcharge_agent.demo.simulation import Simulation
from tests.interop.node_central import NodeCentral
from tests.support.file_servers import Behaviour, http_server
from tests.support.firmware import bundle
from tests.support.rig import CAR, CARD
from tests.support.rig_settings import RIG_SETTINGS

pytestmark = pytest.mark.interop


@contextlib.asynccontextmanager
async def on_site(state_dir: Path) -> AsyncIterator[tuple[Simulation, NodeCentral]]:
    """A charger that was accepted."""
    async with NodeCentral.running() as central:
        tables = {**RIG_SETTINGS, "ocpp": {**RIG_SETTINGS["ocpp"], "url": await central.url()}}
        plan = make_plan(tables, {"board": {"name": "sim"}}, {})
        async with Simulation(plan, state_dir, state_dir / "log") as simulation:
            await central.until_called("BootNotification")
            await central.until_called("StatusNotification", connectorId=2, status="Available")
            yield simulation, central
        assert central.violations == []


async def do(simulation: Simulation, verb: str, **fields: Any) -> None:
    await asyncio.to_thread(simulation.sim.perform, verb, **fields)


async def register_wh(simulation: Simulation) -> int:
    world = await asyncio.to_thread(simulation.sim.state)
    return int(world["connectors"]["1"]["energy_wh"])


async def test_a_session_by_card(tmp_path):
    async with on_site(tmp_path) as (simulation, central):
        await do(simulation, "ev", connector=1, **CAR)
        await do(simulation, "plug", connector=1)
        await do(simulation, "swipe", id_tag=CARD, connectors=[1])
        start = await central.until_called("StartTransaction", idTag=CARD)
        await central.until_called("StatusNotification", connectorId=1, status="Charging")
        await central.until_called("MeterValues", transactionId=1)
        mark = len(central.events)
        await do(simulation, "swipe", id_tag=CARD, connectors=[1])
        stop = await central.until_called("StopTransaction", after=mark)
        await do(simulation, "unplug", connector=1)
        await central.until_called("StatusNotification", after=mark, connectorId=1, status="Available")
        assert (stop["transactionId"], stop.get("reason", "Local"), stop["idTag"]) == (1, "Local", CARD)
        assert start["meterStart"] <= stop["meterStop"] == await register_wh(simulation)


async def test_a_remote_start_and_stop(tmp_path):
    async with on_site(tmp_path) as (simulation, central):
        await do(simulation, "ev", connector=1, **CAR)
        await do(simulation, "plug", connector=1)
        answer = await central.call("RemoteStartTransaction", idTag=CARD, connectorId=1)
        assert answer["result"] == {"status": "Accepted"}
        await central.until_called("StatusNotification", connectorId=1, status="Charging")
        assert (await central.call("RemoteStopTransaction", transactionId=1))["result"] == {"status": "Accepted"}
        stop = await central.until_called("StopTransaction")
        assert stop["reason"] == "Remote"
        assert "idTag" not in stop


async def test_a_remote_start_with_a_profile_is_limited_by_it(tmp_path):
    schedule = {"chargingRateUnit": "A", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 8.0}]}
    profile = {
        "chargingProfileId": 7,
        "stackLevel": 0,
        "chargingProfilePurpose": "TxProfile",
        "chargingProfileKind": "Relative",
        "chargingSchedule": schedule,
    }
    async with on_site(tmp_path) as (simulation, central):
        await do(simulation, "ev", connector=1, **CAR)
        await do(simulation, "plug", connector=1)
        answer = await central.call("RemoteStartTransaction", idTag=CARD, connectorId=1, chargingProfile=profile)
        assert answer["result"] == {"status": "Accepted"}
        await central.until_called("StatusNotification", connectorId=1, status="Charging")
        composite = (await central.call("GetCompositeSchedule", connectorId=1, duration=60, chargingRateUnit="A"))[
            "result"
        ]
        assert composite["status"] == "Accepted"
        (period,) = composite["chargingSchedule"]["chargingSchedulePeriod"]
        assert (period["startPeriod"], period["limit"]) == (0, 8.0)
        await asyncio.sleep(8.0)  # longer than any car takes to follow
        world = await asyncio.to_thread(simulation.sim.state)
        assert max(world["connectors"]["1"]["current_a"].values()) == pytest.approx(8.0, abs=0.2)


async def test_a_firmware_update_is_told_in_order_and_boots_the_new_version(tmp_path):
    async with on_site(tmp_path) as (_, central):
        with http_server(Behaviour(bundle("2.0.0"))) as port:
            mark = len(central.events)
            location = f"http://127.0.0.1:{port}/firmware.bin"
            answer = await central.call("UpdateFirmware", location=location, retrieveDate="2020-01-01T00:00:00Z")
            assert answer["result"] == {}
            await central.until_called("FirmwareStatusNotification", status="Installed", within_s=60.0)
        told = [one["status"] for one in central.calls("FirmwareStatusNotification")]
        assert told == ["Downloading", "Downloaded", "Installing", "Installed"]
        boot = await central.until_called("BootNotification", after=mark)
        assert boot["firmwareVersion"] == "2.0.0"


async def test_the_configuration_in_one_answer(tmp_path):
    async with on_site(tmp_path) as (_, central):
        answer = (await central.call("GetConfiguration"))["result"]
        assert {one["key"] for one in answer["configurationKey"]} > {"HeartbeatInterval", "NumberOfConnectors"}
        changed = await central.call("ChangeConfiguration", key="HeartbeatInterval", value="77")
        assert changed["result"] == {"status": "Accepted"}
        answer = (await central.call("GetConfiguration", key=["heartbeatinterval", "Nonsense"]))["result"]
        assert [(one["key"], one["value"]) for one in answer["configurationKey"]] == [("HeartbeatInterval", "77")]
        assert answer["unknownKey"] == ["Nonsense"]


@pytest.mark.parametrize("kind", ["Soft", "Hard"])
async def test_a_reset_ends_the_session_and_boots_again(tmp_path, kind):
    async with on_site(tmp_path) as (simulation, central):
        await do(simulation, "ev", connector=1, **CAR)
        await do(simulation, "plug", connector=1)
        await central.call("RemoteStartTransaction", idTag=CARD, connectorId=1)
        await central.until_called("StatusNotification", connectorId=1, status="Charging")
        mark = len(central.events)
        assert (await central.call("Reset", type=kind))["result"] == {"status": "Accepted"}
        await central.until_called("BootNotification", after=mark)
        stop = await central.until_called("StopTransaction", after=mark)
        assert stop["reason"] == f"{kind}Reset"
        assert stop["meterStop"] == await register_wh(simulation)


async def test_a_message_can_be_asked_for(tmp_path):
    async with on_site(tmp_path) as (_, central):
        answer = await central.call("TriggerMessage", requestedMessage="Heartbeat")
        assert answer["result"] == {"status": "Accepted"}
        await central.until_called("Heartbeat")
