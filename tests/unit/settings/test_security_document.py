"""docs/security.md: every configuration in it is one."""

import re
from pathlib import Path

import pytest

from evcharge_agent.cli import main
from evcharge_agent.ocpp16.security.ports import SecurityEvent

TEXT = (Path(__file__).parents[3] / "docs" / "security.md").read_text()
TABLES = re.findall(r"```toml\n(.*?)```", TEXT, re.DOTALL)


@pytest.mark.parametrize("table", TABLES, ids=range(len(TABLES)))
def test_every_configuration_fits(tmp_path: Path, table: str, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "agent.toml"
    file.write_text(table.replace("/etc/evcharge", str(tmp_path)))
    for name in re.findall(r"/etc/evcharge/([a-z.-]+)", table):
        (tmp_path / name).touch()
    assert main(["check-config", str(file)]) == 0, capsys.readouterr().err


def test_all_profiles_and_all_events_are_in_it() -> None:
    assert [re.findall(r"security_profile = ([0-9])", table) for table in TABLES] == [["1"], ["2"], ["3"], []]
    listed = ", ".join(re.findall(r"^\| ([A-Z][A-Za-z, ]+) \|", TEXT, re.MULTILINE)).split(", ")
    assert sorted(listed) == sorted(event.value for event in SecurityEvent)
