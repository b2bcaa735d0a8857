"""What others may see of the core: a frozen snapshot for the command line, the API and the demo.

Nobody outside the core holds its state. `as_json` is stable: names are only added.
"""

import enum
import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

from evcharge_agent.core.effects import ConnectorState
from evcharge_agent.core.facts import IdTag, Instant, TransactionKey
from evcharge_hal.contract.channel import ContactorState
from evcharge_hal.contract.faults import FaultCode, Severity
from evcharge_hal.contract.pilot import PilotState
from evcharge_hal.contract.units import PerPhase


@dataclass(frozen=True, slots=True)
class LimitView:
    """One link of the chain of limits (DESIGN D4)."""

    source: str
    scope: str
    """`connector` or `station`."""
    limit_a: PerPhase
    reason: str
    text: str
    valid_until_s: float | None
    """Monotonic; None holds until it is changed."""
    is_acting: bool
    """This one sets the offer."""


@dataclass(frozen=True, slots=True)
class WaitingView:
    """Why no energy flows."""

    reason: str
    text: str


@dataclass(frozen=True, slots=True)
class FaultView:
    """One latched fault, in words for a person and in OCPP's."""

    code: FaultCode
    severity: Severity
    text: str
    what_to_do: str
    error_code: str
    vendor_error_code: str


@dataclass(frozen=True, slots=True)
class SessionView:
    """The open transaction."""

    transaction: TransactionKey
    transaction_id: int | None
    """The central system's number, once known."""
    id_tag: IdTag
    energy_wh: int
    meter_start_wh: int
    started: Instant
    duration_s: float


@dataclass(frozen=True, slots=True)
class ConnectorView:
    """One connector."""

    connector: int
    state: ConnectorState
    error_code: str
    """OCPP ChargePointErrorCode that goes with the state."""
    info: str
    vendor_error_code: str
    phase: str
    """Row of the session table."""
    session: SessionView | None
    waiting: WaitingView | None
    """None while energy flows or nothing is plugged in and nobody waits."""
    offer_a: float
    is_permitted: bool
    limits: tuple[LimitView, ...]
    power_w: float | None
    current_a: PerPhase | None
    voltage_v: PerPhase | None
    register_wh: int | None
    contactor: ContactorState | None
    pilot: PilotState | None
    plug_id: str | None
    faults: tuple[FaultView, ...]


@dataclass(frozen=True, slots=True)
class StationView:
    """The whole charger at one moment."""

    at: Instant
    state: ConnectorState
    """Connector 0: Available, Unavailable or Faulted."""
    error_code: str
    info: str
    vendor_error_code: str
    is_central_system_enabled: bool
    is_central_system_connected: bool
    is_central_system_accepted: bool
    is_guard_connected: bool
    is_clock_trusted: bool
    connectors: tuple[ConnectorView, ...]


def as_json(view: StationView) -> dict[str, Any]:
    """The snapshot as plain JSON data; numbers that are not finite become null."""
    plain: dict[str, Any] = _plain(view)
    return plain


def _plain(value: object) -> Any:
    if isinstance(value, enum.Enum):
        return value.value
    if is_dataclass(value) and not isinstance(value, type):
        return {item.name: _plain(getattr(value, item.name)) for item in fields(value)}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
