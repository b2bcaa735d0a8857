"""The source as the architecture tests read it: files and syntax trees."""

import ast
import functools
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
AGENT = ROOT / "src" / "evcharge_agent"
HARDWARE = ROOT / "hal" / "evcharge_hal"
TESTS = ROOT / "tests"

GUARD_SHELL = frozenset(
    {"__init__", "__main__", "channel_server", "event_log", "journal", "loop", "runtime", "statefile"}
)
"""Modules of the guard that may read clocks and do I/O; every other one is part of its pure core."""


def source_files() -> list[Path]:
    """All Python files that are shipped."""
    return sorted(path for root in (AGENT, HARDWARE) for path in root.rglob("*.py"))


def core_files() -> list[Path]:
    """The pure modules of both processes."""
    guard = [path for path in (HARDWARE / "guard").glob("*.py") if path.stem not in GUARD_SHELL]
    return sorted([*(AGENT / "core").rglob("*.py"), *guard])


def files_of_tests() -> list[Path]:
    """All Python files below tests/."""
    return sorted(TESTS.rglob("*.py"))


@functools.cache
def tree_of(path: Path) -> ast.Module:
    """The syntax tree of a file."""
    return ast.parse(path.read_text("utf-8"), str(path))


def nodes_of(path: Path) -> Iterator[ast.AST]:
    """Every node of a file's syntax tree."""
    return ast.walk(tree_of(path))


def place(path: Path, node: ast.AST) -> str:
    """Where something stands, for an assertion's text."""
    return f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 0)}"


def dotted_name(node: ast.AST) -> str:
    """`a.b.c` of an attribute chain; empty for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        owner = dotted_name(node.value)
        return f"{owner}.{node.attr}" if owner else ""
    return ""


def imported_modules(path: Path) -> set[str]:
    """Modules a file imports, anywhere in it."""
    found: set[str] = set()
    for node in nodes_of(path):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found
