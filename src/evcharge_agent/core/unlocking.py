"""UnlockConnector (OCPP 1.6, 5.18; ocpp16.md rule 11): the energy stops first, then the guard gives the cable back. Pure.

The guard decides whether the outlet is dead and the lock has moved; its word is the answer. Nothing here makes a
connector Available: that it is when the cable is out.
"""

from collections.abc import Iterator
from dataclasses import replace

from evcharge_agent.core import lifecycle
from evcharge_agent.core.books import Pending, Unlocking
from evcharge_agent.core.effects import Answer, TellGuard
from evcharge_agent.core.events import UnlockAsked
from evcharge_agent.core.facts import StopReason
from evcharge_agent.core.state import StopCause
from evcharge_agent.core.turn import Turn
from evcharge_hal.contract.channel import ContactorState, Reply, Unlock, UnlockOutcome

UNLOCKED_WITHIN_S = 9.5
"""A car has 6 s to let go of the contactor, the lock 3 s for its tries; whoever asks waits 10 s."""


def order(turn: Turn, event: UnlockAsked) -> None:
    """Stop a transaction that runs, and ask the guard once the contactor is open."""
    number = event.connector
    rating = turn.connector(number).rating if turn.knows(number) else None
    if rating is None or not rating.has_lock:
        _answer(turn, event, UnlockOutcome.NOT_SUPPORTED)
        return
    if not turn.state.guard.is_connected:
        _answer(turn, event, UnlockOutcome.FAILED)
        return
    _finish(turn, number, UnlockOutcome.FAILED)
    if turn.session(number).transaction is not None:
        lifecycle.stop(turn, number, StopCause(StopReason.UNLOCK_COMMAND, turn.now))
    # Whoever orders this knows whose cable it is.
    turn.put(replace(turn.connector(number), kept_plug=None))
    turn.note("unlock_ordered", number)
    _put(turn, number, Unlocking(event.request, turn.now_s + UNLOCKED_WITHIN_S))


def check_time(turn: Turn) -> None:
    """Ask the guard where nothing flows any more; give up where that takes too long."""
    for number, unlocking in tuple(turn.state.pending.unlocks.items()):
        if turn.now_s >= unlocking.deadline_s:
            _finish(turn, number, UnlockOutcome.FAILED)
        elif unlocking.asked is None and _is_dead(turn, number):
            asked = turn.run.next_number
            turn.run = replace(turn.run, next_number=asked + 1)
            turn.emit(TellGuard(Unlock(asked, number)))
            _put(turn, number, replace(unlocking, asked=asked))


def take_reply(turn: Turn, reply: Reply) -> None:
    """The guard says what came of it."""
    for number, unlocking in tuple(turn.state.pending.unlocks.items()):
        if unlocking.asked == reply.request:
            _finish(turn, number, UnlockOutcome.UNLOCKED if reply.is_accepted else UnlockOutcome.FAILED)


def give_up(turn: Turn) -> None:
    """The guard has gone, and its answers with it."""
    for number in tuple(turn.state.pending.unlocks):
        _finish(turn, number, UnlockOutcome.FAILED)


def deadlines_s(pending: Pending) -> Iterator[float]:
    """When an order needs a step."""
    return (unlocking.deadline_s for unlocking in pending.unlocks.values())


def _is_dead(turn: Turn, number: int) -> bool:
    seen = turn.connector(number).seen
    # What was seen before the guard went away proves nothing.
    is_over = turn.state.guard.is_current and turn.session(number).transaction is None
    return is_over and seen is not None and seen.contactor is ContactorState.OPEN


def _finish(turn: Turn, number: int, outcome: UnlockOutcome) -> None:
    """Answer an order that waits, if there is one."""
    unlocks = dict(turn.state.pending.unlocks)
    unlocking = unlocks.pop(number, None)
    if unlocking is None:
        return
    turn.state = replace(turn.state, pending=replace(turn.state.pending, unlocks=unlocks))
    turn.note("unlock_ended", number, outcome=outcome.value)
    is_unlocked = outcome is UnlockOutcome.UNLOCKED
    turn.emit(Answer(unlocking.request, is_accepted=is_unlocked, reason=outcome.value))


def _answer(turn: Turn, event: UnlockAsked, outcome: UnlockOutcome) -> None:
    turn.emit(Answer(event.request, is_accepted=False, reason=outcome.value))


def _put(turn: Turn, number: int, unlocking: Unlocking) -> None:
    pending = turn.state.pending
    turn.state = replace(turn.state, pending=replace(pending, unlocks={**pending.unlocks, number: unlocking}))
