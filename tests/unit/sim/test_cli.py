import argparse
import dataclasses

import pytest

from evcharge_hal.sim.cli import EXIT_REFUSED, EXIT_UNREACHABLE, add_sim_parser, describe, run_sim_command
from evcharge_hal.sim.verbs import VERBS
from tests.support.sim_host import make_world


def parse(line: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(exit_on_error=False)
    add_sim_parser(parser.add_subparsers(dest="command"))
    return parser.parse_args(line.split())


def fields_of(args: argparse.Namespace) -> dict[str, object]:
    names = [field.name for field in dataclasses.fields(VERBS[args.sim_verb])]
    return {name: getattr(args, name) for name in names if hasattr(args, name)}


@pytest.mark.parametrize(
    ("line", "fields"),
    [
        ("sim plug 1", {"connector": 1}),
        ("sim plug 2 --cable-a 20", {"connector": 2, "cable_a": 20}),
        ("sim unplug 1 --side ev", {"connector": 1, "side": "ev"}),
        ("sim ev 1 --request charge --soc-pct 20", {"connector": 1, "request": "charge", "soc_pct": 20.0}),
        ("sim ev 1 --no-sleepy --after-pwm", {"connector": 1, "sleepy": False, "after_pwm": True}),
        ("sim swipe 04A2", {"id_tag": "04A2"}),
        ("sim swipe 04A2 --connectors 1 2", {"id_tag": "04A2", "connectors": [1, 2]}),
        ("sim fault rcm_trip 2", {"kind": "rcm_trip", "connector": 2}),
        ("sim fault link_lost", {"kind": "link_lost", "connector": 1}),
        ("sim clear meter_frozen --meter grid", {"kind": "meter_frozen", "connector": 1, "meter": "grid"}),
        ("sim meter 1 --energy-wh 500 --hold", {"connector": 1, "energy_wh": 500, "hold": True}),
        ("sim house --load-a 1 2.5 3 --pv-w 400", {"load_a": [1.0, 2.5, 3.0], "pv_w": 400.0}),
        ("sim speed 60", {"factor": 60.0}),
        ("sim temperature 1 none", {"connector": 1, "temperature_c": None}),
        ("sim reset --cause brown_out", {"cause": "brown_out"}),
    ],
)
def test_a_command_line_names_the_fields_of_its_verb(line, fields):
    args = parse(line)
    assert fields_of(args) == fields
    make_world().perform(args.sim_verb, fields_of(args))


def test_every_verb_is_a_command():
    parser = argparse.ArgumentParser()
    add_sim_parser(parser.add_subparsers())
    for verb in (*VERBS, "state", "health"):
        with pytest.raises(SystemExit) as end:
            parser.parse_args(["sim", verb, "--help"])
        assert end.value.code == 0


def test_without_a_world_it_says_where_it_looked(tmp_path, capsys, monkeypatch):
    monkeypatch.delenv("EVCHARGE_RUNTIME_DIR", raising=False)
    assert run_sim_command(parse(f"sim state --runtime-dir {tmp_path}")) == EXIT_UNREACHABLE
    assert str(tmp_path / "sim.sock") in capsys.readouterr().err
    assert run_sim_command(parse("sim state"), tmp_path / "default") == EXIT_UNREACHABLE
    assert "default" in capsys.readouterr().err
    assert run_sim_command(parse("sim state")) == EXIT_REFUSED
    assert "--runtime-dir" in capsys.readouterr().err
    monkeypatch.setenv("EVCHARGE_RUNTIME_DIR", str(tmp_path / "from-environment"))
    assert run_sim_command(parse("sim state")) == EXIT_UNREACHABLE
    assert "from-environment" in capsys.readouterr().err


def test_a_state_in_words_names_what_matters():
    world = make_world()
    world.perform("plug", {"connector": 1})
    world.perform("fault", {"kind": "rcm_trip"})
    first, second, grid = describe(world.state())
    assert "connector 1: B, pilot x1 9.0 V, contactor open" in first
    assert "faults: rcm_trip" in first
    assert "connector 2: A, pilot x1 12.0 V" in second
    assert grid.startswith("grid: 0 W")
