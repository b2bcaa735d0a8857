"""docs/safety.md names what exists: invariants, tests and planted bugs."""

import re
from pathlib import Path

import pytest

from tests.property.test_guard_invariants import BUGS

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "safety.md").read_text()
SOURCES = "".join(path.read_text() for path in (ROOT / "tests").rglob("*.py") if path.name != Path(__file__).name)


def test_every_planted_bug_stands_in_the_table() -> None:
    assert set(re.findall(r"`(inv_\w+)`", TEXT)) == set(BUGS)


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`(test_\w+|guard_\w+_while_charging)`", TEXT))))
def test_every_test_named_exists(name: str) -> None:
    assert f"def {name}(" in SOURCES


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`((?:hal|tests|src)/[\w/.-]+)", TEXT))))
def test_every_file_named_exists(name: str) -> None:
    assert (ROOT / name).exists()
