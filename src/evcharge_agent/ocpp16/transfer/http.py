"""Files over HTTP and HTTPS with the standard library's client. Blocking.

GET with resume (Range, If-Range), PUT; redirects are followed by hand, each one judged like the first address.
"""

import base64
import http.client
import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urljoin

from evcharge_agent.ocpp16.transfer.network import Cancellation, Network, TransferError, explained
from evcharge_agent.ocpp16.transfer.progress import Continuation, Progress
from evcharge_agent.ocpp16.transfer.spool import SpoolFile
from evcharge_agent.ocpp16.transfer.urls import Url

MAX_REDIRECTS = 5
CHUNK_BYTES = 64 * 1024
_OK = 200
_CREATED_TO_NO_CONTENT = range(200, 205)
_PARTIAL = 206
_RANGE_NOT_SATISFIABLE = 416
_DENIED = (401, 403)
_TRY_AGAIN = (408, 425, 429)
_SERVER_ERRORS = range(500, 600)
_GET_REDIRECTS = (301, 302, 303, 307, 308)
_PUT_REDIRECTS = (307, 308)
_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,15})-([0-9]{1,15})/([0-9]{1,15}|\*)", re.ASCII)
_LENGTH = re.compile(r"[0-9]{1,15}", re.ASCII)


class _Connection(http.client.HTTPConnection):
    """A connection that goes where `Network` allows."""

    def __init__(self, url: Url, network: Network, cancellation: Cancellation) -> None:
        super().__init__(url.host, url.port, timeout=network.idle_timeout_s)
        self._url = url
        self._network = network
        self._cancellation = cancellation

    def connect(self) -> None:
        connection = self._network.dial(self._url, self._cancellation)
        self.sock = self._network.secure(connection, self._url.host) if self._url.scheme.is_secure else connection


def download(
    network: Network,
    url: Url,
    file: SpoolFile,
    continuation: Continuation,
    cancellation: Cancellation,
    progress: Progress,
) -> None:
    """GET `url` into `file`, going on where an earlier attempt broke.

    Raises:
        TransferError, SpoolError, TransferCancelledError: it was not got; what was got stays in the file.
    """
    first = url
    for _ in range(1 + MAX_REDIRECTS):
        connection = _Connection(url, network, cancellation)
        try:
            headers = {"Accept-Encoding": "identity", **_resume_headers(file, continuation)}
            connection.request("GET", url.target, headers=_headers(network, url, headers, first))
            response = connection.getresponse()
            target = _redirect(network, url, response, _GET_REDIRECTS)
            if target is None:
                _take(url, response, file, continuation, cancellation, progress)
                return
            url = target
        except (OSError, http.client.HTTPException, ValueError) as error:
            cancellation.check()
            raise explained(error, url) from None
        finally:
            connection.close()
    raise TransferError(f"{first} redirects too often", is_final=True)


def upload(network: Network, url: Url, path: Path, cancellation: Cancellation, progress: Progress) -> None:
    """PUT the file at `path` to `url`.

    Raises:
        TransferError, TransferCancelledError: the server has not taken it.
    """
    first = url
    for _ in range(1 + MAX_REDIRECTS):
        connection = _Connection(url, network, cancellation)
        try:
            response = _put(connection, _headers(network, url, {}, first), url, path, cancellation, progress)
            target = _redirect(network, url, response, _PUT_REDIRECTS)
            if target is None:
                if response.status not in _CREATED_TO_NO_CONTENT:
                    raise _refusal(url, response.status)
                return
            url = target
        except (OSError, http.client.HTTPException, ValueError) as error:
            cancellation.check()
            raise explained(error, url) from None
        finally:
            connection.close()
    raise TransferError(f"{first} redirects too often", is_final=True)


def _put(
    connection: _Connection,
    headers: Mapping[str, str],
    url: Url,
    path: Path,
    cancellation: Cancellation,
    progress: Progress,
) -> http.client.HTTPResponse:
    total, sent = path.stat().st_size, 0
    connection.putrequest("PUT", url.target, skip_host=True, skip_accept_encoding=True)
    for name, value in headers.items():
        connection.putheader(name, value)
    connection.putheader("Content-Length", str(total))
    connection.putheader("Content-Type", "application/octet-stream")
    connection.endheaders()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            cancellation.check()
            connection.send(chunk)
            sent += len(chunk)
            progress(sent, total)
    return connection.getresponse()


def _headers(network: Network, url: Url, extra: Mapping[str, str], first: Url) -> dict[str, str]:
    """Credentials go to the host they were given for and to no other."""
    headers = {"Host": url.authority, "User-Agent": network.user_agent, "Connection": "close", **extra}
    is_same = (url.scheme, url.host, url.port) == (first.scheme, first.host, first.port)
    if first.user is not None and is_same:
        pair = f"{first.user}:{first.password or ''}".encode()
        headers["Authorization"] = "Basic " + base64.b64encode(pair).decode()
    return headers


def _resume_headers(file: SpoolFile, continuation: Continuation) -> dict[str, str]:
    if file.size == 0 or continuation.validator is None:
        return {}
    return {"Range": f"bytes={file.size}-", "If-Range": continuation.validator}


def _redirect(network: Network, url: Url, response: http.client.HTTPResponse, followed: tuple[int, ...]) -> Url | None:
    """Where the answer sends us; None: nowhere."""
    location = response.getheader("Location")
    if response.status not in followed or location is None:
        return None
    # Credentials of the first address are handled in `_headers`; those a redirect brings are not taken.
    target = network.parse(urljoin(f"{url}{url.target}", location))
    if url.scheme.is_secure and not target.scheme.is_secure:
        raise TransferError(f"{url} redirects to an address without TLS", is_final=True)
    if not target.scheme.is_http:
        raise TransferError(f"{url} redirects to another protocol", is_final=True)
    return target


def _refusal(url: Url, status: int) -> TransferError:
    is_final = status not in _TRY_AGAIN and status not in _SERVER_ERRORS
    return TransferError(f"{url} answers {status}", is_final=is_final, is_denied=status in _DENIED)


def _take(
    url: Url,
    response: http.client.HTTPResponse,
    file: SpoolFile,
    continuation: Continuation,
    cancellation: Cancellation,
    progress: Progress,
) -> None:
    if response.status == _RANGE_NOT_SATISFIABLE:
        file.begin_again()
        raise TransferError(f"{url} has another file by now")
    if response.status not in (_OK, _PARTIAL):
        raise _refusal(url, response.status)
    if (response.getheader("Content-Encoding") or "identity").strip().lower() != "identity":
        raise TransferError(f"{url} sends an encoding nobody asked for", is_final=True)
    total = _begin(url, response, file)
    continuation.total_bytes = total
    etag = response.getheader("ETag")
    # A weak validator promises the same meaning, not the same bytes (RFC 9110, 8.8.1).
    continuation.validator = etag if etag and etag.startswith('"') and etag.isascii() and etag.isprintable() else None
    if total is not None:
        file.expect(total)
    while total is None or file.size < total:
        cancellation.check()
        chunk = response.read1(CHUNK_BYTES if total is None else min(CHUNK_BYTES, total - file.size))
        if not chunk:
            break
        file.write(chunk)
        progress(file.size, total)
    cancellation.check()
    if total is not None and file.size < total:
        raise TransferError(f"the line to {url} broke after {file.size} of {total} bytes")


def _begin(url: Url, response: http.client.HTTPResponse, file: SpoolFile) -> int | None:
    """Where the content begins in the file; returns its whole size, if known."""
    length = response.getheader("Content-Length") or ""
    if response.status == _OK:
        file.begin_again()
        return int(length) if _LENGTH.fullmatch(length) else None
    found = _CONTENT_RANGE.fullmatch(response.getheader("Content-Range") or "")
    if found is None or int(found[1]) != file.size or found[3] == "*" or int(found[2]) + 1 != int(found[3]):
        file.begin_again()
        raise TransferError(f"{url} sends another part than it was asked for")
    return int(found[3])
