"""Connectors the central system has taken out of service (OCPP 1.6, 5.2; ocpp16.md rule 9). Pure.

Two things are kept apart: the *order*, which outlives restarts, and whether a connector *is out*, which follows from
the order as soon as nobody is being served there. A connector that is out stays out whatever is plugged in.
"""

from collections.abc import Iterable
from dataclasses import replace

from evcharge_agent.core.books import AvailabilityChange
from evcharge_agent.core.effects import Answer, RememberAvailability
from evcharge_agent.core.events import (
    AvailabilityAsked,
    AvailabilityKept,
    AvailabilityOrdered,
    UpdateAsked,
    UpdateAwaited,
)
from evcharge_agent.core.reasons import Reason
from evcharge_agent.core.session import Phase
from evcharge_agent.core.state import Session
from evcharge_agent.core.turn import Turn

STATION = 0
SCHEDULED = "scheduled"
"""Reason of an accepted order that waits for somebody to be served first."""

GUARD_COMES_WITHIN_S = 30.0
"""A guard that has not come by then is broken: it must not keep the firmware away that mends it."""

_NOBODY_IS_SERVED = (Phase.IDLE, Phase.FINISHED)


def is_ordered_out(inoperative: frozenset[int], number: int) -> bool:
    """The order concerns this connector; that of the station concerns all."""
    return number in inoperative or STATION in inoperative


def apply_order(
    inoperative: frozenset[int], number: int, numbers: Iterable[int], *, is_operative: bool
) -> frozenset[int]:
    """Take an order in: 0 cascades to all connectors; one connector put to work again ends the station's order."""
    if number == STATION:
        return frozenset() if is_operative else frozenset({STATION})
    if not is_operative:
        return inoperative if STATION in inoperative else inoperative | {number}
    ordered = frozenset(numbers) if STATION in inoperative else inoperative
    return ordered - {number}


def is_busy(session: Session) -> bool:
    """Somebody is being served, or about to be: an order waits until that is over (Preparing counts)."""
    return session.phase not in _NOBODY_IS_SERVED or session.transaction is not None or session.ending is not None


def take_order(turn: Turn, event: AvailabilityAsked) -> None:
    """Have an order written; it is answered when no restart can undo it. The same again is not written."""
    if event.connector != STATION and not turn.knows(event.connector):
        turn.answer(event.request, Reason.UNKNOWN_CONNECTOR)
        return
    orders = turn.state.orders
    before = list(orders.asked.values())[-1].inoperative if orders.asked else orders.kept
    after = apply_order(before, event.connector, turn.numbers, is_operative=event.is_operative)
    concerned = turn.numbers if event.connector == STATION else (event.connector,)
    waits = [number for number in concerned if not turn.connector(number).is_out and is_busy(turn.session(number))]
    word = SCHEDULED if waits and not event.is_operative else ""
    if after == before and not orders.asked:
        turn.emit(Answer(event.request, is_accepted=True, reason=word))
        return
    asked = {**orders.asked, event.request: AvailabilityChange(after, word)}
    turn.state = replace(turn.state, orders=replace(orders, asked=asked))
    turn.emit(RememberAvailability(after, event.request))
    turn.note("availability_ordered", event.connector or None, is_operative=event.is_operative)


def take_kept(turn: Turn, event: AvailabilityKept) -> None:
    """The order is on the disk, or could not be written and is refused."""
    orders = turn.state.orders
    change = orders.asked.get(event.request)
    if change is None:
        return
    asked = {request: item for request, item in orders.asked.items() if request != event.request}
    kept = change.inoperative if event.is_kept else orders.kept
    turn.state = replace(turn.state, orders=replace(orders, kept=kept, asked=asked))
    if event.is_kept:
        turn.emit(Answer(event.request, is_accepted=True, reason=change.word))
    else:
        turn.answer(event.request, Reason.STORAGE_FAILED)


def carry_out(turn: Turn, _event: AvailabilityOrdered) -> None:
    """The answer has been sent: what is on the disk acts (rule 9: the answer first)."""
    turn.state = replace(turn.state, orders=replace(turn.state.orders, inoperative=turn.state.orders.kept))


def await_update(turn: Turn, event: UpdateAwaited) -> None:
    """Firmware takes the station out of service as an order does, but for as long as it waits only."""
    if turn.state.orders.is_update_awaited is not event.is_awaited:
        turn.state = replace(turn.state, orders=replace(turn.state.orders, is_update_awaited=event.is_awaited))
        turn.note("update_awaited", is_awaited=event.is_awaited)


def answer_update(turn: Turn, event: UpdateAsked) -> None:
    """Nobody is served, and nobody can be: every connector is out; which there are, the guard tells."""
    connectors = [turn.connector(number) for number in turn.numbers]
    is_known = bool(connectors) or turn.now_s >= turn.state.guard.lost_s + GUARD_COMES_WITHIN_S
    is_clear = is_known and all(connector.is_out and connector.session.transaction is None for connector in connectors)
    turn.emit(Answer(event.request, is_accepted=turn.state.orders.is_update_awaited and is_clear))


def follow(turn: Turn) -> None:
    """Take connectors out where the order waits for nobody any more, and put them back to work."""
    if not turn.state.central.is_connected and turn.state.orders.inoperative != turn.state.orders.kept:
        # The line went before the answer could be sent; nobody waits for it any more.
        turn.state = replace(turn.state, orders=replace(turn.state.orders, inoperative=turn.state.orders.kept))
    inoperative = turn.state.orders.out
    for number in turn.numbers:
        connector = turn.connector(number)
        is_out = is_ordered_out(inoperative, number) and (connector.is_out or not is_busy(connector.session))
        if is_out is not connector.is_out:
            turn.put(replace(connector, is_out=is_out))
            turn.note("out_of_service" if is_out else "back_in_service", number)
