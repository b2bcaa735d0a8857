"""Connections for transfers: made to an address that was judged after the name was resolved. Blocking.

The address that is judged is the address that is connected to: a name that resolves to something else a moment later
changes nothing (DNS rebinding). Certificates of TLS servers are checked against the name in the URL.
"""

import contextlib
import os
import queue
import socket
import ssl
import threading
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

from evcharge_agent.ocpp16.transfer.urls import HostPolicy, Scheme, Url, UrlRefusedError, parse_url
from evcharge_hal.contract.errors import EvchargeError

MAX_ADDRESSES = 4
"""Addresses of one name that are tried."""
MAX_RESOLVERS = 4
_LOOK_EVERY_S = 0.2
"""While the resolver is asked: whether somebody has cancelled meanwhile."""


class TransferError(EvchargeError):
    """A transfer failed; the text is fit for a log."""

    def __init__(self, text: str, *, is_final: bool = False, is_denied: bool = False) -> None:
        super().__init__(text)
        self.is_final = is_final
        """Trying again cannot help."""
        self.is_denied = is_denied
        """The server does not accept the credentials."""


class TransferCancelledError(EvchargeError):
    """Somebody ended the transfer."""


class Cancellation:
    """Ends a transfer from another thread, also one that waits for its peer."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._handles: list[socket.socket] = []
        self.is_cancelled = False

    def cancel(self) -> None:
        """End the transfer: its connections break at once."""
        with self._lock:
            self.is_cancelled = True
            for handle in self._handles:
                with contextlib.suppress(OSError):
                    handle.shutdown(socket.SHUT_RDWR)

    def check(self) -> None:
        """Raise `TransferCancelledError` once cancelled."""
        if self.is_cancelled:
            raise TransferCancelledError("cancelled")

    def watch(self, connection: socket.socket) -> None:
        """Break this connection, too. A copy of the handle: TLS takes the socket itself over."""
        handle = socket.socket(fileno=os.dup(connection.fileno()))
        with self._lock:
            if not self.is_cancelled:
                self._handles.append(handle)
                return
        with handle, contextlib.suppress(OSError):
            handle.shutdown(socket.SHUT_RDWR)

    def release(self) -> None:
        """Let go of the connections."""
        with self._lock:
            for handle in self._handles:
                handle.close()
            self._handles.clear()


def resolve(host: str, port: int) -> Sequence[str]:
    """Ask the system's resolver for the addresses of a name.

    Raises:
        OSError: there is none.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


@dataclass(frozen=True, slots=True)
class Network:
    """How connections are made and to whom."""

    policy: HostPolicy
    protocols: Collection[Scheme]
    make_tls: Callable[[], ssl.SSLContext] = ssl.create_default_context
    resolve: Callable[[str, int], Sequence[str]] = resolve
    resolve_timeout_s: float = 30.0
    connect_timeout_s: float = 20.0
    idle_timeout_s: float = 60.0
    """Longest silence of a peer."""
    user_agent: str = field(default="evcharge-agent")
    resolvers: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(MAX_RESOLVERS), repr=False)
    """Threads that may wait for the system's resolver."""

    def parse(self, location: str) -> Url:
        """Read an address and check its protocol.

        Raises:
            TransferError: it is not in the grammar, or its protocol is not allowed; final.
        """
        try:
            url = parse_url(location)
        except UrlRefusedError as error:
            raise TransferError(f"the address is refused: {error}", is_final=True) from None
        if url.scheme not in self.protocols:
            raise TransferError(f"{url.scheme.value} is not allowed (files.protocols)", is_final=True)
        return url

    def dial(self, url: Url, cancellation: Cancellation) -> socket.socket:
        """Connect to the host of `url`, without TLS yet.

        Raises:
            TransferError: it has no address, none that is allowed (final), or none that answers.
        """
        found = self._addresses(url, cancellation)
        allowed = [address for address in found if self.policy.allows(url.host, address)]
        if not allowed:
            raise TransferError(f"{url.host} is not allowed (files.allow_hosts)", is_final=True)
        error: OSError | None = None
        for address in allowed[:MAX_ADDRESSES]:
            try:
                return self.connect(address, url.port, cancellation)
            except OSError as failed:
                error = failed
                cancellation.check()
        raise TransferError(f"{url} cannot be reached: {error}")

    def connect(self, address: str, port: int, cancellation: Cancellation) -> socket.socket:
        """Connect to an address that was judged before; raises OSError, or `TransferCancelledError` at once."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        connection = socket.socket(family, socket.SOCK_STREAM)
        try:
            connection.settimeout(self.connect_timeout_s)
            cancellation.watch(connection)  # before: a peer that does not answer must not hold the thread
            cancellation.check()
            connection.connect((address, port))
            cancellation.check()
            connection.settimeout(self.idle_timeout_s)
        except BaseException:
            connection.close()
            raise
        return connection

    def _addresses(self, url: Url, cancellation: Cancellation) -> Sequence[str]:
        """Ask for the addresses in a thread of its own: the system's resolver cannot be interrupted.

        Nobody waits for that thread, neither a transfer that was cancelled nor the end of the process.
        """
        answers: queue.SimpleQueue[Sequence[str]] = queue.SimpleQueue()

        def ask() -> None:
            found: Sequence[str] = ()
            try:
                with contextlib.suppress(OSError, UnicodeError):
                    found = self.resolve(url.host, url.port)
            finally:
                self.resolvers.release()
                answers.put(found)

        end_s = time.monotonic() + self.resolve_timeout_s
        is_asked, found = False, None
        while found is None and time.monotonic() < end_s:
            cancellation.check()
            if not is_asked and self.resolvers.acquire(timeout=_LOOK_EVERY_S):
                threading.Thread(target=ask, name="resolver", daemon=True).start()
                is_asked = True
            if is_asked:
                with contextlib.suppress(queue.Empty):
                    found = answers.get(timeout=_LOOK_EVERY_S)
        cancellation.check()
        if not found:
            raise TransferError(f"{url.host} has no address")
        return found

    def secure(self, connection: socket.socket, host: str) -> ssl.SSLSocket:
        """Begin TLS as a client of `host`; raises OSError."""
        try:
            return self.make_tls().wrap_socket(connection, server_hostname=host)
        except BaseException:
            connection.close()
            raise


def explained(error: Exception, url: Url) -> TransferError:
    """Tell what a library's error means for a transfer."""
    if isinstance(error, TransferError):
        return error
    if isinstance(error, ssl.SSLCertVerificationError):
        return TransferError(f"the certificate of {url} is not accepted: {error.verify_message}", is_final=True)
    if isinstance(error, TimeoutError):
        return TransferError(f"{url} has fallen silent")
    return TransferError(f"the line to {url} broke: {type(error).__name__}")
