"""The control interface: HTTP and JSON on a unix socket, and on loopback TCP where configured."""

import asyncio
import contextlib
import json
import logging
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from evcharge_hal.contract.errors import InvalidFieldError
from evcharge_hal.contract.schema import encode
from evcharge_hal.sim.verbs import UnknownVerbError
from evcharge_hal.sim.world import World

LOOPBACK = "127.0.0.1"
MAX_BODY_BYTES = 65536
_EXIT_POLL_S = 1.0


def build_app(world: World, catch_up: Callable[[], None], health: Callable[[], dict[str, Any]]) -> Starlette:
    """Build the application; every handler answers at once, whatever guard and agent do."""

    async def get_health(_request: Request) -> JSONResponse:
        return JSONResponse(health())

    async def get_state(_request: Request) -> JSONResponse:
        catch_up()
        return JSONResponse(world.state())

    async def post_verb(request: Request) -> JSONResponse:
        try:
            body = await _read_body(request)
            catch_up()
            return JSONResponse(world.perform(request.path_params["verb"], body))
        except UnknownVerbError as error:
            return _refusal(404, str(error), {"verb": error.verb, "nearest": error.nearest})
        except InvalidFieldError as error:
            detail = {"field": error.path, "value": encode(error.value), "allowed": error.allowed}
            return _refusal(400, str(error), {**detail, "nearest": error.nearest})

    return Starlette(
        routes=[
            Route("/sim/health", get_health, methods=["GET"]),
            Route("/sim/state", get_state, methods=["GET"]),
            Route("/sim/{verb}", post_verb, methods=["POST"]),
        ]
    )


async def _read_body(request: Request) -> Any:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise InvalidFieldError("body", len(body), f"at most {MAX_BODY_BYTES} bytes")
    try:
        return json.loads(body) if body else {}
    except (ValueError, RecursionError) as error:
        raise InvalidFieldError("body", body[:40].decode("utf-8", "replace"), "a JSON object") from error


def _refusal(status: int, text: str, detail: dict[str, Any]) -> JSONResponse:
    try:
        return JSONResponse({"error": {"text": text, **detail}}, status)
    except ValueError:  # a hostile value such as NaN is JSON to Python and to nobody else
        return JSONResponse({"error": {"text": text, **detail, "value": repr(detail.get("value"))}}, status)


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers and without waking ten times a second."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.stopping = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def main_loop(self) -> None:
        while not self.stopping.is_set():
            await self.on_tick(0)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.stopping.wait(), _EXIT_POLL_S)


class ControlServer:
    """Serves one application on all its sockets."""

    def __init__(self, app: Starlette) -> None:
        config = uvicorn.Config(
            app,
            lifespan="off",
            log_config=None,
            access_log=False,
            http="h11",
            ws="none",
            loop="asyncio",
            timeout_keep_alive=5,
            timeout_graceful_shutdown=1,
            limit_concurrency=64,
        )
        for name in ("uvicorn", "uvicorn.error"):
            logging.getLogger(name).setLevel(logging.WARNING)
        self._server = _Server(config)
        self._task: asyncio.Task[None] | None = None

    async def start(self, path: Path, tcp_port: int | None) -> int | None:
        """Listen on a free path; return the TCP port where there is one.

        Raises:
            OSError: a path or port cannot be used.
        """
        door = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        door.bind(str(path))
        doors = [door]
        if tcp_port is not None:
            inet = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            inet.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            inet.bind((LOOPBACK, tcp_port))
            doors.append(inet)
        # Listening before the server accepts: from here on a client waits instead of being refused.
        for each in doors:
            each.listen()
            each.setblocking(False)
        self._task = asyncio.create_task(self._server.serve(sockets=doors), name="sim-control")
        return doors[1].getsockname()[1] if tcp_port is not None else None

    async def stop(self) -> None:
        """Finish what is being answered, then close."""
        self._server.should_exit = True
        self._server.stopping.set()
        if self._task is not None:
            await self._task
