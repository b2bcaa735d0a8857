"""The Modbus meter over real TCP: against pymodbus's own server, and against servers that misbehave."""

import asyncio
import contextlib
import itertools
import struct
import time
from collections.abc import AsyncIterator

import pytest
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from evcharge_hal.contract.units import PerPhase, Seconds
from evcharge_hal.instruments.modbus_line import ModbusLine
from evcharge_hal.instruments.modbus_meter import ModbusMeter
from evcharge_hal.instruments.modbus_tcp import TcpTransport
from evcharge_hal.instruments.registers import RegisterMap, load_map, parse_map
from evcharge_hal.instruments.values import InstrumentError, MeterValues
from tests.support.mbap_server import Asked, mbap_server

UNIT = 7
SDM630 = load_map("sdm630")
FLOATS = {
    0x00: 229.5, 0x02: 230.25, 0x04: 231.0,
    0x06: 15.5, 0x08: 16.0, 0x0A: 0.25,
    0x0C: 3557.25, 0x0E: 3684.0, 0x10: 4.25,
    0x34: 7245.5, 0x3E: 0.875, 0x46: 50.0, 0x48: 1234.5, 0x4A: 0.5,
}  # fmt: skip
VALUES = MeterValues(
    energy_wh=1_234_500,
    power_w=7245.5,
    current_a=PerPhase(15.5, 16.0, 0.25),
    voltage_v=PerPhase(229.5, 230.25, 231.0),
    power_factor=0.875,
    frequency_hz=50.0,
    energy_export_wh=500,
    power_by_phase_w=PerPhase(3557.25, 3684.0, 4.25),
)
WORDS = {
    address + offset: word
    for address, value in FLOATS.items()
    for offset, word in enumerate(struct.unpack(">HH", struct.pack(">f", value)))
}


def right(asked: Asked) -> bytes:
    return asked.registers(WORDS)


@contextlib.asynccontextmanager
async def meter_at(
    port: int, register_map: RegisterMap = SDM630, timeout_s: float = 0.15
) -> AsyncIterator[ModbusMeter]:
    meter = ModbusMeter(ModbusLine(TcpTransport("127.0.0.1", port, Seconds(timeout_s))), UNIT, register_map)
    try:
        yield meter
    finally:
        await meter.close()


def without_gap(register_map: RegisterMap = SDM630) -> RegisterMap:
    return RegisterMap(
        name=register_map.name,
        function_code=register_map.function_code,
        registers=register_map.registers,
        max_block=register_map.max_block,
        max_hole=register_map.max_hole,
    )


async def test_an_sdm630_on_pymodbus_own_server():
    simdata = [SimData(address, values=value, datatype=DataType.FLOAT32) for address, value in FLOATS.items()]
    defined = {address + offset for address in FLOATS for offset in (0, 1)}
    simdata += [
        SimData(address, values=0, datatype=DataType.REGISTERS) for address in range(76) if address not in defined
    ]
    server = ModbusTcpServer(SimDevice(UNIT, simdata=simdata), address=("127.0.0.1", 0))
    await server.listen()
    try:
        port = server.transport.sockets[0].getsockname()[1]
        async with meter_at(port, timeout_s=2.0) as meter:
            assert await meter.read() == VALUES
    finally:
        await server.shutdown()


async def test_one_request_takes_the_whole_picture():
    async with mbap_server(right) as server, meter_at(server.port) as meter:
        assert await meter.read() == VALUES
        assert server.asked == [Asked(1, UNIT, 4, 0, 76)]


async def test_holding_registers_are_asked_for_with_their_function():
    text = 'name="x"\nfunction_code=3\nregisters=[{quantity="power", address=4, type="i16", scale=0.1}]'
    async with (
        mbap_server(lambda asked: asked.registers({4: 65_526})) as server,
        meter_at(server.port, parse_map(text)) as meter,
    ):
        assert await meter.read() == MeterValues(power_w=-1.0)
        assert server.asked == [Asked(1, UNIT, 3, 4, 1)]


async def test_a_meter_that_refuses_undefined_registers_is_asked_for_defined_ones_from_then_on():
    def answer(asked: Asked) -> bytes:
        defined = all(asked.address + offset in WORDS for offset in range(asked.count))
        return asked.registers(WORDS) if defined else asked.refusal(2)

    async with mbap_server(answer) as server, meter_at(server.port, without_gap()) as meter:
        assert await meter.read() == VALUES
        assert await meter.read() == VALUES
        assert [(asked.address, asked.count) for asked in server.asked] == [(0, 76)] + 2 * [
            (0, 18),
            (52, 2),
            (62, 2),
            (70, 6),
        ]
        assert server.connections == 1


@pytest.mark.parametrize("code", [1, 2, 4, 6, 11])
async def test_a_refusal_is_an_error_and_keeps_the_connection(code):
    async with mbap_server(lambda asked: asked.refusal(code)) as server, meter_at(server.port, without_gap()) as meter:
        with pytest.raises(InstrumentError, match=f"exception {code} at 0x0000"):
            await meter.read()
        server.answer = right
        assert await meter.read() == VALUES


@pytest.mark.parametrize("most", [6, 2])
async def test_a_meter_that_refuses_long_blocks_is_asked_for_short_ones(most):
    def answer(asked: Asked) -> bytes:
        return asked.registers(WORDS) if asked.count <= most else asked.refusal(3)

    async with mbap_server(answer) as server, meter_at(server.port, without_gap()) as meter:
        assert await meter.read() == VALUES
        server.asked.clear()
        assert await meter.read() == VALUES
        assert {asked.count for asked in server.asked} == ({6, 2} if most == 6 else {2})


def short_register_bytes(asked: Asked, byte_count: int, sent: int) -> bytes:
    return asked.frame(bytes((asked.function_code, byte_count)) + bytes(sent))


HOSTILE = {
    "silence": lambda asked: None,
    "half an answer": lambda asked: asked.registers(WORDS)[:40],
    "another transaction": lambda asked: asked.frame(asked.registers(WORDS)[7:], transaction=asked.transaction + 1),
    "another unit": lambda asked: asked.frame(asked.registers(WORDS)[7:], unit=UNIT + 1),
    "another function": lambda asked: asked.frame(b"\x03" + asked.registers(WORDS)[8:]),
    "an unknown function": lambda asked: asked.frame(b"\x63\x00\x01"),
    "an exception to another function": lambda asked: asked.frame(b"\x83\x02"),
    "fewer registers": lambda asked: short_register_bytes(asked, 150, 150),
    "more registers": lambda asked: short_register_bytes(asked, 154, 154),
    "an odd number of bytes": lambda asked: short_register_bytes(asked, 151, 151),
    "more announced than sent": lambda asked: short_register_bytes(asked, 152, 100),
    "more sent than announced": lambda asked: short_register_bytes(asked, 4, 152),
    "no registers": lambda asked: short_register_bytes(asked, 0, 0),
    "only a function": lambda asked: asked.frame(bytes((asked.function_code,))),
    "another protocol": lambda asked: asked.registers(WORDS)[:2] + b"\x12\x34" + asked.registers(WORDS)[4:],
    "HTTP": lambda asked: b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n",
    "a flood": lambda asked: b"\x00" * 100_000,
    "no length": lambda asked: b"\x00\x01\x00\x00\x00\x00\x07\x04",
}


@pytest.mark.parametrize("kind", HOSTILE)
async def test_an_answer_that_is_none_is_an_error_and_the_next_reading_is_right(kind, caplog):
    async with mbap_server(HOSTILE[kind]) as server, meter_at(server.port, without_gap()) as meter:
        began_s = time.monotonic()
        with pytest.raises(InstrumentError, match=r"SDM630, SDM72D-M V2 at 127\.0\.0\.1"):
            await meter.read()
        assert time.monotonic() - began_s < 1.0
        server.answer = right
        assert await meter.read() == VALUES
        assert server.connections == 2
    assert "Traceback" not in caplog.text


async def test_an_answer_in_single_bytes_is_put_together():
    async with mbap_server(lambda _asked: None) as server, meter_at(server.port, timeout_s=3.0) as meter:
        reading = asyncio.create_task(meter.read())
        for byte in right(await server.next_asked()):
            server.send(bytes((byte,)))
            await asyncio.sleep(0)
        assert await reading == VALUES


async def test_a_late_answer_never_meets_the_next_question():
    async with mbap_server(lambda _asked: None) as server, meter_at(server.port) as meter:
        with pytest.raises(InstrumentError, match=r"no answer within 0\.15 s"):
            await meter.read()
        with contextlib.suppress(OSError):
            server.send(server.asked[0].registers({}))
        server.answer = right
        assert await meter.read() == VALUES


async def test_a_cancelled_reading_leaves_a_usable_meter():
    async with mbap_server(lambda _asked: None) as server, meter_at(server.port, timeout_s=5.0) as meter:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await meter.read()
        server.answer = right
        assert await meter.read() == VALUES


async def test_a_lost_connection_is_made_again():
    async with mbap_server(right) as server, meter_at(server.port) as meter:
        assert await meter.read() == VALUES
        server.hang_up()
        await asyncio.sleep(0.01)
        assert await meter.read() == VALUES
        assert server.connections == 2


async def test_a_meter_that_is_not_there_is_found_when_it_comes(unused_tcp_port):
    async with meter_at(unused_tcp_port) as meter:
        with pytest.raises(InstrumentError, match="no connection"):
            await meter.read()
        with pytest.raises(InstrumentError, match="no connection"):
            await meter.read()


async def test_a_closed_meter_can_be_read_again():
    async with mbap_server(right) as server, meter_at(server.port) as meter:
        await meter.read()
        await meter.close()
        await meter.close()
        assert await meter.read() == VALUES


async def test_one_request_is_in_flight_at_a_time():
    async with mbap_server(lambda _asked: None) as server, meter_at(server.port, timeout_s=5.0) as meter:
        readings = [asyncio.create_task(meter.read()) for _ in range(3)]
        for number in range(1, 4):
            asked = await server.next_asked()
            await asyncio.sleep(0.01)
            assert len(server.asked) == number
            server.send(right(asked))
        assert await asyncio.gather(*readings) == 3 * [VALUES]


async def test_the_meter_is_given_its_rest_between_requests():
    stamps: list[float] = []

    def answer(asked: Asked) -> bytes:
        stamps.append(time.monotonic())
        return right(asked)

    async with mbap_server(answer) as server, meter_at(server.port) as meter:
        for _ in range(3):
            await meter.read()
    assert min(later - earlier for earlier, later in itertools.pairwise(stamps)) >= 0.099
