"""Meters and card readers: `[[meter]]` and `[[reader]]`."""

import enum
import re
from typing import Annotated, Self

from pydantic import AfterValidator, model_validator

from evcharge_agent.settings.checks import HOST_ALLOWED, is_host, misplaced
from evcharge_agent.settings.declare import Section, setting
from evcharge_hal.contract.channel import MAX_CONNECTORS

AUTO_MAP = "auto"
"""Name that stands for whichever register map fits."""
_NAME = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)
_NAME_ALLOWED = "letters, digits, - and _"
_CONNECTORS_ALLOWED = f"a list of different connectors from 1 to {MAX_CONNECTORS}"
_MODBUS_PORT = 502
_HTTP_PORT = 80
_LAST_SERIAL_UNIT = 247


def _check_name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError(_NAME_ALLOWED)
    return name


def _check_connectors(connectors: tuple[int, ...]) -> tuple[int, ...]:
    are_different = 0 < len(set(connectors)) == len(connectors)
    if not are_different or any(not 1 <= connector <= MAX_CONNECTORS for connector in connectors):
        raise ValueError(_CONNECTORS_ALLOWED)
    return connectors


def _check_host(name: str) -> str:
    if not is_host(name):
        raise ValueError(HOST_ALLOWED)
    return name


Name = Annotated[str, AfterValidator(_check_name)]
Host = Annotated[str, AfterValidator(_check_host)]
Connectors = Annotated[tuple[int, ...], AfterValidator(_check_connectors)]


class ReaderKind(enum.Enum):
    """How a card reader is attached."""

    SIM = "sim"
    PN532 = "pn532"
    USB = "usb"


class UidFormat(enum.Enum):
    """How the number of a card is written."""

    HEX = "hex"
    HEX_LOWER = "hex_lower"
    DECIMAL = "decimal"


class MeterKind(enum.Enum):
    """How a meter is asked."""

    MODBUS_TCP = "modbus_tcp"
    MODBUS_RTU = "modbus_rtu"
    SHELLY = "shelly"
    P1 = "p1"
    TIC = "tic"


class MeterParity(enum.Enum):
    """Parity bit on a serial bus."""

    NONE = "none"
    EVEN = "even"
    ODD = "odd"


class MeterRole(enum.Enum):
    """What a meter measures."""

    SESSION = "session"
    GRID = "grid"
    HOUSE = "house"
    SUN = "sun"
    BATTERY = "battery"


class Reader(Section):
    """A card reader."""

    name: Name = setting("Name", "Names the reader in logs.", max_length=32, allowed=_NAME_ALLOWED)
    kind: ReaderKind = setting("Kind", "How it is attached.", default=ReaderKind.SIM)
    connectors: Connectors = setting(
        "Connectors", "Connectors a card presented here may start.", default=(1,), allowed=_CONNECTORS_ALLOWED
    )
    device: str | None = setting(
        "Device",
        "pn532: the serial port it is on. usb: its event device, best by its lasting name"
        " (/dev/input/by-id/…-event-kbd).",
        default=None,
        min_length=1,
        max_length=200,
    )
    uid_format: UidFormat | None = setting(
        "Format of card numbers",
        "hex: capital digits. Without it a pn532 writes hex, and what a usb reader types stands as it is.",
        default=None,
    )
    uid_reversed: bool = setting("Bytes reversed", "Card numbers are written last byte first.", default=False)

    @model_validator(mode="after")
    def _check_device(self) -> Self:
        is_simulated = self.kind is ReaderKind.SIM
        if not is_simulated and self.device is None:
            raise misplaced("device", f"required with kind = {self.kind.value}")
        if is_simulated and self.device is not None:
            raise misplaced("device", "none with kind = sim")
        if is_simulated and (self.uid_format is not None or self.uid_reversed):
            raise misplaced("uid_format", "none with kind = sim: its cards are id tags")
        return self


class Meter(Section):
    """A meter."""

    name: Name = setting("Name", "Names the meter in logs.", max_length=32, allowed=_NAME_ALLOWED)
    role: MeterRole = setting(
        "Role",
        "What it measures.",
        default=MeterRole.SESSION,
        not_yet=("grid", "house", "sun", "battery"),
    )
    connector: int = setting("Connector", "Connector whose session it measures.", default=1, ge=1, le=MAX_CONNECTORS)
    kind: MeterKind = setting(
        "Kind",
        "How it is asked. shelly: over HTTP, EM, 3EM or Pro 3EM.",
        default=MeterKind.MODBUS_TCP,
        not_yet=("p1", "tic"),
    )
    map: str = setting(
        "Register map",
        "Of a Modbus meter: name of a shipped register map, the path of one that ends in .toml, or auto: all shipped"
        " ones are tried, and used is the one that fits if no other does.",
        default="sdm630",
        min_length=1,
        max_length=200,
    )
    host: Host = setting("Host", "Name or address.", default="127.0.0.1", max_length=253, allowed=HOST_ALLOWED)
    port: int | None = setting(
        "Port", "TCP port; without it 502, and 80 with kind = shelly.", default=None, ge=1, le=65_535
    )
    unit: int = setting("Unit", "Modbus unit.", default=1, ge=0, le=255)
    serial_port: str | None = setting(
        "Serial port",
        "Of a modbus_rtu meter, best by its lasting name (/dev/serial/by-id/…). Several meters may share it.",
        default=None,
        min_length=1,
        max_length=200,
    )
    baud: int = setting("Speed", "Of the serial port.", default=9600, unit="bit/s", ge=300, le=115_200)
    parity: MeterParity = setting("Parity", "Of the serial port.", default=MeterParity.NONE)
    stop_bits: int = setting("Stop bits", "Of the serial port.", default=1, ge=1, le=2)
    channel: int = setting("Clamp", "Which of the two clamps of a Shelly EM, from 0.", default=0, ge=0, le=1)
    ct_ratio: float = setting(
        "CT ratio",
        "Primary over secondary current of clamps; readings are multiplied by it.",
        default=1.0,
        ge=0.1,
        le=1000,
    )
    period_s: float = setting("Period", "Time between two readings.", default=1.0, unit="s", ge=0.2, le=60.0)

    @property
    def tcp_port(self) -> int:
        """The TCP port to use."""
        return self.port or (_HTTP_PORT if self.kind is MeterKind.SHELLY else _MODBUS_PORT)

    @model_validator(mode="after")
    def _check_serial_port(self) -> Self:
        is_serial = self.kind is MeterKind.MODBUS_RTU
        if is_serial and self.serial_port is None:
            raise misplaced("serial_port", "required with kind = modbus_rtu")
        if not is_serial and self.serial_port is not None:
            raise misplaced("serial_port", f"none with kind = {self.kind.value}")
        if is_serial and not 1 <= self.unit <= _LAST_SERIAL_UNIT:
            raise misplaced("unit", f"a whole number from 1 to {_LAST_SERIAL_UNIT} on a serial port")
        return self
