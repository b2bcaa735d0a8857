"""What the service manager is told of the agent: that it is ready, how it is, and that it still decides.

READY does not wait for the central system: a charger starts offline. The watchdog's beat hangs on the core's turns,
not on a timer of its own: an agent whose loop answers while its core does not is as good as dead.
"""

import asyncio
from collections.abc import Callable

from evcharge_agent.core.view import ConnectorView, StationView
from evcharge_agent.runtime.snapshots import SnapshotHub
from evcharge_hal.host.notify import Notifier

FIRST_CONTACT_S = 0.5
"""How long READY waits for the guard's first word; the guard answers within milliseconds if it is there at all."""


class ServiceReporter:
    """Speaks to the service manager until cancelled."""

    def __init__(
        self,
        notifier: Notifier,
        snapshots: SnapshotHub[StationView],
        turns: Callable[[], int],
        probe: Callable[[], None],
    ) -> None:
        """`turns` counts what the core has taken; `probe` gives it something to take, for an idle core has no turns."""
        self._notifier = notifier
        self._snapshots = snapshots
        self._turns = turns
        self._probe = probe

    async def run(self) -> None:
        """Say ready, then status and beats."""
        await self._first_contact()
        told = status_line(self._snapshots.latest)
        self._notifier.ready(told)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._follow_status(told))
            tasks.create_task(self._beat())

    async def _first_contact(self) -> None:
        try:
            async with asyncio.timeout(FIRST_CONTACT_S):
                async for view in self._snapshots.follow():
                    if view.is_guard_connected:
                        return
        except TimeoutError:
            return  # The guard is away; the status says so.

    async def _follow_status(self, told: str) -> None:
        async for view in self._snapshots.follow():
            line = status_line(view)
            if line != told:
                told = line
                self._notifier.status(line)

    async def _beat(self) -> None:
        every_s = self._notifier.beat_every_s
        while every_s is not None:
            before = self._turns()
            self._probe()
            await asyncio.sleep(every_s)
            if self._turns() > before:
                self._notifier.beat()


def status_line(view: StationView) -> str:
    """One line for `systemctl status`: each connector, then what is amiss."""
    parts = [_connector_text(connector) for connector in view.connectors] or ["no connector known yet"]
    if not view.is_guard_connected:
        parts.append("guard lost")
    if view.is_central_system_enabled and not view.is_central_system_connected:
        parts.append("central system offline")
    return "; ".join(parts)


def _connector_text(connector: ConnectorView) -> str:
    is_offered = connector.is_permitted and connector.offer_a > 0.0 and not connector.faults
    offer = f" {connector.offer_a:.1f} A" if is_offered else ""
    faults = "".join(f", {fault.code.value}" for fault in connector.faults)
    return f"{connector.connector}: {connector.state.value}{offer}{faults}"
