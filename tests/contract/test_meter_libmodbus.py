"""The register maps against libmodbus, which shares nothing with us or pymodbus (needs gcc and libmodbus-dev)."""

import asyncio
import contextlib
import os
import pty
import subprocess
import tty
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from evcharge_hal.contract.units import Seconds
from evcharge_hal.instruments.modbus_line import ModbusLine
from evcharge_hal.instruments.modbus_meter import ModbusMeter
from evcharge_hal.instruments.modbus_rtu import RtuTransport
from evcharge_hal.instruments.modbus_tcp import TcpTransport
from evcharge_hal.instruments.registers import load_map
from evcharge_hal.instruments.serial_line import LineSettings
from tests.support.golden_meters import NAMES, load_golden

pytestmark = pytest.mark.system
SOURCE = Path(__file__).parents[1] / "support" / "libmodbus_meter.c"
UNIT = 17


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("libmodbus") / "meter"
    subprocess.run(["cc", "-I/usr/include/modbus", str(SOURCE), "-o", str(out), "-lmodbus"], check=True)
    return out


@contextlib.asynccontextmanager
async def running(program: Path, name: str, *arguments: str) -> AsyncIterator[str]:
    """Start the program with an image; gives the line it prints when it is ready."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(program, *arguments, stdin=pipe, stdout=pipe)
    assert process.stdin is not None
    assert process.stdout is not None
    image = "".join(f"{address:x} {word:x}\n" for address, word in load_golden(name).words.items())
    process.stdin.write(image.encode())
    process.stdin.close()
    try:
        yield (await asyncio.wait_for(process.stdout.readline(), 10.0)).decode().strip()
    finally:
        process.kill()
        await process.wait()


@pytest.mark.parametrize("name", NAMES)
async def test_an_image_from_libmodbus_over_tcp(program, name):
    golden = load_golden(name)
    async with running(program, name, "tcp") as port:
        meter = ModbusMeter(ModbusLine(TcpTransport("127.0.0.1", int(port), Seconds(5.0))), 1, load_map(golden.map))
        for _ in range(2):
            assert golden.differences(await meter.read()) == {}
        await meter.close()


@pytest.mark.parametrize("name", NAMES)
async def test_an_image_from_libmodbus_over_a_serial_line(program, name):
    golden = load_golden(name)
    async with wired() as (ours, theirs), running(program, name, "rtu", theirs, str(UNIT)) as ready:
        assert ready == "ready"
        line = ModbusLine(RtuTransport(ours, LineSettings(115_200), Seconds(5.0)))
        meter = ModbusMeter(line, UNIT, load_map(golden.map))
        for _ in range(2):
            assert golden.differences(await meter.read()) == {}
        await meter.close()


@contextlib.asynccontextmanager
async def wired() -> AsyncIterator[tuple[str, str]]:
    """Two serial devices joined by a wire."""
    loop = asyncio.get_running_loop()
    ends = [pty.openpty(), pty.openpty()]
    for (near, far), (other, _) in zip(ends, reversed(ends), strict=True):
        tty.setraw(far)
        loop.add_reader(near, lambda near=near, other=other: os.write(other, os.read(near, 4096)))
    try:
        yield os.ttyname(ends[0][1]), os.ttyname(ends[1][1])
    finally:
        for near, far in ends:
            loop.remove_reader(near)
            os.close(near)
            os.close(far)
