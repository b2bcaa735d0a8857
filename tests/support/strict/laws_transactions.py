"""Laws about transactions: ids, order, energy, tags, reasons (OCPP 1.6, 4.8 and 4.10; rules 2 to 5, 12)."""

import itertools
from collections.abc import Iterator

from tests.support.strict.expectations import Expectations, is_at
from tests.support.strict.law import Finding
from tests.support.strict.readings import registers_of
from tests.support.strict.trace import Call, Trace, Transaction, stamp_s

GIVEN_UP = -1
STOPS_WITHIN_S = 30.0


def transaction_ids_are_given(trace: Trace, _: Expectations) -> Iterator[Finding]:
    """Only ids the central system has given are used; -1 only for a start that was given up (errata 3.18)."""
    for call in trace.sent("StopTransaction", "MeterValues"):
        number = call.payload.get("transactionId")
        if number is None:
            continue
        given = [one for one in trace.transactions for send in one.sends if _gave(send, number, call)]
        is_given_up = number == GIVEN_UP and any(one.id is None for one in trace.transactions)
        if not given and not is_given_up:
            yield call.at_s, f"transaction {number} was not given yet: {call}"


def one_stop_for_each_transaction(trace: Trace, _: Expectations) -> Iterator[Finding]:
    """A transaction is stopped once; sending the same message again is not stopping twice."""
    for transaction in trace.transactions:
        ids = dict.fromkeys(stop.id for stop in transaction.stops)
        if len(ids) > 1:
            yield transaction.stops[-1].at_s, f"transaction {transaction.id} was stopped {len(ids)} times"


def transaction_messages_are_in_order(trace: Trace, _: Expectations) -> Iterator[Finding]:
    """What happened first on a connector is told first, and nothing is told of a transaction after its stop."""
    for transaction in trace.transactions:
        stop = transaction.stop
        for value in transaction.values:
            if stop is not None and value.number > stop.number:
                yield value.at_s, f"after the stop: {value}"
    connectors = {transaction.id: transaction.connector for transaction in trace.transactions}
    latest: dict[int, float] = {}
    for sends in trace.sends:
        first = sends[0]
        connector = first.connector or connectors.get(first.payload.get("transactionId"))
        for at_utc_s in _stamps(first):
            if connector is not None and at_utc_s < latest.get(connector, 0.0) - 0.001:
                yield first.at_s, f"older than what was told before: {first}"
            if connector is not None:
                latest[connector] = max(latest.get(connector, 0.0), at_utc_s)


def one_transaction_on_a_connector(trace: Trace, expectations: Expectations) -> Iterator[Finding]:
    """A transaction begins after the one before has been stopped."""
    for connector in range(1, expectations.connectors + 1):
        mine = [one for one in trace.transactions if one.connector == connector]
        for before, after in itertools.pairwise(mine):
            if before.id is not None and (before.stop is None or before.stop.number > after.start.number):
                yield after.start.at_s, f"begun while transaction {before.id} runs: {after.start}"


def the_register_never_falls(trace: Trace, expectations: Expectations) -> Iterator[Finding]:
    """meterStart, samples and meterStop of a connector never go down."""
    for connector in range(1, expectations.connectors + 1):
        highest_wh = float("-inf")
        for call, register_wh in registers_of(trace, connector):
            if register_wh < highest_wh:
                yield call.at_s, f"register fell from {highest_wh:g} to {register_wh:g} Wh: {call}"
            highest_wh = max(highest_wh, register_wh)


def a_stop_names_only_a_presented_tag(trace: Trace, _: Expectations) -> Iterator[Finding]:
    """idTag stands only where somebody presented it to stop, which is a local stop (rule 5)."""
    for call in trace.sent("StopTransaction"):
        if "idTag" in call.payload and call.payload.get("reason", "Local") != "Local":
            yield call.at_s, f"idTag with reason {call.payload['reason']}"


def only_the_owner_stops(trace: Trace, _: Expectations) -> Iterator[Finding]:
    """The tag that stops is the one that started, or has the same parent."""
    for transaction in trace.transactions:
        stop = transaction.stop
        if stop is None or "idTag" not in stop.payload:
            continue
        mine, theirs = str(transaction.start.payload["idTag"]), str(stop.payload["idTag"])
        parents = _parents(trace, mine) & _parents(trace, theirs)
        if mine.casefold() != theirs.casefold() and not parents:
            yield stop.at_s, f"{theirs} stopped the transaction of {mine}"


def stop_reasons_have_causes(trace: Trace, _: Expectations) -> Iterator[Finding]:
    """The reason is what happened: a command, a reset, a refused tag, a power loss, a pulled cable."""
    for transaction in trace.transactions:
        stop = transaction.stop
        if stop is None:
            continue
        reason = str(stop.payload.get("reason", "Local"))
        if not _has_cause(trace, transaction, stop, reason):
            yield stop.at_s, f"reason {reason} of transaction {transaction.id} has no cause"


def commands_end_in_their_reason(trace: Trace, _: Expectations) -> Iterator[Finding]:
    """An accepted RemoteStop ends its transaction, with that reason."""
    for command in trace.asked("RemoteStopTransaction"):
        if command.status != "Accepted" or command.answered_s is None:
            continue
        until_s = command.answered_s + STOPS_WITHIN_S
        stops = trace.sent("StopTransaction")
        mine = [stop for stop in stops if stop.payload["transactionId"] == command.payload["transactionId"]]
        is_known = any(one.id == command.payload["transactionId"] for one in trace.transactions)
        if is_known and not mine and until_s <= trace.ended_s and trace.is_up(command.at_s, until_s):
            yield until_s, f"no stop after {command}"
        if mine and mine[0].number > command.number and mine[0].payload.get("reason") != "Remote":
            yield mine[0].at_s, f"reason {mine[0].payload.get('reason')} after {command}"


def refused_tags_end_their_transaction(trace: Trace, expectations: Expectations) -> Iterator[Finding]:
    """StopTransactionOnInvalidId: a tag refused in StartTransaction.conf ends it with DeAuthorized (rule 4)."""
    for transaction in trace.transactions:
        answered = next((send for send in transaction.sends if send.result is not None), None)
        if answered is None or answered.answered_s is None or answered.status == "Accepted":
            continue
        at_s = answered.answered_s
        if not is_at(trace, expectations, "StopTransactionOnInvalidId", at_s):
            continue
        until_s = at_s + STOPS_WITHIN_S
        is_late = transaction.stop is None or transaction.stop.at_s > until_s
        if is_late and until_s <= trace.ended_s and trace.is_up(at_s, until_s):
            yield until_s, f"transaction {transaction.id} goes on though its tag is {answered.status}"


def only_authorised_tags_start(trace: Trace, expectations: Expectations) -> Iterator[Finding]:
    """A transaction begins with a tag somebody accepted: the central system, a list, or the offline rule."""
    listed = {
        str(entry["idTag"]).casefold()
        for call in trace.asked("SendLocalList")
        if call.status == "Accepted"
        for entry in call.payload.get("localAuthorizationList", [])
    }
    for transaction in trace.transactions:
        start = transaction.start
        tag = str(start.payload["idTag"]).casefold()
        began_s = stamp_s(str(start.payload["timestamp"])) - trace.utc_offset_s
        verdicts = [status for number, status in _verdicts(trace, tag) if number < start.number]
        is_offline = is_at(trace, expectations, "AllowOfflineTxForUnknownId", began_s)
        if verdicts[-1:] != ["Accepted"] and not is_offline and tag not in listed:
            yield start.at_s, f"nobody accepted it: {start}"


def _gave(send: Call, number: int, use: Call) -> bool:
    is_before = send.answer_number is not None and send.answer_number < use.number
    return is_before and send.result is not None and send.result["transactionId"] == number


def _stamps(call: Call) -> list[float]:
    """Moments a transaction message tells of; clock-aligned ones outside a transaction are not queued."""
    if call.action in ("StartTransaction", "StopTransaction"):
        return [stamp_s(str(call.payload["timestamp"]))]
    if call.action == "MeterValues" and "transactionId" in call.payload:
        return [stamp_s(str(value["timestamp"])) for value in call.payload["meterValue"]]
    return []


def _verdicts(trace: Trace, tag: str) -> list[tuple[int, str]]:
    """What the central system said of a tag, and where in the trace; a remote start says yes."""
    found = [
        (call.answer_number, call.status)
        for call in trace.sent("Authorize", "StartTransaction", "StopTransaction")
        if str(call.payload.get("idTag", "")).casefold() == tag and call.status and call.answer_number is not None
    ]
    found += [
        (call.number, "Accepted")
        for call in trace.asked("RemoteStartTransaction")
        if str(call.payload["idTag"]).casefold() == tag and call.status == "Accepted"
    ]
    return sorted(found)


def _parents(trace: Trace, tag: str) -> set[str]:
    results = [
        call.result["idTagInfo"]
        for call in trace.sent("Authorize", "StartTransaction", "StopTransaction")
        if call.result is not None and "idTagInfo" in call.result
        if str(call.payload.get("idTag", "")).casefold() == tag.casefold()
    ]
    results += [
        entry["idTagInfo"]
        for call in trace.asked("SendLocalList")
        for entry in call.payload.get("localAuthorizationList", [])
        if str(entry["idTag"]).casefold() == tag.casefold() and "idTagInfo" in entry
    ]
    return {str(info["parentIdTag"]).casefold() for info in results if "parentIdTag" in info}


def _has_cause(trace: Trace, transaction: Transaction, stop: Call, reason: str) -> bool:
    """Something that can end a transaction for this reason has happened."""

    def was_asked(action: str, **fields: object) -> bool:
        calls = [call for call in trace.asked(action) if call.number < stop.number]
        return any(all(call.payload.get(name) == value for name, value in fields.items()) for call in calls)

    match reason:
        case "Remote":
            return was_asked("RemoteStopTransaction", transactionId=transaction.id)
        case "SoftReset":
            return was_asked("Reset", type="Soft")
        case "HardReset":
            return was_asked("Reset", type="Hard")
        case "UnlockCommand":
            return was_asked("UnlockConnector", connectorId=transaction.connector)
        case "DeAuthorized":
            return transaction.info is not None and transaction.info["status"] != "Accepted"
        case "PowerLoss":
            return bool(trace.marks("power"))
        case _:
            return True


TRANSACTION_LAWS = (
    transaction_ids_are_given,
    one_stop_for_each_transaction,
    transaction_messages_are_in_order,
    one_transaction_on_a_connector,
    the_register_never_falls,
    a_stop_names_only_a_presented_tag,
    only_the_owner_stops,
    stop_reasons_have_causes,
    commands_end_in_their_reason,
    refused_tags_end_their_transaction,
    only_authorised_tags_start,
)
