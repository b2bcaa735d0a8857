"""The fault catalogue: each fault is declared once and has one owner.

The owner decides that the fault is there; the guard keeps the latch and acts on the severity. What a
fault means to OCPP, to the LED and to a person is the agent's table (`evcharge_agent.core.faults`), keyed
by the same codes.
"""

import enum
from collections.abc import Mapping
from dataclasses import dataclass


class FaultCode(enum.Enum):
    """What can be wrong; the value is the stable name in messages, logs and the simulator."""

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
    COPROCESSOR_LOST = "coprocessor_lost"
    COPROCESSOR_INCOMPATIBLE = "coprocessor_incompatible"
    COPROCESSOR_FAULT = "coprocessor_fault"
    SUPPLY_FAILING = "supply_failing"
    LOCK_JAM = "lock_jam"
    LOCK_STUCK = "lock_stuck"
    OVERCURRENT = "overcurrent"
    METER_LOST = "meter_lost"


class Owner(enum.Enum):
    """Who decides that the fault is present."""

    COPROCESSOR = "coprocessor"
    GUARD = "guard"
    AGENT = "agent"


class Severity(enum.Enum):
    """What the guard does while the fault is latched."""

    WARNING = "warning"
    """Charging goes on, perhaps at a lower ceiling."""
    SUSPEND = "suspend"
    """The car is stopped gracefully: pilot first, contactor after (IEC 61851-1 Table A.6 seq 10)."""
    TRIP = "trip"
    """Contactor and permit open in the same turn of the loop."""


class Latch(enum.Enum):
    """When a fault whose cause has gone is over."""

    NONE = "none"
    """After the cause has been gone for `clear_after_s`."""
    PLUG = "plug"
    """When the car is unplugged, or after `clear_after_s` without the cause where that is set."""
    ACKNOWLEDGE = "acknowledge"
    """Only by a person: button, API or page. Kept in the guard's state file across restarts."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One row of the catalogue."""

    code: FaultCode
    owner: Owner
    severity: Severity
    latch: Latch
    clear_after_s: float | None
    text: str
    is_acknowledged_once: bool = False
    """A second acknowledgement counts only after the car has been unplugged."""


_ROWS = (
    # spec security.md 5, H2: "no close until replug or cleared >= 60 s".
    Fault(
        FaultCode.PILOT_SHORT,
        Owner.GUARD,
        Severity.TRIP,
        Latch.PLUG,
        60.0,
        "The control pilot is shorted to earth (state E).",
    ),
    Fault(
        FaultCode.PILOT_INVALID,
        Owner.GUARD,
        Severity.TRIP,
        Latch.PLUG,
        60.0,
        "The control pilot voltage is outside every defined window.",
    ),
    Fault(
        FaultCode.DIODE,
        Owner.GUARD,
        Severity.TRIP,
        Latch.PLUG,
        60.0,
        "The diode in the car is missing: the pilot's negative half is not at -12 V.",
    ),
    # A car that needs ventilation is refused while it asks for it; nothing is broken.
    Fault(
        FaultCode.VENTILATION_REQUIRED,
        Owner.GUARD,
        Severity.TRIP,
        Latch.NONE,
        0.0,
        "The car asks for ventilation (state D), which this charger does not have.",
    ),
    # An agent that acknowledges by itself must not feed the same leaking car again and again.
    Fault(
        FaultCode.RCM_TRIP,
        Owner.GUARD,
        Severity.TRIP,
        Latch.ACKNOWLEDGE,
        None,
        "Residual current was detected.",
        is_acknowledged_once=True,
    ),
    Fault(
        FaultCode.RCM_SELF_TEST,
        Owner.GUARD,
        Severity.TRIP,
        Latch.ACKNOWLEDGE,
        None,
        "The residual current monitor did not pass its self-test.",
    ),
    Fault(
        FaultCode.CONTACTOR_WELDED,
        Owner.GUARD,
        Severity.TRIP,
        Latch.ACKNOWLEDGE,
        None,
        "DANGER: the contactor was told to open and is still closed.",
    ),
    Fault(
        FaultCode.CONTACTOR_DID_NOT_CLOSE,
        Owner.GUARD,
        Severity.TRIP,
        Latch.PLUG,
        60.0,
        "The contactor was told to close and did not.",
    ),
    # What derating did not prevent never waits (DESIGN D2).
    Fault(FaultCode.OVER_TEMPERATURE, Owner.GUARD, Severity.TRIP, Latch.NONE, 0.0, "The charger is too hot."),
    Fault(
        FaultCode.TEMPERATURE_SENSOR_LOST,
        Owner.GUARD,
        Severity.WARNING,
        Latch.NONE,
        0.0,
        "The temperature sensor gives no value; the current is limited to 10 A.",
    ),
    Fault(
        FaultCode.CABLE_INVALID,
        Owner.GUARD,
        Severity.TRIP,
        Latch.PLUG,
        None,
        "The cable's proximity resistor has no defined value.",
    ),
    Fault(
        FaultCode.CABLE_CHANGED,
        Owner.GUARD,
        Severity.TRIP,
        Latch.PLUG,
        None,
        "The cable's proximity resistor changed while a car was connected.",
    ),
    # A plug that can be pulled under load: nothing is closed without the lock, and open it is at once.
    Fault(
        FaultCode.LOCK_JAM,
        Owner.GUARD,
        Severity.TRIP,
        Latch.PLUG,
        None,
        "The connector lock does not hold the plug.",
    ),
    # The plug is held, so nothing is wrong with charging; somebody has to come for the cable.
    Fault(
        FaultCode.LOCK_STUCK,
        Owner.GUARD,
        Severity.WARNING,
        Latch.NONE,
        0.0,
        "The connector lock does not give the plug back.",
    ),
    # DESIGN D2, security.md H11: the guard follows the same stages as the co-processor that missed its host:
    # PWM is gone, the relay opens when the car has let go, at the latest 3 s later.
    Fault(
        FaultCode.COPROCESSOR_LOST,
        Owner.GUARD,
        Severity.SUSPEND,
        Latch.NONE,
        0.0,
        "The pilot co-processor does not answer.",
    ),
    Fault(
        FaultCode.COPROCESSOR_INCOMPATIBLE,
        Owner.GUARD,
        Severity.TRIP,
        Latch.NONE,
        0.0,
        "The pilot co-processor speaks another protocol version.",
    ),
    Fault(
        FaultCode.COPROCESSOR_FAULT,
        Owner.COPROCESSOR,
        Severity.TRIP,
        Latch.NONE,
        0.0,
        "The pilot co-processor has latched a fault of its own.",
    ),
    # The car lets go before the contactor would be torn open under load. What only flickered is waited out.
    Fault(
        FaultCode.SUPPLY_FAILING,
        Owner.COPROCESSOR,
        Severity.SUSPEND,
        Latch.NONE,
        10.0,
        "The supply of the charger is failing.",
    ),
    Fault(
        FaultCode.OVERCURRENT,
        Owner.AGENT,
        Severity.SUSPEND,
        Latch.PLUG,
        None,
        "The car draws more current than it was offered.",
    ),
    Fault(FaultCode.METER_LOST, Owner.AGENT, Severity.WARNING, Latch.NONE, 0.0, "The session's meter gives no values."),
)

CATALOGUE: Mapping[FaultCode, Fault] = {row.code: row for row in _ROWS}
