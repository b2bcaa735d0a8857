"""The door to the `websockets` library: one client connection (spec ecosystem 1.3, rule 20)."""

import asyncio
from urllib.parse import quote

import structlog
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.connection import Connection as Socket
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException
from websockets.typing import Subprotocol

from evcharge_agent.ocpp16.envelope import MAX_FRAME_LENGTH
from evcharge_agent.ocpp16.errors import ConnectFailedError, CredentialsRefusedError, LinkClosedError
from evcharge_agent.ocpp16.keys import Configuration
from evcharge_agent.ocpp16.link import Connection
from evcharge_agent.ocpp16.security.credentials import Attempt, Credentials, basic_authorization
from evcharge_agent.ocpp16.security.errors import InsecureError
from evcharge_agent.ocpp16.security.tls import CheckedContext, meaning_of
from evcharge_agent.ocpp16.security.vault import Vault
from evcharge_agent.runtime.clock import Clock

SUBPROTOCOL = Subprotocol("ocpp1.6")
OPEN_WITHIN_S = 15.0
CLOSE_WITHIN_S = 5.0
PONG_WITHIN_S = 20.0

_HTTP_UNAUTHORIZED = 401
_LOG = structlog.get_logger(__name__)


def endpoint(url: str, identity: str) -> str:
    """Append the percent-encoded identity (OCPP-J 1.6, 3.1.1)."""
    return f"{url.rstrip('/')}/{quote(identity, safe='')}"


class WebSocketConnection:
    """`Connection` over one WebSocket. Pings are our own, so that the interval can change live."""

    def __init__(self, socket: Socket, pong_within_s: float = PONG_WITHIN_S) -> None:
        self._socket = socket
        self._pong_within_s = pong_within_s
        self._interval_s = 0.0
        self._interval_changed = asyncio.Event()
        self._keep_alive = asyncio.create_task(self._ping())

    async def recv(self) -> str | bytes:
        """Next frame."""
        try:
            return await self._socket.recv()
        except ConnectionClosed as closed:
            raise LinkClosedError(_words(closed)) from None

    async def send(self, message: str) -> None:
        """Send one frame."""
        try:
            await self._socket.send(message)
        except ConnectionClosed as closed:
            raise LinkClosedError(_words(closed)) from None

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close with a closing handshake, bounded in time."""
        self._keep_alive.cancel()
        await self._socket.close(code, reason)

    def set_ping_interval(self, interval_s: float) -> None:
        """Ping this often from now on; 0 is never."""
        if interval_s != self._interval_s:
            self._interval_s = interval_s
            self._interval_changed.set()

    async def _ping(self) -> None:
        while True:
            try:
                async with asyncio.timeout(self._interval_s or None):
                    await self._interval_changed.wait()
                self._interval_changed.clear()
            except TimeoutError:
                if not await self._is_alive():
                    return

    async def _is_alive(self) -> bool:
        """Ping and wait for the pong; a silent peer is cut off, which ends `recv`."""
        try:
            async with asyncio.timeout(self._pong_within_s):
                await (await self._socket.ping())
        except TimeoutError:
            _LOG.warning("ocpp_pong_missing")
            self._socket.transport.abort()  # it would not answer a closing handshake either
        except ConnectionClosed:
            pass
        else:
            return True
        return False


class WatchedConnection(ClientConnection):
    """Remembers why the line went: in TLS 1.3 a server refuses our certificate after the handshake."""

    def connection_lost(self, exc: Exception | None) -> None:
        """Note it where the attempt looks."""
        context = self.transport.get_extra_info("sslcontext")
        if isinstance(context, CheckedContext):
            context.seen.lost = exc
        super().connection_lost(exc)


class StraightConnect(connect):
    """Connects to where it was told, and nowhere else: a redirect is a refusal (spec security 3.9)."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        """Follow none."""
        return exc


class WebSocketConnector:
    """`Connector` to the configured central system. What it is shown and believed is `Credentials`' to choose."""

    def __init__(self, configuration: Configuration, identity: str, vault: Vault | None = None) -> None:
        self._configuration = configuration
        self._identity = identity
        self._credentials = Credentials(configuration, vault or Vault.without_memory(Clock()), identity)

    async def connect(self) -> Connection:
        """Open a connection that speaks OCPP 1.6.

        Raises:
            ConnectFailedError: with the reason in words, never with a credential.
        """
        try:
            attempt = await self._credentials.next()
        except ConnectFailedError:
            self._credentials.skipped()
            raise
        try:
            socket = await self._open(attempt)
        except CredentialsRefusedError as refusal:
            self._credentials.failed(None, str(refusal), is_key_refused=True)
            raise
        except InsecureError as error:
            self._credentials.failed(error.meaning, str(error))
            raise
        except ConnectFailedError:
            self._credentials.skipped()
            raise
        if socket.subprotocol != SUBPROTOCOL:
            self._credentials.skipped()
            await socket.close(1002, "ocpp1.6 wanted")
            raise ConnectFailedError("the central system does not speak ocpp1.6")
        if self._credentials.is_outdated():
            await socket.close(1000, "settings changed")
            raise ConnectFailedError("the settings were changed meanwhile")
        try:
            await self._credentials.succeeded(attempt)
        except BaseException:
            # Nobody else knows of it: the central system would see one charger more with every attempt.
            socket.transport.abort()
            raise
        return WebSocketConnection(socket)

    async def _open(self, attempt: Attempt) -> Socket:
        headers: dict[str, str] = {}
        if attempt.key is not None:
            headers = {"Authorization": basic_authorization(self._identity, attempt.key)}
        try:
            return await StraightConnect(
                endpoint(attempt.url, self._identity),
                subprotocols=[SUBPROTOCOL],
                additional_headers=headers,
                ssl=attempt.context,
                # Deflate costs memory for each connection and many central systems mishandle it.
                compression=None,
                # The environment's proxy variables must not redirect the charger.
                proxy=self._configuration.connection.proxy,
                ping_interval=None,
                open_timeout=OPEN_WITHIN_S,
                close_timeout=CLOSE_WITHIN_S,
                max_size=MAX_FRAME_LENGTH,
                create_connection=WatchedConnection,
            )
        except InvalidStatus as refusal:
            status = refusal.response.status_code
            if status == _HTTP_UNAUTHORIZED:
                raise CredentialsRefusedError("the central system refused the credentials (401)") from None
            raise ConnectFailedError(f"the central system answered {status}") from None
        except TimeoutError:
            raise ConnectFailedError("the central system does not answer") from None
        except (WebSocketException, OSError, ValueError) as error:
            # ValueError: UnicodeError, a host name no resolver can be asked for.
            raise _failure(error, None if attempt.context is None else attempt.context.seen.lost) from None


def _failure(error: Exception, lost: Exception | None) -> ConnectFailedError:
    """Name what happened; `lost` is what ended the line under a handshake of the WebSocket."""
    for cause in (error, lost):
        meaning = None if cause is None else meaning_of(cause)
        if meaning is not None:
            return InsecureError(_of_tls(cause), meaning)
    is_no_websocket = isinstance(error, WebSocketException)
    words = str(error) or "the connection broke"
    return ConnectFailedError(f"no WebSocket: {words}" if is_no_websocket else words)


def _of_tls(error: BaseException | None) -> str:
    """Words without the library's file names and numbers."""
    words = getattr(error, "verify_message", "") or getattr(error, "reason", "") or str(error)
    return f"no secure connection: {words}"


def _words(closed: ConnectionClosed) -> str:
    """The close code, and whether anybody said one."""
    return f"closed with {closed.rcvd.code}" if closed.rcvd is not None else "the connection broke"
