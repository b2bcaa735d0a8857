"""The agent's end of the guard channel on a real unix socket, against a guard that is scripted line by line."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from evcharge_agent.core.events import GuardConnected, GuardLost, GuardReplied, GuardReported, StatusReceived
from evcharge_agent.runtime.guard_client import GuardClient
from evcharge_agent.runtime.inbox import Inbox
from evcharge_hal.contract.channel import (
    ConnectorRating,
    EventKind,
    GuardEvent,
    GuardMessage,
    Hello,
    Indicate,
    Indication,
    Refused,
    Reply,
    SetPoint,
    Status,
    Welcome,
    read_agent_message,
    write_message,
)
from evcharge_hal.contract.units import Amps
from tests.support.short_paths import short_directory

RATING = ConnectorRating(connector=1, max_a=Amps(32.0), phases=3, has_fixed_cable=False)
STATUS = Status(at_s=12.5, is_coprocessor_up=True, connectors=())
REPLY = Reply(request=3, is_accepted=False, reason="no")
INDICATE = Indicate(connector=1, indication=Indication.CHARGING)


def event(number: int) -> GuardEvent:
    return GuardEvent(number=number, at_s=float(number), kind=EventKind.PLUGGED, connector=1, plug_id="p")


def welcome(*events: GuardEvent, guard_id: str = "g1", version: int = 1) -> Welcome:
    return Welcome(
        version=version, guard_id=guard_id, boot_id="b", board="sim", connectors=(RATING,), events=tuple(events)
    )


class Guard:
    """One connection as the guard sees it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def hears(self):
        return read_agent_message(await self.reader.readline())

    async def says(self, *messages: GuardMessage | bytes) -> None:
        for message in messages:
            self.writer.write(message if isinstance(message, bytes) else write_message(message))
        await self.writer.drain()

    async def hangs_up(self) -> None:
        self.writer.close()
        with contextlib.suppress(OSError):
            await self.writer.wait_closed()


class Scene:
    """A client that runs, and the connections it makes."""

    def __init__(self, path: Path, silence_s: float) -> None:
        self.path = path
        self.inbox = Inbox()
        self.client = GuardClient(path, self.inbox, silence_s=silence_s)
        self.connections: asyncio.Queue[Guard] = asyncio.Queue()
        self.guards: list[Guard] = []
        self.server: asyncio.Server | None = None

    async def listen(self) -> None:
        self.server = await asyncio.start_unix_server(self.accepted, self.path)

    async def accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.guards.append(Guard(reader, writer))
        await self.connections.put(self.guards[-1])

    async def close(self) -> None:
        if self.server is not None:
            self.server.close()
        for guard in self.guards:
            guard.writer.transport.abort()
        for guard in self.guards:
            await guard.hangs_up()

    async def next_event(self) -> object:
        return await asyncio.wait_for(self.inbox.take(), 5.0)

    async def guard(self) -> tuple[Guard, Hello]:
        connection = await asyncio.wait_for(self.connections.get(), 5.0)
        return connection, await connection.hears()


@contextlib.asynccontextmanager
async def scene(silence_s: float = 3.0, *, is_guard_there: bool = True) -> AsyncIterator[Scene]:
    with short_directory() as directory:
        around = Scene(directory / "guard.sock", silence_s)
        if is_guard_there:
            await around.listen()
        task = asyncio.create_task(around.client.run())
        try:
            yield around
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            await around.close()


async def test_the_handshake_and_all_that_the_guard_says():
    async with scene() as around:
        guard, hello = await around.guard()
        assert (hello.version, hello.guard_id, hello.last_event) == (1, None, 0)
        assert not around.client.is_connected
        greeting = welcome(event(1), event(2))
        await guard.says(greeting, STATUS, event(3), REPLY)
        assert [await around.next_event() for _ in range(6)] == [
            GuardConnected(greeting),
            GuardReported(event(1)),
            GuardReported(event(2)),
            StatusReceived(STATUS),
            GuardReported(event(3)),
            GuardReplied(REPLY),
        ]
        assert around.client.is_connected
        await guard.hangs_up()


async def test_what_the_agent_says_arrives():
    async with scene() as around:
        guard, _hello = await around.guard()
        around.client.send(INDICATE)
        assert around.client.dropped == 1
        await guard.says(welcome())
        await around.next_event()
        set_point = SetPoint(connector=1, plug_id="p", offer_a=Amps(16.0), permission=True)
        around.client.send(set_point)
        around.client.send(INDICATE)
        assert [await guard.hears(), await guard.hears()] == [set_point, INDICATE]
        assert around.client.dropped == 1


async def test_a_lost_guard_is_told_once_and_found_again_where_it_was_left():
    async with scene() as around:
        guard, _hello = await around.guard()
        await guard.says(welcome(event(7)), event(8))
        for _ in range(3):
            await around.next_event()
        await guard.hangs_up()
        assert await around.next_event() == GuardLost()
        around.client.send(INDICATE)
        guard, hello = await around.guard()
        assert (hello.guard_id, hello.last_event) == ("g1", 8)
        # A replay of what was seen is not told twice.
        again = welcome(event(8), event(9))
        await guard.says(again)
        assert [await around.next_event(), await around.next_event()] == [
            GuardConnected(again),
            GuardReported(event(9)),
        ]


async def test_a_new_guard_counts_from_the_beginning():
    async with scene() as around:
        guard, _hello = await around.guard()
        await guard.says(welcome(event(50)))
        await guard.hangs_up()
        for _ in range(3):
            await around.next_event()
        guard, _hello = await around.guard()
        await guard.says(welcome(event(1), guard_id="g2"))
        await around.next_event()
        assert await around.next_event() == GuardReported(event(1))
        await guard.hangs_up()
        await around.next_event()
        _guard, hello = await around.guard()
        assert (hello.guard_id, hello.last_event) == ("g2", 1)


@pytest.mark.parametrize(
    "line",
    [
        b"\n",
        b"{}\n",
        b"not json\n",
        b"[1]\n",
        b'{"type":"nonsense"}\n',
        b'{"type":"status"}\n',
        b"\xff\xfe\n",
        b"[" * 9000 + b"\n",
    ],
)
async def test_a_line_that_is_no_message_is_skipped(line):
    async with scene() as around:
        guard, _hello = await around.guard()
        await guard.says(welcome(), line, STATUS)
        await around.next_event()
        assert await around.next_event() == StatusReceived(STATUS)


@pytest.mark.parametrize(
    "answers",
    [
        (Refused(reason="another agent is connected"),),
        (welcome(version=2),),
        (STATUS,),
        (welcome(), welcome()),
        (welcome(), Refused(reason="enough")),
        (welcome(), b'{"type":"' + b"x" * 600_000),
    ],
)
async def test_a_guard_that_refuses_or_babbles_is_tried_again(answers):
    async with scene() as around:
        guard, _hello = await around.guard()
        with contextlib.suppress(OSError):
            await guard.says(*answers)
        guard, _hello = await around.guard()
        await guard.says(welcome(guard_id="good"))
        told = []
        while not told or told[-1] != GuardConnected(welcome(guard_id="good")):
            told.append(await around.next_event())
        # Connected and lost alternate: whoever was told of the one is told of the other.
        assert told[:-1] in ([], [GuardConnected(welcome()), GuardLost()])


async def test_silence_is_a_lost_guard():
    async with scene(silence_s=0.15) as around:
        guard, _hello = await around.guard()
        await guard.says(welcome())
        assert isinstance(await around.next_event(), GuardConnected)
        assert await around.next_event() == GuardLost()
        await around.guard()


async def test_lines_that_are_no_messages_are_silence_too():
    async with scene(silence_s=0.15) as around:
        guard, _hello = await around.guard()
        await guard.says(welcome())
        await around.next_event()

        async def babble() -> None:
            with contextlib.suppress(OSError):
                for _ in range(100):
                    await guard.says(b"hm\n")
                    await asyncio.sleep(0.02)

        babbling = asyncio.create_task(babble())
        assert await around.next_event() == GuardLost()
        babbling.cancel()


async def test_a_guard_that_does_not_read_never_blocks_the_agent():
    async with scene() as around:
        guard, _hello = await around.guard()
        guard.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        guard.reader._transport.pause_reading()
        await guard.says(welcome())
        await around.next_event()
        for _ in range(5000):
            around.client.send(INDICATE)
        assert around.client.dropped > 0
        transport = around.client._writer.transport
        assert transport.get_write_buffer_size() < 100_000


async def test_an_absent_guard_is_waited_for():
    async with scene(is_guard_there=False) as around:
        await asyncio.sleep(0.15)
        await around.listen()
        guard, _hello = await around.guard()
        await guard.says(welcome())
        assert isinstance(await around.next_event(), GuardConnected)
