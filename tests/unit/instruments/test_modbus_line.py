"""The owner of a line under virtual time: turns, rests, and a dead meter asked ever more rarely."""

import asyncio
import itertools

import pytest

from evcharge_hal.instruments.modbus_line import LONGEST_BACK_OFF_S, ModbusLine
from evcharge_hal.instruments.rtu_frames import Answer, Request
from evcharge_hal.instruments.values import InstrumentError
from tests.support.virtual_time import START_MONOTONIC_S, run_virtual

TIMEOUT_S = 0.5


class TimedTransport:
    """Answers after 0.1 s; units in `dead` cost their time-out."""

    name = "line"

    def __init__(self, *dead: int) -> None:
        self.dead = set(dead)
        self.asked: list[tuple[float, int]] = []
        self.in_flight = 0

    async def ask(self, request: Request) -> Answer:
        self.in_flight += 1
        assert self.in_flight == 1
        self.asked.append((asyncio.get_running_loop().time() - START_MONOTONIC_S, request.unit))
        try:
            await asyncio.sleep(TIMEOUT_S if request.unit in self.dead else 0.1)
        finally:
            self.in_flight -= 1
        if request.unit in self.dead:
            raise InstrumentError("no answer")
        return Answer((request.unit,))

    def disconnect(self) -> None:
        pass


async def poll(line: ModbusLine, unit: int, until_s: float, period_s: float = 1.0) -> int:
    """Ask once a period; returns how often it was answered."""
    loop = asyncio.get_running_loop()
    answers = 0
    while loop.time() - START_MONOTONIC_S < until_s:
        try:
            await line.ask(Request(unit, 3, 0, 1), 0.0)
            answers += 1
        except InstrumentError:
            pass
        await asyncio.sleep(period_s)
    return answers


def test_a_dead_meter_costs_the_others_ever_less():
    async def main() -> tuple[TimedTransport, int]:
        transport = TimedTransport(1)
        line = ModbusLine(transport)
        line.join(1)
        line.join(2)
        _, answers = await asyncio.gather(poll(line, 1, 100.0), poll(line, 2, 100.0, 0.4))
        return transport, answers

    transport, answers = run_virtual(main())
    moments_s = [at_s for at_s, unit in transport.asked if unit == 1]
    gaps_s = [later - earlier for earlier, later in itertools.pairwise(moments_s)]
    assert gaps_s[-3:] == pytest.approx([LONGEST_BACK_OFF_S + TIMEOUT_S] * 3, abs=1.0)
    assert gaps_s == sorted(gaps_s)
    # Alone it would be 200 answers; the dead one takes 0.5 s of every 8.5 s.
    assert answers >= 180


def test_a_meter_that_comes_back_is_asked_as_before():
    async def main() -> list[tuple[float, int]]:
        transport = TimedTransport(1)
        line = ModbusLine(transport)
        line.join(2)
        polling = asyncio.create_task(poll(line, 1, 80.0))
        await asyncio.sleep(40.0)
        transport.dead.clear()
        await polling
        return transport.asked

    moments_s = [at_s for at_s, _ in run_virtual(main())]
    back_s = min(at_s for at_s in moments_s if at_s >= 40.0)
    assert back_s <= 40.0 + LONGEST_BACK_OFF_S + 1.0
    assert len([at_s for at_s in moments_s if at_s >= back_s]) >= (80.0 - back_s) / 1.1 - 1


def test_a_meter_alone_on_its_line_is_never_backed_off_from():
    async def main() -> int:
        transport = TimedTransport(1)
        line = ModbusLine(transport)
        await poll(line, 1, 30.0, 0.5)
        return len(transport.asked)

    assert run_virtual(main()) == 30


def test_one_lost_frame_is_no_reason_to_wait():
    async def main() -> Answer:
        transport = TimedTransport(1)
        line = ModbusLine(transport)
        line.join(2)
        with pytest.raises(InstrumentError, match="no answer"):
            await line.ask(Request(1, 3, 0, 1), 0.0)
        transport.dead.clear()
        return await line.ask(Request(1, 3, 0, 1), 0.0)

    assert run_virtual(main()) == Answer((1,))


def test_meters_come_in_the_order_they_asked_and_rest_while_others_are_served():
    async def main() -> list[tuple[float, int]]:
        transport = TimedTransport()
        line = ModbusLine(transport)

        async def two(unit: int, rest_s: float) -> None:
            await line.ask(Request(unit, 3, 0, 1), rest_s)
            await line.ask(Request(unit, 3, 2, 1), rest_s)

        await asyncio.gather(two(1, 1.0), two(2, 0.0), two(3, 0.0))
        return transport.asked

    asked = run_virtual(main())
    assert [unit for _, unit in asked] == [1, 2, 3, 2, 3, 1]
    assert asked[-1][0] == pytest.approx(1.1)


def test_a_cancelled_question_leaves_the_line_to_others():
    async def main() -> Answer:
        line = ModbusLine(TimedTransport(1))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await line.ask(Request(1, 3, 0, 1), 0.0)
        return await line.ask(Request(2, 3, 0, 1), 0.0)

    assert run_virtual(main()) == Answer((2,))
