"""The commands about settings, against a desk in place of the daemon."""

import argparse
import asyncio
import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from evcharge_agent.settings import control
from evcharge_agent.settings.cli import add_parsers
from evcharge_agent.settings.live import LiveSettings
from evcharge_agent.settings.schema import json_schema
from evcharge_agent.settings.sections import Settings
from evcharge_hal.contract.errors import InvalidFieldError

EXAMPLE = Path(__file__).parents[3] / "config" / "evcharge-agent.example.toml"


ONE_CONNECTOR = "[board]\nname = 'one-connector'\n"


class Overlay:
    """Keeps nothing."""

    async def clear_setting(self, name: str) -> bool:
        """A disk that never fails."""
        return bool(name)

    async def set_setting(self, name: str, value: str) -> None:
        """A disk that never fails."""


class Daemon:
    """Answers as the control socket does."""

    def __init__(self) -> None:
        self.live = LiveSettings(Settings(), Overlay())

    def request(self, verb: str, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        if verb == control.GET:
            return control.get(self.live, arguments)
        if verb == control.RESET_KEYS:
            return asyncio.run(control.reset_keys(self.live))
        assert verb == control.SET
        return asyncio.run(control.put(self.live, arguments))


@pytest.fixture
def daemon() -> Daemon:
    return Daemon()


def run(daemon: Daemon, *words: str) -> int:
    parser = argparse.ArgumentParser()
    add_parsers(parser.add_subparsers(), daemon.request)
    arguments = parser.parse_args(words)
    code = arguments.handler(arguments)
    assert isinstance(code, int)
    return code


def test_a_good_file_is_ok(daemon: Daemon, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(daemon, "check-config", str(EXAMPLE)) == 0
    assert capsys.readouterr().out == f"{EXAMPLE}: ok\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[limits]\nuser_limit_a = 5", ["limits.user_limit_a = 5: allowed: a number from 6 to 80 A"]),
        ("[board]\nname = 'simm'", ["board.name = 'simm'", "did you mean 'sim'?"]),
        ("[board]\nname = 'sim'\nsupply_a = 1\n[store]\nfolder = 'x'", ["board.supply_a = 1", "store.folder = 'x'"]),
        ("[sim]\nspeedd = 3", ["sim.speedd = 3", "did you mean 'speed'?"]),
        (
            "[[meter]]\nname = 'a'\nmap = 'sdm360'",
            ["meter[0].map = 'sdm360': allowed: one of", "did you mean 'sdm630'?"],
        ),
        ("[[meter]]\nname = 'a'\nmap = '/nowhere/a.toml'", ["meter[0].map = '/nowhere/a.toml': allowed: a readable"]),
        ("x = ", ["not TOML", "line 1"]),
        ("[sim]\nhouse = 'absent.csv'", ["sim.house = 'absent.csv': allowed: a file that is there"]),
        ("[ocpp]\nca_file = '/nowhere/ca.pem'", ["ocpp.ca_file = '/nowhere/ca.pem': allowed: a file that is there"]),
        (
            ONE_CONNECTOR + "[[meter]]\nname = 'a'\nconnector = 2\n[[reader]]\nname = 'r'\nconnectors = [1, 2]\n",
            [
                "meter[0].connector = 2: allowed: a connector of the board: 1\n",
                "reader[0].connectors = 2: allowed: a connector of the board: 1\n",
            ],
        ),
    ],
)
def test_a_bad_file_is_told_with_exit_code_2(
    daemon: Daemon, tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, expected: list[str]
) -> None:
    path = tmp_path / "bad.toml"
    path.write_text(text)
    assert run(daemon, "check-config", str(path)) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert all(part in told.err for part in expected)
    assert all(line.startswith(f"{path}: ") for line in told.err.splitlines())


def test_an_absent_file_is_told(daemon: Daemon, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(daemon, "check-config", str(tmp_path / "absent.toml")) == 2
    assert "cannot be read: No such file" in capsys.readouterr().err


def test_a_combined_file_is_checked_in_all_its_parts(
    daemon: Daemon, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "all.toml"
    path.write_text(
        "[board]\nname = 'sim'\n[limits]\nuser_limit_a = 16\n[sim]\ntcp_port = 0\n"
        "[ocpp.keys]\nNumberOfConnectors = 2\n[web]\nlisten = ':80'\n"
    )
    assert run(daemon, "check-config", str(path)) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"{path}: note: web.listen: has no effect in this version",
        f"{path}: ok",
    ]


def test_a_reader_of_a_connector_without_meter_is_noted(
    daemon: Daemon, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "agent.toml"
    path.write_text("[[meter]]\nname = 'a'\n[[reader]]\nname = 'r'\nconnectors = [1, 2]\n")
    assert run(daemon, "check-config", str(path)) == 0
    told = capsys.readouterr().out.splitlines()
    assert told[:-1] == [
        f"{path}: note: reader[0].connectors: connector 2 has no session meter, so no session can start on it"
    ]


def test_the_keys_are_put_back_and_told(daemon: Daemon, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(daemon, "config", "reset-keys") == 0
    assert capsys.readouterr().out == "no key was changed\n"
    for name, value in (("ocpp.keys.LocalPreAuthorize", "true"), ("ocpp.keys.ResetRetries", "3")):
        assert run(daemon, "config", "set", name, value) == 0
    capsys.readouterr()
    assert run(daemon, "config", "reset-keys") == 0
    assert capsys.readouterr().out == "ocpp.keys.LocalPreAuthorize\nocpp.keys.ResetRetries\n"
    assert run(daemon, "config", "reset-keys", "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"reset": []}
    assert daemon.live.settings == Settings()


def test_the_schema_is_valid_and_takes_the_example(daemon: Daemon, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(daemon, "config", "schema") == 0
    schema = json.loads(capsys.readouterr().out)
    assert schema == json.loads(json.dumps(json_schema()))
    validator = jsonschema.validators.validator_for(schema)
    validator.check_schema(schema)
    example = tomllib.loads(EXAMPLE.read_text())
    validator(schema).validate(example)
    assert not validator(schema).is_valid({**example, "limits": {"user_limit_a": 5}})
    assert not validator(schema).is_valid({**example, "nonsense": {}})


def test_get_and_set(daemon: Daemon, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(daemon, "config", "set", "limits.user_limit_a", "16") == 0
    assert capsys.readouterr().out == "limits.user_limit_a = 16 (acts now)\n"
    assert run(daemon, "config", "get", "limits.user_limit_a") == 0
    assert capsys.readouterr().out == "16\n"
    assert run(daemon, "config", "get", "--json", "limits.user_limit_a") == 0
    assert json.loads(capsys.readouterr().out) == {"limits.user_limit_a": "16"}
    assert run(daemon, "config", "get") == 0
    assert "limits.user_limit_a = 16\n" in capsys.readouterr().out


def test_secrets_are_not_printed(daemon: Daemon, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(daemon, "config", "set", "--json", "ocpp.authorization_key", "geheim") == 0
    assert json.loads(capsys.readouterr().out)["value"] == "(hidden)"
    assert run(daemon, "config", "get") == 0
    assert "geheim" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("get", "limits.user_limit"), "did you mean 'limits.user_limit_a'?"),
        (("set", "limits.user_limit_a", "5"), "allowed: a number from 6 to 80 A"),
        (("set", "store.dir", "/x"), "allowed: a change in the file only"),
    ],
)
def test_refusals_reach_the_caller(daemon: Daemon, words: tuple[str, ...], expected: str) -> None:
    with pytest.raises(InvalidFieldError) as caught:
        run(daemon, "config", *words)
    assert expected in str(caught.value)
