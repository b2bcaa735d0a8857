"""A small central system: embedded in the demo, and the opposite of our side in tests.

It accepts, authorises, hands out transaction ids and remembers everything it is told. A `Script` makes it
behave as real ones do at their worst: late, silent, refusing, cutting the line in the middle. Commands go
to the charger that connected last.
"""

import asyncio
import base64
import http
import json
import ssl
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar, cast
from urllib.parse import unquote

import ocpp.messages
from ocpp import routing
from ocpp.v16 import ChargePoint as LibraryChargePoint
from ocpp.v16 import call_result
from ocpp.v16.enums import (
    Action,
    GenericStatus,
    RegistrationStatus,
)
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.http11 import Request, Response

from evcharge_agent.demo.central_commands import Commands
from evcharge_agent.demo.central_files import FileNotifications
from evcharge_agent.demo.central_script import Received, Script, TransactionRecord
from evcharge_agent.demo.frames import Direction, FrameLog
from evcharge_agent.demo.pipe import PipeEnd
from evcharge_agent.ocpp16.errors import ConnectFailedError, LinkClosedError
from evcharge_agent.ocpp16.link import Connection
from evcharge_agent.ocpp16.stamps import to_stamp
from evcharge_agent.ocpp16.waiting import Signal
from evcharge_agent.ocpp16.websocket import SUBPROTOCOL, WebSocketConnection

ocpp.messages.ASYNC_VALIDATION = False

MAX_FRAME_BYTES = 1 << 20
F = TypeVar("F", bound=Callable[..., Any])


def _on(action: Action) -> Callable[[F], F]:
    """The library's decorator, typed."""
    return cast("Callable[[F], F]", routing.on(action))


class Session(FileNotifications, LibraryChargePoint):
    """One connection of one charger."""

    def __init__(self, central: "CentralSystem", identity: str, connection: Connection) -> None:
        super().__init__(identity, connection)  # type: ignore[no-untyped-call]
        self._central = central
        self._line = connection
        self._is_muted = False

    async def run(self) -> None:
        """Serve until the line is closed."""
        try:
            while True:
                await self.route_message(await self._line.recv())
        except LinkClosedError:
            return

    async def route_message(self, raw_msg: Any) -> None:
        """Take in a frame, in the way the script wants."""
        self._central.log(Direction.FROM_CHARGER, raw_msg)
        frame = json.loads(raw_msg)
        is_call = frame[0] == ocpp.messages.MessageType.Call
        behaviour = self._central.script.next_behaviour(frame[2]) if is_call else None
        if behaviour is None:
            await super().route_message(raw_msg)  # type: ignore[no-untyped-call]
            return
        await asyncio.sleep(behaviour.delay_s)
        if behaviour.refusal is not None:
            await self._send(json.dumps([4, frame[1], behaviour.refusal, "", {}]))
        elif not behaviour.is_silent:
            self._is_muted = behaviour.is_answer_lost
            await super().route_message(raw_msg)  # type: ignore[no-untyped-call]
            self._is_muted = False
        if behaviour.is_cut:
            await self.close(1006)

    async def command(self, payload: object) -> Any:
        """Make one call to the charger; raises the library's error for a CALLERROR."""
        return await self.call(payload, suppress=False)  # type: ignore[no-untyped-call]

    async def send_raw(self, text: str) -> None:
        """Send any text as one frame."""
        self._central.log(Direction.FROM_CENTRAL, text)
        await self._line.send(text)

    async def close(self, code: int = 1001) -> None:
        """Close the line."""
        await self._line.close(1011 if code == 1006 else code)  # noqa: PLR2004 - 1006 cannot be sent

    async def _send(self, message: str) -> None:
        if not self._is_muted:
            await self.send_raw(message)

    @_on(Action.boot_notification)
    def on_boot_notification(self, call_unique_id: str, **payload: Any) -> call_result.BootNotification:
        """Register the charger."""
        central = self._central
        central.take(Action.boot_notification, call_unique_id, payload)
        answers = central.script.boot_answers
        status, interval_s = answers.popleft() if answers else ("Accepted", central.script.heartbeat_interval_s)
        return call_result.BootNotification(
            current_time=central.stamp(), interval=interval_s, status=RegistrationStatus(status)
        )

    @_on(Action.heartbeat)
    def on_heartbeat(self, call_unique_id: str) -> call_result.Heartbeat:
        """Tell the time."""
        self._central.take(Action.heartbeat, call_unique_id, {})
        return call_result.Heartbeat(current_time=self._central.stamp())

    @_on(Action.status_notification)
    def on_status_notification(self, call_unique_id: str, **payload: Any) -> call_result.StatusNotification:
        """Remember the state of a connector."""
        self._central.take(Action.status_notification, call_unique_id, payload)
        return call_result.StatusNotification()

    @_on(Action.authorize)
    def on_authorize(self, call_unique_id: str, id_tag: str) -> call_result.Authorize:
        """Judge an id tag."""
        self._central.take(Action.authorize, call_unique_id, {"id_tag": id_tag})
        return call_result.Authorize(id_tag_info=cast("Any", self._central.script.verdict(id_tag)))

    @_on(Action.start_transaction)
    def on_start_transaction(self, call_unique_id: str, **payload: Any) -> call_result.StartTransaction:
        """Open a transaction; a message id seen before gets the same answer."""
        record = self._central.start(call_unique_id, payload)
        info = self._central.script.verdict(payload["id_tag"])
        return call_result.StartTransaction(transaction_id=record.transaction_id, id_tag_info=cast("Any", info))

    @_on(Action.stop_transaction)
    def on_stop_transaction(self, call_unique_id: str, **payload: Any) -> call_result.StopTransaction:
        """Close a transaction."""
        self._central.stop_transaction(call_unique_id, payload)
        id_tag = payload.get("id_tag")
        info = None if id_tag is None else self._central.script.verdict(id_tag)
        return call_result.StopTransaction(id_tag_info=cast("Any", info))

    @_on(Action.security_event_notification)
    def on_security_event(self, call_unique_id: str, **payload: Any) -> call_result.SecurityEventNotification:
        """Remember a security event."""
        self._central.take(Action.security_event_notification, call_unique_id, payload)
        return call_result.SecurityEventNotification()

    @_on(Action.sign_certificate)
    def on_sign_certificate(self, call_unique_id: str, csr: str) -> call_result.SignCertificate:
        """Remember a request; whoever signs it sends CertificateSigned."""
        self._central.take(Action.sign_certificate, call_unique_id, {"csr": csr})
        return call_result.SignCertificate(status=GenericStatus.accepted)

    @_on(Action.meter_values)
    def on_meter_values(self, call_unique_id: str, **payload: Any) -> call_result.MeterValues:
        """Remember samples."""
        self._central.add_meter_values(call_unique_id, payload)
        return call_result.MeterValues()


class CentralSystem(Commands):
    """Takes chargers in by WebSocket (`listen`) or by any connection (`serve_connection`)."""

    def __init__(self, script: Script | None = None, now_utc_s: Callable[[], float] = time.time) -> None:
        self.script = script or Script()
        self.frames = FrameLog()
        self.received: list[Received] = []
        self.transactions: dict[int, TransactionRecord] = {}
        self.changed = Signal()
        """Notified with every frame and every connection."""
        self.is_reachable = True
        """False: connections are refused."""
        self.passwords: dict[str, bytes] = {}
        """By identity; one that is not here needs no password."""
        self.connections = 0
        """Connections ever taken in."""
        self.session: Session | None = None
        """The charger that connected last, while it is connected."""
        self._now_utc_s = now_utc_s
        self._started: dict[str, TransactionRecord] = {}
        self._server: Server | None = None

    # --- being reached ------------------------------------------------------------------------------------

    async def listen(self, host: str = "127.0.0.1", port: int = 0, tls: ssl.SSLContext | None = None) -> str:
        """Listen for WebSockets; port 0 is any free one. Returns the url, without the identity."""
        self._server = await serve(
            self._take_in,
            host,
            port,
            ssl=tls,
            subprotocols=[SUBPROTOCOL],
            compression=None,
            process_request=self._check_request,
            max_size=MAX_FRAME_BYTES,
        )
        return f"{'ws' if tls is None else 'wss'}://{host}:{self._server.sockets[0].getsockname()[1]}/ocpp"

    async def stop(self) -> None:
        """Stop listening and close all lines."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
            self._server = None

    async def serve_connection(self, connection: Connection, identity: str = "charger") -> None:
        """Serve one charger until its line is closed."""
        session = Session(self, identity, connection)
        self.session = session
        self.connections += 1
        self.changed.notify()
        try:
            await session.run()
        finally:
            if self.session is session:
                self.session = None
            self.changed.notify()
            await connection.close()

    async def drop(self, code: int = 1001) -> None:
        """Close the line of the charger that is connected."""
        if self.session is not None:
            await self.session.close(code)

    async def _take_in(self, socket: ServerConnection) -> None:
        path = socket.request.path if socket.request is not None else ""
        await self.serve_connection(WebSocketConnection(socket), unquote(path.rpartition("/")[2]))

    def _check_request(self, _: ServerConnection, request: Request) -> Response | None:
        if not self.is_reachable:
            return _refusal(http.HTTPStatus.SERVICE_UNAVAILABLE)
        identity = unquote(request.path.rpartition("/")[2])
        password = self.passwords.get(identity)
        if password is None:
            return None
        wanted = "Basic " + base64.b64encode(identity.encode() + b":" + password).decode()
        return None if request.headers.get("Authorization") == wanted else _refusal(http.HTTPStatus.UNAUTHORIZED)

    # --- commands -----------------------------------------------------------------------------------------

    async def command(self, payload: object) -> Any:
        """Make any call to the charger; returns the result's payload class."""
        return await self._connected().command(payload)

    async def until(self, is_true: Callable[[], bool], within_s: float = 30.0) -> None:
        """Wait until something has been received; raises TimeoutError."""
        async with asyncio.timeout(within_s):
            await self.changed.wait_until(is_true)

    def _connected(self) -> Session:
        if self.session is None:
            raise ConnectFailedError("no charger is connected")
        return self.session

    # --- memory -------------------------------------------------------------------------------------------

    def of(self, action: str) -> list[Received]:
        """Everything received of one action."""
        return [received for received in self.received if received.action == action]

    def states(self, connector: int) -> list[str]:
        """The states a connector went through, as told."""
        statuses = self.of(Action.status_notification)
        return [one.payload["status"] for one in statuses if one.payload["connector_id"] == connector]

    def forget(self) -> None:
        """Lose all memory, as a restarted central system may."""
        self.transactions.clear()
        self._started.clear()

    def stamp(self, ahead_s: float = 0.0) -> str:
        """The time as this central system has it, or that in `ahead_s`."""
        return to_stamp(self._now_utc_s() + ahead_s)

    def log(self, direction: Direction, text: str) -> None:
        """Keep a frame."""
        self.frames.add(direction, text, self._now_utc_s())
        self.changed.notify()

    def take(self, action: str, message_id: str, payload: Mapping[str, Any]) -> None:
        """Keep a request."""
        self.received.append(Received(str(action), message_id, payload, self._now_utc_s()))

    def start(self, message_id: str, payload: Mapping[str, Any]) -> TransactionRecord:
        """Open a transaction, or find the one this message opened."""
        self.take(Action.start_transaction, message_id, payload)
        if message_id not in self._started:
            record = TransactionRecord(
                transaction_id=self.script.next_transaction_id,
                connector=payload["connector_id"],
                id_tag=payload["id_tag"],
                meter_start_wh=payload["meter_start"],
                started=payload["timestamp"],
                verdict=self.script.verdict(payload["id_tag"])["status"],
            )
            self.script.next_transaction_id += 1
            self._started[message_id] = self.transactions[record.transaction_id] = record
        return self._started[message_id]

    def stop_transaction(self, message_id: str, payload: Mapping[str, Any]) -> None:
        """Close a transaction; one nobody opened is only kept as received."""
        self.take(Action.stop_transaction, message_id, payload)
        record = self.transactions.get(payload["transaction_id"])
        if record is not None:
            record.meter_stop_wh = payload["meter_stop"]
            record.stopped = payload["timestamp"]
            record.reason = payload.get("reason")
            record.stop_id_tag = payload.get("id_tag")

    def add_meter_values(self, message_id: str, payload: Mapping[str, Any]) -> None:
        """Keep samples with their transaction."""
        self.take(Action.meter_values, message_id, payload)
        record = self.transactions.get(payload.get("transaction_id", -1))
        if record is not None:
            record.meter_values.extend(payload["meter_value"])


class MemoryConnector:
    """Reaches a central system in the same process without sockets; satisfies `ocpp16.link.Connector`."""

    def __init__(self, central: CentralSystem, identity: str = "charger") -> None:
        self._central = central
        self._identity = identity
        self._served: set[asyncio.Task[None]] = set()
        self.line: PipeEnd | None = None
        """The charger's end of the latest connection."""

    async def connect(self) -> Connection:
        """Open a pipe; raises `ConnectFailedError` while the central system is not reachable."""
        if not self._central.is_reachable:
            raise ConnectFailedError("the central system is not reachable")
        self.line, far_end = PipeEnd.pair()
        task = asyncio.create_task(self._central.serve_connection(far_end, self._identity))
        self._served.add(task)
        task.add_done_callback(self._served.discard)
        return self.line


def _refusal(status: http.HTTPStatus) -> Response:
    return Response(status.value, status.phrase, Headers())
