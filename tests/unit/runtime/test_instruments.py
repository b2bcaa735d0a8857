"""Meter and card reader tasks under virtual time."""

import asyncio
import contextlib
from collections.abc import Callable

import pytest

from evcharge_agent.core.events import CardPresented, MeterFailed, MeterRead
from evcharge_agent.core.facts import IdTag, MeterReading
from evcharge_agent.runtime.inbox import Inbox
from evcharge_agent.runtime.instruments import METER_PERIOD_S, CardReaderTask, MeterPoller, reading_from
from evcharge_hal.contract.units import PerPhase, WattHours
from evcharge_hal.instruments.values import InstrumentError, MeterValues, Swipe
from tests.support.virtual_time import START_MONOTONIC_S, run_virtual


class ScriptedMeter:
    """Takes as long as told for each reading; a negative delay is an error after as long."""

    def __init__(self, *delays_s: float) -> None:
        self.delays_s = list(delays_s)
        self.asked_s: list[float] = []
        self.is_closed = False

    async def read(self) -> MeterValues:
        self.asked_s.append(asyncio.get_running_loop().time() - START_MONOTONIC_S)
        delay_s = self.delays_s.pop(0) if self.delays_s else 0.0
        await asyncio.sleep(abs(delay_s))
        if delay_s < 0.0:
            raise InstrumentError("no answer")
        return MeterValues(energy_wh=WattHours(len(self.asked_s)))

    async def close(self) -> None:
        self.is_closed = True


async def posted(inbox: Inbox) -> list[object]:
    events = []
    with contextlib.suppress(TimeoutError):
        while True:
            async with asyncio.timeout(0.0001):
                events.append(await inbox.take())
    return events


def run_task(build: Callable[[Inbox], object], duration_s: float) -> list[object]:
    async def main() -> list[object]:
        inbox = Inbox()
        task = asyncio.create_task(build(inbox).run())
        await asyncio.sleep(duration_s)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        return await posted(inbox)

    return run_virtual(main())


@pytest.mark.parametrize(
    ("delays_s", "asked_s"),
    [
        ((0.0, 0.0, 0.0), [0.0, 1.0, 2.0, 3.0, 4.0]),
        # Slow readings do not shift the moments of the next ones,
        ((0.9, 0.4), [0.0, 1.0, 2.0, 3.0, 4.0]),
        # and moments that were missed are left out, not made up for.
        ((1.5, 0.0), [0.0, 2.0, 3.0, 4.0]),
        ((1.0, 0.0), [0.0, 2.0, 3.0, 4.0]),
    ],
)
def test_readings_are_taken_at_fixed_moments(delays_s, asked_s):
    meter = ScriptedMeter(*delays_s)
    run_task(lambda inbox: MeterPoller(1, meter, inbox), 4.5)
    assert meter.asked_s == asked_s
    assert meter.is_closed


def test_readings_and_failures_are_posted():
    meter = ScriptedMeter(0.0, -0.1, 99.0)
    events = run_task(lambda inbox: MeterPoller(2, meter, inbox, timeout_s=0.5), 3.5)
    assert events == [
        MeterRead(2, MeterReading(energy_wh=WattHours(1)), METER_PERIOD_S),
        MeterFailed(2, "no answer"),
        MeterFailed(2, "no reading within 0.5 s"),
        MeterRead(2, MeterReading(energy_wh=WattHours(4)), METER_PERIOD_S),
    ]


@pytest.mark.parametrize(
    ("period_s", "takes_s", "is_read"), [(1.0, 1.9, True), (1.0, 2.1, False), (5.0, 4.9, True), (60.0, 10.1, False)]
)
def test_a_meter_that_is_asked_rarely_may_take_its_time(period_s, takes_s, is_read):
    events = run_task(lambda inbox: MeterPoller(1, ScriptedMeter(takes_s), inbox, period_s=period_s), 10.2)
    assert isinstance(events[0], MeterRead) == is_read


def test_an_outage_is_one_line_in_the_log(caplog):
    caplog.set_level("INFO")
    run_task(lambda inbox: MeterPoller(1, ScriptedMeter(0.0, *[-0.1] * 50), inbox), 60.0)
    assert [record.getMessage() for record in caplog.records] == [
        "Meter of connector 1 answers",
        "Meter of connector 1: no answer",
        "Meter of connector 1 answers",
    ]


def test_nothing_is_lost_between_the_hal_and_the_core():
    values = MeterValues(WattHours(1), 2.0, PerPhase(3.0, 4.0, 5.0), PerPhase(6.0, 7.0, 8.0), 0.9, 50.0)
    reading = reading_from(values)
    assert [getattr(reading, name) for name in MeterReading.__slots__] == [
        getattr(values, name) for name in MeterReading.__slots__
    ]


class SteadyMeter:
    """Says what `at` gives for the seconds that went by."""

    def __init__(self, at: Callable[[float], MeterValues]) -> None:
        self.at = at

    async def read(self) -> MeterValues:
        return self.at(asyncio.get_running_loop().time() - START_MONOTONIC_S)

    async def close(self) -> None:
        pass


def test_a_frozen_meter_is_silent_until_it_moves_again():
    def at(now_s: float) -> MeterValues:
        return MeterValues(WattHours(5 if now_s < 40.0 else 6), 3680.0, PerPhase(16.0, 0.0, 0.0))

    events = run_task(lambda inbox: MeterPoller(1, SteadyMeter(at), inbox), 45.5)
    kinds = [type(event) for event in events]
    assert kinds == 30 * [MeterRead] + 10 * [MeterFailed] + 6 * [MeterRead]
    assert events[30] == MeterFailed(1, "frozen: the same registers for 30 s under load")


def test_nonsense_is_silence():
    events = run_task(lambda inbox: MeterPoller(1, SteadyMeter(lambda _: MeterValues(frequency_hz=5.0)), inbox), 0.5)
    assert events == [MeterFailed(1, "implausible: frequency of 5 Hz")]


def test_a_doubt_is_told_once_and_the_reading_goes_on(caplog):
    def at(now_s: float) -> MeterValues:
        backwards = PerPhase(-3000.0 - now_s, 0.0, 0.0)
        return MeterValues(power_by_phase_w=backwards, current_a=PerPhase(13.0, 0.0, 0.0))

    events = run_task(lambda inbox: MeterPoller(1, SteadyMeter(at), inbox), 9.5)
    assert [type(event) for event in events] == 10 * [MeterRead]
    assert caplog.text.count("current flows backwards on l1") == 1


class ScriptedReader:
    """Gives one swipe or error a second."""

    def __init__(self, *swipes: Swipe | InstrumentError) -> None:
        self.swipes = list(swipes)
        self.is_closed = False

    async def next_swipe(self) -> Swipe:
        await asyncio.sleep(1.0 if self.swipes else 1e6)
        swipe = self.swipes.pop(0)
        if isinstance(swipe, InstrumentError):
            raise swipe
        return swipe

    async def close(self) -> None:
        self.is_closed = True


def test_cards_are_posted_for_the_connectors_the_reader_serves():
    reader = ScriptedReader(Swipe("A"), Swipe("B", (2,)), Swipe("C", (3,)), Swipe("D", (2, 3)))
    events = run_task(lambda inbox: CardReaderTask("front", reader, (1, 2), inbox), 60.0)
    assert events == [
        CardPresented(IdTag("A"), (1, 2)),
        CardPresented(IdTag("B"), (2,)),
        CardPresented(IdTag("D"), (2,)),
    ]
    assert reader.is_closed


def test_a_reader_that_is_away_is_tried_again_and_named_once(caplog):
    away = [InstrumentError("gone")] * 20
    reader = ScriptedReader(*away, Swipe("A"))
    events = run_task(lambda inbox: CardReaderTask("front", reader, (1,), inbox), 60.0)
    assert events == [CardPresented(IdTag("A"), (1,))]
    assert caplog.text.count("Reader front: gone") == 1


def test_behind_clamps_everything_that_depends_on_current_is_scaled() -> None:
    values = MeterValues(
        energy_wh=WattHours(1001),
        power_w=690.0,
        current_a=PerPhase.uniform(1.0),
        voltage_v=PerPhase.uniform(230.0),
        frequency_hz=50.0,
    )
    reading = reading_from(values, ct_ratio=30.0)
    assert reading.energy_wh == 30_030
    assert reading.power_w == pytest.approx(20_700.0)
    assert reading.current_a == PerPhase.uniform(30.0)
    assert reading.voltage_v == PerPhase.uniform(230.0)
    assert reading_from(MeterValues(), ct_ratio=30.0).current_a is None, "absent stays absent"
