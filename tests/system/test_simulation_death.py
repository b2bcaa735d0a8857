"""SIGKILL of `simulate` or `demo`: nothing of the simulation goes on."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from evcharge_agent.demo import tether

pytestmark = pytest.mark.system

ROOT = Path(__file__).parents[2]
STARTED_WITHIN_S = 30.0
DEAD_WITHIN_S = 2.0
PARTS = {"evcharge_agent", "evcharge_hal.guard", "evcharge_hal.sim"}
COMMANDS = (["simulate", "--config", str(ROOT / "config" / "simulation.example.toml")], ["demo", "--once"])


def parent_of(pid: int) -> int | None:
    """The parent's id; None when there is no such process, or nothing of it but its exit code."""
    try:
        state, parent = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[:2]
    except OSError:
        return None
    return None if state in ("Z", "X") else int(parent)


def parts(parent: int) -> dict[str, int]:
    """The processes of a simulation by module, once each runs the program itself."""
    found: dict[str, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and parent_of(int(entry.name)) == parent:
            words = (entry / "cmdline").read_bytes().decode().split("\0")
            if words[1] == "-m":
                found[words[2]] = int(entry.name)
    return found


def runtime_dir_of(pid: int) -> Path:
    """Which nobody is left to remove."""
    words = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    return Path(words[words.index("--runtime-dir") + 1])


def wait_for(is_true: Callable[[], bool], within_s: float, what: str) -> None:
    end_s = time.monotonic() + within_s
    while not is_true():
        assert time.monotonic() < end_s, f"waited {within_s} s in vain for {what}"
        time.sleep(0.02)


@contextmanager
def simulation(arguments: list[str], directory: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run the command; it is dead afterwards."""
    command = [sys.executable, "-m", "evcharge_agent", *arguments, "--state-dir", str(directory / "state")]
    with (directory / "log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("arguments", COMMANDS, ids=lambda arguments: arguments[0])
def test_a_killed_simulation_takes_its_processes_along(arguments: list[str], tmp_path: Path) -> None:
    with simulation(arguments, tmp_path) as process:
        wait_for(lambda: set(parts(process.pid)) == PARTS, STARTED_WITHIN_S, "world, guard and agent")
        children = parts(process.pid)
        runtime_dir = runtime_dir_of(children["evcharge_hal.sim"])
        # One that is stopped would not notice the end of a pipe, nor take a polite signal.
        os.kill(children["evcharge_hal.guard"], signal.SIGSTOP)
        process.kill()
        process.wait()
        try:
            wait_for(
                lambda: all(parent_of(pid) is None for pid in children.values()), DEAD_WITHIN_S, f"end of {children}"
            )
        finally:
            for pid in children.values():
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            shutil.rmtree(runtime_dir)


def test_who_comes_too_late_does_not_start(tmp_path: Path) -> None:
    """The parent died before the kernel could be asked: not this test's process is the parent, nor any other."""
    proof = tmp_path / "ran"
    command = [sys.executable, "-I", "-S", tether.__file__]
    program = [sys.executable, "-c", f"open({str(proof)!r}, 'w')"]
    assert subprocess.run([*command, "1", *program], check=False, timeout=10.0).returncode == tether.EXIT_ORPHAN
    assert not proof.exists()
    assert subprocess.run([*command, str(os.getpid()), *program], check=False, timeout=10.0).returncode == 0
    assert proof.exists()
