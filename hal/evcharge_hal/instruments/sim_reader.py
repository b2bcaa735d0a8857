"""The simulator's card reader: a unix socket that carries one JSON line for each swipe."""

import asyncio
import contextlib
import json
from dataclasses import dataclass
from pathlib import Path

from evcharge_hal.contract.errors import EvchargeError
from evcharge_hal.contract.schema import declare, decode
from evcharge_hal.instruments.touch import Touch, see
from evcharge_hal.instruments.uid import ID_TAG_LENGTH
from evcharge_hal.instruments.values import InstrumentError, Swipe

MAX_LINE_BYTES = 1024


@dataclass(frozen=True, slots=True)
class _SwipeLine:
    id_tag: str = declare("Identifier of the card", max_length=ID_TAG_LENGTH)
    connectors: tuple[int, ...] = declare("Connectors meant; none: the reader's", max_length=8, default=())


class SimCardReader:
    """Connects to `socket_path` when first asked; see `values.CardReader`."""

    def __init__(self, socket_path: Path) -> None:
        self._path = socket_path
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._touch = Touch()

    async def next_swipe(self) -> Swipe:
        """Wait for the next touch; see `values.CardReader.next_swipe`."""
        while True:
            swipe = await self._next_line()
            key = f"{swipe.id_tag} {swipe.connectors}"
            self._touch, is_new = see(self._touch, key, asyncio.get_running_loop().time())
            if is_new:
                return swipe

    async def _next_line(self) -> Swipe:
        try:
            if self._streams is None:
                self._streams = await asyncio.open_unix_connection(self._path, limit=MAX_LINE_BYTES)
            line = await self._streams[0].readline()
        except ValueError as error:
            await self.close()
            raise InstrumentError(f"card reader: a line of more than {MAX_LINE_BYTES} bytes") from error
        except OSError as error:
            await self.close()
            raise InstrumentError(f"card reader: {error}") from error
        if not line.endswith(b"\n"):
            await self.close()
            raise InstrumentError("card reader: gone")
        return parse_swipe(line)

    async def close(self) -> None:
        """Close the connection; the next `next_swipe` opens a new one."""
        streams, self._streams = self._streams, None
        if streams is not None:
            streams[1].close()
            with contextlib.suppress(OSError):
                await streams[1].wait_closed()


def parse_swipe(line: bytes) -> Swipe:
    """Read one line.

    Raises:
        InstrumentError: it is no swipe.
    """
    try:
        swipe = decode(_SwipeLine, json.loads(line))
    except (ValueError, RecursionError, EvchargeError) as error:
        raise InstrumentError(f"card reader: {error}") from error
    if not swipe.id_tag.strip():
        raise InstrumentError("card reader: an empty id tag")
    return Swipe(swipe.id_tag, swipe.connectors)
