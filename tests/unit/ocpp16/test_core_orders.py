"""Rules 9, 11, 12 and their neighbours, as far as the OCPP side is concerned: answers first, then acts."""

import pytest

from evcharge_agent.core.effects import ConnectorState
from evcharge_agent.core.events import (
    AvailabilityAsked,
    AvailabilityOrdered,
    CacheClearRequested,
    ResetOrdered,
    UnlockAsked,
)
from evcharge_agent.core.facts import StopReason
from evcharge_agent.demo.central_script import Behaviour, Script
from evcharge_hal.contract.channel import UnlockOutcome
from tests.support.ocpp_charger import on_site


@pytest.mark.parametrize(
    ("is_accepted", "reason", "status"),
    [(True, "", "Accepted"), (True, "scheduled", "Scheduled"), (False, "unknown_connector", "Rejected")],
)
@pytest.mark.parametrize("kind", ["Operative", "Inoperative"])
def test_change_availability_is_answered_as_the_core_says_and_then_carried_out(
    tmp_path, kind, is_accepted, reason, status
):
    async def test(_, charger, central):
        charger.accepts_remote, charger.reason = is_accepted, reason
        answer = await central.change_availability(1, kind)
        return answer, charger.all(AvailabilityAsked), charger.all(AvailabilityOrdered)

    answer, asked, ordered = on_site(tmp_path, test)
    assert answer == status
    assert [(one.connector, one.is_operative) for one in asked] == [(1, kind == "Operative")]
    assert ordered == ([AvailabilityOrdered(1, kind == "Operative")] if is_accepted else [])


def test_an_order_is_not_carried_out_before_its_answer_has_been_sent(tmp_path):
    async def test(_, charger, central):
        await central.change_availability(1, "Inoperative")
        charger.report(1, ConnectorState.UNAVAILABLE)
        await central.until(lambda: bool(central.of("StatusNotification")))
        return [frame.summary for frame in central.frames.all()]

    summaries = on_site(tmp_path, test)
    assert summaries.index("ChangeAvailability") < summaries.index("StatusNotification")


def test_a_core_that_does_not_answer_rejects(tmp_path):
    async def test(_, charger, central):
        charger.answers_remote = False
        return await central.change_availability(1, "Operative"), charger.all(AvailabilityOrdered)

    assert on_site(tmp_path, test) == ("Rejected", [])


@pytest.mark.parametrize("kind", ["Hard", "Soft"])
def test_a_reset_is_accepted_first_and_ordered_then(tmp_path, kind):
    async def test(_, charger, central):
        return await central.reset(kind), charger.all(ResetOrdered)

    assert on_site(tmp_path, test) == ("Accepted", [ResetOrdered(is_hard=kind == "Hard")])


@pytest.mark.parametrize(
    ("is_unlocked", "outcome", "status"),
    [
        (True, UnlockOutcome.UNLOCKED, "Unlocked"),
        (False, UnlockOutcome.FAILED, "UnlockFailed"),
        (False, UnlockOutcome.NOT_SUPPORTED, "NotSupported"),
    ],
)
def test_the_core_unlocks_or_says_why_not(tmp_path, is_unlocked, outcome, status):
    async def test(_, charger, central):
        charger.accepts_remote, charger.reason = is_unlocked, outcome.value
        return await central.unlock_connector(2), [event.connector for event in charger.all(UnlockAsked)]

    assert on_site(tmp_path, test) == (status, [2])


def test_a_core_too_busy_to_say_has_not_unlocked(tmp_path):
    async def test(_, charger, central):
        charger.answers_remote = False
        return await central.unlock_connector(1)

    assert on_site(tmp_path, test) == "UnlockFailed"


@pytest.mark.parametrize(("is_accepted", "status"), [(True, "Accepted"), (False, "Rejected")])
def test_the_core_clears_the_cache_or_says_why_not(tmp_path, is_accepted, status):
    async def test(_, charger, central):
        charger.accepts_remote = is_accepted
        return await central.clear_cache(), len(charger.all(CacheClearRequested))

    assert on_site(tmp_path, test) == (status, 1)


@pytest.mark.parametrize(
    ("vendor_id", "message_id", "status"),
    [
        ("org.example", None, "UnknownVendorId"),
        ("org.example", "hello", "UnknownVendorId"),
        ("evcharge", "hello", "UnknownMessageId"),
        ("evcharge", None, "UnknownMessageId"),
    ],
)
def test_data_transfer_knows_no_vendor_but_ours_and_no_message(tmp_path, vendor_id, message_id, status):
    async def test(_, __, central):
        return await central.transfer_data(vendor_id, message_id, "anything")

    assert on_site(tmp_path, test) == status


def test_orders_are_answered_while_the_boot_is_pending(tmp_path):
    script = Script()
    script.boot_answers.append(("Pending", 600))

    async def test(site, charger, central):
        await central.until(lambda: bool(central.of("BootNotification")))
        return (
            await central.change_availability(1, "Inoperative"),
            await central.reset("Soft"),
            await central.unlock_connector(1),
        )

    assert on_site(tmp_path, test, script, is_accepted=False) == ("Accepted", "Accepted", "Unlocked")


# --- what a soft reset waits for ------------------------------------------------------------------------------


def test_settling_lets_the_stop_go_out(tmp_path):
    async def test(_, charger, central):
        key = await charger.start("one")
        await charger.stop(key, reason=StopReason.SOFT_RESET)
        await charger.service.settle(10.0)
        return [one.payload["reason"] for one in central.of("StopTransaction")]

    assert on_site(tmp_path, test) == ["SoftReset"]


def test_settling_has_a_bound_and_does_not_wait_for_an_absent_central_system(tmp_path):
    async def test(site, charger, central):
        central.script.expect("StartTransaction", Behaviour(is_silent=True))
        await charger.start("one")
        began_s = charger.clock.now().monotonic_s
        await charger.service.settle(10.0)
        bound_s = charger.clock.now().monotonic_s - began_s
        central.is_reachable = False
        await central.drop()
        await central.until(lambda: central.session is None)
        while site.is_online:
            await charger.service.settle(0.1)
        began_s = charger.clock.now().monotonic_s
        await charger.service.settle(10.0)
        return bound_s, charger.clock.now().monotonic_s - began_s

    bound_s, offline_s = on_site(tmp_path, test)
    assert bound_s == pytest.approx(10.0)
    assert offline_s == 0.0
