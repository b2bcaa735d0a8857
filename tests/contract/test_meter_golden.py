"""Every shipped register map against images of its meter, over a wire that shares no code with the client."""

import pytest

from evcharge_hal.contract.units import Seconds
from evcharge_hal.instruments.modbus_line import ModbusLine
from evcharge_hal.instruments.modbus_meter import ModbusMeter
from evcharge_hal.instruments.modbus_rtu import RtuTransport
from evcharge_hal.instruments.modbus_tcp import TcpTransport
from evcharge_hal.instruments.registers import load_map, shipped_maps
from evcharge_hal.instruments.serial_line import LineSettings
from tests.support.golden_meters import NAMES, load_golden
from tests.support.mbap_server import mbap_server
from tests.support.rtu_server import rtu_server

FAST = LineSettings(115_200)


def test_every_shipped_map_has_an_image():
    covered = [load_map(load_golden(name).map) for name in NAMES]
    assert [file for file in shipped_maps() if load_map(file) not in covered] == []


@pytest.mark.parametrize("name", NAMES)
async def test_an_image_over_tcp(name):
    golden = load_golden(name)
    async with mbap_server(lambda asked: asked.registers(golden.words)) as server:
        meter = ModbusMeter(ModbusLine(TcpTransport("127.0.0.1", server.port)), 1, load_map(golden.map))
        assert golden.differences(await meter.read()) == {}
        assert {asked.function_code for asked in server.asked} == {golden.function_code}
        await meter.close()


@pytest.mark.parametrize("name", NAMES)
async def test_an_image_over_a_serial_line_of_a_meter_that_gives_defined_registers_only(name):
    golden = load_golden(name)
    used = {address for register in load_map(golden.map).registers for address in range(register.address, register.end)}

    def answer(asked):
        is_defined = all(asked.address + offset in used for offset in range(asked.count))
        return asked.registers(golden.words) if is_defined else asked.refusal(2)

    async with rtu_server(answer) as server:
        meter = ModbusMeter(ModbusLine(RtuTransport(server.device.path, FAST, Seconds(2.0))), 17, load_map(golden.map))
        assert golden.differences(await meter.read()) == {}
        assert server.damaged == 0
        await meter.close()
