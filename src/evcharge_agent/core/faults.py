"""What each fault of the catalogue means to OCPP, to the LED and to a person (DESIGN D6).

The guard decides and latches; here nothing is decided but words.
"""

import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from evcharge_hal.contract.faults import CATALOGUE, FaultCode, Severity


class ErrorCode(enum.Enum):
    """OCPP 1.6 ChargePointErrorCode, as far as we use it."""

    NO_ERROR = "NoError"
    CONNECTOR_LOCK_FAILURE = "ConnectorLockFailure"
    EV_COMMUNICATION_ERROR = "EVCommunicationError"
    GROUND_FAILURE = "GroundFailure"
    HIGH_TEMPERATURE = "HighTemperature"
    INTERNAL_ERROR = "InternalError"
    LOCAL_LIST_CONFLICT = "LocalListConflict"
    OTHER_ERROR = "OtherError"
    OVER_CURRENT_FAILURE = "OverCurrentFailure"
    POWER_METER_FAILURE = "PowerMeterFailure"
    POWER_SWITCH_FAILURE = "PowerSwitchFailure"
    UNDER_VOLTAGE = "UnderVoltage"


class LedClass(enum.Enum):
    """Class a technician reads from the flash count without a phone (leds.md)."""

    WARNING = "warning"
    RELAY = "relay"
    LEAKAGE = "leakage"
    LEAKAGE_SELF_TEST = "leakage_self_test"
    PILOT = "pilot"
    OVERCURRENT = "overcurrent"
    TEMPERATURE = "temperature"
    METER = "meter"
    CABLE = "cable"
    LOCK = "lock"
    INTERNAL = "internal"


@dataclass(frozen=True, slots=True)
class FaultMeaning:
    """One row; severity and the plain text stand in the catalogue, the code is the message key."""

    code: FaultCode
    error_code: ErrorCode
    led: LedClass
    what_to_do: str
    is_of_station: bool = False
    """Concerns the whole charger, so connector 0 is faulted as well."""

    @property
    def vendor_error_code(self) -> str:
        """Our own name in StatusNotification."""
        return self.code.value

    @property
    def is_faulting(self) -> bool:
        """The connector is Faulted: a trip, or a part the whole charger cannot do without.

        EVCommunicationError does not go with Faulted (OCPP 1.6, ChargePointErrorCode): the car is at fault,
        so the session is SuspendedEVSE.
        """
        is_trip = CATALOGUE[self.code].severity is Severity.TRIP
        return self.is_of_station or (is_trip and self.error_code is not ErrorCode.EV_COMMUNICATION_ERROR)

    @property
    def is_blocking(self) -> bool:
        """No energy flows while it is latched."""
        return CATALOGUE[self.code].severity is not Severity.WARNING


_REPLUG = "Unplug the cable and plug it in again. If it comes back, try another cable or car."
_SERVICE = "Switch the charger off at the fuse box and call service."
_RESTART = "Switch the charger off and on again. If it comes back, call service."

_ROWS = (
    FaultMeaning(FaultCode.PILOT_SHORT, ErrorCode.OTHER_ERROR, LedClass.PILOT, _REPLUG),
    FaultMeaning(FaultCode.PILOT_INVALID, ErrorCode.OTHER_ERROR, LedClass.PILOT, _REPLUG),
    FaultMeaning(FaultCode.DIODE, ErrorCode.OTHER_ERROR, LedClass.PILOT, _REPLUG),
    FaultMeaning(
        FaultCode.VENTILATION_REQUIRED,
        ErrorCode.EV_COMMUNICATION_ERROR,
        LedClass.PILOT,
        "This car may only be charged where there is ventilation. Use another charger.",
    ),
    FaultMeaning(
        FaultCode.RCM_TRIP,
        ErrorCode.GROUND_FAILURE,
        LedClass.LEAKAGE,
        "Unplug the cable and look for damage and water, then reset. If it comes back, call service.",
    ),
    FaultMeaning(FaultCode.RCM_SELF_TEST, ErrorCode.GROUND_FAILURE, LedClass.LEAKAGE_SELF_TEST, _SERVICE),
    FaultMeaning(
        FaultCode.CONTACTOR_WELDED,
        ErrorCode.POWER_SWITCH_FAILURE,
        LedClass.RELAY,
        "DANGER: the outlet may be live. " + _SERVICE,
    ),
    FaultMeaning(FaultCode.CONTACTOR_DID_NOT_CLOSE, ErrorCode.POWER_SWITCH_FAILURE, LedClass.RELAY, _REPLUG),
    FaultMeaning(
        FaultCode.OVER_TEMPERATURE,
        ErrorCode.HIGH_TEMPERATURE,
        LedClass.TEMPERATURE,
        "Charging goes on by itself when the charger has cooled down. Keep it out of the sun.",
    ),
    FaultMeaning(
        FaultCode.TEMPERATURE_SENSOR_LOST,
        ErrorCode.OTHER_ERROR,
        LedClass.WARNING,
        "Charging goes on with less current. Call service.",
    ),
    FaultMeaning(
        FaultCode.CABLE_INVALID,
        ErrorCode.OTHER_ERROR,
        LedClass.CABLE,
        "Plug the cable in firmly. If it comes back, use another cable.",
    ),
    FaultMeaning(
        FaultCode.CABLE_CHANGED,
        ErrorCode.OTHER_ERROR,
        LedClass.CABLE,
        "Unplug the cable on both ends and plug it in again.",
    ),
    FaultMeaning(
        FaultCode.LOCK_JAM,
        ErrorCode.CONNECTOR_LOCK_FAILURE,
        LedClass.LOCK,
        "Push the plug in firmly, or pull it out and plug it in again. If it comes back, call service.",
    ),
    FaultMeaning(
        FaultCode.LOCK_STUCK,
        ErrorCode.CONNECTOR_LOCK_FAILURE,
        LedClass.LOCK,
        "Move the plug a little and have the connector unlocked again. If it stays held, call service.",
    ),
    FaultMeaning(FaultCode.COPROCESSOR_LOST, ErrorCode.INTERNAL_ERROR, LedClass.INTERNAL, _RESTART, is_of_station=True),
    FaultMeaning(
        FaultCode.COPROCESSOR_INCOMPATIBLE,
        ErrorCode.INTERNAL_ERROR,
        LedClass.INTERNAL,
        "Update the charger's software, or call service.",
        is_of_station=True,
    ),
    FaultMeaning(FaultCode.COPROCESSOR_FAULT, ErrorCode.INTERNAL_ERROR, LedClass.INTERNAL, _REPLUG),
    FaultMeaning(
        FaultCode.SUPPLY_FAILING,
        ErrorCode.UNDER_VOLTAGE,
        LedClass.INTERNAL,
        "The power is about to fail. Charging goes on when it is back.",
    ),
    FaultMeaning(
        FaultCode.OVERCURRENT,
        ErrorCode.OVER_CURRENT_FAILURE,
        LedClass.OVERCURRENT,
        "The car does not keep to the current it is offered. Unplug it and have it looked at.",
    ),
    FaultMeaning(
        FaultCode.METER_LOST,
        ErrorCode.POWER_METER_FAILURE,
        LedClass.METER,
        "Check the meter's power and its cable to the charger.",
    ),
)

MEANINGS: Mapping[FaultCode, FaultMeaning] = {row.code: row for row in _ROWS}

_RANK = {code: rank for rank, code in enumerate(CATALOGUE)}
_SEVERITIES = (Severity.TRIP, Severity.SUSPEND, Severity.WARNING)


def by_weight(codes: Iterable[FaultCode]) -> tuple[FaultCode, ...]:
    """The most severe first; equals in the order of the catalogue."""
    return tuple(sorted(codes, key=lambda code: (_SEVERITIES.index(CATALOGUE[code].severity), _RANK[code])))


def primary(codes: Iterable[FaultCode]) -> FaultMeaning | None:
    """The one fault StatusNotification can carry: one that makes the connector Faulted before all others."""
    ordered = sorted(by_weight(codes), key=lambda code: not MEANINGS[code].is_faulting)
    return MEANINGS[ordered[0]] if ordered else None


def is_faulted(codes: Iterable[FaultCode]) -> bool:
    """The connector is Faulted."""
    return any(MEANINGS[code].is_faulting for code in codes)


def is_blocked(codes: Iterable[FaultCode]) -> bool:
    """No energy can flow."""
    return any(MEANINGS[code].is_blocking for code in codes)
