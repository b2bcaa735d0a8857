"""Modbus RTU over a pty: answers told apart without transaction numbers, and a bus shared by several meters."""

import asyncio
import contextlib
import itertools
import random
from collections.abc import AsyncIterator, Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evcharge_hal.contract.units import Seconds
from evcharge_hal.instruments.modbus_line import ModbusLine
from evcharge_hal.instruments.modbus_meter import ModbusMeter
from evcharge_hal.instruments.modbus_rtu import RtuTransport
from evcharge_hal.instruments.registers import parse_map
from evcharge_hal.instruments.rtu_frames import Request, encode_request, find_answer
from evcharge_hal.instruments.serial_line import LineSettings, Parity
from evcharge_hal.instruments.values import InstrumentError, MeterValues, RefusedError
from tests.support.rtu_server import AskedRtu, RtuServer, rtu_server, slow_crc

FAST = LineSettings(115_200)
UNIT = 7
POWER = parse_map('name="x"\nfunction_code=3\nregisters=[{quantity="power", address=4, type="u16"}]')
WITH_GAP = parse_map('name="x"\nfunction_code=3\ngap_ms=60.0\nregisters=[{quantity="power", address=4, type="u16"}]')
BROAD = parse_map(
    'name="x"\nfunction_code=3\nregisters=[{quantity="power", address=4, type="u16"},'
    '{quantity="frequency", address=40, type="u16"}]'
)


def told(asked: AskedRtu) -> bytes:
    """Each unit tells its number as its power."""
    return asked.registers({4: asked.unit, 40: 50})


@contextlib.asynccontextmanager
async def bus(server: RtuServer, response_s: float = 2.0) -> AsyncIterator[Callable[..., ModbusMeter]]:
    line = ModbusLine(RtuTransport(server.device.path, FAST, Seconds(response_s)))
    try:
        yield lambda unit=UNIT, register_map=POWER: ModbusMeter(line, unit, register_map)
    finally:
        await line.close()


async def test_a_meter_is_read():
    async with rtu_server(told) as server, bus(server) as meter_of:
        assert await meter_of().read() == MeterValues(power_w=7.0)
        assert server.asked == [AskedRtu(UNIT, 3, 4, 1)]
        assert server.damaged == 0


async def test_a_refusal_is_told_and_the_next_reading_is_right():
    async with rtu_server(lambda asked: asked.refusal(4)) as server, bus(server) as meter_of:
        meter = meter_of()
        with pytest.raises(RefusedError, match="unit 7: exception 4 at 0x0004"):
            await meter.read()
        server.answer = told
        assert await meter.read() == MeterValues(power_w=7.0)


AROUND = {
    "the echo of an adapter that hears itself": lambda asked: (
        encode_request(Request(asked.unit, asked.function_code, asked.address, asked.count)) + told(asked)
    ),
    "noise before": lambda asked: b"\x00\xff\x07\x03" + told(asked),
    "noise after": lambda asked: told(asked) + b"\x00\xff\x07\x03\x02",
    "the answer of another meter before": lambda asked: asked.registers({4: 999}, unit=8) + told(asked),
    "a damaged answer before": lambda asked: told(asked)[:-1] + b"\x00" + told(asked),
}


@pytest.mark.parametrize("kind", AROUND)
async def test_an_answer_is_found_among_what_is_none(kind):
    async with rtu_server(AROUND[kind]) as server, bus(server) as meter_of:
        meter = meter_of()
        for _ in range(2):
            assert await meter.read() == MeterValues(power_w=7.0)


HOSTILE = {
    "silence": lambda _asked: None,
    "half an answer": lambda asked: told(asked)[:4],
    "a wrong checksum": lambda asked: told(asked)[:-2] + b"\x12\x34",
    "another unit": lambda asked: asked.registers({4: 1}, unit=8),
    "another function": lambda asked: asked.frame(b"\x04\x02\x00\x01"),
    "fewer registers": lambda asked: asked.frame(b"\x03\x00"),
    "more registers": lambda asked: asked.frame(b"\x03\x04\x00\x01\x00\x02"),
    "another byte count": lambda asked: asked.frame(b"\x03\x09\x00\x01"),
    "an odd number of bytes": lambda asked: asked.frame(b"\x03\x01\x00"),
    "an exception to another function": lambda asked: asked.frame(b"\x84\x02"),
    "an exception that is none": lambda asked: asked.frame(b"\x83\x00"),
    "zeros": lambda _asked: bytes(300),
    "ones": lambda _asked: b"\xff" * 300,
}


@pytest.mark.parametrize("kind", HOSTILE)
async def test_an_answer_that_is_none_is_an_error_and_the_next_reading_is_right(kind):
    async with rtu_server(HOSTILE[kind]) as server, bus(server, 0.08) as meter_of:
        meter = meter_of()
        with pytest.raises(InstrumentError, match="unit 7: "):
            await meter.read()
        server.answer = told
        assert await meter.read() == MeterValues(power_w=7.0)


@pytest.mark.parametrize("unit", [UNIT, 9])
async def test_the_late_answer_of_a_meter_never_meets_the_next_question(unit):
    """Also not the same meter's next one, whose answer would look just like it (hardware.md 8.8)."""
    loop = asyncio.get_running_loop()
    late: list[AskedRtu] = []
    async with rtu_server(late.append) as server, bus(server, 0.3) as meter_of:
        with pytest.raises(InstrumentError, match="no answer"):
            await meter_of().read()

        def slow(asked: AskedRtu) -> None:
            loop.call_later(0.15, server.device.send, asked.registers({4: 200 + asked.unit}))

        server.answer = slow
        loop.call_later(0.1, server.device.send, late[0].registers({4: 111}))
        assert await meter_of(unit).read() == MeterValues(power_w=200.0 + unit)


async def test_a_cancelled_reading_leaves_no_answer_behind():
    loop = asyncio.get_running_loop()
    async with rtu_server(lambda _asked: None) as server, bus(server, 0.3) as meter_of:
        meter = meter_of()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await meter.read()
        loop.call_later(0.1, server.device.send, server.asked[0].registers({4: 111}))
        server.answer = lambda asked: loop.call_later(0.15, server.device.send, told(asked)) and None
        assert await meter.read() == MeterValues(power_w=7.0)


async def test_one_request_is_on_the_line_at_a_time_and_meters_take_turns():
    async with rtu_server(lambda _asked: None) as server, bus(server, 5.0) as meter_of:
        meters = [meter_of(unit, BROAD) for unit in (1, 2, 3)]
        readings = [asyncio.create_task(meter.read()) for meter in meters]
        for number in range(1, 7):
            asked = await server.next_asked()
            await asyncio.sleep(0.01)
            assert len(server.asked) == number
            server.device.send(told(asked))
        assert [values.power_w for values in await asyncio.gather(*readings)] == [1.0, 2.0, 3.0]
        # Two blocks each: nobody asks twice before everybody asked once.
        assert [asked.unit for asked in server.asked] == [1, 2, 3, 1, 2, 3]


async def test_while_one_meter_rests_another_is_asked():
    async with rtu_server(told) as server, bus(server) as meter_of:
        slow, quick = meter_of(1, WITH_GAP), meter_of(2)
        await slow.read()
        again = asyncio.create_task(slow.read())
        for _ in range(3):
            await quick.read()
        await again
        units = [asked.unit for asked in server.asked]
        assert units == [1, 2, 2, 2, 1]
        assert server.asked_s[-1] - server.asked_s[0] >= 0.06


async def test_a_dead_meter_does_not_starve_the_others():
    async with rtu_server(lambda asked: told(asked) if asked.unit == 2 else None) as server:
        async with bus(server, 0.05) as meter_of:
            dead, alive = meter_of(1), meter_of(2)
            for _ in range(2):
                with pytest.raises(InstrumentError, match="no answer"):
                    await dead.read()
            for _ in range(20):
                with pytest.raises(InstrumentError, match="silent since 2 requests, asked again in 1 s"):
                    await dead.read()
                assert await alive.read() == MeterValues(power_w=2.0)
        assert [asked.unit for asked in server.asked] == [1, 1] + 20 * [2]


async def test_frames_are_kept_apart_by_silence():
    async with rtu_server(told) as server, bus(server) as meter_of:
        meter = meter_of()
        for _ in range(5):
            await meter.read()
        assert min(later - earlier for earlier, later in itertools.pairwise(server.asked_s)) >= 0.00175


async def test_noise_between_readings_is_forgotten():
    async with rtu_server(told) as server, bus(server) as meter_of:
        for _ in range(3):
            assert await meter_of().read() == MeterValues(power_w=7.0)
            server.device.send(b"\x55" * 2048)
            await asyncio.sleep(0.01)


async def test_a_line_that_is_never_silent_is_said():
    async with rtu_server(told) as server, bus(server, 0.2) as meter_of:
        babbling = asyncio.create_task(babble(server))
        with pytest.raises(InstrumentError, match=r"never silent|no answer"):
            await meter_of().read()
        babbling.cancel()


async def babble(server: RtuServer) -> None:
    while True:
        server.device.send(b"\x55" * 64)
        await asyncio.sleep(0)


async def test_a_port_that_is_not_there_is_found_when_it_comes(tmp_path):
    link = tmp_path / "port"
    meter = ModbusMeter(ModbusLine(RtuTransport(str(link), FAST)), UNIT, POWER)
    with pytest.raises(InstrumentError, match="cannot open"):
        await meter.read()
    async with rtu_server(told) as server:
        link.symlink_to(server.device.path)
        assert await meter.read() == MeterValues(power_w=7.0)
        server.device.unplug()
        with pytest.raises(InstrumentError, match="unit 7"):
            await meter.read()
    async with rtu_server(told) as server:
        link.unlink()
        link.symlink_to(server.device.path)
        assert await meter.read() == MeterValues(power_w=7.0)
        await meter.close()


async def test_a_port_belongs_to_one_owner():
    async with rtu_server(told) as server, bus(server) as meter_of:
        await meter_of().read()
        other = ModbusMeter(ModbusLine(RtuTransport(server.device.path, FAST)), UNIT, POWER)
        with pytest.raises(InstrumentError, match="cannot open"):
            await other.read()


async def test_what_is_no_serial_port_is_said(tmp_path):
    plain = tmp_path / "plain"
    plain.write_bytes(b"")
    meter = ModbusMeter(ModbusLine(RtuTransport(str(plain), LineSettings(parity=Parity.EVEN))), UNIT, POWER)
    with pytest.raises(InstrumentError, match="cannot open"):
        await meter.read()


ASKED = Request(UNIT, 3, 4, 2)


@settings(max_examples=300, deadline=None)
@given(noise=st.binary(max_size=300), words=st.lists(st.integers(0, 0xFFFF), min_size=2, max_size=2))
def test_an_answer_behind_any_noise_is_found(noise, words):
    if find_answer(ASKED, noise) is not None:
        return
    body = bytes((UNIT, 3, 4)) + b"".join(word.to_bytes(2, "big") for word in words)
    found = find_answer(ASKED, noise + body + slow_crc(body))
    assert found is not None
    assert found.words == tuple(words)


def test_ten_thousand_hostile_answers_are_no_answers():
    chance = random.Random(20_261_121)
    right = bytes((UNIT, 3, 4, 0, 1, 0, 2))
    right += slow_crc(right)
    for _ in range(10_000):
        damaged = bytearray(right)
        for _ in range(chance.randint(1, 3)):
            damaged[chance.randrange(len(damaged))] ^= 1 << chance.randrange(8)
        if damaged != right:
            # CRC-16 finds every damage of up to three bits in so short a frame.
            assert find_answer(ASKED, bytes(damaged)) is None
        assert find_answer(ASKED, chance.randbytes(chance.randint(0, 40))) is None


def test_the_request_is_the_one_of_the_serial_line_guide():
    """Checksum computed bit by bit elsewhere."""
    for unit, function_code, address, count in ((1, 3, 0, 1), (247, 4, 0xFFFF, 125), (17, 3, 0x6B, 3)):
        frame = encode_request(Request(unit, function_code, address, count))
        assert frame[-2:] == slow_crc(frame[:-2])
    assert encode_request(Request(17, 3, 0x6B, 3)).hex() == "1103006b00037687"
