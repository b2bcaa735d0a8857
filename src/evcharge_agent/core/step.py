"""The one door into the core: `step` dispatches an event, then everything that follows from it is derived.

No clock, randomness, I/O or await here or below; what the shell knows it hands in.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from evcharge_agent.core import (
    availability,
    claims,
    extra_samples,
    guarding,
    lifecycle,
    list_updates,
    metering,
    outputs,
    readings,
    reserving,
    reset,
    restore,
    smart_charging,
    status,
    transactions,
    unlocking,
)
from evcharge_agent.core import events as e
from evcharge_agent.core.effects import Effect, Level, Note
from evcharge_agent.core.facts import Instant, Shelf
from evcharge_agent.core.state import CentralSystem, GuardLink, State
from evcharge_agent.core.turn import Turn


def initial(now: Instant) -> State:
    """The state before `Restored`, the first event of every run."""
    return State(guard=GuardLink(lost_s=now.monotonic_s))


def step(state: State, event: e.Event, now: Instant) -> tuple[State, tuple[Effect, ...]]:
    """Take one event at `now`; returns the new state and what the shells are to do, in this order."""
    if isinstance(event, e.Restored):
        turn = restore.restore(state, event, now)
    elif state.run is None:
        return state, (Note("ignored_before_restore", Level.WARNING, fields={"event": type(event).__name__}),)
    else:
        turn = Turn(state, state.run, now)
        _HANDLERS[type(event)](turn, event)
    restore.follow_clock(turn)
    _let_time_pass(turn)
    outputs.derive(turn)
    return turn.finish()


def next_deadline_s(state: State) -> float | None:
    """Monotonic time at which `TimePassed` must come at the latest; None while nothing is awaited.

    Always later than the last step, which has looked at everything that was due.
    """
    if state.run is None:
        return None
    rules = state.run.rules
    deadlines: list[float | None] = [
        transactions.deadline_s(state.pending),
        status.grace_deadline_s(state.guard),
        state.aligned.due_s if state.aligned is not None else None,
        *reset.deadlines_s(state.orders.reset),
        *unlocking.deadlines_s(state.pending),
        state.charging.spans.next_change_s,
        *reserving.deadlines_s(state.reserved),
    ]
    for connector in state.connectors.values():
        deadlines += outputs.next_deadline_s(state, rules, connector)
        deadlines += lifecycle.deadlines_s(connector.session, rules.session.connection_time_out_s)
        deadlines.append(None if connector.meter.is_lost else metering.lost_at_s(connector.meter))
        deadlines.append(connector.session.ending.deadline_s if connector.session.ending is not None else None)
    to_come = [deadline for deadline in deadlines if deadline is not None and deadline > state.stepped_s]
    return min(to_come, default=None)


def _let_time_pass(turn: Turn) -> None:
    """Whatever is due by the clock happens with any event, so no event can starve a deadline."""
    for number in turn.numbers:
        readings.check_time(turn, number)
        transactions.check_ending(turn, number)
        transactions.check_grace(turn, number)
        claims.check_autostart(turn, number)
        lifecycle.check_time(turn, number)
    transactions.check_time(turn)
    extra_samples.check_time(turn)
    reset.check_time(turn)
    unlocking.check_time(turn)
    availability.follow(turn)
    smart_charging.follow(turn)
    reserving.follow(turn)


def _pass_time(_turn: Turn, _event: e.TimePassed) -> None:
    """Nothing happened but the time."""


def _change_central_system(turn: Turn, event: e.CentralSystemChanged) -> None:
    turn.state = replace(turn.state, central=CentralSystem(event.is_connected, event.is_accepted))


def _start_committed(turn: Turn, event: e.StartCommitted) -> None:
    connector = turn.find(event.transaction)
    if connector is not None:
        lifecycle.committed(turn, connector.number)


def _commit_failed(turn: Turn, event: e.CommitFailed) -> None:
    connector = turn.find(event.transaction)
    if event.is_start and connector is not None:
        lifecycle.commit_failed(turn, connector.number)
    else:
        transactions.stop_failed(turn, event.transaction, event.reason)


def _kept(turn: Turn, event: e.Kept) -> None:
    taker = _SHELVES.get(event.shelf)
    if taker is not None:
        taker(turn, event)


_SHELVES: Mapping[Shelf, Callable[[Turn, e.Kept], None]] = {
    Shelf.LOCAL_LIST: list_updates.take_kept,
    Shelf.CHARGING_PROFILES: smart_charging.take_kept,
    Shelf.RESERVATIONS: reserving.take_kept,
}
"""Who acts once a shelf was written."""

_HANDLERS: Mapping[type, Callable[[Turn, Any], None]] = {
    e.TimePassed: _pass_time,
    e.RulesChanged: restore.change_rules,
    e.GuardConnected: guarding.connect,
    e.GuardLost: guarding.lose,
    e.StatusReceived: guarding.take_status,
    e.GuardReported: guarding.take_report,
    e.GuardReplied: guarding.take_reply,
    e.MeterRead: readings.take_reading,
    e.MeterFailed: readings.take_failure,
    e.CardPresented: claims.present_card,
    e.CentralSystemChanged: _change_central_system,
    e.AuthorizeAnswered: claims.take_answer,
    e.TransactionRegistered: claims.register,
    e.TagInfoLearned: claims.learn,
    e.RemoteStartRequested: claims.start_remotely,
    e.RemoteStopRequested: claims.stop_remotely,
    e.UnlockAsked: unlocking.order,
    e.AvailabilityAsked: availability.take_order,
    e.AvailabilityOrdered: availability.carry_out,
    e.AvailabilityKept: availability.take_kept,
    e.UpdateAwaited: availability.await_update,
    e.UpdateAsked: availability.answer_update,
    e.ResetOrdered: reset.order,
    e.CacheClearRequested: claims.clear_cache,
    e.LocalListSent: list_updates.take_update,
    e.ChargingProfileSet: smart_charging.set_profile,
    e.ChargingProfilesCleared: smart_charging.clear_profiles,
    e.ReserveRequested: reserving.reserve,
    e.CancelRequested: reserving.cancel,
    e.SampleRequested: extra_samples.take_request,
    e.StartCommitted: _start_committed,
    e.CommitFailed: _commit_failed,
    e.Kept: _kept,
    e.StartRequested: claims.start_locally,
    e.StopRequested: claims.stop_locally,
    e.ClearFaultRequested: guarding.clear_fault,
}
