"""Rules 6 and 7: BootNotification, Heartbeat and the clock."""

import asyncio

import pytest
import structlog

from evcharge_agent.core.effects import AskAuthorize, ConnectorState
from evcharge_agent.core.events import AuthorizeAnswered, CentralSystemChanged, RequestId
from evcharge_agent.core.facts import AuthorizationStatus, IdTag, IdTagInfo
from evcharge_agent.demo.central_script import Behaviour, Script
from evcharge_agent.ocpp16.boot import Registration
from evcharge_agent.ocpp16.registration import TimeKeeper
from evcharge_agent.ocpp16.stamps import to_stamp
from tests.support.ocpp_charger import CENTRAL_IS_AHEAD_S, on_site
from tests.support.virtual_time import START_UTC_S, run_virtual, virtual_clock


def times(central, action):
    """Seconds since the first one, of every send."""
    at_s = [frame.at_utc_s for frame in central.frames.all() if frame.summary == action]
    return [round(moment_s - at_s[0]) for moment_s in at_s]


def test_the_charger_introduces_itself(tmp_path):
    async def test(_, __, central):
        [boot] = central.of("BootNotification")
        return boot.payload

    payload = on_site(tmp_path, test)
    assert payload["charge_point_vendor"] == "evcharge"
    assert payload["charge_box_serial_number"] == "EVC-0001"


@pytest.mark.parametrize("status", ["Rejected", "Pending"])
def test_boot_is_repeated_after_the_interval_until_accepted(tmp_path, status):
    script = Script()
    script.boot_answers.extend([(status, 7), (status, 0)])

    async def test(_, charger, central):
        changes = [(one.is_connected, one.is_accepted) for one in charger.all(CentralSystemChanged)]
        return times(central, "BootNotification"), changes[-1]

    # 7 as told, then our own 30 because 0 says nothing.
    assert on_site(tmp_path, test, script) == ([0, 7, 37], (True, True))


@pytest.mark.parametrize("behaviour", [Behaviour(refusal="InternalError"), Behaviour(is_silent=True)])
def test_an_unanswered_boot_is_repeated_after_our_own_interval(tmp_path, behaviour):
    script = Script()
    script.expect("BootNotification", behaviour)

    async def test(_, __, central):
        return times(central, "BootNotification")

    wait_s = 60 if behaviour.is_silent else 30
    assert on_site(tmp_path, test, script) == [0, wait_s]


def test_no_boot_on_a_mere_reconnect(tmp_path):
    async def test(site, _, central):
        for code in (1000, 1001, 1011):
            await central.drop(code)
            await asyncio.sleep(1.0)
            await site.accepted()
            await asyncio.sleep(10.0)
        return len(central.of("BootNotification")), central.connections

    assert on_site(tmp_path, test) == (1, 4)


def test_a_boot_whose_line_was_cut_is_sent_again(tmp_path):
    script = Script()
    script.expect(
        "BootNotification", Behaviour(is_silent=True, is_cut=True), Behaviour(is_answer_lost=True, is_cut=True)
    )

    async def test(_, __, central):
        return len(times(central, "BootNotification"))

    assert on_site(tmp_path, test, script) == 3


def test_the_interval_of_a_rejection_outlives_the_connection(tmp_path):
    script = Script()
    script.boot_answers.append(("Rejected", 600))

    async def test(site, _, central):
        await central.until(lambda: len(central.of("BootNotification")) == 1)
        await central.drop()
        await site.accepted()
        return times(central, "BootNotification")

    assert on_site(tmp_path, test, script, is_accepted=False) == [0, 600]


def test_rejected_nothing_is_sent_and_nothing_answered_until_the_interval_is_over(tmp_path):
    script = Script()
    script.boot_answers.append(("Rejected", 600))

    async def test(site, charger, central):
        await central.until(lambda: len(central.of("BootNotification")) == 1)
        charger.report(0)
        await charger.start("one")
        answer = asyncio.create_task(charger.service.ask_authorize(AskAuthorize(RequestId("r"), IdTag("A"))))
        await central.session.send_raw('[2,"x","GetConfiguration",{}]')
        await asyncio.sleep(590.0)
        await answer
        silent = [frame.summary for frame in central.frames.all()]
        await site.accepted()
        await charger.drained()
        return silent, charger.all(AuthorizeAnswered), len(central.transactions)

    silent, answered, transactions = on_site(tmp_path, test, script, is_accepted=False)
    assert silent == ["BootNotification", "BootNotification answered", "GetConfiguration"]
    assert answered == [AuthorizeAnswered(RequestId("r"), None)]
    assert transactions == 1


def test_pending_requests_are_answered_and_remote_start_is_rejected(tmp_path):
    script = Script()
    script.boot_answers.append(("Pending", 600))

    async def test(_, charger, central):
        await central.until(lambda: len(central.frames.all()) == 2)
        charger.report(0)
        await charger.start("one")
        answers = (
            await central.remote_start(1, "A"),
            await central.remote_stop(1),
            await central.change_configuration("HeartbeatInterval", "77"),
            (await central.get_configuration("HeartbeatInterval"))["HeartbeatInterval"],
        )
        return answers, {one.action for one in central.received}, charger.service.view.registration

    answers, received, registration = on_site(tmp_path, test, script, is_accepted=False)
    assert answers == ("Rejected", "Rejected", "Accepted", "77")
    assert received == {"BootNotification"}
    assert registration is Registration.PENDING


def test_requests_before_the_boot_is_answered_are_answered(tmp_path):
    script = Script()
    script.expect("BootNotification", Behaviour(delay_s=5.0))

    async def test(_, __, central):
        await central.until(lambda: central.session is not None)
        await central.session.send_raw('[2,"x","GetConfiguration",{"key":["HeartbeatInterval"]}]')
        await central.session.send_raw('[2,"y","RemoteStartTransaction",{"idTag":"A"}]')
        await asyncio.sleep(8.0)
        return [f.text for f in central.frames.all() if f.text[:6] in ('[3,"x"', '[3,"y"')]

    configuration, start = on_site(tmp_path, test, script, is_accepted=False)
    assert '"value":"300"' in configuration
    assert start == '[3,"y",{"status":"Rejected"}]'


def test_the_interval_of_the_accepted_boot_becomes_heartbeat_interval(tmp_path):
    async def test(_, __, central):
        await asyncio.sleep(200.0)
        keys = await central.get_configuration("heartbeatinterval")
        return keys, times(central, "Heartbeat")

    keys, beats = on_site(tmp_path, test, Script(heartbeat_interval_s=60))
    assert keys == {"HeartbeatInterval": "60"}
    assert beats == [0, 60, 120]


def test_a_boot_interval_beyond_the_keys_bounds_is_bounded_and_said(tmp_path):
    async def test(_, __, central):
        return await central.get_configuration("HeartbeatInterval")

    with structlog.testing.capture_logs() as lines:
        script = Script(heartbeat_interval_s=604_800)
        assert on_site(tmp_path, test, script) == {"HeartbeatInterval": "86400"}
    [said] = [line for line in lines if line["event"] == "ocpp_boot_interval_bounded"]
    assert (said["interval_s"], said["taken_s"]) == (604_800, 86_400)


def test_a_boot_interval_of_zero_leaves_our_own(tmp_path):
    async def test(_, __, central):
        return await central.get_configuration("HeartbeatInterval")

    script = Script(heartbeat_interval_s=0)
    assert on_site(tmp_path, test, script) == {"HeartbeatInterval": "300"}


def test_a_changed_heartbeat_interval_acts_at_once(tmp_path):
    async def test(_, __, central):
        await asyncio.sleep(10.0)
        assert await central.change_configuration("HeartbeatInterval", "20") == "Accepted"
        await asyncio.sleep(60.0)
        return times(central, "Heartbeat")

    assert on_site(tmp_path, test) == [0, 20, 40]


def test_heartbeats_are_skipped_while_other_traffic_flows_but_time_is_synced_daily(tmp_path):
    async def test(_, charger, central):
        states = (ConnectorState.PREPARING, ConnectorState.AVAILABLE)
        for number in range(400):  # a good day and a half
            charger.report(1, states[number % 2])
            await asyncio.sleep(290.0)
        return len(central.of("Heartbeat")), len(central.of("StatusNotification"))

    assert on_site(tmp_path, test) == (1, 400)


def test_a_heartbeat_without_answer_is_tried_again(tmp_path):
    script = Script(heartbeat_interval_s=60)
    script.expect("Heartbeat", Behaviour(refusal="GenericError"))

    async def test(_, __, central):
        await asyncio.sleep(150.0)
        return len(central.of("Heartbeat"))

    assert on_site(tmp_path, test, script) == 1


def test_the_clock_is_learned_from_the_boot(tmp_path):
    async def test(_, charger, __):
        before = charger.clock.is_trusted
        now = charger.clock.now()
        return before, now.utc_s - now.monotonic_s - (START_UTC_S - 1000.0), charger.service.view.is_time_known

    is_trusted, moved_s, is_known = on_site(tmp_path, test)
    assert is_trusted
    assert is_known
    assert moved_s == pytest.approx(CENTRAL_IS_AHEAD_S, abs=0.01)


def test_a_step_of_the_central_systems_clock_neither_fires_nor_starves_a_timer(tmp_path):
    async def test(site, charger, central):
        await asyncio.sleep(150.0)
        site.ahead_s += 20 * 365 * 86_400.0
        await asyncio.sleep(151.0)
        moved = charger.clock.now().utc_s - START_UTC_S
        site.ahead_s = CENTRAL_IS_AHEAD_S
        beats_before = len(central.of("Heartbeat"))
        await asyncio.sleep(3000.0)
        return moved > 19 * 365 * 86_400.0, beats_before, len(central.of("Heartbeat"))

    assert on_site(tmp_path, test) == (True, 1, 11)


def test_a_small_difference_does_not_move_the_clock(tmp_path):
    async def test(site, charger, _):
        before = charger.clock.now()
        site.ahead_s += 0.9
        await asyncio.sleep(1000.0)
        after = charger.clock.now()
        return (after.utc_s - after.monotonic_s) - (before.utc_s - before.monotonic_s)

    assert on_site(tmp_path, test) == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize(
    ("ahead_s", "took_s", "moved_s"), [(0.9, 0.0, 0.0), (1.1, 0.0, 1.1), (20.0, 20.0, 0.0), (30.0, 20.0, 30.0)]
)
def test_a_slow_answer_moves_the_clock_only_by_more_than_it_took(ahead_s, took_s, moved_s):
    async def main():
        clock = virtual_clock()
        clock.learn_utc(START_UTC_S)
        keeper = TimeKeeper(clock, NoStamps())
        asked_s = clock.now().monotonic_s
        await asyncio.sleep(took_s)
        before = clock.now().utc_s
        await keeper.learn(to_stamp(before + ahead_s), asked_s)
        return clock.now().utc_s - before

    assert run_virtual(main()) == pytest.approx(moved_s, abs=0.001)


class NoStamps:
    """A store without stamps to correct."""

    async def correct_stamps(self, moved_s, *, offset_s=None):
        return 0


def test_a_clock_wrong_by_decades_is_not_believed(tmp_path):
    async def test(_, charger, __):
        return charger.clock.is_trusted

    async def with_a_clock_of_1970(site, charger, central):
        site.ahead_s = -START_UTC_S
        await site.accepted()
        return await test(site, charger, central)

    assert not on_site(tmp_path, with_a_clock_of_1970, is_accepted=False)


# --- Authorize --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["Accepted", "Blocked", "Expired", "Invalid", "ConcurrentTx"])
def test_a_verdict_is_asked_for(tmp_path, status):
    async def test(_, charger, __):
        await charger.service.ask_authorize(AskAuthorize(RequestId("r"), IdTag("Card")))
        await asyncio.sleep(0)
        return charger.all(AuthorizeAnswered)

    script = Script(tags={"CARD": status}, parents={"card": "FAMILY"})
    info = IdTagInfo(AuthorizationStatus(status), IdTag("FAMILY"))
    assert on_site(tmp_path, test, script) == [AuthorizeAnswered(RequestId("r"), info)]


@pytest.mark.parametrize(
    "behaviour", [Behaviour(refusal="InternalError"), Behaviour(is_silent=True), Behaviour(is_silent=True, is_cut=True)]
)
def test_without_an_answer_there_is_no_verdict(tmp_path, behaviour):
    script = Script()
    script.expect("Authorize", behaviour)

    async def test(_, charger, __):
        await charger.service.ask_authorize(AskAuthorize(RequestId("r"), IdTag("Card")))
        await asyncio.sleep(0)
        return charger.all(AuthorizeAnswered)

    assert on_site(tmp_path, test, script) == [AuthorizeAnswered(RequestId("r"), None)]


def test_offline_there_is_no_verdict_at_once(tmp_path):
    async def test(_, charger, central):
        central.is_reachable = False
        began_s = asyncio.get_running_loop().time()
        await charger.service.ask_authorize(AskAuthorize(RequestId("r"), IdTag("Card")))
        await asyncio.sleep(0)
        return asyncio.get_running_loop().time() - began_s, len(charger.all(AuthorizeAnswered))

    assert on_site(tmp_path, test, is_accepted=False) == (0.0, 1)
