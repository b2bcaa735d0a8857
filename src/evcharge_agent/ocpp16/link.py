"""Keeping one connection, for ever.

The transport is behind two small protocols, so that everything above runs over real WebSockets and over an
in-memory pipe alike. The reconnect loop is our own: the library's decides that some errors are final.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Protocol

import structlog

from evcharge_agent.ocpp16.backoff import Backoff
from evcharge_agent.ocpp16.errors import CallRefusedError, CallTimedOutError, ConnectFailedError, LinkClosedError
from evcharge_agent.ocpp16.waiting import Signal

TIMEOUTS_BEFORE_RECONNECT = 3
"""Calls in a row without an answer after which the connection is taken for dead (rule 20)."""
CLOSE_WITHIN_S = 5.0

_LOG = structlog.get_logger(__name__)


class Connection(Protocol):
    """An open connection that carries text frames."""

    async def recv(self) -> str | bytes:
        """Return the next frame; raises `LinkClosedError` at the end."""
        ...

    async def send(self, message: str) -> None:
        """Send one frame; raises `LinkClosedError` when there is nobody left."""
        ...

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close; closing twice is no error."""
        ...

    def set_ping_interval(self, interval_s: float) -> None:
        """Ping this often from now on; 0 is never."""
        ...


class Connector(Protocol):
    """Makes connections."""

    async def connect(self) -> Connection:
        """Open one; raises `ConnectFailedError` that says why not."""
        ...


class Session(Protocol):
    """What runs on one connection."""

    async def run(self) -> str:
        """Serve until the connection ends and say why it did."""
        ...

    def end(self, reason: str) -> None:
        """End it soon."""
        ...

    async def request(self, payload: object, message_id: str | None = None) -> Any:
        """Make one call."""
        ...


class Link:
    """The reconnect loop, and the way out for calls.

    `random` gives numbers in [0, 1); `on_change` is called when the connection came or went.
    """

    def __init__(
        self,
        connector: Connector,
        open_session: Callable[[Connection], Session],
        *,
        ping_interval_s: Callable[[], float],
        reconnect_max_s: Callable[[], float],
        random: Callable[[], float],
        on_change: Callable[[], None],
    ) -> None:
        self._connector = connector
        self._open_session = open_session
        self._ping_interval_s = ping_interval_s
        self._reconnect_max_s = reconnect_max_s
        self._random = random
        self._on_change = on_change
        self._backoff = Backoff()
        self._timeouts = 0
        self._session: Session | None = None
        self._connection: Connection | None = None
        self.last_answer_s: float | None = None
        """Loop time the central system last answered a call of ours."""
        self.last_error: str | None = None
        """Why there is no connection, in words; None while there is one."""
        self.changed = Signal()
        """Notified when the connection came or went."""

    @property
    def is_connected(self) -> bool:
        """There is a connection."""
        return self._session is not None

    async def run(self) -> None:
        """Connect, serve, wait, connect again; ends only by cancellation."""
        while True:
            connected_s = await self._connect_and_serve()
            backoff = self._backoff.ended(connected_s)
            self._backoff = backoff.waited()
            await asyncio.sleep(backoff.wait_s(self._reconnect_max_s(), self._random()))

    def reconnect(self, reason: str) -> None:
        """End the connection that is there; a new one is made after the usual wait."""
        if self._session is not None:
            self._session.end(reason)

    def settings_changed(self) -> None:
        """Put a new WebSocketPingInterval to work on the live connection."""
        if self._connection is not None:
            self._connection.set_ping_interval(self._ping_interval_s())

    async def call(self, payload: object, message_id: str | None = None) -> Any:
        """Make one call; raises a `CallFailedError` of the kind that happened."""
        try:
            result = await self._request(payload, message_id)
        except LinkClosedError:
            # Callers try again; without a pause they would not let the news of the outage through.
            await asyncio.sleep(0)
            raise
        except CallRefusedError as error:
            self._note_answer()
            _LOG.warning("ocpp_call_refused", action=type(payload).__name__, code=error.code)
            raise
        self._note_answer()
        return result

    async def _request(self, payload: object, message_id: str | None) -> Any:
        session = self._session
        if session is None:
            raise LinkClosedError("not connected")
        try:
            return await session.request(payload, message_id)
        except CallTimedOutError as error:
            self._timeouts += 1
            _LOG.warning("ocpp_call_timed_out", reason=str(error), in_a_row=self._timeouts)
            if self._timeouts >= TIMEOUTS_BEFORE_RECONNECT:
                session.end(f"{self._timeouts} calls in a row were not answered")
            raise

    def _note_answer(self) -> None:
        self._timeouts = 0
        self.last_answer_s = asyncio.get_running_loop().time()

    async def _connect_and_serve(self) -> float | None:
        """Hold one connection from beginning to end; return how long it lived, None if it never did."""
        try:
            connection = await self._connector.connect()
        except ConnectFailedError as error:
            self._note_outage("ocpp_connect_failed", str(error))
            return None
        except Exception as error:  # noqa: BLE001 - a mistake of ours must not keep the charger offline
            _LOG.exception("ocpp_connector_failed")
            self._note_outage("ocpp_connect_failed", type(error).__name__)
            return None
        began_s = asyncio.get_running_loop().time()
        session = self._open_session(connection)
        self._timeouts = 0
        self._session, self._connection, self.last_error = session, connection, None
        connection.set_ping_interval(self._ping_interval_s())
        _LOG.info("ocpp_connected")
        self._tell_change()
        reason = "stopped"
        try:
            reason = await session.run()
        except Exception as error:  # noqa: BLE001 - a mistake of ours must not keep the charger offline
            _LOG.exception("ocpp_session_failed")
            reason = type(error).__name__
        finally:
            self._session = self._connection = None
            self._note_outage("ocpp_disconnected", reason)
            self._tell_change()
            await _close(connection)
        return asyncio.get_running_loop().time() - began_s

    def _tell_change(self) -> None:
        self.changed.notify()
        self._on_change()

    def _note_outage(self, event: str, reason: str) -> None:
        self.last_error = reason
        _LOG.warning(event, reason=reason)


async def _close(connection: Connection) -> None:
    """Close politely, but do not wait for a peer that is gone."""
    try:
        async with asyncio.timeout(CLOSE_WITHIN_S):
            await connection.close()
    except TimeoutError:
        _LOG.debug("ocpp_close_timed_out")
