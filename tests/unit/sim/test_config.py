import pytest

from evcharge_hal.contract.errors import EvchargeError
from evcharge_hal.sim.__main__ import EXIT_USAGE, main
from evcharge_hal.sim.config import GpioAtDeath, MeterRole, SimMeter, load_config

FULL = """
[board]
name = "sim"
connectors = 1

[sim]
gpio_at_death = "released"
tcp_port = 0
speed = 60
house = "house.csv"

[[sim.meters]]
name = "session-1"
role = "session"
connector = 1

[[sim.meters]]
name = "grid"
role = "grid"
port = 1502
unit = 3
"""


def test_one_file_holds_board_and_world(tmp_path):
    (tmp_path / "house.csv").write_text("time_s,l1_a,l2_a,l3_a,pv_w\n0,1,2,3,4\n")
    (tmp_path / "sim.toml").write_text(FULL)
    loaded = load_config(tmp_path / "sim.toml")
    assert [section.id for section in loaded.board.connector] == [1]
    assert (loaded.sim.gpio_at_death, loaded.sim.speed, loaded.sim.tcp_port) == (GpioAtDeath.RELEASED, 60.0, 0)
    assert loaded.sim.meters == (
        SimMeter("session-1", MeterRole.SESSION, 1),
        SimMeter("grid", MeterRole.GRID, None, port=1502, unit=3),
    )
    assert loaded.profile is not None
    assert loaded.profile.at(0.0).pv_w == 4.0


def test_an_empty_file_is_the_shipped_world(tmp_path):
    (tmp_path / "sim.toml").write_text("")
    loaded = load_config(tmp_path / "sim.toml")
    assert (loaded.sim.gpio_at_death, loaded.profile) == (GpioAtDeath.RETAINED, None)


METER = '[[sim.meters]]\nname = "a"\nrole = "session"\nconnector = 1\n'


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[sim]\nspeed = 0.05\n", "sim.speed = 0.05: allowed: a number from 0.1 to 10000"),
        ("[sim]\nspede = 1\n", "did you mean 'speed'?"),
        ('[sim]\ngpio_at_death = "undead"\n', "one of retained, released"),
        ("sim = 5\n", "a table of named values"),
        ("[sim\n", "not a TOML file"),
        ("[sin]\n", "did you mean 'sim'?"),
        ('[sim]\nhouse = "absent.csv"\n', "absent.csv"),
        (METER + METER, "sim.meters[1].name = 'a': allowed: a name of its own"),
        (METER.replace("= 1", "= 2"), "sim.meters[0].connector = 2: allowed: one of the connectors 1"),
        (METER.replace("connector = 1\n", ""), "sim.meters[0].connector = None"),
        (METER + "port = 70000\n", "sim.meters[0].port = 70000"),
    ],
)
def test_a_bad_file_is_refused_in_one_line(tmp_path, text, problem, capsys):
    file = tmp_path / "sim.toml"
    is_toml_board = "[board]" in text or "[sim\n" in text or "[sin]" in text
    file.write_text(text if is_toml_board else text + "\n[board]\nconnectors = 1\n")
    arguments = ["run", "--config", str(file), "--runtime-dir", str(tmp_path), "--state-dir", str(tmp_path)]
    assert main(arguments) == EXIT_USAGE
    error = capsys.readouterr().err
    assert problem in error
    assert str(tmp_path) in error
    assert len(error.splitlines()) == 1


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(EvchargeError, match=r"nowhere\.toml"):
        load_config(tmp_path / "nowhere.toml")
