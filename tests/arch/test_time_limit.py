"""No test may hang the run."""

import subprocess
import sys
from pathlib import Path

CONFIGURATION = Path(__file__).parents[2] / "pyproject.toml"


def test_a_test_that_hangs_ends_the_run_and_says_where(tmp_path: Path) -> None:
    hanging = tmp_path / "test_hanging.py"
    hanging.write_text("import threading\ndef test_hang():\n    threading.Event().wait(60)\n")
    command = [sys.executable, "-m", "pytest", "-c", str(CONFIGURATION), "--rootdir", str(tmp_path)]
    command += ["-o", "faulthandler_timeout=0.2", "-n0", "--noconftest", str(hanging)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=50, check=False)
    assert ended.returncode == 1
    assert "in test_hang" in ended.stderr


def test_the_limit_holds_unless_told_otherwise(pytestconfig) -> None:
    assert 0.0 < float(pytestconfig.getini("faulthandler_timeout") or 0.0) <= 600.0
