"""Meters and card readers as the settings name them; meters on one line share its owner."""

from collections.abc import Sequence
from pathlib import Path

from evcharge_agent.settings.instrument_sections import AUTO_MAP, MeterKind, ReaderKind
from evcharge_agent.settings.instrument_sections import Meter as MeterSection
from evcharge_agent.settings.instrument_sections import Reader as ReaderSection
from evcharge_hal.instruments.detect import DetectedMeter
from evcharge_hal.instruments.modbus_line import ModbusLine
from evcharge_hal.instruments.modbus_meter import ModbusMeter
from evcharge_hal.instruments.modbus_rtu import RtuTransport
from evcharge_hal.instruments.modbus_tcp import TcpTransport
from evcharge_hal.instruments.pn532 import Pn532Reader
from evcharge_hal.instruments.registers import load_map
from evcharge_hal.instruments.serial_line import LineSettings, Parity
from evcharge_hal.instruments.shelly import ShellyMeter
from evcharge_hal.instruments.sim_reader import SimCardReader
from evcharge_hal.instruments.uid import UidFormat, UidRule
from evcharge_hal.instruments.usb_keyboard import UsbKeyboardReader
from evcharge_hal.instruments.values import CardReader, Meter


def make_meters(sections: Sequence[MeterSection]) -> list[Meter]:
    """Make the meters, in the order of their tables. Nothing is opened yet.

    Raises:
        InvalidFieldError: one names a register map that is not there.
    """
    lines: dict[str, ModbusLine] = {}
    return [_make_meter(section, lines) for section in sections]


def make_reader(section: ReaderSection, simulated: Path) -> CardReader:
    """Make a reader; `simulated` is the socket of the simulated one. Nothing is opened yet."""
    if section.device is None:
        return SimCardReader(simulated)
    rule = None
    if section.uid_format is not None or section.uid_reversed:
        shape = UidFormat.HEX if section.uid_format is None else UidFormat(section.uid_format.value)
        rule = UidRule(shape, section.uid_reversed)
    if section.kind is ReaderKind.PN532:
        return Pn532Reader(section.device, rule)
    return UsbKeyboardReader(section.device, rule)


def _make_meter(section: MeterSection, lines: dict[str, ModbusLine]) -> Meter:
    if section.kind is MeterKind.SHELLY:
        return ShellyMeter(section.host, section.tcp_port, section.channel)
    transport = _transport(section)
    line = lines.setdefault(transport.name, ModbusLine(transport))
    if section.map == AUTO_MAP:
        return DetectedMeter(line, section.unit)
    return ModbusMeter(line, section.unit, load_map(section.map))


def _transport(section: MeterSection) -> RtuTransport | TcpTransport:
    if section.serial_port is None:
        return TcpTransport(section.host, section.tcp_port)
    look = LineSettings(section.baud, Parity(section.parity.value), stop_bits=section.stop_bits)
    return RtuTransport(section.serial_port, look)
