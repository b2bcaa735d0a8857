"""How a setting whose only home is an OCPP configuration key is declared."""

from typing import Annotated, Any

from pydantic import AfterValidator

from evcharge_agent.settings.declare import Applies, KeyAccess, OcppKey, Role, setting
from evcharge_agent.settings.measurands import check_measurand_list

MeasurandList = Annotated[str, AfterValidator(check_measurand_list)]
MEASURANDS_ALLOWED = "measurands of OCPP 1.6 separated by commas"

R = KeyAccess.READ
RW = KeyAccess.READ_WRITE


def key(  # noqa: PLR0913 - one argument for each column of the standard's table
    name: str,
    access: KeyAccess,
    description: str,
    *,
    default: Any,
    unit: str | None = None,
    ge: float | None = None,
    le: float | None = None,
    max_length: int | None = None,
    allowed: str | None = None,
    applies: Applies = Applies.LIVE,
) -> Any:
    """Declare a setting whose only home is an OCPP key; the TOML name is the key's."""
    return setting(
        name,
        description,
        default=default,
        alias=name,
        unit=unit,
        ge=ge,
        le=le,
        max_length=max_length,
        changed_by=() if access is R else (Role.CENTRAL_SYSTEM, Role.INSTALLER),
        applies=applies,
        allowed=allowed,
        ocpp_key=OcppKey(name, access),
    )
