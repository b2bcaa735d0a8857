"""A judge of the guard's core: it sees inputs and outputs, keeps its own books, and shares no code with the core."""

from evcharge_hal.boards.board import Board
from evcharge_hal.contract.channel import Reply
from evcharge_hal.contract.pilot import LinkUp, PilotReport, PilotState
from tests.support.guard_world import Moment

EPS_S = 1e-6


class BrokenLawError(AssertionError):
    """A step broke an invariant."""


class Judge:
    """Base: facts every judge needs, by connector."""

    law = "INV"

    def __init__(self, board: Board) -> None:
        self.board = board
        self.numbers = [section.id for section in board.connector]
        self.reports: dict[int, PilotReport] = {}
        self.started_s: float | None = None
        self.boot_count: int | None = None
        self.uid = ""
        self.ids: dict[int, str | None] = dict.fromkeys(self.numbers)
        """What is plugged in, by the rule of DESIGN D11; worked out from reports alone."""

    def __call__(self, moment: Moment) -> None:
        """Judge one step."""
        event = moment.event
        if not moment.before and self.started_s is None:
            self.started_s = moment.now_s
        if isinstance(event, LinkUp):
            self.uid, self.boot_count = event.identity.uid, event.identity.boot_count
            self.reports.clear()
        if isinstance(event, PilotReport) and event.boot_count == self.boot_count:
            # Another boot without a handshake is no word about the car.
            self.ids[event.connector] = self._plug_id(event)
        self.look(moment)
        if isinstance(event, PilotReport):
            self.reports[event.connector] = event

    def _plug_id(self, report: PilotReport) -> str | None:
        if report.state is PilotState.A:
            return None
        if report.state in (PilotState.B, PilotState.C, PilotState.D) or self.ids[report.connector] is not None:
            return f"{self.uid}-{report.boot_count}-{report.connector}.{report.plug_count}"
        return None

    def restart(self) -> None:
        """The guard has started anew and forgotten everything but its state file."""
        type(self).__init__(self, self.board)

    def look(self, moment: Moment) -> None:
        """Judge one step; `self.reports` holds what was reported before it."""
        raise NotImplementedError

    def latest(self, moment: Moment, number: int) -> PilotReport | None:
        """The latest report of a connector, this step's included."""
        if isinstance(moment.event, PilotReport) and moment.event.connector == number:
            return moment.event
        return self.reports.get(number)

    def require(self, holds: bool, moment: Moment, text: str) -> None:
        """Raise unless the law holds."""
        if not holds:
            raise BrokenLawError(f"{self.law} at {moment.now_s:.3f} s: {text}; event {moment.event}")


def is_accepted(moment: Moment) -> bool:
    """Whether a request of this step was granted."""
    return any(isinstance(effect, Reply) and effect.is_accepted for effect in moment.effects)
