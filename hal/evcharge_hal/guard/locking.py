"""The connector lock (DESIGN D13, security.md H18): closed before the contactor, opened only when nothing can flow.

The lock is driven and its position is read through the co-processor. A position that does not follow is tried again,
then `LOCK_JAM`; a lock that falls open under load is a jam at once. One that does not open is `LOCK_STUCK`, a warning.
An agent may ask for the cable back (`Unlock`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from evcharge_hal.boards.board import Lock
from evcharge_hal.contract.channel import LeaseState, Reply, SetPoint, Unlock, UnlockOutcome
from evcharge_hal.contract.faults import FaultCode
from evcharge_hal.guard.deadlines import (
    LOCK_MOVE_S,
    LOCK_RELEASE_S,
    LOCK_TRIES,
    UNLOCK_AFTER_OPEN_S,
)
from evcharge_hal.guard.state import ConnectorState, LinkView, LockView, Situation


@dataclass(frozen=True, slots=True)
class Locking:
    """The lock as it is to be, and what is to be told about it."""

    lock: LockView
    replies: Sequence[Reply] = ()


def dead_s(connector: ConnectorState) -> float:
    """When the outlet counts as proven dead, unless something closes until then."""
    contactor = connector.contactor
    if contactor.is_driven or contactor.is_closed is True:
        return float("inf")
    return max(contactor.driven_s, contactor.changed_s) + UNLOCK_AFTER_OPEN_S


def may_unlock(situation: Situation) -> bool:
    """Proven open, and no current for 0.5 s: there is none through an open contact (H18). A weld keeps the plug."""
    connector = situation.connector
    report = connector.pilot.report
    is_permitted = report is not None and report.is_permitted
    is_welded = FaultCode.CONTACTOR_WELDED in connector.faults
    return not is_permitted and not is_welded and situation.now_s >= dead_s(connector)


def read_position(connector: ConnectorState) -> bool | None:
    """Whether the plug is held; None without a lock, or while nobody can tell."""
    report = connector.pilot.report
    if connector.section.lock is Lock.NONE or report is None or connector.pilot.lost_s is not None:
        return None
    return report.is_locked


def is_jammed(situation: Situation) -> bool | None:
    """The plug should be held, every try is over, and it is not."""
    connector, now_s = situation.connector, situation.now_s
    is_locked, lock = read_position(connector), connector.lock
    if connector.section.lock is Lock.NONE or not lock.is_wanted:
        return False
    if is_locked is None:
        return None
    is_lost = connector.contactor.is_driven and now_s >= lock.seen_s + LOCK_MOVE_S
    return not is_locked and (is_lost or lock.tries >= LOCK_TRIES)


def is_stuck(situation: Situation) -> bool | None:
    """The plug should be free for 1 s, and is held. What a co-processor that was away is told, it does after that."""
    connector, lock, is_locked = situation.connector, situation.connector.lock, read_position(situation.connector)
    if connector.section.lock is Lock.NONE or lock.is_driven:
        return False
    if is_locked is None:
        return None
    return is_locked and situation.now_s >= max(lock.moved_s, situation.link.since_s) + LOCK_MOVE_S


def is_promised(connector: ConnectorState) -> bool:
    """The agent lets energy flow to the car that is in."""
    wish = _held_wish(connector)
    return wish is not None and wish.permission


def is_kept(connector: ConnectorState) -> bool:
    """The agent keeps the plug for whom it belongs to; not beyond its word."""
    wish = _held_wish(connector)
    return wish is not None and wish.is_plug_kept


def _held_wish(connector: ConnectorState) -> SetPoint | None:
    is_held = connector.lease.state in (LeaseState.HELD, LeaseState.LAPSED)
    return connector.lease.set_point if is_held else None


def decide_lock(situation: Situation, is_offered: bool) -> Locking:
    """What the lock does now; `is_offered`: the pilot states a current."""
    connector, now_s = situation.connector, situation.now_s
    lock = connector.lock
    if connector.section.lock is Lock.NONE:
        return Locking(lock)
    is_wanted = connector.pilot.plug_id is not None and (is_offered or is_promised(connector) or is_kept(connector))
    if is_wanted is not lock.is_wanted:
        lock = replace(lock, is_wanted=is_wanted, tries=0, moved_s=now_s)
    is_locked, report = read_position(connector), connector.pilot.report
    # When it was said, not when it was last looked at: a position that is old is not seen again by looking.
    if is_locked and report is not None and lock.seen_s != report.received_s:
        lock = replace(lock, seen_s=report.received_s)
    if is_wanted:
        lock = _hold(situation, lock, is_locked)
    elif lock.is_driven and may_unlock(situation):
        lock = replace(lock, is_driven=False, moved_s=now_s)
    return _answer(situation, lock, is_locked)


def refuse_unlock(connector: ConnectorState, message: Unlock) -> Reply | None:
    """Why an order to give the cable back is refused at once; None: it is tried."""
    if connector.section.lock is Lock.NONE:
        return Reply(message.request, is_accepted=False, reason=UnlockOutcome.NOT_SUPPORTED.value)
    contactor = connector.contactor
    is_live = contactor.is_driven or contactor.is_closed is True or FaultCode.CONTACTOR_WELDED in connector.faults
    if is_live or is_promised(connector):
        return Reply(message.request, is_accepted=False, reason=UnlockOutcome.FAILED.value)
    return None


def deadlines_s(connector: ConnectorState, link: LinkView) -> list[float]:
    """When time alone changes what the lock does."""
    if connector.section.lock is Lock.NONE:
        return []
    lock = connector.lock
    return [
        dead_s(connector),
        lock.moved_s + LOCK_MOVE_S,
        link.since_s + LOCK_MOVE_S,
        lock.moved_s + LOCK_RELEASE_S,
        lock.seen_s + LOCK_MOVE_S,
        lock.asked_s + LOCK_TRIES * LOCK_MOVE_S,
    ]


def _hold(situation: Situation, lock: LockView, is_locked: bool | None) -> LockView:
    """Drive it closed; one that does not follow is let go for a moment and driven again, never under load."""
    now_s = situation.now_s
    if is_locked and lock.is_driven:
        return lock if lock.tries == 0 else replace(lock, tries=0)
    if not lock.is_driven:
        is_due = lock.tries == 0 or now_s >= lock.moved_s + LOCK_RELEASE_S
        return replace(lock, is_driven=True, moved_s=now_s) if is_due else lock
    if is_locked is None or lock.tries >= LOCK_TRIES or now_s < lock.moved_s + LOCK_MOVE_S:
        return lock
    tries = lock.tries + 1
    is_released = tries < LOCK_TRIES and may_unlock(situation)
    return replace(lock, tries=tries, is_driven=not is_released, moved_s=now_s)


def _answer(situation: Situation, lock: LockView, is_locked: bool | None) -> Locking:
    if lock.request is None:
        return Locking(lock)
    if is_locked is False and not lock.is_driven:
        reply = Reply(lock.request, is_accepted=True, reason=UnlockOutcome.UNLOCKED.value)
    elif lock.is_wanted or situation.now_s >= lock.asked_s + LOCK_TRIES * LOCK_MOVE_S:
        reply = Reply(lock.request, is_accepted=False, reason=UnlockOutcome.FAILED.value)
    else:
        return Locking(lock)
    return Locking(replace(lock, request=None), [reply])
