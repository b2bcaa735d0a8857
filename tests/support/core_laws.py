"""What must hold of the agent's core whatever happens, checked after every step. Independent of how it is done.

The laws see only what the core was told, what it asked for, and the facts it keeps; `LawBroken` names the law.
"""

import math
from collections import Counter
from collections.abc import Iterable

from evcharge_agent.core import events as e
from evcharge_agent.core.effects import (
    Answer,
    CommitSample,
    CommitStart,
    CommitStop,
    ConnectorState,
    Effect,
    FinishStop,
    ForgetAuthorisations,
    Keep,
    RememberAvailability,
    ReportStatus,
    Restart,
    TellGuard,
)
from evcharge_agent.core.facts import (
    Instant,
    MeterSample,
    OpenTransaction,
    ReadingContext,
    Shelf,
    StopReason,
    TransactionKey,
    TransactionStart,
    TransactionStop,
    same_id,
)
from evcharge_agent.core.reservations import Reservation
from evcharge_agent.core.session import Phase
from evcharge_agent.core.state import State
from evcharge_agent.core.step import next_deadline_s
from evcharge_agent.core.transactions import FINISH_WITHIN_S
from evcharge_agent.core.unlocking import UNLOCKED_WITHIN_S
from evcharge_hal.contract.channel import ContactorState, SetPoint, Unlock
from tests.support.charging_laws import excess_of_offers, orphans

S = ConnectorState
IN_TRANSACTION = {S.CHARGING, S.SUSPENDED_EV, S.SUSPENDED_EVSE}
ENDS = {S.AVAILABLE, S.FINISHING, S.UNAVAILABLE, S.FAULTED}
LEGAL: dict[ConnectorState, set[ConnectorState]] = {
    S.AVAILABLE: {S.PREPARING, S.RESERVED, S.UNAVAILABLE, S.FAULTED} | IN_TRANSACTION,
    S.PREPARING: {S.AVAILABLE, S.FINISHING, S.FAULTED} | IN_TRANSACTION,
    S.CHARGING: ENDS | IN_TRANSACTION,
    S.SUSPENDED_EV: ENDS | IN_TRANSACTION,
    S.SUSPENDED_EVSE: ENDS | IN_TRANSACTION,
    S.RESERVED: {S.AVAILABLE, S.PREPARING, S.UNAVAILABLE, S.FAULTED},
    S.FINISHING: {S.AVAILABLE, S.PREPARING, S.UNAVAILABLE, S.FAULTED},
    S.UNAVAILABLE: {S.AVAILABLE, S.PREPARING, S.FAULTED} | IN_TRANSACTION,
    S.FAULTED: set(S),
}
"""OCPP 1.6, 4.9: what may follow what. The same state again is legal with another errorCode."""

AT_ONCE = (
    e.RemoteStartRequested,
    e.RemoteStopRequested,
    e.StopRequested,
    e.CacheClearRequested,
    e.UpdateAsked,
)
"""Requests answered in the step that hears of them."""

KEPT_FIRST = (
    e.AvailabilityAsked,
    e.LocalListSent,
    e.ReserveRequested,
    e.CancelRequested,
    e.ChargingProfileSet,
    e.ChargingProfilesCleared,
)
"""Requests answered when what they ask for is on the disk."""


class LawBroken(AssertionError):  # noqa: N818 - a law is broken
    """The name of a law that does not hold, and what broke it."""


class Laws:
    """Follows one store over any number of runs of the core."""

    def __init__(self) -> None:
        self.starts: dict[TransactionKey, TransactionStart] = {}
        self.pending: set[TransactionKey] = set()
        self.committed: set[TransactionKey] = set()
        self.stops: dict[TransactionKey, TransactionStop] = {}
        self.retryable: set[TransactionKey] = set()
        self.held: dict[TransactionKey, float] = {}
        """Stops that may not go out yet, with the time they were written."""
        self.finishes: dict[TransactionKey, FinishStop] = {}
        self.answers: Counter[str] = Counter()
        self.waiting: set[str] = set()
        self.energies_wh: dict[TransactionKey, int] = {}
        self._new_stops: list[TransactionStop] = []
        self._raised_s: dict[int, float] = {}
        self._reports: dict[int, ReportStatus] = {}
        self.inoperative: frozenset[int] = frozenset()
        """As last written."""
        self.writing: dict[str, frozenset[int]] = {}
        self.out: set[int] = set()
        """Connectors that were told to be Unavailable, and whose order stands."""
        self.is_leaving = False
        self.is_update_awaited = False
        self.unlocks: dict[str, float] = {}
        """Since when somebody waits for a cable."""
        self.asked: dict[str, Reservation] = {}
        self.cancels: dict[str, int] = {}
        self.reserved: dict[int, Reservation] = {}
        """Granted, not over."""

    @property
    def open(self) -> list[TransactionKey]:
        """Transactions on the disk without a stop."""
        return [key for key in self.starts if key in self.committed and key not in self.stops]

    def begin_run(self, open_transactions: Iterable[OpenTransaction], now_s: float) -> None:
        """A new process: what was not on the disk is gone, and so is everything told to others."""
        kept = {item.start.transaction for item in open_transactions}
        self.committed |= kept & self.pending
        self.pending.clear()
        self.waiting.clear()
        self.retryable = set(self.stops)
        self.held = dict.fromkeys(self.held, now_s)
        self._raised_s.clear()
        self._reports.clear()
        self.out.clear()
        self.unlocks.clear()
        self.is_leaving = False
        self.is_update_awaited = False

    def observe(self, event: e.Event, before: State, after: State, effects: tuple[Effect, ...], now: Instant) -> None:
        """Judge one step."""
        self._new_stops = []
        self.writing |= {one.request: one.inoperative for one in effects if isinstance(one, RememberAvailability)}
        self._hear(event)
        self._hear_orders(event, now)
        for effect in effects:
            match effect:
                case CommitStart(start):
                    self._start(start)
                case CommitStop():
                    self._stop(effect, now)
                case FinishStop():
                    self._finish(effect)
                case CommitSample(sample):
                    self._sample(sample, after)
                case ReportStatus():
                    self._report(effect)
                case Answer():
                    self._answer(effect)
                case TellGuard():
                    self._told(effect, after)
                case ForgetAuthorisations() | Restart() | Keep():
                    self._order_taken(effect)
                case _:
                    pass
        self._order(before, after, effects)
        self._raises(before, after, now)
        self._answered_at_once(event)
        self._update(event, after, effects)
        self._patience(now)
        self._silence(after, now)
        self._profiles(after, now)
        self._book(after)

    # --- one law each -------------------------------------------------------------------------------------

    def _hear(self, event: e.Event) -> None:
        if isinstance(event, e.StartCommitted) and event.transaction in self.pending:
            self.pending.discard(event.transaction)
            self.committed.add(event.transaction)
        elif isinstance(event, e.CommitFailed) and event.is_start and event.transaction in self.pending:
            self.pending.discard(event.transaction)
            del self.starts[event.transaction]
        elif isinstance(event, e.CommitFailed) and not event.is_start and event.transaction in self.stops:
            self.retryable.add(event.transaction)
        elif isinstance(event, e.AvailabilityKept) and event.is_kept:
            self.inoperative = self.writing.pop(event.request, self.inoperative)
        elif isinstance(event, (*AT_ONCE, e.StartRequested, e.ClearFaultRequested, *KEPT_FIRST)):
            self.waiting.add(event.request)
        if isinstance(event, e.Restored):
            self.reserved = {one.reservation_id: one for one in event.reservations}
        elif isinstance(event, e.ReserveRequested):
            self.asked[event.request] = event.reservation
        elif isinstance(event, e.CancelRequested):
            self.cancels[event.request] = event.reservation_id

    def _hear_orders(self, event: e.Event, now: Instant) -> None:
        if isinstance(event, e.UpdateAwaited):
            self.is_update_awaited = event.is_awaited
        elif isinstance(event, e.UnlockAsked):
            self.waiting.add(event.request)
            self.unlocks[event.request] = now.monotonic_s
        self.out = {number for number in self.out if self._is_ordered_out(number)}

    def _is_ordered_out(self, number: int) -> bool:
        return self.is_update_awaited or bool(self.inoperative & {0, number})

    def _start(self, start: TransactionStart) -> None:
        law(start.transaction not in self.starts, "a transaction starts once", start)
        others = [
            key for key in [*self.pending, *self.open, *self.held] if self.starts[key].connector == start.connector
        ]
        law(not others, "one open transaction per connector", start, others)
        law(start.meter_start_wh >= 0, "a register is not negative", start)
        law(start.connector not in self.out, "nobody is served where the connector is out of service", start)
        law(not self.is_leaving, "nobody begins between a reset and the restart", start)
        for one in self.reserved.values():
            is_kept = one.connector == start.connector and not one.parent_id_tag
            law(not is_kept or same_id(one.id_tag, start.id_tag), "nobody starts where it is kept for another", start)
        if start.reservation_id is not None:
            used = self.reserved.get(start.reservation_id) or self._asked_for(start.reservation_id)
            is_right = used is not None and used.connector in (0, start.connector)
            law(is_right, "a start uses a reservation of its connector", start, used)
        self.starts[start.transaction] = start
        self.pending.add(start.transaction)

    def _stop(self, commit: CommitStop, now: Instant) -> None:
        stop = commit.stop
        start = self.starts.get(stop.transaction)
        law(start is not None and stop.transaction in self.committed, "only what is on the disk is stopped", stop)
        earlier = self.stops.get(stop.transaction)
        is_retry = earlier == stop and stop.transaction in self.retryable
        law(earlier is None or is_retry, "exactly one stop per start", stop)
        law(start is not None and stop.meter_stop_wh >= start.meter_start_wh, "meterStop >= meterStart", stop)
        law(stop.id_tag is None or stop.reason is StopReason.LOCAL, "idTag only where one was presented", stop)
        self.stops[stop.transaction] = stop
        self._end(commit.end, stop.transaction, stop.meter_stop_wh)
        if earlier is None:
            self._new_stops.append(stop)
            if commit.is_held:
                self.held[stop.transaction] = now.monotonic_s
        elif stop.transaction not in self.finishes:
            self.retryable.discard(stop.transaction)

    def _finish(self, finish: FinishStop) -> None:
        key = finish.transaction
        is_retry = self.finishes.get(key) == finish and key in self.retryable
        law(key in self.held or is_retry, "a held stop goes out once", finish)
        law(finish.meter_stop_wh >= self.stops[key].meter_stop_wh, "the register of a stop never falls", finish)
        # Carried over to the clock of another boot, a stamp is off by a rounding.
        decided_s = self.stops[key].stopped.monotonic_s - 1e-6
        law(finish.stopped.monotonic_s >= decided_s, "energy ends after the stop", finish)
        self._end(finish.end, key, finish.meter_stop_wh)
        self.finishes[key] = finish
        self.held.pop(key, None)
        if is_retry:
            self.retryable.discard(key)

    def _order_taken(self, effect: ForgetAuthorisations | Restart | Keep) -> None:
        if isinstance(effect, ForgetAuthorisations):
            self._answer(Answer(effect.request, is_accepted=True))
        elif isinstance(effect, Keep):
            self._free(effect)
        else:
            law(not self.is_leaving, "a restart is asked for once", effect)
            self.is_leaving = True

    def _end(self, end: MeterSample | None, key: TransactionKey, meter_stop_wh: int) -> None:
        if end is None:
            return
        is_same = (end.transaction, end.reading.energy_wh) == (key, meter_stop_wh)
        law(is_same and end.context is ReadingContext.END, "the last sample carries the register of the stop", end)
        law(meter_stop_wh >= self.energies_wh.get(key, 0), "the register never falls", end)

    def _sample(self, sample: MeterSample, after: State) -> None:
        key = sample.transaction
        if sample.context is ReadingContext.CLOCK and after.run is not None:
            interval_s = after.run.rules.sampling.clock_aligned_data_interval_s
            law(sample.taken.utc_s % 86_400.0 % interval_s == 0.0, "clock-aligned samples lie on the boundary", sample)
        if key is None:
            is_extra = sample.context in (ReadingContext.CLOCK, ReadingContext.TRIGGER)
            law(is_extra, "only clock-aligned and asked-for samples are of no transaction", sample)
            return
        law(key in self.committed and key not in self.stops, "samples are of open ones", sample)
        if after.run is None:
            return
        energy_wh = sample.reading.energy_wh
        if energy_wh is not None:
            law(energy_wh >= self.energies_wh.get(key, 0), "the register never falls", sample)
            self.energies_wh[key] = energy_wh
        if sample.context is not ReadingContext.PERIODIC:
            return
        interval_s = after.run.rules.sampling.meter_value_sample_interval_s
        transaction = next(
            item.session.transaction
            for item in after.connectors.values()
            if item.session.transaction is not None and item.session.transaction.start.transaction == key
        )
        count = (sample.taken.monotonic_s - transaction.began_s) / interval_s
        is_multiple = count > 0.5 and abs(count - round(count)) * interval_s < 1e-6
        law(is_multiple, "samples lie at multiples of the interval", sample, count)

    def _report(self, report: ReportStatus) -> None:
        if report.connector == 0:
            allowed = {S.AVAILABLE, S.UNAVAILABLE, S.FAULTED}
            law(report.state in allowed, "connector 0 is Available, Unavailable or Faulted", report)
        last = self._reports.get(report.connector)
        if last is not None:
            said = (report.state, report.error_code, report.vendor_error_code)
            law(said != (last.state, last.error_code, last.vendor_error_code), "only changes are told", report)
            is_over = report.state in (S.AVAILABLE, S.PREPARING, S.FINISHING) and report.state is not last.state
            held = [key for key in self.held if self.starts[key].connector == report.connector]
            law(not (held and is_over), "no other state before the stop has gone out", report, held)
            is_legal = report.state is last.state or report.state in LEGAL[last.state]
            law(is_legal, "statuses follow each other as OCPP allows", last.state, report.state)
        if report.state is S.UNAVAILABLE and report.connector:
            law(self._is_ordered_out(report.connector), "Unavailable only by order", report)
            self.out.add(report.connector)
        is_kept = any(one.connector == report.connector for one in self.reserved.values())
        law(is_kept or report.state is not S.RESERVED, "Reserved only while somebody has reserved it", report)
        is_free = report.state is S.AVAILABLE and report.connector in self.out
        law(not is_free, "no Available while the order stands", report)
        is_evs = report.error_code == "EVCommunicationError"
        law(not (is_evs and report.state is S.FAULTED), "EVCommunicationError never with Faulted", report)
        self._reports[report.connector] = report

    def _answer(self, answer: Answer) -> None:
        law(answer.request in self.waiting, "an answer to a question, and only one", answer)
        self.waiting.discard(answer.request)
        self.unlocks.pop(answer.request, None)
        wanted = self.asked.pop(answer.request, None)
        if wanted is not None and answer.is_accepted:
            self.reserved[wanted.reservation_id] = wanted
        cancelled = self.cancels.pop(answer.request, None)
        if cancelled is not None and answer.is_accepted:
            self.reserved.pop(cancelled, None)
        self.answers[answer.request] += 1

    def _asked_for(self, number: int) -> Reservation | None:
        """One that is being written may be used already."""
        return next((one for one in self.asked.values() if one.reservation_id == number), None)

    def _free(self, keep: Keep) -> None:
        """What is over is so at once; what is cancelled stands until that is on the disk."""
        if keep.shelf is Shelf.RESERVATIONS and keep.request not in self.cancels:
            for name in keep.remove:
                self.reserved.pop(int(name), None)

    def _book(self, after: State) -> None:
        connectors = [one.connector for one in after.reserved.held.values() if one.connector]
        law(len(set(connectors)) == len(connectors), "one reservation per connector", connectors)

    def _told(self, effect: TellGuard, after: State) -> None:
        match effect.message:
            case SetPoint() as wish:
                self._set_point(wish, after)
            case Unlock(_, number):
                self._unlock(number, after)
            case _:
                pass

    def _set_point(self, wish: SetPoint, after: State) -> None:
        connector = after.connectors[wish.connector]
        rules = after.run.rules.limits if after.run is not None else None
        allowed_a = min(
            [ceiling.limit_a for ceiling in connector.seen.ceilings] if connector.seen is not None else [0.0],
            default=math.inf,
        )
        if rules is not None:
            allowed_a = min(allowed_a, rules.installer_limit_a, rules.user_limit_a)
        law(wish.offer_a == 0.0 or 6.0 <= wish.offer_a <= allowed_a + 1e-9, "0, or 6 A to the limit", wish, allowed_a)
        law(wish.on_lapse_a <= wish.offer_a, "a lapse never raises", wish)
        law(wish.permission or wish.offer_a == 0.0, "no offer without permission", wish)
        keys = [key for key in self.open if self.starts[key].connector == wish.connector]
        law(not wish.permission or len(keys) == 1, "permission only with a committed open transaction", wish)
        law(after.guard.is_current, "nothing is told to a guard that is not there", wish)
        installed_a = rules.installer_limit_a if rules is not None else 0.0
        total_a = sum(item.output.offer_a for item in after.connectors.values())
        law(total_a <= installed_a + 0.2, "all offers together within the installer's limit", total_a)

    def _order(self, before: State, after: State, effects: tuple[Effect, ...]) -> None:
        """Stopping and lowering come first, and in the same step. A stop written again has had its step."""
        for place, effect in enumerate(effects):
            if not isinstance(effect, CommitStop) or effect.stop not in self._new_stops:
                continue
            number = self.starts[effect.stop.transaction].connector
            told = before.connectors.get(number)
            was_permitted = told is not None and told.output.set_point is not None and told.output.is_permitted
            wishes = [
                (index, item.message)
                for index, item in enumerate(effects)
                if isinstance(item, TellGuard) and isinstance(item.message, SetPoint)
                if item.message.connector == number
            ]
            law(all(not wish.permission for _, wish in wishes), "no permission in the step of a stop", effect)
            law(all(index < place for index, _ in wishes), "the set-point goes before the stop", effect)
            law(bool(wishes) or not (was_permitted and after.guard.is_current), "a stop takes the energy away", effect)

    def _raises(self, before: State, after: State, now: Instant) -> None:
        for number, connector in after.connectors.items():
            known = before.connectors.get(number)
            if known is None or connector.output.offer_a <= known.output.offer_a:
                continue
            last_s = self._raised_s.get(number, -math.inf)
            law(now.monotonic_s - last_s >= 5.0, "raises are 5 s apart", number, last_s, now)
            self._raised_s[number] = now.monotonic_s

    def _answered_at_once(self, event: e.Event) -> None:
        if isinstance(event, AT_ONCE):
            law(event.request not in self.waiting, "remote and stop requests are answered at once", event)

    def _patience(self, now: Instant) -> None:
        for key, since_s in self.held.items():
            law(now.monotonic_s < since_s + FINISH_WITHIN_S, "a stop is held 8 s at most", key, since_s, now)
        for request, since_s in self.unlocks.items():
            is_in_time = now.monotonic_s < since_s + UNLOCKED_WITHIN_S
            law(is_in_time, "whoever wants a cable is answered in time", request, since_s, now)

    def _unlock(self, number: int, after: State) -> None:
        """As far as the core can see; the guard sees better."""
        connector = after.connectors[number]
        is_open = connector.seen is not None and connector.seen.contactor is ContactorState.OPEN
        is_dead = after.guard.is_current and is_open and connector.session.transaction is None
        law(is_dead and not connector.output.is_permitted, "no cable is given back under load", connector)

    def _update(self, event: e.Event, after: State, effects: tuple[Effect, ...]) -> None:
        if isinstance(event, e.UpdateAsked) and any(isinstance(one, Answer) and one.is_accepted for one in effects):
            law(self.is_update_awaited, "firmware is installed only where it was announced", event)
            is_served = bool(self.open or self.pending or self.held)
            law(not is_served, "firmware is installed only while nobody is served", self.open, self.held)
        kept_out = [
            number for number, one in after.connectors.items() if one.is_out and not self._is_ordered_out(number)
        ]
        law(not kept_out, "what is over keeps nobody out of service", kept_out)

    def _silence(self, after: State, now: Instant) -> None:
        deadline_s = next_deadline_s(after)
        law(deadline_s is None or deadline_s > now.monotonic_s, "a deadline lies ahead", deadline_s)
        if not after.guard.is_current:
            return
        for connector in after.connectors.values():
            if connector.session.phase is Phase.RESUMING:
                continue
            law(connector.output.set_point is not None, "the guard knows our wish", connector.number)
            age_s = now.monotonic_s - connector.output.sent_s
            law(age_s <= 1.0, "the wish is renewed every second", connector.number, age_s)

    def _profiles(self, after: State, now: Instant) -> None:
        excess = excess_of_offers(after, now)
        law(excess is None, "no offer above an active charging profile", excess)
        law(not orphans(after), "a TxProfile goes with its transaction", orphans(after))


def law(holds: bool, name: str, *found: object) -> None:
    """Raise if a law does not hold."""
    if not holds:
        raise LawBroken(f"{name}: " + "; ".join(map(repr, found)))
