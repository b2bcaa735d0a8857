"""A unix socket server that knows its connections and ends without leaving one behind."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

_ENDS_WITHIN_S = 1.0

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class UnixServer:
    """Runs `serve` for each connection; a connection ends when it returns."""

    def __init__(self, serve: Serve, *, max_line_bytes: int = 65536) -> None:
        self._serve = serve
        self._max_line_bytes = max_line_bytes
        self._server: asyncio.Server | None = None
        self._connections: dict[asyncio.StreamWriter, asyncio.Task[None] | None] = {}

    async def start(self, path: Path) -> None:
        """Listen on a path that is free.

        Raises:
            OSError: the path cannot be used.
        """
        self._server = await asyncio.start_unix_server(self._run, path, limit=self._max_line_bytes)

    async def stop(self) -> None:
        """Close every connection and wait until its task has seen it.

        A task that is cancelled instead would be reported as an error by asyncio's streams.
        """
        if self._server is not None:
            self._server.close()
        for writer in self._connections:
            writer.close()
        tasks = [task for task in self._connections.values() if task is not None]
        if tasks:
            await asyncio.wait(tasks, timeout=_ENDS_WITHIN_S)

    async def _run(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections[writer] = asyncio.current_task()
        try:
            await self._serve(reader, writer)
        finally:
            del self._connections[writer]
            writer.close()
