"""A whole charger on one side, the strict central system on the other, and the hands of the tester."""

import asyncio
import contextlib
import functools
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evcharge_agent.ocpp16.errors import ConnectFailedError, LinkClosedError
from evcharge_agent.ocpp16.keys import Configuration
from evcharge_agent.ocpp16.link import Connection, Connector
from evcharge_agent.ocpp16.security.vault import Vault
from evcharge_agent.ocpp16.websocket import WebSocketConnector
from tests.octt.pki import Pki, Tls
from tests.support.memory_rig import MemoryRig
from tests.support.process_rig import ProcessRig
from tests.support.rig import CAR, CARD, Json, Rig
from tests.support.rig_settings import LOCKED_SETTINGS, RIG_SETTINGS
from tests.support.strict.central import StrictCentral, wanted
from tests.support.strict.expectations import DEFAULT_KEYS, Expectations
from tests.support.strict.laws_credentials import key_bytes
from tests.support.strict.line import LineClosedError, Pipe
from tests.support.strict.trace import Call
from tests.support.virtual_time import START_UTC_S, run_virtual

IDENTITY = "RIG-1"
OTHER_CARD = "CARD-2"
CENTRAL_IS_AHEAD_S = 3600.0
"""What the charger believes before it is told better is an hour off."""
METER_GIVES = frozenset(
    {"Energy.Active.Import.Register", "Power.Active.Import", "Current.Import", "Current.Offered", "Voltage"}
)
KEYS: Mapping[str, object] = {
    "ConnectionTimeOut": 12,
    "MeterValueSampleInterval": 3,
    "MeterValuesSampledData": "Energy.Active.Import.Register,Current.Import,Voltage",
    "TransactionMessageRetryInterval": 2,
}
"""Short, so that a case is over soon; each case may ask for others."""

Scenario = Callable[["Bench"], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Case:
    """What `in_memory` was asked for."""

    scenario: Scenario
    keys: Mapping[str, object] | None
    ocpp: Mapping[str, object] | None
    waived: tuple[str, ...]
    prepare: Callable[[StrictCentral], None]
    tls: Tls | None
    has_locks: bool


class Bench:
    """What a case acts with: `rig` is the charger and its world, `central` the strict central system."""

    def __init__(self, rig: Rig, central: StrictCentral, pki: Pki | None = None) -> None:
        self.rig = rig
        self.central = central
        self._pki = pki

    @property
    def pki(self) -> Pki:
        """The certificates of a case with `tls`."""
        assert self._pki is not None
        return self._pki

    # --- hands --------------------------------------------------------------------------------------------

    async def plug(self, connector: int = 1) -> None:
        """Plug a car in at both ends; it wants 16 A on three phases."""
        await self.rig.do("ev", connector=connector, **CAR)
        self.central.mark("plug", connector)
        await self.rig.do("plug", connector=connector)

    async def unplug(self, connector: int = 1, side: str = "both") -> None:
        """Take the cable away, or pull it at the car's side ("ev") and leave it in the socket."""
        self.central.mark("unplug", connector)
        await self.rig.do("unplug", connector=connector, side=side)

    async def swipe(self, id_tag: str = CARD, connector: int = 1) -> None:
        """Hold a card to the reader."""
        self.central.mark("swipe", connector, id_tag)
        await self.rig.do("swipe", id_tag=id_tag, connectors=[connector])

    async def cut_power(self) -> None:
        """Everything loses power at once, and gets it back."""
        self.central.mark("power")
        await self.rig.cut_power()

    async def world(self, connector: int = 1) -> Json:
        """What is physically true at a connector."""
        return await self.rig.at(connector)

    async def sleep(self, duration_s: float) -> None:
        """Let time pass."""
        await self.rig.sleep(duration_s)

    # --- what many cases begin with -----------------------------------------------------------------------

    async def booted(self) -> None:
        """The charger is registered and every connector is Available."""
        await self.central.expect("BootNotification")
        await self.statuses("Available", "Available", "Available")

    async def statuses(self, *states: str) -> None:
        """One StatusNotification each for 0, 1 and 2, in any order."""
        kinds = [wanted("StatusNotification", connectorId=number, status=state) for number, state in enumerate(states)]
        await self.central.expect_all(*kinds)

    async def status(self, status: str, connector: int = 1, within_s: float = 10.0, **fields: Any) -> Call:
        """The next StatusNotification with this status."""
        return await self.central.expect("StatusNotification", within_s, connectorId=connector, status=status, **fields)

    async def charging(self, id_tag: str = CARD, connector: int = 1) -> Call:
        """Plug in, swipe, charge; returns StartTransaction."""
        await self.plug(connector)
        await self.status("Preparing", connector)
        await self.swipe(id_tag, connector)
        start = await self.central.expect("StartTransaction", connectorId=connector, idTag=id_tag)
        await self.status("Charging", connector)
        return start

    async def stopped(self, start: Call, reason: str | None = None, within_s: float = 20.0) -> Call:
        """The StopTransaction of a transaction; None is a local stop, whose reason may be left out."""
        assert start.result is not None
        wanted = {"transactionId": start.result["transactionId"]}
        fits = (lambda found: found in (None, "Local")) if reason is None else reason
        return await self.central.expect("StopTransaction", within_s, reason=fits, **wanted)

    async def is_charging(self, connector: int = 1) -> bool:
        """The contactor is closed."""
        return bool((await self.world(connector))["is_contactor_closed"])


class StrictConnector:
    """Leads the charger's OCPP link to the strict central system without sockets."""

    def __init__(self, central: StrictCentral) -> None:
        self._central = central
        self._pipe: Pipe | None = None

    def process_ended(self) -> None:
        """The kernel closes what a process had open."""
        if self._pipe is not None:
            self._pipe.shut()

    async def connect(self) -> Connection:
        """See `ocpp16.link.Connector`."""
        near, far = Pipe.pair()
        if not self._central.accept(far):
            raise ConnectFailedError("the central system is not reachable")
        self._pipe = near
        return ChargerEnd(near)


class ChargerEnd:
    """A pipe as the charger's link wants it."""

    def __init__(self, pipe: Pipe) -> None:
        self._pipe = pipe

    async def recv(self) -> str:
        try:
            return await self._pipe.recv()
        except LineClosedError as error:
            raise LinkClosedError(str(error)) from None

    async def send(self, message: str) -> None:
        try:
            await self._pipe.send(message)
        except LineClosedError as error:
            raise LinkClosedError(str(error)) from None

    async def close(self, code: int = 1000, reason: str = "") -> None:
        await self._pipe.close(code)

    def set_ping_interval(self, interval_s: float) -> None:
        """A pipe needs no pings."""


def in_memory(
    keys: Mapping[str, object] | None = None,
    ocpp: Mapping[str, object] | None = None,
    waived: tuple[str, ...] = (),
    prepare: Callable[[StrictCentral], None] = lambda _: None,
    *,
    has_sockets: bool = False,
    has_locks: bool = False,
    tls: Tls | None = None,
) -> Callable[[Scenario], Callable[[Path], None]]:
    """Make a test of a scenario: real core, guard, plant and OCPP stack under virtual time, all laws on.

    `keys` are configuration keys at the start, `ocpp` other settings of that section, `waived` laws the case
    breaks on purpose; `prepare` tells the central system what to do before the charger is there. With `has_sockets` the frames go through a real
    WebSocket on this machine, with `tls` through one for which there are certificates. With `has_locks` the
    sockets hold the plug.
    """

    def decorate(scenario: Scenario) -> Callable[[Path], None]:
        @functools.wraps(scenario)
        def test(tmp_path: Path) -> None:
            async def main() -> None:
                pki = None if tls is None else Pki(tls, tmp_path)
                settings = settings_of(keys, {**(ocpp or {}), **(pki.settings if pki else {})}, has_locks=has_locks)
                expectations = expectations_of(keys, ocpp).without(*waived)
                central = StrictCentral(expectations, START_UTC_S + CENTRAL_IS_AHEAD_S)
                prepare(central)
                async with _memory_bench(settings, central, tmp_path, pki, has_sockets=has_sockets) as bench:
                    await scenario(bench)
                    central.check()

            run_virtual(main())

        case = Case(scenario, keys, ocpp, waived, prepare, tls, has_locks)
        test.__dict__.update(case=case)
        del test.__dict__["__wrapped__"]  # or pytest would look for a fixture named `bench`
        return test

    return decorate


def with_processes(test: Callable[[Path], None], state_dir: Path) -> None:
    """Run the scenario of an `in_memory` test with real processes, a real serial line and a real WebSocket."""
    case: Case = test.__dict__["case"]
    pki = None if case.tls is None else Pki(case.tls, state_dir)
    ocpp = {**(case.ocpp or {}), **(pki.settings if pki else {})}

    async def main() -> None:
        utc_offset_s = time.time() - asyncio.get_running_loop().time()
        expectations = expectations_of(case.keys, case.ocpp).without(*case.waived)
        central = StrictCentral(expectations, utc_offset_s + CENTRAL_IS_AHEAD_S)
        case.prepare(central)
        try:
            url = await central.listen(tls=pki.at_first if pki else None)
            settings = settings_of(case.keys, ocpp, has_locks=case.has_locks)
            async with ProcessRig.running(settings, state_dir, url) as rig:
                await case.scenario(Bench(rig, central, pki))
                central.check()
        finally:
            await central.stop()

    asyncio.run(main())


def settings_of(
    keys: Mapping[str, object] | None, ocpp: Mapping[str, object] | None, *, has_locks: bool = False
) -> dict[str, Any]:
    """The charger's settings."""
    settings = LOCKED_SETTINGS if has_locks else RIG_SETTINGS
    table = {**settings["ocpp"], **(ocpp or {}), "keys": {**KEYS, **(keys or {})}}
    return {**settings, "ocpp": table}


def expectations_of(keys: Mapping[str, object] | None, ocpp: Mapping[str, object] | None) -> Expectations:
    """What the laws hold it to, from the same tables."""
    key = (ocpp or {}).get("authorization_key")
    texts = {name: _text(value) for name, value in {**KEYS, **(keys or {})}.items()}
    return Expectations(
        identity=IDENTITY,
        keys={**DEFAULT_KEYS, **texts},
        security_profile=int(str((ocpp or {}).get("security_profile", 0))),
        meter_gives=METER_GIVES,
        password=None if key is None else key_bytes(str(key)),
    )


@contextlib.asynccontextmanager
async def _memory_bench(
    settings: dict[str, Any], central: StrictCentral, state_dir: Path, pki: Pki | None, *, has_sockets: bool
) -> AsyncIterator[Bench]:
    pipes = StrictConnector(central)
    has_sockets = has_sockets or pki is not None

    def make_connector(configuration: Configuration, vault: Vault) -> Connector:
        return WebSocketConnector(configuration, IDENTITY, vault) if has_sockets else pipes

    if has_sockets:
        settings = {
            **settings,
            "ocpp": {**settings["ocpp"], "url": await central.listen(tls=pki.at_first if pki else None)},
        }
    try:
        async with MemoryRig.running(settings, state_dir, make_connector=make_connector) as rig:
            rig.on_agent_over = pipes.process_ended
            yield Bench(rig, central, pki)
    finally:
        await central.stop()


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
