"""Judges of what others may order: a hard reset lets go of the car in order (INV-19), no plug is given back live (INV-18)."""

from evcharge_hal.boards.board import Board, Lock
from evcharge_hal.contract.channel import EventKind
from evcharge_hal.contract.faults import FaultCode
from evcharge_hal.contract.pilot import PilotOutput, PilotState
from evcharge_hal.guard.effects import Record
from evcharge_hal.guard.events import LeaveOrdered, LinesRead
from tests.support.guard_judge import EPS_S, Judge
from tests.support.guard_world import Moment


class LeavesInOrder(Judge):
    """INV-19: at a reset the pilot goes at once, the contactor when the car has let go and at the latest after 6 s."""

    law = "INV-19"

    def __init__(self, board: Board) -> None:
        super().__init__(board)
        self.ordered_s: float | None = None
        self.last_s = float("-inf")

    def look(self, moment: Moment) -> None:
        if isinstance(moment.event, LeaveOrdered):
            self._judge_order(moment)
            self.ordered_s = moment.now_s if self.ordered_s is None else self.ordered_s
        self.last_s = moment.now_s
        if self.ordered_s is None:
            return
        waited_s = moment.now_s - self.ordered_s
        for number in self.numbers:
            drive = moment.drives[number]
            self.require(drive.pilot.output is not PilotOutput.X2, moment, "PWM after a reset was ordered")
            self.require(not moment.closes(number), moment, "closes after a reset was ordered")
            is_late = moment.is_closed(number) and waited_s > 6.0 + EPS_S
            self.require(not is_late, moment, f"still closed {waited_s:.2f} s after a reset was ordered")

    def _judge_order(self, moment: Moment) -> None:
        if moment.now_s > self.last_s + 0.2:
            return  # the process was away: its own deadlines may open in this step
        for number in self.numbers:
            report = self.reports.get(number)
            was_closed = number in moment.before and moment.before[number].is_relay_closed
            if was_closed and report is not None and report.state is PilotState.C and report.is_permitted:
                self.require(moment.is_closed(number), moment, "a reset opens under load at once")


class HoldsThePlug(Judge):
    """INV-18: nothing closes on an unlocked plug; the lock opens 0.5 s after the contact has, and never on a weld."""

    law = "INV-18"

    def __init__(self, board: Board) -> None:
        super().__init__(board)
        self.locked = {section.id for section in board.connector if section.lock is not Lock.NONE}
        self.live_s: dict[int, float] = {}
        self.welded: set[int] = set()

    def restart(self) -> None:
        """What is welded stays so, and what was live counts from now."""
        welded = self.welded
        super().restart()
        self.welded = welded

    def look(self, moment: Moment) -> None:
        for effect in moment.effects:
            if isinstance(effect, Record) and effect.fault is FaultCode.CONTACTOR_WELDED and effect.connector:
                change = self.welded.add if effect.kind is EventKind.FAULT_RAISED else self.welded.discard
                change(effect.connector)
        event = moment.event
        for number in self.locked:
            is_read_closed = isinstance(event, LinesRead) and event.connector == number and event.is_contactor_closed
            was_driven = number in moment.before and moment.before[number].is_relay_closed
            if moment.is_closed(number) or was_driven or is_read_closed:
                self.live_s[number] = moment.now_s
            report = self.latest(moment, number)
            if moment.closes(number):
                self.require(report is not None and report.is_locked, moment, "closes on an unlocked plug")
            was_locked = number in moment.before and moment.before[number].pilot.is_locked
            if was_locked and not moment.drives[number].pilot.is_locked:
                dead_s = moment.now_s - self.live_s.get(number, float("-inf"))
                self.require(dead_s >= 0.5 - EPS_S, moment, f"unlocks {dead_s:.2f} s after the contact opened")
                self.require(number not in self.welded, moment, "unlocks a welded outlet")
