"""The guard's socket with real peers: who may speak, what hostile lines do, and who is never waited for."""

import contextlib
import json
import os
import resource
import selectors
import shutil
import socket
import stat
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evcharge_hal.contract.channel import (
    MAX_LINE_BYTES,
    AgentMessage,
    EventKind,
    GuardEvent,
    Hello,
    Indicate,
    Indication,
    Refused,
    Reply,
    SetPoint,
    Status,
    read_guard_message,
    write_message,
)
from evcharge_hal.contract.units import Amps
from evcharge_hal.guard.channel_server import ACCEPT_PAUSE_S, SOCKET_NAME, ChannelServer

HELLO = Hello(1, "test agent")
WISH = SetPoint(1, None, Amps(16.0), permission=True)


class Channel:
    """A server whose loop the test turns by hand; what it sends and takes is therefore deterministic."""

    def __init__(self, allowed_uids: frozenset[int] | None = None) -> None:
        self.folder = Path(tempfile.mkdtemp(dir="/tmp"))
        self.path = self.folder / SOCKET_NAME
        self.selector = selectors.DefaultSelector()
        uids = frozenset({os.getuid()}) if allowed_uids is None else allowed_uids
        self.later_s = 0.0
        self.server = ChannelServer(self.path, self.selector, uids, clock_s=lambda: time.monotonic() + self.later_s)
        self.peers: list[socket.socket] = []

    def close(self) -> None:
        for peer in self.peers:
            peer.close()
        self.server.close()
        self.selector.close()
        shutil.rmtree(self.folder)

    def connect(self) -> socket.socket:
        peer = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.peers.append(peer)
        peer.settimeout(5.0)
        peer.connect(str(self.path))
        self.turn()
        return peer

    def agent(self) -> socket.socket:
        """A peer that has been accepted as the agent."""
        peer = self.connect()
        peer.sendall(write_message(HELLO))
        assert self.turn() == [HELLO]
        return peer

    def turn(self, limit: int = 32) -> list[AgentMessage]:
        """Turn until nothing is left to do, as the loop would."""
        messages: list[AgentMessage] = []
        while True:
            ready = self.selector.select(0)
            for key, mask in ready:
                key.data(mask)
            messages += self.server.take_messages(limit)
            if not ready and not self.server.has_backlog:
                return messages


@pytest.fixture
def channel() -> Iterator[Channel]:
    made = Channel()
    yield made
    made.close()


def read_all(peer: socket.socket) -> bytes:
    """Everything until the guard closes the connection."""
    data = b""
    while True:
        try:
            more = peer.recv(65536)
        except ConnectionResetError:
            return data
        if not more:
            return data
        data += more


def refusal(peer: socket.socket) -> str:
    message = read_guard_message(read_all(peer).splitlines()[-1])
    assert isinstance(message, Refused)
    return message.reason


def is_closed_by_guard(peer: socket.socket) -> bool:
    peer.setblocking(False)
    try:
        return peer.recv(1, socket.MSG_PEEK) == b""
    except BlockingIOError:
        return False
    except ConnectionResetError:
        return True


# --- who may speak ----------------------------------------------------------------------------------------


def test_the_socket_is_for_owner_and_group_only(channel: Channel) -> None:
    assert stat.S_IMODE(channel.path.stat().st_mode) == 0o660


def test_a_peer_of_another_user_is_refused_by_the_kernels_word() -> None:
    channel = Channel(allowed_uids=frozenset({os.getuid() + 1}))
    peer = channel.connect()
    assert f"user {os.getuid()} may not command this charger" in refusal(peer)
    channel.close()


def test_a_socket_left_by_a_dead_guard_is_replaced(channel: Channel) -> None:
    channel.server.close()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as dead:
        dead.bind(str(channel.path))
    assert channel.path.exists()
    channel.server = ChannelServer(channel.path, channel.selector, frozenset({os.getuid()}))
    assert isinstance(channel.agent(), socket.socket)


def test_the_first_message_must_be_hello(channel: Channel) -> None:
    peer = channel.connect()
    peer.sendall(write_message(WISH) + write_message(HELLO))
    assert channel.turn() == []
    assert refusal(peer) == "the first message must be hello"
    assert not channel.server.has_agent


def hello_line(**changes: Any) -> bytes:
    return json.dumps({"type": "hello", "version": 1, "agent": "x", **changes}).encode() + b"\n"


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (hello_line(version=2), "channel version 2 is not spoken here; this guard speaks 1"),
        (hello_line(version=2, colour="red"), "channel version 2 is not spoken here; this guard speaks 1"),
        (hello_line(version=0), "channel version 0 is not spoken here; this guard speaks 1"),
        (hello_line(version="1"), "hello.version = '1': allowed: a whole number from 1 to 1000"),
        (hello_line(colour="red"), "hello.colour = 'red': allowed: one of the names"),
        (b"GET / HTTP/1.1\n", "not a JSON line"),
        (b"[]\n", "not a JSON object with a type"),
        (b"\n", "not a JSON line"),
        (b"\xff\xfe\n", "not a JSON line"),
        (b'{"type":"hello","version":' + b"[" * 50_000 + b"\n", "not a JSON line"),
    ],
)
def test_a_bad_hello_is_refused_with_the_reason(channel: Channel, line: bytes, reason: str) -> None:
    peer = channel.connect()
    peer.sendall(line)
    assert channel.turn() == []
    assert reason in refusal(peer)


def test_no_descriptors_left_is_survived_without_spinning(channel: Channel, caplog: pytest.LogCaptureFixture) -> None:
    agent = channel.agent()
    late = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    channel.peers.append(late)
    late.settimeout(5.0)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (late.fileno() + 1, hard))
    held: list[int] = []
    try:
        with contextlib.suppress(OSError):
            while True:
                held.append(os.dup(agent.fileno()))
        late.connect(str(channel.path))
        for _ in range(50):
            channel.turn()
        assert caplog.text.count("cannot take a connection") == 1
        assert not channel.selector.select(0)  # else the loop would spin
        agent.sendall(write_message(WISH))
        assert channel.turn() == [WISH]
    finally:
        for descriptor in held:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    channel.later_s += ACCEPT_PAUSE_S
    channel.turn()
    late.sendall(write_message(HELLO))
    assert channel.turn() == [HELLO]


def test_a_newer_agent_takes_the_place_of_an_older(channel: Channel) -> None:
    older = channel.agent()
    newer = channel.agent()
    assert "replaced by a newer agent" in refusal(older)
    newer.sendall(write_message(WISH))
    assert channel.turn() == [WISH]
    channel.server.send(Reply(1, is_accepted=True))
    assert newer.recv(1000) == write_message(Reply(1, is_accepted=True))


def test_a_stranger_does_not_disturb_the_agent(channel: Channel) -> None:
    agent = channel.agent()
    stranger = channel.connect()
    stranger.sendall(hello_line(version=3))
    channel.turn()
    assert "version 3" in refusal(stranger)
    agent.sendall(write_message(WISH))
    assert channel.turn() == [WISH]


def test_silent_strangers_are_few_and_the_oldest_goes(channel: Channel) -> None:
    silent = [channel.connect() for _ in range(6)]
    assert [is_closed_by_guard(peer) for peer in silent] == [True, True, False, False, False, False]
    assert isinstance(channel.agent(), socket.socket)


def test_an_agent_that_says_hello_again_is_refused_since_an_answer_is_expensive(channel: Channel) -> None:
    peer = channel.agent()
    peer.sendall(write_message(HELLO) * 1000)
    assert channel.turn() == []
    assert refusal(peer) == "hello may be said once in a connection"
    assert not channel.server.has_agent
    assert isinstance(channel.agent(), socket.socket)


def test_an_agent_that_changes_its_version_is_refused(channel: Channel) -> None:
    peer = channel.agent()
    peer.sendall(hello_line(version=2))
    channel.turn()
    assert "version 2" in refusal(peer)
    assert not channel.server.has_agent


# --- lines ------------------------------------------------------------------------------------------------


def test_messages_come_out_in_order_however_they_are_cut(channel: Channel) -> None:
    peer = channel.agent()
    sent = [Indicate(1, Indication.CHARGING), WISH, Indicate(2, Indication.PAUSED)]
    taken = []
    for byte in b"".join(write_message(message) for message in sent):
        peer.sendall(bytes([byte]))
        taken += channel.turn()
    assert taken == sent


@pytest.mark.parametrize(
    "line",
    [
        b"nonsense\n",
        b'{"type":"set_point"}\n',
        b'{"type":"reboot"}\n',
        b'{"type":"set_point","connector":1,"plug_id":null,"offer_a":NaN,"permission":true}\n',
        b'{"type":"set_point","connector":1,"plug_id":null,"offer_a":1e999,"permission":true}\n',
        b'{"type":"set_point","connector":1,"plug_id":null,"offer_a":81,"permission":true}\n',
        b'{"type":"set_point","connector":1,"plug_id":null,"offer_a":16,"permission":1}\n',
        b'{"type":"set_point","connector":1,"plug_id":null,"offer_a":16,"permission":true,"lease_s":1e9}\n',
        b'{"type":["set_point"]}\n',
        b"\x00" * 1000 + b"\n",
        b"9" * 5000 + b"\n",
        b"[" * 60_000 + b"\n",
        b"\n",
    ],
)
def test_a_bad_line_of_the_agent_changes_nothing(channel: Channel, line: bytes) -> None:
    peer = channel.agent()
    peer.sendall(line + write_message(WISH))
    assert channel.turn() == [WISH]
    assert not is_closed_by_guard(peer)


@pytest.fixture(scope="module")
def shared() -> Iterator[Channel]:
    made = Channel()
    made.agent()
    yield made
    made.close()


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(noise=st.binary(max_size=300))
def test_no_bytes_whatever_do_harm(shared: Channel, noise: bytes) -> None:
    """The agent's connection survives and the next message is understood; no exception, no message made of noise."""
    peer = shared.peers[-1]
    peer.sendall(noise.replace(b"\n", b" ") + b"\n" + write_message(WISH))
    assert shared.turn() == [WISH]


def test_bad_lines_do_not_fill_the_log(channel: Channel, caplog: pytest.LogCaptureFixture) -> None:
    peer = channel.agent()
    peer.sendall(b"nonsense\n" * 1000)
    channel.turn()
    assert caplog.text.count("ignored a line") == 1


@pytest.mark.parametrize("end", [b"", b"\n"])
def test_a_line_that_is_too_long_ends_the_connection(channel: Channel, end: bytes) -> None:
    peer = channel.agent()
    sent = b" " * (MAX_LINE_BYTES + 1) + end
    while sent:
        peer.settimeout(0.0)
        try:
            sent = sent[peer.send(sent) :]
        except BlockingIOError:
            pass
        except BrokenPipeError:
            break
        channel.turn()
    channel.turn()
    peer.settimeout(5.0)
    assert refusal(peer) == f"a line is longer than {MAX_LINE_BYTES} bytes"


def test_the_longest_line_allowed_is_read(channel: Channel) -> None:
    peer = channel.agent()
    line = write_message(WISH).rstrip(b"\n").ljust(MAX_LINE_BYTES)
    peer.sendall(line + b"\n")
    assert channel.turn() == [WISH]


def test_a_flood_is_taken_in_portions_and_not_read_ahead(channel: Channel) -> None:
    peer = channel.agent()
    peer.setblocking(False)
    line = write_message(WISH)
    sent = 0
    while True:
        try:
            sent += peer.send(line * 100)
        except BlockingIOError:
            break
    for key, mask in channel.selector.select(0):
        key.data(mask)
    assert len(list(channel.server.take_messages(32))) == 32
    assert channel.server.has_backlog
    assert len(channel.turn()) == sent // len(line) - 32


def test_half_a_line_at_the_end_is_nothing(channel: Channel) -> None:
    peer = channel.agent()
    peer.sendall(write_message(WISH)[:-5])
    peer.close()
    assert channel.turn() == []
    assert not channel.server.has_agent


# --- sending ----------------------------------------------------------------------------------------------


def test_nothing_is_sent_before_hello(channel: Channel) -> None:
    peer = channel.connect()
    channel.server.send(Reply(1, is_accepted=True))
    peer.setblocking(False)
    with pytest.raises(BlockingIOError):
        peer.recv(1)


def test_a_stalled_agent_loses_telemetry_and_costs_no_time(channel: Channel) -> None:
    peer = channel.agent()
    status = Status(1.0, is_coprocessor_up=True, connectors=())
    started_s = time.monotonic()
    for _ in range(20_000):
        channel.server.send(status)
    assert time.monotonic() - started_s < 5.0  # it waits for nobody; usually 0.3 s
    assert channel.server.has_agent
    channel.server.send(Reply(7, is_accepted=True))  # answers and events are not telemetry
    lines = read_lines_until(peer, channel, write_message(Reply(7, is_accepted=True)).rstrip())
    assert 100 < len(lines) < 20_000
    assert set(lines) == {write_message(status).rstrip()}


def read_lines_until(peer: socket.socket, channel: Channel, last: bytes) -> list[bytes]:
    data = b""
    while not data.endswith(last + b"\n"):
        data += peer.recv(65536)
        channel.turn()
    return data.splitlines()[:-1]


def test_an_agent_that_never_reads_is_disconnected_in_the_end(channel: Channel) -> None:
    peer = channel.agent()
    count = 0
    while channel.server.has_agent:
        count += 1
        channel.server.send(GuardEvent(count, 1.0, EventKind.NOTICE, detail="x" * 150))
        assert count < 20_000
    assert isinstance(channel.agent(), socket.socket)
    events = [read_guard_message(line) for line in read_all(peer).splitlines()[:-1]]
    assert [event.number for event in events if isinstance(event, GuardEvent)] == list(range(1, len(events) + 1))


def test_a_dead_agent_is_noticed_when_sending(channel: Channel) -> None:
    peer = channel.agent()
    peer.close()
    channel.server.send(Reply(1, is_accepted=True))
    assert not channel.server.has_agent
    assert isinstance(channel.agent(), socket.socket)


def test_closing_removes_the_socket(channel: Channel) -> None:
    peer = channel.agent()
    path = channel.path
    channel.server.close()
    assert not path.exists()
    assert read_all(peer) == b""
    channel.server = ChannelServer(path, channel.selector, frozenset({os.getuid()}))
