"""One JSON document over plain HTTP/1.1, bounded in time and size, cancellable at any moment.

The standard library's client waits in a thread that nobody can stop, for as long as a peer sends a byte now
and then; so the bytes are fetched here, and only what they mean is left to `http.client`.
"""

import asyncio
import http.client
import io
import json
from typing import TYPE_CHECKING, cast

from evcharge_hal.instruments.values import InstrumentError

if TYPE_CHECKING:
    import socket

MOST_BYTES = 65_536
_OK = 200
_HEAD_END = b"\r\n\r\n"
_LAST_CHUNK = b"0\r\n\r\n"


async def get_json(host: str, port: int, path: str, timeout_s: float) -> object:
    """Fetch `path` and decode it.

    Raises:
        InstrumentError: no connection, no answer in time, another status than 200, too long, or no JSON.
    """
    try:
        async with asyncio.timeout(timeout_s):
            received = await _fetch(host, port, path)
        status, body = _open(received)
        if status != _OK:
            raise InstrumentError(f"{host}:{port}: HTTP status {status}")
        document: object = json.loads(body)
    except TimeoutError as error:
        raise InstrumentError(f"{host}:{port}: no answer within {timeout_s:g} s") from error
    except OSError as error:
        raise InstrumentError(f"{host}:{port}: no connection ({error.strerror or error})") from error
    except (http.client.HTTPException, ValueError, RecursionError) as error:
        raise InstrumentError(f"{host}:{port}: an answer that is no JSON over HTTP") from error
    return document


async def _fetch(host: str, port: int, path: str) -> bytes:
    reader, writer = await asyncio.open_connection(host, port)
    try:
        request = f"GET {path} HTTP/1.1\r\nHost: {host}\r\nAccept: application/json\r\nConnection: close\r\n\r\n"
        writer.write(request.encode("ascii"))
        received = b""
        while not _is_whole(received):
            data = await reader.read(4096)
            if not data:
                break
            received += data
            if len(received) > MOST_BYTES:
                raise ValueError(f"more than {MOST_BYTES} bytes")
        return received
    finally:
        writer.transport.abort()


def _is_whole(received: bytes) -> bool:
    """Tell whether the answer is complete; one without a length ends with the connection."""
    head, found, body = received.partition(_HEAD_END)
    if not found:
        return False
    for line in head.lower().split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name == b"content-length" and value.strip().isdigit():
            return len(body) >= int(value)
        if name == b"transfer-encoding" and b"chunked" in value:
            return body.endswith(_LAST_CHUNK)
    return False


class _Received:
    """As much of a socket as `HTTPResponse` wants."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def makefile(self, _mode: str) -> io.BytesIO:
        return io.BytesIO(self._data)


def _open(received: bytes) -> tuple[int, bytes]:
    response = http.client.HTTPResponse(cast("socket.socket", _Received(received)))
    response.begin()
    return response.status, response.read()
