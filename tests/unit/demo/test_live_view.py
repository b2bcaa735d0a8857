"""The demo's screen."""

from typing import Any

from evcharge_agent.demo.live_view import BAR_WIDTH, Screen, bar, sparkline


def view(**changes: Any) -> dict[str, Any]:
    at = {
        "connector": 1,
        "state": "Charging",
        "waiting": None,
        "offer_a": 16.0,
        "power_w": 5500.0,
        "current_a": {"l1": 8.0, "l2": 8.0, "l3": 7.9},
        "session": {"energy_wh": 500, "duration_s": 61.0, "transaction_id": None},
        "limits": [{"is_acting": True, "text": "Set by the user."}, {"is_acting": False, "text": "Rated."}],
        "faults": [],
        **changes,
    }
    return {"connectors": [at]}


def screen(*, is_coloured: bool = False) -> Screen:
    return Screen(title="TITLE", hint="HINT", is_coloured=is_coloured, story="charging")


def test_bar_fills_with_the_draw() -> None:
    assert bar(8.0, 16.0) == "█" * (BAR_WIDTH // 2) + "░" * (BAR_WIDTH // 2)
    assert bar(0.0, 0.0) == "░" * BAR_WIDTH
    assert bar(20.0, 16.0) == "█" * BAR_WIDTH, "a car that draws too much does not break the screen"


def test_sparkline_is_scaled_to_its_highest_value_and_as_wide_as_the_bar() -> None:
    assert sparkline((0.0, 11_000.0))[-2:] == "▁█"
    assert len(sparkline(())) == BAR_WIDTH
    assert len(sparkline(tuple(float(i) for i in range(100)))) == BAR_WIDTH


def test_a_charge_on_the_screen() -> None:
    shown = screen()
    shown.remember(view())
    text = shown.render(view(), ["→ StartTransaction"])
    for part in ("TITLE", "HINT", "charging", "8.0 A of 16.0 A offered", "5.50 kW", "0.500 kWh in 1:01", "→ Start"):
        assert part in text
    assert "Set by the user." in text
    assert "Rated." not in text
    assert "\x1b" not in text


def test_an_idle_connector_is_one_line_and_no_view_is_no_error() -> None:
    idle = view(state="Available", session=None, current_a=None, power_w=None, waiting={"text": "Waits."})
    text = screen().render(idle, [])
    assert "Connector 1  Available  Waits." in text
    assert "current" not in text
    assert "starting" in screen().render(None, [])


def test_colours_only_where_wanted() -> None:
    assert "\x1b[36mCharging\x1b[0m" in screen(is_coloured=True).render(view(), [])
