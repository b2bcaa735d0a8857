"""`[[meter]]` and `[[reader]]`: what goes together, and what is built of it."""

from pathlib import Path

import pytest

from evcharge_agent.runtime.instrument_parts import make_meters, make_reader
from evcharge_agent.settings.errors import ConfigurationError
from evcharge_agent.settings.loader import check_tables
from evcharge_agent.settings.sections import Settings
from evcharge_hal.instruments.detect import DetectedMeter
from evcharge_hal.instruments.modbus_meter import ModbusMeter
from evcharge_hal.instruments.pn532 import Pn532Reader
from evcharge_hal.instruments.shelly import ShellyMeter
from evcharge_hal.instruments.sim_reader import SimCardReader
from evcharge_hal.instruments.usb_keyboard import UsbKeyboardReader

RTU = {"kind": "modbus_rtu", "serial_port": "/dev/ttyUSB0"}


def settings_of(**tables: list[dict[str, object]]) -> Settings:
    named = {
        table: [{"name": f"n{index}"} | entry for index, entry in enumerate(entries)]
        for table, entries in tables.items()
    }
    return check_tables(named, "file", None).settings


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ({"kind": "modbus_rtu"}, "serial_port"),
        ({"kind": "modbus_tcp", "serial_port": "/dev/ttyUSB0"}, "none with kind = modbus_tcp"),
        ({"kind": "shelly", "serial_port": "/dev/ttyUSB0"}, "none with kind = shelly"),
        (RTU | {"unit": 0}, "from 1 to 247"),
        (RTU | {"unit": 248}, "from 1 to 247"),
        (RTU | {"baud": 299}, "from 300 to 115200 bit/s"),
        (RTU | {"stop_bits": 3}, "from 1 to 2"),
        (RTU | {"parity": "mark"}, "none, even, odd"),
        ({"kind": "p1"}, "not supported by this version"),
        ({"kind": "tic"}, "not supported by this version"),
        ({"kind": "mbus"}, "modbus_tcp, modbus_rtu, shelly"),
        ({"role": "grid"}, "not supported by this version"),
        ({"channel": 2}, "from 0 to 1"),
        ({"port": 0}, "from 1 to 65535"),
    ],
)
def test_what_does_not_go_together_in_a_meter_is_named(entry, told):
    with pytest.raises(ConfigurationError) as caught:
        settings_of(meter=[entry])
    assert told in str(caught.value)
    assert "meter[0]" in str(caught.value)


@pytest.mark.parametrize(
    ("second", "told"),
    [
        ({"unit": 2, "baud": 19_200}, "the same baud"),
        ({"unit": 2, "parity": "even"}, "the same baud"),
        ({"unit": 1}, "different units"),
    ],
)
def test_meters_on_one_bus_must_get_along(second, told):
    with pytest.raises(ConfigurationError, match=told):
        settings_of(meter=[RTU, RTU | {"connector": 2} | second])


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ({"kind": "pn532"}, "required with kind = pn532"),
        ({"kind": "usb"}, "required with kind = usb"),
        ({"kind": "sim", "device": "/dev/ttyAMA0"}, "none with kind = sim"),
        ({"uid_format": "hex"}, "its cards are id tags"),
        ({"uid_reversed": True}, "its cards are id tags"),
        ({"kind": "pcsc"}, "sim, pn532, usb"),
        ({"kind": "pn532", "device": "/dev/ttyAMA0", "uid_format": "octal"}, "hex, hex_lower, decimal"),
    ],
)
def test_what_does_not_go_together_in_a_reader_is_named(entry, told):
    with pytest.raises(ConfigurationError) as caught:
        settings_of(reader=[entry])
    assert told in str(caught.value)


def test_a_device_belongs_to_one_reader_or_one_bus():
    pn532 = {"kind": "pn532", "device": "/dev/ttyUSB0"}
    for tables in ({"reader": [pn532, pn532]}, {"reader": [pn532], "meter": [RTU]}):
        with pytest.raises(ConfigurationError, match="a device of its own"):
            settings_of(**tables)


def test_each_kind_of_meter_is_built_and_a_bus_has_one_owner():
    bus = settings_of(meter=[RTU | {"map": "gnm3d"}, RTU | {"map": "sdm120", "unit": 2, "connector": 2}])
    net = settings_of(meter=[{"map": "auto"}, {"connector": 2, "kind": "shelly", "host": "192.0.2.7"}])
    first, second, third, fourth = make_meters(bus.meter) + make_meters(net.meter)
    assert isinstance(first, ModbusMeter)
    assert isinstance(second, ModbusMeter)
    assert first._line is second._line
    assert first._line.name == "/dev/ttyUSB0"
    assert first.register_map.name.startswith("Carlo Gavazzi EM3xx")
    assert isinstance(third, DetectedMeter)
    assert third.register_map is None
    assert isinstance(fourth, ShellyMeter)
    assert [meter.tcp_port for meter in net.meter] == [502, 80]


@pytest.mark.parametrize(
    ("entry", "kind"),
    [
        ({}, SimCardReader),
        ({"kind": "pn532", "device": "/dev/ttyAMA0"}, Pn532Reader),
        ({"kind": "usb", "device": "/dev/input/by-id/x", "uid_format": "decimal"}, UsbKeyboardReader),
    ],
)
def test_each_kind_of_reader_is_built(entry, kind):
    (section,) = settings_of(reader=[entry]).reader
    assert isinstance(make_reader(section, Path("/run/reader.sock")), kind)
