"""What is known of a RAPI board since it was greeted, and what has to outlive a state: latches, plugs. Pure."""

import math
from dataclasses import dataclass, replace

from evcharge_hal.contract.pilot import CoprocessorFault, LinkEvent, LinkNoticed, PilotReport, PilotState
from evcharge_hal.contract.units import Celsius
from evcharge_hal.link.rapi_frames import RapiReply, RapiState, read_decimal
from evcharge_hal.link.rapi_setpoint import BoardSituation, Clamp
from evcharge_hal.link.rapi_view import FAULTS, BoardFault, BoardView, Mode, make_report

CLAMP_RETRY_S = 30.0
"""A board that took less than asked (hot, thin cable) is asked again after this."""
TEMPERATURE_VALID_S = 30.0
_MISSED_AND_NOT_ACKNOWLEDGED = 2
_PLUGGED = (PilotState.B, PilotState.C, PilotState.D)


def read_numbers(reply: RapiReply) -> tuple[int, ...]:
    """The answer's decimal numbers up to the first word that is none."""
    numbers: list[int] = []
    for word in reply.arguments:
        number = read_decimal(word)
        if number is None:
            break
        numbers.append(number)
    return tuple(numbers)


@dataclass(slots=True)
class BoardRecord:
    """One board."""

    heartbeat: tuple[int, int]
    """Interval in s and fallback in A as they are to be."""
    view: BoardView | None = None
    amps: int | None = None
    """Capacity as last confirmed; None: unknown, perhaps the maximum."""
    clamp: Clamp | None = None
    clamped_s: float = -math.inf
    is_missed: bool = False
    """The board has missed a heartbeat and holds its fallback until that is acknowledged."""
    is_armed: bool = True
    """The heartbeat is set as it is to be."""
    latched: CoprocessorFault = CoprocessorFault.NONE
    boot_fault: CoprocessorFault = CoprocessorFault.NONE
    """Its self-test at boot failed. Asleep it hides that, so only another boot clears it."""
    vehicle: PilotState = PilotState.INVALID
    is_watched: bool = False
    """The car has been looked at without a gap since some report."""
    plug_count: int = 0
    temperature_c: Celsius | None = None
    temperature_s: float = -math.inf

    def situation(self) -> BoardSituation | None:
        """What the next command depends on; None before the first state."""
        if self.view is None:
            return None
        is_latched = bool(self.latched | self.boot_fault)
        return BoardSituation(self.view, self.amps, self.clamp, self.is_missed, is_latched)

    def lose_sight(self) -> None:
        """The link is down: only latches and the count of plugs are kept."""
        self.view, self.amps, self.clamp = None, None, None
        self.is_missed, self.temperature_c = False, None
        if self.is_watched:
            # The car may be another one when the board is heard again; a number too many keeps the two apart.
            self.plug_count += 1
        self.is_watched = False

    def restart(self, post_code: int) -> list[LinkEvent]:
        """The board has started again and has forgotten everything; 0 is a passed self-test."""
        self.lose_sight()
        self.plug_count, self.latched, self.vehicle = 0, CoprocessorFault.NONE, PilotState.INVALID
        fault = FAULTS.get(post_code)
        self.boot_fault = CoprocessorFault.NONE if fault is None else fault.bit
        return [] if fault is None else [_tell(fault, f"boot code {post_code:02x}")]

    def _latch(self, state: int) -> list[LinkEvent]:
        fault = FAULTS.get(state)
        if fault is None or fault.bit in self.latched | self.boot_fault:
            return []
        return [_tell(fault, f"state {state:02x}")]

    def clear_latch(self) -> None:
        """Forget faults whose cause is not there now."""
        self.latched &= CoprocessorFault.NONE if self.view is None else self.view.active

    def take_state(self, state: RapiState, age_s: float, now_s: float, boot_count: int) -> list[LinkEvent]:
        """Take a state in; gives what is new of faults, and the report."""
        view = BoardView(state, now_s, age_s)
        self.view = view
        if state.amps is not None:
            self.doubt_amps(state.amps)
        if self.clamp is not None and now_s >= self.clamped_s + CLAMP_RETRY_S:
            self.clamp = None
        vehicle = view.vehicle(self.vehicle)
        if self.is_watched and vehicle in _PLUGGED and self.vehicle is PilotState.A:
            self.plug_count += 1
        # What is not seen, with -12 V on the pilot or before the first look, begins no watch.
        self.is_watched = self.is_watched or vehicle is not PilotState.INVALID
        self.vehicle = vehicle
        if vehicle is PilotState.A and view.mode is not Mode.DISABLED:
            self.latched &= view.active
        events = self._latch(state.evse)
        self.latched |= view.active
        return [*events, self._report(view, now_s, boot_count)]

    def _report(self, view: BoardView, now_s: float, boot_count: int) -> PilotReport:
        report = make_report(view, self.vehicle, self.latched, self.amps, self.plug_count, boot_count)
        is_known = now_s < self.temperature_s + TEMPERATURE_VALID_S
        lost = CoprocessorFault.HOST_LOST if self.is_missed else CoprocessorFault.NONE
        return replace(
            report,
            temperature_c=self.temperature_c if is_known else None,
            active=report.active | lost,
            latched=report.latched | self.boot_fault | lost,
        )

    def doubt_amps(self, amps: int) -> None:
        """The board tells its capacity: another than confirmed is believed, and confirms nothing by itself.

        It changes by itself: at boot, after a hot spell and with `$SY 165` it goes to its maximum.
        """
        if self.amps is None or self.amps == amps:
            return
        self.amps = amps
        if self.clamp is not None and self.clamp.taken != amps:
            self.clamp = None

    def take_capacity(self, asked: int, reply: RapiReply, now_s: float) -> None:
        """The answer to `$SC`: `$NK n` is not a refusal, it took n instead."""
        numbers = read_numbers(reply)
        if not numbers:
            self.amps = asked if reply.is_ok else None
            return
        self.amps = numbers[0]
        self.clamp = None if numbers[0] == asked else Clamp(asked, numbers[0])
        self.clamped_s = now_s

    def take_heartbeat(self, reply: RapiReply) -> list[LinkEvent]:
        """The answer to any `$SY` or to `$GY`: interval, fallback, missed."""
        numbers = read_numbers(reply)
        if len(numbers) < len(self.heartbeat) + 1:
            return []
        was_missed = self.is_missed
        self.is_missed = numbers[2] == _MISSED_AND_NOT_ACKNOWLEDGED
        self.is_armed = numbers[:2] == self.heartbeat
        if not self.is_missed or was_missed:
            return []
        # It has lowered itself; what it was told before does not count any more.
        self.amps = None
        return [LinkNoticed("heartbeat_missed", 1, f"the board went to {self.heartbeat[1]} A")]


def _tell(fault: BoardFault, what: str) -> LinkNoticed:
    return LinkNoticed("fault_latched", 1, f"{fault.code.value}, {what}")
