"""Soft and hard reset (OCPP 1.6, 5.14; ocpp16.md rule 12). Pure.

Both end the transactions, and nobody may begin another. Soft waits until the stops have gone to the outbox with their
last register, then asks for the restart. Hard has the guard take the pilot away at once, open when the car has let go (at the latest
after 6 s), and reset the co-processor and itself; its stops are on the disk in the same step and go out after the restart where they cannot before.
"""

from dataclasses import replace

from evcharge_agent.core import lifecycle
from evcharge_agent.core.books import Reset
from evcharge_agent.core.effects import Restart, TellGuard
from evcharge_agent.core.events import ResetOrdered
from evcharge_agent.core.facts import StopReason
from evcharge_agent.core.state import StopCause
from evcharge_agent.core.turn import Turn
from evcharge_hal.contract.channel import Reply, ResetGuard

SOFT_WITHIN_S = 12.0
"""A car has 6 s to let go of the contactor, its stop 2 s more for the last reading; then come slow disks."""
HARD_WITHIN_S = 9.0
"""The same 6 s and 2 s; the stop itself is on the disk from the first step, a slow disk costs no more than its register."""
GUARD_ANSWERS_WITHIN_S = 1.0
"""The guard answers in the turn that hears of it; silence for so long is a failed attempt (ResetRetries)."""


def order(turn: Turn, event: ResetOrdered) -> None:
    """The central system was answered; a hard reset overtakes a soft one, anything else waits for nothing new."""
    ongoing = turn.state.orders.reset
    if ongoing is not None and (ongoing.is_hard or not event.is_hard):
        return
    turn.note("reset_ordered", is_hard=event.is_hard)
    reason = StopReason.HARD_RESET if event.is_hard else StopReason.SOFT_RESET
    for number in turn.numbers:
        lifecycle.stop(turn, number, StopCause(reason, turn.now))
    within_s = HARD_WITHIN_S if event.is_hard else SOFT_WITHIN_S
    tries = 1 + turn.rules.session.reset_retries if event.is_hard else 0
    _put(turn, Reset(event.is_hard, until_s=turn.now_s + within_s, tries_left=tries, ask_s=turn.now_s))


def check_time(turn: Turn) -> None:
    """Ask the guard when it is due; ask for the restart once all that can be done is done."""
    reset = turn.state.orders.reset
    if reset is None or reset.is_leaving:
        return
    if _must_ask(turn, reset):
        reset = _ask_guard(turn, reset)
    is_settled = all(_is_settled(turn, number) for number in turn.numbers)
    is_guard_told = not reset.is_hard or reset.is_answered or not turn.state.guard.is_connected
    if (is_settled and is_guard_told) or turn.now_s >= reset.until_s:
        reset = replace(reset, is_leaving=True)
        turn.emit(Restart(reset.is_hard))
    _put(turn, reset)


def take_reply(turn: Turn, reply: Reply) -> None:
    """The guard has heard of it: no pilot states a current any more, and no wish counts."""
    reset = turn.state.orders.reset
    if reset is not None and reply.request == reset.request:
        _put(turn, replace(reset, is_answered=True))


def deadlines_s(reset: Reset | None) -> list[float | None]:
    """When a reset needs a step."""
    if reset is None or reset.is_leaving:
        return []
    return [reset.until_s, reset.ask_s if reset.tries_left and not reset.is_answered else None]


def _is_settled(turn: Turn, number: int) -> bool:
    session = turn.session(number)
    return session.transaction is None and session.ending is None


def _must_ask(turn: Turn, reset: Reset) -> bool:
    is_wanted = reset.tries_left > 0 and not reset.is_answered and turn.state.guard.is_connected
    return is_wanted and turn.now_s >= reset.ask_s


def _ask_guard(turn: Turn, reset: Reset) -> Reset:
    number = turn.run.next_number
    turn.run = replace(turn.run, next_number=number + 1)
    turn.emit(TellGuard(ResetGuard(number)))
    ask_s = turn.now_s + GUARD_ANSWERS_WITHIN_S
    return replace(reset, request=number, tries_left=reset.tries_left - 1, ask_s=ask_s)


def _put(turn: Turn, reset: Reset) -> None:
    turn.state = replace(turn.state, orders=replace(turn.state.orders, reset=reset))
