"""No frame, however hostile, ends the session or is answered with anything but a valid frame."""

import asyncio
import json

from hypothesis import given, settings
from hypothesis import strategies as st
from ocpp.v16 import call_result

from evcharge_agent.core.effects import Answer
from evcharge_agent.core.events import RequestId
from evcharge_agent.demo.pipe import PipeEnd
from evcharge_agent.ocpp16.charge_point import ChargePoint
from evcharge_agent.ocpp16.core_profile import CoreProfile
from evcharge_agent.ocpp16.envelope import (
    MAX_MESSAGE_ID_LENGTH,
    CallFrame,
    ErrorFrame,
    MalformedCall,
    ResultFrame,
    Unusable,
    read_frame,
)
from evcharge_agent.ocpp16.keys import Station
from evcharge_agent.ocpp16.profile import Context, Reply
from evcharge_agent.runtime.clock import Clock
from evcharge_agent.settings.ocpp_keys import ChangeStatus, KeyValue
from tests.support.schemas import ERROR_CODES, FrameChecker
from tests.support.virtual_time import run_virtual

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=40),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)


class Keys:
    """A configuration that takes everything."""

    connection = None

    def report(self, names=()):
        return [KeyValue(name[:50], is_readonly=False, value="v") for name in names], []

    async def change(self, name, text):
        return ChangeStatus.ACCEPTED


class Yes:
    """An inbox behind which everything is accepted."""

    async def ask(self, build):
        build(RequestId("asked"))
        return Answer(RequestId("asked"), is_accepted=True)

    def post(self, event):
        pass


async def clear_cache(_):
    return Reply(call_result.ClearCache(status="Accepted"))


class Session:
    """The adapter with the Core profile; every answer is checked."""

    def __init__(self):
        near, self.far = PipeEnd.pair()
        station = Station("charger", "evcharge", "AC", "1", "1")
        profile = CoreProfile(Context(Yes(), Keys(), station, Clock(), None, lambda: False))
        self.adapter = ChargePoint(
            "charger",
            near,
            {**profile.handlers, "ClearCache": clear_cache},
            call_timeout_s=lambda: 30.0,
            may_answer=lambda: True,
            on_late_result=lambda *_: None,
        )
        self.running = asyncio.create_task(self.adapter.run())
        self._probes = 0

    async def survive(self, text):
        """Send `text`, then a request that must still be answered."""
        await self.far.send(text)
        self._probes += 1
        probe = f"probe-{self._probes}"
        await self.far.send(json.dumps([2, probe, "ClearCache", {}]))
        while True:
            async with asyncio.timeout(10.0):
                answer = json.loads(await self.far.recv())
            if answer[1] == probe:
                assert answer == [3, probe, {"status": "Accepted"}], (text, answer)
                break
            check_answer(text, answer)
        # The budget of requests is another test's.
        await asyncio.sleep(1.0)


def check_answer(text, answer):
    """A CALLERROR in 1.6 spelling, or a result that fits its request's schema."""
    if answer[0] == 4:
        assert answer[2] in ERROR_CODES, (text, answer)
        FrameChecker().check(json.dumps(answer))
    else:
        checker = FrameChecker()
        checker.check(json.dumps(json.loads(text)))
        checker.check(json.dumps(answer))


@settings(max_examples=200, deadline=None)
@given(frames=st.lists(st.text(max_size=200) | st.binary(max_size=50), max_size=5))
def test_arbitrary_text_and_bytes_end_no_session(frames):
    async def main():
        session = Session()
        for frame in frames:
            await session.survive(frame)
        session.running.cancel()

    run_virtual(main())


@settings(max_examples=300, deadline=None)
@given(
    kind=st.sampled_from([2, 3, 4]) | json_values,
    message_id=st.text(max_size=40) | json_values,
    rest=st.lists(
        st.sampled_from(["Reset", "ClearCache", "GetConfiguration", "__init__", "call"]) | json_values, max_size=4
    ),
)
def test_json_of_any_shape_ends_no_session(kind, message_id, rest):
    async def main():
        session = Session()
        await session.survive(json.dumps([kind, message_id, *rest]))
        session.running.cancel()

    run_virtual(main())


@settings(max_examples=500, deadline=None)
@given(text=st.text() | json_values.map(json.dumps) | st.binary())
def test_reading_never_raises_and_what_it_gives_can_be_used(text):
    frame = read_frame(text)
    if isinstance(frame, CallFrame | ResultFrame | ErrorFrame | MalformedCall):
        assert 1 <= len(frame.message_id) <= MAX_MESSAGE_ID_LENGTH
        frame.message_id.encode()
    else:
        assert isinstance(frame, Unusable)


@settings(max_examples=300, deadline=None)
@given(
    message_id=st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=36),
    action=st.text(st.characters(exclude_categories=("Cs",))),
    payload=st.dictionaries(
        st.text(st.characters(exclude_categories=("Cs",)), max_size=10), st.integers(-(10**9), 10**9)
    ),
)
def test_every_well_formed_call_is_read_as_it_was_written(message_id, action, payload):
    assert read_frame(json.dumps([2, message_id, action, payload])) == CallFrame(message_id, action, payload)
