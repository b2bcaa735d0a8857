"""Laws about time: heartbeats, retries, ConnectionTimeOut, stamps (rules 2, 6, 10)."""

import itertools
from collections.abc import Iterator

from tests.support.strict.expectations import Expectations, is_at, seconds_at
from tests.support.strict.law import Finding
from tests.support.strict.laws_boot import triggers_of
from tests.support.strict.laws_frames import stamps_of
from tests.support.strict.trace import FOREVER_S, TRANSACTION_ACTIONS, Call, Trace, stamp_s

BEAT_LATE_S = 2.0
BEAT_TOLERANCE = 0.05
TIMEOUT_EARLY_S = 1.0
TIMEOUT_LATE_S = 10.0
"""OCTT's tolerance for ConnectionTimeOut."""
RETRY_EARLY_S = 0.5
RETRY_LATE_S = 3.0
FUTURE_S = 2.0
EARLIEST_UTC_S = 1_577_836_800.0
OLD_STATUS_S = 60.0


def the_heart_beats_in_time(trace: Trace, expectations: Expectations) -> Iterator[Finding]:
    """While connected and accepted the charger is never silent for longer than HeartbeatInterval."""
    for run in trace.runs:
        for life in trace.lives:
            if run.accepted_s is None:
                continue
            from_s = max(run.accepted_s, life.opened_s)
            to_s = min(run.ended_s, life.closed_s, trace.ended_s)
            calls = [call for call in trace.sent() if call.line == life.line and from_s <= call.at_s < to_s]
            moments = [from_s, *(call.at_s for call in calls), to_s]
            for before_s, after_s in itertools.pairwise(moments):
                interval_s = max(
                    seconds_at(trace, expectations, "HeartbeatInterval", at_s) for at_s in (before_s, after_s)
                )
                slow_s = max((_took_s(call) for call in calls if call.at_s == before_s), default=0.0)
                if after_s - before_s > interval_s * (1 + BEAT_TOLERANCE) + BEAT_LATE_S + slow_s:
                    yield after_s, f"silent for {after_s - before_s:.1f} s, HeartbeatInterval is {interval_s:g} s"


def the_heart_does_not_race(trace: Trace, expectations: Expectations) -> Iterator[Finding]:
    """Heartbeats are not sent more often than asked for."""
    beats = trace.sent("Heartbeat")
    for before, beat in itertools.pairwise(beats):
        run = trace.run_of(beat)
        if run is None or triggers_of(trace, "Heartbeat", run) or before.result is None or not run.has(before):
            continue
        interval_s = seconds_at(trace, expectations, "HeartbeatInterval", beat.at_s)
        if beat.at_s - before.at_s < interval_s * (1 - BEAT_TOLERANCE) - 1.0:
            yield beat.at_s, f"after {beat.at_s - before.at_s:.1f} s, HeartbeatInterval is {interval_s:g} s"


def retries_are_spaced(trace: Trace, expectations: Expectations) -> Iterator[Finding]:
    """The wait before the next send is TransactionMessageRetryInterval times the sends so far."""
    for send, after, failures in _failures(trace, expectations):
        failed_s = _failed_s(trace, expectations, send)
        interval_s = seconds_at(trace, expectations, "TransactionMessageRetryInterval", failed_s) * failures
        if after is None or not trace.is_up(send.at_s, after.at_s):
            continue
        waited_s = after.at_s - failed_s
        if not interval_s - RETRY_EARLY_S <= waited_s <= interval_s + RETRY_LATE_S:
            yield after.at_s, f"sent again after {waited_s:.1f} s, not {interval_s:g} s: {after}"


def retries_are_counted(trace: Trace, expectations: Expectations) -> Iterator[Finding]:
    """A transaction message is sent TransactionMessageAttempts times, no more and no less."""
    for send, after, failures in _failures(trace, expectations):
        failed_s = _failed_s(trace, expectations, send)
        attempts = int(seconds_at(trace, expectations, "TransactionMessageAttempts", failed_s))
        if after is not None and failures >= attempts:
            yield after.at_s, f"send {failures + 1} of {attempts}: {after}"
        interval_s = seconds_at(trace, expectations, "TransactionMessageRetryInterval", failed_s) * failures
        due_s = failed_s + interval_s + RETRY_LATE_S
        is_over = due_s <= trace.ended_s and trace.is_up(send.at_s, due_s) and trace.is_without_start(send.at_s, due_s)
        if after is None and failures < attempts and is_over:
            yield due_s, f"given up after {failures} of {attempts} sends: {send}"


def connection_time_out_is_kept(trace: Trace, expectations: Expectations) -> Iterator[Finding]:
    """Preparing ends by a transaction, or ConnectionTimeOut after the authorisation (-1/+10 s), or with the car."""
    for connector in range(1, expectations.connectors + 1):
        statuses = trace.statuses(connector)
        for status, after in itertools.zip_longest(statuses, statuses[1:]):
            if status.payload["status"] == "Preparing":
                yield from _judge_preparing(trace, expectations, status, after)


def lapsed_authorisations_start_nothing(trace: Trace, expectations: Expectations) -> Iterator[Finding]:
    """A transaction begins within ConnectionTimeOut of the latest authorisation of its tag, if it had one."""
    for transaction in trace.transactions:
        tag = str(transaction.start.payload["idTag"]).casefold()
        began_s = stamp_s(str(transaction.start.payload["timestamp"])) - trace.utc_offset_s
        given = [at_s for at_s, whose in _authorisations(trace) if whose in (tag, None) and at_s <= began_s + 1.0]
        timeout_s = seconds_at(trace, expectations, "ConnectionTimeOut", began_s)
        is_local = not trace.is_up(began_s, began_s) or _may_be_local(trace, expectations, began_s)
        if given and not is_local and began_s - max(given) > timeout_s + TIMEOUT_LATE_S:
            yield transaction.start.at_s, f"authorised {began_s - max(given):.0f} s before: {transaction.start}"


def stamps_are_believable(trace: Trace, _: Expectations) -> Iterator[Finding]:
    """Nothing is told of the future, nor of a time before there were chargers."""
    for call in trace.sent("StatusNotification", "StartTransaction", "StopTransaction", "MeterValues"):
        for text in stamps_of(call):
            utc_s = stamp_s(text)
            if not EARLIEST_UTC_S <= utc_s <= trace.utc_s(call.at_s) + FUTURE_S:
                yield call.at_s, f"stamp {text} at {trace.utc_s(call.at_s):.1f}: {call}"


def statuses_are_fresh(trace: Trace, _: Expectations) -> Iterator[Finding]:
    """A change while connected is told at once, with the moment it happened."""
    for sends in trace.sends:
        call = sends[0]
        if call.action != "StatusNotification" or "timestamp" not in call.payload:
            continue
        at_s = stamp_s(str(call.payload["timestamp"])) - trace.utc_offset_s
        run = trace.run_of(call)
        is_news = run is not None and run.accepted_s is not None and run.accepted_s < at_s
        is_asked = run is not None and bool(triggers_of(trace, "StatusNotification", run))
        is_late = call.at_s - at_s > OLD_STATUS_S
        if is_news and is_late and not is_asked and trace.is_up(at_s, call.at_s) and not _was_refused(trace, call):
            yield call.at_s, f"told {call.at_s - at_s:.0f} s late: {call}"


def _judge_preparing(trace: Trace, expectations: Expectations, status: Call, after: Call | None) -> Iterator[Finding]:
    timeout_s = seconds_at(trace, expectations, "ConnectionTimeOut", status.at_s)
    ended_s = _happened_s(trace, after) if after is not None else min(trace.ended_s, _line_end_s(trace, status))
    if not trace.is_without_start(status.at_s, ended_s) or not trace.is_up(status.at_s, min(ended_s, trace.ended_s)):
        return
    if any(
        one.connector == status.connector and _began_between(trace, one.start, status.at_s, ended_s)
        for one in trace.transactions
    ):
        return
    given = [at_s for at_s, _ in _authorisations(trace) if at_s <= ended_s and at_s >= status.at_s - timeout_s]
    since_s = max([_happened_s(trace, status), *given])
    lasted_s = ended_s - since_s
    if lasted_s > timeout_s + TIMEOUT_LATE_S:
        yield ended_s, f"Preparing for {lasted_s:.1f} s, ConnectionTimeOut is {timeout_s:g} s"
    moves = [mark for mark in trace.marks("plug", "unplug") if mark.connector == status.connector]
    had_car = any(mark.what == "plug" and mark.at_s <= ended_s for mark in moves[-2:]) or any(
        mark.what == "unplug" and status.at_s <= mark.at_s <= ended_s for mark in moves
    )
    is_lapse = after is not None and after.payload["status"] == "Available"
    if is_lapse and given and not had_car and ended_s - max(given) < timeout_s - TIMEOUT_EARLY_S:
        yield ended_s, f"Preparing ended after {ended_s - max(given):.1f} s, ConnectionTimeOut is {timeout_s:g} s"


def _happened_s(trace: Trace, status: Call) -> float:
    """When a state began, which it says itself: a line that waits for an answer tells it late."""
    stamp = status.payload.get("timestamp")
    return status.at_s if stamp is None else min(stamp_s(str(stamp)) - trace.utc_offset_s, status.at_s)


def _began_between(trace: Trace, start: Call, from_s: float, to_s: float) -> bool:
    began_s = stamp_s(str(start.payload["timestamp"])) - trace.utc_offset_s
    return from_s - 1.0 <= began_s <= to_s + 1.0


def _line_end_s(trace: Trace, call: Call) -> float:
    return next((life.closed_s for life in trace.lives if life.line == call.line), FOREVER_S) - 0.001


def _authorisations(trace: Trace) -> list[tuple[float, str | None]]:
    """When a tag was accepted to start, and which; None: a card whose number the wire does not show."""
    found: list[tuple[float, str | None]] = [
        (call.answered_s, str(call.payload["idTag"]).casefold())
        for call in (*trace.sent("Authorize"), *trace.asked("RemoteStartTransaction"))
        if call.status == "Accepted" and call.answered_s is not None
    ]
    # A card may be known without asking.
    return found + [(mark.at_s, mark.detail.casefold() or None) for mark in trace.marks("swipe")]


def _may_be_local(trace: Trace, expectations: Expectations, at_s: float) -> bool:
    return is_at(trace, expectations, "LocalPreAuthorize", at_s)


def _failures(trace: Trace, expectations: Expectations) -> Iterator[tuple[Call, Call | None, int]]:
    """Each failed send of a transaction message, the next send, and how many have failed so far."""
    for sends in trace.sends:
        if sends[0].action not in TRANSACTION_ACTIONS or "transactionId" not in {*sends[0].payload, *_start(sends[0])}:
            continue
        failures = 0
        for send, after in itertools.zip_longest(sends, sends[1:]):
            failed_s = _failed_s(trace, expectations, send)
            if send.result is None and failed_s <= trace.ended_s and trace.is_up(send.at_s, failed_s):
                failures += 1
                yield send, after, failures


def _start(call: Call) -> tuple[str, ...]:
    return ("transactionId",) if call.action == "StartTransaction" else ()


def _failed_s(trace: Trace, expectations: Expectations, send: Call) -> float:
    if send.error is not None and send.answered_s is not None:
        return send.answered_s
    return send.at_s + seconds_at(trace, expectations, "MessageTimeout", send.at_s)


def _took_s(call: Call) -> float:
    return call.answered_s - call.at_s if call.answered_s is not None else OLD_STATUS_S


def _was_refused(trace: Trace, call: Call) -> bool:
    """An earlier StatusNotification of the connector was not taken; the charger tries again."""
    calls = [one for one in trace.statuses(call.connector or 0) if one.at_s < call.at_s]
    return bool(calls) and calls[-1].result is None


TIMING_LAWS = (
    the_heart_beats_in_time,
    the_heart_does_not_race,
    retries_are_spaced,
    retries_are_counted,
    connection_time_out_is_kept,
    lapsed_authorisations_start_nothing,
    stamps_are_believable,
    statuses_are_fresh,
)
