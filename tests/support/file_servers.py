"""Real HTTP(S) and FTP(S) servers on loopback, which can be as bad as servers are."""

import contextlib
import datetime as dt
import http.server
import ipaddress
import ssl
import threading
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

with warnings.catch_warnings():
    # Python 3.11 warns of a module of its own that the library still uses there.
    warnings.simplefilter("ignore", DeprecationWarning)
    from pyftpdlib.authorizers import DummyAuthorizer  # type: ignore[import-untyped]
    from pyftpdlib.handlers import FTPHandler, TLS_FTPHandler  # type: ignore[import-untyped]
    from pyftpdlib.servers import FTPServer  # type: ignore[import-untyped]

USER, PASSWORD = "charger", "p@ss-CANARY-url"


@dataclass
class Behaviour:
    """What an HTTP server does to requests."""

    content: bytes = b""
    cut_after: list[int] = field(default_factory=list)
    """Bytes after which the next answers break off."""
    has_ranges: bool = True
    is_length_told: bool = True
    told_more: int = 0
    """Added to the length that is told."""
    status: int | None = None
    """Answer everything with it."""
    redirect: str | None = None
    silent_after: int | None = None
    """Bytes after which nothing comes any more."""
    needs_login: bool = False
    etag: str = '"one"'
    seen: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    """Method, target, headers."""
    stored: dict[str, bytes] = field(default_factory=dict)


class _Handler(http.server.BaseHTTPRequestHandler):
    behaviour: Behaviour
    over: threading.Event
    timeout = 10

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        if not self._begin():
            return
        behaviour = self.behaviour
        content, begin = behaviour.content, 0
        wanted = self.headers.get("Range")
        if wanted and behaviour.has_ranges and self.headers.get("If-Range") == behaviour.etag:
            begin = int(wanted.removeprefix("bytes=").removesuffix("-"))
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {begin}-{len(content) - 1}/{len(content)}")
        else:
            self.send_response(200)
        body = content[begin:]
        if behaviour.is_length_told:
            self.send_header("Content-Length", str(len(body) + behaviour.told_more))
        self.send_header("ETag", behaviour.etag)
        self.end_headers()
        if behaviour.cut_after:
            body = body[: behaviour.cut_after.pop(0)]
        if behaviour.silent_after is not None:
            self.wfile.write(body[: behaviour.silent_after])
            self.over.wait(10)
            return
        self.wfile.write(body)

    def do_PUT(self) -> None:
        if not self._begin():
            return
        length = int(self.headers["Content-Length"])
        self.behaviour.stored[self.path] = self.rfile.read(length)
        self.send_response(201)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _begin(self) -> bool:
        behaviour = self.behaviour
        behaviour.seen.append((self.command, self.path, dict(self.headers)))
        status = behaviour.status
        if behaviour.needs_login and "Authorization" not in self.headers:
            status = 401
        if behaviour.redirect is not None:
            status = status or 307
        if status is None:
            return True
        if self.command == "PUT":
            self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(status)
        if behaviour.redirect is not None:
            self.send_header("Location", behaviour.redirect)
        self.send_header("Content-Length", "0")
        self.end_headers()
        return False


class _Server(http.server.ThreadingHTTPServer):
    def handle_error(self, *_: Any) -> None:
        """A client that went is no error here."""


@contextlib.contextmanager
def http_server(behaviour: Behaviour, tls: ssl.SSLContext | None = None) -> Iterator[int]:
    """Serve on a free port of 127.0.0.1."""
    over = threading.Event()
    handler = type("Handler", (_Handler,), {"behaviour": behaviour, "over": over})
    server = _Server(("127.0.0.1", 0), handler)
    server.daemon_threads = False
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        over.set()
        server.shutdown()
        thread.join()
        server.server_close()


@contextlib.contextmanager
def ftp_server(directory: Path, certificate: Path | None = None, cut_after: list[int] | None = None) -> Iterator[int]:
    """Serve a directory on a free port of 127.0.0.1; `cut_after`: bytes after which data connections break."""
    base = FTPHandler if certificate is None else TLS_FTPHandler
    cuts = cut_after if cut_after is not None else []
    authorizer = DummyAuthorizer()
    authorizer.add_user(USER, PASSWORD, str(directory), perm="elradfmw")
    channel = base.dtp_handler

    class Channel(channel):  # type: ignore[misc, valid-type]
        limit = 0

        def push_with_producer(self, producer: Any) -> None:
            if cuts:
                limit = cuts.pop(0)
                whole = producer.file.read(limit)
                producer.file = _Cut(whole, producer.file)
                super().push_with_producer(producer)
                self.tot_bytes_sent = 0
                return
            super().push_with_producer(producer)

    attributes: dict[str, Any] = {
        "authorizer": authorizer,
        "dtp_handler": Channel,
        "use_sendfile": False,
        "auth_failed_timeout": 0.05,
    }
    if certificate is not None:
        attributes |= {"certfile": str(certificate), "tls_control_required": True, "tls_data_required": True}
        attributes["ssl_context"] = None
    handler: Any = type("Handler", (base,), attributes)
    if certificate is not None:
        handler.ssl_context = handler.get_ssl_context()
    server = FTPServer(("127.0.0.1", 0), handler)
    over = threading.Event()

    def serve() -> None:
        while not over.is_set():
            server.serve_forever(timeout=0.02, blocking=False, handle_exit=False)
        server.close_all()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield server.socket.getsockname()[1]
    finally:
        over.set()
        thread.join()


class _Cut:
    """A file that ends in the middle, as if the line had broken."""

    def __init__(self, content: bytes, file: Any) -> None:
        self._content = content
        self._file = file
        self.name = file.name
        self.closed = False

    def read(self, size: int) -> bytes:
        found, self._content = self._content[:size], self._content[size:]
        return found

    def close(self) -> None:
        self.closed = True
        self._file.close()


def make_certificate(directory: Path) -> Path:
    """Make a certificate for localhost and 127.0.0.1 with its key, in one PEM file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.fromtimestamp(time.time(), dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=30))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
            critical=False,
        )
        .sign(key, hashes.SHA256())
    )
    path = directory / "server.pem"
    path.write_bytes(
        certificate.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    path.chmod(0o600)
    return path


def server_tls(certificate: Path) -> ssl.SSLContext:
    """A server's side of TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


def client_tls(certificate: Path) -> ssl.SSLContext:
    """A client that trusts this certificate only."""
    return ssl.create_default_context(cafile=certificate)
