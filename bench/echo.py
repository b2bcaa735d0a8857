"""Bare processes on the same paths as guard and agent: they answer at once and decide nothing.

`guard`: a level on its line socket or bytes on its pty become a `set` line, a line on its unix socket becomes
bytes on the pty. `agent`: asyncio, passes a line on to that unix socket and answers. What these take is what
kernel, interpreter and machine take; the rest of a latency is ours.
"""

import asyncio
import contextlib
import os
import selectors
import socket
import sys
import tty
from pathlib import Path

GPIO_SOCKET = "echo-gpio.sock"
PILOT = "echo-pilot"
GUARD_SOCKET = "echo-guard.sock"
AGENT_SOCKET = "echo-agent.sock"
EDGE_ANSWER = b"set 17 0\n"
FRAME_ANSWER = b"set 24 0\n"
FRAME = bytes(24)
"""As many bytes as a CONTROL frame."""


def run_guard(folder: Path) -> None:
    """Answer until the world is gone."""
    lines = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    lines.connect(str(folder / GPIO_SOCKET))
    port = os.open(folder / PILOT, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    tty.setraw(port)
    door = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    door.bind(str(folder / GUARD_SOCKET))
    door.listen()
    agent: socket.socket | None = None
    selector = selectors.DefaultSelector()
    for descriptor in (lines, port, door):
        selector.register(descriptor, selectors.EVENT_READ)
    while True:
        for key, _ in selector.select():
            if key.fileobj is lines:
                data = lines.recv(4096)
                if not data:
                    return
                if data.endswith(b" 1\n"):
                    lines.sendall(EDGE_ANSWER)
            elif key.fileobj == port:
                with contextlib.suppress(BlockingIOError):
                    os.read(port, 4096)
                    lines.sendall(FRAME_ANSWER)
            elif key.fileobj is door:
                agent, _address = door.accept()
                selector.register(agent, selectors.EVENT_READ)
            elif agent is not None and not agent.recv(4096):
                selector.unregister(agent)
            else:
                os.write(port, FRAME)


async def run_agent(folder: Path) -> None:
    """Pass on until killed."""
    _, onward = await asyncio.open_unix_connection(str(folder / GUARD_SOCKET))

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            onward.write(line)
            writer.write(b"{}\n")
        writer.close()

    server = await asyncio.start_unix_server(serve, str(folder / AGENT_SOCKET))
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    if sys.argv[1] == "guard":
        run_guard(Path(sys.argv[2]))
    else:
        asyncio.run(run_agent(Path(sys.argv[2])))
