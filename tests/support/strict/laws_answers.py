"""Laws about the answers to the central system's requests (OCPP 1.6, 5; rules 9 to 12 and 19)."""

from collections.abc import Iterator

from tests.support.strict.expectations import Expectations
from tests.support.strict.law import Finding
from tests.support.strict.laws_boot import TRIGGERS
from tests.support.strict.laws_frames import is_rejected_at
from tests.support.strict.trace import Trace

CAUSED = {
    "ChangeAvailability": ("StatusNotification",),
    "RemoteStartTransaction": ("Authorize", "StartTransaction"),
    "RemoteStopTransaction": ("StopTransaction",),
    "Reset": ("StopTransaction", "BootNotification"),
}
"""What the charger sends because of a request, which its answer comes before."""
OF_CONNECTOR = {
    "ChangeAvailability": "Rejected",
    "ReserveNow": "Rejected",
    "UnlockConnector": "NotSupported",
}
"""How a connector is refused that does not exist."""


def answers_come_before_actions(trace: Trace, _: Expectations) -> Iterator[Finding]:
    """First the answer, then what it speaks of."""
    for asked in trace.asked():
        caused = CAUSED.get(asked.action, ())
        if asked.action in TRIGGERS:
            caused = (str(asked.payload["requestedMessage"]),)
        answer_number = asked.answer_number
        if answer_number is None:
            continue
        for call in trace.sent(*caused) if caused else ():
            if asked.number < call.number < answer_number:
                yield call.at_s, f"before the answer to {asked}: {call}"


def triggers_are_followed(trace: Trace, expectations: Expectations) -> Iterator[Finding]:
    """An accepted trigger is followed by its message."""
    for trigger in trace.asked(*TRIGGERS):
        if trigger.status != "Accepted" or trigger.answered_s is None:
            continue
        until_s = trigger.answered_s + expectations.follow_within_s
        if until_s > trace.ended_s or not trace.is_up(trigger.at_s, until_s):
            continue
        message = {"LogStatusNotification": "LogStatusNotification", "SignChargePointCertificate": "SignCertificate"}
        name = str(trigger.payload["requestedMessage"])
        came = [
            call
            for call in trace.sent(message.get(name, name))
            if call.number > trigger.number and call.at_s <= until_s
            if trigger.connector is None or call.connector in (trigger.connector, None)
        ]
        if not came:
            yield until_s, f"nothing came after {trigger}"


def secrets_stay_secret(trace: Trace, _: Expectations) -> Iterator[Finding]:
    """AuthorizationKey is written and never read."""
    for call in trace.asked("GetConfiguration"):
        for line in (call.result or {}).get("configurationKey", []):
            if line["key"].casefold() == "authorizationkey" and line.get("value"):
                yield call.at_s, "AuthorizationKey was shown"


def every_asked_key_is_answered(trace: Trace, _: Expectations) -> Iterator[Finding]:
    """GetConfiguration answers each key it was asked for, known or unknown, in the order of the request."""
    for call in trace.asked("GetConfiguration"):
        if call.result is None:
            continue
        asked = [str(key).casefold() for key in call.payload.get("key", [])]
        known = [line["key"].casefold() for line in call.result.get("configurationKey", [])]
        unknown = [key.casefold() for key in call.result.get("unknownKey", [])]
        if not asked:
            if unknown or not known:
                yield call.at_s, "asked for all keys, and some are unknown"
            continue
        if sorted(known + unknown) != sorted(asked):
            yield call.at_s, f"asked for {asked}, answered {known} and {unknown}"
        elif known != [key for key in asked if key in known]:
            yield call.at_s, f"asked for {asked}, answered in the order {known}"


def configuration_is_what_was_accepted(trace: Trace, _: Expectations) -> Iterator[Finding]:
    """GetConfiguration shows what was last accepted, and what was refused changed nothing."""
    known: dict[str, str] = {}
    for call in trace.asked("GetConfiguration", "ChangeConfiguration"):
        if call.action == "ChangeConfiguration" and call.status == "Accepted":
            known[str(call.payload["key"]).casefold()] = str(call.payload["value"])
        for line in (call.result or {}).get("configurationKey", []):
            name = line["key"].casefold()
            value = line.get("value", "")
            if name == "authorizationkey":
                continue
            if name in known and not _is_same_value(known[name], value) and name != "heartbeatinterval":
                yield call.at_s, f"{line['key']} is {value}, not {known[name]}"
            known[name] = value


def impossible_starts_are_refused(trace: Trace, expectations: Expectations) -> Iterator[Finding]:
    """RemoteStart is rejected on connector 0, on one that does not exist and where a transaction runs (rule 10)."""
    for call in trace.asked("RemoteStartTransaction"):
        if call.status != "Accepted" or call.connector is None:
            continue
        busy = [one for one in trace.transactions if one.connector == call.connector and one.is_open_at(call.number)]
        if not 1 <= call.connector <= expectations.connectors or busy:
            yield call.at_s, f"accepted: {call}"


def unknown_transactions_are_not_stopped(trace: Trace, _: Expectations) -> Iterator[Finding]:
    """RemoteStop is accepted for a transaction that runs, and for no other."""
    for call in trace.asked("RemoteStopTransaction"):
        if call.result is None or is_rejected_at(trace, call.at_s):
            continue
        mine = [one for one in trace.transactions if one.id == call.payload["transactionId"]]
        is_open = any(one.is_open_at(call.number) for one in mine)
        if call.status == "Accepted" and not is_open:
            yield call.at_s, f"accepted, but not running: {call}"


def unknown_connectors_are_refused(trace: Trace, expectations: Expectations) -> Iterator[Finding]:
    """A connector that does not exist cannot be unlocked, reserved or made unavailable."""
    for call in trace.asked(*OF_CONNECTOR):
        lowest = 1 if call.action == "UnlockConnector" else 0
        is_there = call.connector is not None and lowest <= call.connector <= expectations.connectors
        if call.result is not None and not is_there and call.status != OF_CONNECTOR[call.action]:
            yield call.at_s, f"{call.status} for {call}"


def _is_same_value(one: str, other: str) -> bool:
    return _plain(one) == _plain(other)


def _plain(value: str) -> str:
    return ",".join(part.strip() for part in value.casefold().split(","))


ANSWER_LAWS = (
    answers_come_before_actions,
    triggers_are_followed,
    secrets_stay_secret,
    every_asked_key_is_answered,
    configuration_is_what_was_accepted,
    impossible_starts_are_refused,
    unknown_transactions_are_not_stopped,
    unknown_connectors_are_refused,
)
