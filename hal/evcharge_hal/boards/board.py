"""What a board is: the declared content of `board.toml` (DESIGN D1, D5).

The file belongs to root. The agent can lower what stands here and never raise it.
"""

import enum
from dataclasses import dataclass

from evcharge_hal.contract.channel import MAX_CONNECTORS
from evcharge_hal.contract.schema import declare
from evcharge_hal.contract.units import Amps


class RcmSource(enum.Enum):
    """Where the residual current monitor is wired to."""

    GPIO = "gpio"
    MCU = "mcu"


class RelayFeedback(enum.Enum):
    """How the contactor's true position is known."""

    MIRROR = "mirror"
    VOLTAGE = "voltage"
    NONE = "none"


class Earthing(enum.Enum):
    """Earthing system of the installation."""

    TN = "TN"
    TT = "TT"
    IT = "IT"


class Rotation(enum.Enum):
    """Grid phases in the order they are wired to L1, L2, L3 of the charger."""

    RST = "RST"
    RTS = "RTS"
    SRT = "SRT"
    STR = "STR"
    TRS = "TRS"
    TSR = "TSR"


class Lock(enum.Enum):
    """Connector lock actuator."""

    NONE = "none"
    SOLENOID = "solenoid"
    MOTOR = "motor"


class Cable(enum.Enum):
    """How the cable is attached."""

    SOCKET = "socket"
    FIXED = "fixed"


class HostLoss(enum.Enum):
    """What the co-processor does when the guard falls silent (DESIGN D2)."""

    OPEN = "open"
    DERATE = "derate"


class PowerPath(enum.Enum):
    """Who closes the contactor (ADR 12)."""

    HOST = "host"
    """The guard's relay line and the co-processor's permit together."""
    MCU = "mcu"
    """The board closes its own relay as soon as it is enabled and the car asks."""


class LinkDriver(enum.Enum):
    """Protocol of the pilot co-processor."""

    NATIVE = "native"
    RAPI = "rapi"


@dataclass(frozen=True, slots=True)
class BoardSection:
    """The board as a whole."""

    name: str = declare("Shipped board, or path of a board file", max_length=200, default="sim")
    connectors: int | None = declare(
        "Connectors fitted; none: all that the board file describes", ge=1, le=MAX_CONNECTORS, default=None
    )
    supply_a: Amps | None = declare(
        "Supply shared by all connectors, per phase; none: each connector has its own",
        unit="A",
        ge=6.0,
        le=160.0,
        default=None,
    )
    rcm: RcmSource = declare("Where the residual current monitor is wired to", default=RcmSource.GPIO)
    relay_feedback: RelayFeedback = declare("How the contactor's position is known", default=RelayFeedback.MIRROR)
    earthing: Earthing = declare("Earthing system of the installation", default=Earthing.TN)
    host_loss: HostLoss = declare("What the co-processor does when the guard falls silent", default=HostLoss.OPEN)
    power_path: PowerPath = declare("Who closes the contactor", default=PowerPath.HOST)


@dataclass(frozen=True, slots=True)
class LinkSection:
    """The serial port of the pilot co-processor."""

    driver: LinkDriver = declare("Protocol", default=LinkDriver.NATIVE)
    port: str = declare(
        "Serial device; a relative name is looked up in the runtime directory",
        min_length=1,
        max_length=200,
        default="pilot",
    )
    baud: int = declare("Bit rate", unit="bit/s", ge=1200, le=1_000_000, default=115_200)


@dataclass(frozen=True, slots=True)
class ProximityWindow:
    """A cable resistor's window and the current it stands for (IEC 61851-1 Table B.2; hardware.md 3.4)."""

    from_ohm: float = declare("Lowest resistance", unit="Ω", ge=75.0, le=2200.0)
    to_ohm: float = declare("Highest resistance", unit="Ω", ge=75.0, le=2200.0)
    limit_a: Amps = declare("Current the cable carries", unit="A", ge=6.0, le=80.0)


DEFAULT_PROXIMITY = (
    ProximityWindow(75.0, 150.0, Amps(63.0)),
    ProximityWindow(150.0, 330.0, Amps(32.0)),
    ProximityWindow(330.0, 1000.0, Amps(20.0)),
    ProximityWindow(1000.0, 2200.0, Amps(13.0)),
)


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Figures of the guard's monitors; defaults are those of the design (section 4b)."""

    derate_from_c: float = declare("Start lowering the current", unit="°C", ge=20.0, le=70.0, default=60.0)
    stop_at_c: float = declare("Stop charging", unit="°C", ge=25.0, le=70.0, default=65.0)
    resume_below_c: float = declare("Charge again", unit="°C", ge=10.0, le=70.0, default=55.0)
    sensor_lost_a: Amps = declare("Most to offer without a temperature", unit="A", ge=6.0, le=10.0, default=10.0)
    reclose_after_s: float = declare("Least time between two closings", unit="s", ge=10.0, le=300.0, default=10.0)
    closings_per_10_min: int = declare("Most closings in ten minutes", ge=1, le=6, default=6)
    proximity: tuple[ProximityWindow, ...] = declare("Cable resistors", max_length=8, default=DEFAULT_PROXIMITY)


@dataclass(frozen=True, slots=True)
class ConnectorPins:
    """GPIO numbers (BCM) of one connector; none: not fitted."""

    relay: int = declare("Contactor relay, output", ge=0, le=63)
    feedback: int | None = declare("Mirror contact, input", ge=0, le=63, default=None)
    rcm: int | None = declare("Residual current monitor, input", ge=0, le=63, default=None)
    rcm_test: int | None = declare("Residual current monitor's test winding, output", ge=0, le=63, default=None)
    led_red: int | None = declare("Red LED, output", ge=0, le=63, default=None)
    led_green: int | None = declare("Green LED, output", ge=0, le=63, default=None)
    led_blue: int | None = declare("Blue LED, output", ge=0, le=63, default=None)
    is_relay_active_high: bool = declare("Relay closes on a high level", default=True)
    is_feedback_active_high: bool = declare("Mirror contact reads high while the contactor is closed", default=True)
    is_rcm_active_high: bool = declare("Monitor reads high while tripped", default=True)


@dataclass(frozen=True, slots=True)
class ConnectorSection:
    """One connector."""

    id: int = declare("Connector number", ge=1, le=MAX_CONNECTORS)
    pins: ConnectorPins = declare("GPIO lines")
    max_a: Amps = declare("Rated current", unit="A", ge=6.0, le=80.0, default=32.0)
    phases: int = declare("Phases wired: 1 or 3", ge=1, le=3, default=3)
    rotation: Rotation = declare("Grid phases on L1, L2, L3", default=Rotation.RST)
    lock: Lock = declare("Connector lock", default=Lock.NONE)
    cable: Cable = declare("How the cable is attached", default=Cable.SOCKET)
    cable_a: Amps = declare("Rating of a fixed cable", unit="A", ge=6.0, le=80.0, default=32.0)


@dataclass(frozen=True, slots=True)
class Board:
    """A whole board file."""

    board: BoardSection = declare("The board as a whole")
    link: LinkSection = declare("Pilot co-processor")
    thresholds: Thresholds = declare("Figures of the monitors")
    connector: tuple[ConnectorSection, ...] = declare("Connectors", max_length=MAX_CONNECTORS)
