"""The card reader's socket: one JSON line for every card that is held to it."""

import asyncio
import json
import logging
from collections.abc import Iterable
from pathlib import Path

from evcharge_hal.contract.schema import encode
from evcharge_hal.sim.unix_server import UnixServer
from evcharge_hal.sim.verbs import Swipe

log = logging.getLogger(__name__)


class CardReaderServer:
    """Tells everybody who is connected; like a real reader it keeps no card for later."""

    def __init__(self) -> None:
        self._listeners: set[asyncio.StreamWriter] = set()
        self._server = UnixServer(self._serve)

    @property
    def listeners(self) -> int:
        """How many agents listen."""
        return len(self._listeners)

    async def start(self, path: Path) -> None:
        """Listen on a unix socket whose path is free.

        Raises:
            OSError: the path cannot be used.
        """
        await self._server.start(path)

    async def stop(self) -> None:
        """Close every connection."""
        await self._server.stop()

    def tell(self, swipes: Iterable[Swipe]) -> None:
        """Send the cards on."""
        for swipe in swipes:
            if not self._listeners:
                log.warning("a card was held to the reader and nobody listens")
            line = json.dumps(encode(swipe)).encode() + b"\n"
            for writer in self._listeners:
                writer.write(line)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._listeners.add(writer)
        try:
            while await reader.read(1024):
                log.debug("a listener wrote to the card reader")
        except OSError as error:
            log.info("connection to the card reader: %s", error)
        finally:
            self._listeners.discard(writer)
