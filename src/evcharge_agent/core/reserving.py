"""ReserveNow and CancelReservation, and the life of a reservation until it is used, over or withdrawn (rule 18).

A reservation keeps others away from the step that grants it, and is told to nobody before it is on the disk. Dates
are compared with the time only while that is known: a clock that starts in the past or the future ends nothing.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from evcharge_agent.core import faults, reservations
from evcharge_agent.core.authorisation import believed_utc_s
from evcharge_agent.core.books import ReservationBook, ReservationWrite
from evcharge_agent.core.effects import Keep
from evcharge_agent.core.events import CancelRequested, Kept, RequestId, ReserveRequested
from evcharge_agent.core.facts import IdTag, IdTagInfo, OpenTransaction, Shelf
from evcharge_agent.core.reasons import Reason
from evcharge_agent.core.reservations import Admission, Place, Refusal, Reservation
from evcharge_agent.core.session import Phase
from evcharge_agent.core.state import Claim, Connector
from evcharge_agent.core.turn import Turn

RETRY_S = 30.0
"""A removal that could not be written is tried again this often; else it would come back with the next start."""
_REASONS = {
    Refusal.OCCUPIED: Reason.BUSY,
    Refusal.FAULTED: Reason.FAULT,
    Refusal.UNAVAILABLE: Reason.OUT_OF_SERVICE,
    Refusal.REJECTED: Reason.RESERVATION_REFUSED,
}


def take_up(turn: Turn, kept: Iterable[Reservation], unfinished: Iterable[OpenTransaction]) -> None:
    """Begin a run with what was on the disk; one that a transaction has used is over.

    A number that was given again meanwhile, for another connector, is another reservation.
    """
    used = {(one.start.reservation_id, one.start.connector) for one in unfinished}
    held = {one.reservation_id: one for one in kept}
    turn.state = replace(turn.state, reserved=ReservationBook(held))
    over = {number for number, connector in used if number in held and held[number].connector in (0, connector)}
    _end(turn, frozenset(number for number in over if number is not None), "used")


def reserve(turn: Turn, event: ReserveRequested) -> None:
    """ReserveNow; answered when it is on the disk, or at once if there is nothing to reserve."""
    wanted = event.reservation
    if turn.state.orders.reset is not None:
        turn.answer(event.request, Reason.RESTARTING)
        return
    held = turn.state.reserved.held
    takes_station = turn.rules.reservation.reserve_connector_zero_supported
    refusal = reservations.decide(held, wanted, places(turn), believed_utc_s(turn.now), takes_station=takes_station)
    if refusal is not None:
        turn.answer(event.request, _REASONS[refusal])
        return
    before = held.get(wanted.reservation_id)
    _hold(turn, {**held, wanted.reservation_id: wanted})
    _await(turn, event.request, ReservationWrite(frozenset({wanted.reservation_id}), wanted, before))
    turn.emit(Keep(Shelf.RESERVATIONS, {_name(wanted.reservation_id): wanted}, request=event.request))


def cancel(turn: Turn, event: CancelRequested) -> None:
    """CancelReservation; it stands until its end is on the disk."""
    if event.reservation_id not in turn.state.reserved.held:
        turn.answer(event.request, Reason.NO_RESERVATION)
        return
    _await(turn, event.request, ReservationWrite(frozenset({event.reservation_id}), is_cancelled=True))
    turn.emit(Keep(Shelf.RESERVATIONS, {}, frozenset({_name(event.reservation_id)}), request=event.request))


def take_kept(turn: Turn, event: Kept) -> None:
    """A write was carried out, or failed: then nothing is reserved that was not, and nothing is freed."""
    book = turn.state.reserved
    if event.request is None or event.request not in book.awaited:
        return
    write = book.awaited[event.request]
    rest = {request: one for request, one in book.awaited.items() if request != event.request}
    turn.state = replace(turn.state, reserved=replace(book, awaited=rest))
    if write.wanted is not None:
        _reserved(turn, event.request, write, is_kept=event.is_kept)
    elif write.is_cancelled and not event.is_kept:
        turn.answer(event.request, Reason.STORAGE_FAILED)
    elif write.is_cancelled:
        # Made anew since, which is written after this.
        gone = write.numbers - _unwritten(turn.state.reserved)
        _hold(turn, {number: one for number, one in book.held.items() if number not in gone})
        turn.answer(event.request)
        turn.note("reservation_ended", why="cancelled", reservations=sorted(write.numbers))
    elif not event.is_kept:
        unforgotten = turn.state.reserved.unforgotten | write.numbers
        turn.state = replace(
            turn.state,
            reserved=replace(turn.state.reserved, unforgotten=unforgotten, retry_s=turn.now_s + RETRY_S),
        )


def follow(turn: Turn) -> None:
    """End what is over, and mark the connectors that are reserved."""
    book = turn.state.reserved
    over = reservations.find_over(book.held, _lasting(turn), believed_utc_s(turn.now))
    if over:
        _end(turn, over, "over")
    _try_again(turn)
    held, unwritten = turn.state.reserved.held, _unwritten(turn.state.reserved)
    for number in turn.numbers:
        connector = turn.connector(number)
        found = reservations.find_on(held, number)
        is_reserved = found is not None and found.reservation_id not in unwritten
        if is_reserved is not connector.is_reserved:
            turn.put(replace(connector, is_reserved=is_reserved))
    due_s = None
    if held and turn.now.is_utc_trusted:
        due_s = turn.now_s + min(one.expiry_utc_s for one in held.values()) - turn.now.utc_s
    if due_s != turn.state.reserved.due_s:
        turn.state = replace(turn.state, reserved=replace(turn.state.reserved, due_s=due_s))


def deadlines_s(book: ReservationBook) -> list[float | None]:
    """When the next one expires, and when a failed removal is tried again."""
    return [book.due_s, book.retry_s]


def admit(turn: Turn, number: int, id_tag: IdTag, info: IdTagInfo | None) -> Admission:
    """Decide whether this id may charge here, as far as reservations are concerned."""
    held = turn.state.reserved.held
    free = [one for one, place in places(turn).items() if place is Place.FREE]
    return reservations.admit(held, number, id_tag, info, free) if held else Admission.YES


def is_reserved_for(turn: Turn, number: int, id_tag: IdTag, info: IdTagInfo | None) -> bool:
    """The connector itself is kept for this id."""
    found = reservations.find_on(turn.state.reserved.held, number)
    book = {} if found is None else {found.reservation_id: found}
    return found is not None and reservations.admit(book, number, id_tag, info, ()) is Admission.YES


def is_kept_from(turn: Turn, number: int, id_tag: IdTag, info: IdTagInfo | None) -> bool:
    """The connector itself is kept for somebody else."""
    is_reserved = reservations.find_on(turn.state.reserved.held, number) is not None
    return is_reserved and not is_reserved_for(turn, number, id_tag, info)


def used_by(turn: Turn, number: int, claim: Claim) -> int | None:
    """The reservation a transaction of this claim makes use of."""
    found = reservations.find_used(turn.state.reserved.held, number, claim.id_tag, claim.info)
    return found.reservation_id if found is not None else None


def use(turn: Turn, reservation_id: int | None) -> None:
    """The start of a transaction that carries the reservation is on the disk: it is used up."""
    if reservation_id is not None and reservation_id in turn.state.reserved.held:
        _end(turn, frozenset({reservation_id}), "used")


def places(turn: Turn) -> Mapping[int, Place]:
    """What every connector is to somebody who wants to reserve it."""
    is_current = turn.state.guard.is_current
    return {number: _place(turn.connector(number), is_current=is_current) for number in turn.numbers}


def _lasting(turn: Turn) -> Mapping[int, Place]:
    """The same without a guard that is away, for it will be back."""
    return {number: _place(turn.connector(number), is_current=True) for number in turn.numbers}


def _place(connector: Connector, *, is_current: bool) -> Place:
    if connector.is_out:
        return Place.UNAVAILABLE
    if not is_current or (connector.seen is not None and faults.is_faulted(connector.seen.faults)):
        return Place.FAULTED
    is_free = connector.session.phase is Phase.IDLE and connector.session.ending is None
    return Place.FREE if is_free else Place.OCCUPIED


def _reserved(turn: Turn, request: RequestId, write: ReservationWrite, *, is_kept: bool) -> None:
    held, wanted = dict(turn.state.reserved.held), write.wanted
    if wanted is None:
        return
    is_there = held.get(wanted.reservation_id) == wanted
    if not is_kept:
        if is_there and write.before is not None:
            _hold(turn, {**held, wanted.reservation_id: write.before})
        elif is_there:
            del held[wanted.reservation_id]
            _hold(turn, held)
        turn.answer(request, Reason.STORAGE_FAILED)
    elif not is_there:
        turn.answer(request, Reason.RESERVATION_REFUSED)
    else:
        turn.answer(request)
        turn.note("reserved", wanted.connector or None, reservation=wanted.reservation_id, id_tag=wanted.id_tag)


def _end(turn: Turn, numbers: frozenset[int], why: str) -> None:
    if not numbers:
        return
    _hold(turn, {number: one for number, one in turn.state.reserved.held.items() if number not in numbers})
    _forget(turn, numbers)
    turn.note("reservation_ended", why=why, reservations=sorted(numbers))


def _forget(turn: Turn, numbers: frozenset[int]) -> None:
    request = RequestId(turn.next_name("forget"))
    _await(turn, request, ReservationWrite(numbers))
    turn.emit(Keep(Shelf.RESERVATIONS, {}, frozenset(map(_name, numbers)), request=request))


def _try_again(turn: Turn) -> None:
    book = turn.state.reserved
    if book.retry_s is None or turn.now_s < book.retry_s:
        return
    # One that has been made anew since then must stay.
    numbers = book.unforgotten - book.held.keys()
    turn.state = replace(turn.state, reserved=replace(book, unforgotten=frozenset(), retry_s=None))
    if numbers:
        _forget(turn, numbers)


def _hold(turn: Turn, held: Mapping[int, Reservation]) -> None:
    turn.state = replace(turn.state, reserved=replace(turn.state.reserved, held=held))


def _await(turn: Turn, request: RequestId, write: ReservationWrite) -> None:
    book = turn.state.reserved
    turn.state = replace(turn.state, reserved=replace(book, awaited={**book.awaited, request: write}))


def _unwritten(book: ReservationBook) -> frozenset[int]:
    return frozenset(write.wanted.reservation_id for write in book.awaited.values() if write.wanted is not None)


def _name(reservation_id: int) -> str:
    return str(reservation_id)
