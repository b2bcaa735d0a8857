"""The door to the `websockets` library: one client connection (spec ecosystem 1.3, rule 20)."""

import asyncio
import base64
import re
import ssl
from urllib.parse import quote

import structlog
from websockets.asyncio.client import connect
from websockets.asyncio.connection import Connection as Socket
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI
from websockets.typing import Subprotocol

from evcharge_agent.ocpp16.envelope import MAX_FRAME_LENGTH
from evcharge_agent.ocpp16.errors import ConnectFailedError, CredentialsRefusedError, LinkClosedError
from evcharge_agent.ocpp16.keys import Configuration, ConnectionSettings
from evcharge_agent.ocpp16.link import Connection

SUBPROTOCOL = Subprotocol("ocpp1.6")
OPEN_WITHIN_S = 15.0
CLOSE_WITHIN_S = 5.0
PONG_WITHIN_S = 20.0

_HTTP_UNAUTHORIZED = 401
_HEX_KEY = re.compile(r"(?:[0-9A-Fa-f]{2}){16,20}", re.ASCII)
_LOG = structlog.get_logger(__name__)


def endpoint(url: str, identity: str) -> str:
    """Append the percent-encoded identity (OCPP-J 1.6, 3.1.1)."""
    return f"{url.rstrip('/')}/{quote(identity, safe='')}"


def key_bytes(authorization_key: str) -> bytes:
    """Decode an even number of 32 to 40 hex digits; anything else is used literally.

    The white paper wants hex, central systems send both (spec ocpp16 5, AuthorizationKey).
    """
    if _HEX_KEY.fullmatch(authorization_key):
        return bytes.fromhex(authorization_key)
    return authorization_key.encode()


def basic_authorization(identity: str, authorization_key: str) -> str:
    """Write the value of the Authorization header (RFC 7617)."""
    return "Basic " + base64.b64encode(identity.encode() + b":" + key_bytes(authorization_key)).decode()


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


class WebSocketConnector:
    """`Connector` to the configured central system.

    A changed AuthorizationKey that is refused makes way for the last one that worked (rule 20).
    """

    def __init__(self, configuration: Configuration, identity: str) -> None:
        self._configuration = configuration
        self._identity = identity
        self._good_key: str | None = None
        self._refused_key: str | None = None

    async def connect(self) -> Connection:
        """Open a connection that speaks OCPP 1.6.

        Raises:
            ConnectFailedError: with the reason in words, never with a credential.
        """
        settings = self._configuration.connection
        if settings.url is None:
            raise ConnectFailedError("no central system is configured")
        key = self._key(settings)
        try:
            socket = await self._open(settings, settings.url, key)
        except CredentialsRefusedError:
            self._refused_key = key
            raise
        if socket.subprotocol != SUBPROTOCOL:
            await socket.close(1002, "ocpp1.6 wanted")
            raise ConnectFailedError("the central system does not speak ocpp1.6")
        await self._keep(settings, key)
        return WebSocketConnection(socket)

    def _key(self, settings: ConnectionSettings) -> str | None:
        if settings.security_profile == 0 or settings.authorization_key is None:
            return None
        key = settings.authorization_key.get_secret_value()
        return self._good_key if key == self._refused_key and self._good_key is not None else key

    async def _keep(self, settings: ConnectionSettings, key: str | None) -> None:
        """Remember the key that worked; when it is not the configured one, configure it again."""
        self._good_key, self._refused_key = key, None
        configured = settings.authorization_key
        if key is not None and configured is not None and configured.get_secret_value() != key:
            _LOG.warning("ocpp_authorization_key_reverted")
            await self._configuration.change("AuthorizationKey", key)

    async def _open(self, settings: ConnectionSettings, url: str, key: str | None) -> Socket:
        headers: dict[str, str] = {}
        if key is not None:
            headers = {"Authorization": basic_authorization(self._identity, key)}
        try:
            return await connect(
                endpoint(url, self._identity),
                subprotocols=[SUBPROTOCOL],
                additional_headers=headers,
                ssl=await _tls(settings, url),
                # Deflate costs memory for each connection and many central systems mishandle it.
                compression=None,
                # The environment's proxy variables must not redirect the charger.
                proxy=None,
                ping_interval=None,
                open_timeout=OPEN_WITHIN_S,
                close_timeout=CLOSE_WITHIN_S,
                max_size=MAX_FRAME_LENGTH,
            )
        except InvalidStatus as refusal:
            status = refusal.response.status_code
            if status == _HTTP_UNAUTHORIZED:
                raise CredentialsRefusedError("the central system refused the credentials (401)") from None
            raise ConnectFailedError(f"the central system answered {status}") from None
        except (InvalidHandshake, InvalidURI) as error:
            raise ConnectFailedError(f"no WebSocket: {error}") from None
        except TimeoutError:
            raise ConnectFailedError("the central system does not answer") from None
        except (OSError, ValueError) as error:  # UnicodeError: a host name no resolver can be asked for
            raise ConnectFailedError(str(error)) from None


async def _tls(settings: ConnectionSettings, url: str) -> ssl.SSLContext | None:
    if not url.startswith("wss://"):
        return None
    # Reading the system's roots takes a noticeable time on a small board.
    context = await asyncio.to_thread(ssl.create_default_context, cafile=settings.ca_file)
    context.check_hostname = settings.verify_host
    return context


def _words(closed: ConnectionClosed) -> str:
    """The close code, and whether anybody said one."""
    return f"closed with {closed.rcvd.code}" if closed.rcvd is not None else "the connection broke"
