"""The local command socket: JSON lines, one answer for each request, several for one that watches.

A request is an object with a `command`; what else it holds is the command's business. Whatever a peer sends,
it gets an object back, `{"error": …}` where it was wrong. The socket is for its owner only (mode 0600).
"""

import asyncio
import contextlib
import json
import logging
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from evcharge_hal.contract.errors import EvchargeError, InvalidFieldError, ProtocolError

MAX_LINE_BYTES = 65536
MAX_CLIENTS = 16
IDLE_S = 60.0
"""A client that asks nothing for this long is disconnected; one that watches is not."""
DEFAULT_TIMEOUT_S = 10.0

Request = Mapping[str, Any]
Response = Mapping[str, Any]
CommandHandler = Callable[[Request], Awaitable[Response]]
StreamHandler = Callable[[Request], AsyncIterator[Response]]

_log = logging.getLogger(__name__)


class ControlError(EvchargeError):
    """The agent could not be asked, or said no."""


class RequestRefusedError(ControlError):
    """The agent answered that the request is wrong; the text names the field and what is allowed."""


class ControlServer:
    """Answers commands at `socket_path`. `run` ends only by cancellation.

    `handlers` answer once; `streams` answer until the client goes. Both may raise `EvchargeError`, whose
    text becomes the error the client sees.
    """

    def __init__(
        self,
        socket_path: Path,
        handlers: Mapping[str, CommandHandler],
        streams: Mapping[str, StreamHandler] | None = None,
    ) -> None:
        self._path = socket_path
        self._handlers = handlers
        self._streams = streams or {}
        self._clients: set[asyncio.Task[Any]] = set()

    async def run(self) -> None:
        """Listen and serve.

        Raises:
            OSError: the socket cannot be made.
        """
        server = await asyncio.start_unix_server(self._serve, sock=_listen(self._path), limit=MAX_LINE_BYTES)
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            # Clients first: from Python 3.12 on a server waits for them, and one that watches never goes.
            server.close()
            for task in self._clients:
                task.cancel()
            await asyncio.gather(*self._clients, return_exceptions=True)
            self._path.unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None or len(self._clients) >= MAX_CLIENTS:
            writer.write(_line({"error": f"busy: {MAX_CLIENTS} clients are connected"}))
            writer.close()
            return
        self._clients.add(task)
        try:
            while await self._answer_one(reader, writer):
                pass
        except (OSError, EvchargeError) as error:
            _log.debug("A control client was dropped: %s", error)
        except asyncio.CancelledError:
            # The server ends; asyncio's stream callback would log a task that ends cancelled.
            _log.debug("A control client was dropped: the agent stops")
        finally:
            self._clients.discard(task)
            writer.close()

    async def _answer_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Read one request and answer it; False when the client has nothing more to ask."""
        try:
            async with asyncio.timeout(IDLE_S):
                line = await reader.readline()
        except ValueError:
            writer.write(_line({"error": f"request: allowed: a line of at most {MAX_LINE_BYTES} bytes"}))
            return False
        if not line.endswith(b"\n"):
            return False
        try:
            request, name = self._parse(line)
            if name in self._streams:
                await self._stream(self._streams[name](request), reader, writer)
                return False
            response = await self._handlers[name](request)
        except EvchargeError as error:
            response = {"error": str(error)}
        except Exception:  # noqa: BLE001 - whatever it is, the client is answered and the server goes on
            _log.exception("A control command failed")
            response = {"error": "internal error, see the log"}
        writer.write(_line(response))
        await writer.drain()
        return True

    def _parse(self, line: bytes) -> tuple[Request, str]:
        try:
            request = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise ProtocolError("request: allowed: one JSON object on a line") from error
        if not isinstance(request, dict):
            raise InvalidFieldError("request", request, "a JSON object")
        names = sorted({*self._handlers, *self._streams})
        name = request.get("command")
        if not isinstance(name, str) or name not in names:
            raise InvalidFieldError("command", name, "one of " + ", ".join(names))
        return request, name

    async def _stream(
        self, responses: AsyncIterator[Response], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Write responses until they end or the client goes; only its going tells that nobody watches."""

        async def pump() -> None:
            async for response in responses:
                writer.write(_line(response))
                await writer.drain()

        tasks = (asyncio.create_task(pump()), asyncio.create_task(reader.read(1)))
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        if isinstance(outcomes[0], Exception) and not isinstance(outcomes[0], OSError):
            raise outcomes[0]


def control_request(socket_path: Path, request: Request, timeout_s: float = DEFAULT_TIMEOUT_S) -> dict[str, Any]:
    """Ask the agent once and return its answer. Blocks; for commands, not for the agent itself.

    Raises:
        ControlError: no agent runs there, it did not answer in time, or it refused with the text given.
    """
    for response in control_stream(socket_path, request, timeout_s):
        return response
    raise ControlError(f"the agent at {socket_path} gave no answer")


def control_stream(socket_path: Path, request: Request, timeout_s: float | None = None) -> Iterator[dict[str, Any]]:
    """Ask the agent and give each answer as it comes, until it ends. Blocks.

    Raises:
        ControlError: as `control_request`; `timeout_s` limits the wait for each answer.
    """
    with contextlib.closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as connection:
        connection.settimeout(timeout_s)
        try:
            connection.connect(str(socket_path))
            connection.sendall(_line(request))
            with connection.makefile("rb") as answers:
                for line in answers:
                    yield _response(line)
        except TimeoutError as error:
            raise ControlError(f"the agent at {socket_path} did not answer in time") from error
        except OSError as error:
            raise ControlError(f"no agent at {socket_path}: {error.strerror or error}") from error


def _response(line: bytes) -> dict[str, Any]:
    try:
        response = json.loads(line)
    except ValueError as error:
        raise ControlError("the agent's answer is not JSON") from error
    if not isinstance(response, dict):
        raise ControlError("the agent's answer is not an object")
    if isinstance(response.get("error"), str):
        raise RequestRefusedError(response["error"])
    return response


def _line(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":"), default=str).encode() + b"\n"


def _listen(path: Path) -> socket.socket:
    """Make the socket, private from its first moment; a leftover of an earlier run is replaced."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        path.unlink(missing_ok=True)
        mask = os.umask(0o177)
        try:
            listener.bind(str(path))
        finally:
            os.umask(mask)
        listener.setblocking(False)
    except BaseException:
        listener.close()
        raise
    return listener
