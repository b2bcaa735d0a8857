"""From the start of the agent to its first answer and to its accepted boot, beside a client that only boots."""

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import tomli_w

from bench.child import Child, ChildError
from bench.results import Latency, Results
from evcharge_agent.runtime.control import ControlError, control_request

_POLL_S = 0.005
_WITHIN_S = 20.0


def measure(log: Path, count: int, results: Results) -> None:
    """Start both in turn, each time as on an empty disk."""
    ready_s: list[float] = []
    booted_s: list[float] = []
    bare_s: list[float] = []
    with Child("bench.central", log=log) as central:
        url = central.ask("listen")["url"]
        for _ in range(count):
            bare_s.append(_start_bare(central, url, log))
            ready, booted = _start_agent(central, url, log)
            ready_s.append(ready)
            booted_s.append(booted)
    results.latencies += [
        Latency("agent started → answers `status`", "idle", ready_s, bare_s, "≤ 1000"),
        Latency("agent started → boot accepted", "idle", booted_s, bare_s),
    ]


def _start_bare(central: Child, url: str, log: Path) -> float:
    with log.open("ab") as output:
        began_s = time.time()
        subprocess.run([sys.executable, "-m", "bench.bare_client", url], check=True, stdout=output, stderr=output)
    return _answered_s(central, began_s)


def _start_agent(central: Child, url: str, log: Path) -> tuple[float, float]:
    folder = Path(tempfile.mkdtemp(prefix="evcb-", dir="/tmp"))
    config = folder / "agent.toml"
    config.write_text(tomli_w.dumps({"ocpp": {"url": url}, "station": {"serial": "BENCH-2"}}))
    options = ["--config", str(config), "--runtime-dir", str(folder), "--state-dir", str(folder / "state")]
    with log.open("ab") as output:
        began_s = time.time()
        agent = subprocess.Popen(
            [sys.executable, "-m", "evcharge_agent", "run", *options],
            stdout=output,
            stderr=output,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
    try:
        ready_s = _until_ready(folder / "agent.sock") - began_s
        return ready_s, _answered_s(central, began_s)
    finally:
        agent.terminate()
        agent.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _until_ready(path: Path) -> float:
    end_s = time.time() + _WITHIN_S
    while time.time() < end_s:
        with contextlib.suppress(ControlError):
            control_request(path, {"command": "status"})
            return time.time()
        time.sleep(_POLL_S)
    raise ChildError("the agent does not answer")


def _answered_s(central: Child, began_s: float) -> float:
    """How long after `began_s` the central system answered a boot."""
    end_s = time.time() + _WITHIN_S
    while time.time() < end_s:
        answers = [boot["answered"] for boot in central.ask("boots") if boot.get("answered", 0.0) > began_s]
        if answers:
            return float(answers[0] - began_s)
        time.sleep(_POLL_S)
    raise ChildError("nobody booted")
