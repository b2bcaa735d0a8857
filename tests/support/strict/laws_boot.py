"""Laws about registering and about keeping the connection (OCPP 1.6, 4.2; rules 7 and 20)."""

import itertools
from collections.abc import Iterator
from urllib.parse import unquote

from tests.support.strict.expectations import Expectations
from tests.support.strict.law import Finding
from tests.support.strict.trace import Call, Closed, Frame, Opened, Refused, Run, Trace

OWN_RETRY_S = 30.0
"""Rule 7: the charger's own interval where the central system names none is not shorter."""
EARLY_S = 1.0
LATE_S = 10.0
MIN_RECONNECT_S = 0.2
TRIGGERS = ("TriggerMessage", "ExtendedTriggerMessage")


def boot_once_for_each_start(trace: Trace, _: Expectations) -> Iterator[Finding]:
    """An accepted boot is not repeated unless asked for: a reconnect is no start."""
    for run in trace.runs:
        accepted = run.accepted
        later = [boot for boot in run.boots if accepted is not None and boot.number > accepted.number]
        allowed = len(triggers_of(trace, "BootNotification", run))
        for boot in later[allowed:]:
            yield boot.at_s, "booted again without a start"


def boot_waits_its_interval(trace: Trace, _: Expectations) -> Iterator[Finding]:
    """Until it is accepted the boot is repeated after the interval, no sooner and not much later."""
    for run in trace.runs:
        if triggers_of(trace, "BootNotification", run):
            continue
        last = run.last if run.accepted is None else run.accepted.number
        boots = [boot for boot in run.boots if boot.number <= last]
        for before, boot in itertools.pairwise([*boots, None]):
            if before is None or before.status == "Accepted" or before.answered_s is None:
                continue
            interval_s = float(before.result["interval"]) if before.result is not None else 0.0
            wait_s = interval_s or OWN_RETRY_S
            due_s = before.answered_s + wait_s
            if boot is not None and boot.at_s < due_s - EARLY_S:
                yield boot.at_s, f"booted again after {boot.at_s - before.answered_s:.1f} s, not {wait_s:g} s"
            is_over = min(trace.ended_s, run.ended_s) > due_s + LATE_S and trace.is_up(
                before.answered_s, due_s + LATE_S
            )
            if is_over and interval_s and (boot is None or boot.at_s > due_s + LATE_S):
                yield due_s, f"not booted again after {wait_s:g} s"


def only_boot_before_acceptance(trace: Trace, _: Expectations) -> Iterator[Finding]:
    """After a start BootNotification comes first, and until it is accepted nothing else but what is triggered."""
    for run in trace.runs:
        accepted = run.accepted
        until = accepted.answer_number if accepted is not None and accepted.answer_number is not None else run.last
        asked = [trigger for trigger in trace.asked(*TRIGGERS) if trigger.status == "Accepted" and run.has(trigger)]
        for call in trace.sent():
            if not run.first <= call.number < until or call.action == "BootNotification":
                continue
            if not any(_message(one) == call.action and one.number < call.number for one in asked):
                yield call.at_s, f"sent before the boot was accepted: {call}"


def a_rejected_charger_is_silent(trace: Trace, _: Expectations) -> Iterator[Finding]:
    """After Rejected nothing is sent and nothing answered until the interval is over."""
    for boot in trace.sent("BootNotification"):
        if boot.status != "Rejected" or boot.answered_s is None or boot.result is None:
            continue
        until_s = boot.answered_s + (boot.result["interval"] or OWN_RETRY_S) - EARLY_S
        started = min([place for place in trace.starts if place > boot.number], default=len(trace.entries))
        for number, frame in enumerate(trace.entries):
            if not (isinstance(frame, Frame) and frame.is_from_charger and boot.number < number < started):
                continue
            # That it boots too soon is another law's.
            if boot.answered_s <= frame.at_s < until_s and '"BootNotification"' not in frame.text:
                yield frame.at_s, "spoke while rejected"


def remote_commands_wait_for_acceptance(trace: Trace, _: Expectations) -> Iterator[Finding]:
    """RemoteStart and RemoteStop are rejected until the boot is accepted."""
    for call in trace.asked("RemoteStartTransaction", "RemoteStopTransaction"):
        run = trace.run_of(call)
        is_accepted = run is not None and run.accepted is not None and run.accepted.number < call.number
        if not is_accepted and call.status == "Accepted":
            yield call.at_s, f"accepted before the boot was: {call}"


def all_statuses_follow_acceptance(trace: Trace, expectations: Expectations) -> Iterator[Finding]:
    """Once accepted, the charger tells the state of 0 and of every connector."""
    for run in trace.runs:
        if run.accepted_s is None:
            continue
        until_s = run.accepted_s + expectations.follow_within_s
        if min(trace.ended_s, run.ended_s) < until_s or not trace.is_up(run.accepted_s, until_s):
            continue
        told = {call.connector for call in trace.sent("StatusNotification") if run.accepted_s <= call.at_s <= until_s}
        missing = set(range(expectations.connectors + 1)) - told
        if missing:
            yield until_s, f"no status of {sorted(missing)} after the boot"


def a_lost_line_comes_back(trace: Trace, expectations: Expectations) -> Iterator[Finding]:
    """However a connection or an attempt ended, the next attempt follows, for ever."""
    for place, entry in enumerate(trace.entries):
        if isinstance(entry, Closed | Refused):
            due_s = entry.at_s + expectations.reconnect_within_s
            later = [one for one in trace.entries[place + 1 :] if isinstance(one, Opened | Refused)]
            if trace.ended_s >= due_s and not any(one.at_s <= due_s for one in later[:1]):
                yield due_s, f"no attempt to connect for {expectations.reconnect_within_s:g} s"


def attempts_are_spaced(trace: Trace, _: Expectations) -> Iterator[Finding]:
    """A lost connection is not answered with a storm of attempts."""
    entries = [entry for entry in trace.entries if isinstance(entry, Opened | Refused | Closed)]
    for before, after in itertools.pairwise(entries):
        is_attempt = isinstance(before, Closed | Refused) and isinstance(after, Opened | Refused)
        is_too_soon = after.at_s - before.at_s < MIN_RECONNECT_S
        if is_attempt and is_too_soon and trace.is_without_start(before.at_s, after.at_s):
            yield after.at_s, f"connected again after {after.at_s - before.at_s:.2f} s"


def the_subprotocol_is_ocpp16(trace: Trace, _: Expectations) -> Iterator[Finding]:
    """`ocpp1.6` is asked for (OCPP-J 3.1.2)."""
    for entry in trace.entries:
        if isinstance(entry, Opened) and entry.subprotocols is not None and "ocpp1.6" not in entry.subprotocols:
            yield entry.at_s, f"subprotocols {entry.subprotocols}"


def the_identity_is_in_the_path(trace: Trace, expectations: Expectations) -> Iterator[Finding]:
    """The url ends with the percent-encoded identity (OCPP-J 3.1.1)."""
    for entry in trace.entries:
        if not isinstance(entry, Opened) or entry.path is None:
            continue
        if unquote(entry.path.rpartition("/")[2]) != expectations.identity:
            yield entry.at_s, f"path {entry.path}"


def triggers_of(trace: Trace, message: str, run: Run) -> list[Call]:
    """Accepted requests for one message in one run."""
    asked = [call for call in trace.asked(*TRIGGERS) if run.has(call)]
    return [call for call in asked if call.status == "Accepted" and _message(call) == message]


def _message(trigger: Call) -> str:
    return str(trigger.payload["requestedMessage"])


BOOT_LAWS = (
    boot_once_for_each_start,
    boot_waits_its_interval,
    only_boot_before_acceptance,
    a_rejected_charger_is_silent,
    remote_commands_wait_for_acceptance,
    all_statuses_follow_acceptance,
    a_lost_line_comes_back,
    attempts_are_spaced,
    the_subprotocol_is_ocpp16,
    the_identity_is_in_the_path,
)
