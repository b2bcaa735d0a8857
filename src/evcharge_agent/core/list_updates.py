"""SendLocalList: decided at once, written, and in force only when it is on the disk (ocpp16.md rule 17)."""

from dataclasses import replace

from evcharge_agent.core import local_list
from evcharge_agent.core.books import ListBook
from evcharge_agent.core.effects import Keep
from evcharge_agent.core.events import Kept, LocalListSent
from evcharge_agent.core.facts import Shelf
from evcharge_agent.core.local_list import Refusal
from evcharge_agent.core.reasons import Reason
from evcharge_agent.core.turn import Turn

_REASONS = {
    Refusal.NOT_SUPPORTED: Reason.LIST_OFF,
    Refusal.VERSION_MISMATCH: Reason.LIST_VERSION,
    Refusal.FAILED: Reason.LIST_INVALID,
}


def take_update(turn: Turn, event: LocalListSent) -> None:
    """Decide an update and have it written; one at a time, for the next builds on what is on the disk."""
    book = turn.state.listed
    if book.awaited is not None:
        turn.answer(event.request, Reason.BUSY)
        return
    decided = local_list.decide(book.current, event.update, turn.rules.authorisation)
    if isinstance(decided, Refusal):
        turn.answer(event.request, _REASONS[decided])
        return
    put, remove = local_list.to_keep(decided)
    turn.state = replace(turn.state, listed=replace(book, awaited=(event.request, decided.result)))
    turn.emit(Keep(Shelf.LOCAL_LIST, put, remove, decided.is_whole, event.request))


def take_kept(turn: Turn, event: Kept) -> None:
    """The update is on the disk, or is not going to be: then list and version stay as they were."""
    awaited = turn.state.listed.awaited
    if awaited is None or awaited[0] != event.request:
        return
    request, result = awaited
    if not event.is_kept:
        turn.state = replace(turn.state, listed=replace(turn.state.listed, awaited=None))
        turn.answer(request, Reason.STORAGE_FAILED)
        return
    turn.state = replace(turn.state, listed=ListBook(result))
    settle_conflicts(turn)
    turn.answer(request)
    turn.note("local_list_changed", version=result.version, entries=len(result.entries))


def settle_conflicts(turn: Turn) -> None:
    """What the old list said does not matter any more."""
    for number in turn.numbers:
        turn.put(replace(turn.connector(number), has_list_conflict=False))
