"""Carries the charging profiles: taken, cleared, tied to their transaction, and what they limit right now.

A change acts in the step that brings it and is answered when it is on the disk; one that cannot be written is
taken back, so that what was answered, what acts and what a restart finds are the same.
"""

import math
from collections.abc import Mapping
from dataclasses import replace

from evcharge_agent.core import charging_profiles
from evcharge_agent.core.books import BookChange, ChargingBook
from evcharge_agent.core.charging_profiles import STATION, Book, ChargingProfile, Installed, Purpose
from evcharge_agent.core.composite import Basis, Outlet, Running, Span
from evcharge_agent.core.effects import Keep, Level
from evcharge_agent.core.events import ChargingProfilesCleared, ChargingProfileSet, Kept, RequestId
from evcharge_agent.core.facts import Shelf, TransactionKey
from evcharge_agent.core.limits import Limit, Scope, Source
from evcharge_agent.core.reasons import Reason
from evcharge_agent.core.spans import Spans
from evcharge_agent.core.state import Connector, Run
from evcharge_agent.core.turn import Turn
from evcharge_hal.contract.units import PerPhase

_REASONS: Mapping[Purpose, Reason] = {
    Purpose.CHARGE_POINT_MAX: Reason.CHARGE_POINT_MAX_PROFILE,
    Purpose.TX_DEFAULT: Reason.TX_DEFAULT_PROFILE,
    Purpose.TX: Reason.TX_PROFILE,
}


def set_profile(turn: Turn, event: ChargingProfileSet) -> None:
    """SetChargingProfile (OCPP 1.6, 5.16)."""
    number, profile = event.connector, event.profile
    if not turn.numbers:
        turn.answer(event.request, Reason.GUARD_LOST)
        return
    if number != STATION and not turn.knows(number):
        turn.answer(event.request, Reason.UNKNOWN_CONNECTOR)
        return
    rules = turn.rules.charging
    objection = charging_profiles.objection(profile, rules) or charging_profiles.misplaced(profile, number)
    if objection is not None:
        turn.answer(event.request, Reason.PROFILE_REFUSED, objection)
        return
    key = _transaction_of(turn, number, profile)
    if profile.purpose is Purpose.TX and key is None:
        turn.answer(event.request, Reason.NO_TRANSACTION)
    elif charging_profiles.is_full(turn.state.charging.book, number, profile, rules):
        turn.answer(event.request, Reason.PROFILES_FULL)
    else:
        _install(turn, number, profile, key, event.request)


def clear_profiles(turn: Turn, event: ChargingProfilesCleared) -> None:
    """ClearChargingProfile (OCPP 1.6, 5.5)."""
    book = turn.state.charging.book
    gone = charging_profiles.matching(book, event.criteria)
    if not gone:
        turn.answer(event.request, Reason.NO_PROFILE)
        return
    turn.note("charging_profiles_cleared", ids=sorted(gone))
    _change(turn, charging_profiles.without(book, gone), event.request)


def bind(turn: Turn, number: int, profile: ChargingProfile, key: TransactionKey) -> None:
    """The transaction a RemoteStartTransaction brought a profile for begins (OCPP 1.6, 5.11)."""
    if charging_profiles.is_full(turn.state.charging.book, number, profile, turn.rules.charging):
        turn.note("charging_profile_dropped", number, Level.WARNING, id=profile.id)
        return
    _install(turn, number, profile, key, None)


def follow(turn: Turn) -> None:
    """A TxProfile goes with its transaction (ocpp16.md rule 15)."""
    book = turn.state.charging.book
    if not book:
        return
    sessions = {number: turn.session(number).transaction for number in turn.numbers}
    running = {one.start.transaction: number for number, one in sessions.items() if one is not None}
    gone = charging_profiles.orphaned(book, running)
    if gone:
        turn.note("charging_profiles_over", ids=sorted(gone))
        _change(turn, charging_profiles.without(book, gone), None)


def take_kept(turn: Turn, event: Kept) -> None:
    """A change is on the disk; one that is not is undone, as far as nothing newer has been said of it."""
    charging = turn.state.charging
    change = charging.awaited.get(event.request) if event.request is not None else None
    if event.request is None or change is None:
        if not event.is_kept:
            turn.note("charging_profiles_not_kept", level=Level.WARNING)
        return
    awaited = {request: one for request, one in charging.awaited.items() if request != event.request}
    book = charging.book
    if not event.is_kept:
        book = _undone(book, change)
        awaited = {request: _rebased(one, change) for request, one in awaited.items()}
    turn.state = replace(turn.state, charging=replace(charging, book=book, awaited=awaited))
    turn.answer(event.request, None if event.is_kept else Reason.STORAGE_FAILED)


# --- what they limit --------------------------------------------------------------------------------------


def basis_of(connectors: Mapping[int, Connector], charging: ChargingBook, run: Run) -> Basis:
    """What the limits follow from. Profiles nobody can change any more count for nothing."""
    rules = run.rules
    is_used = rules.charging.uses_charging_profiles and rules.is_central_system_enabled
    outlets = {
        number: Outlet(
            connector.rating.phases if connector.rating is not None else charging_profiles.MAX_PHASES,
            _running(connector),
        )
        for number, connector in connectors.items()
    }
    profiles = tuple(charging.book.values()) if is_used else ()
    return Basis(profiles, run.boot_id, outlets, rules.limits.installer_limit_a)


def connector_limits(spans: Spans) -> dict[int, tuple[Limit, ...]]:
    """What TxProfile or TxDefaultProfile allow each connector; nothing where none says anything."""
    found = {number: _limit(spans.by_number.get(number), spans, Scope.CONNECTOR) for number in spans.basis.by_number}
    return {number: (limit,) if limit is not None else () for number, limit in found.items()}


def station_limit(spans: Spans) -> Limit | None:
    """What the ChargePointMaxProfile allows all connectors together."""
    return _limit(spans.station, spans, Scope.STATION)


def share_of(limit: Limit, share_a: float | None) -> Limit:
    """A connector's part of what all may take together; one that takes no part sees all of it."""
    if share_a is None or share_a >= limit.current_a.minimum:
        return limit
    is_placed = limit.reason is Reason.CHARGE_POINT_MAX_PROFILE
    reason = Reason.CHARGE_POINT_MAX_PROFILE_SHARED if is_placed else limit.reason
    return replace(limit, current_a=PerPhase.uniform(share_a), reason=reason)


def _limit(span: Span | None, spans: Spans, scope: Scope) -> Limit | None:
    if span is None or span.allowance is None:
        return None
    allowance = span.allowance
    reason = _REASONS[allowance.purpose] if allowance.is_placed else Reason.PROFILE_TIME_UNKNOWN
    until_s = span.until_utc_s - spans.offset_s if span.until_utc_s < math.inf else None
    return Limit(Source.CENTRAL_SYSTEM, scope, PerPhase.uniform(allowance.current_a), reason, until_s)


def _running(connector: Connector) -> Running | None:
    transaction = connector.session.transaction
    return Running(transaction.start.transaction, transaction.began_s) if transaction is not None else None


# --- changing the book ------------------------------------------------------------------------------------


def _transaction_of(turn: Turn, number: int, profile: ChargingProfile) -> TransactionKey | None:
    """The running transaction a TxProfile is for; None where there is none, or another (OCTT 058)."""
    if profile.purpose is not Purpose.TX:
        return None
    transaction = turn.session(number).transaction
    if transaction is None or profile.transaction_id not in (None, transaction.transaction_id):
        return None
    return transaction.start.transaction


def _install(
    turn: Turn, number: int, profile: ChargingProfile, key: TransactionKey | None, request: RequestId | None
) -> None:
    new = Installed(number, profile, turn.now, turn.run.boot_id, key)
    turn.note("charging_profile_set", number or None, id=profile.id, purpose=profile.purpose.value)
    _change(turn, charging_profiles.install(turn.state.charging.book, new), request)


def _change(turn: Turn, after: Book, request: RequestId | None) -> None:
    """Let `after` act, and have the difference written."""
    charging = turn.state.charging
    before = charging.book
    put = {number: one for number, one in after.items() if before.get(number) is not one}
    gone = {number: one for number, one in before.items() if after.get(number) is not one}
    awaited = charging.awaited
    if request is not None:
        awaited = {**awaited, request: BookChange(put, gone)}
    turn.state = replace(turn.state, charging=replace(charging, book=after, awaited=awaited))
    named = {one.name: one for one in put.values()}
    removed = frozenset(one.name for number, one in gone.items() if number not in put)
    turn.emit(Keep(Shelf.CHARGING_PROFILES, named, removed, request=request))


def _undone(book: Book, change: BookChange) -> Book:
    kept = {number: one for number, one in book.items() if change.put.get(number) != one}
    return {**{number: one for number, one in change.gone.items() if number not in kept}, **kept}


def _rebased(later: BookChange, undone: BookChange) -> BookChange:
    """What a later change goes back to, now that the one before it has not happened."""
    gone = dict(later.gone)
    for number, one in undone.put.items():
        if gone.get(number) == one:
            del gone[number]
            gone.update({number: undone.gone[number]} if number in undone.gone else {})
    return replace(later, gone=gone)
