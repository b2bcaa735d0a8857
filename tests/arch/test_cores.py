"""Decisions are pure (DESIGN D3): no clock, chance, logger, I/O or waiting in a core of either process."""

import ast
from pathlib import Path

import pytest

from tests.arch.source import (
    GUARD_SHELL,
    HARDWARE,
    ROOT,
    core_files,
    dotted_name,
    imported_modules,
    nodes_of,
    place,
)

IMPURE_MODULES = frozenset(
    "asyncio concurrent datetime gpiozero http io logging multiprocessing ocpp os pathlib pydantic pymodbus queue random"
    " secrets selectors serial shutil signal socket sqlite3 ssl structlog subprocess tempfile threading time urllib uuid"
    " websockets".split()
)
IMPURE_CALLS = frozenset({"open", "print", "input", "breakpoint", "exec", "eval", "globals", "__import__"})


@pytest.mark.parametrize("path", core_files(), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_core_has_no_clock_chance_io_or_waiting(path: Path) -> None:
    impure = {name for name in imported_modules(path) if name.partition(".")[0] in IMPURE_MODULES}
    assert not impure
    found = [place(path, node) for node in nodes_of(path) if is_impure(node)]
    assert not found


def is_impure(node: ast.AST) -> bool:
    if isinstance(node, ast.AsyncFunctionDef | ast.Await | ast.AsyncFor | ast.AsyncWith | ast.Global | ast.Nonlocal):
        return True
    return isinstance(node, ast.Call) and dotted_name(node.func) in IMPURE_CALLS


@pytest.mark.parametrize("text", ["async def f(): ...", "open('x')", "print(1)", "def f():\n    global x", "eval('1')"])
def test_impurity_is_recognised(text: str) -> None:
    assert any(is_impure(node) for node in ast.walk(ast.parse(text)))


def test_the_list_of_the_guards_shell_names_modules_that_are_there() -> None:
    assert {path.stem for path in (HARDWARE / "guard").glob("*.py")} >= GUARD_SHELL


def test_there_are_cores_to_look_at() -> None:
    names = {str(path.relative_to(ROOT)) for path in core_files()}
    assert {"src/evcharge_agent/core/session.py", "hal/evcharge_hal/guard/sequence.py"} <= names
