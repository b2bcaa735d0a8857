"""World, guard and agent as one process group in the foreground (`evcharge-agent simulate`).

The three are the very programs the services run. This module only gives each its part of one combined
file, waits for the world, and restarts an exited guard or agent as systemd would. They die with the process that
started them, however it ends (`tether`). Everything that lasts is under one state directory; sockets live in a short runtime directory because unix socket paths are limited
to 107 bytes.
"""

import asyncio
import contextlib
import os
import shutil
import sys
import tempfile
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import tomli_w

from evcharge_agent.demo import tether
from evcharge_agent.runtime.paths import forget, point_to
from evcharge_hal.contract.boot import BOOT_ID_VARIABLE
from evcharge_hal.contract.errors import EvchargeError
from evcharge_hal.sim.client import SimClient, SimError

WORLD_READY_WITHIN_S = 20.0
STOP_WITHIN_S = 8.0
RESTART_AFTER_S = 0.5
"""Pause before an exited guard or agent is started again; the units use the same value."""

MODULES = {
    "world": "evcharge_hal.sim",
    "guard": "evcharge_hal.guard",
    "agent": "evcharge_agent",
}


class SimulationError(EvchargeError):
    """The simulation could not be started; the text says which part and why."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The tables each process gets, split from one combined file."""

    agent: Mapping[str, Any]
    board: Mapping[str, Any]
    sim: Mapping[str, Any]


class Simulation:
    """Three child processes and the files they need.

    Use as an async context manager: leaving it stops agent, guard and world in that order.
    """

    def __init__(self, plan: Plan, state_dir: Path, log_file: Path | None = None) -> None:
        self._plan = plan
        self._state_dir = state_dir
        self._log_file = log_file
        self.runtime_dir = Path(tempfile.mkdtemp(prefix="evc-", dir="/tmp"))
        self._environment = {**os.environ, BOOT_ID_VARIABLE: str(uuid.uuid4()), "PYTHONUNBUFFERED": "1"}
        self._processes: dict[str, asyncio.subprocess.Process] = {}
        self._keepers: dict[str, asyncio.Task[None]] = {}
        self.restarts: dict[str, int] = {"guard": 0, "agent": 0}
        self.sim = SimClient(self.runtime_dir / "sim.sock")

    async def __aenter__(self) -> Self:
        try:
            await self._start()
        except BaseException:
            await self._stop()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stop()

    def pid(self, name: str) -> int:
        """Process id of `world`, `guard` or `agent` as it runs now."""
        return self._processes[name].pid

    async def hold_down(self, name: str) -> None:
        """SIGKILL `guard` or `agent` and do not restart it until `bring_back`."""
        keeper = self._keepers.pop(name)
        keeper.cancel()
        await asyncio.gather(keeper, return_exceptions=True)
        process = self._processes[name]
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()

    async def bring_back(self, name: str) -> None:
        """Start a process that was held down."""
        await self._spawn(name)
        self._keep_up(name)

    async def cut_power(self) -> None:
        """Kill all three at once, then let the power come back: a new boot on the same lasting data."""
        for keeper in self._keepers.values():
            keeper.cancel()
        await asyncio.gather(*self._keepers.values(), return_exceptions=True)
        self._keepers.clear()
        for process in self._processes.values():
            with contextlib.suppress(ProcessLookupError):
                process.kill()
        for process in self._processes.values():
            await process.wait()
        self._environment[BOOT_ID_VARIABLE] = str(uuid.uuid4())
        await self._power_on()

    async def wait(self) -> None:
        """Return when the world has ended; guard and agent are restarted until then."""
        code = await self._processes["world"].wait()
        raise SimulationError(f"the simulated world ended with exit code {code}")

    async def _start(self) -> None:
        for name in MODULES:
            (self._state_dir / name).mkdir(parents=True, exist_ok=True)
        self._write("sim.toml", {**self._plan.board, **self._plan.sim})
        self._write("board.toml", self._plan.board)
        await self._power_on()
        point_to(self.runtime_dir)

    async def _power_on(self) -> None:
        await self._spawn("world")
        ports = await self._world_ready()
        # The agent is told which board it is: read-only OCPP keys may be given on the simulated one only.
        self._write("agent.toml", {**_with_meter_ports(self._plan.agent, ports), "board": self._plan.board["board"]})
        for name in ("guard", "agent"):
            await self.bring_back(name)

    async def _world_ready(self) -> Mapping[str, int]:
        """Wait until the world answers; return the port of each meter."""
        deadline = asyncio.get_running_loop().time() + WORLD_READY_WITHIN_S
        while True:
            if self._processes["world"].returncode is not None:
                raise SimulationError("the simulated world ended at start; its message is above")
            with contextlib.suppress(SimError, OSError):
                health = await asyncio.to_thread(self.sim.health)
                return {str(name): int(port) for name, port in health["meters"].items()}
            if asyncio.get_running_loop().time() > deadline:
                raise SimulationError(f"the simulated world was not ready within {WORLD_READY_WITHIN_S:.0f} s")
            await asyncio.sleep(0.05)

    def _keep_up(self, name: str) -> None:
        self._keepers[name] = asyncio.create_task(self._keep(name), name=f"keep {name}")

    async def _keep(self, name: str) -> None:
        while True:
            await self._processes[name].wait()
            self.restarts[name] += 1
            await asyncio.sleep(RESTART_AFTER_S)
            await self._spawn(name)

    async def _spawn(self, name: str) -> None:
        config = {
            "world": ("--config", "sim.toml"),
            "guard": ("--board", "board.toml"),
            "agent": ("--config", "agent.toml"),
        }
        option, file = config[name]
        command = [sys.executable, "-I", "-S", tether.__file__, str(os.getpid())]
        command += [sys.executable, "-m", MODULES[name], "run", option, str(self.runtime_dir / file)]
        command += ["--runtime-dir", str(self.runtime_dir), "--state-dir", str(self._state_dir / name)]
        with contextlib.ExitStack() as stack:
            output = stack.enter_context(self._log_file.open("ab")) if self._log_file else None
            self._processes[name] = await asyncio.create_subprocess_exec(
                *command, env=self._environment, stdin=asyncio.subprocess.DEVNULL, stdout=output, stderr=output
            )

    async def _stop(self) -> None:
        for keeper in self._keepers.values():
            keeper.cancel()
        await asyncio.gather(*self._keepers.values(), return_exceptions=True)
        for name in ("agent", "guard", "world"):
            if name in self._processes:
                await _end(self._processes[name])
        forget(self.runtime_dir)
        shutil.rmtree(self.runtime_dir, ignore_errors=True)

    def _write(self, name: str, tables: Mapping[str, Any]) -> None:
        path = self.runtime_dir / name
        path.write_text(tomli_w.dumps(dict(tables)))
        path.chmod(0o600)


async def _end(process: asyncio.subprocess.Process) -> None:
    """Ask a process to stop; insist after a while."""
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        await asyncio.wait_for(process.wait(), STOP_WITHIN_S)
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def _with_meter_ports(agent: Mapping[str, Any], ports: Mapping[str, int]) -> dict[str, Any]:
    """Fill in the port of each meter that the world picked free."""
    tables = dict(agent)
    tables["meter"] = [
        {**meter, "host": "127.0.0.1", "port": ports[meter["name"]]} if meter.get("name") in ports else dict(meter)
        for meter in agent.get("meter", [])
    ]
    return tables
