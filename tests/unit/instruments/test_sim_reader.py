"""The simulator's card reader on a real unix socket."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from evcharge_hal.instruments.sim_reader import SimCardReader, parse_swipe
from evcharge_hal.instruments.values import InstrumentError, Swipe
from tests.support.short_paths import short_directory


@contextlib.asynccontextmanager
async def reader_and_lines() -> AsyncIterator[tuple[SimCardReader, "asyncio.Queue[asyncio.StreamWriter]"]]:
    with short_directory() as directory:
        writers: asyncio.Queue[asyncio.StreamWriter] = asyncio.Queue()
        kept = []

        async def accepted(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            kept.append(writer)
            await writers.put(writer)

        server = await asyncio.start_unix_server(accepted, directory / "reader.sock")
        reader = SimCardReader(directory / "reader.sock")
        try:
            yield reader, writers
        finally:
            await reader.close()
            server.close()
            for writer in kept:
                writer.transport.abort()
            await asyncio.sleep(0)


async def test_swipes_come_one_by_one_and_the_connection_is_made_again():
    async with reader_and_lines() as (reader, writers):
        waiting = asyncio.create_task(reader.next_swipe())
        writer = await writers.get()
        writer.write(b'{"id_tag": "CARD", "connectors": [2]}\n{"id_tag": "OTHER"}\n')
        assert await waiting == Swipe("CARD", (2,))
        assert await reader.next_swipe() == Swipe("OTHER")
        writer.close()
        with pytest.raises(InstrumentError, match="gone"):
            await reader.next_swipe()
        waiting = asyncio.create_task(reader.next_swipe())
        (await writers.get()).write(b'{"id_tag": "AGAIN"}\n')
        assert await waiting == Swipe("AGAIN")


async def test_a_card_held_to_the_reader_is_one_touch():
    async with reader_and_lines() as (reader, writers):
        waiting = asyncio.create_task(reader.next_swipe())
        writer = await writers.get()
        writer.write(3 * b'{"id_tag": "CARD"}\n' + b'{"id_tag": "OTHER"}\n{"id_tag": "CARD"}\n')
        assert await waiting == Swipe("CARD")
        assert await reader.next_swipe() == Swipe("OTHER")
        assert await reader.next_swipe() == Swipe("CARD")


async def test_a_line_without_end_costs_the_connection():
    async with reader_and_lines() as (reader, writers):
        waiting = asyncio.create_task(reader.next_swipe())
        (await writers.get()).write(b"x" * 5000)
        with pytest.raises(InstrumentError, match="1024"):
            await waiting
        waiting = asyncio.create_task(reader.next_swipe())
        (await writers.get()).write(b'{"id_tag": "AGAIN"}\n')
        assert await waiting == Swipe("AGAIN")


async def test_a_reader_that_is_not_there_is_said():
    with short_directory() as directory, pytest.raises(InstrumentError, match="card reader"):
        await SimCardReader(directory / "reader.sock").next_swipe()


@pytest.mark.parametrize(
    "line",
    [
        b"\n",
        b"not json\n",
        b"[]\n",
        b"{}\n",
        b'{"id_tag": ""}\n',
        b'{"id_tag": "  "}\n',
        b'{"id_tag": 7}\n',
        b'{"id_tag": "123456789012345678901"}\n',
        b'{"id_tag": "x", "connectors": "all"}\n',
        b'{"id_tag": "x", "more": 1}\n',
        b"\xff\n",
        b"[" * 100_000 + b"\n",
    ],
)
def test_a_line_that_is_no_swipe_is_refused(line):
    with pytest.raises(InstrumentError):
        parse_swipe(line)
