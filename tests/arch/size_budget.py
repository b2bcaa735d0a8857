"""The size budget: `python -m tests.arch.size_budget`; exit code 1 when something has outgrown it.

Files of at most 400 lines, functions of at most 60, nine of ten functions of at most 30. They are signs,
not goals: a table of rows is fine, so tables are exempt by name, with the reason.
"""

import ast
import sys
from pathlib import Path

from tests.arch.source import ROOT, source_files, tree_of

MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 60
MAX_P90_LINES = 30

EXEMPT_FILES: dict[str, str] = {}
"""Path -> reason. Only tables."""

EXEMPT_FUNCTIONS: dict[str, str] = {}
"""`path:function` -> reason."""


def function_lengths(tree: ast.Module) -> dict[str, int]:
    """Lines of each function, with its signature and docstring."""
    return {
        f"{node.name}:{node.lineno}": (node.end_lineno or node.lineno) - node.lineno + 1
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }


def file_problems(path: Path, name: str) -> list[str]:
    """What is too long in one file."""
    found = []
    lines = len(path.read_text("utf-8").splitlines())
    if lines > MAX_FILE_LINES and name not in EXEMPT_FILES:
        found.append(f"{name}: {lines} lines, at most {MAX_FILE_LINES}")
    for function, length in function_lengths(tree_of(path)).items():
        short = function.partition(":")[0]
        if length > MAX_FUNCTION_LINES and f"{name}:{short}" not in EXEMPT_FUNCTIONS:
            found.append(f"{name}: {short} has {length} lines, at most {MAX_FUNCTION_LINES}")
    return found


def percentile_90(lengths: list[int]) -> int:
    """The length nine of ten functions do not exceed."""
    return sorted(lengths)[max(0, len(lengths) * 9 // 10 - 1)] if lengths else 0


def main() -> int:
    """Print what is too long and how the functions are spread."""
    files = source_files()
    problems = [problem for path in files for problem in file_problems(path, str(path.relative_to(ROOT)))]
    lengths = [length for path in files for length in function_lengths(tree_of(path)).values()]
    p90 = percentile_90(lengths)
    if p90 > MAX_P90_LINES:
        problems.append(f"nine of ten functions have up to {p90} lines, at most {MAX_P90_LINES}")
    for name, reason in (EXEMPT_FILES | EXEMPT_FUNCTIONS).items():
        if not (ROOT / name.partition(":")[0]).exists():
            problems.append(f"{name}: exempt ({reason}) and gone")
    sys.stdout.write("".join(f"{problem}\n" for problem in problems))
    sys.stdout.write(f"size budget: {len(files)} files, {len(lengths)} functions, p90 {p90} lines\n")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
