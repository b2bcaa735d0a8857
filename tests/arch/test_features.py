"""docs/features.md: every id once, every file named exists, nothing claimed without a module and a test."""

import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.arch.source import AGENT, HARDWARE, ROOT

FEATURES = ROOT / "docs" / "features.md"
COUNTS = {
    "CHG": 15,
    "HW": 15,
    "LIM": 13,
    "SCH": 8,
    "GRP": 9,
    "OCPP": 5,
    "UI": 13,
    "NET": 2,
    "BT": 1,
    "PNC": 1,
    "DSP": 1,
}
IDS = [f"{group}-{number}" for group, count in COUNTS.items() for number in range(1, count + 1)] + ["FLT"]
STATES = {"done", "partly", "not yet"}
AGENT_FOLDERS = {path.name for path in AGENT.iterdir() if path.is_dir()}


@dataclass(frozen=True)
class Row:
    id: str
    state: str
    modules: tuple[str, ...]
    tests: tuple[str, ...]
    text: str


def rows() -> list[Row]:
    found = []
    for line in FEATURES.read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("|") and cells[0] not in {"id", "---"}:
            name, state, modules, tests, text = cells
            found.append(Row(name, state, named_files(modules), named_files(tests), text))
    return found


def named_files(cell: str) -> tuple[str, ...]:
    return tuple(re.findall(r"`([^`]+)`", cell))


def path_of(name: str) -> Path:
    """Resolve the short names the document introduces."""
    folder = name.partition("/")[0]
    if folder in {"src", "hal", "tests", "docs", "config"}:
        return ROOT / name
    return (AGENT if folder in AGENT_FOLDERS else HARDWARE) / name


def test_every_id_stands_there_once_and_in_order() -> None:
    assert [row.id for row in rows()] == IDS


@pytest.mark.parametrize("row", rows(), ids=lambda row: row.id)
def test_a_row_claims_nothing_without_a_module_and_a_test(row: Row) -> None:
    assert row.state in STATES
    if row.state == "not yet":
        assert row.modules == row.tests == ()
    else:
        assert row.modules
        assert row.tests
        assert row.text
    assert [name for name in (*row.modules, *row.tests) if not path_of(name).is_file()] == []
    assert all(name.startswith("tests/") for name in row.tests)
