"""`central.js` as a test holds it: what the charger called, in order, and calls of our own."""

import asyncio
import contextlib
import itertools
import json
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ANSWER_WITHIN_S = 15.0


class NodeCentral:
    """See `running`."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Mapping[str, Any]]] = {}
        self._news = asyncio.Condition()
        self.events: list[Mapping[str, Any]] = []

    @classmethod
    @contextlib.asynccontextmanager
    async def running(cls) -> AsyncIterator["NodeCentral"]:
        """Start it; needs `npm ci` in this directory."""
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec("node", "central.js", stdin=pipe, stdout=pipe, cwd=HERE)
        central = cls(process)
        listening = asyncio.create_task(central._listen())
        try:
            yield central
        finally:
            if process.stdin is not None:
                process.stdin.close()
            await process.wait()
            await listening

    async def url(self) -> str:
        """Address to connect to."""
        listening = await self.until(lambda event: event["kind"] == "listening")
        return f"ws://127.0.0.1:{listening['port']}/ocpp"

    def calls(self, method: str) -> list[Mapping[str, Any]]:
        """Payloads of the charger's calls of one action, in order."""
        return [one["params"] for one in self.events if one["kind"] == "call" and one["method"] == method]

    @property
    def violations(self) -> list[str]:
        """What broke a schema, by either side."""
        return [one["error"] for one in self.events if one["kind"] == "strict"]

    async def call(self, method: str, **params: Any) -> Mapping[str, Any]:
        """Call the charger; returns {"result": …} or {"error": …}."""
        number = next(self._numbers)
        self._waiting[number] = asyncio.get_running_loop().create_future()
        assert self._process.stdin is not None
        line = json.dumps({"id": number, "method": method, "params": params})
        self._process.stdin.write(line.encode() + b"\n")
        async with asyncio.timeout(ANSWER_WITHIN_S):
            return await self._waiting[number]

    async def until(
        self, is_it: Callable[[Mapping[str, Any]], bool], within_s: float = 30.0, after: int = 0
    ) -> Mapping[str, Any]:
        """The first event from number `after` on that `is_it`."""
        seen = after
        async with asyncio.timeout(within_s), self._news:
            while True:
                for event in self.events[seen:]:
                    if is_it(event):
                        return event
                seen = len(self.events)
                await self._news.wait()

    async def until_called(
        self, method: str, within_s: float = 30.0, after: int = 0, **params: Any
    ) -> Mapping[str, Any]:
        """Payload of the first such call."""

        def is_it(event: Mapping[str, Any]) -> bool:
            return event["kind"] == "call" and event["method"] == method and params.items() <= event["params"].items()

        payload: Mapping[str, Any] = (await self.until(is_it, within_s, after))["params"]
        return payload

    async def _listen(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            event = json.loads(line)
            if event["kind"] == "answer":
                self._waiting.pop(event.pop("id")).set_result(event)
            async with self._news:
                self.events.append(event)
                self._news.notify_all()
