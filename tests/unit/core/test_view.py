"""The snapshot: complete, frozen, and stable as JSON."""

import dataclasses
import json
import math

import pytest

from evcharge_agent.core import events as e
from evcharge_agent.core.facts import MeterReading
from evcharge_agent.core.view import as_json
from evcharge_hal.contract.faults import FaultCode
from evcharge_hal.contract.units import PerPhase, WattHours
from tests.support.core_station import TAG, Station, TestRules

STATION_NAMES = {
    *("at", "state", "error_code", "info", "vendor_error_code", "is_central_system_enabled"),
    *("is_central_system_connected", "is_central_system_accepted", "is_guard_connected", "is_clock_trusted"),
    "connectors",
}
CONNECTOR_NAMES = {
    *("connector", "state", "error_code", "info", "vendor_error_code", "phase", "session", "waiting", "offer_a"),
    *("is_permitted", "limits", "power_w", "current_a", "voltage_v", "register_wh", "contactor", "pilot", "plug_id"),
    "faults",
}
SESSION_NAMES = {
    *("transaction", "transaction_id", "id_tag", "energy_wh", "meter_start_wh", "started", "duration_s"),
}


def charging():
    station = Station(TestRules(user_limit_a=8.0)).ready()
    station.start()
    station.close()
    station.currents[1] = 8.0
    station.registers[1] = 1250
    station.wait(60.0)
    return station


def test_the_names_only_grow():
    plain = as_json(charging().view())
    assert set(plain) >= STATION_NAMES
    (connector,) = plain["connectors"]
    assert set(connector) >= CONNECTOR_NAMES
    assert set(connector["session"]) >= SESSION_NAMES
    assert set(connector["limits"][0]) >= {"source", "scope", "limit_a", "reason", "text", "valid_until_s", "is_acting"}


def test_why_is_my_car_at_eight_ampere():
    seen = charging().seen()
    assert seen.offer_a == 8.0
    (acting,) = [limit for limit in seen.limits if limit.is_acting]
    assert (acting.source, acting.scope, acting.limit_a) == ("user", "connector", PerPhase.uniform(8.0))
    assert acting.text
    assert {limit.source for limit in seen.limits} == {"rating", "installer", "user"}


def test_a_running_session_in_figures():
    seen = charging().seen()
    assert seen.session is not None
    assert (seen.session.id_tag, seen.session.energy_wh, seen.session.duration_s) == (TAG, 250, 60.0)
    assert (seen.power_w, seen.current_a, seen.register_wh) == (230.0 * 24.0, PerPhase.uniform(8.0), 1250)
    assert seen.waiting is None


def test_what_is_old_is_not_shown_as_new():
    station = charging()
    station.meters_speak = False
    station.tell(e.GuardLost())
    station.wait(6.0)
    seen = station.seen()
    assert (seen.power_w, seen.current_a, seen.contactor, seen.pilot) == (None, None, None, None)
    assert seen.register_wh == 1250


def test_a_fault_says_what_to_do():
    station = charging()
    station.latch(FaultCode.METER_LOST, FaultCode.RCM_TRIP)
    worst, other = as_json(station.view())["connectors"][0]["faults"]
    assert (worst["code"], worst["severity"], worst["error_code"]) == ("rcm_trip", "trip", "GroundFailure")
    assert worst["what_to_do"]
    assert other["code"] == "meter_lost"


@pytest.mark.parametrize("prepare", [Station, lambda: Station().begin(), charging])
def test_it_is_always_json(prepare):
    text = json.dumps(as_json(prepare().view()), allow_nan=False)
    assert json.loads(text)["connectors"] is not None


def test_no_hostile_number_gets_into_json():
    station = charging()
    station.tell(e.MeterRead(1, MeterReading(WattHours(1300), math.nan)))
    json.dumps(as_json(station.view()), allow_nan=False)
    assert station.seen().register_wh == 1250


def test_it_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        charging().view().state = None
