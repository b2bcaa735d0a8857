"""P1 and TIC meters on a pty: the newest whole telegram, never an old one."""

import asyncio
import contextlib

import pytest

from evcharge_hal.instruments.p1 import DSMR_4, P1Cutter, parse_p1
from evcharge_hal.instruments.serial_line import LineSettings
from evcharge_hal.instruments.telegram_meter import FRESH_S, TelegramMeter
from evcharge_hal.instruments.tic import TicCutter, TicMode, parse_tic
from evcharge_hal.instruments.values import InstrumentError
from tests.support.device_pty import device_pty
from tests.unit.instruments.test_p1 import BODY, sealed
from tests.unit.instruments.test_tic import THREE, frame


def p1_meter(path: str, fresh_s: float = FRESH_S) -> TelegramMeter:
    return TelegramMeter(path, DSMR_4, P1Cutter(), parse_p1, fresh_s)


def telegram(watts: int) -> bytes:
    return sealed(BODY.replace(b"00.378", b"%06.3f" % (watts / 1000)))


async def test_a_p1_meter_is_read_from_the_middle_of_a_telegram_on():
    async with device_pty() as device:
        meter = p1_meter(device.path)
        reading = asyncio.create_task(meter.read())
        await asyncio.sleep(0.02)
        device.send(telegram(1)[400:])
        device.send(telegram(2)[:300])
        await asyncio.sleep(0.02)
        assert not reading.done()
        device.send(telegram(2)[300:])
        assert (await reading).power_w == 2.0
        await meter.close()


async def test_of_several_telegrams_the_newest_counts():
    async with device_pty() as device:
        meter = p1_meter(device.path)
        reading = asyncio.create_task(meter.read())
        await asyncio.sleep(0.02)
        device.send(telegram(1))
        assert (await reading).power_w == 1.0
        device.send(telegram(2))
        device.send(telegram(3))
        await asyncio.sleep(0.02)
        assert (await meter.read()).power_w == 3.0
        await meter.close()


async def test_a_telegram_that_waited_says_nothing_about_now():
    async with device_pty() as device:
        meter = p1_meter(device.path, 0.2)
        reading = asyncio.create_task(meter.read())
        await asyncio.sleep(0.02)
        device.send(telegram(1) + telegram(2))
        await reading
        device.send(telegram(3))
        await asyncio.sleep(0.25)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await meter.read()
        device.send(telegram(4))
        assert (await meter.read()).power_w == 4.0
        await meter.close()


async def test_a_damaged_telegram_is_an_error_and_the_next_is_read():
    async with device_pty() as device:
        meter = p1_meter(device.path)
        reading = asyncio.create_task(meter.read())
        await asyncio.sleep(0.02)
        device.send(telegram(1).replace(b"00.001", b"99.999"))
        with pytest.raises(InstrumentError, match="wrong checksum"):
            await reading
        device.send(telegram(2))
        assert (await meter.read()).power_w == 2.0
        await meter.close()


async def test_a_meter_that_is_unplugged_is_said_and_found_again(tmp_path):
    port = tmp_path / "p1"
    meter = p1_meter(str(port))
    with pytest.raises(InstrumentError, match="cannot open"):
        await meter.read()
    async with device_pty() as device:
        port.symlink_to(device.path)
        reading = asyncio.create_task(meter.read())
        await asyncio.sleep(0.02)
        device.unplug()
        with pytest.raises(InstrumentError, match=r"hung up|cannot read"):
            await reading
    async with device_pty() as device:
        port.unlink()
        port.symlink_to(device.path)
        reading = asyncio.create_task(meter.read())
        await asyncio.sleep(0.02)
        device.send(telegram(7))
        assert (await reading).power_w == 7.0
    await meter.close()


async def test_a_linky_is_read():
    async with device_pty() as device:
        # A pty knows no parity: the bytes are checked here, seven bits with parity are the port's.
        meter = TelegramMeter(
            device.path, LineSettings(9600), TicCutter(), lambda text: parse_tic(text, TicMode.STANDARD)
        )
        reading = asyncio.create_task(meter.read())
        await asyncio.sleep(0.02)
        device.send(b"\x02" + THREE + b"\x03")
        assert (await reading).apparent_power_va == 3900.0
        device.send(b"\x02" + frame(TicMode.STANDARD, ("EAST", "000000001")) + b"\x03")
        assert (await meter.read()).energy_wh == 1
        await meter.close()


async def test_noise_alone_is_no_reading():
    async with device_pty() as device:
        meter = p1_meter(device.path)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.1):
                reading = asyncio.create_task(meter.read())
                await asyncio.sleep(0.02)
                device.send(b"\x00\xff!x\r\n" * 100)
                await reading
                pytest.fail("noise was read")
        await meter.close()
