"""Security events: what is critical reaches the central system for certain, what repeats is told once."""

import asyncio
from pathlib import Path

import pytest
from ocpp.v16 import call_result

from evcharge_agent.ocpp16.errors import CallRefusedError, CallTimedOutError, LinkClosedError
from evcharge_agent.ocpp16.security.events import (
    BURST,
    MAX_CRITICAL,
    MAX_OTHERS,
    SHELF,
    TIME_REPEAT_S,
    SecurityEvents,
    spelled,
)
from evcharge_agent.ocpp16.security.log import SecurityLog
from evcharge_agent.ocpp16.security.ports import SecurityEvent
from evcharge_agent.settings.ocpp_section import SecurityEventNames
from evcharge_agent.store.errors import StoreError
from tests.support.virtual_time import START_UTC_S, run_virtual, virtual_clock

CRITICAL = SecurityEvent.RESET_OR_REBOOT
OTHER = SecurityEvent.INVALID_MESSAGES


class Shelf:
    """A shelf in memory that may fail."""

    def __init__(self):
        self.texts = {}
        self.is_broken = False

    async def keep(self, shelf, put, remove=(), *, is_whole=False):
        assert shelf == SHELF
        if self.is_broken:
            raise StoreError("full")
        self.texts |= put
        for name in remove:
            self.texts.pop(name, None)

    async def kept(self, shelf):
        if self.is_broken:
            raise StoreError("full")
        return dict(sorted(self.texts.items()))


class Line:
    """A line that answers as told."""

    def __init__(self, *outcomes):
        self.outcomes = list(outcomes)
        self.sent = []
        self.is_ready = True

    async def ready(self):
        while not self.is_ready:  # noqa: ASYNC110 - virtual time
            await asyncio.sleep(1.0)

    async def call(self, payload, message_id=None):
        self.sent.append((asyncio.get_running_loop().time(), payload))
        outcome = self.outcomes.pop(0) if self.outcomes else None
        if outcome is not None:
            raise outcome
        return call_result.SecurityEventNotification()

    @property
    def told(self):
        return [payload.tech_info for _, payload in self.sent]


class Bench:
    """Events of one start of a charger."""

    def __init__(self, shelf=None, log=None, boot_id="boot"):
        self.shelf = shelf or Shelf()
        self.clock = virtual_clock()
        self.events = SecurityEvents(log, self.shelf, self.clock, boot_id)
        self.tasks = [asyncio.create_task(self.events.run())]

    def deliver(self, line, names=SecurityEventNames.EDITION_3):
        self.tasks.append(asyncio.create_task(self.events.deliver(line, lambda: names)))

    async def end(self):
        for task in self.tasks:
            assert not task.done()
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)


def on_bench(test, **options):
    async def main():
        bench = Bench(**options)
        result = await test(bench)
        await bench.end()
        return result

    return run_virtual(main())


def test_row_20_a_critical_event_is_sent_until_it_is_confirmed_and_in_order():
    async def test(bench):
        line = Line(
            CallTimedOutError("no answer"), CallRefusedError("InternalError", ""), CallRefusedError("NotSupported", "")
        )
        bench.events.report(CRITICAL, "one")
        bench.events.report(CRITICAL, "two")
        bench.deliver(line)
        await asyncio.sleep(86_400.0)
        gaps = [round(later - sooner) for (sooner, _), (later, _) in zip(line.sent, line.sent[1:], strict=False)]
        return line.told, gaps, bench.shelf.texts

    told, gaps, left = on_bench(test)
    assert told == ["one", "one", "one", "one", "two"]
    assert gaps == [60, 600, 3600, 0]
    assert left == {}


def test_being_offline_is_no_attempt():
    async def test(bench):
        line = Line(*[LinkClosedError("gone")] * 5)
        bench.events.report(OTHER, "x")
        bench.deliver(line)
        await asyncio.sleep(10.0)
        return line.told

    assert on_bench(test) == ["x"] * 6


@pytest.mark.parametrize(
    ("error", "sends"),
    [
        (CallTimedOutError("x"), 3),
        (CallRefusedError("InternalError", ""), 3),
        (CallRefusedError("NotSupported", ""), 1),
    ],
)
def test_an_event_that_is_not_critical_is_given_up(error, sends):
    async def test(bench):
        line = Line(*[error] * 10)
        bench.events.report(OTHER, "x")
        bench.deliver(line)
        await asyncio.sleep(86_400.0)
        return len(line.sent), bench.events.waiting

    assert on_bench(test) == (sends, 0)


def test_row_20_critical_events_survive_a_restart_offline_others_do_not():
    async def main():
        shelf = Shelf()
        first = Bench(shelf)
        first.events.report(CRITICAL, "one")
        first.events.report(OTHER, "lost")
        await first.events.settle(1.0)
        await first.end()
        second = Bench(shelf)
        second.events.report(CRITICAL, "two")
        line = Line()
        second.deliver(line)
        await asyncio.sleep(10.0)
        await second.end()
        return line.told

    assert run_virtual(main()) == ["one", "two"]


def test_what_was_cut_off_between_shelf_and_log_is_told_and_logged_once(tmp_path):
    async def main():
        shelf, log = Shelf(), SecurityLog(tmp_path)
        for name in ("whole", "cut"):
            first = Bench(shelf, log if name == "whole" else None)
            first.events.report(CRITICAL, name)
            await first.events.settle(1.0)
            await first.end()
        for _ in range(2):
            again = Bench(shelf, log)
            await asyncio.sleep(1.0)
            assert again.events.waiting == 2
            await again.end()
        return log.read().decode(), log.verify().problems

    text, problems = run_virtual(main())
    assert [text.count(f'"{name}"') for name in ("whole", "cut")] == [1, 1]
    assert problems == ()


def test_a_critical_event_is_on_the_shelf_before_it_is_in_the_log(tmp_path):
    class Log(SecurityLog):
        def append(self, *fields, **more):
            waiting.append(len(shelf.texts))
            super().append(*fields, **more)

    async def test(bench):
        bench.events.report(CRITICAL)
        await bench.events.settle(1.0)

    shelf, waiting = Shelf(), []
    on_bench(test, shelf=shelf, log=Log(tmp_path))
    assert waiting == [1]


def test_a_shelf_of_another_version_costs_only_what_cannot_be_read():
    shelf = Shelf()
    shelf.texts = {"0000000000000001": "[]", "0000000000000002": '["NoSuchEvent","",0,0,true,""]', "x": "{"}

    async def test(bench):
        bench.events.report(CRITICAL, "new")
        line = Line()
        bench.deliver(line)
        await asyncio.sleep(10.0)
        return line.told

    assert on_bench(test, shelf=shelf) == ["new"]


def test_a_broken_disk_stops_no_event(tmp_path):
    shelf = Shelf()
    shelf.is_broken = True

    async def test(bench):
        bench.events.report(CRITICAL, "x")
        line = Line()
        bench.deliver(line)
        await asyncio.sleep(10.0)
        return line.told

    assert on_bench(test, shelf=shelf, log=SecurityLog(Path("/proc/nowhere"))) == ["x"]


def test_row_21_every_event_is_in_the_log(tmp_path):
    log = SecurityLog(tmp_path)

    async def test(bench):
        for event in SecurityEvent:
            bench.events.report(event, "why")
        await bench.events.settle(5.0)
        return log.read()

    content = on_bench(test, log=log)
    assert all(f'"{event.value}"'.encode() in content for event in SecurityEvent)
    assert log.verify().problems == ()


@pytest.mark.parametrize(
    ("harm", "event"),
    [
        (lambda path: path.unlink(), "SecurityLogWasCleared"),
        (lambda path: path.write_bytes(path.read_bytes().replace(b"one", b"two")), "TamperDetectionActivated"),
    ],
)
def test_what_was_done_to_the_log_is_a_critical_event_once(tmp_path, harm, event):
    async def start(bench):
        line = Line()
        bench.events.report(CRITICAL, "one")
        bench.deliver(line)
        await asyncio.sleep(10.0)
        return [payload.type for _, payload in line.sent]

    log = SecurityLog(tmp_path)
    assert on_bench(start, log=log) == ["ResetOrReboot"]
    harm(next(iter(tmp_path.glob("security-*.jsonl"))))
    shelf = Shelf()
    assert sorted(on_bench(start, log=SecurityLog(tmp_path), shelf=shelf)) == sorted(["ResetOrReboot", event])
    assert on_bench(start, log=SecurityLog(tmp_path), shelf=shelf) == ["ResetOrReboot"]
    assert event in SecurityLog(tmp_path).read().decode()


def test_a_disk_that_is_full_for_hours_is_told_once_an_hour():
    async def test(bench):
        line = Line()
        bench.deliver(line)
        for _ in range(3 * 3600):
            bench.events.report(SecurityEvent.MEMORY_EXHAUSTION, "disk")
            await asyncio.sleep(1.0)
        return len(line.sent)

    assert on_bench(test) == 3


def test_the_same_event_again_and_again_is_counted_and_told_once_a_minute():
    async def test(bench):
        for _ in range(1000):
            bench.events.report(OTHER, "flood")
        await bench.events.settle(5.0)
        waiting = bench.events.waiting
        await asyncio.sleep(61.0)
        bench.events.report(OTHER, "flood")
        line = Line()
        bench.deliver(line)
        await asyncio.sleep(10.0)
        return waiting, line.told[-1]

    assert on_bench(test) == (BURST, f"flood (and {1000 - BURST} more before)")


def test_critical_events_are_never_left_out_but_bounded():
    async def test(bench):
        for number in range(MAX_CRITICAL + 5):
            bench.events.report(CRITICAL, str(number))
        for number in range(5 * MAX_OTHERS):
            bench.events.report(SecurityEvent.ATTEMPTED_REPLAY_ATTACKS, str(number))
        await bench.events.settle(60.0)
        return len(bench.shelf.texts), min(bench.shelf.texts)

    assert on_bench(test) == (MAX_CRITICAL, f"{6:016d}")


@pytest.mark.parametrize(
    ("moved_s", "is_told"), [(0.9, False), (-1.0, False), (1.1, True), (-20 * 365 * 86_400.0, True)]
)
def test_only_steps_of_more_than_a_second_are_told(moved_s, is_told):
    async def test(bench):
        bench.events.time_moved(moved_s)
        await bench.events.settle(1.0)
        return bench.events.waiting

    assert on_bench(test) == is_told


def test_a_clock_that_slews_all_the_time_floods_nobody():
    async def test(bench):
        for _ in range(1000):
            bench.events.time_moved(2.0)
            await asyncio.sleep(6.0)
        return bench.events.waiting

    assert on_bench(test) == 6000 / TIME_REPEAT_S


def test_stamps_from_before_the_time_was_known_are_corrected():
    async def test(bench):
        bench.events.report(CRITICAL, "early")
        await asyncio.sleep(100.0)
        bench.clock.learn_utc(START_UTC_S + 10_000.0)
        line = Line()
        bench.deliver(line)
        await asyncio.sleep(1.0)
        return line.sent[0][1].timestamp

    assert on_bench(test) == "2025-06-15T17:51:40.000Z"  # 100 s before what was learned


def test_nothing_is_sent_while_it_is_switched_off_or_the_boot_is_not_accepted():
    async def test(bench):
        bench.events.report(CRITICAL, "x")
        off, pending = Line(), Line()
        pending.is_ready = False
        bench.deliver(off, SecurityEventNames.OFF)
        bench.deliver(pending)
        await asyncio.sleep(3600.0)
        return off.told + pending.told

    assert on_bench(test) == []


def test_the_two_spellings():
    event = SecurityEvent.FAILED_TO_AUTHENTICATE
    assert spelled(event, SecurityEventNames.EDITION_3) == "FailedToAuthenticationAtCentralSystem"
    assert spelled(event, SecurityEventNames.EDITION_4) == "FailedToAuthenticateAtCentralSystem"
    assert all(len(one.value) <= 50 for one in SecurityEvent)
