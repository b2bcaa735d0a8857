"""SetChargingProfile, ClearChargingProfile and GetCompositeSchedule: payloads in, the core's word out."""

import asyncio
from typing import Any

import pytest

from evcharge_agent.core.charging_profiles import Criteria, Installed, Kind, Period, Purpose, RateUnit, Recurrency
from evcharge_agent.core.composite import Basis, Outlet, Running
from evcharge_agent.core.effects import Answer
from evcharge_agent.core.events import ChargingProfilesCleared, ChargingProfileSet, RemoteStartRequested
from evcharge_agent.core.facts import Instant
from evcharge_agent.core.step import initial
from evcharge_agent.core.view import view
from evcharge_agent.ocpp16.core_profile import CoreProfile
from evcharge_agent.ocpp16.envelope import ErrorCode
from evcharge_agent.ocpp16.profile import Feature, RequestRefusedError, is_supported
from evcharge_agent.ocpp16.smart_charging_profile import SmartChargingProfile
from evcharge_agent.ocpp16.translate import NotAStampError, charging_profile
from tests.support.charging import profile
from tests.support.profile_bench import ProfileBench

NOW = Instant(1000.0, 1_700_001_000.0, is_utc_trusted=True)
PLAIN = {
    "charging_profile_id": 7,
    "stack_level": 3,
    "charging_profile_purpose": "TxDefaultProfile",
    "charging_profile_kind": "Relative",
    "charging_schedule": {
        "charging_rate_unit": "A",
        "charging_schedule_period": [{"start_period": 0, "limit": 16}],
    },
}
FULL = {
    "charging_profile_id": -1,
    "transaction_id": 5,
    "stack_level": 0,
    "charging_profile_purpose": "TxProfile",
    "charging_profile_kind": "Recurring",
    "recurrency_kind": "Weekly",
    "valid_from": "1970-01-01T00:01:40Z",
    "valid_to": "1970-01-01T02:00:00+01:00",
    "charging_schedule": {
        "duration": 60,
        "start_schedule": "1970-01-01T00:00:10.5Z",
        "charging_rate_unit": "W",
        "charging_schedule_period": [
            {"start_period": 0, "limit": 7000.1, "number_phases": 1},
            {"start_period": 10, "limit": 0},
        ],
        "min_charging_rate": 1400,
    },
}


def ask(action: str, payload: dict[str, Any], answer: Any, latest: Any = None) -> tuple[Any, list[Any]]:
    async def run() -> tuple[Any, list[Any]]:
        bench = ProfileBench(answer)
        plug = SmartChargingProfile(bench.context, latest or (lambda: view(initial(NOW), NOW)))
        async with bench.running():
            reply = await plug.handlers[action](payload)
        return reply.payload, bench.events

    return asyncio.run(run())


def accept(event: Any) -> Answer:
    return Answer(event.request, is_accepted=True)


def refuse(reason: str) -> Any:
    return lambda event: Answer(event.request, is_accepted=False, reason=reason)


def test_it_is_the_smart_charging_feature_without_triggers() -> None:
    plug = SmartChargingProfile(ProfileBench(accept).context, lambda: view(initial(NOW), NOW))
    assert plug.feature is Feature.SMART_CHARGING
    assert plug.triggers == {}
    assert set(plug.handlers) == {"SetChargingProfile", "ClearChargingProfile", "GetCompositeSchedule"}


# --- set --------------------------------------------------------------------------------------------------


def test_every_member_of_a_profile_is_read() -> None:
    found = charging_profile(FULL)
    assert (found.id, found.stack_level, found.transaction_id) == (-1, 0, 5)
    assert (found.purpose, found.kind, found.recurrency) == (Purpose.TX, Kind.RECURRING, Recurrency.WEEKLY)
    assert (found.valid_from_utc_s, found.valid_to_utc_s) == (100.0, 3600.0)
    schedule = found.schedule
    assert (schedule.unit, schedule.duration_s, schedule.start_utc_s) == (RateUnit.POWER, 60, 10.5)
    assert schedule.min_rate == 1400.0
    assert schedule.periods == (Period(0, 7000.1, 1), Period(10, 0.0, None))


def test_a_profile_without_optional_members_has_none() -> None:
    assert charging_profile(PLAIN) == profile((0, 16.0), id=7, level=3)


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (accept, "Accepted"),
        (refuse("profile_refused"), "Rejected"),
        (refuse("profiles_full"), "Rejected"),
        (refuse("no_transaction"), "Rejected"),
        (refuse("storage_failed"), "Rejected"),
        (refuse("guard_lost"), "Rejected"),
    ],
)
def test_the_core_decides(answer: Any, status: str) -> None:
    payload, events = ask("SetChargingProfile", {"connector_id": 2, "cs_charging_profiles": PLAIN}, answer)
    assert payload.status == status
    assert [(type(one), one.connector, one.profile.id) for one in events] == [(ChargingProfileSet, 2, 7)]


def test_a_connector_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(RequestRefusedError) as error:
        ask("SetChargingProfile", {"connector_id": 9, "cs_charging_profiles": PLAIN}, refuse("unknown_connector"))
    assert error.value.code is ErrorCode.PROPERTY_CONSTRAINT_VIOLATION


@pytest.mark.parametrize("member", ["valid_from", "valid_to", "start_schedule"])
@pytest.mark.parametrize("text", ["soon", "", "2026-13-01T00:00:00Z"])
def test_what_is_no_date_is_an_error_that_names_the_member(member: str, text: str) -> None:
    schedule: dict[str, Any] = dict(FULL["charging_schedule"])  # type: ignore[call-overload]
    changed = FULL | {"charging_schedule": schedule}
    (schedule if member == "start_schedule" else changed)[member] = text
    with pytest.raises(NotAStampError, match=member.partition("_")[0]):
        charging_profile(changed)
    with pytest.raises(RequestRefusedError) as error:
        ask("SetChargingProfile", {"connector_id": 1, "cs_charging_profiles": changed}, accept)
    assert error.value.code is ErrorCode.PROPERTY_CONSTRAINT_VIOLATION
    assert text not in error.value.description or not text


# --- clear ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("payload", "criteria"),
    [
        ({}, Criteria()),
        ({"id": 0}, Criteria(id=0)),
        ({"connector_id": 0}, Criteria(connector=0)),
        ({"charging_profile_purpose": "TxProfile"}, Criteria(purpose=Purpose.TX)),
        ({"stack_level": 0}, Criteria(stack_level=0)),
        (
            {"id": 1, "connector_id": 2, "charging_profile_purpose": "TxDefaultProfile", "stack_level": 3},
            Criteria(1, 2, Purpose.TX_DEFAULT, 3),
        ),
    ],
)
def test_criteria_are_read(payload: dict[str, Any], criteria: Criteria) -> None:
    answered, events = ask("ClearChargingProfile", payload, accept)
    assert answered.status == "Accepted"
    assert [(type(one), one.criteria) for one in events] == [(ChargingProfilesCleared, criteria)]


@pytest.mark.parametrize("reason", ["no_profile", "storage_failed"])
def test_nothing_cleared_is_unknown(reason: str) -> None:
    assert ask("ClearChargingProfile", {}, refuse(reason))[0].status == "Unknown"


# --- composite --------------------------------------------------------------------------------------------


class Snapshot:
    """The part of a published view the profile reads."""

    def __init__(self, *profiles: Any, outlets: dict[int, Outlet] | None = None) -> None:
        found = tuple(Installed(1, one, NOW, "boot") for one in profiles)
        self.charging = Basis(found, "boot", outlets or {1: Outlet(3, Running(None, 0.0)), 2: Outlet(3, None)}, 32.0)


def schedule(payload: dict[str, Any], *profiles: Any) -> Any:
    answered, events = ask("GetCompositeSchedule", payload, accept, lambda: Snapshot(*profiles))
    assert events == [], "asking changes nothing"
    return answered


def test_a_schedule_is_told_as_the_schema_wants_it() -> None:
    found = schedule({"connector_id": 1, "duration": 60}, profile((0, 10.0, 1)))
    assert (found.status, found.connector_id) == ("Accepted", 1)
    assert found.schedule_start.endswith(".000Z")
    assert found.charging_schedule == {
        "duration": 60,
        "start_schedule": found.schedule_start,
        "charging_rate_unit": "A",
        "charging_schedule_period": [{"start_period": 0, "limit": 10.0, "number_phases": 1}],
    }


@pytest.mark.parametrize(
    ("unit", "connector", "limit"),
    [(None, 1, 32.0), ("A", 2, 32.0), ("W", 2, 22_080.0), ("A", 0, 32.0), ("W", 0, 22_080.0)],
)
def test_where_no_profile_applies_the_default_is_told(unit: str | None, connector: int, limit: float) -> None:
    payload: dict[str, Any] = {"connector_id": connector, "duration": 60}
    found = schedule(payload | ({"charging_rate_unit": unit} if unit else {})).charging_schedule
    assert found["charging_rate_unit"] == (unit or "A")
    assert found["charging_schedule_period"] == [{"start_period": 0, "limit": limit}]


def test_duration_0_is_what_holds_now() -> None:
    found = schedule({"connector_id": 1, "duration": 0}, profile()).charging_schedule
    assert (found["duration"], found["charging_schedule_period"]) == (0, [{"start_period": 0, "limit": 10.0}])


@pytest.mark.parametrize("payload", [{"connector_id": 3, "duration": 60}, {"connector_id": -1, "duration": 60}])
def test_an_unknown_connector_is_rejected(payload: dict[str, Any]) -> None:
    found = schedule(payload)
    assert (found.status, found.connector_id, found.charging_schedule) == ("Rejected", None, None)


def test_a_negative_duration_is_rejected() -> None:
    assert schedule({"connector_id": 1, "duration": -1}).status == "Rejected"


# --- remote start -----------------------------------------------------------------------------------------


def start(one: dict[str, Any] | None) -> Any:
    async def run() -> Any:
        bench = ProfileBench(accept)
        payload = {"id_tag": "A", "connector_id": 1} | ({} if one is None else {"charging_profile": one})
        async with bench.running():
            await CoreProfile(bench.context).handlers["RemoteStartTransaction"](payload)
        return bench.events[0]

    return asyncio.run(run())


def test_a_remote_start_brings_its_profile_to_the_core() -> None:
    event = start(FULL)
    assert isinstance(event, RemoteStartRequested)
    assert event.profile == charging_profile(FULL)
    assert start(None).profile is None


def test_a_remote_start_with_no_date_is_an_error() -> None:
    with pytest.raises(RequestRefusedError):
        start(PLAIN | {"valid_to": "soon"})


@pytest.mark.parametrize(
    ("features", "is_on"), [("Core,SmartCharging", True), ("smartcharging ,Core", True), ("Core", False), ("", False)]
)
def test_a_feature_is_on_when_it_is_named(features: str, is_on: bool) -> None:
    assert is_supported(Feature.SMART_CHARGING, features) is is_on
