"""A charge point without a charger: our OCPP side, or the `ocpp` library's bare one, in a process of its own."""

import asyncio
import json
import os
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from ocpp.routing import on
from ocpp.v16 import ChargePoint, call, call_result
from ocpp.v16.enums import Action, Reason
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from bench.proc import read_memory_mb
from evcharge_agent.core.facts import (
    IdTag,
    Instant,
    StopReason,
    TransactionKey,
    TransactionStart,
    TransactionStop,
)
from evcharge_agent.ocpp16.keys import RegistryConfiguration, station_of
from evcharge_agent.ocpp16.service import OcppService
from evcharge_agent.ocpp16.websocket import WebSocketConnector
from evcharge_agent.runtime.clock import Clock
from evcharge_agent.runtime.inbox import Inbox
from evcharge_agent.runtime.logs import configure_logging
from evcharge_agent.settings.ocpp_keys import KeyRegistry
from evcharge_agent.settings.sections import Settings
from evcharge_agent.store.store import Store
from evcharge_hal.contract.errors import EvchargeError
from evcharge_hal.contract.units import WattHours

ONLINE_WITHIN_S = 20.0


class Talker(Protocol):
    """What is measured."""

    async def queue(self, sessions: int) -> None:
        """Have this many whole sessions waiting, while there is no connection."""
        ...

    async def connect(self, url: str) -> None:
        """Connect and be accepted."""
        ...

    async def call(self, payload: object) -> object:
        """Make one call and wait for its answer."""
        ...

    async def drained(self) -> None:
        """Return once everything that waited was delivered and answered."""
        ...

    async def close(self) -> None:
        """End it."""
        ...


class Ours:
    """`OcppService` with a store on the disk and a core that is not asked."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="evcharge-bench-", dir="/var/tmp"))
        self._store = Store.open(self._folder, boot_id="bench")
        self._clock = Clock()
        self._inbox = Inbox()
        self._tasks: list[asyncio.Task[None]] = []
        self._service: OcppService | None = None

    async def queue(self, sessions: int) -> None:
        for number in range(sessions):
            key = TransactionKey(f"bench-{number}")
            await self._store.commit_start(
                TransactionStart(key, 1, IdTag("CARD"), WattHours(number), self._now(), f"plug-{number}")
            )
            await self._store.commit_stop(
                TransactionStop(key, WattHours(number + 1), self._now(), StopReason.EV_DISCONNECTED)
            )

    async def connect(self, url: str) -> None:
        settings = Settings.model_validate({"ocpp": {"url": url, "identity": "OURS"}, "station": {"serial": "BENCH"}})
        registry = KeyRegistry(settings, self._store, lambda _: None, lambda: 2)
        configuration = RegistryConfiguration(registry)
        self._service = OcppService(
            WebSocketConnector(configuration, settings.identity),
            self._store,
            self._inbox,
            self._clock,
            configuration,
            station_of(settings),
            random.random,
        )
        self._tasks = [asyncio.create_task(self._service.run()), asyncio.create_task(self._forget_events())]
        async with asyncio.timeout(ONLINE_WITHIN_S):
            await self._service.ready()

    async def call(self, payload: object) -> object:
        return None if self._service is None else await self._service.call(payload)

    async def drained(self) -> None:
        while self._store.outbox_size():  # noqa: ASYNC110 - the store has no event for it
            await asyncio.sleep(0.002)

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._store.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    async def _forget_events(self) -> None:
        while True:
            await self._inbox.take()

    def _now(self) -> Instant:
        return self._clock.now()


class BareChargePoint(ChargePoint):
    """The library's, with one handler and as many keys as ours has."""

    @on(Action.get_configuration)  # type: ignore[untyped-decorator]
    def on_get_configuration(self, key: Sequence[str] = (), **_: Any) -> call_result.GetConfiguration:
        names = key or [f"Key{number}" for number in range(60)]
        return call_result.GetConfiguration(
            configuration_key=[{"key": name, "readonly": False, "value": "1"} for name in names]
        )


class Bare:
    """The library over the same WebSocket client; what waits, waits in a list."""

    def __init__(self) -> None:
        self._socket: ClientConnection | None = None
        self._point: BareChargePoint | None = None
        self._route: asyncio.Task[None] | None = None
        self._waiting: list[object] = []

    async def queue(self, sessions: int) -> None:
        stamp = "2026-01-01T00:00:00Z"
        for number in range(sessions):
            self._waiting += [
                call.StartTransaction(connector_id=1, id_tag="CARD", meter_start=number, timestamp=stamp),
                call.StopTransaction(
                    meter_stop=number + 1, timestamp=stamp, transaction_id=number + 1, reason=Reason.ev_disconnected
                ),
            ]

    async def connect(self, url: str) -> None:
        self._socket = await connect(f"{url}/BARE", subprotocols=[Subprotocol("ocpp1.6")], compression=None)
        self._point = BareChargePoint("BARE", self._socket)  # type: ignore[no-untyped-call]
        self._route = asyncio.create_task(self._point.start())  # type: ignore[no-untyped-call]
        await self.call(call.BootNotification(charge_point_model="bare", charge_point_vendor="bench"))

    async def call(self, payload: object) -> object:
        return None if self._point is None else await self._point.call(payload)  # type: ignore[no-untyped-call]

    async def drained(self) -> None:
        for payload in self._waiting:
            await self.call(payload)
        self._waiting.clear()

    async def close(self) -> None:
        if self._route is not None:
            self._route.cancel()
        if self._socket is not None:
            await self._socket.close()


class Desk:
    """Does what stdin says."""

    def __init__(self, talker: Talker) -> None:
        self._talker = talker

    async def do_queue(self, sessions: int) -> dict[str, float]:
        """Queue sessions and say what that took of memory."""
        before_mb, _ = read_memory_mb(os.getpid())
        await self._talker.queue(sessions)
        after_mb, _ = read_memory_mb(os.getpid())
        return {"before_mb": before_mb, "after_mb": after_mb}

    async def do_connect(self, url: str) -> dict[str, float]:
        """Connect, and say how long what was queued took."""
        await self._talker.connect(url)
        began_s = time.perf_counter()
        await self._talker.drained()
        return {"drained_s": time.perf_counter() - began_s}

    async def do_call(self, count: int) -> dict[str, float]:
        """Make calls, one after another."""
        began_s = time.perf_counter()
        for _ in range(count):
            await self._talker.call(call.Heartbeat())
        return {"took_s": time.perf_counter() - began_s}

    async def do_close(self) -> dict[str, float]:
        """End."""
        await self._talker.close()
        return {}


async def serve_stdin(talker: Talker) -> None:
    """Do what stdin says until it ends."""
    desk = Desk(talker)
    requests = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(requests), sys.stdin)
    while line := await requests.readline():
        request = json.loads(line)
        try:
            answer = await getattr(desk, "do_" + request.pop("do"))(**request)
        except (TimeoutError, EvchargeError) as error:
            answer = {"failed": str(error)}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


async def main(kind: str) -> None:
    """Serve as `ours` or `bare`."""
    await serve_stdin(Ours() if kind == "ours" else Bare())


if __name__ == "__main__":
    configure_logging("error")
    asyncio.run(main(sys.argv[1]))
