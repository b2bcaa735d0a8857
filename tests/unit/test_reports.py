"""The texts of `status`, `why` and `sessions list`."""

from typing import Any

import pytest

from evcharge_agent.reports import duration_text, sessions_text, status_text, why_text

PHASES_16 = {"l1": 16.0, "l2": 16.0, "l3": 16.0}


def limit(source: str, limit_a: float, text: str, *, is_acting: bool = False) -> dict[str, Any]:
    return {"source": source, "limit_a": dict.fromkeys(PHASES_16, limit_a), "text": text, "is_acting": is_acting}


def connector(**changes: Any) -> dict[str, Any]:
    return {
        "connector": 1,
        "state": "Charging",
        "waiting": None,
        "offer_a": 16.0,
        "limits": [limit("rating", 32.0, "Rated."), limit("user", 16.0, "Set by the user.", is_acting=True)],
        "power_w": 11_000.0,
        "current_a": PHASES_16,
        "session": {"energy_wh": 1234, "duration_s": 3723.0, "transaction_id": 7, "id_tag": "CARD"},
        "faults": [],
        **changes,
    }


def station(*connectors: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {
        "state": "Available",
        "is_central_system_enabled": True,
        "is_central_system_connected": True,
        "is_central_system_accepted": True,
        "is_guard_connected": True,
        "is_clock_trusted": True,
        "connectors": list(connectors),
        **changes,
    }


def test_a_running_charge() -> None:
    assert status_text(station(connector())).splitlines() == [
        "Station: Available · central system online · guard connected · clock set",
        "",
        "Connector 1: Charging",
        "  offer     16.0 A (Set by the user.)",
        "  draw      11.00 kW (16.0 / 16.0 / 16.0 A)",
        "  session   1.234 kWh in 1:02:03, transaction 7, card CARD",
    ]


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"is_central_system_enabled": False}, "no central system"),
        ({"is_central_system_connected": False}, "central system offline"),
        ({"is_central_system_accepted": False}, "has not accepted us yet"),
        ({"is_guard_connected": False}, "GUARD NOT CONNECTED"),
        ({"is_clock_trusted": False}, "clock not set"),
    ],
)
def test_what_is_wrong_with_the_station_is_said(changes: dict[str, Any], text: str) -> None:
    assert text in status_text(station(**changes))


LINE = {
    "url": "ws://c/ocpp",
    "identity": "EVC-1",
    "is_connected": True,
    "registration": "Accepted",
    "last_error": None,
    "queued": 0,
    "parked": 0,
}


@pytest.mark.parametrize(
    ("changes", "lines"),
    [
        ({}, []),
        ({"last_error": "refused"}, ["  no connection to ws://c/ocpp as EVC-1: refused"]),
        ({"registration": "Pending"}, ["  ws://c/ocpp answers EVC-1: Pending"]),
        ({"queued": 1}, ["  1 message queued"]),
        (
            {"queued": 2, "parked": 3},
            ["  2 messages queued", "  3 messages given up: the central system does not take them"],
        ),
    ],
)
def test_why_there_is_no_connection_and_what_waits_for_one(changes: dict[str, Any], lines: list[str]) -> None:
    assert status_text(station(central_system=LINE | changes)).splitlines()[1:] == lines
    assert status_text(station(central_system=None)).count("\n") == 0


def test_an_idle_connector_says_what_it_could_offer() -> None:
    idle = connector(state="Available", offer_a=0.0, power_w=None, current_a=None, session=None)
    assert "offer     none; 16.0 A are possible (Set by the user.)" in status_text(station(idle))


def test_waits_faults_and_missing_numbers() -> None:
    text = status_text(
        station(
            connector(
                waiting={"text": "Waits for the car."},
                session={"energy_wh": 0, "duration_s": 5.0, "transaction_id": None, "id_tag": "CARD"},
                faults=[{"text": "Residual current.", "what_to_do": "Unplug."}],
            )
        )
    )
    assert "waiting   Waits for the car." in text
    assert "transaction not yet numbered" in text
    assert "fault     Residual current.\n            Unplug." in text


def test_why_marks_the_limit_that_acts() -> None:
    assert why_text(station(connector())).splitlines() == [
        "Connector 1: 16.0 A offered, Charging",
        "    rating   32.0 A  Rated.",
        "  > user     16.0 A  Set by the user.",
    ]


def test_before_the_guard_has_spoken_there_is_nothing_to_say() -> None:
    assert why_text(station()) == ""
    assert status_text(station()).count("\n") == 0


def test_sessions() -> None:
    start = {"started": {"utc_s": 1_750_000_000.0}, "connector": 2, "id_tag": "CARD"}
    rows = [
        {"start": start, "stop": None, "transaction_id": None, "energy_wh": 15},
        {"start": start, "stop": {"reason": "Local"}, "transaction_id": 0, "energy_wh": 20_500},
    ]
    lines = sessions_text(rows).splitlines()
    assert lines[1].split() == ["2025-06-15", "15:06:40", "2", "CARD", "0.015", "-", "running"]
    assert lines[2].split() == ["2025-06-15", "15:06:40", "2", "CARD", "20.500", "0", "Local"]
    assert sessions_text([]) == "no transactions yet"


@pytest.mark.parametrize(("seconds", "text"), [(0.9, "0:00"), (61.0, "1:01"), (3600.0, "1:00:00")])
def test_durations(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text


@pytest.mark.parametrize("text_of", [status_text, why_text])
def test_a_failing_disk_is_said_with_its_reason(text_of):
    failing = station(storage={"is_failing": True, "reason": "agent.db: database or disk is full"})
    assert "STORAGE FAILING" in text_of(failing)
    assert "agent.db: database or disk is full" in text_of(failing)
    sound = station(storage={"is_failing": False, "reason": None})
    assert "STORAGE" not in text_of(sound)
