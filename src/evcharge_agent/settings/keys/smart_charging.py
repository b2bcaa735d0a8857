"""Configuration keys of the SmartCharging profile (OCPP 1.6, 9.4)."""

from typing import Annotated

from pydantic import AfterValidator

from evcharge_agent.settings.declare import Section
from evcharge_agent.settings.keys.declaring import R, key

_UNITS = ("Current", "Power")
_UNITS_ALLOWED = "Current, Power or both, separated by a comma"


def _units(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(","))


def _check_units(text: str) -> str:
    units = _units(text)
    if len(set(units)) < len(units) or not set(units) <= set(_UNITS):
        raise ValueError(_UNITS_ALLOWED)
    return text


class SmartChargingKeys(Section):
    """What of charging profiles there is room for."""

    charge_profile_max_stack_level: int = key(
        "ChargeProfileMaxStackLevel", R, "Highest stack level of a charging profile.", default=100, ge=0, le=10_000
    )
    charging_schedule_allowed_charging_rate_unit: Annotated[str, AfterValidator(_check_units)] = key(
        "ChargingScheduleAllowedChargingRateUnit",
        R,
        "Units a charging schedule may have. Power is converted with 230 V and the schedule's number of phases.",
        default="Current,Power",
        max_length=20,
        allowed=_UNITS_ALLOWED,
    )
    charging_schedule_max_periods: int = key(
        "ChargingScheduleMaxPeriods", R, "Periods a charging schedule may have.", default=200, ge=1, le=1000
    )
    connector_switch_3to1_phase_supported: bool = key(
        "ConnectorSwitch3to1PhaseSupported",
        R,
        "A schedule may switch a connector from three phases to one; this version does not.",
        default=False,
    )
    max_charging_profiles_installed: int = key(
        "MaxChargingProfilesInstalled",
        R,
        "Charging profiles there is room for; one that replaces another needs none.",
        default=50,
        ge=0,
        le=500,
    )

    @property
    def charging_rate_units(self) -> tuple[str, ...]:
        """The units of `ChargingScheduleAllowedChargingRateUnit`."""
        return _units(self.charging_schedule_allowed_charging_rate_unit)
