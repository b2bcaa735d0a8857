"""Laws about reservations: how they are answered, whom they keep away, and when they are over (rule 18)."""

import itertools
from collections.abc import Iterator

from tests.support.strict.expectations import Expectations
from tests.support.strict.law import Finding
from tests.support.strict.trace import FOREVER_S, Call, Trace, Transaction, stamp_s

CLOCKS_AGREE_S = 5.0
STATION = 0
ANSWERS = {
    "Available": "Accepted Rejected",
    "Reserved": "Accepted Occupied Rejected",
    "Faulted": "Faulted Rejected",
    "Unavailable": "Unavailable Rejected",
}
"""What ReserveNow may be answered by the state of the connector; in every other it is Occupied."""


def reservations_are_answered_by_state(trace: Trace, expectations: Expectations) -> Iterator[Finding]:
    """ReserveNow is answered by the state of its connector, and never Accepted for a time that is past."""
    for order in trace.asked("ReserveNow"):
        others = [one for one in _accepted(trace) if one.number < order.number and _id(one) != _id(order)]
        if order.status is None:
            continue
        if order.status == "Accepted" and _expiry_s(trace, order) <= order.at_s - CLOCKS_AGREE_S:
            yield order.at_s, f"accepted though it is over: {order}"
        numbers = range(1, expectations.connectors + 1) if order.connector == STATION else [order.connector]
        states = {state for number in numbers if (state := _state(trace, number, order)) is not None}
        may_be = {status for state in states for status in ANSWERS.get(state, "Occupied Rejected").split()}
        # What is kept for others cannot be had although it is Available.
        may_be |= {"Occupied"} if others else set()
        if states and order.status not in may_be:
            yield order.at_s, f"{order.status} while {sorted(states)}: {order}"


def reservations_are_told(trace: Trace, expectations: Expectations) -> Iterator[Finding]:
    """An accepted reservation makes its connector Reserved, until it is used, cancelled or expired (rule 18)."""
    for order in trace.asked("ReserveNow"):
        if order.status != "Accepted" or order.answered_s is None or order.connector == 0:
            continue
        until_s = order.answered_s + expectations.follow_within_s
        if until_s > _end_s(trace, order) or not trace.is_up(order.at_s, until_s):
            continue
        states = [call for call in trace.statuses(int(order.payload["connectorId"])) if call.at_s <= until_s]
        if not states or states[-1].payload["status"] not in ("Reserved", "Faulted", "Unavailable"):
            yield until_s, f"not Reserved after {order}"


def a_reserved_connector_is_kept(trace: Trace, _: Expectations) -> Iterator[Finding]:
    """Where a reservation holds, only its tag or its parent's begins, and the start names the reservation."""
    for transaction in trace.transactions:
        start = transaction.start
        began_s = stamp_s(str(start.payload["timestamp"])) - trace.utc_offset_s
        holding = [
            order
            for order in trace.asked("ReserveNow")
            if order.status == "Accepted" and order.connector == transaction.connector
            if order.answered_s is not None and order.answered_s <= began_s < _end_s(trace, order, start)
        ]
        named = start.payload.get("reservationId")
        for order in holding[-1:]:
            if not _is_meant(order, transaction):
                yield start.at_s, f"begun on a connector reserved by {order}: {start}"
            elif named != order.payload["reservationId"]:
                yield start.at_s, f"reservation {order.payload['reservationId']} is not named: {start}"


def reservation_ids_are_known(trace: Trace, _: Expectations) -> Iterator[Finding]:
    """A start names a reservation that was accepted, and no other start has named."""
    used: set[object] = set()
    for transaction in trace.transactions:
        number = transaction.start.payload.get("reservationId")
        if number is None:
            continue
        accepted = {
            order.payload["reservationId"]
            for order in trace.asked("ReserveNow")
            if order.status == "Accepted" and order.number < transaction.start.number
        }
        if number not in accepted or number in used:
            yield transaction.start.at_s, f"reservation {number}: {transaction.start}"
        used.add(number)


def reservations_end_in_time(trace: Trace, expectations: Expectations) -> Iterator[Finding]:
    """Reserved ends with the expiry, and does not become Available before it for nothing."""
    for connector in range(1, expectations.connectors + 1):
        states = trace.statuses(connector)
        for told, after in itertools.zip_longest(states, states[1:]):
            orders = [one for one in _accepted(trace) if one.connector == connector and one.number < told.number]
            if told.payload["status"] != "Reserved" or not orders:
                continue
            expiry_s = _expiry_s(trace, orders[-1])
            until_s = expiry_s + expectations.follow_within_s
            ended_s = trace.ended_s if after is None else after.at_s
            if ended_s > until_s and trace.is_up(told.at_s, until_s):
                yield until_s, f"connector {connector} is still Reserved by {orders[-1]}"
            is_freed = after is not None and after.payload["status"] == "Available"
            if is_freed and after is not None and _happened_s(trace, after) < expiry_s - CLOCKS_AGREE_S:
                withdrawn = trace.asked("CancelReservation", "ReserveNow", "ChangeAvailability")
                if not any(one.status == "Accepted" and told.number < one.number < after.number for one in withdrawn):
                    yield after.at_s, f"connector {connector} is Available before the end of {orders[-1]}"


def _end_s(trace: Trace, order: Call, but: Call | None = None) -> float:
    """When a reservation is over: cancelled, replaced, expired, or used (by another start than `but`)."""
    ends = [stamp_s(str(order.payload["expiryDate"])) - trace.utc_offset_s, trace.ended_s if but is None else FOREVER_S]
    for call in trace.asked("CancelReservation", "ReserveNow", "ChangeAvailability"):
        is_mine = call.payload.get("reservationId") == order.payload["reservationId"]
        is_out = call.action == "ChangeAvailability" and call.connector in (0, order.connector)
        if call.number > order.number and call.status == "Accepted" and (is_mine or is_out):
            ends.append(call.at_s)
    for call in trace.sent("StartTransaction", "StatusNotification"):
        is_other_start = call.action == "StartTransaction" and call is not but
        is_over = is_other_start or call.payload.get("status") in ("Faulted", "Unavailable", "Preparing")
        if (call.number > order.number and call.connector == order.connector and is_over and but is None) or (
            call.number > order.number and call.connector == order.connector and is_other_start
        ):
            ends.append(call.at_s)
    return min(ends)


def _accepted(trace: Trace) -> list[Call]:
    return [order for order in trace.asked("ReserveNow") if order.status == "Accepted"]


def _id(order: Call) -> object:
    return order.payload["reservationId"]


def _expiry_s(trace: Trace, order: Call) -> float:
    return stamp_s(str(order.payload["expiryDate"])) - trace.utc_offset_s


def _is_meant(order: Call, transaction: Transaction) -> bool:
    """It is for this tag, or for its parent as far as the central system has told that."""
    if str(order.payload["idTag"]).casefold() == str(transaction.start.payload["idTag"]).casefold():
        return True
    if transaction.info is None:
        return "parentIdTag" in order.payload
    parent = transaction.info.get("parentIdTag")
    return parent is not None and str(parent).casefold() == str(order.payload.get("parentIdTag", "")).casefold()


def _state(trace: Trace, connector: int | None, order: Call) -> str | None:
    """What was last told of a connector, if that was told by the time of the order and nothing else until its answer.

    None also where it is about to change: the next word comes within a moment.
    """
    told = [one for one in trace.statuses(connector or STATION) if one.number < (order.answer_number or order.number)]
    soon = [one for one in trace.statuses(connector or STATION) if one not in told]
    is_moving = bool(soon) and _happened_s(trace, soon[0]) <= order.at_s
    if not told or told[-1].number > order.number or is_moving:
        return None
    return str(told[-1].payload["status"])


def _happened_s(trace: Trace, status: Call) -> float:
    stamp = status.payload.get("timestamp")
    return status.at_s if stamp is None else min(stamp_s(str(stamp)) - trace.utc_offset_s, status.at_s)


RESERVATION_LAWS = (
    reservations_are_answered_by_state,
    reservations_are_told,
    a_reserved_connector_is_kept,
    reservation_ids_are_known,
    reservations_end_in_time,
)
