"""What the service manager hears, on a real datagram socket."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from evcharge_hal.host.notify import BEATS_PER_WATCHDOG, LoopBeat, Notifier
from tests.support.short_paths import short_directory


class Manager:
    def __init__(self, address: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.socket.bind(address)

    def heard(self) -> list[str]:
        texts = []
        while True:
            try:
                texts.append(self.socket.recv(4096).decode())
            except BlockingIOError:
                return texts


@pytest.fixture
def folder() -> Iterator[Path]:
    with short_directory() as path:
        yield path


@pytest.fixture
def manager(folder: Path) -> Iterator[Manager]:
    made = Manager(str(folder / "notify"))
    yield made
    made.socket.close()


def test_each_word_is_a_datagram(manager: Manager, folder: Path) -> None:
    notifier = Notifier.from_environment({"NOTIFY_SOCKET": str(folder / "notify")})
    assert notifier.ready("up")
    assert notifier.status("two\nlines")
    assert notifier.beat()
    assert notifier.stopping()
    assert manager.heard() == ["READY=1\nSTATUS=up", "STATUS=two lines", "WATCHDOG=1", "STOPPING=1"]


def test_an_abstract_address() -> None:
    name = f"evcharge-test-{os.getpid()}"
    manager = Manager("\0" + name)
    assert Notifier.from_environment({"NOTIFY_SOCKET": "@" + name}).ready()
    assert manager.heard() == ["READY=1"]
    manager.socket.close()


@pytest.mark.parametrize("environment", [{}, {"NOTIFY_SOCKET": ""}, {"NOTIFY_SOCKET": "relative"}])
def test_nobody_to_tell(environment: dict[str, str]) -> None:
    notifier = Notifier.from_environment(environment | {"WATCHDOG_USEC": "1000000"})
    assert not notifier.is_active
    assert notifier.beat_every_s is None
    assert not notifier.ready()


def test_a_manager_that_is_away_is_no_error(folder: Path) -> None:
    assert not Notifier(str(folder / "nobody")).ready()


@pytest.mark.parametrize(
    ("variables", "beat_every_s"),
    [
        ({"WATCHDOG_USEC": "20000000"}, 20.0 / BEATS_PER_WATCHDOG),
        ({"WATCHDOG_USEC": "20000000", "WATCHDOG_PID": str(os.getpid())}, 20.0 / BEATS_PER_WATCHDOG),
        ({"WATCHDOG_USEC": "20000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({"WATCHDOG_USEC": "²"}, None),
        ({}, None),
    ],
)
def test_how_often_to_beat(variables: dict[str, str], beat_every_s: float | None) -> None:
    assert Notifier.from_environment({"NOTIFY_SOCKET": "/x"} | variables).beat_every_s == beat_every_s


def test_a_loop_beats_as_often_as_asked_and_only_while_it_turns(manager: Manager, folder: Path) -> None:
    beat = LoopBeat(Notifier(str(folder / "notify"), watchdog_s=4.0))
    for tenth in range(35):
        beat.turned(100.0 + tenth / 10.0)
    assert manager.heard() == ["WATCHDOG=1"] * 4
    beat.turned(200.0)
    assert manager.heard() == ["WATCHDOG=1"]


def test_a_loop_without_a_watchdog_does_not_beat(manager: Manager, folder: Path) -> None:
    LoopBeat(Notifier(str(folder / "notify"))).turned(1.0)
    assert manager.heard() == []
