"""The units as systemd itself judges them, without running them."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.arch.source import ROOT

pytestmark = pytest.mark.system

UNITS = ("evcharge-guard.service", "evcharge-agent.service", "evcharge.target")
MOST_EXPOSURE = 1.5


@pytest.fixture
def units(tmp_path: Path) -> Path:
    """Copies whose programs exist on a machine that has nothing installed."""
    for name in UNITS:
        text = (ROOT / "systemd" / name).read_text()
        (tmp_path / name).write_text(re.sub(r"/usr/bin/evcharge-\w+", str(shutil.which("true")), text))
    return tmp_path


def test_systemd_understands_every_line(units: Path) -> None:
    done = subprocess.run(
        ["systemd-analyze", "verify", "--recursive-errors=no", *(str(units / name) for name in UNITS)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def exposure(unit: Path) -> float:
    command = ["systemd-analyze", "security", "--offline=true", "--no-pager", str(unit)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    found = re.search(r"Overall exposure level for \S+: ([\d.]+)", done.stdout)
    assert found, done.stdout
    return float(found[1])


@pytest.mark.parametrize("name", [name for name in UNITS if name.endswith(".service")])
def test_little_is_left_to_reach(units: Path, name: str) -> None:
    assert exposure(units / name) <= MOST_EXPOSURE


def test_the_measure_notices_a_line_that_is_missing(units: Path) -> None:
    unit = units / "evcharge-guard.service"
    bare = units / "bare.service"
    bare.write_text("\n".join(line for line in unit.read_text().splitlines() if not line.startswith("Protect")))
    assert exposure(bare) > MOST_EXPOSURE
