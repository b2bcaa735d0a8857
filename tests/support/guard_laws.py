"""The safety invariants as judges: they see inputs and outputs of the guard's core and share no code with it.

Each judge watches `Moment`s and raises `BrokenLawError` at the first step that breaks its law. Figures are
written out here once more on purpose (section 4b of the design): a wrong constant in the core must not make its
own judge wrong. Here are the judges of danger (INV-1 to INV-4) and the court of them all.
"""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field

from evcharge_hal.boards.board import Board
from evcharge_hal.contract.channel import ClearFault
from evcharge_hal.contract.faults import FaultCode
from evcharge_hal.contract.pilot import CoprocessorFault, LinkUp, PilotOutput, PilotReport, PilotState
from evcharge_hal.guard.effects import Remember
from evcharge_hal.guard.events import LinesRead
from tests.support.guard_energy_laws import (
    FollowsTheStages,
    OffersWithinLimits,
    PairsItsRecords,
    RunsDownhill,
    SparesTheContactor,
    WaitsAfterStart,
)
from tests.support.guard_judge import EPS_S, BrokenLawError, Judge, is_accepted
from tests.support.guard_order_laws import HoldsThePlug, LeavesInOrder
from tests.support.guard_world import Moment

__all__ = ["BrokenLawError", "Court"]


class ClosesOnlyInC2(Judge):
    """INV-1: closed only in C2, debounced, on a sample of at most 300 ms; open in the step that says otherwise."""

    law = "INV-1"

    def __init__(self, board: Board) -> None:
        super().__init__(board)
        self.c_since_s: dict[int, float] = {}

    def look(self, moment: Moment) -> None:
        event = moment.event
        if isinstance(event, PilotReport):
            if event.state is PilotState.C:
                self.c_since_s.setdefault(event.connector, event.received_s)
            else:
                self.c_since_s.pop(event.connector, None)
                is_open = not moment.is_closed(event.connector)
                self.require(is_open, moment, f"closed in {event.state.value}")
        for number in self.numbers:
            if moment.closes(number):
                self._judge_closing(moment, number)

    def _judge_closing(self, moment: Moment, number: int) -> None:
        report = self.latest(moment, number)
        self.require(report is not None, moment, "closes without a report")
        assert report is not None
        self.require(report.state is PilotState.C, moment, f"closes in {report.state.value}")
        self.require(report.output is PilotOutput.X2 and report.duty < 1.0, moment, "closes without PWM")
        age_s = moment.now_s - report.received_s + report.sample_age_s
        self.require(age_s <= 0.3 + EPS_S, moment, f"closes on a sample of {age_s:.2f} s")
        since_s = self.c_since_s.get(number, moment.now_s)
        self.require(report.received_s - since_s >= 0.2, moment, "closes on an undebounced C")


class OpensOnPilotFault(Judge):
    """INV-2: a pilot fault opens at once, and nothing closes until a replug or 60 s without the cause."""

    law = "INV-2"
    bits = CoprocessorFault.DIODE | CoprocessorFault.PILOT_SHORT | CoprocessorFault.PILOT_INVALID

    def __init__(self, board: Board) -> None:
        super().__init__(board)
        self.seen_s: dict[int, float] = {}
        self.x2_reports: dict[int, int] = defaultdict(int)

    def look(self, moment: Moment) -> None:
        event = moment.event
        if isinstance(event, LinkUp):
            self.x2_reports.clear()  # the first report after a handshake may hold a sample from before it
        if isinstance(event, PilotReport):
            number = event.connector
            self.x2_reports[number] = self.x2_reports[number] + 1 if event.output is PilotOutput.X2 else 0
            if event.state is PilotState.A:
                self.seen_s.pop(number, None)
            if self._is_faulty(event):
                if event.boot_count == self.boot_count:
                    # Another boot without a handshake opens, and is no word about the car.
                    self.seen_s[number] = moment.now_s
                drive = moment.drives[number]
                self.require(not drive.is_relay_closed, moment, "relay closed on a pilot fault")
                self.require(not drive.pilot.permit, moment, "permit given on a pilot fault")
        for number in self.numbers:
            if moment.closes(number) and number in self.seen_s:
                quiet_s = moment.now_s - self.seen_s[number]
                self.require(quiet_s >= 60.0 - EPS_S, moment, f"closes {quiet_s:.1f} s after a pilot fault")

    def _is_faulty(self, report: PilotReport) -> bool:
        if report.state in (PilotState.E, PilotState.F, PilotState.INVALID) or report.active & self.bits:
            return True
        is_vehicle = report.state in (PilotState.B, PilotState.C, PilotState.D)
        return is_vehicle and self.x2_reports[report.connector] > 1 and not -13.0 <= report.low_v <= -11.0


class LatchesWeld(Judge):
    """INV-3: a contact still closed 1 s after opening is latched, and nothing closes until a person clears it."""

    law = "INV-3"

    def __init__(self, board: Board) -> None:
        super().__init__(board)
        self.opened_s: dict[int, float] = {}
        self.is_closed: dict[int, bool | None] = {}
        self.is_welded: dict[int, bool] = defaultdict(bool)

    def restart(self) -> None:
        """A latched weld outlives the guard."""
        is_welded = self.is_welded
        super().restart()
        self.is_welded = is_welded

    def look(self, moment: Moment) -> None:
        event = moment.event
        if isinstance(event, LinesRead):
            self.is_closed[event.connector] = event.is_contactor_closed
        for number in self.numbers:
            was_closed = number not in moment.before or moment.before[number].is_relay_closed
            if was_closed and not moment.is_closed(number):
                self.opened_s[number] = moment.now_s
            for code in moment.raised(number):
                self.is_welded[number] |= code is FaultCode.CONTACTOR_WELDED
            if isinstance(event, ClearFault) and event.connector == number and is_accepted(moment):
                self.is_welded[number] &= event.code is not FaultCode.CONTACTOR_WELDED
            since_s = moment.now_s - self.opened_s.get(number, moment.now_s)
            is_stuck = self.is_closed.get(number) is True and not moment.is_closed(number) and since_s >= 1.1
            self.require(not is_stuck or self.is_welded[number], moment, "a welded contact is not latched")
            self.require(not (moment.closes(number) and self.is_welded[number]), moment, "closes although welded")
            is_checked = since_s >= 1.0 - EPS_S
            self.require(is_checked or not moment.closes(number), moment, "closes before the weld check")


class LatchesRcmTrip(Judge):
    """INV-4: a trip opens in the same step and is latched and remembered; closing needs a test for this plug."""

    law = "INV-4"

    def __init__(self, board: Board) -> None:
        super().__init__(board)
        self.tests: dict[int, RcmTest] = {number: RcmTest() for number in self.numbers}
        self.is_latched: dict[int, bool] = defaultdict(bool)
        self.plugs: dict[int, str | None] = dict.fromkeys(self.numbers)
        self.looked_s = 0.0
        self.acknowledged: set[int] = set()
        """Connectors whose car has had a trip acknowledged."""
        self.left_running: set[int] = set()
        """Connectors whose test the guard before left running."""

    def restart(self) -> None:
        """A latched trip outlives the guard, and so does the current of a test that ran; a passed test does not."""
        is_latched, looked_s, acknowledged = self.is_latched, self.looked_s, self.acknowledged
        tested = {number for number, test in self.tests.items() if looked_s <= test.expected_until_s}
        super().restart()
        self.is_latched, self.left_running, self.acknowledged = is_latched, tested, acknowledged

    def look(self, moment: Moment) -> None:
        event = moment.event
        self.looked_s = moment.now_s
        for number in self.left_running:
            self.tests[number].expected_until_s = moment.now_s + 3.1
        self.left_running = set()
        for number in self.numbers:
            self._watch_plug(number)
            self.is_latched[number] |= FaultCode.RCM_TRIP in moment.raised(number)
        if isinstance(event, LinesRead):
            self._watch_input(moment, event)
        if isinstance(event, PilotReport) and event.state is PilotState.A and event.boot_count == self.boot_count:
            self.acknowledged.discard(event.connector)
        if isinstance(event, ClearFault) and event.code is FaultCode.RCM_TRIP and is_accepted(moment):
            self._watch_acknowledgement(moment, event.connector)
        for number in self.numbers:
            self.tests[number].follow(moment, number)
            if moment.closes(number):
                passed_s = self.tests[number].passed_s
                self.require(not self.is_latched[number], moment, "closes with a latched trip")
                self.require(passed_s is not None, moment, "closes without a passed self-test")
                self.require(passed_s is None or moment.now_s - passed_s < 86_400.0, moment, "self-test too old")
            is_test = moment.drives[number].is_rcm_test_active
            self.require(not (is_test and moment.is_closed(number)), moment, "self-test with a closed relay")

    def _watch_acknowledgement(self, moment: Moment, number: int) -> None:
        if not self.is_latched[number]:
            return
        self.require(number not in self.acknowledged, moment, "acknowledged twice for one car")
        self.is_latched[number] = False
        if self.ids[number] is not None:
            self.acknowledged.add(number)

    def _watch_plug(self, number: int) -> None:
        if self.ids[number] != self.plugs[number]:
            self.plugs[number] = self.ids[number]
            # A test that runs goes on releasing; its result was not for this car.
            self.tests[number] = RcmTest(expected_until_s=self.tests[number].expected_until_s)

    def _watch_input(self, moment: Moment, event: LinesRead) -> None:
        test = self.tests[event.connector]
        test.read(moment, event)
        if not event.is_rcm_tripped:
            return
        self.require(not moment.is_closed(event.connector), moment, "relay closed with a tripped monitor")
        self.require(not moment.drives[event.connector].pilot.permit, moment, "permit with a tripped monitor")
        if moment.now_s > test.expected_until_s:
            self.require(self.is_latched[event.connector], moment, "a trip is not latched")
        if FaultCode.RCM_TRIP in moment.raised(event.connector):
            kept = [effect for effect in moment.effects if isinstance(effect, Remember)]
            is_kept = bool(kept) and FaultCode.RCM_TRIP in kept[-1].latched[event.connector]
            self.require(is_kept, moment, "a trip is not remembered")


@dataclass(slots=True)
class RcmTest:
    """What a judge sees of the self-test: winding on, input trips, winding off, input clears."""

    started_s: float | None = None
    has_tripped: bool = False
    passed_s: float | None = None
    expected_until_s: float = float("-inf")

    def read(self, moment: Moment, event: LinesRead) -> None:
        """A reading of the input."""
        if moment.before.get(event.connector) is not None and moment.before[event.connector].is_rcm_test_active:
            self.has_tripped |= event.is_rcm_tripped
        if not event.is_rcm_tripped and self.has_tripped and self.started_s is not None:
            self.passed_s, self.started_s = moment.now_s, None
        if event.is_rcm_tripped and moment.now_s > self.expected_until_s:
            self.passed_s = None

    def follow(self, moment: Moment, number: int) -> None:
        """The winding as driven after a step; a trip is expected while it is on and 3 s after."""
        was_active = number in moment.before and moment.before[number].is_rcm_test_active
        if moment.drives[number].is_rcm_test_active:
            if not was_active:
                self.started_s, self.has_tripped, self.passed_s = moment.now_s, False, None
            self.expected_until_s = float("inf")
        elif was_active:
            self.expected_until_s = moment.now_s + 3.1


JUDGES: tuple[Callable[[Board], Judge], ...] = (
    ClosesOnlyInC2,
    OpensOnPilotFault,
    LatchesWeld,
    LatchesRcmTrip,
    OffersWithinLimits,
    RunsDownhill,
    FollowsTheStages,
    WaitsAfterStart,
    SparesTheContactor,
    PairsItsRecords,
    LeavesInOrder,
    HoldsThePlug,
)


@dataclass(slots=True)
class Court:
    """All judges of one board."""

    board: Board
    judges: list[Judge] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Appoint one judge per law."""
        self.judges = [make(self.board) for make in JUDGES]

    def __call__(self, moment: Moment) -> None:
        """Judge one step."""
        for judge in self.judges:
            judge(moment)

    def restart(self) -> None:
        """The guard has started anew."""
        for judge in self.judges:
            judge.restart()
