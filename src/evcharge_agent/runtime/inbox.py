"""The only way into the core: post a fact, or ask and await the core's answer.

Siblings (OCPP, web, command socket) hold an `Inbox` and a read-only view; they never see each other or
the core's state.
"""

import asyncio
import itertools
from collections.abc import Callable

from evcharge_agent.core.effects import Answer
from evcharge_agent.core.events import Event, RequestId


class Inbox:
    """A FIFO of events with futures for those that somebody waits for."""

    def __init__(self) -> None:
        self._events: asyncio.Queue[Event] = asyncio.Queue()
        self._waiting: dict[RequestId, asyncio.Future[Answer]] = {}
        self._numbers = itertools.count(1)

    def post(self, event: Event) -> None:
        """Hand over a fact; from the loop's own thread only."""
        self._events.put_nowait(event)

    async def ask(self, build: Callable[[RequestId], Event]) -> Answer:
        """Post the event `build` makes for a fresh request and await its `Answer`."""
        request = RequestId(f"inbox-{next(self._numbers)}")
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting[request] = future
        try:
            self.post(build(request))
            return await future
        finally:
            del self._waiting[request]

    async def take(self) -> Event:
        """Next event, oldest first."""
        return await self._events.get()

    def settle(self, answer: Answer) -> None:
        """Deliver the core's answer; nobody waiting any more is not an error."""
        future = self._waiting.get(answer.request)
        if future is not None and not future.done():
            future.set_result(answer)
