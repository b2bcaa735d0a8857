"""Rule 20, and what real central systems do to a charge point: one test for each number, under virtual time.

Frames of either side go over a pipe; what needs real sockets (status codes, pongs, TLS) is in `tests/contract`.
"""

import asyncio
import json

import pytest

from evcharge_agent.core.effects import AskAuthorize
from evcharge_agent.core.events import AuthorizeAnswered, RemoteStartRequested, RequestId, TransactionRegistered
from evcharge_agent.core.facts import AuthorizationStatus, IdTag
from evcharge_agent.demo.central_script import Behaviour, Script
from evcharge_agent.ocpp16.envelope import MAX_DEPTH, MAX_FRAME_LENGTH, MAX_MESSAGE_ID_LENGTH, ErrorCode
from evcharge_agent.ocpp16.link import TIMEOUTS_BEFORE_RECONNECT
from tests.support.ocpp_charger import on_site

OCPP16_ERROR_CODES = {
    "NotImplemented",
    "NotSupported",
    "InternalError",
    "ProtocolError",
    "SecurityError",
    "FormationViolation",
    "PropertyConstraintViolation",
    "OccurenceConstraintViolation",
    "TypeConstraintViolation",
    "GenericError",
}


async def answer_to(central, text):
    """Send a raw frame; return the charger's next frame that answers `a`."""
    before = len(central.frames.all())
    await central.session.send_raw(text)

    def found():
        frames = [json.loads(frame.text) for frame in central.frames.all()[before:] if frame.text != text]
        return [frame for frame in frames if frame[0] in {3, 4} and frame[1] == "a"]

    await central.until(lambda: bool(found()), 100.0)
    return found()[0]


async def survives(central):
    """The session that is there still answers, and it is the first one."""
    assert (await central.get_configuration("HeartbeatInterval"))["HeartbeatInterval"] == "300"
    return central.connections == 1


# --- what real central systems do ---------------------------------------------------------------------------


@pytest.mark.parametrize("code", [1000, 1001, 1006, 1011])
def test_central_1_a_closed_line_comes_back_without_a_second_boot(tmp_path, code):
    async def test(site, _, central):
        await central.drop(code)
        await central.until(lambda: central.connections == 2)
        await site.accepted()
        await asyncio.sleep(100.0)
        return len(central.of("BootNotification"))

    assert on_site(tmp_path, test) == 1


def test_central_2_commands_before_the_boot_is_answered_are_answered_and_remote_start_is_rejected(tmp_path):
    script = Script()
    script.expect("BootNotification", Behaviour(delay_s=20.0))

    async def test(site, _, central):
        await central.until(lambda: central.session is not None)
        status = await central.remote_start(1, "CARD1")
        told = await central.get_configuration("HeartbeatInterval")
        triggered = await central.trigger("Heartbeat")
        await site.accepted()
        return status, told, triggered, len(central.of("BootNotification"))

    answers = on_site(tmp_path, test, script, is_accepted=False)
    assert answers == ("Rejected", {"HeartbeatInterval": "300"}, "Accepted", 1)


@pytest.mark.parametrize("code", ["GenericError", "InternalError", "OccurrenceConstraintViolation", "Nonsense", ""])
def test_central_3_a_refused_call_is_sent_again_and_nothing_is_dropped(tmp_path, code):
    script = Script()
    script.expect("StartTransaction", Behaviour(refusal=code))

    async def test(site, charger, central):
        site.is_central_judged = False
        await central.session.send_raw('[4,"-1","GenericError","",{}]')
        await charger.start("one")
        await charger.drained()
        return len(central.transactions), central.connections

    assert on_site(tmp_path, test, script) == (1, 1)


def test_central_4_get_configuration_without_with_empty_and_with_unknown_keys(tmp_path):
    async def all_three(_, __, central):
        everything = (await answer_to(central, '[2,"a","GetConfiguration",{}]'))[2]
        same = (await answer_to(central, '[2,"a","GetConfiguration",{"key":[]}]'))[2]
        unknown = (await answer_to(central, '[2,"a","GetConfiguration",{"key":["Nonsense"]}]'))[2]
        return everything == same, len(everything["configurationKey"]) > 40, unknown

    assert on_site(tmp_path, all_three) == (True, True, {"unknownKey": ["Nonsense"]})


def test_central_4_all_measurands_at_once_are_taken(tmp_path):
    measurands = (
        "Current.Export,Current.Import,Current.Offered,Energy.Active.Export.Register,Energy.Active.Import.Register,"
        "Energy.Reactive.Export.Register,Energy.Reactive.Import.Register,Energy.Active.Export.Interval,"
        "Energy.Active.Import.Interval,Energy.Reactive.Export.Interval,Energy.Reactive.Import.Interval,Frequency,"
        "Power.Active.Export,Power.Active.Import,Power.Factor,Power.Offered,Power.Reactive.Export,"
        "Power.Reactive.Import,RPM,SoC,Temperature,Voltage"
    )

    async def test(_, __, central):
        status = await central.change_configuration("MeterValuesSampledData", measurands)
        return status, await central.get_configuration("MeterValuesSampledData")

    assert on_site(tmp_path, test) == ("Accepted", {"MeterValuesSampledData": measurands})


@pytest.mark.parametrize("transaction_id", [0, 2**31 - 1, -5])
def test_central_5_any_transaction_id_is_echoed(tmp_path, transaction_id):
    script = Script()
    script.next_transaction_id = transaction_id

    async def test(_, charger, central):
        key = await charger.start("one", id_tag="A" * 20)
        await charger.sample(key, 500)
        await charger.stop(key)
        await charger.drained()
        told = [one.payload["transaction_id"] for one in (*central.of("MeterValues"), *central.of("StopTransaction"))]
        return [one.transaction_id for one in charger.all(TransactionRegistered)], told

    assert on_site(tmp_path, test, script) == ([transaction_id], [transaction_id] * 2)


def test_central_5_an_unknown_tag_is_invalid_and_remote_tags_have_20_characters(tmp_path):
    script = Script()
    script.tags["stranger"] = "Invalid"

    async def test(_, charger, central):
        await charger.service.ask_authorize(AskAuthorize(RequestId("r"), IdTag("STRANGER")))
        await central.remote_start(1, "B" * 20)
        await asyncio.sleep(1.0)
        verdicts = [one.info.status for one in charger.all(AuthorizeAnswered)]
        return verdicts, [one.id_tag for one in charger.all(RemoteStartRequested)]

    assert on_site(tmp_path, test, script) == ([AuthorizationStatus.INVALID], ["B" * 20])


def test_central_7_late_twice_and_never(tmp_path):
    script = Script()
    script.expect("StartTransaction", Behaviour(delay_s=45.0), Behaviour(is_answer_lost=True))

    async def test(site, charger, central):
        site.is_central_judged = False
        await charger.start("one")
        await charger.drained()
        heartbeat = json.loads(central.frames.all()[-1].text)
        await central.session.send_raw(json.dumps([3, heartbeat[1], {"currentTime": "2026-01-01T00:00:00Z"}]))
        await central.session.send_raw('[3,"never-asked",{}]')
        return len(central.transactions), central.connections

    assert on_site(tmp_path, test, script) == (1, 1)


def test_central_7_a_line_cut_between_start_and_answer_opens_one_transaction(tmp_path):
    script = Script()
    script.expect("StartTransaction", Behaviour(is_answer_lost=True, is_cut=True))

    async def test(_, charger, central):
        await charger.start("one")
        await charger.drained()
        sent = [frame.text for frame in central.frames.all() if frame.summary == "StartTransaction"]
        return len(central.transactions), len(sent), len(set(sent))

    assert on_site(tmp_path, test, script) == (1, 2, 1)


@pytest.mark.parametrize("forgets", [False, True])
def test_central_8_a_central_system_that_restarts_interrupts_no_transaction(tmp_path, forgets):
    async def test(site, charger, central):
        key = await charger.start("one")
        await charger.drained()
        await central.drop(1001)
        if forgets:
            central.forget()
        await site.accepted()
        await charger.sample(key, 700)
        await charger.stop(key)
        await charger.drained()
        return len(central.of("StartTransaction")), len(central.of("StopTransaction")), len(central.of("MeterValues"))

    assert on_site(tmp_path, test) == (1, 1, 1)


# --- rule 20 and the list of the robust link ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ('[2,"a","ClearCache",{"a":"' + "x" * MAX_FRAME_LENGTH + '"}]', "FormationViolation"),
        ('[2,"a","ClearCache",' + '{"a":' * MAX_DEPTH + "1" + "}" * MAX_DEPTH + "]", "FormationViolation"),
        ('[2,"a","ClearCache"]', "FormationViolation"),
        ('[2,"a","ClearCache",[]]', "FormationViolation"),
        ('[2,"a",7,{}]', "FormationViolation"),
        ('[2,"a","ClearCache",{"x":1,"x":2}]', "FormationViolation"),
        ('[2,"a","ClearCache",{"x":NaN}]', "FormationViolation"),
        ('[2,"a","Nonsense",{}]', "NotImplemented"),
        ('[2,"a","Authorize",{"idTag":"x"}]', "NotSupported"),
        ('[2,"a","Reset",{}]', "OccurenceConstraintViolation"),
        ('[2,"a","Reset",{"type":7}]', "TypeConstraintViolation"),
        ('[2,"a","Reset",{"type":"Warm"}]', "PropertyConstraintViolation"),
        ('[2,"a","Reset",{"type":"Soft","more":1}]', "FormationViolation"),
    ],
)
def test_garbage_is_answered_where_it_can_be_in_the_spelling_of_1_6(tmp_path, text, code):
    async def test(site, __, central):
        site.is_central_judged = False
        answer = await answer_to(central, text)
        return answer[0], answer[2], await survives(central)

    assert on_site(tmp_path, test) == (4, code, True)
    assert {one.value for one in ErrorCode} == OCPP16_ERROR_CODES


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[]",
        "nonsense",
        "[2]",
        "[5,1]",
        '["2","a","Reset",{}]',
        '[2,"' + "x" * (MAX_MESSAGE_ID_LENGTH + 1) + '","ClearCache",{}]',
        '[2,"","ClearCache",{}]',
        '[3,"nobody",{}]',
        '[3,"nobody"]',
        '[4,"-1","GenericError","",{}]',
        "[" * 500,
        '[2,"\\ud800","ClearCache",{}]',
    ],
)
def test_garbage_that_cannot_be_answered_is_survived(tmp_path, text):
    async def test(site, __, central):
        site.is_central_judged = False
        await central.session.send_raw(text)
        return await survives(central)

    assert on_site(tmp_path, test)


def test_a_message_id_of_36_characters_is_answered(tmp_path):
    async def test(_, __, central):
        message_id = "x" * MAX_MESSAGE_ID_LENGTH
        await central.session.send_raw(f'[2,"{message_id}","ClearCache",{{}}]')
        await central.until(lambda: any(frame.text.startswith(f'[3,"{message_id}"') for frame in central.frames.all()))
        return True

    assert on_site(tmp_path, test)


def test_both_sides_calling_at_once_is_no_deadlock(tmp_path):
    script = Script()
    script.expect("Authorize", *[Behaviour(delay_s=5.0)] * 10)

    async def test(_, charger, central):
        asking = [
            asyncio.create_task(charger.service.ask_authorize(AskAuthorize(RequestId(str(n)), IdTag(f"TAG{n}"))))
            for n in range(10)
        ]
        told = [await central.get_configuration("HeartbeatInterval") for _ in range(10)]
        await asyncio.gather(*asking)
        return len(told), len(charger.all(AuthorizeAnswered)), central.connections

    assert on_site(tmp_path, test, script) == (10, 10, 1)


def test_one_call_is_out_at_a_time(tmp_path):
    async def test(_, charger, central):
        await asyncio.gather(
            *(charger.service.ask_authorize(AskAuthorize(RequestId(str(n)), IdTag(f"TAG{n}"))) for n in range(20))
        )
        out, most = set(), 0
        for frame in central.frames.all():
            kind, message_id, *_ = json.loads(frame.text)
            if kind == 2 and frame.direction.name == "FROM_CHARGER":
                out.add(message_id)
                most = max(most, len(out))
            elif frame.direction.name == "FROM_CENTRAL":
                out.discard(message_id)
        return most, [one.info.status for one in charger.all(AuthorizeAnswered)] == [AuthorizationStatus.ACCEPTED] * 20

    assert on_site(tmp_path, test) == (1, True)


def test_a_series_of_time_outs_ends_in_a_new_connection(tmp_path):
    script = Script()
    script.expect("Authorize", *[Behaviour(is_silent=True)] * TIMEOUTS_BEFORE_RECONNECT)

    async def test(site, charger, central):
        for number in range(TIMEOUTS_BEFORE_RECONNECT):
            await charger.service.ask_authorize(AskAuthorize(RequestId(str(number)), IdTag("TAG")))
        await central.until(lambda: central.connections == 2, 100.0)
        await site.accepted()
        return len(central.of("BootNotification"))

    assert on_site(tmp_path, test, script) == 1


def test_the_ping_key_acts_on_the_live_line(tmp_path):
    async def test(site, _, central):
        assert await central.change_configuration("WebSocketPingInterval", "0") == "Accepted"
        return site.lines[0].line.ping_interval_s, central.connections

    assert on_site(tmp_path, test) == (0.0, 1)
