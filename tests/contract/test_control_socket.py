"""The local command socket: real sockets, a client in a thread as the command line has it, and hostile peers."""

import asyncio
import contextlib
import json
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from evcharge_agent.runtime.control import (
    MAX_CLIENTS,
    ControlError,
    ControlServer,
    Request,
    Response,
    control_request,
    control_stream,
)
from evcharge_hal.contract.errors import InvalidFieldError
from tests.support.short_paths import short_directory


async def status(request: Request) -> Response:
    return {"state": "ok", "asked": request.get("asked")}


async def refuse(_request: Request) -> Response:
    raise InvalidFieldError("connector", 9, "1 or 2")


async def break_down(_request: Request) -> Response:
    raise ZeroDivisionError


async def count(request: Request) -> AsyncIterator[Response]:
    if request.get("from") == "bad":
        raise InvalidFieldError("from", "bad", "a number")
    for number in range(3):
        yield {"number": number}


async def watch_for_ever(_request: Request) -> AsyncIterator[Response]:
    yield {"number": 0}
    await asyncio.Event().wait()


@contextlib.asynccontextmanager
async def served() -> AsyncIterator[tuple[Path, ControlServer]]:
    with short_directory() as directory:
        path = directory / "agent.sock"
        server = ControlServer(
            path,
            {"status": status, "start": refuse, "break": break_down},
            {"count": count, "watch": watch_for_ever},
        )
        task = asyncio.create_task(server.run())
        while not path.exists():  # noqa: ASYNC110 - the server has no other way to say that it listens
            await asyncio.sleep(0.002)
        try:
            yield path, server
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


@contextlib.asynccontextmanager
async def connected(path: Path) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_unix_connection(path)
    try:
        yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def answer_to(path: Path, line: bytes) -> dict[str, object]:
    async with connected(path) as (reader, writer):
        writer.write(line)
        return json.loads(await asyncio.wait_for(reader.readline(), 5.0))


async def test_a_command_is_answered():
    async with served() as (path, _server):
        answer = await asyncio.to_thread(control_request, path, {"command": "status", "asked": 1})
        assert answer == {"state": "ok", "asked": 1}


async def test_several_commands_share_a_connection():
    async with served() as (path, _server), connected(path) as (reader, writer):
        writer.write(b'{"command":"status","asked":1}\n{"command":"nonsense"}\n{"command":"status","asked":2}\n')
        answers = [json.loads(await reader.readline()) for _ in range(3)]
        assert [answer.get("asked", "error") for answer in answers] == [1, "error", 2]


async def test_a_refusal_reaches_the_user_in_words():
    async with served() as (path, _server):
        with pytest.raises(ControlError, match="connector = 9: allowed: 1 or 2"):
            await asyncio.to_thread(control_request, path, {"command": "start"})
        with pytest.raises(ControlError, match="from = 'bad': allowed: a number"):
            await asyncio.to_thread(control_request, path, {"command": "count", "from": "bad"})


async def test_a_mistake_of_ours_is_logged_and_not_shown(caplog):
    async with served() as (path, _server):
        with pytest.raises(ControlError, match="internal error, see the log"):
            await asyncio.to_thread(control_request, path, {"command": "break"})
        assert "ZeroDivisionError" in caplog.text
        assert await answer_to(path, b'{"command":"status"}\n') == {"state": "ok", "asked": None}


async def test_a_stream_gives_all_its_answers():
    async with served() as (path, _server):
        answers = await asyncio.to_thread(lambda: list(control_stream(path, {"command": "count"})))
        assert answers == [{"number": 0}, {"number": 1}, {"number": 2}]


async def test_one_who_watches_and_goes_is_forgotten():
    async with served() as (path, server):
        async with connected(path) as (reader, writer):
            writer.write(b'{"command":"watch"}\n')
            assert json.loads(await reader.readline()) == {"number": 0}
            assert len(server._clients) == 1
        async with asyncio.timeout(5.0):
            while server._clients:  # noqa: ASYNC110 - what is tested is that it becomes empty
                await asyncio.sleep(0.002)


@pytest.mark.parametrize(
    "line",
    [
        b"\n",
        b"nonsense\n",
        b"[]\n",
        b"{}\n",
        b'"status"\n',
        b'{"command": 7}\n',
        b'{"command": ["status"]}\n',
        b'{"command": {"status": 1}}\n',
        b'{"command": "stat\\u0000us"}\n',
        b"\xff\xfe\x00\n",
        b"[" * 60_000 + b"\n",
        b'{"command": "' + b"x" * 60_000 + b'"}\n',
        b"x" * 200_000 + b"\n",
        b"x" * 200_000,
    ],
)
async def test_hostile_lines_are_answered_with_an_error(line):
    async with served() as (path, _server):
        answer = await answer_to(path, line)
        assert list(answer) == ["error"]
        assert len(answer["error"]) < 300
        assert await answer_to(path, b'{"command":"status"}\n') == {"state": "ok", "asked": None}


async def test_a_crowd_is_told_to_wait():
    async with served() as (path, _server), contextlib.AsyncExitStack() as crowd:
        for _ in range(MAX_CLIENTS):
            reader, writer = await crowd.enter_async_context(connected(path))
            writer.write(b'{"command":"status"}\n')
            await reader.readline()
        assert "busy" in (await answer_to(path, b'{"command":"status"}\n'))["error"]


async def test_only_the_owner_may_ask():
    async with served() as (path, _server):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_the_socket_is_gone_when_the_agent_is_and_a_leftover_is_no_obstacle():
    async with served() as (path, _server):
        pass
    assert not path.exists()
    with short_directory() as directory:
        (directory / "agent.sock").touch()
        server = asyncio.create_task(ControlServer(directory / "agent.sock", {"status": status}).run())
        async with asyncio.timeout(5.0):
            while not (directory / "agent.sock").is_socket():  # noqa: ASYNC110 - see above
                await asyncio.sleep(0.002)
        server.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await server


async def test_no_agent_is_said_in_words():
    with short_directory() as directory, pytest.raises(ControlError, match=r"no agent at .*agent\.sock: No such file"):
        control_request(directory / "agent.sock", {"command": "status"})


async def test_an_agent_that_hangs_is_given_up():
    with short_directory() as directory:
        writers = []

        async def hang(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writers.append(writer)

        server = await asyncio.start_unix_server(hang, directory / "agent.sock")
        with pytest.raises(ControlError, match="in time"):
            await asyncio.to_thread(control_request, directory / "agent.sock", {"command": "status"}, 0.05)
        server.close()
        for writer in writers:
            writer.transport.abort()
        await asyncio.sleep(0)


@pytest.mark.parametrize("answer", [b"nonsense\n", b"[1]\n", b""])
async def test_a_peer_that_is_no_agent_is_said(answer):
    with short_directory() as directory:

        async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readline()
            writer.write(answer)
            writer.close()

        server = await asyncio.start_unix_server(babble, directory / "agent.sock")
        with pytest.raises(ControlError):
            await asyncio.to_thread(control_request, directory / "agent.sock", {"command": "status"})
        server.close()
