"""A Modbus TCP server of forty lines whose answers a test decides byte by byte."""

import asyncio
import contextlib
import struct
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass

Answer = Callable[["Asked"], bytes | None]
"""What to send for a request; None is silence."""


@dataclass(frozen=True)
class Asked:
    """One request for registers."""

    transaction: int
    unit: int
    function_code: int
    address: int
    count: int

    def frame(self, pdu: bytes, *, transaction: int | None = None, unit: int | None = None) -> bytes:
        """Put a header before `pdu`; the request's own numbers unless others are given."""
        transaction = self.transaction if transaction is None else transaction
        return struct.pack(">HHHB", transaction, 0, len(pdu) + 1, self.unit if unit is None else unit) + pdu

    def registers(self, words: Mapping[int, int]) -> bytes:
        """The right answer, from words by address; addresses that are not there are 0."""
        values = [words.get(self.address + offset, 0) for offset in range(self.count)]
        return self.frame(struct.pack(f">BB{self.count}H", self.function_code, 2 * self.count, *values))

    def refusal(self, exception_code: int) -> bytes:
        """A Modbus exception."""
        return self.frame(bytes((self.function_code | 0x80, exception_code)))


class MbapServer:
    """Listens on 127.0.0.1; `answer` may be exchanged at any time; `asked` keeps all requests."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.asked: list[Asked] = []
        self.connections = 0
        self.port = 0
        self._arrived: asyncio.Queue[Asked] = asyncio.Queue()
        self._writers: list[asyncio.StreamWriter] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.append(writer)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while True:
                transaction, _, length, unit = struct.unpack(">HHHB", await reader.readexactly(7))
                pdu = await reader.readexactly(length - 1)
                asked = Asked(transaction, unit, *struct.unpack(">BHH", pdu))
                self.asked.append(asked)
                self._arrived.put_nowait(asked)
                answer = self.answer(asked)
                if answer is not None:
                    writer.write(answer)
                    await writer.drain()

    async def next_asked(self) -> Asked:
        """Wait for the next request."""
        return await asyncio.wait_for(self._arrived.get(), 5.0)

    def send(self, data: bytes) -> None:
        """Send on the first connection, whenever the test wants."""
        self._writers[0].write(data)

    def hang_up(self) -> None:
        """Reset all connections."""
        for writer in self._writers:
            writer.transport.abort()


@contextlib.asynccontextmanager
async def mbap_server(answer: Answer) -> AsyncIterator[MbapServer]:
    """Run a server on a free port."""
    server = MbapServer(answer)
    listener = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.port = listener.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listener.close()
        server.hang_up()
        await asyncio.sleep(0)
