"""The begin of a run: what the store knew, and settings that change later."""

from dataclasses import replace

from evcharge_agent.core import list_updates, reserving, sampling, transactions
from evcharge_agent.core.books import ChargingBook, ListBook, Orders
from evcharge_agent.core.events import Restored, RulesChanged
from evcharge_agent.core.facts import Instant, OpenTransaction, key_of
from evcharge_agent.core.session import Phase
from evcharge_agent.core.state import GuardLink, Meter, Run, Session, State, Transaction
from evcharge_agent.core.turn import Turn


def restore(state: State, event: Restored, now: Instant) -> Turn:
    """Begin a run. Open transactions wait in RESUMING for the guard's word (DESIGN D11)."""
    known = {key_of(id_tag): info for id_tag, info in event.authorisations.items()}
    begun = State(
        authorisations=known,
        guard=GuardLink(lost_s=now.monotonic_s),
        central=state.central,
        orders=Orders(event.inoperative, event.inoperative),
        charging=ChargingBook({one.profile.id: one for one in event.charging_profiles}),
        listed=ListBook(event.local_list),
    )
    turn = Turn(begun, Run(event.rules, event.run_id, event.boot_id), now)
    for kept in event.open_transactions:
        _resume(turn, kept)
    for held in event.held_stops:
        stop = replace(held.stop, stopped=_on_this_boot(turn, held.stop.stopped, held.boot_id))
        transactions.take_up(turn, held.opened.start.connector, _transaction(turn, held.opened), stop)
    if event.rules.reservation.takes_reservations:
        unfinished = (*event.open_transactions, *(held.opened for held in event.held_stops))
        reserving.take_up(turn, event.reservations, unfinished)
    turn.note("restored", open_transactions=len(event.open_transactions), known_cards=len(known))
    return turn


def change_rules(turn: Turn, event: RulesChanged) -> None:
    """Settings were changed; a new sample interval counts from the start of the transaction as well."""
    before = turn.rules.sampling.meter_value_sample_interval_s
    turn.run = replace(turn.run, rules=event.rules)
    if not event.rules.authorisation.uses_local_list:
        list_updates.settle_conflicts(turn)
    if event.rules.sampling.meter_value_sample_interval_s == before:
        return
    for number in turn.numbers:
        current = turn.session(number)
        if current.transaction is not None:
            changed = sampling.restart(current.transaction, event.rules.sampling, turn.now_s)
            turn.put_session(number, replace(current, transaction=changed))


def follow_clock(turn: Turn) -> None:
    """When the time becomes known, so does when a transaction of an earlier boot began."""
    is_known = turn.now.is_utc_trusted
    if is_known is turn.state.is_time_known:
        return
    turn.state = replace(turn.state, is_time_known=is_known)
    for number in turn.numbers if is_known else ():
        current = turn.session(number)
        transaction = current.transaction
        if transaction is None or not (transaction.is_of_earlier_boot and transaction.start.started.is_utc_trusted):
            continue
        began_s = _began_s(turn, transaction.start.started)
        moved = sampling.restart(replace(transaction, began_s=began_s), turn.rules.sampling, turn.now_s)
        turn.put_session(number, replace(current, transaction=moved))


def _resume(turn: Turn, kept: OpenTransaction) -> None:
    """Take one open transaction up. Only one can be open on a connector; the store keeps the oldest first."""
    number = kept.start.connector
    if not turn.meet(number) or turn.session(number).phase is not Phase.IDLE:
        return
    connector = turn.connector(number)
    register_wh = max(kept.last_energy_wh, kept.start.meter_start_wh)
    turn.put(
        replace(
            connector,
            session=Session(Phase.RESUMING, plug_id=kept.start.plug_id, transaction=_transaction(turn, kept)),
            meter=Meter(since_s=turn.now_s, register_wh=register_wh),
        )
    )


def _transaction(turn: Turn, kept: OpenTransaction) -> Transaction:
    return Transaction(
        kept.start,
        kept.id_tag_info,
        began_s=_on_this_boot(turn, kept.start.started, kept.boot_id).monotonic_s,
        transaction_id=kept.transaction_id,
        kept=kept,
        is_of_earlier_boot=kept.boot_id != turn.run.boot_id,
        is_after_boot=kept.boot_id != turn.run.boot_id,
    )


def _on_this_boot(turn: Turn, stamp: Instant, boot_id: str) -> Instant:
    """Carry a stamp of an earlier boot over to this one's monotonic clock, by its UTC."""
    if boot_id == turn.run.boot_id:
        return stamp
    return replace(stamp, monotonic_s=_began_s(turn, stamp))


def _began_s(turn: Turn, stamp: Instant) -> float:
    return turn.now_s - max(0.0, turn.now.utc_s - stamp.utc_s)
