import os
import select

import pytest

from evcharge_hal.sim.serial_pty import SerialPty


@pytest.fixture
def port(tmp_path):
    made = SerialPty(tmp_path / "pilot")
    yield made
    made.close()


def open_far(tmp_path) -> int:
    return os.open(tmp_path / "pilot", os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)


def test_bytes_pass_unchanged_both_ways(port, tmp_path):
    every_byte = bytes(range(256))
    far = open_far(tmp_path)
    port.write(every_byte)
    assert select.select([far], [], [], 5.0)[0]
    assert os.read(far, 1000) == every_byte
    os.write(far, every_byte)
    assert select.select([port.fileno], [], [], 5.0)[0]
    assert port.read() == every_byte
    assert port.read() == b"", "no echo, no blocking"
    os.close(far)


def test_readers_come_and_go(port, tmp_path):
    for _ in range(3):
        os.close(open_far(tmp_path))
        port.write(b"x")
        assert port.read() == b""


def test_what_nobody_reads_is_forgotten_and_never_blocks(port, tmp_path):
    for number in range(1000):
        port.write(b"%04d" % number * 64)
    far = open_far(tmp_path)
    received = b""
    while select.select([far], [], [], 0.05)[0]:
        received += os.read(far, 4096)
    assert len(received) < 64_000, "of 256,000 bytes"
    assert received[-4:] > b"0900", "what is left is of the newest"
    port.write(b"fresh")
    assert select.select([far], [], [], 5.0)[0]
    assert os.read(far, 100) == b"fresh"
    os.close(far)


def test_the_link_is_replaced_and_removed(tmp_path):
    (tmp_path / "pilot").symlink_to("/nowhere")
    port = SerialPty(tmp_path / "pilot")
    assert str((tmp_path / "pilot").readlink()).startswith("/dev/pts/")
    port.close()
    assert list(tmp_path.iterdir()) == []
