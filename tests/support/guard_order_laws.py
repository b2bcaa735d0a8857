"""Judges of what others may order: a hard reset keeps every other law and lets go of the car in order (INV-19)."""

from evcharge_hal.boards.board import Board
from evcharge_hal.contract.pilot import PilotOutput, PilotState
from evcharge_hal.guard.events import LeaveOrdered
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
