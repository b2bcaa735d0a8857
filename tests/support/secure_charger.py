"""The OCPP side with its vault, against real central systems over loopback: TLS, certificates, events."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from ocpp.v16 import call

from evcharge_agent.demo.central_system import CentralSystem
from evcharge_agent.ocpp16.keys import RegistryConfiguration, station_of
from evcharge_agent.ocpp16.security.configuration import SecureConfiguration
from evcharge_agent.ocpp16.security.ports import SecurityEvent
from evcharge_agent.ocpp16.security.profile import SecurityProfile
from evcharge_agent.ocpp16.security.vault import Vault
from evcharge_agent.ocpp16.service import OcppService
from evcharge_agent.ocpp16.websocket import WebSocketConnector
from evcharge_agent.runtime.clock import Clock
from evcharge_agent.runtime.inbox import Inbox
from evcharge_agent.settings.ocpp_keys import KeyRegistry
from evcharge_agent.settings.overlay import apply_usable
from evcharge_agent.settings.sections import Settings
from evcharge_agent.store.disk import Disk
from evcharge_agent.store.executor import InlineExecutor
from evcharge_agent.store.store import Store

IDENTITY = "EVC-1"
KEY = "0123456789abcdef"
WITHIN_S = 20.0


class SecureCharger:
    """One start of one charger; what lasts is in `directory`."""

    def __init__(self, store: Store, settings: Settings, directory: Path, clock: Clock, disk: Disk | None) -> None:
        self.store = store
        self.directory = directory
        self.inbox = Inbox()
        self.vault = Vault.open(directory, store, clock, "boot", disk)
        self._settings = settings
        self.registry = KeyRegistry(settings, store, self._settings_changed, lambda: 1)
        plain = RegistryConfiguration(self.registry)
        self.connector = WebSocketConnector(plain, IDENTITY, self.vault)
        self.configuration = SecureConfiguration(self.registry, self.vault)
        self.service = OcppService(
            self.connector,
            store,
            self.inbox,
            clock,
            self.configuration,
            station_of(settings),
            lambda: 0.0,
            (lambda context: SecurityProfile(context, self.vault),),
        )
        self.service.on_invalid = self.vault.note_invalid

    @classmethod
    @contextlib.asynccontextmanager
    async def started(
        cls, directory: Path, url: str, *, clock: Clock | None = None, disk: Disk | None = None, **ocpp: Any
    ) -> AsyncIterator["SecureCharger"]:
        """A running charger; settings changed in an earlier start win."""
        table = {"url": url, "identity": IDENTITY, "reconnect_max_s": 1} | ocpp
        settings = Settings.model_validate({"station": {"serial": "SERIAL-7"}, "ocpp": table})
        store = Store.open(directory, boot_id="boot", executor=InlineExecutor())
        settings, problems = apply_usable(settings, await store.overlay())
        assert not problems
        charger = cls(store, settings, directory, clock or Clock(), disk)
        async with charger._running():
            yield charger

    @contextlib.asynccontextmanager
    async def _running(self) -> AsyncIterator[None]:
        work = (self.service.run(), self.vault.events.run(), self._drain())
        tasks = [asyncio.create_task(one) for one in work]
        try:
            yield
            for task in tasks:
                if task.done():
                    task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self.store.close()

    @property
    def profile(self) -> int:
        """The security profile in force."""
        return self.registry.live.settings.ocpp.security_profile

    def logged(self) -> list[str]:
        """Names of the events in the security log."""
        assert self.vault.log is not None
        return [line.split(b'"event":"')[1].split(b'"')[0].decode() for line in self.vault.log.read().splitlines()]

    async def until_logged(self, event: SecurityEvent) -> None:
        """Wait for an event in the security log."""
        await until(lambda: event.value in self.logged())

    def _settings_changed(self, settings: Settings) -> None:
        before, self._settings = self._settings, settings
        self.vault.settings_changed(before.ocpp, settings.ocpp)
        self.service.settings_changed()

    async def _drain(self) -> None:
        while True:
            await self.inbox.take()


class Port:
    """A place in the network where central systems come and go: with TLS, without, with another certificate."""

    def __init__(self) -> None:
        self.central = CentralSystem()
        self.number = 0

    async def open(self, tls: ssl.SSLContext | None = None) -> "CentralSystem":
        """Let a new central system listen here."""
        await self.central.stop()
        passwords = self.central.passwords
        self.central = CentralSystem()
        self.central.passwords = passwords
        url = await self.central.listen(port=self.number, tls=tls)
        self.number = int(url.split(":")[2].split("/")[0])
        return self.central

    def url(self, scheme: str = "wss", host: str = "localhost") -> str:
        """Its address."""
        return f"{scheme}://{host}:{self.number}/ocpp"

    async def booted(self) -> None:
        """Wait until a charger has registered here."""
        await until(lambda: bool(self.central.of("BootNotification")))

    async def online(self, connections: int = 1) -> None:
        """Wait for that many connections since `open`, the last of them alive."""
        await until(lambda: self.central.connections >= connections and self.central.session is not None)

    async def command(self, payload: object) -> Any:
        """Send a request to the charger; return the payload of its answer."""
        assert self.central.session is not None
        return await self.central.session.command(payload)

    async def change(self, key: str, value: str) -> str:
        """ChangeConfiguration."""
        return str((await self.command(call.ChangeConfiguration(key=key, value=value))).status)

    def told(self) -> list[str]:
        """Types of the security events the central system was told."""
        return [one.payload["type"] for one in self.central.of("SecurityEventNotification")]


@contextlib.asynccontextmanager
async def place(tls: ssl.SSLContext | None = None, password: str | None = None) -> AsyncIterator[Port]:
    """A central system that listens, and its port."""
    port = Port()
    if password is not None:
        port.central.passwords[IDENTITY] = password.encode()
    await port.open(tls)
    try:
        yield port
    finally:
        await port.central.stop()


async def until(is_true: Callable[[], bool], within_s: float = WITHIN_S) -> None:
    """Wait for something two sides and a disk work on."""
    async with asyncio.timeout(within_s):
        while not is_true():  # noqa: ASYNC110 - two sides and a disk are watched at once
            await asyncio.sleep(0.01)
