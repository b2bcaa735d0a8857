"""The agent with its store and OCPP as in `MemoryRig`, in front of a guard and a world that are only sketched.

For days of virtual time: one second is one step. Cars ask at once, contactors follow the set-point, registers
count whole seconds. What guard, link and plant really do is proven elsewhere.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from evcharge_agent.app import ConfiguredMeter, ConfiguredReader, Ports
from evcharge_agent.ocpp16.security.vault import Vault
from evcharge_agent.runtime.clock import Clock
from evcharge_agent.runtime.inbox import Inbox
from evcharge_agent.store.store import Store
from evcharge_hal.contract.channel import (
    CHANNEL_VERSION,
    AgentMessage,
    Ceiling,
    CeilingSource,
    ConnectorRating,
    ConnectorStatus,
    ContactorState,
    EventKind,
    GuardEvent,
    GuardMessage,
    Hello,
    LeaseState,
    SetPoint,
    Status,
    Wait,
    Welcome,
    read_guard_message,
    write_message,
)
from evcharge_hal.contract.pilot import PilotOutput, PilotState
from evcharge_hal.contract.units import Amps, PerPhase, WattHours
from evcharge_hal.instruments.values import Swipe
from evcharge_hal.sim.config import RegisterMap
from evcharge_hal.sim.meters import MeterValues as PlantValues
from evcharge_hal.sim.meters import register_image
from tests.support.memory_rig import ChannelPort, ImageMeter, MemoryRig

RATED_A = 16.0
VOLTS = 230.0
STEP_S = 1.0
STATUS_EVERY_S = 5.0
METER_EVERY_S = 2.0


@dataclass(slots=True)
class Outlet:
    """One connector: car, contactor, register."""

    number: int
    plugs: int = 0
    has_car: bool = False
    is_closed: bool = False
    energy_wh: float = 0.0
    wish: SetPoint | None = None

    @property
    def plug_id(self) -> str | None:
        return f"00ff-1-{self.number}.{self.plugs}" if self.has_car else None

    @property
    def is_allowed(self) -> bool:
        """The agent lets this very car charge."""
        wish = self.wish
        return self.has_car and wish is not None and wish.permission and wish.offer_a >= 6.0

    @property
    def drawn_a(self) -> float:
        return min(self.wish.offer_a, RATED_A) if self.is_closed and self.wish is not None else 0.0

    def status(self) -> ConnectorStatus:
        idle = None if self.is_closed or not self.has_car else Wait.VEHICLE if self.is_allowed else Wait.NOT_PERMITTED
        return ConnectorStatus(
            connector=self.number,
            plug_id=self.plug_id,
            pilot=PilotState.C if self.is_closed else PilotState.B if self.has_car else PilotState.A,
            output=PilotOutput.X2 if self.is_allowed else PilotOutput.X1,
            offered_a=Amps(self.wish.offer_a if self.is_allowed and self.wish is not None else 0.0),
            contactor=ContactorState.CLOSED if self.is_closed else ContactorState.OPEN,
            lease=LeaseState.HELD,
            wait=idle,
            ceilings=(Ceiling(CeilingSource.RATING, Amps(RATED_A)),),
            faults=frozenset(),
        )


class CoarseHardware:
    """World, guard and the agent's end of their channel; stands in for `memory_rig.Hardware`."""

    def __init__(self, connectors: int = 2) -> None:
        self._loop = asyncio.get_running_loop()
        self.outlets = {number: Outlet(number) for number in range(1, connectors + 1)}
        self.is_frozen = False
        self.lines_moved = False
        self.on_guard_over: Callable[[], object] = lambda: None
        self.swipes: asyncio.Queue[Swipe] = asyncio.Queue()
        self._listener: ChannelPort | None = None
        self._guard_id = ""
        self._boot_id = ""
        self._events: list[GuardEvent] = []
        self._number = 0
        self._said_s = 0.0

    @property
    def world(self) -> "CoarseHardware":
        return self

    @property
    def guard(self) -> "CoarseHardware | None":
        return self if self._guard_id else None

    # --- the world ----------------------------------------------------------------------------------------

    def perform(self, verb: str, fields: Mapping[str, Any]) -> None:
        """Plug, unplug or swipe; cars are always the same."""
        if verb == "swipe":
            self.swipes.put_nowait(Swipe(fields["id_tag"], tuple(fields["connectors"])))
            return
        assert verb in ("plug", "unplug", "ev"), f"this world does not know {verb}"
        outlet = self.outlets[fields["connector"]]
        if verb == "plug" and not outlet.has_car:
            outlet.has_car, outlet.plugs = True, outlet.plugs + 1
            self._record(EventKind.PLUGGED, outlet, outlet.plug_id)
        elif verb == "unplug" and outlet.has_car:
            gone = outlet.plug_id
            self._open(outlet)
            outlet.has_car = False
            self._record(EventKind.UNPLUGGED, outlet, gone)

    def state(self) -> dict[str, Any]:
        """As the simulator's, as far as scripts ask."""
        return {
            "connectors": {
                str(number): {
                    "is_contactor_closed": outlet.is_closed,
                    "energy_wh": int(outlet.energy_wh),
                    "current_a": {"l1": outlet.drawn_a, "l2": outlet.drawn_a, "l3": outlet.drawn_a},
                }
                for number, outlet in self.outlets.items()
            }
        }

    def register_image(self, meter: str) -> tuple[int, ...]:
        """What a meter named `meter-<connector>` shows."""
        outlet = self.outlets[int(meter.rpartition("-")[2])]
        amps = PerPhase.uniform(outlet.drawn_a)
        values = PlantValues(
            PerPhase.uniform(VOLTS),
            amps,
            amps.map(lambda drawn_a: drawn_a * VOLTS),
            50.0,
            WattHours(int(outlet.energy_wh)),
            WattHours(0),
        )
        return register_image(RegisterMap.SDM630, values)

    async def run(self) -> None:
        """Count energy and move contactors until cancelled."""
        while True:
            await asyncio.sleep(STEP_S)
            for outlet in self.outlets.values():
                outlet.energy_wh += 3.0 * VOLTS * outlet.drawn_a * STEP_S / 3600.0
                if outlet.is_allowed and not outlet.is_closed:
                    outlet.is_closed = True
                    self._record(EventKind.CONTACTOR_CLOSED, outlet, outlet.plug_id)
                elif not outlet.is_allowed:
                    self._open(outlet)
            if self._loop.time() >= self._said_s + STATUS_EVERY_S:
                self._say()

    def _open(self, outlet: Outlet) -> None:
        if outlet.is_closed:
            outlet.is_closed = False
            self._record(EventKind.CONTACTOR_OPENED, outlet, outlet.plug_id)

    # --- the guard ----------------------------------------------------------------------------------------

    def start_guard(self, _memory: object, guard_id: str, boot_id: str) -> None:
        self._guard_id, self._boot_id = guard_id, boot_id
        self._events, self._number = [], 0
        if self._listener is not None:
            self._listener.greet()

    def kill_guard(self) -> None:
        self._guard_id = ""
        for outlet in self.outlets.values():
            outlet.is_closed, outlet.wish = False, None
        if self._listener is not None:
            self._listener.lost()

    def channel(self, inbox: Inbox) -> ChannelPort:
        """A fresh agent's end of the guard channel."""
        self._listener = ChannelPort(self, inbox)  # type: ignore[arg-type]
        return self._listener

    def agent_message(self, message: AgentMessage, _now_s: float) -> None:
        """Welcome the agent, take its wishes."""
        if isinstance(message, Hello):
            known = message.last_event if message.guard_id == self._guard_id else 0
            ratings = tuple(ConnectorRating(number, Amps(RATED_A), 3, False) for number in self.outlets)
            missed = tuple(event for event in self._events[-256:] if event.number > known)
            self._emit(Welcome(CHANNEL_VERSION, self._guard_id, self._boot_id, "sim", ratings, missed))
            self._say()
        elif isinstance(message, SetPoint):
            outlet = self.outlets[message.connector]
            if message.plug_id == outlet.plug_id:
                outlet.wish = message

    def _record(self, kind: EventKind, outlet: Outlet, plug_id: str | None) -> None:
        self._number += 1
        event = GuardEvent(self._number, self._loop.time(), kind, outlet.number, plug_id)
        self._events = [*self._events[-255:], event]
        self._emit(event)
        if kind in (EventKind.PLUGGED, EventKind.UNPLUGGED):
            outlet.wish = None
        self._say()

    def _say(self) -> None:
        self._said_s = self._loop.time()
        self._emit(Status(self._said_s, True, tuple(outlet.status() for outlet in self.outlets.values())))

    def _emit(self, message: GuardMessage) -> None:
        if self._listener is not None and self._guard_id:
            self._listener.take(read_guard_message(write_message(message)))


class QueueReader:
    """Cards as they are held to the reader, without looking for them twenty times a second."""

    def __init__(self, hardware: CoarseHardware) -> None:
        self._hardware = hardware

    async def next_swipe(self) -> Swipe:
        return await self._hardware.swipes.get()

    async def close(self) -> None:
        """Nothing is open."""


class CoarseRig(MemoryRig):
    """See `MemoryRig.running`."""

    poll_s = 1.0

    def __init__(self, settings: Mapping[str, Any], state_dir: Path, *more: Any) -> None:
        super().__init__(settings, state_dir, *more)
        self.coarse = CoarseHardware()
        self.hardware = self.coarse  # type: ignore[assignment]

    def _ports(self, clock: Clock, store: Store, vault: Vault) -> Ports:
        meters = [
            ConfiguredMeter(meter["connector"], ImageMeter(self.hardware, meter["name"]), METER_EVERY_S)
            for meter in self._settings_data["meter"]
        ]
        readers = [ConfiguredReader("reader", QueueReader(self.coarse), (1, 2))]
        return replace(super()._ports(clock, store, vault), meters=meters, readers=readers)
