"""READY, STATUS and the beat, under virtual time and on a real datagram socket."""

import asyncio
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from evcharge_agent.core import step, view
from evcharge_agent.core.events import CentralSystemChanged
from evcharge_agent.core.facts import Instant
from evcharge_agent.core.view import StationView
from evcharge_agent.runtime.snapshots import SnapshotHub
from evcharge_agent.runtime.systemd import FIRST_CONTACT_S, ServiceReporter, status_line
from evcharge_hal.contract.faults import FaultCode
from evcharge_hal.host.notify import Notifier
from tests.support.core_station import Station
from tests.support.short_paths import short_directory
from tests.support.virtual_time import run_virtual

WATCHDOG_S = 20.0


def empty_view() -> StationView:
    now = Instant(0.0, 0.0, is_utc_trusted=False)
    return view.view(step.initial(now), now)


class Manager:
    """systemd's side of the notification socket."""

    def __init__(self, address: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.socket.bind(str(address))

    def heard(self) -> list[str]:
        texts = []
        while True:
            try:
                texts.append(self.socket.recv(4096).decode())
            except BlockingIOError:
                return texts


class Bench:
    """A core that takes what it is given, until it is stopped."""

    def __init__(self, notifier: Notifier, first: StationView) -> None:
        self.snapshots = SnapshotHub(first)
        self.turns = 0
        self.is_stuck = False
        self.reporter = ServiceReporter(notifier, self.snapshots, lambda: self.turns, self.probe)

    def probe(self) -> None:
        self.turns += 0 if self.is_stuck else 1


@pytest.fixture
def folder() -> Iterator[Path]:
    with short_directory() as path:
        yield path


@pytest.fixture
def manager(folder: Path) -> Iterator[Manager]:
    made = Manager(folder / "notify")
    yield made
    made.socket.close()


@pytest.fixture
def bench(manager: Manager, folder: Path) -> Bench:
    return Bench(Notifier(str(folder / "notify"), WATCHDOG_S), empty_view())


def test_ready_waits_for_the_guard_no_longer_than_it_takes_to_look(bench: Bench, manager: Manager) -> None:
    async def main() -> None:
        running = asyncio.create_task(bench.reporter.run())
        await asyncio.sleep(FIRST_CONTACT_S - 0.01)
        assert manager.heard() == []
        await asyncio.sleep(0.02)
        assert manager.heard()[0] == "READY=1\nSTATUS=no connector known yet; guard lost"
        running.cancel()

    run_virtual(main())


def test_ready_follows_the_guards_first_word(bench: Bench, manager: Manager) -> None:
    async def main() -> None:
        running = asyncio.create_task(bench.reporter.run())
        await asyncio.sleep(0.1)
        assert manager.heard() == []
        bench.snapshots.publish(replace(bench.snapshots.latest, is_guard_connected=True))
        await asyncio.sleep(0.01)
        assert manager.heard()[0].startswith("READY=1")
        running.cancel()

    run_virtual(main())


def test_the_status_is_told_when_it_changes_and_only_then(bench: Bench, manager: Manager) -> None:
    async def main() -> None:
        running = asyncio.create_task(bench.reporter.run())
        await asyncio.sleep(1.0)
        manager.heard()
        latest = bench.snapshots.latest
        for second in range(3):
            bench.snapshots.publish(replace(latest, at=Instant(float(second), 0.0, is_utc_trusted=False)))
            await asyncio.sleep(0.01)
        assert manager.heard() == []
        bench.snapshots.publish(replace(latest, is_guard_connected=True))
        await asyncio.sleep(0.01)
        assert manager.heard() == ["STATUS=no connector known yet"]
        running.cancel()

    run_virtual(main())


def test_the_watchdog_hears_of_an_idle_core_that_answers_and_not_of_a_stuck_one(bench: Bench, manager: Manager) -> None:
    async def main() -> None:
        running = asyncio.create_task(bench.reporter.run())
        await asyncio.sleep(31.0)
        assert manager.heard().count("WATCHDOG=1") == 6  # every 5 s, the first after the first look
        bench.is_stuck = True
        await asyncio.sleep(5.0)  # the look under way when it got stuck may still be good
        manager.heard()
        await asyncio.sleep(100.0)
        assert manager.heard() == []
        bench.is_stuck = False
        await asyncio.sleep(10.0)
        assert "WATCHDOG=1" in manager.heard()
        running.cancel()

    run_virtual(main())


def test_without_a_watchdog_there_is_no_beat(folder: Path, manager: Manager) -> None:
    async def main() -> None:
        bench = Bench(Notifier(str(folder / "notify")), empty_view())
        running = asyncio.create_task(bench.reporter.run())
        await asyncio.sleep(100.0)
        assert bench.turns == 0
        assert "WATCHDOG=1" not in manager.heard()
        running.cancel()

    run_virtual(main())


def test_a_charge_in_one_line() -> None:
    station = Station().ready()
    station.start()
    station.close()
    assert status_line(station.view()) == "1: Charging 32.0 A"
    station.tell(CentralSystemChanged(is_connected=False, is_accepted=False))
    assert status_line(station.view()) == "1: Charging 32.0 A; central system offline"
    station.latch(FaultCode.RCM_TRIP)
    assert "1: Faulted, rcm_trip" in status_line(station.view())
