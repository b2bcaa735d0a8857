"""One scenario for each title, its id in the name of the test; what is still missing stands here."""

import ast
import re
from pathlib import Path

from tests.octt.titles import TITLES

HERE = Path(__file__).parent
NAME = re.compile(r"test_tc_(\d{3}(?:_\d)?)_[a-z]")

MISSING: frozenset[str] = frozenset()
"""Ids without a scenario. It only ever shrinks."""


def written() -> list[str]:
    """Ids in the names of the tests of this package, as often as they occur."""
    found = []
    for path in sorted(HERE.glob("test_*.py")):
        for node in ast.parse(path.read_text("utf-8")).body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                match = NAME.match(node.name)
                if match is not None:
                    found.append(match[1])
    return found


def test_the_list_has_107_cases() -> None:
    assert len(TITLES) == 107


def test_every_id_is_written_once_or_missing() -> None:
    ids = written()
    assert sorted(set(ids)) == sorted(ids), "an id stands twice"
    assert set(ids) <= set(TITLES), "an id nobody knows"
    assert set(ids) | MISSING == set(TITLES), "an id is neither written nor missing"
    assert not set(ids) & MISSING, "it is written: take it out of MISSING"
