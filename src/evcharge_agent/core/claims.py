"""Cards, remote and local requests: whose they are and what they want. Ends in a trigger of `lifecycle`."""

from collections.abc import Iterable
from dataclasses import replace

from evcharge_agent.core import authorisation, charging_profiles, faults, lifecycle, reserving
from evcharge_agent.core.authorisation import Accepted
from evcharge_agent.core.books import Inquiry
from evcharge_agent.core.charging_profiles import ChargingProfile
from evcharge_agent.core.effects import ForgetAuthorisations, Level, RememberAuthorisation
from evcharge_agent.core.events import (
    AuthorizeAnswered,
    CacheClearRequested,
    CardPresented,
    RemoteStartRequested,
    RemoteStopRequested,
    RequestId,
    StartRequested,
    StopRequested,
    TagInfoLearned,
    TransactionRegistered,
)
from evcharge_agent.core.facts import AuthorizationStatus, IdTag, IdTagInfo, StopReason, same_id
from evcharge_agent.core.reasons import Reason
from evcharge_agent.core.reservations import Admission
from evcharge_agent.core.rules import StandAlone
from evcharge_agent.core.session import Phase
from evcharge_agent.core.state import Claim, Origin, StopCause, Transaction
from evcharge_agent.core.turn import Turn

_FREE = (Phase.PLUGGED, Phase.FINISHED, Phase.IDLE)
"""Phases in which a claim is taken, the one with a waiting car first."""
AUTOSTART_ID = IdTag("AUTOSTART")
"""Whose session it is that begins by itself."""


def present_card(turn: Turn, event: CardPresented) -> None:
    """A card at a reader: to stop its own session, else for a car that waits, else for a car to come.

    Whoever swipes to stop must not start another's car, nor may a second swipe take a second connector, which
    the next car to come would charge on. Of equal connectors the one that is reserved for the card comes first.
    """
    numbers = [number for number in event.connectors if turn.knows(number)]
    id_tag = event.id_tag
    known = _known(turn, id_tag)
    # A guard that is restarting need not keep anybody from identifying; the start waits for it.
    refusals = {number: _refusal(turn, number, id_tag) for number in numbers}
    usable = [number for number, refusal in refusals.items() if refusal in (None, Reason.GUARD_LOST)]
    usable.sort(key=lambda number: not reserving.is_reserved_for(turn, number, id_tag, known))
    waiting = [number for number in usable if turn.session(number).phase is Phase.PLUGGED]
    own = [number for number in numbers if _is_own(turn, number, id_tag, known)]
    own.sort(key=lambda number: not _is_same_card(turn, number, id_tag))
    free = _by_preference(turn, usable)
    foreign = [number for number in numbers if _is_perhaps_own(turn, number, id_tag, known)]
    is_claimed = any(_is_claimed_by(turn, number, id_tag) for number in numbers)
    if own:
        _end(turn, own[0], id_tag)
    elif is_claimed:
        turn.note("card_ignored", numbers[0], id_tag=id_tag, reason="claimed")
    elif waiting:
        _claim(turn, waiting[0], id_tag, Origin.CARD, tuple(usable))
    elif free:
        _claim(turn, free[0], id_tag, Origin.CARD, tuple(usable))
    elif foreign and _is_online(turn):
        lifecycle.ask(turn, Inquiry(id_tag, foreign[0], is_stop=True))
    else:
        turn.note("card_ignored", numbers[0] if numbers else None, id_tag=id_tag)
        for number in [number for number, refusal in refusals.items() if refusal is Reason.RESERVED]:
            turn.put_session(number, replace(turn.session(number), refusal=Reason.RESERVED))


def check_autostart(turn: Turn, number: int) -> None:
    """Without a central system, and where that is wanted, a car charges as soon as it is plugged in (CHG-2)."""
    current = turn.session(number)
    is_wanted = not turn.rules.is_central_system_enabled and turn.rules.site.stand_alone is StandAlone.AUTOSTART
    if is_wanted and current.phase is Phase.PLUGGED and _refusal(turn, number, AUTOSTART_ID) is None:
        _claim(turn, number, AUTOSTART_ID, Origin.LOCAL, (number,))


def start_locally(turn: Turn, event: StartRequested) -> None:
    """Start from the command line or page: as a card, but answered."""
    refusal = _refusal(turn, event.connector, event.id_tag)
    if refusal is not None:
        turn.answer(event.request, refusal)
        return
    _claim(turn, event.connector, event.id_tag, Origin.LOCAL, (event.connector,), event.request)


def stop_locally(turn: Turn, event: StopRequested) -> None:
    """Stop from the command line or page; nobody presented a tag, so none is reported."""
    cause = StopCause(StopReason.LOCAL, turn.now)
    is_stopped = turn.knows(event.connector) and lifecycle.stop(turn, event.connector, cause)
    turn.answer(event.request, None if is_stopped else Reason.NO_TRANSACTION)


def start_remotely(turn: Turn, event: RemoteStartRequested) -> None:
    """RemoteStartTransaction: answered first (ocpp16.md rule 10).

    Connector 0 is refused; without a connector any free one will do, one with a car before the others.
    """
    if not turn.state.central.is_accepted:
        turn.answer(event.request, Reason.NOT_ACCEPTED)
        return
    asked = turn.numbers if event.connector is None else (event.connector,)
    refusals = {number: _refusal(turn, number, event.id_tag) for number in asked}
    known = _known(turn, event.id_tag)
    usable = [number for number, refusal in refusals.items() if refusal is None]
    usable.sort(key=lambda number: not reserving.is_reserved_for(turn, number, event.id_tag, known))
    usable = _by_preference(turn, usable)
    if not usable:
        refusal = Reason.NO_FREE_CONNECTOR if event.connector is None else refusals[event.connector]
        turn.answer(event.request, refusal)
        return
    objection = None
    if event.profile is not None:
        objection = charging_profiles.remote_start_objection(event.profile, turn.rules.charging)
    if objection is not None:
        turn.answer(event.request, Reason.PROFILE_REFUSED, objection)
        return
    turn.answer(event.request)
    is_asked_first = turn.rules.authorisation.authorize_remote_tx_requests
    _claim(
        turn,
        usable[0],
        event.id_tag,
        Origin.REMOTE,
        tuple(usable),
        is_preauthorised=not is_asked_first,
        profile=event.profile,
    )


def stop_remotely(turn: Turn, event: RemoteStopRequested) -> None:
    """RemoteStopTransaction by the central system's number; an unknown one is refused."""
    if not turn.state.central.is_accepted:
        turn.answer(event.request, Reason.NOT_ACCEPTED)
        return
    for number in turn.numbers:
        transaction = turn.session(number).transaction
        if transaction is not None and transaction.transaction_id == event.transaction_id:
            turn.answer(event.request)
            lifecycle.stop(turn, number, StopCause(StopReason.REMOTE, turn.now))
            return
    turn.answer(event.request, Reason.NO_TRANSACTION)


def take_answer(turn: Turn, event: AuthorizeAnswered) -> None:
    """Authorize was answered; silence means the offline rules."""
    pending = turn.state.pending
    inquiry = pending.inquiries.get(event.request)
    if inquiry is None:
        turn.note("answer_ignored", level=Level.DEBUG, request=event.request)
        return
    inquiries = {request: item for request, item in pending.inquiries.items() if request != event.request}
    turn.state = replace(turn.state, pending=replace(pending, inquiries=inquiries))
    if event.info is not None:
        remember(turn, inquiry.id_tag, event.info, inquiry.connector)
    if inquiry.is_stop:
        if event.info is not None and _is_own(turn, inquiry.connector, inquiry.id_tag, event.info):
            _end(turn, inquiry.connector, inquiry.id_tag)
        return
    claim = turn.session(inquiry.connector).claim
    is_awaited = turn.session(inquiry.connector).phase is Phase.AUTHORISING
    if not is_awaited or claim is None or not same_id(claim.id_tag, inquiry.id_tag):
        return
    if event.info is not None:
        verdict = authorisation.judge(event.info, authorisation.believed_utc_s(turn.now))
        lifecycle.conclude(turn, inquiry.connector, verdict)
    else:
        lifecycle.decide_alone(turn, inquiry.connector)


def register(turn: Turn, event: TransactionRegistered) -> None:
    """StartTransaction was answered, perhaps hours later; an id that is not accepted ends it (rule 4)."""
    connector = turn.find(event.transaction)
    pending = turn.state.pending
    if connector is None or connector.session.transaction is None:
        id_tag = pending.unregistered.get(event.transaction)
        if id_tag is not None:
            rest = {key: tag for key, tag in pending.unregistered.items() if key != event.transaction}
            turn.state = replace(turn.state, pending=replace(pending, unregistered=rest))
            remember(turn, id_tag, event.info)
        return
    transaction = connector.session.transaction
    info = authorisation.merge(transaction.info, event.info)
    remember(turn, transaction.start.id_tag, event.info, connector.number)
    registered = replace(transaction, transaction_id=event.transaction_id, info=info)
    turn.put_session(connector.number, replace(connector.session, transaction=registered))
    if event.info.status is AuthorizationStatus.ACCEPTED:
        return
    turn.note("transaction_not_accepted", connector.number, Level.WARNING, status=event.info.status.value)
    if turn.rules.authorisation.stop_transaction_on_invalid_id:
        lifecycle.stop(turn, connector.number, StopCause(StopReason.DEAUTHORIZED, turn.now))


def learn(turn: Turn, event: TagInfoLearned) -> None:
    """StopTransaction's answer carried idTagInfo."""
    remember(turn, event.id_tag, event.info)


def clear_cache(turn: Turn, event: CacheClearRequested) -> None:
    """ClearCache (OCPP 1.6, 5.4), answered when it is on the disk; refused while the cache is switched off."""
    if not turn.rules.authorisation.authorization_cache_enabled:
        turn.answer(event.request, Reason.CACHE_OFF)
        return
    turn.state = replace(turn.state, authorisations={})
    turn.emit(ForgetAuthorisations(event.request))


def remember(turn: Turn, id_tag: IdTag, info: IdTagInfo, number: int | None = None) -> None:
    """Feed the cache, but not with listed ids; their list may be wrong (ocpp16.md rule 17)."""
    listed = authorisation.find_listed(turn.state, id_tag, turn.rules)
    if listed is not None:
        _compare(turn, number, listed, info)
        return
    if not authorisation.is_cacheable(info, turn.rules):
        return
    turn.state = replace(turn.state, authorisations=authorisation.learn(turn.state.authorisations, id_tag, info))
    turn.emit(RememberAuthorisation(id_tag, info))


def _compare(turn: Turn, number: int | None, listed: IdTagInfo, told: IdTagInfo) -> None:
    """Tell whether the list is still right about an id; it stands until it is agreed with, or a new list comes."""
    is_conflict = authorisation.is_conflict(listed, told, authorisation.believed_utc_s(turn.now))
    if is_conflict:
        turn.note("local_list_conflict", number, Level.WARNING, listed=listed.status.value, told=told.status.value)
    if number is not None and turn.knows(number):
        turn.put(replace(turn.connector(number), has_list_conflict=is_conflict))


def _claim(
    turn: Turn,
    number: int,
    id_tag: IdTag,
    origin: Origin,
    connectors: tuple[int, ...],
    answer_to: RequestId | None = None,
    *,
    is_preauthorised: bool = False,
    profile: ChargingProfile | None = None,
) -> None:
    wanted = Claim(id_tag, origin, lifecycle.connection_deadline_s(turn), connectors, answer_to, profile=profile)
    known = _known(turn, id_tag)
    parent = known.parent_id_tag if known is not None else None
    verdict = Accepted(IdTagInfo(AuthorizationStatus.ACCEPTED, parent)) if is_preauthorised else None
    lifecycle.claim(turn, number, wanted, verdict=verdict)


def _refusal(turn: Turn, number: int, id_tag: IdTag) -> Reason | None:
    """Why a claim of this id is not taken on this connector."""
    if not turn.knows(number):
        return Reason.UNKNOWN_CONNECTOR
    connector = turn.connector(number)
    if turn.state.orders.reset is not None:
        return Reason.RESTARTING
    if connector.session.phase not in _FREE:
        return Reason.BUSY
    if connector.is_out:
        return Reason.OUT_OF_SERVICE
    if connector.seen is not None and faults.is_faulted(connector.seen.faults):
        return Reason.FAULT
    if turn.rules.has_public_meter and connector.meter.is_lost:
        return Reason.METER_LOST
    admission = reserving.admit(turn, number, id_tag, _known(turn, id_tag))
    if admission is Admission.NO or (admission is Admission.ASK and not _is_online(turn)):
        return Reason.RESERVED
    return None if turn.state.guard.is_current else Reason.GUARD_LOST


def _by_preference(turn: Turn, numbers: Iterable[int]) -> list[int]:
    """The free ones, those with a car first."""
    free = [number for number in numbers if turn.session(number).phase in _FREE]
    return sorted(free, key=lambda number: _FREE.index(turn.session(number).phase))


def _known(turn: Turn, id_tag: IdTag) -> IdTagInfo | None:
    return authorisation.find_known(turn.state, id_tag, turn.rules)


def _end(turn: Turn, number: int, id_tag: IdTag) -> None:
    """Whose session it is wants it to end, or the cable of one that was ended back."""
    if turn.session(number).transaction is not None:
        lifecycle.stop(turn, number, StopCause(StopReason.LOCAL, turn.now, id_tag))
    else:
        turn.put(replace(turn.connector(number), kept_plug=None))
        turn.note("plug_released", number, id_tag=id_tag)


def _to_end(turn: Turn, number: int) -> Transaction | None:
    """The transaction that runs, or the one whose cable is kept."""
    connector = turn.connector(number)
    return connector.session.transaction or connector.kept_transaction


def _is_own(turn: Turn, number: int, id_tag: IdTag, info: IdTagInfo | None) -> bool:
    transaction = _to_end(turn, number)
    return transaction is not None and authorisation.may_stop(id_tag, info, transaction)


def _is_same_card(turn: Turn, number: int, id_tag: IdTag) -> bool:
    transaction = _to_end(turn, number)
    return transaction is not None and same_id(id_tag, transaction.start.id_tag)


def _is_claimed_by(turn: Turn, number: int, id_tag: IdTag) -> bool:
    wanted = turn.session(number).claim
    return wanted is not None and same_id(id_tag, wanted.id_tag)


def _is_perhaps_own(turn: Turn, number: int, id_tag: IdTag, info: IdTagInfo | None) -> bool:
    transaction = _to_end(turn, number)
    return transaction is not None and authorisation.might_stop(id_tag, info, transaction)


def _is_online(turn: Turn) -> bool:
    return lifecycle.is_online(turn)
