"""The strict central system: takes one charger in, answers as scripted, remembers everything, judges at the end.

    central = StrictCentral(Expectations(identity="RIG-1"))
    central.answers.boot("Rejected", 10)
    await central.expect("BootNotification")
    assert await central.order("RemoteStartTransaction", idTag="TAG1", connectorId=1) == "Accepted"
    await central.expect("StatusNotification", connectorId=1, status="Charging", within_s=10)
    central.check()

`expect` reads the charger's calls in order: it returns the first match after the last one returned and leaves
out what stands between; `expect_all` takes several that may come in any order; `quiet` demands that nothing of
a kind comes. Fields are compared with `==`, or called when they are functions.
"""

import asyncio
import base64
import http
import json
import ssl
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeVar
from urllib.parse import unquote

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.http11 import Request, Response

from tests.support.strict.answering import Answers, Behaviour
from tests.support.strict.expectations import Expectations
from tests.support.strict.law import Violation, judge
from tests.support.strict.laws import LAWS, READABLE_LAWS
from tests.support.strict.line import Line, LineClosedError, SocketLine
from tests.support.strict.schema import breaches, exact
from tests.support.strict.trace import (
    Call,
    Closed,
    Entry,
    Frame,
    Mark,
    Opened,
    Pairing,
    Payload,
    Refused,
    Trace,
    read,
    to_stamp,
)

T = TypeVar("T")

SUBPROTOCOL = "ocpp1.6"
WITHIN_S = 30.0


class CallError(Exception):
    """The charger answered with a CALLERROR."""

    def __init__(self, code: str, description: str) -> None:
        super().__init__(f"{code}: {description}")
        self.code = code


@dataclass(frozen=True, slots=True)
class Wanted:
    """A call of the charger that is waited for."""

    action: str
    fields: Payload

    def fits(self, call: Call) -> bool:
        """The call is of this kind."""
        return call.action == self.action and all(
            wanted(call.payload.get(name)) if callable(wanted) else call.payload.get(name) == wanted
            for name, wanted in self.fields.items()
        )


def wanted(action: str, **fields: Any) -> Wanted:
    """For `expect_all`."""
    return Wanted(action, fields)


class StrictCentral:
    """One charger's central system. `utc_offset_s` added to the loop's time is its clock."""

    def __init__(self, expectations: Expectations, utc_offset_s: float = 0.0) -> None:
        self.expectations = expectations
        self.answers = Answers()
        self.passwords: dict[str, bytes] = {}
        """By identity; one that is not here needs none. Looked at where HTTP is spoken."""
        self.is_reachable = True
        self._utc_offset_s = utc_offset_s
        self._entries: list[Entry] = []
        self._changed = asyncio.Condition()
        self._cursor = -1
        self._line: Line | None = None
        self._lines = 0
        self._waiting: dict[str, asyncio.Future[Payload]] = {}
        self._turn = asyncio.Lock()
        self._server: Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._pairing = Pairing()
        self._withheld: set[str] = set()

    # --- being reached ------------------------------------------------------------------------------------

    async def listen(self, host: str = "127.0.0.1", port: int = 0, tls: ssl.SSLContext | None = None) -> str:
        """Listen for WebSockets; returns the url without the identity."""
        self._server = await serve(
            self._take_in,
            host,
            port,
            subprotocols=[SUBPROTOCOL],  # type: ignore[list-item]
            compression=None,
            ssl=tls,
            process_request=self._check_request,
        )
        scheme = "ws" if tls is None else "wss"
        return f"{scheme}://{host}:{self._server.sockets[0].getsockname()[1]}/ocpp"

    async def change_tls(self, tls: ssl.SSLContext | None) -> None:
        """Close the line and listen at the same port with other TLS, or without."""
        assert self._server is not None, "it does not listen"
        port = self._server.sockets[0].getsockname()[1]
        self._server.close()
        await self._server.wait_closed()
        await self.listen(port=port, tls=tls)

    async def stop(self) -> None:
        """Stop listening, close the line, end every task."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def serve(self, line: Line, opened: Opened | None = None) -> None:
        """Serve one connection until it ends."""
        self._lines += 1
        number = self._lines
        self._line = line
        await self._note(replace(opened or Opened(0.0, 0), at_s=self.now_s(), line=number))
        try:
            while True:
                text = await line.recv()
                await self._note(Frame(self.now_s(), number, is_from_charger=True, text=text))
                self._take(line, number, text)
        except LineClosedError:
            pass
        finally:
            if self._line is line:
                self._line = None
            await self._note(Closed(self.now_s(), number))
            for future in self._waiting.values():
                if not future.done():
                    future.set_exception(LineClosedError("the line went before the answer"))
            await line.close()

    def accept(self, line: Line, opened: Opened | None = None) -> bool:
        """Take in a connection without HTTP in the background; False while it is refused.

        `opened` says what a handshake would have; without it the laws about that have nothing to judge.
        """
        path, authorization = (opened.path, opened.authorization) if opened is not None else (None, None)
        if not self.is_reachable or not self._may_enter(path, authorization):
            self._entries.append(Refused(self.now_s(), path, authorization))
            return False
        self._spawn(self.serve(line, opened))
        return True

    async def drop(self, code: int = 1001) -> None:
        """Close the line."""
        if self._line is not None:
            await self._line.close(1011 if code == 1006 else code)  # 1006 cannot be sent

    async def go_offline(self) -> None:
        """Close the line and take no other in."""
        self.is_reachable = False
        await self.drop()

    def go_online(self) -> None:
        """Take connections in again."""
        self.is_reachable = True

    # --- asking the charger -------------------------------------------------------------------------------

    async def call(self, action: str, within_s: float = WITHIN_S, **payload: Any) -> Payload:
        """Make one call and return the result.

        Raises:
            CallError: the charger refused it.
            AssertionError: no answer in time, or the request itself is not lawful.
        """
        text = json.dumps(payload)
        faults = [breach.text for breach in breaches(action, exact(text))]
        assert not faults, faults
        async with self._turn:
            id_ = str(uuid.uuid4())
            future: asyncio.Future[Payload] = asyncio.get_running_loop().create_future()
            self._waiting[id_] = future
            await self.send_raw(json.dumps([2, id_, action, payload]))
            try:
                async with asyncio.timeout(within_s):
                    return await future
            except TimeoutError:
                raise AssertionError(f"{action} was not answered within {within_s:g} s") from None
            finally:
                del self._waiting[id_]

    async def order(self, action: str, within_s: float = WITHIN_S, **payload: Any) -> str:
        """`call`, returning the result's status."""
        return str((await self.call(action, within_s, **payload))["status"])

    async def configure(self, **keys: object) -> None:
        """ChangeConfiguration of each key, all of which must be accepted; booleans are written as OCPP does."""
        for key, value in keys.items():
            text = str(value).lower() if isinstance(value, bool) else str(value)
            assert await self.order("ChangeConfiguration", key=key, value=text) == "Accepted", key

    async def send_raw(self, text: str) -> None:
        """Send any text as one frame."""
        assert self._line is not None, "no charger is connected"
        line, number = self._line, self._lines
        await self._note(Frame(self.now_s(), number, is_from_charger=False, text=text))
        await line.send(text)

    # --- waiting for the charger --------------------------------------------------------------------------

    async def expect(self, action: str, within_s: float = WITHIN_S, **fields: Any) -> Call:
        """First matching call after the last one returned; waits for it, and for its answer to be out."""
        (found,) = await self.expect_all(Wanted(action, fields), within_s=within_s)
        return found

    async def expect_all(self, *kinds: Wanted, within_s: float = WITHIN_S) -> list[Call]:
        """One call for each kind, in any order; the next `expect` looks behind the last of them."""

        def found() -> list[Call] | None:
            calls = [call for call in self.sent() if call.number > self._cursor]
            taken: list[Call] = []
            for kind in kinds:
                match = next((call for call in calls if call not in taken and kind.fits(call)), None)
                if match is None or (match.answered_s is None and match.id not in self._withheld):
                    return None
                taken.append(match)
            return taken

        calls = await self.until(found, str(kinds), within_s)
        self._cursor = max(call.number for call in calls)
        return calls

    async def quiet(self, action: str, for_s: float, **fields: Any) -> None:
        """Let time pass; nothing of that kind may come meanwhile."""
        since = len(self._entries)
        await asyncio.sleep(for_s)
        kind = Wanted(action, fields)
        came = [str(call) for call in self.sent() if call.number >= since and kind.fits(call)]
        assert not came, came

    async def until(self, found: Callable[[], T | None], what: str, within_s: float = WITHIN_S) -> T:
        """Wait until `found` returns something; it is asked after every entry of the trace."""
        result = found()
        try:
            async with asyncio.timeout(within_s), self._changed:
                while not result:
                    await self._changed.wait()
                    result = found()
                return result
        except TimeoutError:
            latest = [str(call) for call in self.sent()[-6:]]
            raise AssertionError(f"waited {within_s:g} s in vain for {what}; latest: {latest}") from None

    async def online(self, within_s: float = WITHIN_S) -> None:
        """Wait until a line is open."""
        await self.until(lambda: self._line is not None, "a connection", within_s)

    def skip(self) -> None:
        """Let `expect` look only at what comes from now on."""
        self._cursor = len(self._entries)

    def mark(self, what: str, connector: int | None = None, detail: str = "") -> None:
        """Note something the wire does not show."""
        self._entries.append(Mark(self.now_s(), what, connector, detail))

    # --- judging ------------------------------------------------------------------------------------------

    @property
    def trace(self) -> Trace:
        """Everything so far."""
        return Trace(self._entries, self.now_s(), self._utc_offset_s)

    def violations(self) -> list[Violation]:
        """What the charger has done wrong so far."""
        return judge(self.trace, self.expectations, LAWS, READABLE_LAWS)

    def check(self) -> None:
        """Raise AssertionError when a law was broken."""
        found = self.violations()
        assert not found, "\n".join(str(violation) for violation in found)

    def sent(self, *actions: str) -> list[Call]:
        """The charger's calls so far."""
        calls = self._pairing.calls
        return [call for call in calls if call.is_from_charger and (not actions or call.action in actions)]

    def states(self, connector: int) -> list[str]:
        """Statuses of one connector so far."""
        return [call.payload["status"] for call in self.sent("StatusNotification") if call.connector == connector]

    def now_s(self) -> float:
        """The loop's time."""
        return asyncio.get_running_loop().time()

    def utc_s(self) -> float:
        """This central system's clock."""
        return self.now_s() + self._utc_offset_s

    # --- inside -------------------------------------------------------------------------------------------

    async def _note(self, entry: Entry) -> None:
        self._entries.append(entry)
        self._pairing.add(len(self._entries) - 1, entry)
        async with self._changed:
            self._changed.notify_all()

    def _take(self, line: Line, number: int, text: str) -> None:
        match read(text):
            case [2, str(id_), str(action), dict(payload)]:
                self._spawn(self._answer(line, number, id_, action, payload, self.answers.behaviour(action)))
            case [3, str(id_), dict(payload)] if id_ in self._waiting and not self._waiting[id_].done():
                self._waiting[id_].set_result(payload)
            case [4, str(id_), str(code), str(text_), *_] if id_ in self._waiting and not self._waiting[id_].done():
                self._waiting[id_].set_exception(CallError(code, text_))

    async def _answer(
        self, line: Line, number: int, id_: str, action: str, payload: Payload, behaviour: Behaviour
    ) -> None:
        if behaviour.is_silent or behaviour.is_answer_lost:
            self._withheld.add(id_)
        await asyncio.sleep(behaviour.delay_s)
        try:
            result = behaviour.payload or self.answers.to(action, id_, payload, to_stamp(self.utc_s()))
        except (KeyError, AttributeError):  # a request that breaks its schema; the laws say so
            behaviour = Behaviour(error="FormationViolation")
            result = {}
        frame = [3, id_, result] if behaviour.error is None else [4, id_, behaviour.error, "", {}]
        try:
            if not (behaviour.is_silent or behaviour.is_answer_lost):
                text = json.dumps(frame)
                await self._note(Frame(self.now_s(), number, is_from_charger=False, text=text))
                await line.send(text)
            if behaviour.is_answer_lost or behaviour.is_dropped:
                await line.close(1011)
        except LineClosedError:
            return

    def _spawn(self, work: Any) -> None:
        task: asyncio.Task[None] = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _take_in(self, socket: ServerConnection) -> None:
        assert socket.request is not None
        headers = socket.request.headers
        offered = tuple(part.strip() for part in headers.get("Sec-WebSocket-Protocol", "").split(","))
        tls = socket.transport.get_extra_info("ssl_object")
        shown = None if tls is None else tls.getpeercert()
        opened = Opened(
            0.0,
            0,
            socket.request.path,
            headers.get("Authorization"),
            offered,
            is_tls=tls is not None,
            client=int(shown["serialNumber"], 16) if shown else None,
        )
        await self.serve(SocketLine(socket), opened)

    def _check_request(self, _: ServerConnection, request: Request) -> Response | None:
        authorization = request.headers.get("Authorization")
        may_enter = self._may_enter(request.path, authorization)
        if self.is_reachable and may_enter:
            return None
        self._entries.append(Refused(self.now_s(), request.path, authorization))
        return _refusal(http.HTTPStatus.SERVICE_UNAVAILABLE if may_enter else http.HTTPStatus.UNAUTHORIZED)

    def _may_enter(self, path: str | None, authorization: str | None) -> bool:
        identity = unquote((path or "").rpartition("/")[2])
        password = self.passwords.get(identity)
        return password is None or authorization == basic(identity, password)


def basic(identity: str, password: bytes) -> str:
    """The header of HTTP Basic."""
    return "Basic " + base64.b64encode(identity.encode() + b":" + password).decode()


def _refusal(status: http.HTTPStatus) -> Response:
    return Response(status.value, status.phrase, Headers())
