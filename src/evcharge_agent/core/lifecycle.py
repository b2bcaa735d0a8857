"""Moves one connector through the session table: each function is one trigger with what it carries.

The table (`session`) decides the phase and the action; here stands how an action is done. Nothing else
writes `Session.phase`.
"""

from dataclasses import replace

from evcharge_agent.core import (
    authorisation,
    faults,
    metering,
    reserving,
    sampling,
    session,
    smart_charging,
    transactions,
)
from evcharge_agent.core.authorisation import Accepted, Ask, Refused, Verdict
from evcharge_agent.core.books import Inquiry
from evcharge_agent.core.effects import AskAuthorize, CommitStart, Level
from evcharge_agent.core.events import RequestId
from evcharge_agent.core.facts import IdTag, IdTagInfo, TransactionKey, TransactionStart, same_id
from evcharge_agent.core.reasons import Reason
from evcharge_agent.core.reservations import Admission
from evcharge_agent.core.session import Action, Phase, Trigger
from evcharge_agent.core.state import Claim, Connector, Session, StopCause, Transaction
from evcharge_agent.core.turn import Turn
from evcharge_hal.contract.units import WattHours

METER_WAIT_S = 3.0
"""How long a start waits for a reading before it takes the last known register."""


def plug(turn: Turn, number: int, plug_id: str) -> None:
    """A car is there that was not."""
    current = turn.session(number)
    move = session.next_move(current.phase, Trigger.PLUG)
    if move.action is not Action.BIND:
        return
    turn.put_session(number, replace(current, phase=move.with_car, plug_id=plug_id, plugged=turn.now, refusal=None))
    turn.note("plugged", number)
    if move.with_car is Phase.PLUGGED and not turn.connector(number).is_out:
        _take_claim_over(turn, number)


def unplug(turn: Turn, number: int, cause: StopCause, *, is_kept: bool = False) -> None:
    """The car has gone; `cause` ends its transaction unless that is kept."""
    trigger = Trigger.UNPLUG_KEPT if is_kept else Trigger.UNPLUG
    before = turn.session(number)
    move = session.next_move(before.phase, trigger)
    if move.action is Action.IGNORE:
        return
    turn.note("unplugged", number)
    after = replace(before, phase=move.without_car, plug_id=None, plugged=None)
    if move.action is Action.CLEAR:
        after = replace(after, refusal=None)
    elif move.action is Action.HOLD_STOP:
        after = replace(after, held_stop=before.held_stop or cause)
    elif move.action is Action.RECORD_STOP:
        after = transactions.record_stop(turn, number, after, cause)
    turn.put_session(number, after)


def claim(turn: Turn, number: int, wanted: Claim, *, verdict: Verdict | None = None) -> None:
    """Somebody wants to charge; without a verdict it is sought."""
    before = turn.session(number)
    move = session.next_move(before.phase, Trigger.CLAIM)
    if move.action is not Action.ASK:
        turn.answer(wanted.answer_to, Reason.BUSY)
        return
    phase = move.target(before.plug_id is not None)
    turn.put_session(number, replace(before, phase=phase, claim=wanted, refusal=None))
    turn.note("claimed", number, id_tag=wanted.id_tag, origin=wanted.origin.value)
    decided = verdict or _decide(turn, number, wanted.id_tag)
    is_parent_needed = (
        isinstance(decided, Accepted)
        and reserving.admit(turn, number, wanted.id_tag, decided.info) is Admission.ASK
        and is_online(turn)
    )
    if is_parent_needed or isinstance(decided, Ask):
        ask(turn, Inquiry(wanted.id_tag, number, is_stop=False))
    else:
        conclude(turn, number, decided)


def decide_alone(turn: Turn, number: int) -> None:
    """Nobody has answered: the offline rules decide the claim."""
    wanted = turn.session(number).claim
    if wanted is None:
        return
    known = authorisation.find_known(turn.state, wanted.id_tag, turn.rules)
    verdict = authorisation.decide_offline(known, turn.rules, authorisation.believed_utc_s(turn.now))
    conclude(turn, number, _unless_concurrent(turn, number, wanted.id_tag, verdict))


def is_online(turn: Turn) -> bool:
    """The central system can be asked."""
    central = turn.state.central
    return turn.rules.is_central_system_enabled and central.is_connected and central.is_accepted


def _decide(turn: Turn, number: int, id_tag: IdTag) -> Verdict | Ask:
    """List, cache, central system, or the rules of a charger without one."""
    utc_s = authorisation.believed_utc_s(turn.now)
    if not turn.rules.is_central_system_enabled:
        listed = authorisation.find_listed(turn.state, id_tag, turn.rules)
        return authorisation.decide_stand_alone(id_tag, listed, turn.rules, utc_s)
    known = authorisation.find_known(turn.state, id_tag, turn.rules)
    decided = authorisation.decide_claim(known, turn.rules, turn.state.central, utc_s)
    return decided if isinstance(decided, Ask) else _unless_concurrent(turn, number, id_tag, decided)


def _unless_concurrent(turn: Turn, number: int, id_tag: IdTag, verdict: Verdict) -> Verdict:
    """One transaction at a time where the central system is not asked, which may think otherwise (ConcurrentTx)."""
    others = [turn.session(other).transaction for other in turn.numbers if other != number]
    is_used = any(other is not None and same_id(id_tag, other.start.id_tag) for other in others)
    return Refused(Reason.ID_CONCURRENT) if is_used and isinstance(verdict, Accepted) else verdict


def ask(turn: Turn, inquiry: Inquiry) -> None:
    """Ask the central system about an id."""
    request = RequestId(turn.next_name("ask"))
    pending = turn.state.pending
    turn.state = replace(turn.state, pending=replace(pending, inquiries={**pending.inquiries, request: inquiry}))
    turn.emit(AskAuthorize(request, inquiry.id_tag))


def conclude(turn: Turn, number: int, verdict: Verdict) -> None:
    """The verdict on the claim is there; a reservation for somebody else stands above it."""
    wanted = turn.session(number).claim
    if isinstance(verdict, Refused):
        refuse(turn, number, verdict.reason)
    elif wanted is not None and reserving.admit(turn, number, wanted.id_tag, verdict.info) is not Admission.YES:
        refuse(turn, number, Reason.RESERVED)
    else:
        accept(turn, number, verdict.info)


def accept(turn: Turn, number: int, info: IdTagInfo) -> None:
    """The id is accepted; from now on the car has ConnectionTimeOut to come."""
    before = turn.session(number)
    move = session.next_move(before.phase, Trigger.ACCEPT)
    if move.action is not Action.GRANT or before.claim is None:
        return
    turn.answer(before.claim.answer_to)
    granted = replace(before.claim, info=info, answer_to=None, deadline_s=connection_deadline_s(turn))
    turn.put_session(number, replace(before, phase=move.target(before.plug_id is not None), claim=granted))
    turn.note("authorised", number, id_tag=granted.id_tag)


def refuse(turn: Turn, number: int, reason: Reason) -> None:
    """The id is not accepted, or the session may not begin."""
    _drop_on(turn, number, Trigger.REFUSE, reason)


def lapse(turn: Turn, number: int) -> None:
    """ConnectionTimeOut is over (ocpp16.md rule 10)."""
    current = turn.session(number)
    late = Reason.NO_VEHICLE_IN_TIME if current.plug_id is None else Reason.NOT_AUTHORISED_IN_TIME
    _drop_on(turn, number, Trigger.LAPSE, current.refusal or late)


def ready(turn: Turn, number: int, meter_start_wh: int) -> None:
    """All is there: write the start. Energy waits for it to be on the disk (DESIGN D12)."""
    before = turn.session(number)
    move = session.next_move(before.phase, Trigger.READY)
    wanted = before.claim
    if move.action is not Action.START or wanted is None or wanted.info is None or before.plug_id is None:
        return
    start = TransactionStart(
        TransactionKey(turn.next_name()),
        number,
        wanted.id_tag,
        WattHours(meter_start_wh),
        turn.now,
        before.plug_id,
        reserving.used_by(turn, number, wanted),
    )
    opened = Transaction(start, wanted.info, began_s=turn.now_s)
    turn.put_session(number, replace(before, phase=move.with_car, claim=None, transaction=opened))
    # First what limits it: a cut in between leaves a profile of no transaction, which goes with the next start.
    if wanted.profile is not None:
        smart_charging.bind(turn, number, wanted.profile, start.transaction)
    turn.emit(CommitStart(start))


def committed(turn: Turn, number: int) -> None:
    """The start is on the disk; a stop that came meanwhile follows at once, before any permission."""
    before = turn.session(number)
    move = session.next_move(before.phase, Trigger.COMMITTED)
    if move.action is not Action.OPEN or before.transaction is None:
        return
    phase = move.target(before.plug_id is not None)
    # A slow disk makes up no samples either.
    opened = sampling.restart(before.transaction, turn.rules.sampling, turn.now_s)
    turn.put_session(number, replace(before, phase=phase, transaction=opened, held_stop=None))
    transactions.record_begin(turn, number)
    turn.note("transaction_started", number)
    reserving.use(turn, before.transaction.start.reservation_id)
    if before.held_stop is not None:
        stop(turn, number, before.held_stop)


def commit_failed(turn: Turn, number: int) -> None:
    """The start could not be written: there is no session (DESIGN D7)."""
    _drop_on(turn, number, Trigger.COMMIT_FAILED, Reason.STORAGE_FAILED)


def stop(turn: Turn, number: int, cause: StopCause) -> bool:
    """The session shall end; False when there is none."""
    before = turn.session(number)
    move = session.next_move(before.phase, Trigger.STOP)
    phase = move.target(before.plug_id is not None)
    if move.action is Action.DROP:
        _drop_on(turn, number, Trigger.STOP, Reason.CANCELLED)
    elif move.action is Action.HOLD_STOP:
        turn.put_session(number, replace(before, phase=phase, held_stop=before.held_stop or cause))
    elif move.action is Action.RECORD_STOP:
        turn.put_session(number, transactions.record_stop(turn, number, replace(before, phase=phase), cause))
    return move.action is not Action.IGNORE


def energy_off(turn: Turn, number: int) -> None:
    """The contactor is proven open."""
    before = turn.session(number)
    move = session.next_move(before.phase, Trigger.ENERGY_OFF)
    turn.put_session(number, replace(before, phase=move.target(before.plug_id is not None)))


def go_on(turn: Turn, number: int, plug_id: str | None) -> None:
    """The same transaction goes on with the plug that is there, or without one."""
    before = turn.session(number)
    move = session.next_move(before.phase, Trigger.GO_ON)
    if move.action is not Action.BIND or before.transaction is None:
        return
    transaction = replace(before.transaction, kept=None, is_after_boot=False)
    transaction = sampling.restart(transaction, turn.rules.sampling, turn.now_s)
    turn.put_session(
        number,
        replace(
            before,
            phase=move.target(plug_id is not None),
            plug_id=plug_id,
            plugged=turn.now if plug_id is not None else None,
            transaction=transaction,
        ),
    )
    turn.note("transaction_continued", number)


def connection_deadline_s(turn: Turn) -> float:
    """When an authorisation given now lapses."""
    return turn.now_s + turn.rules.session.connection_time_out_s


def check_time(turn: Turn, number: int) -> None:
    """Do what is due for this session by the clock or by what has become true."""
    _check_ready(turn, number)
    deadline = session_deadline_s(turn.session(number), turn.rules.session.connection_time_out_s)
    if deadline is not None and turn.now_s >= deadline:
        lapse(turn, number)


def deadlines_s(current: Session, connection_time_out_s: float) -> list[float | None]:
    """When this session needs a step: its phase lapses, or the wait for a reading is over."""
    wanted = current.claim
    is_waiting = current.phase is Phase.AUTHORISED and wanted is not None and wanted.ready_s is not None
    ready_s = wanted.ready_s if is_waiting and wanted is not None else None
    return [
        session_deadline_s(current, connection_time_out_s),
        ready_s + METER_WAIT_S if ready_s is not None else None,
    ]


def session_deadline_s(current: Session, connection_time_out_s: float) -> float | None:
    """When the present phase lapses."""
    if current.phase in (Phase.AUTHORISING, Phase.AUTHORISED) and current.claim is not None:
        return current.claim.deadline_s
    if current.phase is Phase.PLUGGED and current.plugged is not None:
        return current.plugged.monotonic_s + connection_time_out_s
    return None


def _check_ready(turn: Turn, number: int) -> None:
    """Start as soon as car, guard and meter are there.

    Without a fresh reading the start waits 3 s; then it takes the highest register known, or 0, and says
    so, for a car is not turned away because a private meter is silent (DESIGN 4b).
    """
    connector = turn.connector(number)
    current = connector.session
    wanted = current.claim
    if current.phase is not Phase.AUTHORISED or wanted is None or not _can_start(turn, connector):
        return
    if turn.rules.has_public_meter and connector.meter.is_lost:
        refuse(turn, number, Reason.METER_LOST)
        return
    fresh_wh = metering.fresh_register_wh(connector.meter)
    if fresh_wh is not None:
        ready(turn, number, fresh_wh)
    elif wanted.ready_s is None:
        turn.put_session(number, replace(current, claim=replace(wanted, ready_s=turn.now_s)))
    elif turn.now_s >= wanted.ready_s + METER_WAIT_S:
        last_wh = connector.meter.register_wh
        turn.note("started_without_reading", number, Level.WARNING, register_wh=last_wh)
        ready(turn, number, last_wh if last_wh is not None else 0)


def _can_start(turn: Turn, connector: Connector) -> bool:
    """Plugged in as the guard says now, and nothing broken. Waits for head-room come inside the transaction.

    The stop of the transaction before goes out first: neither overtakes the other, nor shares its energy.
    """
    is_faulted = connector.seen is not None and faults.is_faulted(connector.seen.faults)
    is_plugged = turn.state.guard.is_current and connector.session.plug_id is not None
    return is_plugged and connector.session.ending is None and not is_faulted


def _drop_on(turn: Turn, number: int, trigger: Trigger, reason: Reason) -> None:
    """Give up what has not become a transaction, and say why."""
    before = turn.session(number)
    move = session.next_move(before.phase, trigger)
    if move.action is not Action.DROP:
        return
    if before.claim is not None:
        turn.answer(before.claim.answer_to, reason)
    turn.note("claim_dropped", number, reason=reason.value)
    phase = move.target(before.plug_id is not None)
    turn.put_session(number, replace(before, phase=phase, claim=None, transaction=None, held_stop=None, refusal=reason))


def _take_claim_over(turn: Turn, number: int) -> None:
    """The car came to another connector than the one that keeps the authorisation, but one it is good for."""
    for other in turn.numbers:
        waiting = turn.session(other)
        wanted = waiting.claim
        if other == number or waiting.plug_id is not None or wanted is None or number not in wanted.connectors:
            continue
        if reserving.is_kept_from(turn, number, wanted.id_tag, wanted.info):
            continue
        turn.put_session(other, replace(waiting, claim=replace(wanted, answer_to=None)))
        _drop_on(turn, other, Trigger.STOP, Reason.CANCELLED)
        claim(turn, number, wanted, verdict=Accepted(wanted.info) if wanted.info is not None else None)
        return
