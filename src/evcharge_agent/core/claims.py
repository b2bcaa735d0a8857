"""Cards, remote and local requests: whose they are and what they want. Ends in a trigger of `lifecycle`."""

from collections.abc import Iterable
from dataclasses import replace

from evcharge_agent.core import authorisation, charging_profiles, faults, lifecycle
from evcharge_agent.core.authorisation import Accepted
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
from evcharge_agent.core.facts import AuthorizationStatus, IdTag, IdTagInfo, StopReason
from evcharge_agent.core.reasons import Reason
from evcharge_agent.core.session import Phase
from evcharge_agent.core.state import Claim, Inquiry, Origin, StopCause, same_id
from evcharge_agent.core.turn import Turn

_FREE = (Phase.PLUGGED, Phase.FINISHED, Phase.IDLE)
"""Phases in which a claim is taken, the one with a waiting car first."""


def present_card(turn: Turn, event: CardPresented) -> None:
    """A card at a reader: to stop its own session, else for a car that waits, else for a car to come.

    Whoever swipes to stop must not start another's car, nor may a second swipe take a second connector, which
    the next car to come would charge on.
    """
    numbers = [number for number in event.connectors if turn.knows(number)]
    id_tag = event.id_tag
    known = _known(turn, id_tag)
    # A guard that is restarting need not keep anybody from identifying; the start waits for it.
    usable = [number for number in numbers if _refusal(turn, number) in (None, Reason.GUARD_LOST)]
    waiting = [number for number in usable if turn.session(number).phase is Phase.PLUGGED]
    own = [number for number in numbers if _is_own(turn, number, id_tag, known)]
    own.sort(key=lambda number: not _is_same_card(turn, number, id_tag))
    free = _by_preference(turn, usable)
    foreign = [number for number in numbers if _is_perhaps_own(turn, number, id_tag, known)]
    is_claimed = any(_is_claimed_by(turn, number, id_tag) for number in numbers)
    if own:
        lifecycle.stop(turn, own[0], StopCause(StopReason.LOCAL, turn.now, id_tag))
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


def start_locally(turn: Turn, event: StartRequested) -> None:
    """Start from the command line or page: as a card, but answered."""
    refusal = _refusal(turn, event.connector)
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
    refusals = {number: _refusal(turn, number) for number in asked}
    usable = _by_preference(turn, [number for number, refusal in refusals.items() if refusal is None])
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
        remember(turn, inquiry.id_tag, event.info)
    if inquiry.is_stop:
        if event.info is not None and _is_own(turn, inquiry.connector, inquiry.id_tag, event.info):
            lifecycle.stop(turn, inquiry.connector, StopCause(StopReason.LOCAL, turn.now, inquiry.id_tag))
        return
    claim = turn.session(inquiry.connector).claim
    is_awaited = turn.session(inquiry.connector).phase is Phase.AUTHORISING
    if not is_awaited or claim is None or not same_id(claim.id_tag, inquiry.id_tag):
        return
    if event.info is not None:
        lifecycle.conclude(turn, inquiry.connector, authorisation.judge(event.info, turn.now.utc_s))
    else:
        known = _known(turn, inquiry.id_tag)
        lifecycle.conclude(turn, inquiry.connector, authorisation.decide_offline(known, turn.rules, turn.now.utc_s))


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
    remember(turn, transaction.start.id_tag, event.info)
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


def remember(turn: Turn, id_tag: IdTag, info: IdTagInfo) -> None:
    """Feed the cache (ocpp16.md rule 17)."""
    if not authorisation.is_cacheable(info, turn.rules):
        return
    turn.state = replace(turn.state, authorisations=authorisation.learn(turn.state.authorisations, id_tag, info))
    turn.emit(RememberAuthorisation(id_tag, info))


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


def _refusal(turn: Turn, number: int) -> Reason | None:
    """Why a claim from afar is not taken on this connector."""
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
    return None if turn.state.guard.is_current else Reason.GUARD_LOST


def _by_preference(turn: Turn, numbers: Iterable[int]) -> list[int]:
    """The free ones, those with a car first."""
    free = [number for number in numbers if turn.session(number).phase in _FREE]
    return sorted(free, key=lambda number: _FREE.index(turn.session(number).phase))


def _known(turn: Turn, id_tag: IdTag) -> IdTagInfo | None:
    return authorisation.look_up(turn.state.authorisations, id_tag, turn.rules)


def _is_own(turn: Turn, number: int, id_tag: IdTag, info: IdTagInfo | None) -> bool:
    transaction = turn.session(number).transaction
    return transaction is not None and authorisation.may_stop(id_tag, info, transaction)


def _is_same_card(turn: Turn, number: int, id_tag: IdTag) -> bool:
    transaction = turn.session(number).transaction
    return transaction is not None and same_id(id_tag, transaction.start.id_tag)


def _is_claimed_by(turn: Turn, number: int, id_tag: IdTag) -> bool:
    wanted = turn.session(number).claim
    return wanted is not None and same_id(id_tag, wanted.id_tag)


def _is_perhaps_own(turn: Turn, number: int, id_tag: IdTag, info: IdTagInfo | None) -> bool:
    transaction = turn.session(number).transaction
    return transaction is not None and authorisation.might_stop(id_tag, info, transaction)


def _is_online(turn: Turn) -> bool:
    central = turn.state.central
    return turn.rules.is_central_system_enabled and central.is_connected and central.is_accepted
