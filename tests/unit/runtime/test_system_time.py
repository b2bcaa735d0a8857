"""Time without a central system: who set the system's clock decides whether it is believed."""

import asyncio

import pytest

from evcharge_agent.runtime.system_time import (
    EARLIEST_UTC_S,
    LOOK_S,
    SET_AT_BOOT,
    SYNCHRONISED,
    Source,
    follow_system_time,
    source_of,
)
from tests.support.virtual_time import run_virtual, virtual_clock


@pytest.mark.parametrize(
    ("files", "source"),
    [
        ({}, Source.NOBODY),
        ({SET_AT_BOOT: b"0\n"}, Source.NOBODY),
        ({SET_AT_BOOT: b"\xff"}, Source.NOBODY),
        ({SET_AT_BOOT: b"1\n"}, Source.RTC),
        ({SYNCHRONISED: b""}, Source.NTP),
        ({SYNCHRONISED: b"", SET_AT_BOOT: b"1\n"}, Source.NTP),
    ],
)
def test_two_files_say_who_set_the_clock(tmp_path, files, source):
    for path, content in files.items():
        (tmp_path / path).parent.mkdir(parents=True)
        (tmp_path / path).write_bytes(content)
    assert source_of(tmp_path) is source


class Stamps:
    """Notes what is corrected."""

    def __init__(self):
        self.corrected = []

    async def correct_stamps(self, moved_s, *, offset_s=None):
        self.corrected.append((moved_s, offset_s))
        return 0


def followed(events, *, duration_s=1000.0):
    """Follow the system's clock while `events` ((after_s, what) in order) change the world; `what(world)`."""

    async def main():
        world = World()
        following = asyncio.create_task(
            follow_system_time(world.clock, world.stamps, lambda: world.source, world.utc_s)
        )
        elapsed_s = 0.0
        for after_s, what in events:
            await asyncio.sleep(after_s - elapsed_s)
            elapsed_s = after_s
            what(world)
        await asyncio.sleep(duration_s - elapsed_s)
        world.has_ended = following.done()
        following.cancel()
        return world

    return run_virtual(main())


class World:
    """A system clock that is ahead of ours by `ahead_s`."""

    def __init__(self):
        self.clock = virtual_clock(utc_s=EARLIEST_UTC_S)
        self.stamps = Stamps()
        self.source = Source.NOBODY
        self.ahead_s = 100.0
        self._start_offset_s = self.clock.offset_s

    def utc_s(self):
        return self.clock.now().monotonic_s + self._start_offset_s + self.ahead_s

    @property
    def moved_s(self):
        return self.clock.offset_s - self._start_offset_s


def set_by(source, ahead_s=100.0):
    def change(world):
        world.source, world.ahead_s = source, ahead_s

    return change


def teach(ahead_s):
    return lambda world: world.clock.learn_utc(world.utc_s() - world.ahead_s + ahead_s)


def test_a_clock_nobody_set_is_not_believed():
    world = followed([])
    assert not world.clock.is_trusted
    assert not world.has_ended


def test_a_synchronised_clock_is_believed_and_stamps_come_right():
    world = followed([(10.0, set_by(Source.NTP))], duration_s=10.0 + LOOK_S)
    assert world.clock.is_trusted
    assert world.moved_s == pytest.approx(100.0)
    assert world.stamps.corrected == [(pytest.approx(100.0), pytest.approx(world.clock.offset_s))]


def test_a_battery_that_is_empty_sets_no_time():
    """The kernel takes what such a clock says, 1970 or 2000, and says that it has set the time from it."""
    world = followed([(0.0, set_by(Source.RTC, -2000.0))])
    assert not world.clock.is_trusted
    world = followed([(0.0, set_by(Source.RTC, -2000.0)), (300.0, set_by(Source.NTP))])
    assert world.moved_s == pytest.approx(100.0)
    assert len(world.stamps.corrected) == 1


def test_synchronisation_counts_for_more_than_a_battery():
    world = followed([(0.0, set_by(Source.RTC)), (300.0, set_by(Source.NTP, 95.0))])
    assert world.moved_s == pytest.approx(95.0)
    assert len(world.stamps.corrected) == 1, "what was stamped with a trusted time stays"
    assert world.has_ended


def test_what_the_central_system_taught_is_not_touched():
    early = followed([(1.0, teach(7.0)), (2.0, set_by(Source.NTP))])
    late = followed([(0.0, set_by(Source.RTC)), (300.0, teach(7.0)), (400.0, set_by(Source.NTP, 95.0))])
    for world in (early, late):
        assert world.moved_s == pytest.approx(7.0)
        assert world.has_ended
