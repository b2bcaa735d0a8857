"""Judges of energy: what is offered, on whose word, how often, and how long without a word (INV-5, 11, 12, 14, 16)."""

from collections import defaultdict

from evcharge_hal.boards.board import Board, Cable
from evcharge_hal.contract.channel import EventKind, SetPoint
from evcharge_hal.contract.faults import FaultCode
from evcharge_hal.contract.pilot import LinkDown, LinkUp, PilotOutput, PilotReport
from evcharge_hal.guard.effects import Drive, Record, Remember
from tests.support.guard_judge import EPS_S, Judge
from tests.support.guard_world import Moment

CABLES_A = ((75.0, 150.0, 63.0), (150.0, 330.0, 32.0), (330.0, 1000.0, 20.0), (1000.0, 2200.0, 13.0))
KEPT_CODES = {FaultCode.RCM_TRIP, FaultCode.RCM_SELF_TEST, FaultCode.CONTACTOR_WELDED}


class OffersWithinLimits(Judge):
    """INV-5: never more than the smallest limit, never between 0 and 6 A, raises 5 s apart, cable change opens."""

    law = "INV-5"

    def __init__(self, board: Board) -> None:
        super().__init__(board)
        self.wishes: dict[int, tuple[SetPoint, float]] = {}
        self.cables: dict[int, float] = {}
        self.raised_s: dict[int, float] = {}
        self.plugs: dict[int, str | None] = dict.fromkeys(self.numbers)
        self.max_a = float("inf")
        self.offers: dict[int, float] = defaultdict(float)
        self.x1_since_s: dict[int, float] = {}

    def look(self, moment: Moment) -> None:
        event = moment.event
        if isinstance(event, LinkUp):
            self.max_a = event.identity.max_a
        if isinstance(event, SetPoint) and event.plug_id is not None and event.plug_id == self.ids[event.connector]:
            self.wishes[event.connector] = (event, moment.now_s)
        if isinstance(event, PilotReport) and event.boot_count == self.boot_count:
            self._watch_cable(moment, event)
        for drive in moment.drives.values():
            self._judge_offer(moment, drive)
        supply_a = self.board.board.supply_a
        total_a = sum(drive.pilot.limit_a for drive in moment.drives.values())
        self.require(supply_a is None or total_a <= supply_a + 1e-6, moment, f"{total_a} A of {supply_a} A supply")

    def _watch_cable(self, moment: Moment, report: PilotReport) -> None:
        number, section = report.connector, self.board.connector[report.connector - 1]
        if self.ids[number] != self.plugs[number]:
            self.plugs[number] = self.ids[number]
            self.cables.pop(number, None)
            self.wishes.pop(number, None)
        if self.ids[number] is None or section.cable is Cable.FIXED:
            return
        found_a = next((a for low, high, a in CABLES_A if low <= (report.pp_ohm or 0.0) < high), 0.0)
        if self.cables.setdefault(number, found_a) == 0.0:
            self.cables[number] = found_a
        if found_a != self.cables[number]:
            self.require(not moment.is_closed(number), moment, "closed although the cable changed")

    def _judge_offer(self, moment: Moment, drive: Drive) -> None:
        number, offer_a = drive.connector, float(drive.pilot.limit_a)
        self.require(offer_a == 0.0 or offer_a >= 6.0, moment, f"offers {offer_a} A")
        has_pwm = drive.pilot.output is PilotOutput.X2
        self.require(has_pwm == (offer_a > 0.0), moment, f"{drive.pilot.output} with {offer_a} A")
        if offer_a > 0.0:
            self._judge_limits(moment, number, offer_a)
        before_a = self.offers[number]
        if offer_a > before_a:
            waited_s = moment.now_s - self.raised_s.get(number, float("-inf"))
            self.require(waited_s >= 5.0 - EPS_S, moment, f"raised again after {waited_s:.2f} s")
            paused_s = moment.now_s - self.x1_since_s.get(number, float("-inf"))
            self.require(before_a > 0.0 or paused_s >= 3.0 - EPS_S, moment, f"PWM after {paused_s:.2f} s of X1")
            self.raised_s[number] = moment.now_s
        if before_a > 0.0 and offer_a == 0.0:
            self.x1_since_s[number] = moment.now_s
        self.offers[number] = offer_a

    def _judge_limits(self, moment: Moment, number: int, offer_a: float) -> None:
        section = self.board.connector[number - 1]
        report = self.latest(moment, number)
        self.require(report is not None and number in self.wishes, moment, "offers without being asked")
        assert report is not None
        wish, at_s = self.wishes[number]
        # What a lapsed lease leaves is INV-12's business.
        wished_a = wish.offer_a if moment.now_s < at_s + wish.lease_s else float("inf")
        limits = {"rating": section.max_a, "co-processor": self.max_a, "agent": wished_a}
        cable_a = section.cable_a if section.cable is Cable.FIXED else self.cables.get(number, 0.0)
        limits["cable"] = cable_a
        if report.temperature_c is None:
            limits["sensor lost"] = 10.0
        elif report.temperature_c > 60.0:
            part = min(1.0, (report.temperature_c - 60.0) / 5.0)
            limits["temperature"] = section.max_a - part * (section.max_a - 6.0)
        source = min(limits, key=lambda name: limits[name])
        self.require(offer_a <= limits[source] + 1e-6, moment, f"offers {offer_a} A, {source} is {limits[source]} A")


class RunsDownhill(Judge):
    """DESIGN D2: a lapsed lease never rises, never closes, and stops after the hold; a stale plug is no permission."""

    law = "INV-12"

    def __init__(self, board: Board) -> None:
        super().__init__(board)
        self.wishes: dict[int, tuple[SetPoint, float] | None] = {}
        self.plugs: dict[int, str | None] = dict.fromkeys(self.numbers)
        self.offers: dict[int, float] = defaultdict(float)

    def look(self, moment: Moment) -> None:
        event = moment.event
        for number in self.numbers:
            if self.ids[number] != self.plugs[number]:
                self.plugs[number], self.wishes[number] = self.ids[number], None
        if isinstance(event, SetPoint) and event.plug_id is not None and event.plug_id == self.ids[event.connector]:
            self.wishes[event.connector] = (event, moment.now_s)
        for number in self.numbers:
            offer_a = float(moment.drives[number].pilot.limit_a)
            self._judge_lapse(moment, number, offer_a)
            self.offers[number] = offer_a

    def _judge_lapse(self, moment: Moment, number: int, offer_a: float) -> None:
        known = self.wishes.get(number)
        wish, at_s = known if known is not None else (None, 0.0)
        is_held = wish is not None and moment.now_s < at_s + wish.lease_s
        if moment.closes(number):
            self.require(is_held and wish is not None and wish.permission, moment, "closes without a held permission")
        if is_held:
            return
        self.require(offer_a <= self.offers[number], moment, f"rises to {offer_a} A after the lapse")
        if wish is None:
            self.require(offer_a == 0.0, moment, "offers without a set-point for this plug")
            return
        lapsed_s = moment.now_s - at_s - wish.lease_s
        self.require(offer_a <= max(wish.on_lapse_a, 0.0), moment, f"holds {offer_a} A after the lapse")
        is_over = lapsed_s > wish.hold_s + 1.1
        is_restricted = wish.restrict_at_s is not None and moment.now_s > max(
            wish.restrict_at_s + 1.1, at_s + wish.lease_s + 1.1
        )
        if is_over or is_restricted:
            self.require(offer_a == 0.0, moment, "offers after the hold")


class FollowsTheStages(Judge):
    """INV-11: a second without a fresh sample is a loss; 3 s later the relay is open; a reboot opens at once."""

    law = "INV-11"

    def __init__(self, board: Board) -> None:
        super().__init__(board)
        self.fresh_s: dict[int, float] = {}
        self.is_up = False
        self.needs_report: set[int] = set(self.numbers)

    def look(self, moment: Moment) -> None:
        event = moment.event
        if isinstance(event, LinkUp):
            self.is_up, self.needs_report = True, set(self.numbers)
            for number in self.numbers:
                self.fresh_s[number] = moment.now_s
                self.require(not moment.is_closed(number), moment, "closed across a handshake")
        if isinstance(event, LinkDown):
            self.is_up = False
        if isinstance(event, PilotReport) and self.is_up:
            sampled_s = event.received_s - event.sample_age_s
            self.fresh_s[event.connector] = max(sampled_s, self.fresh_s.get(event.connector, sampled_s))
            self.needs_report.discard(event.connector)
        for number in self.numbers:
            silent_s = moment.now_s - self.fresh_s.get(number, moment.now_s)
            self.require(not (moment.is_closed(number) and silent_s > 4.1), moment, f"closed after {silent_s:.1f} s")
            if moment.closes(number):
                self.require(self.is_up and silent_s < 1.0, moment, "closes without a live co-processor")
                self.require(number not in self.needs_report, moment, "closes without a report since the handshake")


class WaitsAfterStart(Judge):
    """INV-14: the first outputs are open, nothing closes in the first 5 s of the guard."""

    law = "INV-14"

    def look(self, moment: Moment) -> None:
        if not moment.before:
            for number in self.numbers:
                drive = moment.drives.get(number)
                is_safe = drive is not None and not drive.is_relay_closed and not drive.pilot.permit
                self.require(is_safe, moment, "the first outputs are not open")
        for number in self.numbers:
            if moment.closes(number):
                assert self.started_s is not None
                up_s = moment.now_s - self.started_s
                self.require(up_s >= 5.0 - EPS_S, moment, f"closes {up_s:.1f} s after the start")


class SparesTheContactor(Judge):
    """INV-16: 10 s between closings, at most 6 in ten minutes, every one counted and remembered."""

    law = "INV-16"

    def __init__(self, board: Board) -> None:
        super().__init__(board)
        self.closings_s: dict[int, list[float]] = defaultdict(list)
        self.totals: dict[int, int] = defaultdict(int)

    def restart(self) -> None:
        """The count outlives the guard, and so does the window of ten minutes."""
        closings_s, totals = self.closings_s, self.totals
        super().restart()
        self.closings_s, self.totals = closings_s, totals

    def look(self, moment: Moment) -> None:
        for number in self.numbers:
            if not moment.closes(number):
                continue
            times_s = self.closings_s[number]
            if times_s:
                apart_s = moment.now_s - times_s[-1]
                self.require(apart_s >= 10.0 - EPS_S, moment, f"closes again after {apart_s:.1f} s")
            recent = [at_s for at_s in times_s if moment.now_s - at_s < 600.0 - EPS_S]
            self.require(len(recent) < 6, moment, "closes a seventh time in ten minutes")
            times_s.append(moment.now_s)
            self.totals[number] += 1
            kept = [effect for effect in moment.effects if isinstance(effect, Remember)]
            is_counted = bool(kept) and kept[-1].closings[number] == self.totals[number]
            self.require(is_counted, moment, "a closing is not counted")


class PairsItsRecords(Judge):
    """Not an invariant of the safety case, but others build on it: records of contactor and plug alternate."""

    law = "records"

    def __init__(self, board: Board) -> None:
        super().__init__(board)
        self.is_closed: dict[int | None, bool] = defaultdict(bool)
        self.faults: dict[int | None, set[FaultCode]] = defaultdict(set)

    def restart(self) -> None:
        """What only a person clears is in force from the start, without a new record."""
        faults = {number: codes & KEPT_CODES for number, codes in self.faults.items()}
        super().restart()
        self.faults.update(faults)

    def look(self, moment: Moment) -> None:
        for record in (effect for effect in moment.effects if isinstance(effect, Record)):
            if record.kind in (EventKind.CONTACTOR_CLOSED, EventKind.CONTACTOR_OPENED):
                closes = record.kind is EventKind.CONTACTOR_CLOSED
                self.require(self.is_closed[record.connector] is not closes, moment, f"{record.kind} twice")
                self.is_closed[record.connector] = closes
            if record.kind in (EventKind.FAULT_RAISED, EventKind.FAULT_CLEARED) and record.fault is not None:
                raises = record.kind is EventKind.FAULT_RAISED
                self.require((record.fault in self.faults[record.connector]) is not raises, moment, "fault twice")
                self.faults[record.connector] ^= {record.fault}
