"""Laws about frames: their shape, their schemas, who may speak when (OCPP-J 1.6, 4)."""

import re
from collections.abc import Iterator

from tests.support.strict.expectations import Expectations, seconds_at
from tests.support.strict.law import Finding
from tests.support.strict.schema import exact
from tests.support.strict.trace import TRANSACTION_ACTIONS, Call, Frame, Trace

ERROR_CODES = frozenset(
    {
        "FormationViolation",
        "GenericError",
        "InternalError",
        "NotImplemented",
        "NotSupported",
        "OccurenceConstraintViolation",
        "PropertyConstraintViolation",
        "ProtocolError",
        "SecurityError",
        "TypeConstraintViolation",
    }
)
MAX_ID_LENGTH = 36
TIMER_S = 0.1
"""What a timer may be early, seen from outside."""
MAX_DESCRIPTION_LENGTH = 255
_UTC_STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)")
_PLAIN_NUMBER = re.compile(r"-?\d+(\.\d+)?")


def frames_have_a_shape(trace: Trace, _: Expectations) -> Iterator[Finding]:
    """Every frame is a CALL, a CALLRESULT or a CALLERROR (OCPP-J 4.2)."""
    for frame in _of_charger(trace):
        match exact(frame.text):
            case [2, str(), str(), dict()] | [3, str(), dict()]:
                pass
            case [4, str(), str(), str(description), dict()] if len(description) <= MAX_DESCRIPTION_LENGTH:
                pass
            case _:
                yield frame.at_s, f"no frame: {frame.text[:200]}"


def payloads_fit_their_schemas(trace: Trace, _: Expectations) -> Iterator[Finding]:
    """Every payload fits the schema of its action."""
    for frame, breach in trace.breaches:
        if breach.kind not in ("maxLength", "null"):
            yield frame.at_s, breach.text


def texts_keep_their_length(trace: Trace, _: Expectations) -> Iterator[Finding]:
    """No CiString is longer than the standard allows."""
    for frame, breach in trace.breaches:
        if breach.kind == "maxLength":
            yield frame.at_s, breach.text


def no_member_is_null(trace: Trace, _: Expectations) -> Iterator[Finding]:
    """What has no value is left out."""
    for frame, breach in trace.breaches:
        if breach.kind == "null":
            yield frame.at_s, breach.text


def message_ids_are_short(trace: Trace, _: Expectations) -> Iterator[Finding]:
    """Message ids have 1 to 36 characters (OCPP-J 4.1.4)."""
    for call in trace.sent():
        if not 1 <= len(call.id) <= MAX_ID_LENGTH:
            yield call.at_s, f"message id of {len(call.id)} characters: {call}"


def message_ids_are_unique(trace: Trace, _: Expectations) -> Iterator[Finding]:
    """A message id names one message for ever; only a transaction message is sent again under its own."""
    for calls in trace.sends:
        first = calls[0]
        for call in calls[1:]:
            is_same = call.action == first.action and call.payload == first.payload
            if not is_same or first.action not in TRANSACTION_ACTIONS:
                yield call.at_s, f"message id used before: {call}"


def one_call_at_a_time(trace: Trace, expectations: Expectations) -> Iterator[Finding]:
    """No CALL leaves while another waits for its answer (OCPP-J 4.1.1, rule 1)."""
    waiting: dict[int, Call] = {}
    for call in trace.sent():
        before = waiting.get(call.line)
        waiting[call.line] = call
        if before is None or (before.answer_number is not None and before.answer_number < call.number):
            continue
        timeout_s = seconds_at(trace, expectations, "MessageTimeout", before.at_s)
        if call.at_s < before.at_s + timeout_s - TIMER_S:
            yield call.at_s, f"sent while {before} waits: {call}"


def answers_were_asked_for(trace: Trace, _: Expectations) -> Iterator[Finding]:
    """Every answer belongs to a request of this connection, and there is one only."""
    answers = {call.answer_number for call in trace.asked()}
    for number, frame in enumerate(trace.entries):
        if isinstance(frame, Frame) and frame.is_from_charger:
            match exact(frame.text):
                case [3 | 4, *_] if number not in answers:
                    yield frame.at_s, f"nobody asked for {frame.text[:200]}"


def requests_are_answered(trace: Trace, expectations: Expectations) -> Iterator[Finding]:
    """Every request is answered soon, unless the boot was rejected or the connection went."""
    for call in trace.asked():
        until_s = call.at_s + expectations.answer_within_s
        is_due = until_s <= trace.ended_s and trace.is_up(call.at_s, until_s)
        is_late = call.answered_s is None or call.answered_s > until_s
        if is_due and is_late and not is_rejected_at(trace, call.at_s):
            yield call.at_s, f"not answered: {call}"


def errors_are_spelled_as_in_1_6(trace: Trace, _: Expectations) -> Iterator[Finding]:
    """CALLERROR codes are those of OCPP-J 1.6, 4.2.3, with their spelling."""
    for call in trace.asked():
        if call.error is not None and call.error not in ERROR_CODES:
            yield call.at_s, f"error code {call.error}"


def numbers_are_plain(trace: Trace, _: Expectations) -> Iterator[Finding]:
    """Sampled values are decimal numbers, never in exponent form."""
    for call in trace.sent("MeterValues", "StopTransaction"):
        for value in call.payload.get("meterValue", call.payload.get("transactionData", [])):
            for sampled in value["sampledValue"]:
                is_raw = sampled.get("format", "Raw") == "Raw"
                if is_raw and not _PLAIN_NUMBER.fullmatch(sampled["value"]):
                    yield call.at_s, f"value {sampled['value']}"


def is_rejected_at(trace: Trace, at_s: float) -> bool:
    """The last answered boot was rejected."""
    answered = [boot for boot in trace.sent("BootNotification") if boot.answered_s is not None]
    before = [boot for boot in answered if boot.answered_s is not None and boot.answered_s <= at_s]
    return bool(before) and before[-1].status == "Rejected"


def _of_charger(trace: Trace) -> list[Frame]:
    return [frame for frame in trace.frames if frame.is_from_charger]


def stamps_are_utc(trace: Trace, _: Expectations) -> Iterator[Finding]:
    """Every timestamp is RFC 3339 and in UTC (rule 6)."""
    for call in trace.sent():
        for text in stamps_of(call):
            if not _UTC_STAMP.fullmatch(text):
                yield call.at_s, f"timestamp {text}: {call}"


def stamps_of(call: Call) -> list[str]:
    """All timestamps of a call, as written."""
    found = [str(call.payload["timestamp"])] if "timestamp" in call.payload else []
    values = [*call.payload.get("meterValue", []), *call.payload.get("transactionData", [])]
    return found + [str(value.get("timestamp")) for value in values]


READABLE_LAWS = (frames_have_a_shape, payloads_fit_their_schemas, no_member_is_null, stamps_are_utc)
"""Where one of these is broken, the other laws cannot read the trace."""
FRAME_LAWS = (
    texts_keep_their_length,
    message_ids_are_short,
    message_ids_are_unique,
    one_call_at_a_time,
    answers_were_asked_for,
    requests_are_answered,
    errors_are_spelled_as_in_1_6,
    numbers_are_plain,
)
