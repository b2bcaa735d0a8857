"""Files over FTP and FTPS (AUTH TLS, RFC 4217) with the standard library's client. Blocking.

Always passive, and the data connection goes to the address of the control connection, whatever the server names.
"""

import contextlib
import ftplib
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

from evcharge_agent.ocpp16.transfer.network import Cancellation, Network, TransferError, explained
from evcharge_agent.ocpp16.transfer.progress import Continuation, Progress
from evcharge_agent.ocpp16.transfer.spool import SpoolFile
from evcharge_agent.ocpp16.transfer.urls import Url

CHUNK_BYTES = 64 * 1024
MAX_ANSWER_LENGTH = 64 * 1024
_NOT_LOGGED_IN = ("530", "532")


class _Client(ftplib.FTP):
    """FTP over a connection that was made by `Network`."""

    def getmultiline(self) -> str:
        """Read one answer; a peer that never ends it would fill the memory."""
        lines = [self.getline()]
        code, left = lines[0][:3], MAX_ANSWER_LENGTH
        is_more = lines[0][3:4] == "-"
        while is_more:
            lines.append(self.getline())
            left -= len(lines[-1]) + 1
            if left < 0:
                raise TransferError(f"the server's answer has more than {MAX_ANSWER_LENGTH} characters")
            is_more = not (lines[-1][:3] == code and lines[-1][3:4] != "-")
        return "\n".join(lines)

    def attach(self, connection: socket.socket, host: str, timeout_s: float) -> None:
        """Take the control connection over and read the greeting."""
        self.host = host
        self.timeout = timeout_s
        self.sock = connection
        self.af = connection.family
        self.file = connection.makefile("r", encoding=self.encoding)
        self.welcome = self.getresp()


class _SecureClient(ftplib.FTP_TLS, _Client):
    """The same with TLS."""

    def ntransfercmd(self, cmd: str, rest: int | str | None = None) -> tuple[socket.socket, int | None]:
        """Open a data connection in the TLS session of the control connection, as many servers want it."""
        connection, size = ftplib.FTP.ntransfercmd(self, cmd, rest)  # noqa: S321 - made TLS below
        session = self.sock.session if isinstance(self.sock, ssl.SSLSocket) else None
        try:
            return self.context.wrap_socket(connection, server_hostname=self.host, session=session), size
        except BaseException:
            connection.close()
            raise


def download(
    network: Network,
    url: Url,
    file: SpoolFile,
    continuation: Continuation,
    cancellation: Cancellation,
    progress: Progress,
) -> None:
    """RETR `url` into `file`, going on where an earlier attempt broke (REST).

    Raises:
        TransferError, SpoolError, TransferCancelledError: it was not got; what was got stays in the file.
    """
    with _logged_in(network, url, cancellation) as client:
        total = _size(client, url)
        if total is None or total != continuation.total_bytes or total < file.size:
            file.begin_again()
        continuation.total_bytes = total
        if total is not None:
            file.expect(total)
        data = _open_data(client, f"RETR {_name(url)}", file)
        cancellation.watch(data)
        with data:
            while chunk := data.recv(CHUNK_BYTES):
                cancellation.check()
                file.write(chunk)
                progress(file.size, total)
        cancellation.check()
        client.voidresp()
    if total is not None and file.size < total:
        raise TransferError(f"the line to {url} broke after {file.size} of {total} bytes")


def upload(network: Network, url: Url, path: Path, cancellation: Cancellation, progress: Progress) -> None:
    """STOR the file at `path` as `url`.

    Raises:
        TransferError, TransferCancelledError: the server has not taken it.
    """
    total, sent = path.stat().st_size, 0
    with _logged_in(network, url, cancellation) as client:
        data, _ = client.ntransfercmd(f"STOR {_name(url)}")
        cancellation.watch(data)
        with data, path.open("rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                cancellation.check()
                data.sendall(chunk)
                sent += len(chunk)
                progress(sent, total)
            if isinstance(data, ssl.SSLSocket):
                with contextlib.suppress(OSError):
                    data.unwrap()  # tells the server that this is the end; some do not answer
            # Closing is not enough: whoever may cancel holds the connection, too.
            data.shutdown(socket.SHUT_RDWR)
        client.voidresp()


@contextlib.contextmanager
def _logged_in(network: Network, url: Url, cancellation: Cancellation) -> Iterator[ftplib.FTP]:
    """A session in binary mode."""
    client = _SecureClient(context=network.make_tls()) if url.scheme.is_secure else _Client()
    try:
        client.attach(network.dial(url, cancellation), url.host, network.idle_timeout_s)
        client.login(url.user or "anonymous", url.password or "")
        if isinstance(client, _SecureClient):
            client.prot_p()
        client.voidcmd("TYPE I")
        yield client
        with contextlib.suppress(ftplib.Error, OSError, EOFError):
            client.quit()
    except ftplib.error_perm as error:
        raise _refusal(url, str(error)) from None
    except (ftplib.Error, OSError, EOFError) as error:
        cancellation.check()
        raise explained(error, url) from None
    finally:
        client.close()


def _open_data(client: ftplib.FTP, command: str, file: SpoolFile) -> socket.socket:
    if file.size > 0:
        try:
            return client.ntransfercmd(command, rest=file.size)[0]
        except ftplib.error_perm:
            file.begin_again()  # no REST here: from the start
    return client.ntransfercmd(command)[0]


def _size(client: ftplib.FTP, url: Url) -> int | None:
    try:
        return client.size(_name(url))
    except (ftplib.error_perm, ValueError):
        return None


def _name(url: Url) -> str:
    """The path below where the login leads to."""
    if not url.segments:
        raise TransferError("the address names no file", is_final=True)
    return "/".join(url.segments)


def _refusal(url: Url, answer: str) -> TransferError:
    code = answer[:3]
    is_denied = code in _NOT_LOGGED_IN
    return TransferError(
        f"{url} answers {code}" if code.isdigit() else f"{url} refuses", is_final=True, is_denied=is_denied
    )
