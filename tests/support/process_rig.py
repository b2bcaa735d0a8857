"""The charger as three real processes, with a real serial line, pins, Modbus servers and WebSocket."""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

from evcharge_agent.demo.central_system import CentralSystem
from evcharge_agent.demo.plan import make_plan
from evcharge_agent.demo.simulation import Simulation
from evcharge_agent.runtime.control import ControlError, control_request
from tests.support.rig import Json, Rig
from tests.support.rig_settings import split_tables

CONTROL_SOCKET = "agent.sock"


class ProcessRig(Rig):
    """See `running`."""

    poll_s = 0.02

    def __init__(self, simulation: Simulation, central: CentralSystem, agent_dir: Path) -> None:
        self._agent_dir = agent_dir
        self.simulation = simulation
        self.central = central
        self.restarts = simulation.restarts

    @classmethod
    @contextlib.asynccontextmanager
    async def running(
        cls, settings: Mapping[str, Any], state_dir: Path, url: str | None = None
    ) -> AsyncIterator["ProcessRig"]:
        """Start everything; the log of the processes is `state_dir`/log.

        `url` leads the charger to another central system than the rig's own.
        """
        central = CentralSystem()
        own_url = await central.listen()
        agent, board = split_tables(settings)
        tables = {**agent, "ocpp": {**agent["ocpp"], "url": url or own_url}}
        plan = make_plan(tables, board, {"sim": {"gpio_at_death": "retained"}})
        try:
            async with Simulation(plan, state_dir, state_dir / "log") as simulation:
                yield cls(simulation, central, state_dir / "agent")
        finally:
            await central.stop()

    async def do(self, verb: str, **fields: Any) -> None:
        await asyncio.to_thread(self.simulation.sim.perform, verb, **fields)

    async def world(self) -> Json:
        return await asyncio.to_thread(self.simulation.sim.state)

    async def ask(self, command: str, **fields: Any) -> Json | None:
        socket_path = self.simulation.runtime_dir / CONTROL_SOCKET
        try:
            return await asyncio.to_thread(control_request, socket_path, {"command": command, **fields})
        except ControlError:
            return None

    @property
    def agent_dir(self) -> Path:
        return self._agent_dir

    async def sleep(self, duration_s: float) -> None:
        await asyncio.sleep(duration_s)

    def now_s(self) -> float:
        return asyncio.get_running_loop().time()

    def pid(self, name: str) -> int:
        """Process id of `world`, `guard` or `agent` as it runs now; killed, guard and agent are started again."""
        return self.simulation.pid(name)

    async def kill(self, name: str) -> None:
        await self.simulation.hold_down(name)

    async def start(self, name: str) -> None:
        await self.simulation.bring_back(name)

    async def freeze(self, name: str) -> None:
        os.kill(self.simulation.pid(name), signal.SIGSTOP)

    async def thaw(self, name: str) -> None:
        os.kill(self.simulation.pid(name), signal.SIGCONT)

    async def cut_power(self) -> None:
        await self.simulation.cut_power()
