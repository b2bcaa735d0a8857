"""Guard and agent as they run in a charger, wired to the stand-in instead of a board."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Self

import tomli_w

from bench import echo
from bench.child import Child, ChildError
from evcharge_agent.runtime.control import ControlError, control_request
from evcharge_hal.contract.boot import BOOT_ID_VARIABLE

CONNECTORS = (1, 2)
HIGHEST_A = 32.0
_POLL_S = 0.01


class WiredRig:
    """Stand-in, echo, central system, guard and agent. A context manager; the log of all is `log`."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self.folder = Path(tempfile.mkdtemp(prefix="evcb-", dir="/tmp"))
        self.state = Path(tempfile.mkdtemp(prefix="evcharge-bench-"))
        self._environment = {**os.environ, BOOT_ID_VARIABLE: str(uuid.uuid4()), "PYTHONUNBUFFERED": "1"}
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._guards = 0
        self.central = Child("bench.central", log=log)
        self.world = Child("bench.standin", str(self.folder), log=log)
        self._write_files(self.central.ask("listen"))

    def __enter__(self) -> Self:
        try:
            self._spawn("echo guard", "bench.echo", "guard", str(self.folder))
            self.until("the echo to listen", (self.folder / echo.GUARD_SOCKET).exists)
            self._spawn("echo agent", "bench.echo", "agent", str(self.folder))
            self.spawn_guard()
            self.spawn_agent()
            self.until("both to be there", lambda: self.view(1).get("state") == "Available")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for process in reversed(self._processes.values()):
            process.terminate()
        for process in self._processes.values():
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(5.0)
            process.kill()
            process.wait()
        self.world.close()
        self.central.close()
        shutil.rmtree(self.folder, ignore_errors=True)
        shutil.rmtree(self.state, ignore_errors=True)

    # --- processes --------------------------------------------------------------------------------------------

    def pid(self, name: str) -> int:
        """Process id of `guard` or `agent`."""
        return self._processes[name].pid

    def spawn_guard(self) -> float:
        """Start a guard that remembers nothing, so that no closing of before counts; return when."""
        self._guards += 1
        options = ("--board", str(self.folder / "board.toml"), "--state-dir", str(self.state / f"guard{self._guards}"))
        return self._spawn("guard", "evcharge_hal.guard", "run", *options, "--runtime-dir", str(self.folder))

    def spawn_agent(self) -> float:
        """Start the agent on what it remembers; return when."""
        options = ("--config", str(self.folder / "agent.toml"), "--state-dir", str(self.state / "agent"))
        return self._spawn("agent", "evcharge_agent", "run", *options, "--runtime-dir", str(self.folder))

    def kill(self, name: str) -> float:
        """SIGKILL; return when."""
        killed_s = time.monotonic()
        os.kill(self.pid(name), signal.SIGKILL)
        self._processes[name].wait()
        return killed_s

    def _spawn(self, name: str, module: str, *arguments: str) -> float:
        with self._log.open("ab") as output:
            spawned_s = time.monotonic()
            self._processes[name] = subprocess.Popen(
                [sys.executable, "-m", module, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=self._environment,
            )
        return spawned_s

    # --- the agent's side -------------------------------------------------------------------------------------

    def control(self, command: str, **fields: Any) -> dict[str, Any]:
        """Ask the agent's local socket."""
        return control_request(self.folder / "agent.sock", {"command": command, **fields})

    def view(self, connector: int) -> dict[str, Any]:
        """What the agent says of a connector; empty while it says nothing."""
        try:
            station = self.control("status")
        except ControlError:
            return {}
        return next((at for at in station["connectors"] if at["connector"] == connector), {})

    def until(self, what: str, is_true: Callable[[], bool], within_s: float = 30.0) -> float:
        """Wait; return when it was true, to 10 ms."""
        end_s = time.monotonic() + within_s
        while not is_true():
            if time.monotonic() > end_s:
                raise ChildError(f"waited {within_s:.0f} s in vain for {what}; the log may say why")
            time.sleep(_POLL_S)
        return time.monotonic()

    def set_limit(self, limit_a: float) -> float:
        """`config set limits.user_limit_a`; return when it was asked for."""
        asked_s = time.monotonic()
        self.control("config.set", name="limits.user_limit_a", value=f"{limit_a:.1f}")
        return asked_s

    # --- charging ---------------------------------------------------------------------------------------------

    def charge(self) -> None:
        """Plug a car in at each connector, start both, wait for both contactors."""
        self.set_limit(HIGHEST_A)
        for connector in CONNECTORS:
            self.world.ask("plug", connector=connector, is_plugged=True)
        for connector in CONNECTORS:
            self.until("Preparing", partial(self._is, connector, "Preparing"))
            self.control("start", connector=connector, id_tag=f"BENCH{connector}")
        self.wait_closed()

    def wait_closed(self) -> None:
        """Both contactors are closed."""
        self.until("closed contactors", lambda: self.world.ask("health")["closed"] == list(CONNECTORS), 40.0)

    def leave(self) -> None:
        """Both cars go, and what a person has to acknowledge is acknowledged."""
        for connector in CONNECTORS:
            self.world.ask("plug", connector=connector, is_plugged=False)
        for connector in CONNECTORS:
            self.until("Available", partial(self._is_available, connector))

    def _is(self, connector: int, state: str) -> bool:
        return bool(self.view(connector).get("state") == state)

    def _is_available(self, connector: int) -> bool:
        view = self.view(connector)
        if "rcm_trip" in str(view.get("faults")):
            with contextlib.suppress(ControlError):
                self.control("clear-fault", connector=connector, code="rcm_trip")
        return view.get("state") == "Available"

    def _write_files(self, doors: dict[str, Any]) -> None:
        meters = [
            {"name": f"meter-{at}", "connector": at, "map": "sdm630", "port": doors["meter_port"]} for at in CONNECTORS
        ]
        agent = {
            "board": {"name": "sim"},
            "station": {"serial": "BENCH-1"},
            "ocpp": {"url": doors["url"], "keys": {"MeterValueSampleInterval": 1}},
            "limits": {"installer_limit_a": HIGHEST_A * len(CONNECTORS)},
            "meter": meters,
        }
        (self.folder / "agent.toml").write_text(tomli_w.dumps(agent))
        (self.folder / "board.toml").write_text(tomli_w.dumps({"board": {"name": "sim"}}))
