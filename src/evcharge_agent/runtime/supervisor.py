"""Keeps the agent's long-running tasks alive, and ends them together."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

from evcharge_hal.contract.errors import EvchargeError

RETRY_FIRST_S = 0.5
RETRY_MOST_S = 30.0
STEADY_S = 60.0
"""A task that ran this long begins again with the first retry."""

_log = logging.getLogger(__name__)


class Supervisor:
    """Starts named tasks and starts a failed one again, later and later."""

    def __init__(self) -> None:
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._restarts = 0

    @property
    def restarts(self) -> int:
        """Failures since the start."""
        return self._restarts

    @property
    def names(self) -> tuple[str, ...]:
        """Tasks that run or wait for their next try."""
        return tuple(name for name, task in self._tasks.items() if not task.done())

    def start(self, name: str, make: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run `make()` until it returns; when it raises, run it again.

        Raises:
            ValueError: a task of that name runs already.
        """
        if name in self.names:
            raise ValueError(f"task {name} runs already")
        self._tasks[name] = asyncio.create_task(self._keep(name, make), name=name)

    async def stop(self) -> None:
        """Cancel all tasks, last started first, and wait until they have ended."""
        tasks = [task for task in reversed(self._tasks.values()) if not task.done()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _keep(self, name: str, make: Callable[[], Coroutine[Any, Any, None]]) -> None:
        loop = asyncio.get_running_loop()
        retry_s = RETRY_FIRST_S
        while True:
            began_s = loop.time()
            try:
                await make()
            except EvchargeError as error:
                _log.error("Task %s failed: %s", name, error)
            except Exception:  # noqa: BLE001 - whatever it is, it is logged and the task begins again
                _log.exception("Task %s failed", name)
            else:
                _log.info("Task %s ended", name)
                return
            self._restarts += 1
            if loop.time() - began_s >= STEADY_S:
                retry_s = RETRY_FIRST_S
            await asyncio.sleep(retry_s)
            retry_s = min(2.0 * retry_s, RETRY_MOST_S)
