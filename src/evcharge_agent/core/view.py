"""What others may see of the core: a frozen snapshot for the command line, the API and the demo.

Nobody outside the core holds its state. `as_json` is stable: names are only added.
"""

import enum
import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

from evcharge_agent.core import composite, faults, metering, smart_charging, status
from evcharge_agent.core.effects import ConnectorState
from evcharge_agent.core.facts import IdTag, Instant, TransactionKey
from evcharge_agent.core.limits import Limit, combine
from evcharge_agent.core.local_list import NOT_SUPPORTED_VERSION, told_version
from evcharge_agent.core.outputs import chains
from evcharge_agent.core.permission import decide_waiting
from evcharge_agent.core.reasons import TEXTS
from evcharge_agent.core.spans import look
from evcharge_agent.core.state import Connector, GuardLink, State, StatusReport
from evcharge_hal.contract.channel import ContactorState
from evcharge_hal.contract.faults import CATALOGUE, FaultCode, Severity
from evcharge_hal.contract.pilot import PilotState
from evcharge_hal.contract.units import PerPhase

_UNKNOWN = StatusReport(ConnectorState.UNAVAILABLE)
"""Before the guard's first word nothing can be offered."""


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
    led: str
    """Class of the fault on the LED."""


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
class ReservationView:
    """One reservation."""

    reservation_id: int
    connector: int
    """0: whichever."""
    expiry_utc_s: float


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
    local_list_version: int
    """As GetLocalListVersion tells it."""
    reservations: tuple[ReservationView, ...]
    """Those that are in force; for whom is nobody's business."""
    connectors: tuple[ConnectorView, ...]
    charging: composite.Basis
    """Charging profiles, and what a schedule of theirs follows from."""


def view(state: State, now: Instant) -> StationView:
    """Take the snapshot at `now`; never raises, also before `Restored`."""
    run = state.run
    connectors = state.connectors if run is not None else {}
    basis = smart_charging.basis_of(connectors, state.charging, run) if run is not None else composite.Basis()
    found = chains(connectors, run.rules, look(basis, now, state.charging.spans)) if run is not None else {}
    inoperative = state.orders.out
    station = status.derive_station(state.guard, state.reported, connectors.values(), now.monotonic_s, inoperative)
    station = station or _UNKNOWN
    return StationView(
        at=now,
        state=station.state,
        error_code=station.error_code,
        info=station.info,
        vendor_error_code=station.vendor_error_code,
        is_central_system_enabled=run is not None and run.rules.is_central_system_enabled,
        is_central_system_connected=state.central.is_connected,
        is_central_system_accepted=state.central.is_accepted,
        is_guard_connected=state.guard.is_connected,
        is_clock_trusted=now.is_utc_trusted,
        reservations=tuple(
            ReservationView(one.reservation_id, one.connector, one.expiry_utc_s) for one in state.reserved.held.values()
        ),
        local_list_version=NOT_SUPPORTED_VERSION
        if run is None
        else told_version(state.listed.current, run.rules.authorisation),
        connectors=tuple(
            _connector_view(connectors[number], state.guard, found[number], now) for number in sorted(connectors)
        ),
        charging=basis,
    )


def _connector_view(connector: Connector, guard: GuardLink, chain: tuple[Limit, ...], now: Instant) -> ConnectorView:
    report = status.derive_connector(connector, guard, now.monotonic_s) or _UNKNOWN
    waiting = decide_waiting(connector, guard, now.monotonic_s)
    reading = metering.steady_reading(connector.meter)
    seen, output = connector.seen, connector.output
    return ConnectorView(
        connector=connector.number,
        state=report.state,
        error_code=report.error_code,
        info=report.info,
        vendor_error_code=report.vendor_error_code,
        phase=connector.session.phase.value,
        session=_session_view(connector, now),
        waiting=WaitingView(waiting.value, TEXTS[waiting]) if waiting is not None else None,
        offer_a=output.offer_a,
        is_permitted=output.is_permitted,
        limits=_limit_views(chain),
        power_w=reading.power_w if reading is not None else None,
        current_a=reading.current_a if reading is not None else None,
        voltage_v=reading.voltage_v if reading is not None else None,
        register_wh=connector.meter.register_wh,
        contactor=seen.contactor if seen is not None and guard.is_current else None,
        pilot=seen.pilot if seen is not None and guard.is_current else None,
        plug_id=connector.session.plug_id,
        faults=tuple(_fault_view(code) for code in faults.by_weight(seen.faults if seen is not None else ())),
    )


def _session_view(connector: Connector, now: Instant) -> SessionView | None:
    transaction = connector.session.transaction
    if transaction is None:
        return None
    start = transaction.start
    register_wh = connector.meter.register_wh
    energy_wh = max(register_wh - start.meter_start_wh, 0) if register_wh is not None else 0
    return SessionView(
        transaction=start.transaction,
        transaction_id=transaction.transaction_id,
        id_tag=start.id_tag,
        energy_wh=energy_wh,
        meter_start_wh=start.meter_start_wh,
        started=start.started,
        duration_s=now.monotonic_s - transaction.began_s,
    )


def _limit_views(chain: tuple[Limit, ...]) -> tuple[LimitView, ...]:
    acting = combine(chain).acting
    return tuple(
        LimitView(
            source=limit.source.value,
            scope=limit.scope.value,
            limit_a=limit.current_a,
            reason=limit.reason.value,
            text=TEXTS[limit.reason],
            valid_until_s=limit.valid_until_s,
            is_acting=limit is acting,
        )
        for limit in chain
    )


def _fault_view(code: FaultCode) -> FaultView:
    meaning, fault = faults.MEANINGS[code], CATALOGUE[code]
    return FaultView(
        code,
        fault.severity,
        fault.text,
        meaning.what_to_do,
        meaning.error_code.value,
        meaning.vendor_error_code,
        meaning.led.value,
    )


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
