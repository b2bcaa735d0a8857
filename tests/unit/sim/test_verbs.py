import pytest

from evcharge_hal.contract.errors import InvalidFieldError
from evcharge_hal.sim.verbs import VERBS, FaultKind, Plug, Side, UnknownVerbError, Unplug, read_verb


def test_fields_that_are_not_named_have_their_defaults():
    assert read_verb("plug", {"connector": 2}) == Plug(2, 32)
    assert read_verb("unplug", {"connector": 1, "side": "ev"}) == Unplug(1, Side.EV)


@pytest.mark.parametrize(
    ("verb", "body", "path"),
    [
        ("plug", {}, "connector"),
        ("plug", {"connector": 0}, "connector"),
        ("plug", {"connector": 3}, "connector"),
        ("plug", {"connector": "1"}, "connector"),
        ("plug", {"connector": True}, "connector"),
        ("plug", {"connector": 1, "cable_a": 16}, "cable_a"),
        ("plug", [], "Plug"),
        ("plug", None, "Plug"),
        ("unplug", {"connector": 1, "side": "evse"}, "side"),
        ("ev", {"connector": 1, "soc_pct": 101}, "soc_pct"),
        ("ev", {"connector": 1, "phases": 4}, "phases"),
        ("ev", {"connector": 1, "request": "stop"}, "request"),
        ("ev", {"connector": 1, "sleepy": 1}, "sleepy"),
        ("ev", {"connector": 1, "soc": 5}, "soc"),
        ("swipe", {}, "id_tag"),
        ("swipe", {"id_tag": ""}, "id_tag"),
        ("swipe", {"id_tag": "x" * 21}, "id_tag"),
        ("swipe", {"id_tag": "A", "connectors": [1, 9]}, "connectors[1]"),
        ("fault", {"kind": "rcm_trap"}, "kind"),
        ("clear", {"kind": 7}, "kind"),
        ("meter", {"connector": 1, "energy_wh": -1}, "energy_wh"),
        ("meter", {"connector": 1, "energy_wh": 1.5}, "energy_wh"),
        ("house", {"load_a": [1, 2]}, "load_a"),
        ("house", {"load_a": [1, 2, 3, 4]}, "load_a"),
        ("house", {"load_a": [1, 2, float("nan")]}, "load_a[2]"),
        ("speed", {"factor": 0}, "factor"),
        ("speed", {"factor": float("inf")}, "factor"),
        ("temperature", {"connector": 1}, "temperature_c"),
        ("reset", {"cause": "boredom"}, "cause"),
    ],
)
def test_a_bad_body_is_refused_by_field_and_range(verb, body, path):
    with pytest.raises(InvalidFieldError) as refusal:
        read_verb(verb, body)
    assert refusal.value.path == path
    assert refusal.value.allowed


def test_an_unknown_fault_is_answered_with_the_list_and_the_nearest():
    with pytest.raises(InvalidFieldError) as refusal:
        read_verb("fault", {"kind": "rcm_tripp"})
    assert all(kind.value in refusal.value.allowed for kind in FaultKind)
    assert refusal.value.nearest == "rcm_trip"


@pytest.mark.parametrize(("name", "nearest"), [("plugg", "plug"), ("swype", "swipe"), ("xyz", None), ("", None)])
def test_an_unknown_verb_is_answered_with_the_nearest(name, nearest):
    with pytest.raises(UnknownVerbError) as refusal:
        read_verb(name, {})
    assert refusal.value.nearest == nearest
    assert all(verb in str(refusal.value) for verb in VERBS)
