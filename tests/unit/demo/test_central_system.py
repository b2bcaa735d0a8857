"""The embedded central system as a charger sees it."""

import asyncio
import json

import pytest

from evcharge_agent.demo.central_script import Behaviour, Script
from evcharge_agent.demo.central_system import CentralSystem, MemoryConnector
from evcharge_agent.demo.pipe import PipeEnd
from evcharge_agent.ocpp16.errors import ConnectFailedError, LinkClosedError
from tests.support.virtual_time import START_UTC_S, run_virtual

START = {"connectorId": 1, "idTag": "CARD1", "meterStart": 100, "timestamp": "2025-01-01T00:00:00Z"}
STOP = {"transactionId": 1, "meterStop": 300, "timestamp": "2025-01-01T01:00:00Z", "reason": "Local", "idTag": "CARD1"}


def with_central(test, script=None):
    async def main():
        central = CentralSystem(script, now_utc_s=lambda: START_UTC_S)
        line = await MemoryConnector(central, "box").connect()
        await asyncio.sleep(0)
        return await test(central, line)

    return run_virtual(main())


async def ask(line, action, payload, message_id="m"):
    await line.send(json.dumps([2, message_id, action, payload]))
    async with asyncio.timeout(100.0):
        return json.loads(await line.recv())


def test_a_transaction_is_recorded_and_a_repeated_start_opens_no_second():
    async def test(central, line):
        first = await ask(line, "StartTransaction", START, "s")
        again = await ask(line, "StartTransaction", START, "s")
        await ask(line, "StopTransaction", STOP)
        return first == again, central.transactions

    is_same, transactions = with_central(test)
    assert is_same
    record = transactions[1]
    assert (record.energy_wh, record.reason, record.stop_id_tag, record.verdict) == (200, "Local", "CARD1", "Accepted")


def test_tags_are_judged_without_case():
    async def test(_, line):
        known = await ask(line, "Authorize", {"idTag": "CARD1"})
        unknown = await ask(line, "Authorize", {"idTag": "OTHER"})
        return known[2]["idTagInfo"], unknown[2]["idTagInfo"]["status"]

    script = Script(tags={"card1": "Blocked"}, parents={"Card1": "P"}, unknown_tag="Invalid")
    assert with_central(test, script) == ({"status": "Blocked", "parentIdTag": "P"}, "Invalid")


def test_the_time_and_the_boot_answers_follow_the_script():
    async def test(_, line):
        boot = {"chargePointVendor": "v", "chargePointModel": "m"}
        answers = [(await ask(line, "BootNotification", boot))[2] for _ in range(2)]
        return [(answer["status"], answer["interval"], answer["currentTime"]) for answer in answers]

    script = Script(heartbeat_interval_s=60)
    script.boot_answers.append(("Rejected", 5))
    stamp = "2025-06-15T15:06:40.000Z"
    assert with_central(test, script) == [("Rejected", 5, stamp), ("Accepted", 60, stamp)]


def test_behaviours_are_used_up_one_for_each_request():
    async def test(central, line):
        refused = await ask(line, "Heartbeat", {})
        began_s = asyncio.get_running_loop().time()
        answered = await ask(line, "Heartbeat", {})
        took_s = asyncio.get_running_loop().time() - began_s
        return refused[2], answered[0], took_s, len(central.of("Heartbeat"))

    script = Script()
    script.expect("Heartbeat", Behaviour(refusal="GenericError"), Behaviour(delay_s=7.0))
    assert with_central(test, script) == ("GenericError", 3, 7.0, 1)


def test_a_lost_answer_was_taken_in_and_a_cut_ends_the_line():
    async def test(central, line):
        with pytest.raises(LinkClosedError):
            await ask(line, "StartTransaction", START)
        return len(central.transactions)

    script = Script()
    script.expect("StartTransaction", Behaviour(is_answer_lost=True, is_cut=True))
    assert with_central(test, script) == 1


def test_commands_need_a_charger():
    async def main():
        central = CentralSystem()
        with pytest.raises(ConnectFailedError, match="no charger"):
            await central.remote_start(1, "CARD1")
        central.is_reachable = False
        with pytest.raises(ConnectFailedError):
            await MemoryConnector(central).connect()

    run_virtual(main())


def test_commands_return_what_the_charger_says():
    async def test(central, line):
        asking = asyncio.create_task(central.remote_start(1, "CARD1"))
        frame = json.loads(await line.recv())
        await line.send(json.dumps([3, frame[1], {"status": "Rejected"}]))
        return frame[2:], await asking

    assert with_central(test) == (["RemoteStartTransaction", {"idTag": "CARD1", "connectorId": 1}], "Rejected")


def test_it_can_forget_everything():
    async def test(central, line):
        await ask(line, "StartTransaction", START, "s")
        central.forget()
        answer = await ask(line, "StopTransaction", STOP)
        return answer[0], central.transactions

    assert with_central(test) == (3, {})


def test_a_pipe_delivers_in_order_and_ends_for_both():
    async def main():
        one, other = PipeEnd.pair()
        await one.send("a")
        await one.send("b")
        await one.close(1001)
        await one.close()
        heard = [await other.recv(), await other.recv()]
        for end in (one, other):
            with pytest.raises(LinkClosedError, match="1001"):
                await end.recv()
            with pytest.raises(LinkClosedError, match="1001"):
                await end.send("c")
        return heard

    assert run_virtual(main()) == ["a", "b"]


def test_a_frozen_end_loses_what_it_sends():
    async def main():
        one, other = PipeEnd.pair()
        one.is_frozen = True
        await one.send("lost")
        one.is_frozen = False
        await one.send("heard")
        return await other.recv()

    assert run_virtual(main()) == "heard"
