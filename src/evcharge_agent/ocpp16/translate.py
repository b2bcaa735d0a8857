"""Facts into OCPP payloads and answers into facts. Pure.

Strings are cut to their CiString lengths, stamps are UTC with Z, absent members stay absent, and numbers
never take exponent form (OCPP 1.6, 6 and 7).
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ocpp.v16 import call
from ocpp.v16.enums import ChargePointErrorCode, ChargePointStatus, Reason

from evcharge_agent.core import sampling
from evcharge_agent.core.charging_profiles import (
    ChargingProfile,
    Kind,
    Period,
    Purpose,
    RateUnit,
    Recurrency,
    Schedule,
)
from evcharge_agent.core.effects import ConnectorState, ReportStatus
from evcharge_agent.core.facts import (
    AuthorizationStatus,
    IdTag,
    IdTagInfo,
    Instant,
    Measurand,
    MeterReading,
    MeterSample,
    ReadingContext,
    TransactionStart,
    TransactionStop,
)
from evcharge_agent.ocpp16.keys import Station
from evcharge_agent.ocpp16.stamps import from_stamp, to_stamp
from evcharge_agent.store.records import OutboxMessage
from evcharge_hal.contract.errors import EvchargeError
from evcharge_hal.contract.units import PerPhase

TransactionCall = call.StartTransaction | call.StopTransaction | call.MeterValues

CI_STRING_20 = 20
CI_STRING_25 = 25
CI_STRING_50 = 50
CI_STRING_255 = 255
CI_STRING_500 = 500

MOST_STOP_SAMPLES = 30
"""What StopTransactionMaxMeterValues is by default."""

_ENDS = (ReadingContext.BEGIN, ReadingContext.END)
_STATION_STATES = frozenset({ConnectorState.AVAILABLE, ConnectorState.UNAVAILABLE, ConnectorState.FAULTED})
_ERROR_CODES = frozenset(code.value for code in ChargePointErrorCode)


def boot_notification(station: Station) -> call.BootNotification:
    """Introduce the charger (OCPP 1.6, 6.3)."""
    return call.BootNotification(
        charge_point_vendor=station.vendor[:CI_STRING_20],
        charge_point_model=station.model[:CI_STRING_20],
        charge_box_serial_number=station.serial[:CI_STRING_25] or None,
        firmware_version=station.firmware_version[:CI_STRING_50] or None,
    )


def authorize(id_tag: IdTag) -> call.Authorize:
    """Ask about an id tag (OCPP 1.6, 6.1)."""
    return call.Authorize(id_tag=id_tag[:CI_STRING_20])


def status_notification(report: ReportStatus, station: Station, utc_s: float) -> call.StatusNotification:
    """Tell a state and the moment it began, `utc_s` (OCPP 1.6, 6.47).

    Connector 0 knows only Available, Unavailable and Faulted (OCPP 1.6, 7.7).
    """
    state = report.state
    if report.connector == 0 and state not in _STATION_STATES:
        state = ConnectorState.AVAILABLE
    error_code = report.error_code if report.error_code in _ERROR_CODES else ChargePointErrorCode.other_error.value
    return call.StatusNotification(
        connector_id=report.connector,
        error_code=ChargePointErrorCode(error_code),
        status=ChargePointStatus(state.value),
        timestamp=to_stamp(utc_s),
        info=report.info[:CI_STRING_50] or None,
        vendor_id=station.vendor[:CI_STRING_255] if report.vendor_error_code else None,
        vendor_error_code=report.vendor_error_code[:CI_STRING_50] or None,
    )


def start_transaction(start: TransactionStart) -> call.StartTransaction:
    """Tell that a transaction began (OCPP 1.6, 6.45)."""
    return call.StartTransaction(
        connector_id=start.connector,
        id_tag=start.id_tag[:CI_STRING_20],
        meter_start=int(start.meter_start_wh),
        timestamp=_stamp(start.started),
        reservation_id=start.reservation_id,
    )


def stop_transaction(
    stop: TransactionStop,
    transaction_id: int,
    samples: Sequence[MeterSample] = (),
    most_samples: int = MOST_STOP_SAMPLES,
) -> call.StopTransaction:
    """Tell that a transaction ended (OCPP 1.6, 6.49), and repeat at most so many of its samples."""
    return call.StopTransaction(
        transaction_id=transaction_id,
        meter_stop=int(stop.meter_stop_wh),
        timestamp=_stamp(stop.stopped),
        reason=Reason(stop.reason.value),
        id_tag=None if stop.id_tag is None else stop.id_tag[:CI_STRING_20],
        transaction_data=_transaction_data(samples, most_samples) or None,
    )


def _transaction_data(samples: Sequence[MeterSample], most: int) -> list[dict[str, Any]]:
    """The samples StopTransaction repeats, with their own measurands; first and last stay whatever is left out."""
    told = [(sample, sampled_values(replace(sample, measurands=sample.stop_measurands))) for sample in samples]
    chosen = sampling.spread([one for one in told if one[1]], most, lambda one: one[0].context in _ENDS)
    return [{"timestamp": _stamp(sample.taken), "sampled_value": values} for sample, values in chosen]


def meter_values(sample: MeterSample, transaction_id: int | None) -> call.MeterValues | None:
    """Tell a sample (OCPP 1.6, 6.31); None when the meter gives nothing of what was asked for."""
    sampled = sampled_values(sample)
    if not sampled:
        return None
    value = {"timestamp": _stamp(sample.taken), "sampled_value": sampled}
    return call.MeterValues(connector_id=sample.connector, transaction_id=transaction_id, meter_value=[value])


def transaction_call(message: OutboxMessage, most_stop_samples: int = MOST_STOP_SAMPLES) -> TransactionCall | None:
    """Build the call of one outbox row; None when there is nothing to say.

    Raises:
        ValueError: a message that needs the transaction id is not told it; no placeholder is ever sent (rule 3).
    """
    if isinstance(message.fact, TransactionStart):
        return start_transaction(message.fact)
    if message.transaction_id is None:
        raise ValueError("the transaction id is not known")
    if isinstance(message.fact, TransactionStop):
        return stop_transaction(message.fact, message.transaction_id, message.samples, most_stop_samples)
    return meter_values(message.fact, message.transaction_id)


def id_tag_info(answer: Mapping[str, Any]) -> IdTagInfo:
    """Read idTagInfo of an answer that passed its schema (OCPP 1.6, 7.27); an empty parent is none."""
    parent = answer.get("parent_id_tag")
    expiry = answer.get("expiry_date")
    return IdTagInfo(
        status=AuthorizationStatus(answer["status"]),
        parent_id_tag=IdTag(parent) if parent else None,
        expiry_utc_s=None if expiry is None else from_stamp(expiry),
    )


class NotAStampError(EvchargeError):
    """A member that must be a date and time is none; the text names the member, never its value."""


def charging_profile(payload: Mapping[str, Any]) -> ChargingProfile:
    """Read a charging profile that passed its schema (OCPP 1.6, 7.8).

    Raises:
        NotAStampError: validFrom, validTo or startSchedule is no date and time.
    """
    schedule = payload["charging_schedule"]
    recurrency = payload.get("recurrency_kind")
    periods = tuple(
        Period(one["start_period"], float(one["limit"]), one.get("number_phases"))
        for one in schedule["charging_schedule_period"]
    )
    min_rate = schedule.get("min_charging_rate")
    return ChargingProfile(
        id=payload["charging_profile_id"],
        stack_level=payload["stack_level"],
        purpose=Purpose(payload["charging_profile_purpose"]),
        kind=Kind(payload["charging_profile_kind"]),
        schedule=Schedule(
            RateUnit(schedule["charging_rate_unit"]),
            periods,
            duration_s=schedule.get("duration"),
            start_utc_s=_moment("startSchedule", schedule.get("start_schedule")),
            min_rate=None if min_rate is None else float(min_rate),
        ),
        recurrency=None if recurrency is None else Recurrency(recurrency),
        transaction_id=payload.get("transaction_id"),
        valid_from_utc_s=_moment("validFrom", payload.get("valid_from")),
        valid_to_utc_s=_moment("validTo", payload.get("valid_to")),
    )


def _moment(name: str, text: str | None) -> float | None:
    if text is None:
        return None
    utc_s = from_stamp(text)
    if utc_s is None:
        raise NotAStampError(f"{name}: must be a date and time")
    return utc_s


def sampled_values(sample: MeterSample) -> list[dict[str, str]]:
    """Write the configured measurands the sample has, one value for each measurand and phase."""
    values = []
    for measurand in sample.measurands:
        unit, location, write = _MEASURANDS[measurand]
        for phase, text in write(sample):
            value = {
                "value": text,
                "context": sample.context.value,
                "measurand": measurand.value,
                "location": location,
            }
            optional = {"unit": unit, "phase": phase}
            values.append(value | {name: part for name, part in optional.items() if part is not None})
    return values


def _stamp(moment: Instant) -> str:
    return to_stamp(moment.utc_s)


Values = Iterator[tuple[str | None, str]]
"""Phase, where there is one, and the number as text."""


def _single(read: Callable[[MeterSample], float | None], digits: int) -> Callable[[MeterSample], Values]:
    def write(sample: MeterSample) -> Values:
        value = read(sample)
        if value is not None and math.isfinite(value):
            yield None, f"{value:.{digits}f}"

    return write


def _by_phase(
    read: Callable[[MeterReading], PerPhase | None], names: tuple[str, str, str], digits: int
) -> Callable[[MeterSample], Values]:
    def write(sample: MeterSample) -> Values:
        values = read(sample.reading)
        if values is None:
            return
        for name, value in zip(names, (values.l1, values.l2, values.l3), strict=True):
            if math.isfinite(value):
                yield name, f"{value:.{digits}f}"

    return write


_LINES = ("L1", "L2", "L3")
_LINES_TO_NEUTRAL = ("L1-N", "L2-N", "L3-N")

# Measurand -> unit, location, writer. Power.Factor has no unit; Frequency is in hertz, for which the
# standard has no unit (OCPP 1.6, 7.31); Power.Offered is nothing a meter or the core knows.
_MEASURANDS: Mapping[Measurand, tuple[str | None, str, Callable[[MeterSample], Values]]] = {
    Measurand.ENERGY_IMPORT: ("Wh", "Outlet", _single(lambda sample: sample.reading.energy_wh, 0)),
    Measurand.POWER_IMPORT: ("W", "Outlet", _single(lambda sample: sample.reading.power_w, 1)),
    Measurand.CURRENT_IMPORT: ("A", "Outlet", _by_phase(lambda reading: reading.current_a, _LINES, 2)),
    Measurand.CURRENT_OFFERED: ("A", "Outlet", _single(lambda sample: sample.offered_a, 1)),
    Measurand.POWER_OFFERED: ("W", "Outlet", _single(lambda _: None, 1)),
    Measurand.POWER_FACTOR: (None, "Outlet", _single(lambda sample: sample.reading.power_factor, 3)),
    Measurand.VOLTAGE: ("V", "Outlet", _by_phase(lambda reading: reading.voltage_v, _LINES_TO_NEUTRAL, 1)),
    Measurand.FREQUENCY: (None, "Outlet", _single(lambda sample: sample.reading.frequency_hz, 2)),
    Measurand.TEMPERATURE: ("Celsius", "Body", _single(lambda sample: sample.temperature_c, 1)),
}
