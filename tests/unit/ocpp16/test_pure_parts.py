"""Tables for the small pure modules: stamps, back-off, boot, retry policy, budget, redaction."""

import pytest

from evcharge_agent.ocpp16.backoff import MIN_WAIT_S, STABLE_AFTER_S, Backoff
from evcharge_agent.ocpp16.boot import LONGEST_RETRY_S, OWN_RETRY_S, Boot, Registration
from evcharge_agent.ocpp16.budget import BURST, CallBudget
from evcharge_agent.ocpp16.outbox_policy import Park, Retry, decide_next
from evcharge_agent.ocpp16.redaction import redacted
from evcharge_agent.ocpp16.stamps import believable_utc_s, from_stamp, to_stamp


@pytest.mark.parametrize(
    ("utc_s", "text"),
    [
        (0.0, "1970-01-01T00:00:00.000Z"),
        (1_750_000_000.0, "2025-06-15T15:06:40.000Z"),
        (1_750_000_000.1239, "2025-06-15T15:06:40.124Z"),
        (1_750_000_000.9996, "2025-06-15T15:06:41.000Z"),
    ],
)
def test_stamps_are_utc_with_z_and_milliseconds(utc_s, text):
    assert to_stamp(utc_s) == text
    assert from_stamp(text) == pytest.approx(utc_s, abs=0.001)


@pytest.mark.parametrize(
    "text",
    [
        "2025-06-15T15:06:40Z",
        "2025-06-15T15:06:40.0000000Z",
        "2025-06-15T17:06:40+02:00",
        "2025-06-15T15:06:40",
        "2025-06-15 15:06:40+00:00",
    ],
)
def test_any_spelling_of_a_stamp_is_read(text):
    assert from_stamp(text) == 1_750_000_000.0


@pytest.mark.parametrize("text", ["", "now", "2025-13-01T00:00:00Z", "9" * 400])
def test_what_is_no_stamp_is_none(text):
    assert from_stamp(text) is None
    assert believable_utc_s(text) is None


@pytest.mark.parametrize(
    "text", ["0001-01-01T00:00:00+23:59", "1970-01-01T00:00:00Z", "2019-12-31T23:59:59Z", "2100-01-02T00:00:00Z"]
)
def test_a_clock_wrong_by_years_is_not_believed(text):
    assert believable_utc_s(text) is None


def test_the_wait_doubles_up_to_the_cap_and_is_jittered():
    waits, backoff = [], Backoff()
    for _ in range(12):
        waits.append(backoff.wait_s(300.0, 1.0))
        backoff = backoff.waited()
    assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]
    assert Backoff(5).wait_s(300.0, 0.0) == 16.0
    assert Backoff(10**6).wait_s(300.0, 0.0) == 150.0


def test_only_a_connection_that_lived_resets_the_wait():
    assert Backoff(7).ended(STABLE_AFTER_S - 1.0) == Backoff(7).ended(None) == Backoff(7)
    assert Backoff(7).ended(STABLE_AFTER_S) == Backoff()
    assert Backoff(3).wait_s(0.1, 1.0) == MIN_WAIT_S


@pytest.mark.parametrize(
    ("status", "interval_s", "due_s"),
    [
        (Registration.ACCEPTED, 300, None),
        (Registration.PENDING, 7, 107.0),
        (Registration.REJECTED, 7, 107.0),
        (Registration.PENDING, 0, 100.0 + OWN_RETRY_S),
        (Registration.REJECTED, -5, 100.0 + OWN_RETRY_S),
        (Registration.REJECTED, 10**9, 100.0 + LONGEST_RETRY_S),
    ],
)
def test_the_next_boot_is_due_after_the_interval(status, interval_s, due_s):
    assert Boot().answered(status, interval_s, 100.0) == Boot(status, due_s)


def test_an_unanswered_boot_is_repeated_and_changes_nothing_else():
    pending = Boot().answered(Registration.PENDING, 60, 0.0)
    assert pending.unanswered(100.0) == Boot(Registration.PENDING, 100.0 + OWN_RETRY_S)


def test_only_a_rejected_charger_is_silent_and_only_for_the_interval():
    rejected = Boot().answered(Registration.REJECTED, 60, 0.0)
    assert [rejected.may_answer(now_s) for now_s in (0.0, 59.9, 60.0)] == [False, False, True]
    assert Boot().may_answer(0.0)
    assert Boot().answered(Registration.PENDING, 60, 0.0).may_answer(0.0)


@pytest.mark.parametrize(
    ("sends", "attempts", "decision"),
    [
        (1, 3, Retry(30.0)),
        (2, 3, Retry(60.0)),
        (3, 3, Park()),
        (4, 3, Park()),
        (1, 1, Park()),
        (1, 0, Park()),
    ],
)
def test_the_wait_is_interval_times_sends_and_attempts_are_the_total(sends, attempts, decision):
    assert decide_next(sends, attempts, 30.0) == decision


def test_the_budget_allows_a_burst_and_refills():
    budget: CallBudget | None = CallBudget()
    for _ in range(BURST):
        assert budget is not None
        last = budget = budget.spend(5.0)
    assert last is not None
    assert last.spend(5.0) is None
    assert last.spend(4.0) is None
    assert last.spend(5.2) is not None


@pytest.mark.parametrize(
    ("payload", "shown"),
    [
        ({"key": "AuthorizationKey", "value": "canary"}, {"key": "AuthorizationKey", "value": "[redacted]"}),
        ({"key": " authorizationKEY", "value": "canary"}, {"key": " authorizationKEY", "value": "[redacted]"}),
        ({"key": "HeartbeatInterval", "value": "30"}, {"key": "HeartbeatInterval", "value": "30"}),
        ({"idTag": "CANARY99"}, {"idTag": "CANA…"}),
        ({"id_tag": "CANARY99"}, {"id_tag": "CANA…"}),
        ({"idTagInfo": {"parentIdTag": "CANARY99"}}, {"idTagInfo": {"parentIdTag": "CANA…"}}),
        ({"list": [{"idTag": "CANARY99"}]}, {"list": [{"idTag": "CANA…"}]}),
        ({"location": "ftp://user:canary@host/x"}, {"location": "ftp://host"}),
        ({"location": "ftp://[canary"}, {"location": "[redacted]"}),
        ({"location": "Outlet"}, {"location": "Outlet"}),
        ({"csr": "canary", "data": "canary"}, {"csr": "[redacted]", "data": "[redacted]"}),
        ({"connectorId": 1}, {"connectorId": 1}),
    ],
)
def test_secrets_and_whole_id_tags_are_not_shown(payload, shown):
    assert redacted(payload) == shown
