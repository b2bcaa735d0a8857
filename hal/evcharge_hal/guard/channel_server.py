"""The guard's end of the channel: one agent at a time on a unix socket, never waited for.

The kernel says who connects (SO_PEERCRED); a peer must open with a `Hello` of our version. A newer agent takes
the place of an older one, since an agent that restarts may be back before its old connection is seen to end.
A peer that does not read loses its telemetry, then its connection; at the next `Hello` it gets the events it
has missed.
"""

import fcntl
import json
import logging
import os
import selectors
import socket
import struct
import sys
import termios
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from evcharge_hal.contract.channel import (
    CHANNEL_VERSION,
    MAX_LINE_BYTES,
    AgentMessage,
    GuardMessage,
    Hello,
    Refused,
    Status,
    read_agent_message,
    write_message,
)
from evcharge_hal.contract.errors import EvchargeError
from evcharge_hal.guard.journal import Throttle

SOCKET_NAME = "guard.sock"
ACCEPT_PAUSE_S = 1.0
"""After the system had no descriptor or no memory for one more connection."""
_MAX_STRANGERS = 4
"""Connections that have not said Hello yet; one more replaces the oldest."""
_TELEMETRY_BELOW_BYTES = 16 * 1024
"""A status is dropped while more than this waits: the next one says all of it again."""
_MAX_WAITING_BYTES = 256 * 1024
_REASON_LENGTH = 200
_LOG_EVERY_S = 10.0
_TOO_LONG = f"a line is longer than {MAX_LINE_BYTES} bytes"
_log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class _Peer:
    socket: socket.socket
    pid: int
    uid: int
    incoming: bytearray = field(default_factory=bytearray)
    outgoing: bytearray = field(default_factory=bytearray)
    stale_bytes: int = 0
    """So many of the next bytes were sent before or while the guard stood still."""
    is_open: bool = True

    def mark_stale(self) -> None:
        waiting = fcntl.ioctl(self.socket, termios.FIONREAD, bytes(4))
        self.stale_bytes = len(self.incoming) + int.from_bytes(waiting, sys.byteorder)

    def take_line(self) -> bytes | None:
        end = self.incoming.find(b"\n")
        if end < 0:
            return None
        line = bytes(self.incoming[:end])
        del self.incoming[: end + 1]
        self.stale_bytes = max(0, self.stale_bytes - (end + 1))
        return line


class ChannelServer:
    """Listens, knows the peers, and turns bytes into messages; what they mean is the guard's business."""

    def __init__(
        self,
        path: Path,
        selector: selectors.BaseSelector,
        allowed_uids: frozenset[int],
        *,
        group_id: int = -1,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """Listen at `path`, replacing a socket that a dead guard left; `group_id` may connect besides the owner.

        Raises:
            OSError: the path is too long, its folder is missing, or the group cannot be given.
        """
        self._path = path
        self._selector = selector
        self._allowed_uids = allowed_uids
        self._clock_s = clock_s
        self._throttle = Throttle(_LOG_EVERY_S)
        self._agent: _Peer | None = None
        self.is_stale = False
        """The message that `take_messages` gave last had been sent before `mark_stale`."""
        self._strangers: list[_Peer] = []
        self._listener = _listen(path, group_id)
        self._listen_again_s: float | None = None
        selector.register(self._listener, selectors.EVENT_READ, self._accept)

    @property
    def has_agent(self) -> bool:
        """A welcomed agent is connected."""
        return self._agent is not None

    @property
    def has_backlog(self) -> bool:
        """Whole lines have been received and not been taken: the loop must not sleep."""
        return any(b"\n" in peer.incoming for peer in self._peers())

    def take_messages(self, limit: int) -> Iterator[AgentMessage]:
        """Decode at most `limit` received lines; the first message of a connection is its Hello."""
        self._resume_listening()
        for peer in self._peers():
            while limit > 0 and peer.is_open:
                is_stale = peer.stale_bytes > 0
                if (line := peer.take_line()) is None:
                    break
                limit -= 1
                self.is_stale = is_stale
                message = self._read(peer, line)
                if message is not None:
                    yield message
            if peer.is_open and len(peer.incoming) > MAX_LINE_BYTES and b"\n" not in peer.incoming:
                self._refuse(peer, _TOO_LONG)

    def mark_stale(self) -> None:
        """Whatever has been sent to us until now waited while nobody took it; see `is_stale`."""
        for peer in self._peers():
            peer.mark_stale()

    def send(self, message: GuardMessage) -> None:
        """Send to the agent, if one is there; never blocks and never raises on its account."""
        if self._agent is None:
            return
        if isinstance(message, Status) and len(self._agent.outgoing) > _TELEMETRY_BELOW_BYTES:
            return
        self._write(self._agent, message)

    def close(self) -> None:
        """Close all connections and remove the socket."""
        for peer in self._peers():
            self._drop(peer)
        if self._listen_again_s is None:
            self._selector.unregister(self._listener)
        self._listener.close()
        self._path.unlink(missing_ok=True)

    def _peers(self) -> list[_Peer]:
        return [*self._strangers, *([self._agent] if self._agent is not None else [])]

    # --- connections ----------------------------------------------------------------------------------

    def _accept(self, _mask: int) -> None:
        try:
            connection, _ = self._listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return
        except OSError as error:
            # No descriptors or no memory. Whoever waits would wake the loop again at once, so nobody is looked for.
            self._listen_again_s = self._clock_s() + ACCEPT_PAUSE_S
            self._selector.unregister(self._listener)
            if self._throttle.admits("accept", self._clock_s()):
                _log.warning("cannot take a connection: %s", error)
            return
        connection.setblocking(False)
        pid, uid = _credentials(connection)
        peer = _Peer(connection, pid, uid)
        if len(self._strangers) >= _MAX_STRANGERS:
            self._drop(self._strangers[0])
        self._strangers.append(peer)
        self._selector.register(connection, selectors.EVENT_READ, lambda mask: self._handle(peer, mask))
        if uid not in self._allowed_uids:
            self._refuse(peer, f"user {uid} may not command this charger; see --agent-user")

    def _resume_listening(self) -> None:
        if self._listen_again_s is not None and self._clock_s() >= self._listen_again_s:
            self._listen_again_s = None
            self._selector.register(self._listener, selectors.EVENT_READ, self._accept)

    def _refuse(self, peer: _Peer, reason: str) -> None:
        if self._throttle.admits("refused", self._clock_s()):
            _log.warning("refused a peer (pid %d, user %d): %s", peer.pid, peer.uid, reason)
        self._write(peer, Refused(reason[:_REASON_LENGTH]))
        self._drop(peer)

    def _drop(self, peer: _Peer) -> None:
        if not peer.is_open:
            return
        peer.is_open = False
        self._selector.unregister(peer.socket)
        peer.socket.close()
        if peer is self._agent:
            self._agent = None
        else:
            self._strangers.remove(peer)

    def _welcome(self, peer: _Peer) -> None:
        """Make a peer the agent."""
        older = self._agent
        self._strangers.remove(peer)
        self._agent = peer
        _log.info("agent connected (pid %d, user %d)", peer.pid, peer.uid)
        if older is not None:
            self._strangers.append(older)
            self._refuse(older, f"replaced by a newer agent (pid {peer.pid})")

    # --- bytes ------------------------------------------------------------------------------------------

    def _handle(self, peer: _Peer, mask: int) -> None:
        if peer.is_open and mask & selectors.EVENT_WRITE:
            self._flush(peer)
        # What waits is worked off first: so much is read in a turn, and a flood stays in the sender's socket.
        if peer.is_open and mask & selectors.EVENT_READ and b"\n" not in peer.incoming:
            self._receive(peer)

    def _receive(self, peer: _Peer) -> None:
        try:
            data = peer.socket.recv(MAX_LINE_BYTES)
        except BlockingIOError:
            return
        except OSError as error:
            data = b""
            _log.debug("connection to pid %d failed: %s", peer.pid, error)
        if data:
            peer.incoming += data
            return
        if peer is self._agent:
            _log.info("agent disconnected (pid %d)", peer.pid)
        self._drop(peer)

    def _write(self, peer: _Peer, message: GuardMessage) -> None:
        if not peer.is_open:
            return
        peer.outgoing += write_message(message)
        self._flush(peer)
        if peer.is_open and len(peer.outgoing) > _MAX_WAITING_BYTES:
            _log.warning("agent (pid %d) does not read; disconnected", peer.pid)
            self._drop(peer)

    def _flush(self, peer: _Peer) -> None:
        try:
            sent = peer.socket.send(peer.outgoing)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            _log.debug("connection to pid %d failed: %s", peer.pid, error)
            self._drop(peer)
            return
        del peer.outgoing[:sent]
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if peer.outgoing else 0)
        key = self._selector.get_key(peer.socket)
        if key.events != events:
            self._selector.modify(peer.socket, events, key.data)

    # --- lines ------------------------------------------------------------------------------------------

    def _read(self, peer: _Peer, line: bytes) -> AgentMessage | None:
        """Decode one line; a bad line of a welcomed agent changes nothing, not even the connection."""
        if len(line) > MAX_LINE_BYTES:
            self._refuse(peer, _TOO_LONG)
            return None
        try:
            message = read_agent_message(line)
        except EvchargeError as error:
            if peer is not self._agent:
                self._refuse(peer, _why_no_hello(line, str(error)))
            elif self._throttle.admits("bad line", self._clock_s()):
                _log.warning("ignored a line of the agent: %s", error)
            return None
        if isinstance(message, Hello):
            if message.version != CHANNEL_VERSION:
                self._refuse(peer, _other_version(message.version))
                return None
            if peer is self._agent:
                # Each is answered with up to 256 events.
                self._refuse(peer, "hello may be said once in a connection")
                return None
            self._welcome(peer)
        elif peer is not self._agent:
            self._refuse(peer, "the first message must be hello")
            return None
        return message


def _listen(path: Path, group_id: int) -> socket.socket:
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    # The mode must be right from the first moment, so that nobody slips in before a chmod.
    umask = os.umask(0o117)
    try:
        listener.bind(str(path))
        if group_id >= 0:
            os.chown(path, -1, group_id)
        listener.listen(_MAX_STRANGERS)
    except OSError:
        listener.close()
        raise
    finally:
        os.umask(umask)
    listener.setblocking(False)
    return listener


def _credentials(connection: socket.socket) -> tuple[int, int]:
    """Return process and user of the peer at the time it connected, as the kernel knows them."""
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("iII"))
    pid, uid, _ = struct.unpack("iII", raw)
    return pid, uid


def _other_version(version: object) -> str:
    return f"channel version {version} is not spoken here; this guard speaks {CHANNEL_VERSION}"


def _why_no_hello(line: bytes, problem: str) -> str:
    """Name the version where that is the trouble: a later Hello may have fields we do not know."""
    try:
        fields = json.loads(line)
        version = fields["version"] if fields["type"] == "hello" else CHANNEL_VERSION
    except (ValueError, RecursionError, TypeError, KeyError):
        return problem
    return _other_version(version) if isinstance(version, int) and version != CHANNEL_VERSION else problem
