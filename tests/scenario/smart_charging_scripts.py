"""Smart charging as a central system uses it: limits that lower a charge, end, last and are shared."""

from collections.abc import Callable
from typing import Any

from ocpp.v16 import call

from tests.scenario.scripts import Scenario, is_closed, is_open
from tests.support.rig import CAR, CARD, Json, Rig

MARGIN_A = 0.3
"""What a car may be off its limit, once it has followed."""


def limit_of(purpose: str, *steps: tuple[int, float], number: int = 1, level: int = 0, **more: Any) -> dict[str, Any]:
    """A relative profile in ampere."""
    return {
        "charging_profile_id": number,
        "stack_level": level,
        "charging_profile_purpose": purpose,
        "charging_profile_kind": "Relative",
        "charging_schedule": {
            "charging_rate_unit": "A",
            "charging_schedule_period": [{"start_period": at_s, "limit": limit_a} for at_s, limit_a in steps],
        },
    } | more


async def ask(rig: Rig, request: Any) -> Any:
    """Make a call to the charger; returns the result."""
    session = rig.central.session
    assert session is not None
    return await session.command(request)


async def set_profile(rig: Rig, connector: int, profile: dict[str, Any]) -> str:
    answer = await ask(rig, call.SetChargingProfile(connector_id=connector, cs_charging_profiles=profile))
    return str(answer.status)


async def clear(rig: Rig, **criteria: Any) -> str:
    return str((await ask(rig, call.ClearChargingProfile(**criteria))).status)


async def periods(rig: Rig, connector: int, duration_s: int = 600, unit: str = "A") -> list[tuple[int, float]]:
    """The composite schedule the charger tells."""
    question = call.GetCompositeSchedule(connector, duration_s, unit)  # type: ignore[arg-type]
    answer = await ask(rig, question)
    assert str(answer.status) == "Accepted"
    schedule = answer.charging_schedule
    assert schedule["duration"] == duration_s
    return [(one["start_period"], one["limit"]) for one in schedule["charging_schedule_period"]]


def draws(current_a: float) -> Callable[[Json], bool]:
    return lambda at: abs(at["current_a"]["l1"] - current_a) < MARGIN_A


def acting(view: Json) -> str:
    """Why the offer is what it is."""
    return next((limit["reason"] for limit in view["limits"] if limit["is_acting"]), "")


async def a_limit_lowers_a_running_charge_and_its_end_lets_it_rise(rig: Rig) -> None:
    """Within seconds both ways; 0 pauses as SuspendedEVSE; the reason is shown."""
    await rig.until_online()
    await rig.plug_and_charge()
    assert await set_profile(rig, 1, limit_of("TxDefaultProfile", (0, 10.0))) == "Accepted"
    await rig.until_world("10 A", draws(10.0), within_s=6.0)
    assert acting(await rig.view()) == "tx_default_profile"
    assert await periods(rig, 1) == [(0, 10.0)]
    assert await periods(rig, 1, unit="W") == [(0, 6900.0)]
    assert await set_profile(rig, 0, limit_of("ChargePointMaxProfile", (0, 0.0), number=2)) == "Accepted"
    await rig.until_state("SuspendedEVSE")
    await rig.until_world("open", is_open)
    assert (await rig.view())["waiting"]["reason"] == "paused_by_profile"
    assert await clear(rig, id=2) == "Accepted"
    await rig.until_world("10 A again", draws(10.0), within_s=40.0)
    assert await clear(rig) == "Accepted"
    await rig.until_world("full", draws(16.0), within_s=15.0)
    assert await clear(rig) == "Unknown"
    assert len(rig.central.of("StopTransaction")) == 0


async def a_tx_profile_ends_with_its_transaction(rig: Rig) -> None:
    """Refused without a transaction and for another one; over with its own."""
    await rig.until_online()
    profile = limit_of("TxProfile", (0, 8.0))
    assert await set_profile(rig, 1, profile) == "Rejected"
    await rig.plug_and_charge()
    await rig.until_view("number", lambda at: at["session"]["transaction_id"] is not None)
    number = (await rig.view())["session"]["transaction_id"]
    assert await set_profile(rig, 1, profile | {"transaction_id": number + 1}) == "Rejected"
    assert await set_profile(rig, 1, profile | {"transaction_id": number}) == "Accepted"
    await rig.until_world("8 A", draws(8.0), within_s=6.0)
    await rig.do("swipe", id_tag=CARD, connectors=[1])
    await rig.until_stopped()
    assert await clear(rig, id=1) == "Unknown"
    await rig.do("unplug", connector=1)
    await rig.until_state("Available")
    await rig.plug_and_charge()


async def a_profile_survives_the_agent_and_its_transaction_keeps_its_own(rig: Rig) -> None:
    """SIGKILL, restart: the same limits, from the same begin."""
    await rig.until_online()
    await rig.plug_and_charge()
    assert await set_profile(rig, 1, limit_of("TxProfile", (0, 9.0), number=1)) == "Accepted"
    assert await set_profile(rig, 0, limit_of("TxDefaultProfile", (0, 12.0), number=2)) == "Accepted"
    await rig.until_world("9 A", draws(9.0), within_s=6.0)
    boots = len(rig.central.of("BootNotification"))
    await rig.kill("agent")
    await rig.sleep(1.0)
    await rig.start("agent")
    await rig.until_central("booted", lambda: len(rig.central.of("BootNotification")) == boots + 1)
    await rig.until_state("Charging")
    await rig.until_world("9 A again", draws(9.0), within_s=20.0)
    await rig.sleep(6.0)
    assert draws(9.0)(await rig.at()), "and no more"
    assert acting(await rig.view()) == "tx_profile"
    assert await clear(rig, id=1) == "Accepted"
    await rig.until_world("12 A", draws(12.0), within_s=15.0)
    assert rig.central.of("StopTransaction") == []


async def a_charge_point_max_profile_is_shared_by_two_connectors(rig: Rig) -> None:
    """Both together within the limit; who stays alone gets all of it."""
    await rig.until_online()
    assert await set_profile(rig, 0, limit_of("ChargePointMaxProfile", (0, 15.0))) == "Accepted"
    await rig.do("ev", connector=1, **CAR)
    await rig.do("plug", connector=1)
    await rig.until_state("Preparing")
    await rig.do("swipe", id_tag=CARD, connectors=[1])
    await rig.until_world("alone", draws(15.0))
    await rig.do("ev", connector=2, **CAR)
    await rig.do("plug", connector=2)
    await rig.until_state("Preparing", connector=2)
    await rig.do("swipe", id_tag="CARD-2", connectors=[2])
    await rig.until_state("Charging", connector=2)
    await rig.until_world("half", draws(7.5))
    await rig.sleep(8.0)
    assert draws(7.5)(await rig.at(2))
    assert await periods(rig, 0) == [(0, 15.0)]
    await rig.do("swipe", id_tag=CARD, connectors=[1])
    await rig.until_world("stopped", is_open)
    await rig.sleep(10.0)
    assert draws(15.0)(await rig.at(2))


async def a_remote_start_brings_its_own_profile(rig: Rig) -> None:
    """TxProfile without transactionId, from the first ampere on; anything else is refused."""
    await rig.until_online()
    await rig.do("ev", connector=1, **CAR)
    await rig.do("plug", connector=1)
    await rig.until_state("Preparing")
    for wrong in (limit_of("TxDefaultProfile", (0, 8.0)), limit_of("TxProfile", (0, 8.0), transaction_id=1)):
        request = call.RemoteStartTransaction(id_tag="APP", connector_id=1, charging_profile=wrong)
        assert str((await ask(rig, request)).status) == "Rejected"
    right = limit_of("TxProfile", (0, 8.0), (20, 11.0))
    request = call.RemoteStartTransaction(id_tag="APP", connector_id=1, charging_profile=right)
    assert str((await ask(rig, request)).status) == "Accepted"
    await rig.until_world("8 A", draws(8.0))
    assert is_closed(await rig.at())
    await rig.until_world("11 A, 20 s later", draws(11.0), within_s=25.0)


SMART_CHARGING_SCENARIOS: tuple[Scenario, ...] = (
    a_limit_lowers_a_running_charge_and_its_end_lets_it_rise,
    a_tx_profile_ends_with_its_transaction,
    a_profile_survives_the_agent_and_its_transaction_keeps_its_own,
    a_charge_point_max_profile_is_shared_by_two_connectors,
    a_remote_start_brings_its_own_profile,
)
