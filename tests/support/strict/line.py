"""A line carries text frames: an in-memory pipe, or a WebSocket of the `websockets` library."""

import asyncio
from typing import Protocol

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed


class LineClosedError(Exception):
    """There is nobody at the other end any more."""


class Line(Protocol):
    """One end of a connection."""

    async def recv(self) -> str:
        """Next frame; raises `LineClosedError` after the last one."""
        ...

    async def send(self, text: str) -> None:
        """Send a frame; raises `LineClosedError`."""
        ...

    async def close(self, code: int = 1000) -> None:
        """Close; closing twice is no error."""
        ...


class Pipe:
    """Two of these make a line without sockets."""

    def __init__(self) -> None:
        self._arrived: asyncio.Queue[str | None] = asyncio.Queue()
        self._peer: Pipe = self
        self._is_closed = False

    @classmethod
    def pair(cls) -> "tuple[Pipe, Pipe]":
        """Both ends."""
        one, other = cls(), cls()
        one._peer, other._peer = other, one
        return one, other

    async def recv(self) -> str:
        """See `Line`."""
        text = None if self._is_closed and self._arrived.empty() else await self._arrived.get()
        if text is None:
            raise LineClosedError("closed")
        return text

    async def send(self, text: str) -> None:
        """See `Line`."""
        if self._is_closed:
            raise LineClosedError("closed")
        self._peer._arrived.put_nowait(text)

    async def close(self, code: int = 1000) -> None:
        """See `Line`; both ends are closed at once."""
        del code
        self.shut()

    def shut(self) -> None:
        """Close without waiting."""
        for end in (self, self._peer):
            if not end._is_closed:
                end._is_closed = True
                end._arrived.put_nowait(None)


class SocketLine:
    """A WebSocket as a line."""

    def __init__(self, socket: ServerConnection) -> None:
        self._socket = socket

    async def recv(self) -> str:
        """See `Line`; binary frames are shown as what they are and will be found unlawful."""
        try:
            message = await self._socket.recv()
        except ConnectionClosed as closed:
            raise LineClosedError(str(closed)) from None
        return message if isinstance(message, str) else repr(message)

    async def send(self, text: str) -> None:
        """See `Line`."""
        try:
            await self._socket.send(text)
        except ConnectionClosed as closed:
            raise LineClosedError(str(closed)) from None

    async def close(self, code: int = 1000) -> None:
        """See `Line`."""
        await self._socket.close(code)
