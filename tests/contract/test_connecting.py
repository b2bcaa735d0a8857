"""What happens while a connection is being made: the settings may change, and a disk may fail."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request

from evcharge_agent.ocpp16.errors import ConnectFailedError
from evcharge_agent.ocpp16.security.vault import Vault
from evcharge_agent.ocpp16.websocket import SUBPROTOCOL, WebSocketConnector
from evcharge_agent.runtime.clock import Clock
from evcharge_agent.settings.ocpp_section import Ocpp

OLD_KEY, NEW_KEY = "old-key-0123456789", "new-key-0123456789"


class Changing:
    """Settings that a person changes at the worst moment."""

    def __init__(self, **ocpp: object) -> None:
        self.connection = Ocpp.model_validate(ocpp)
        self.changes: list[tuple[str, str]] = []
        self.error: Exception | None = None

    def put(self, **ocpp: object) -> None:
        self.connection = self.connection.model_copy(update=Ocpp.model_validate(ocpp).model_dump(exclude_unset=True))

    def report(self, names: object = ()) -> tuple[list[object], list[str]]:
        return [], []

    async def change(self, name: str, text: str) -> None:
        if self.error is not None:
            raise self.error
        self.changes.append((name, text))


class Place:
    """A server that opens every connection and remembers how it ended."""

    def __init__(self) -> None:
        self.url = ""
        self.ended = asyncio.Event()
        self.before_opening: Callable[[], None] = lambda: None

    async def process(self, _connection: ServerConnection, _request: Request) -> None:
        self.before_opening()

    async def hold(self, connection: ServerConnection) -> None:
        await connection.wait_closed()
        self.ended.set()


@asynccontextmanager
async def place() -> AsyncIterator[Place]:
    found = Place()
    async with serve(found.hold, "127.0.0.1", 0, subprotocols=[SUBPROTOCOL], process_request=found.process) as server:
        found.url = f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}"
        yield found


@pytest.mark.parametrize(
    "change",
    [
        {"security_profile": 1, "authorization_key": NEW_KEY},
        {"security_profile": 2, "authorization_key": OLD_KEY},
        {"url": "ws://127.0.0.1:9/elsewhere"},
    ],
    ids=["key", "profile", "url"],
)
async def test_what_is_changed_while_a_connection_is_made_is_not_taken_back(change: dict[str, object]) -> None:
    """Nothing of the old was on trial: the connection goes, and the new settings stay."""
    async with place() as server:
        settings = Changing(url=server.url, security_profile=1, authorization_key=OLD_KEY)
        server.before_opening = lambda: settings.put(**change)
        connector = WebSocketConnector(settings, "EVC-1", Vault.without_memory(Clock()))
        with pytest.raises(ConnectFailedError, match="changed"):
            await connector.connect()
        assert settings.changes == []
        async with asyncio.timeout(10.0):
            await server.ended.wait()


async def test_a_connection_that_cannot_be_taken_into_use_is_not_left_open() -> None:
    """Otherwise the central system would see one more charger of this name with every attempt."""
    async with place() as server:
        settings = Changing(url=server.url, security_profile=1, authorization_key=NEW_KEY)
        vault = Vault.without_memory(Clock())
        await vault.memory.load()
        await vault.memory.begin_trial(0, 1)
        settings.error = RuntimeError("a mistake")
        connector = WebSocketConnector(settings, "EVC-1", vault)
        for _ in range(3):
            connector._credentials.skipped()
        # Begins anew for settings it sees for the first time, so the old profile's turn is the fourth attempt.
        await connector._credentials.next()
        for _ in range(3):
            connector._credentials.skipped()
        with pytest.raises(RuntimeError, match="a mistake"):
            await connector.connect()
        async with asyncio.timeout(10.0):
            await server.ended.wait()
