"""The size budget counts what it says."""

import ast
from pathlib import Path

from tests.arch.size_budget import file_problems, function_lengths, percentile_90


def test_a_function_is_counted_with_its_signature() -> None:
    tree = ast.parse("def f(\n    a,\n):\n    return a\n\nasync def g():\n    pass\n")
    assert function_lengths(tree) == {"f:1": 4, "g:6": 2}


def test_what_is_too_long_is_told(tmp_path: Path) -> None:
    path = tmp_path / "long.py"
    path.write_text("def f():\n" + "    x = 1\n" * 60 + "\n" * 340)
    assert file_problems(path, "long.py") == [
        "long.py: 401 lines, at most 400",
        "long.py: f has 61 lines, at most 60",
    ]


def test_what_fits_is_not(tmp_path: Path) -> None:
    path = tmp_path / "short.py"
    path.write_text("def f():\n" + "    x = 1\n" * 59 + "\n" * 340)
    assert file_problems(path, "short.py") == []


def test_nine_of_ten() -> None:
    assert percentile_90([1] * 9 + [100]) == 1
    assert percentile_90([1] * 8 + [100, 100]) == 100
    assert percentile_90([]) == 0
