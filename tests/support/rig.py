"""A whole charger as a scenario script sees it, whichever way it runs.

A scenario is written once against `Rig`. `MemoryRig` runs it with the real cores, drivers and services in one
process under virtual time; `ProcessRig` runs it with real processes, ptys and sockets. The script acts only as
drivers, cards, central systems and misfortune can.
"""

import abc
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from evcharge_agent.demo.central_system import CentralSystem

Json = Mapping[str, Any]

WITHIN_S = 30.0
CARD = "CARD-1"
# Small enough to be full within a scenario where it matters, large enough not to be elsewhere.
CAR = {"request": "charge", "soc_pct": 20.0, "battery_wh": 60_000.0, "current_a": 16.0, "phases": 3}


class Rig(abc.ABC):
    """One charger with its world and its central system."""

    central: CentralSystem
    poll_s: float
    """How closely `until_*` looks; times they return are this coarse."""
    restarts: dict[str, int]
    """How often `guard` and `agent` ended by themselves and were started again."""

    @abc.abstractmethod
    async def do(self, verb: str, **fields: Any) -> None:
        """Perform a verb of the simulator's control interface."""

    @abc.abstractmethod
    async def world(self) -> Json:
        """True state of the plant."""

    @abc.abstractmethod
    async def ask(self, command: str, **fields: Any) -> Json | None:
        """Ask the agent's local socket; None while no agent answers."""

    @abc.abstractmethod
    async def sleep(self, duration_s: float) -> None:
        """Let time pass."""

    @property
    @abc.abstractmethod
    def agent_dir(self) -> Path:
        """State directory of the agent."""

    @abc.abstractmethod
    def now_s(self) -> float:
        """Monotonic time of the scenario."""

    @abc.abstractmethod
    async def kill(self, name: str) -> None:
        """SIGKILL `guard` or `agent`; nobody restarts it."""

    @abc.abstractmethod
    async def start(self, name: str) -> None:
        """Start it again."""

    @abc.abstractmethod
    async def freeze(self, name: str) -> None:
        """SIGSTOP."""

    @abc.abstractmethod
    async def thaw(self, name: str) -> None:
        """SIGCONT."""

    @abc.abstractmethod
    async def cut_power(self) -> None:
        """Everything dies at once; what hardware and disk remember stays. Then the power comes back."""

    # --- what scripts are made of -------------------------------------------------------------------------

    async def at(self, connector: int = 1) -> Json:
        """True state of one connector."""
        found: Json = (await self.world())["connectors"][str(connector)]
        return found

    async def view(self, connector: int = 1) -> Json:
        """What the agent says of one connector; empty while it says nothing."""
        station = await self.ask("status")
        return next((at for at in (station or {}).get("connectors", []) if at["connector"] == connector), {})

    async def until_world(self, what: str, is_true: Callable[[Json], bool], within_s: float = WITHIN_S) -> float:
        """Wait for the plant at connector 1; return how many seconds it took."""
        return await self._until(what, self.at, is_true, within_s)

    async def until_state(self, state: str, connector: int = 1, within_s: float = WITHIN_S) -> float:
        """Wait for a connector state as the agent tells it."""
        return await self._until(
            f"state {state}", lambda: self.view(connector), lambda at: at.get("state") == state, within_s
        )

    async def until_view(self, what: str, is_true: Callable[[Json], bool], within_s: float = WITHIN_S) -> float:
        """Wait for something in the agent's view of connector 1; `is_true` is not asked while there is none."""
        return await self._until(what, self.view, lambda at: bool(at) and is_true(at), within_s)

    async def until_central(self, what: str, is_true: Callable[[], bool], within_s: float = WITHIN_S) -> float:
        """Wait for the central system to have been told something."""

        async def nothing() -> Json:
            return {}

        return await self._until(what, nothing, lambda _: is_true(), within_s)

    async def until_stopped(self, stops: int = 1, within_s: float = WITHIN_S) -> float:
        """Wait until the central system was told that many stops."""
        return await self.until_central(
            f"{stops} stops", lambda: len(self.central.of("StopTransaction")) >= stops, within_s
        )

    async def until_online(self) -> None:
        """Wait until the central system has accepted the charger and knows the connectors."""
        await self.until_central("online", lambda: "Available" in self.central.states(1))
        await self.until_state("Available")

    async def plug_and_charge(self, card: str = CARD) -> None:
        """Plug in, hold a card to the reader, wait until the car draws its full current."""
        await self.do("ev", connector=1, **CAR)
        await self.do("plug", connector=1)
        await self.until_state("Preparing")
        await self.do("swipe", id_tag=card, connectors=[1])
        await self.until_state("Charging")
        await self.until_world("full current", lambda at: at["current_a"]["l1"] > 15.0)

    async def _until(
        self, what: str, read: Callable[[], Any], is_true: Callable[[Json], bool], within_s: float
    ) -> float:
        began_s = self.now_s()
        while True:
            seen = await read()
            elapsed_s = self.now_s() - began_s
            if is_true(seen):
                return elapsed_s
            assert elapsed_s < within_s, f"waited {within_s} s in vain for {what}; last seen: {seen}"
            await self.sleep(self.poll_s)
