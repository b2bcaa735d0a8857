"""The agent's end of the guard channel: reconnects for ever, posts what the guard says, never blocks.

The guard repeats its status every second and the core repeats its set-points, so nothing is queued here:
a message that cannot leave now is dropped, and silence of the guard counts as losing it.
"""

import asyncio
import logging
from importlib import metadata
from pathlib import Path

from evcharge_agent.core.events import GuardConnected, GuardLost, GuardReplied, GuardReported, StatusReceived
from evcharge_agent.runtime.inbox import Inbox
from evcharge_hal.contract.channel import (
    CHANNEL_VERSION,
    MAX_LINE_BYTES,
    AgentMessage,
    GuardEvent,
    GuardMessage,
    Hello,
    Refused,
    Reply,
    Status,
    Welcome,
    read_guard_message,
    write_message,
)
from evcharge_hal.contract.errors import EvchargeError, ProtocolError

SILENCE_S = 3.0
"""The guard sends a status every second (channel.Status); three missing ones are a dead guard."""
RETRY_FIRST_S = 0.1
RETRY_MOST_S = 1.0
MAX_UNSENT_BYTES = MAX_LINE_BYTES
"""A guard that stopped reading gets no more; after it wakes, fresh set-points follow within a second."""
# A welcome replays up to 1024 events; all other lines are far below MAX_LINE_BYTES.
_MAX_WELCOME_BYTES = 8 * MAX_LINE_BYTES

_log = logging.getLogger(__name__)


class GuardClient:
    """Talks to the guard at `socket_path`. `run` ends only by cancellation."""

    def __init__(self, socket_path: Path, inbox: Inbox, *, silence_s: float = SILENCE_S) -> None:
        self._path = socket_path
        self._inbox = inbox
        self._silence_s = silence_s
        self._writer: asyncio.StreamWriter | None = None
        self._guard_id: str | None = None
        self._last_event = 0
        self._dropped = 0

    @property
    def is_connected(self) -> bool:
        """The handshake is done and the channel stands."""
        return self._writer is not None

    @property
    def dropped(self) -> int:
        """Messages that could not be sent since the start."""
        return self._dropped

    def send(self, message: AgentMessage) -> None:
        """Write one message, or drop it when there is no guard or it does not read."""
        writer = self._writer
        if writer is None or writer.is_closing():
            self._drop(message, "no guard")
        elif writer.transport.get_write_buffer_size() > MAX_UNSENT_BYTES:
            self._drop(message, "the guard does not read")
        else:
            writer.write(write_message(message))

    async def run(self) -> None:
        """Connect, listen, reconnect."""
        retry_s = RETRY_FIRST_S
        while True:
            try:
                await self._converse()
            except (OSError, EvchargeError) as error:
                # The first failure after a conversation is news, the repetition while the guard is away is not.
                _log.log(logging.WARNING if retry_s == RETRY_FIRST_S else logging.DEBUG, "No guard: %s", error)
            if self._writer is not None:
                self._writer = None
                self._inbox.post(GuardLost())
                retry_s = RETRY_FIRST_S
            await asyncio.sleep(retry_s)
            retry_s = min(retry_s * 2.0, RETRY_MOST_S)

    async def _converse(self) -> None:
        """One connection from hello to its end.

        Raises:
            OSError: the socket failed.
            ProtocolError: the guard refused, fell silent, ended the connection or sent what is no line.
        """
        reader, writer = await asyncio.open_unix_connection(self._path, limit=_MAX_WELCOME_BYTES)
        try:
            hello = Hello(CHANNEL_VERSION, f"evcharge-agent {_version()}", self._guard_id, self._last_event)
            writer.write(write_message(hello))
            self._enter(await self._next_message(reader), writer)
            while True:
                self._take(await self._next_message(reader))
        finally:
            # Not close(): that would wait for a guard that has stopped reading to take what is unsent.
            writer.transport.abort()

    async def _next_message(self, reader: asyncio.StreamReader) -> GuardMessage:
        """Read one message; lines that are none are logged and skipped, and count as silence."""
        try:
            async with asyncio.timeout(self._silence_s):
                while True:
                    line = await reader.readline()
                    if not line.endswith(b"\n"):
                        raise ProtocolError("the guard ended the connection")
                    try:
                        return read_guard_message(line)
                    except EvchargeError as error:
                        _log.warning("The guard sent a message that was dropped: %s", error)
        except TimeoutError as error:
            raise ProtocolError(f"the guard said nothing for {self._silence_s:g} s") from error
        except ValueError as error:
            raise ProtocolError(f"the guard sent a line of more than {_MAX_WELCOME_BYTES} bytes") from error

    def _enter(self, answer: GuardMessage, writer: asyncio.StreamWriter) -> None:
        """Take the answer to hello: the handshake is done, missed events follow it."""
        if isinstance(answer, Refused):
            raise ProtocolError(f"the guard refused: {answer.reason}")
        if not isinstance(answer, Welcome):
            raise ProtocolError(f"the guard answered hello with {type(answer).__name__}")
        if answer.version != CHANNEL_VERSION:
            raise ProtocolError(f"the guard speaks version {answer.version}, this agent {CHANNEL_VERSION}")
        if answer.guard_id != self._guard_id:
            self._guard_id, self._last_event = answer.guard_id, 0
        self._writer = writer
        _log.info("Guard %s connected, board %s", answer.guard_id, answer.board)
        self._inbox.post(GuardConnected(answer))
        for event in answer.events:
            self._report(event)

    def _take(self, message: GuardMessage) -> None:
        match message:
            case Status():
                self._inbox.post(StatusReceived(message))
            case GuardEvent():
                self._report(message)
            case Reply():
                self._inbox.post(GuardReplied(message))
            case Refused(reason):
                raise ProtocolError(f"the guard refused: {reason}")
            case Welcome():
                raise ProtocolError("the guard sent a second welcome")

    def _report(self, event: GuardEvent) -> None:
        """Post an event once: the replay at hello may repeat what was seen."""
        if event.number > self._last_event:
            self._last_event = event.number
            self._inbox.post(GuardReported(event))

    def _drop(self, message: AgentMessage, reason: str) -> None:
        self._dropped += 1
        _log.debug("Dropped %s: %s", type(message).__name__, reason)


def _version() -> str:
    return metadata.version("evcharge-agent")
