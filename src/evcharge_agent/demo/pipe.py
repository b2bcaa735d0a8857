"""A connection without sockets: what one end sends the other receives."""

import asyncio

from evcharge_agent.ocpp16.errors import LinkClosedError


class PipeEnd:
    """One end; satisfies `ocpp16.link.Connection`."""

    def __init__(self) -> None:
        self._arrived: asyncio.Queue[str | bytes | None] = asyncio.Queue()
        self._peer: PipeEnd | None = None
        self._is_closed = False
        self._close_code = 1006
        self.is_frozen = False
        """A half-open line: what this end sends is lost, and nobody notices."""
        self.ping_interval_s = 0.0
        """What was last asked for; nothing is pinged."""

    async def recv(self) -> str | bytes:
        """Next frame; raises `LinkClosedError` after the last one."""
        if self._is_closed and self._arrived.empty():
            raise LinkClosedError(f"closed with {self._close_code}")
        message = await self._arrived.get()
        if message is None:
            raise LinkClosedError(f"closed with {self._close_code}")
        return message

    async def send(self, message: str | bytes) -> None:
        """Deliver to the other end."""
        if self._is_closed or self._peer is None:
            raise LinkClosedError(f"closed with {self._close_code}")
        if not self.is_frozen:
            self._peer._arrived.put_nowait(message)  # noqa: SLF001 - the other half of the same thing

    async def close(self, code: int = 1000, reason: str = "") -> None:  # noqa: ARG002 - the pipe has no room for it
        """Close both ends; what has arrived can still be read."""
        for end in (self, self._peer):
            if end is not None and not end._is_closed:  # noqa: SLF001 - the other half of the same thing
                end._is_closed, end._close_code = True, code  # noqa: SLF001
                end._arrived.put_nowait(None)  # noqa: SLF001

    def set_ping_interval(self, interval_s: float) -> None:
        """Remember it."""
        self.ping_interval_s = interval_s

    @classmethod
    def pair(cls) -> "tuple[PipeEnd, PipeEnd]":
        """Make both ends."""
        one, other = cls(), cls()
        one._peer, other._peer = other, one
        return one, other
