"""The adapter: one call out, requests answered meanwhile, every frame survived, 1.6 spelling."""

import asyncio
import contextlib
import json

import pytest
import structlog
from ocpp.v16 import call, call_result

from evcharge_agent.demo.pipe import PipeEnd
from evcharge_agent.ocpp16.budget import BURST
from evcharge_agent.ocpp16.charge_point import MAX_WAITING_CALLS, ChargePoint
from evcharge_agent.ocpp16.envelope import ErrorCode
from evcharge_agent.ocpp16.errors import CallRefusedError, CallTimedOutError, LinkClosedError
from evcharge_agent.ocpp16.profile import Reply, RequestRefusedError
from tests.support.virtual_time import run_virtual

TIMEOUT_S = 30.0


class Line:
    """An adapter on one end of a pipe, the test on the other."""

    def __init__(self, handlers=None, kind=PipeEnd):
        near, self.far = kind.pair()
        self.may_answer = True
        self.late = []
        self.ended_because = None
        self.charge_point = ChargePoint(
            "charger",
            near,
            handlers or {},
            call_timeout_s=lambda: TIMEOUT_S,
            may_answer=lambda: self.may_answer,
            on_late_result=lambda message_id, result: self.late.append((message_id, result)),
        )

    @contextlib.asynccontextmanager
    async def running(self):
        async def run():
            self.ended_because = await self.charge_point.run()

        task = asyncio.create_task(run())
        try:
            yield self
            if task.done():
                task.result()
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def say(self, *frames):
        for frame in frames:
            await self.far.send(frame if isinstance(frame, str | bytes) else json.dumps(frame))

    async def hear(self):
        async with asyncio.timeout(100.0):
            return json.loads(await self.far.recv())

    async def ask(self, *frames):
        await self.say(*frames)
        return await self.hear()


async def clear_cache(_):
    return Reply(call_result.ClearCache(status="Accepted"))


CLEAR = [2, "c", "ClearCache", {}]
CLEARED = [3, "c", {"status": "Accepted"}]


def with_line(test, handlers=None, kind=PipeEnd):
    async def main():
        async with Line(handlers or {"ClearCache": clear_cache}, kind).running() as line:
            return await test(line)

    return run_virtual(main())


# --- calls out --------------------------------------------------------------------------------------------


def test_no_second_call_leaves_before_the_first_is_answered():
    async def test(line):
        calls = [asyncio.create_task(line.charge_point.request(call.Heartbeat())) for _ in range(2)]
        first = await line.hear()
        await asyncio.sleep(TIMEOUT_S - 1.0)
        assert line.far._arrived.empty()
        await line.say([3, first[1], {"currentTime": "2025-01-01T00:00:00Z"}])
        second = await line.hear()
        await line.say([3, second[1], {"currentTime": "2025-01-01T00:00:01Z"}])
        return [(await one).current_time for one in calls], first[1] != second[1]

    assert with_line(test) == (["2025-01-01T00:00:00Z", "2025-01-01T00:00:01Z"], True)


def test_requests_are_answered_while_a_call_is_out():
    async def test(line):
        asking = asyncio.create_task(line.charge_point.request(call.Heartbeat()))
        mine = await line.hear()
        answer = await line.ask(CLEAR)
        await line.say([3, mine[1], {"currentTime": "x"}])
        return answer, (await asking).current_time

    assert with_line(test) == (CLEARED, "x")


def test_an_answer_is_awaited_for_the_call_time_out():
    async def test(line):
        began_s = asyncio.get_running_loop().time()
        with pytest.raises(CallTimedOutError, match=r"^no answer to Authorize within 30 s$"):
            await line.charge_point.request(call.Authorize(id_tag="CANARY"))
        return asyncio.get_running_loop().time() - began_s

    assert with_line(test) == pytest.approx(TIMEOUT_S)


@pytest.mark.parametrize(
    "code", ["GenericError", "FormationViolation", "OccurrenceConstraintViolation", "Nonsense", ""]
)
def test_a_call_error_of_any_code_is_a_refusal(code):
    async def test(line):
        asking = asyncio.create_task(line.charge_point.request(call.Heartbeat()))
        mine = await line.hear()
        await line.say([4, mine[1], code, "no", {}])
        with pytest.raises(CallRefusedError):
            await asking

    with_line(test)


@pytest.mark.parametrize("answer", [{}, {"currentTime": 7}, {"currentTime": None}, {"other": 1}])
def test_a_result_that_breaks_its_schema_is_a_refusal(answer):
    async def test(line):
        asking = asyncio.create_task(line.charge_point.request(call.Heartbeat()))
        mine = await line.hear()
        await line.say([3, mine[1], answer])
        with pytest.raises(CallRefusedError):
            await asking

    with_line(test)


def test_extra_members_of_a_result_are_tolerated():
    async def test(line):
        asking = asyncio.create_task(line.charge_point.request(call.Heartbeat()))
        mine = await line.hear()
        await line.say([3, mine[1], {"currentTime": "x", "vendor": {"a": None}}])
        return (await asking).current_time

    assert with_line(test) == "x"


def test_answers_nobody_waits_for_are_dropped():
    async def test(line):
        await line.say([3, "?", {}], [4, "?", "GenericError", "", {}], [4, "-1", "GenericError", "", {}])
        asking = asyncio.create_task(line.charge_point.request(call.Heartbeat()))
        mine = await line.hear()
        await line.say([3, "other", {"currentTime": "no"}], [4, "-1", "GenericError", "", {}])
        await line.say([3, mine[1], {"currentTime": "x"}], [3, mine[1], {"currentTime": "twice"}])
        return (await asking).current_time, await line.ask(CLEAR)

    assert with_line(test) == ("x", CLEARED)


def test_a_late_result_of_a_known_message_id_counts_once():
    async def test(line):
        with pytest.raises(CallTimedOutError):
            await line.charge_point.request(call.Authorize(id_tag="A"), "my-id")
        await line.hear()
        await line.say([3, "my-id", {"idTagInfo": {"status": 7}}], [4, "my-id", "GenericError", "", {}])
        await line.say(
            [3, "my-id", {"idTagInfo": {"status": "Blocked"}}], [3, "my-id", {"idTagInfo": {"status": "Invalid"}}]
        )
        await line.ask(CLEAR)
        return [(message_id, result.id_tag_info["status"]) for message_id, result in line.late]

    assert with_line(test) == [("my-id", "Blocked")]


def test_a_repeated_send_has_the_same_id_and_the_same_content():
    async def test(line):
        for _ in range(2):
            with pytest.raises(CallTimedOutError):
                await line.charge_point.request(call.Authorize(id_tag="A"), "my-id")
        return await line.hear(), await line.hear()

    first, second = with_line(test)
    assert first == second == [2, "my-id", "Authorize", {"idTag": "A"}]


def test_the_end_of_the_line_ends_the_call_and_all_that_wait():
    async def test(line):
        calls = [asyncio.create_task(line.charge_point.request(call.Heartbeat())) for _ in range(3)]
        await line.hear()
        await line.far.close(1001)
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        return [type(outcome) for outcome in outcomes], line.ended_because

    assert with_line(test) == ([LinkClosedError] * 3, "closed with 1001")


def test_a_call_that_breaks_its_own_schema_is_never_sent():
    async def test(line):
        with pytest.raises(CallRefusedError):
            await line.charge_point.request(call.Authorize(id_tag="A" * 21))
        return await line.ask(CLEAR)

    assert with_line(test) == CLEARED


# --- calls in ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        ([2, "1", "Reset", {"type": "Hard"}], "NotSupported"),
        ([2, "1", "BootNotification", {}], "NotSupported"),
        ([2, "1", "MakeCoffee", {}], "NotImplemented"),
        ([2, "1", "", {}], "NotImplemented"),
        ([2, "1", "__class__", {}], "NotImplemented"),
        ([2, "1", ["Reset"], {}], "FormationViolation"),
        ([2, "1", {"a": 1}, {}], "FormationViolation"),
        ([2, "1", "ClearCache"], "FormationViolation"),
        ([2, "1", "ClearCache", {"extra": 1}], "FormationViolation"),
        ('[2,"1","ClearCache",' + "[" * 5000, "FormationViolation"),
    ],
)
def test_bad_requests_get_the_code_of_1_6(frame, code):
    async def test(line):
        answer = await line.ask(frame)
        return answer[:3], await line.ask(CLEAR)

    assert with_line(test) == ([4, "1", code], CLEARED)


@pytest.mark.parametrize(
    "frame", ["", "x", "[" * 100_000, '[9,"1",{}]', '[2,null,"ClearCache",{}]', b"\x00", "[3]", "[]"]
)
def test_what_cannot_be_answered_is_survived_in_silence(frame):
    async def test(line):
        return await line.ask(frame, CLEAR)

    assert with_line(test) == CLEARED


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ValueError("canary"), "InternalError"),
        (KeyError("canary"), "InternalError"),
        (RequestRefusedError(ErrorCode.PROPERTY_CONSTRAINT_VIOLATION, "why"), "PropertyConstraintViolation"),
    ],
)
def test_a_handler_that_fails_is_answered_and_survived(error, code):
    async def fail(_):
        raise error

    async def test(line):
        answer = await line.ask([2, "1", "GetLocalListVersion", {}])
        return answer[2], "canary" in str(answer), await line.ask(CLEAR)

    assert with_line(test, {"GetLocalListVersion": fail, "ClearCache": clear_cache}) == (code, False, CLEARED)


def test_an_answer_that_breaks_its_schema_is_an_internal_error():
    async def lie(_):
        return Reply(call_result.GetLocalListVersion(list_version="one"))  # type: ignore[arg-type]

    async def test(line):
        return (await line.ask([2, "1", "GetLocalListVersion", {}]))[2]

    assert with_line(test, {"GetLocalListVersion": lie}) == "InternalError"


def test_a_handler_that_makes_a_call_does_not_deadlock():
    async def main():
        line = Line()

        async def call_out(_):
            await line.charge_point.request(call.Heartbeat())
            return Reply(call_result.ClearCache(status="Accepted"))

        line.charge_point._handlers = {"ClearCache": call_out}
        async with line.running():
            heartbeat = await line.ask(CLEAR)
            return await line.ask([3, heartbeat[1], {"currentTime": "x"}])

    assert run_virtual(main()) == CLEARED


def test_what_follows_is_done_after_the_answer():
    sent_by_then = []

    async def test(line):
        async def handler(_):
            return Reply(
                call_result.ClearCache(status="Accepted"), lambda: sent_by_then.append(line.far._arrived.qsize())
            )

        line.charge_point._handlers = {"ClearCache": handler}
        await line.say(CLEAR)
        await asyncio.sleep(1.0)
        return await line.hear()

    assert with_line(test) == CLEARED
    assert sent_by_then == [1]


def test_the_end_waits_for_the_answer_of_the_request_that_caused_it():
    async def main():
        line = Line()

        async def handler(_):
            line.charge_point.end("credentials changed")
            await asyncio.sleep(1.0)
            return Reply(call_result.ClearCache(status="Accepted"))

        line.charge_point._handlers = {"ClearCache": handler}
        async with line.running():
            answer = await line.ask(CLEAR)
            await asyncio.sleep(1.0)
            return answer, line.ended_because

    assert run_virtual(main()) == (CLEARED, "credentials changed")


def test_a_rejected_charger_answers_nothing():
    async def test(line):
        line.may_answer = False
        await line.say(CLEAR, [2, "1"], [2, "2", "MakeCoffee", {}])
        await asyncio.sleep(1.0)
        line.may_answer = True
        return await line.ask([2, "d", "ClearCache", {}])

    assert with_line(test)[1] == "d"


def test_more_requests_than_a_charger_can_be_asked_are_refused():
    async def slow(_):
        await asyncio.sleep(10.0)
        return Reply(call_result.ClearCache(status="Accepted"))

    async def test(line):
        await line.say(*[CLEAR] * (MAX_WAITING_CALLS + 5))
        refused = [await line.hear() for _ in range(4)]
        return {answer[2] for answer in refused}

    assert with_line(test, {"ClearCache": slow}) == {"GenericError"}


def test_a_flood_of_requests_is_refused_until_the_budget_refills():
    async def test(line):
        answers = [await line.ask(CLEAR) for _ in range(BURST + 1)]
        await asyncio.sleep(1.0)
        return answers[:-1] == [CLEARED] * BURST, answers[-1][2], await line.ask(CLEAR)

    assert with_line(test) == (True, "GenericError", CLEARED)


class Deaf(PipeEnd):
    """A line whose other end reads nothing: the buffers are full."""

    async def send(self, message):
        await asyncio.sleep(1e6)


def test_a_peer_that_does_not_read_ends_the_connection():
    async def test(line):
        with pytest.raises(LinkClosedError):
            await line.charge_point.request(call.Heartbeat())
        await asyncio.sleep(1.0)
        return line.ended_because

    assert "does not read" in with_line(test, kind=Deaf)


def test_no_secret_reaches_a_log(caplog):
    async def change(_):
        raise ValueError

    async def test(line):
        with structlog.testing.capture_logs() as logs:
            await line.ask([2, "1", "ChangeConfiguration", {"key": "AuthorizationKey", "value": "CANARY-SECRET"}])
            await line.ask([2, "1", "RemoteStartTransaction", {"idTag": "CANARY-SECRET"}])
            await line.ask([2, "1", "RemoteStartTransaction", {"idTag": "CANARY-SECRET", "connectorId": "x"}])
            asking = asyncio.create_task(line.charge_point.request(call.Authorize(id_tag="CANARY-SECRET")))
            mine = await line.hear()
            await line.say([4, mine[1], "GenericError", "CANARY-SECRET", {}], "CANARY-SECRET")
            await asyncio.gather(asking, return_exceptions=True)
            await line.ask([2, "1"])
        return logs

    with caplog.at_level("DEBUG"):
        logs = with_line(test, {"ChangeConfiguration": change})
    assert "CANARY-SECRET" not in str(logs) + caplog.text
    assert any(entry["event"] == "ocpp_handler_failed" for entry in logs)
