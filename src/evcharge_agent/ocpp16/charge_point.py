"""The one adapter around the `ocpp` library: one connection, calls out, calls in.

What the library would do wrong and this does not (spec ecosystem 1.2): its receive loop dies of some frames,
its handlers run inside that loop, malformed frames stay unanswered, its error codes are those of OCPP 2,
waits use the wall clock, validation starts threads, CALLERRORs are hidden, and everything is logged in clear.
Ours by inheritance are its serialisation, its payload classes and the schema check of everything sent.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import ocpp.messages
import structlog
from ocpp.charge_point import camel_to_snake_case, remove_nones, serialize_as_dict, snake_to_camel_case
from ocpp.exceptions import OCPPError, UnknownCallErrorCodeError
from ocpp.messages import CallError, CallResult
from ocpp.v16 import ChargePoint as LibraryChargePoint
from ocpp.v16 import call_result
from ocpp.v16.enums import Action

from evcharge_agent.ocpp16.budget import CallBudget
from evcharge_agent.ocpp16.envelope import (
    CallFrame,
    ErrorCode,
    ErrorFrame,
    MalformedCall,
    ResultFrame,
    Unusable,
    call_error,
    read_frame,
)
from evcharge_agent.ocpp16.errors import CallRefusedError, CallTimedOutError, LinkClosedError
from evcharge_agent.ocpp16.link import Connection
from evcharge_agent.ocpp16.profile import Handler, Reply, RequestRefusedError
from evcharge_agent.ocpp16.redaction import redacted
from evcharge_agent.ocpp16.validation import CALL, RESULT, find_violation, without_extras

# Validation in the library's thread pool costs more than it saves on a small board.
ocpp.messages.ASYNC_VALIDATION = False

MAX_WAITING_CALLS = 32
"""Requests of the central system that wait for their turn; it is supposed to have one open."""
LATE_ANSWERS_AWAITED = 8
ANSWER_BEFORE_CLOSING_S = 5.0

_KNOWN_ACTIONS = frozenset(action.value for action in Action)
_LOG = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Expected:
    """The one call that is out."""

    message_id: str
    action: str
    answer: "asyncio.Future[CallResult | CallError | None]"
    """None: the connection went."""


class Silent:
    """A logger for the library, which would write keys and id tags in clear."""

    def __getattr__(self, _: str) -> Callable[..., None]:
        return self._ignore

    def _ignore(self, *_: object, **__: object) -> None:
        """We log ourselves, redacted."""


class ChargePoint(LibraryChargePoint):
    """One connection to the central system, from its opening to its end.

    `may_answer` says whether requests are answered at all (a rejected boot is silent); `on_late_result`
    gets the answer to an earlier send of a message id after its call had timed out.
    """

    def __init__(
        self,
        identity: str,
        connection: Connection,
        handlers: Mapping[str, Handler],
        *,
        call_timeout_s: Callable[[], float],
        may_answer: Callable[[], bool],
        on_late_result: Callable[[str, object], None],
        on_invalid: Callable[[str], None] = lambda _: None,
    ) -> None:
        super().__init__(identity, connection, logger=Silent())  # type: ignore[no-untyped-call]
        self._channel = connection
        self._handlers = handlers
        self._call_timeout_s = call_timeout_s
        self._may_answer = may_answer
        self._on_late_result = on_late_result
        self._on_invalid = on_invalid
        self._turn = asyncio.Lock()
        self._expected: Expected | None = None
        self._timed_out: OrderedDict[str, str] = OrderedDict()
        self._calls: asyncio.Queue[CallFrame] = asyncio.Queue(MAX_WAITING_CALLS)
        self._budget = CallBudget()
        self._end_reason: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._is_closed = False
        self._dropped = 0

    # --- the life of the connection -----------------------------------------------------------------------

    async def run(self) -> str:
        """Receive and answer until the connection ends; return why it did. No frame ever ends it."""
        # No TaskGroup: where its parent is cancelled in the moment a child fails, it forgets the cancellation.
        work = (self._receive(), self._answer_calls(), self._close_when_asked())
        tasks = [asyncio.create_task(one) for one in work]
        try:
            ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._is_closed = True
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            if self._expected is not None and not self._expected.answer.done():
                self._expected.answer.set_result(None)
        reasons = [task.exception() for task in ended]
        for reason in reasons:
            if reason is not None and not isinstance(reason, LinkClosedError):
                raise reason
        return "; ".join(str(reason) for reason in reasons)

    def end(self, reason: str) -> None:
        """End the connection once the requests that are waiting have been answered."""
        if not self._end_reason.done():
            self._end_reason.set_result(reason)

    async def _close_when_asked(self) -> None:
        reason = await self._end_reason
        try:
            async with asyncio.timeout(ANSWER_BEFORE_CLOSING_S):
                await self._calls.join()
        except TimeoutError:
            _LOG.warning("ocpp_requests_unanswered", waiting=self._calls.qsize())
        raise LinkClosedError(reason)

    async def _receive(self) -> None:
        while True:
            await self.route_message(await self._channel.recv())

    async def _send(self, message: str) -> None:
        """Send one frame; a peer that does not read ends the connection."""
        try:
            async with asyncio.timeout(self._call_timeout_s()):
                await self._channel.send(message)
        except TimeoutError:
            self.end("the central system does not read")
            raise LinkClosedError("the central system does not read") from None

    async def route_message(self, raw_msg: str | bytes) -> None:
        """Take in one frame, whatever it is."""
        match read_frame(raw_msg):
            case CallFrame() as frame:
                await self._take_call(frame)
            case ResultFrame() | ErrorFrame() as frame:
                self._settle(frame)
            case MalformedCall(message_id, code, description):
                self._note_dropped(description)
                self._on_invalid(description)
                await self._refuse(message_id, code, description)
            case Unusable(reason):
                self._note_dropped(reason)
                self._on_invalid(reason)

    # --- calls out ----------------------------------------------------------------------------------------

    async def request(self, payload: object, message_id: str | None = None) -> Any:
        """Send one CALL when no other is out and return the result's payload class (OCPP-J 1.6, 4.1.1).

        Raises:
            CallRefusedError: a CALLERROR, or a result that breaks its schema.
            CallTimedOutError: no answer came in time.
            LinkClosedError: the connection went first.
        """
        async with self._turn:
            if self._is_closed:
                raise LinkClosedError("the connection has ended")
            action = type(payload).__name__
            unique_id = message_id or str(self._unique_id_generator())
            self._expected = Expected(unique_id, action, asyncio.get_running_loop().create_future())
            self._response_timeout = self._call_timeout_s()
            _LOG.debug("ocpp_call", action=action, message_id=unique_id, payload=redacted(vars(payload)))
            try:
                return await self.call(payload, suppress=False, unique_id=unique_id)  # type: ignore[no-untyped-call]
            except TimeoutError:
                self._await_late_answer(unique_id, action)
                raise CallTimedOutError(f"no answer to {action} within {self._response_timeout:g} s") from None
            except OCPPError as error:
                code = getattr(error, "code", ErrorCode.GENERIC_ERROR.value)
                raise CallRefusedError(code, str(error.description)) from None
            except UnknownCallErrorCodeError:
                raise CallRefusedError(ErrorCode.GENERIC_ERROR.value, "an error code OCPP does not know") from None
            finally:
                self._expected = None

    async def _get_specific_response(self, unique_id: str, timeout: float) -> CallResult | CallError:  # noqa: ASYNC109
        """Wait on the loop's clock: the library's wait would follow the wall clock we are about to set."""
        expected = self._expected
        if expected is None or expected.message_id != unique_id:
            raise LinkClosedError("the call was given up")
        async with asyncio.timeout(timeout):
            answer = await expected.answer
        if answer is None:
            raise LinkClosedError("the connection ended before the answer")
        return answer

    def _settle(self, frame: ResultFrame | ErrorFrame) -> None:
        expected = self._expected
        if expected is None or expected.message_id != frame.message_id or expected.answer.done():
            self._take_late_answer(frame)
        elif isinstance(frame, ErrorFrame):
            expected.answer.set_result(CallError(frame.message_id, frame.code, frame.description))
        else:
            payload = without_extras(expected.action, frame.payload)
            expected.answer.set_result(CallResult(frame.message_id, payload))

    def _await_late_answer(self, message_id: str, action: str) -> None:
        self._timed_out[message_id] = action
        while len(self._timed_out) > LATE_ANSWERS_AWAITED:
            self._timed_out.popitem(last=False)

    def _take_late_answer(self, frame: ResultFrame | ErrorFrame) -> None:
        """Only a late result of a known message id counts (rule 1); anything else was never asked for."""
        action = self._timed_out.get(frame.message_id)
        if action is None or isinstance(frame, ErrorFrame):
            self._note_dropped("an answer nobody waits for")
            return
        payload = without_extras(action, frame.payload)
        if find_violation(RESULT, action, payload) is not None:
            self._note_dropped("a late answer that breaks its schema")
            return
        del self._timed_out[frame.message_id]
        result = getattr(call_result, action)(**camel_to_snake_case(payload))
        self._on_late_result(frame.message_id, result)

    # --- calls in -----------------------------------------------------------------------------------------

    async def _take_call(self, frame: CallFrame) -> None:
        budget = self._budget.spend(asyncio.get_running_loop().time())
        if budget is None or self._calls.full():
            await self._refuse(frame.message_id, ErrorCode.GENERIC_ERROR, "too many requests")
            return
        self._budget = budget
        self._calls.put_nowait(frame)

    async def _answer_calls(self) -> None:
        """Answer requests in their order, beside the receive loop: a slow handler blocks no result."""
        while True:
            frame = await self._calls.get()
            try:
                if self._may_answer():
                    await self._answer(frame)
            finally:
                self._calls.task_done()

    async def _answer(self, frame: CallFrame) -> None:
        _LOG.debug("ocpp_request", action=frame.action, message_id=frame.message_id, payload=redacted(frame.payload))
        try:
            reply, answer = await self._handle(frame)
        except RequestRefusedError as refusal:
            await self._refuse(frame.message_id, refusal.code, refusal.description)
            return
        except Exception:  # noqa: BLE001 - a mistake in one handler must not end the connection
            _LOG.exception("ocpp_handler_failed", action=frame.action)
            await self._refuse(frame.message_id, ErrorCode.INTERNAL_ERROR, "")
            return
        await self._send(answer)
        if reply.then is not None:
            reply.then()

    async def _handle(self, frame: CallFrame) -> tuple[Reply, str]:
        handler = self._handlers.get(frame.action)
        if handler is None:
            is_known = frame.action in _KNOWN_ACTIONS
            code = ErrorCode.NOT_SUPPORTED if is_known else ErrorCode.NOT_IMPLEMENTED
            raise RequestRefusedError(code, f"this charge point has no {frame.action[:50]}")
        violation = find_violation(CALL, frame.action, frame.payload)
        if violation is not None:
            raise RequestRefusedError(violation.code, violation.description)
        reply = await handler(camel_to_snake_case(frame.payload))
        payload = snake_to_camel_case(remove_nones(serialize_as_dict(reply.payload)))
        violation = find_violation(RESULT, frame.action, payload)
        if violation is not None:
            raise TypeError(f"our answer breaks the schema: {violation.description}")
        return reply, CallResult(frame.message_id, payload).to_json()

    async def _refuse(self, message_id: str, code: ErrorCode, description: str) -> None:
        if self._may_answer():
            await self._send(call_error(message_id, code, description))

    def _note_dropped(self, reason: str) -> None:
        """Log the first, second, fourth, eighth … so that a flood of rubbish is no flood of lines."""
        self._dropped += 1
        if self._dropped & (self._dropped - 1) == 0:
            _LOG.warning("ocpp_frame_dropped", reason=reason, dropped=self._dropped)
