"""A feature profile alone: its context, and a scripted core behind the inbox."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

from evcharge_agent.core.effects import Answer
from evcharge_agent.ocpp16.keys import RegistryConfiguration, station_of
from evcharge_agent.ocpp16.profile import Context
from evcharge_agent.runtime.clock import Clock
from evcharge_agent.runtime.inbox import Inbox
from evcharge_agent.settings.ocpp_keys import KeyRegistry
from evcharge_agent.settings.sections import Settings


class NoWriter:
    """Changes are not what is tested."""

    async def set_setting(self, name: str, value: str) -> None:
        raise AssertionError(name)

    async def clear_setting(self, name: str) -> bool:
        raise AssertionError(name)


class NoLine:
    """No call is made."""

    async def ready(self) -> None:
        await asyncio.Event().wait()

    async def call(self, payload: object, message_id: str | None = None) -> Any:
        raise AssertionError(payload)


class ProfileBench:
    """`context` for a profile; while `running`, `answer` stands for the core."""

    def __init__(self, answer: Callable[[Any], Answer | None], *, is_accepted: bool = True) -> None:
        settings = Settings()
        self.events: list[Any] = []
        self.inbox = Inbox()
        self._answer = answer
        configuration = RegistryConfiguration(KeyRegistry(settings, NoWriter()))
        self.context = Context(self.inbox, configuration, station_of(settings), Clock(), NoLine(), lambda: is_accepted)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Answer what the profile asks."""
        task = asyncio.create_task(self._take_events())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _take_events(self) -> None:
        while True:
            event = await self.inbox.take()
            self.events.append(event)
            answer = self._answer(event)
            if answer is not None:
                self.inbox.settle(answer)
