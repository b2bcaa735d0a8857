"""The scripted car: one complete charge, told by the people and machines that take part in it.

Everything here is done from outside, as a driver, a card and a central system would; the only thing read is
what the daemon tells anybody.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from evcharge_agent.demo.central_system import CentralSystem
from evcharge_agent.runtime.control import ControlError, control_request
from evcharge_hal.contract.errors import EvchargeError
from evcharge_hal.sim.client import SimClient

POLL_S = 0.2
STEP_WITHIN_S = 30.0
ID_TAG = "DEMO-CARD"
CHARGE_AT_MOST_S = 25.0
BETWEEN_CHARGES_S = 4.0
FAULTED_FOR_S = 3.0
"""A fault that stays this long is not waited for within a step."""
FAULTED = "Faulted"
CAR = {"request": "charge", "soc_pct": 70.0, "battery_wh": 12_000.0, "current_a": 16.0, "phases": 3}

Json = Mapping[str, Any]


class StepFailedError(EvchargeError):
    """The charge did not go as it should; the text says at which step and what was seen."""


@dataclass(frozen=True, slots=True)
class ChargeReport:
    """What one charge came to; the JSON of `demo --once --json`."""

    energy_wh: int
    transaction_id: int
    id_tag: str
    start_accepted: bool
    stop_accepted: bool
    stop_reason: str | None
    meter_start_wh: int
    meter_stop_wh: int
    started: str
    stopped: str
    meter_values: int
    statuses: list[str]
    boot_s: float
    charge_s: float
    max_current_a: float
    max_power_w: float
    frames: int

    def as_json(self) -> dict[str, Any]:
        """Plain data; names are only added."""
        return asdict(self)


class ScriptedCharge:
    """Drives one connector through a charge; `tell` hears each step in words."""

    def __init__(
        self, sim: SimClient, control_socket: Path, central: CentralSystem, tell: Callable[[str], None]
    ) -> None:
        self._sim = sim
        self._socket = control_socket
        self._central = central
        self._tell = tell
        self._max_current_a = 0.0
        self._max_power_w = 0.0

    async def wait_ready(self) -> float:
        """Wait until the central system has accepted the charger; return how long that took from now."""
        began_s = _now_s()
        self._tell("starting: world, guard, agent and central system")
        await self._until("the charger is online", lambda view: view["is_central_system_accepted"])
        return _now_s() - began_s

    async def run(self, connector: int, boot_s: float, *, is_remote: bool = False) -> ChargeReport:
        """One charge from plug to unplug.

        Raises:
            StepFailedError: a step did not happen in time.
        """
        frames_before, began_s = self._frames(), _now_s()
        known = set(self._central.transactions)
        await self._do("ev", connector=connector, **CAR)
        self._tell(f"a driver plugs the car into connector {connector}")
        await self._do("plug", connector=connector)
        await self._until_state(connector, "Preparing")
        if is_remote:
            self._tell("the driver starts from the app: RemoteStartTransaction")
            await self._central.remote_start(connector, ID_TAG)
        else:
            self._tell("the driver holds a card to the reader")
            await self._do("swipe", id_tag=ID_TAG, connectors=[connector])
        await self._until_state(connector, "Charging")
        await self._charge(connector)
        await self._stop(connector, is_remote=is_remote)
        self._tell("the driver pulls the cable")
        await self._do("unplug", connector=connector)
        await self._until_state(connector, "Available")
        number = await self._delivered(known)
        return self._report(number, boot_s, _now_s() - began_s, self._frames() - frames_before)

    async def run_for_ever(self, boot_s: float) -> None:
        """Charge by card on connector 1 and by app on connector 2, in turn; a charge that fails ends none of it."""
        while True:
            for connector in (1, 2):
                try:
                    report = await self.run(connector, boot_s, is_remote=connector == 2)  # noqa: PLR2004
                except EvchargeError as error:
                    self._tell(str(error))
                    await self._recover(connector)
                else:
                    self._tell(f"done: {report.energy_wh} Wh, transaction {report.transaction_id}")
                await asyncio.sleep(BETWEEN_CHARGES_S)

    async def _recover(self, connector: int) -> None:
        """End what was begun, as a driver who gives up would, and wait until the connector can be used again."""
        told = ""
        while True:
            try:
                at = _connector(await self._view(), connector)
                if at["session"] is not None:
                    await self._stop_from_outside(connector)
                await self._do("unplug", connector=connector)
            except EvchargeError as error:
                at = {"state": str(error), "faults": []}
            if at["state"] == "Available":
                self._tell("the connector can be used again")
                return
            faults = " ".join(fault["text"] for fault in at["faults"])
            story = f"waiting until the fault is cleared: {faults}" if faults else f"waiting for connector {connector}"
            if story != told:
                told = story
                self._tell(story)
            await asyncio.sleep(1.0)

    async def _delivered(self, known: set[int]) -> int:
        """Wait until the central system has the stop of the new transaction; return its number."""

        def is_stopped() -> bool:
            new = set(self._central.transactions) - known
            return any(self._central.transactions[number].stopped is not None for number in new)

        try:
            await self._central.until(is_stopped, STEP_WITHIN_S)
        except TimeoutError:
            raise StepFailedError(f"the central system got no StopTransaction within {STEP_WITHIN_S:.0f} s") from None
        (number,) = set(self._central.transactions) - known
        return number

    async def _charge(self, connector: int) -> None:
        self._tell("charging")
        deadline_s = _now_s() + CHARGE_AT_MOST_S
        while _now_s() < deadline_s:
            at = _connector(await self._view(), connector)
            self._note(at)
            if at["state"] == FAULTED:
                raise StepFailedError(f"the charge was ended: {_at_text(connector, at)}")
            if at["state"] == "SuspendedEV":
                self._tell("the car is full and pauses")
                return
            await asyncio.sleep(POLL_S)

    async def _stop(self, connector: int, *, is_remote: bool) -> None:
        if is_remote:
            self._tell("the driver stops from the app: RemoteStopTransaction")
            session = _connector(await self._view(), connector)["session"]
            if session is None:
                raise StepFailedError(f"connector {connector} has no session to stop")
            await self._central.remote_stop(session["transaction_id"])
        else:
            self._tell("the driver holds the same card to the reader again")
            await self._do("swipe", id_tag=ID_TAG, connectors=[connector])
        await self._until_state(connector, "Finishing")
        await self._until(
            "the contactor is open", lambda view: _connector(view, connector)["contactor"] == "open", connector
        )

    def _note(self, at: Json) -> None:
        if at["current_a"] is not None:
            self._max_current_a = max(self._max_current_a, *at["current_a"].values())
        self._max_power_w = max(self._max_power_w, at["power_w"] or 0.0)

    def _report(self, number: int, boot_s: float, charge_s: float, frames: int) -> ChargeReport:
        record = self._central.transactions[number]
        statuses = self._central.states(record.connector)
        meter_stop_wh = record.meter_stop_wh if record.meter_stop_wh is not None else record.meter_start_wh
        return ChargeReport(
            energy_wh=meter_stop_wh - record.meter_start_wh,
            transaction_id=number,
            id_tag=record.id_tag,
            start_accepted=record.verdict == "Accepted",
            stop_accepted=record.stopped is not None,
            stop_reason=record.reason or "Local",
            meter_start_wh=record.meter_start_wh,
            meter_stop_wh=meter_stop_wh,
            started=record.started,
            stopped=record.stopped or "",
            meter_values=len(record.meter_values),
            statuses=statuses,
            boot_s=round(boot_s, 3),
            charge_s=round(charge_s, 3),
            max_current_a=round(self._max_current_a, 2),
            max_power_w=round(self._max_power_w, 1),
            frames=frames,
        )

    def _frames(self) -> int:
        frames = self._central.frames.all()
        return frames[-1].number if frames else 0

    async def _do(self, verb: str, **fields: Any) -> None:
        await asyncio.to_thread(self._sim.perform, verb, **fields)

    async def _view(self) -> Json:
        return await asyncio.to_thread(control_request, self._socket, {"command": "status"})

    async def _stop_from_outside(self, connector: int) -> None:
        await asyncio.to_thread(control_request, self._socket, {"command": "stop", "connector": connector})

    async def _until_state(self, connector: int, state: str) -> None:
        await self._until(
            f"connector {connector} is {state}", lambda view: _connector(view, connector)["state"] == state, connector
        )

    async def _until(self, what: str, is_true: Callable[[Json], bool], connector: int | None = None) -> None:
        """Wait for something; a fault that stays at `connector` ends the wait early."""
        began_s = sound_s = _now_s()
        seen = "no answer from the agent"
        while _now_s() < min(began_s + STEP_WITHIN_S, sound_s + FAULTED_FOR_S):
            try:
                view = await self._view()
            except ControlError as error:
                seen = str(error)
                sound_s = _now_s()
            else:
                if is_true(view):
                    return
                seen = "; ".join(_at_text(at["connector"], at) for at in view["connectors"])
                if connector is None or _connector(view, connector)["state"] != FAULTED:
                    sound_s = _now_s()
            await asyncio.sleep(POLL_S)
        raise StepFailedError(f"waited {_now_s() - began_s:.0f} s in vain until {what}; last seen: {seen}")


def _at_text(connector: int, at: Json) -> str:
    """A connector's state and why, in words."""
    why = [fault["text"] for fault in at["faults"]]
    if at.get("waiting"):
        why.append(at["waiting"]["text"])
    return f"connector {connector} is {at['state']}" + (f" ({' '.join(why)})" if why else "")


def _connector(view: Json, connector: int) -> Json:
    for at in view["connectors"]:
        if at["connector"] == connector:
            found: Json = at
            return found
    # Before the guard has said how many connectors there are.
    return {
        "state": "unknown",
        "waiting": None,
        "faults": [],
        "current_a": None,
        "power_w": None,
        "session": None,
        "contactor": None,
    }


def _now_s() -> float:
    return asyncio.get_running_loop().time()
