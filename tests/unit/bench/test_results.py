"""Tables and their JSON twin."""

import json

from bench.plot import draw
from bench.results import Figure, Latency, Results, table


def test_columns_stand_under_each_other() -> None:
    lines = table(("a", "longer"), [("value", "b")])
    assert lines == ["| a     | longer |", "|-------|--------|", "| value | b      |"]


def test_a_latency_stands_beside_its_echo() -> None:
    row = Latency("trip", "idle", [0.002] * 100, [0.001] * 100, "p99 ≤ 5", lost=1)
    assert row.cells() == ("trip", "idle", "100 (1 lost)", "2", "2", "", "2", "1", "1", "1", "2", "p99 ≤ 5")


def test_a_latency_without_outcome_shows_what_was_lost() -> None:
    assert Latency("trip", "idle", [], lost=3).cells() == ("trip", "idle", "0 (3 lost)", *[""] * 8, "")


def test_a_figure_stands_beside_a_bare_one() -> None:
    assert Figure("store", 500.0, "commits/s", "how", 1000.0).cells() == (
        "store",
        "500",
        "commits/s",
        "1000",
        "0.5",
        "",
        "how",
    )


def test_results_are_plain_json() -> None:
    results = Results(["machine"], [Latency("trip", "idle", [0.5])], [Figure("store", 500.0, "commits/s", "how")])
    plain = json.loads(json.dumps(results.as_json()))
    assert plain["latencies"][0]["seconds"] == {"count": 1, "median": 0.5, "p99": None, "p999": None, "largest": 0.5}
    assert plain["figures"][0]["value"] == 500.0
    assert "| store " in results.text()


def test_a_drawing_has_both_curves_and_escapes_what_it_is_told() -> None:
    drawing = draw([Latency("a < b", "idle", [0.001], [0.0005])])
    assert drawing.count("<polygon") == 2
    assert "a &lt; b" in drawing
