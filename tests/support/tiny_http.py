"""An HTTP server whose answer a test decides byte by byte."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

Serve = Callable[[str, asyncio.StreamWriter], Awaitable[None]]


def reply(document: object, status: str = "200 OK") -> bytes:
    """A plain answer with a length."""
    body = json.dumps(document).encode()
    return f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


@contextlib.asynccontextmanager
async def tiny_http(serve: Serve) -> AsyncIterator[int]:
    """Listen on a free port; `serve` gets the path of each request and the connection."""

    writers: list[asyncio.StreamWriter] = []

    async def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            await serve(head.split(b" ")[1].decode(), writer)
            await writer.drain()
            await reader.read()
        writer.close()

    server = await asyncio.start_server(accepted, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for writer in writers:
            writer.transport.abort()
        await asyncio.sleep(0.01)


def documents(by_path: Mapping[str, object]) -> Serve:
    """Answer each path with its document, and 404 without one."""

    async def serve(path: str, writer: asyncio.StreamWriter) -> None:
        writer.write(reply(by_path[path]) if path in by_path else reply({}, "404 Not Found"))

    return serve
