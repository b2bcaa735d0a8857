"""The guard's loop with a real pty, a real socket and mock pins: what it carries, and how it ends."""

import contextlib
import itertools
import os
import pty
import selectors
import shutil
import socket
import tempfile
import threading
import time
import tty
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from gpiozero.pins.mock import MockFactory

from evcharge_hal.boards.loader import load_board
from evcharge_hal.contract.channel import (
    ClearFault,
    EventKind,
    GuardMessage,
    Hello,
    LeaseState,
    Reply,
    SetPoint,
    Status,
    Welcome,
    read_guard_message,
    write_message,
)
from evcharge_hal.contract.faults import FaultCode
from evcharge_hal.contract.pilot import (
    CoprocessorFault,
    CoprocessorIdentity,
    LinkEvent,
    LinkUp,
    PilotCommand,
    PilotOutput,
    PilotReport,
    PilotState,
    ResetCause,
)
from evcharge_hal.contract.units import Amps
from evcharge_hal.gpio.factory import open_lines
from evcharge_hal.guard.channel_server import SOCKET_NAME, ChannelServer
from evcharge_hal.guard.loop import (
    LINES_PER_TURN,
    REOPEN_AFTER_LOSS_S,
    REOPEN_SLOWEST_S,
    GuardLoop,
    PortKeeper,
    WakePipe,
)
from evcharge_hal.guard.runtime import Guard
from evcharge_hal.guard.statefile import MemoryState
from evcharge_hal.link.native import NativeLink
from evcharge_hal.link.serial_port import PortError, SerialPort

RELAY, RCM = 17, 22
WAIT_S = 10.0


class EchoLink:
    """A link whose frames are whatever bytes come, with a fuse for the test to blow."""

    def __init__(self) -> None:
        self.received = bytearray()
        self.to_send = b""
        self.commands: list[PilotCommand] = []
        self.blows = False
        self.outgoing_calls = 0

    def receive(self, data: bytes, now_s: float) -> Sequence[LinkEvent]:
        self.received += data
        return []

    def advance(self, now_s: float) -> Sequence[LinkEvent]:
        if self.blows:
            raise RuntimeError("a bug")
        return []

    def command(self, command: PilotCommand, now_s: float) -> None:
        self.commands.append(command)

    def clear_latch(self, connector: int) -> None:
        raise AssertionError

    def reset(self) -> None:
        raise AssertionError

    def outgoing(self) -> bytes:
        self.outgoing_calls += 1
        data, self.to_send = self.to_send, b""
        return data

    def next_deadline_s(self) -> float:
        return float("inf")


class Pty:
    """The co-processor's end of a serial line."""

    def __init__(self) -> None:
        self.master, self.slave = pty.openpty()
        tty.setraw(self.slave)
        self.path = os.ttyname(self.slave)

    def read(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            data += os.read(self.master, count - len(data))
        return data

    def hang_up(self) -> None:
        os.close(self.slave)
        os.close(self.master)


class Rig:
    """A guard in a loop on a thread, and everything outside it."""

    def __init__(self, open_port: Callable[[], SerialPort], link: EchoLink | NativeLink) -> None:
        self.skipped_s = 0.0
        self.folder = Path(tempfile.mkdtemp(dir="/tmp"))
        self.factory = MockFactory()
        self.selector = selectors.DefaultSelector()
        self.wake = WakePipe()
        board = load_board(None)
        self.lines = open_lines(board, self.factory, self.wake.wake)
        self.server = ChannelServer(self.folder / SOCKET_NAME, self.selector, frozenset({os.getuid()}))
        self.port = PortKeeper(open_port, self.selector)
        guard = Guard(board, link, self.lines, MemoryState(), "guard", "boot", 0.0, self.server.send)
        self.loop = GuardLoop(guard, self.port, self.server, self.wake, self.selector, clock_s=self.clock_s)
        self.error: BaseException | None = None
        self.thread = threading.Thread(target=self._run)
        self.peer = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.peer.settimeout(WAIT_S)
        self._unread = b""

    def _run(self) -> None:
        try:
            self.loop.run()
        except RuntimeError as error:
            self.error = error

    def clock_s(self) -> float:
        return time.monotonic() + self.skipped_s

    def connect(self) -> None:
        self.peer.connect(str(self.folder / SOCKET_NAME))
        self.peer.sendall(write_message(Hello(1, "test")))
        self.wait_for(lambda message: isinstance(message, Welcome))

    def wait_for(self, is_it: Callable[[GuardMessage], bool]) -> None:
        while True:
            while b"\n" not in self._unread:
                data = self.peer.recv(65536)
                assert data
                self._unread += data
            line, self._unread = self._unread.split(b"\n", 1)
            if is_it(read_guard_message(line)):
                return

    def wait_for_event(self, kind: EventKind) -> None:
        self.wait_for(lambda message: getattr(message, "kind", None) is kind)

    def close(self) -> None:
        self.loop.stop()
        if self.thread.is_alive():
            self.thread.join(WAIT_S)
        assert not self.thread.is_alive()
        self.peer.close()
        self.port.close()
        self.server.close()
        self.selector.close()
        self.wake.close()
        self.factory.reset()
        shutil.rmtree(self.folder)


@contextlib.contextmanager
def running(open_port: Callable[[], SerialPort], link: EchoLink | NativeLink) -> Iterator[Rig]:
    rig = Rig(open_port, link)
    rig.thread.start()
    try:
        yield rig
    finally:
        rig.close()


@pytest.fixture
def line() -> Iterator[Pty]:
    made = Pty()
    yield made
    with contextlib.suppress(OSError):
        made.hang_up()


def opener(line: Pty) -> Callable[[], SerialPort]:
    return lambda: SerialPort(line.path, 115_200)


def test_bytes_go_both_ways_and_the_agent_is_heard(line: Pty) -> None:
    link = EchoLink()
    link.to_send = b"hello mcu"
    with running(opener(line), link) as rig:
        assert line.read(9) == b"hello mcu"
        os.write(line.master, b"hello host")
        rig.connect()
        rig.peer.sendall(write_message(SetPoint(1, None, Amps(6.0), permission=False)))
        rig.wait_for(lambda message: isinstance(message, Status))
        # The agent may be served first: the bytes are only certain to come soon.
        give_up_s = time.monotonic() + WAIT_S
        while link.received != b"hello host" and time.monotonic() < give_up_s:
            time.sleep(0.005)
    assert link.received == b"hello host"


def test_a_trip_opens_latches_and_is_told(line: Pty) -> None:
    with running(opener(line), EchoLink()) as rig:
        rig.connect()
        rig.lines[1].relay.set_closed(True)
        rig.factory.pin(RCM).drive_high()
        assert not rig.factory.pin(RELAY).state  # by now, without waiting for the loop
        rig.wait_for(lambda message: isinstance(message, Status) and FaultCode.RCM_TRIP in message.connectors[0].faults)


def test_stopping_leaves_the_relays_open_and_nothing_permitted(line: Pty) -> None:
    link = EchoLink()
    with running(opener(line), link) as rig:
        rig.connect()
        rig.lines[1].relay.set_closed(True)
        rig.lines[2].relay.set_closed(True)
        rig.loop.stop()
        rig.thread.join(WAIT_S)
        assert [rig.factory.pin(number).state for number in (17, 24)] == [False, False]
        assert rig.error is None
    assert [(command.connector, command.permit) for command in link.commands[-2:]] == [(1, False), (2, False)]


IDENTITY = CoprocessorIdentity("0123456789abcdef", "1.0.0", 1, ResetCause.SOFTWARE, 2, Amps(32.0))


def test_an_exception_opens_the_relays_before_it_goes_on(line: Pty) -> None:
    link = EchoLink()
    with running(opener(line), link) as rig:
        rig.connect()
        rig.lines[1].relay.set_closed(True)
        link.blows = True
        rig.thread.join(WAIT_S)
        assert str(rig.error) == "a bug"
        assert not rig.factory.pin(RELAY).state


class PermitLink(EchoLink):
    """Sends which connector may, as soon as it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.greets = False

    def advance(self, now_s: float) -> Sequence[LinkEvent]:
        greets, self.greets = self.greets, False
        return [LinkUp(IDENTITY, is_restart=False)] if greets else []

    def command(self, command: PilotCommand, now_s: float) -> None:
        super().command(command, now_s)
        self.to_send += b"%d:%d " % (command.connector, command.permit)


class BrokenRelay:
    """A line whose kernel driver has gone."""

    def set_closed(self, is_closed: bool) -> None:
        raise RuntimeError("no line")


def test_the_permits_go_out_although_a_relay_line_fails(line: Pty) -> None:
    link = PermitLink()
    with running(opener(line), link) as rig:
        rig.connect()
        assert line.read(8) == b"1:0 2:0 "  # as it starts
        rig.lines[1] = replace(rig.lines[1], relay=BrokenRelay())
        link.greets = True  # all outputs are given anew
        rig.thread.join(WAIT_S)
        assert str(rig.error) == "no line"
        os.set_blocking(line.master, False)
        assert line.read(8) == b"1:0 2:0 "


def test_a_peer_that_does_not_read_its_port_is_not_waited_for(line: Pty) -> None:
    """Frames are not taken from the driver while the device is behind; the loop goes on."""
    link = EchoLink()
    link.to_send = b"x" * 100_000
    with running(opener(line), link) as rig:
        rig.connect()
        calls = link.outgoing_calls
        rig.wait_for(lambda message: isinstance(message, Status))
        rig.wait_for(lambda message: isinstance(message, Status))
        assert link.outgoing_calls == calls
        assert line.read(100_000) == b"x" * 100_000
        while link.outgoing_calls == calls:
            rig.wait_for(lambda message: isinstance(message, Status))


def test_a_port_that_goes_is_told_and_found_again(line: Pty) -> None:
    second = Pty()
    ports = iter([line.path, second.path])
    link = EchoLink()
    with running(lambda: SerialPort(next(ports), 115_200), link) as rig:
        rig.connect()
        line.hang_up()
        rig.wait_for(lambda message: isinstance(message, Status) and not message.is_coprocessor_up)
        link.to_send = b"lost"  # nobody can get this; it must not come out of the next port
        rig.wait_for(lambda message: isinstance(message, Status))
        link.to_send = b""
        while not rig.port.is_open:
            rig.wait_for(lambda message: isinstance(message, Status))
        link.to_send = b"again"
        rig.loop._wake.wake()
        assert second.read(5) == b"again"
    second.hang_up()


def test_with_the_real_driver_and_nobody_behind_the_port_the_agent_hears_so(line: Pty) -> None:
    with running(opener(line), NativeLink((1, 2))) as rig:
        rig.connect()
        rig.wait_for(lambda message: isinstance(message, Status) and not message.is_coprocessor_up)
        assert line.read(5)  # a greeting goes out


class StallingLink(EchoLink):
    """Tells what is queued, and keeps the loop from going on while the test holds `pause`."""

    def __init__(self) -> None:
        super().__init__()
        self.queue: list[LinkEvent] = []
        self.pause = threading.Lock()

    def advance(self, now_s: float) -> Sequence[LinkEvent]:
        with self.pause:
            events, self.queue = self.queue, []
        return events


def report(now_s: float) -> PilotReport:
    return PilotReport(
        connector=1,
        received_s=now_s,
        sample_age_s=0.0,
        state=PilotState.B,
        output=PilotOutput.X1,
        duty=1.0,
        high_v=9.0,
        low_v=9.0,
        pp_ohm=220.0,
        is_permitted=False,
        is_locked=False,
        temperature_c=None,
        active=CoprocessorFault.NONE,
        latched=CoprocessorFault.NONE,
        boot_count=1,
        plug_count=1,
    )


def test_wishes_that_waited_in_the_socket_while_the_loop_stood_still_renew_nothing(line: Pty) -> None:
    link = StallingLink()
    seen: list[tuple[float, LeaseState]] = []

    def note(message: GuardMessage) -> bool:
        if isinstance(message, Status):
            seen.append((message.at_s, message.connectors[0].lease))
        return isinstance(message, Reply)

    with running(opener(line), link) as rig:
        rig.connect()
        link.queue = [LinkUp(IDENTITY, is_restart=False), report(rig.clock_s())]
        plug_id = f"{IDENTITY.uid}-1-1.1"
        rig.wait_for(lambda message: isinstance(message, Status) and message.connectors[0].plug_id == plug_id)
        wish = write_message(SetPoint(1, plug_id, Amps(16.0), permission=True))
        rig.peer.sendall(wish)
        rig.wait_for(lambda message: isinstance(message, Status) and message.connectors[0].lease is LeaseState.HELD)
        with link.pause:
            rig.peer.sendall(wish * 3 * LINES_PER_TURN)
            rig.skipped_s = 20.0
            woken_s = rig.clock_s()
        # Answered behind all of them, taken or not.
        rig.peer.sendall(write_message(ClearFault(1, 1, FaultCode.RCM_TRIP)))
        rig.wait_for(note)
        rig.wait_for(lambda message: isinstance(message, Status) and note(message) is False)
        assert {lease for at_s, lease in seen if at_s >= woken_s} == {LeaseState.LAPSED}
        rig.peer.sendall(wish)
        rig.wait_for(lambda message: isinstance(message, Status) and message.connectors[0].lease is LeaseState.HELD)


# --- looking for the port, under passed-in time --------------------------------------------------------------


def test_an_absent_port_is_looked_for_ever_more_slowly(caplog: pytest.LogCaptureFixture) -> None:
    tries = []
    now_s = 50.0

    def fail() -> SerialPort:
        tries.append(now_s)
        raise PortError("no such device")

    with selectors.DefaultSelector() as selector:
        keeper = PortKeeper(fail, selector)
        while now_s < 80.0:
            keeper.open_if_due(now_s)
            assert keeper.next_deadline_s() > now_s
            now_s = keeper.next_deadline_s()
    pauses = [later - earlier for earlier, later in itertools.pairwise(tries)]
    assert pauses[:4] == pytest.approx([0.1, 0.2, 0.4, 0.8])
    assert pauses[-1] == REOPEN_SLOWEST_S
    assert caplog.text.count("no such device") == 1


def test_a_lost_port_is_not_opened_before_the_driver_has_noticed(line: Pty) -> None:
    with selectors.DefaultSelector() as selector:
        keeper = PortKeeper(opener(line), selector)
        keeper.open_if_due(10.0)
        assert keeper.is_open
        keeper.lose(20.0)
        keeper.open_if_due(20.0 + REOPEN_AFTER_LOSS_S - 0.01)
        assert not keeper.is_open
        keeper.open_if_due(20.0 + REOPEN_AFTER_LOSS_S)
        assert keeper.is_open
        keeper.close()


def test_frames_for_a_closed_port_are_taken_and_dropped() -> None:
    taken = []
    with selectors.DefaultSelector() as selector:
        keeper = PortKeeper(lambda: SerialPort("/nowhere", 115_200), selector)
        keeper.write(lambda: taken.append(b"stale") or b"stale")
    assert taken == [b"stale"]


def test_a_wake_pipe_never_blocks_and_is_emptied() -> None:
    pipe = WakePipe()
    with selectors.DefaultSelector() as selector:
        selector.register(pipe.read_fd, selectors.EVENT_READ)
        for _ in range(100_000):
            pipe.wake()
        assert selector.select(0)
        pipe.drain()
        assert not selector.select(0)
    pipe.close()
