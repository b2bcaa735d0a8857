"""The verbs of the control interface, declared once: HTTP bodies, command-line arguments and error texts.

Every verb is idempotent: it states how the world shall be, not what to change (DESIGN section 4).
"""

import difflib
import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from evcharge_hal.contract.channel import MAX_CONNECTORS
from evcharge_hal.contract.errors import EvchargeError, InvalidFieldError
from evcharge_hal.contract.pilot import ResetCause
from evcharge_hal.contract.schema import declare, decode
from evcharge_hal.contract.units import Amps, Volts, Watts
from evcharge_hal.sim.plant.car import Request


class Side(enum.Enum):
    """Which end of the cable is pulled out."""

    BOTH = "both"
    EV = "ev"


class FaultKind(enum.Enum):
    """What can be broken; names of the fault catalogue where it has one for the same thing."""

    PILOT_SHORT = "pilot_short"
    PILOT_INVALID = "pilot_invalid"
    DIODE = "diode"
    VENTILATION_REQUIRED = "ventilation_required"
    RCM_TRIP = "rcm_trip"
    RCM_SELF_TEST = "rcm_self_test"
    CONTACTOR_WELDED = "contactor_welded"
    CONTACTOR_DID_NOT_CLOSE = "contactor_did_not_close"
    OVER_TEMPERATURE = "over_temperature"
    TEMPERATURE_SENSOR_LOST = "temperature_sensor_lost"
    CABLE_INVALID = "cable_invalid"
    CABLE_CHANGED = "cable_changed"
    LOCK_JAM = "lock_jam"
    """The lock stays where it is, open or closed."""
    OVERCURRENT = "overcurrent"
    """The car draws a quarter and 2 A more than it is offered."""
    STUBBORN = "stubborn"
    """The car stays in C and goes on drawing when PWM is taken away."""
    COPROCESSOR_LOST = "coprocessor_lost"
    """It works and says nothing."""
    COPROCESSOR_HUNG = "coprocessor_hung"
    """It takes no set-points and goes on reporting."""
    COPROCESSOR_INCOMPATIBLE = "coprocessor_incompatible"
    """It speaks another protocol version."""
    POWER_FAIL_WARNING = "power_fail_warning"
    """The board's supply falls; the power itself stays until somebody takes it."""
    LINK_LOST = "link_lost"
    """The serial cable is cut, both ways."""
    METER_SILENT = "meter_silent"
    METER_FROZEN = "meter_frozen"
    """All registers stay as they are."""


BOARD_KINDS = frozenset(
    {
        FaultKind.COPROCESSOR_LOST,
        FaultKind.COPROCESSOR_HUNG,
        FaultKind.COPROCESSOR_INCOMPATIBLE,
        FaultKind.LINK_LOST,
        FaultKind.POWER_FAIL_WARNING,
    }
)
"""One co-processor serves all connectors: these ignore the connector."""

METER_KINDS = frozenset({FaultKind.METER_SILENT, FaultKind.METER_FROZEN})

_CABLES = "one of 13, 20, 32, 63 A"


def _connector(*, default: int | None = None) -> Any:
    if default is None:
        return declare("Connector", ge=1, le=MAX_CONNECTORS)
    return declare("Connector", ge=1, le=MAX_CONNECTORS, default=default)


@dataclass(frozen=True, slots=True)
class Plug:
    """Connect the car."""

    connector: int = _connector()
    cable_a: int = declare("Rating of a loose cable: 13, 20, 32 or 63", unit="A", ge=13, le=63, default=32)


@dataclass(frozen=True, slots=True)
class Unplug:
    """Disconnect the car; `ev` leaves the cable in the socket."""

    connector: int = _connector()
    side: Side = declare("End of the cable", default=Side.BOTH)


@dataclass(frozen=True, slots=True)
class Ev:
    """Say what the car is and wants; what is not named stays."""

    connector: int = _connector()
    request: Request | None = declare("What it wants", default=None)
    current_a: Amps | None = declare("Most it takes on each phase", unit="A", ge=1.0, le=80.0, default=None)
    phases: int | None = declare("Phases it uses", ge=1, le=3, default=None)
    min_current_a: Amps | None = declare("Draws nothing when offered less", unit="A", ge=0.0, le=32.0, default=None)
    soc_pct: float | None = declare("State of charge", unit="%", ge=0.0, le=100.0, default=None)
    battery_wh: float | None = declare("Battery size", unit="Wh", ge=100.0, le=1e6, default=None)
    after_pwm: bool | None = declare("Goes to C only when PWM is there", default=None)
    sleepy: bool | None = declare("Ignores PWM until the pilot was pulled down", default=None)


@dataclass(frozen=True, slots=True)
class Swipe:
    """Hold a card to the reader."""

    id_tag: str = declare("Number of the card", max_length=20)
    connectors: tuple[int, ...] = declare(
        "Connectors the reader serves; none named: all", ge=1, le=MAX_CONNECTORS, max_length=8, default=()
    )


@dataclass(frozen=True, slots=True)
class Fault:
    """Break something."""

    kind: FaultKind = declare("What")
    connector: int = _connector(default=1)
    meter: str | None = declare("Name of a meter, where the fault is a meter's", max_length=40, default=None)


@dataclass(frozen=True, slots=True)
class Clear:
    """Repair it."""

    kind: FaultKind = declare("What")
    connector: int = _connector(default=1)
    meter: str | None = declare("Name of a meter, where the fault is a meter's", max_length=40, default=None)


@dataclass(frozen=True, slots=True)
class Meter:
    """Set the session meter's register, or hold it where it is; holding is not a fault."""

    connector: int = _connector()
    energy_wh: int | None = declare("Value of the register", unit="Wh", ge=0, le=10**9, default=None)
    hold: bool | None = declare("Keep it there although energy flows", default=None)


@dataclass(frozen=True, slots=True)
class House:
    """Load the house and let the sun shine; a profile from a file ends."""

    load_a: tuple[Amps, ...] | None = declare(
        "Load of L1, L2, L3", unit="A", ge=0.0, le=1000.0, max_length=3, default=None
    )
    pv_w: Watts | None = declare("Produced by the sun", unit="W", ge=0.0, le=1e6, default=None)
    nominal_v: Volts | None = declare("Grid voltage", unit="V", ge=100.0, le=300.0, default=None)


@dataclass(frozen=True, slots=True)
class Speed:
    """Fill batteries faster; no timer and no meter is scaled."""

    factor: float = declare("How many times", ge=0.1, le=10_000.0)


@dataclass(frozen=True, slots=True)
class Temperature:
    """Hold the board at a temperature, or let it go again."""

    connector: int = _connector()
    temperature_c: float | None = declare("Temperature; none: as the physics says", unit="°C", ge=-40.0, le=120.0)


@dataclass(frozen=True, slots=True)
class Reset:
    """Restart the co-processor."""

    cause: ResetCause = declare("What it will give as the cause", default=ResetCause.WATCHDOG)


Verb = Plug | Unplug | Ev | Swipe | Fault | Clear | Meter | House | Speed | Temperature | Reset

VERBS: Mapping[str, type[Verb]] = {
    cls.__name__.lower(): cls
    for cls in (Plug, Unplug, Ev, Swipe, Fault, Clear, Meter, House, Speed, Temperature, Reset)
}


class UnknownVerbError(EvchargeError):
    """No such verb; `nearest` is the one that was perhaps meant."""

    def __init__(self, verb: str) -> None:
        super().__init__(verb)
        self.verb = verb
        found = difflib.get_close_matches(verb, VERBS, n=1)
        self.nearest = found[0] if found else None

    def __str__(self) -> str:
        hint = f"; did you mean '{self.nearest}'?" if self.nearest else ""
        return f"no verb '{self.verb[:40]}'; there are {', '.join(VERBS)}{hint}"


def read_verb(name: str, body: object) -> Verb:
    """Build a verb from untrusted data.

    Raises:
        UnknownVerbError: there is no such verb.
        InvalidFieldError: a field is missing, unknown or out of range.
    """
    if name not in VERBS:
        raise UnknownVerbError(name)
    verb: Verb = decode(VERBS[name], body)
    if isinstance(verb, Plug) and verb.cable_a not in (13, 20, 32, 63):
        raise InvalidFieldError("cable_a", verb.cable_a, _CABLES)
    if isinstance(verb, Swipe) and not verb.id_tag.strip():
        raise InvalidFieldError("id_tag", verb.id_tag, "a text of 1 to 20 characters")
    if isinstance(verb, House) and verb.load_a is not None and len(verb.load_a) != 3:  # noqa: PLR2004 - L1, L2, L3
        raise InvalidFieldError("load_a", list(verb.load_a), "a list of exactly 3 numbers, L1, L2, L3")
    return verb
