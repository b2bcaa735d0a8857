"""The serial port on a real pty: it never waits, never spins, and says when the line is gone."""

import os
import pty
import select
import subprocess
import sys
import tty
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from evcharge_hal.contract.errors import EvchargeError
from evcharge_hal.link.serial_port import MAX_QUEUE_BYTES, PortError, SerialPort


@dataclass
class Line:
    """The other end of the line; the slave end is kept open, as the simulated world does."""

    master: int
    slave: int

    @property
    def path(self) -> str:
        return os.ttyname(self.slave)

    def hang_up(self) -> None:
        if self.master >= 0:
            os.close(self.master)
            self.master = -1

    def take(self) -> bytes:
        """Everything that has come, waiting until no more comes."""
        data = b""
        while select.select([self.master], [], [], 0.05)[0]:
            data += os.read(self.master, 65536)
        return data


@pytest.fixture
def line() -> Iterator[Line]:
    master, slave = pty.openpty()
    tty.setraw(master)
    ends = Line(master, slave)
    yield ends
    ends.hang_up()
    os.close(slave)


@pytest.fixture
def port(line: Line) -> Iterator[SerialPort]:
    opened = SerialPort(line.path, 115_200)
    yield opened
    opened.close()


def wait_readable(port: SerialPort) -> None:
    assert select.select([port], [], [], 5.0)[0]


def test_bytes_pass_unchanged_in_both_directions(line: Line, port: SerialPort) -> None:
    every = bytes(range(256))
    os.write(line.master, every)
    wait_readable(port)
    assert port.read() == every
    port.write(every)
    assert line.take() == every


def test_an_idle_line_reads_as_nothing(port: SerialPort) -> None:
    assert port.read() == b""
    assert port.read() == b""
    assert not port.wants_write


def test_the_descriptor_is_not_readable_while_nothing_has_come(port: SerialPort) -> None:
    assert select.select([port], [], [], 0.0)[0] == []


def test_a_port_is_opened_once(line: Line, port: SerialPort) -> None:
    with pytest.raises(PortError, match="lock"):
        SerialPort(line.path, 115_200)
    port.close()
    SerialPort(line.path, 115_200).close()


def test_bytes_from_before_opening_are_dropped(line: Line) -> None:
    os.write(line.master, b"old")
    assert select.select([line.slave], [], [], 5.0)[0]
    port = SerialPort(line.path, 115_200)
    assert port.read() == b""
    port.close()


def test_a_full_line_queues_drops_old_frames_whole_and_goes_on(line: Line, port: SerialPort) -> None:
    frames = [b"%05d" % number * 11 + b"\0" for number in range(3000)]
    for frame in frames:
        port.write(frame)
    assert port.wants_write
    assert port._queued <= MAX_QUEUE_BYTES
    received = b""
    while port.wants_write:
        received += line.take()
        port.flush()
    received += line.take()
    pieces = received.split(b"\0")[:-1]
    assert all(piece + b"\0" in frames for piece in pieces), "no frame is torn"
    assert pieces[-1] + b"\0" == frames[-1], "the newest is kept"
    assert len(pieces) < len(frames)
    assert port._queued == 0


def test_a_hung_up_line_is_an_error_and_not_silence(line: Line, port: SerialPort) -> None:
    line.hang_up()
    with pytest.raises(PortError, match=r"hung up|cannot read"):
        port.read()
    with pytest.raises(PortError, match="cannot write"):
        port.write(b"x\0")
    assert issubclass(PortError, EvchargeError)


def test_a_closed_port_says_so_and_may_be_closed_again(port: SerialPort) -> None:
    port.write(b"x")
    port.close()
    port.close()
    assert not port.wants_write
    for call in (port.read, port.flush, port.fileno, lambda: port.write(b"x")):
        with pytest.raises(PortError, match="is closed"):
            call()


@pytest.mark.parametrize("kind", ["missing", "file", "directory", "null"])
def test_what_is_no_serial_port_is_refused_by_name(kind: str, tmp_path: Path) -> None:
    path = {"null": Path("/dev/null"), "directory": tmp_path}.get(kind, tmp_path / kind)
    if kind == "file":
        path.write_bytes(b"")
    with pytest.raises(PortError) as raised:
        SerialPort(str(path), 115_200)
    assert str(path) in str(raised.value)


def test_an_impossible_bit_rate_is_refused(line: Line) -> None:
    with pytest.raises(PortError, match="-5 bit/s"):
        SerialPort(line.path, -5)


REFUSED = """
import fcntl, os, pty, signal, termios
from evcharge_hal.link.serial_port import PortError, SerialPort
# The kernel refuses to change the settings of its terminal to a background group that nobody could wake.
if os.fork():
    raise SystemExit(os.waitstatus_to_exitcode(os.wait()[1]))
os.setsid()
master, slave = pty.openpty()
fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
other = os.fork()
if other == 0:
    os.setpgid(0, 0)
    signal.pause()
while os.getpgid(other) != other:
    pass
os.tcsetpgrp(slave, other)
try:
    SerialPort(os.ttyname(slave), 115_200)
except PortError as error:
    print(error)
os.kill(other, signal.SIGKILL)
"""


def test_a_device_that_refuses_its_settings_is_a_port_error() -> None:
    """A raw `termios.error` from inside pyserial is no OSError; it must not end the guard's loop."""
    done = subprocess.run([sys.executable, "-c", REFUSED], capture_output=True, text=True, timeout=20.0, check=False)
    assert done.stdout.startswith("cannot open /dev/pts/")
    assert "115200 bit/s: (5, 'Input/output error')" in done.stdout
    assert done.stderr == ""
