"""Values to columns and back. Pure."""

import json
import sqlite3
from collections.abc import Mapping
from typing import Any

from evcharge_agent.core.facts import (
    AuthorizationStatus,
    IdTag,
    IdTagInfo,
    Instant,
    Measurand,
    MeterReading,
    MeterSample,
    OpenTransaction,
    ReadingContext,
    StopReason,
    TransactionKey,
    TransactionStart,
    TransactionStop,
)
from evcharge_agent.store.records import SessionRow
from evcharge_hal.contract.schema import decode, encode
from evcharge_hal.contract.units import WattHours

Columns = dict[str, object]
"""Column name to value, as sqlite3 binds it."""
Row = sqlite3.Row | Mapping[str, Any]
"""A row as it is read."""


def stamp_columns(prefix: str, stamp: Instant, boot_id: str) -> Columns:
    """Spread a stamp over its four columns."""
    return {
        f"{prefix}_monotonic_s": stamp.monotonic_s,
        f"{prefix}_utc_s": stamp.utc_s,
        f"{prefix}_is_trusted": int(stamp.is_utc_trusted),
        f"{prefix}_boot_id": boot_id,
    }


def start_columns(start: TransactionStart, boot_id: str) -> Columns:
    """Columns of a new ledger row; the start is also the last energy known."""
    return {
        "transaction_key": start.transaction,
        "connector": start.connector,
        "id_tag": start.id_tag,
        "plug_id": start.plug_id,
        "reservation_id": start.reservation_id,
        "meter_start_wh": start.meter_start_wh,
        **stamp_columns("started", start.started, boot_id),
        "last_energy_wh": start.meter_start_wh,
        **stamp_columns("last", start.started, boot_id),
    }


def stop_columns(stop: TransactionStop, boot_id: str) -> Columns:
    """Columns that close a ledger row."""
    return {
        "meter_stop_wh": stop.meter_stop_wh,
        **stamp_columns("stopped", stop.stopped, boot_id),
        "stop_reason": stop.reason.value,
        "stop_id_tag": stop.id_tag,
    }


def sample_columns(sample: MeterSample, boot_id: str) -> Columns:
    """Columns of a sample row."""
    reading = {name: value for name, value in encode(sample.reading).items() if value is not None}
    return {
        "transaction_key": sample.transaction,
        "connector": sample.connector,
        **stamp_columns("taken", sample.taken, boot_id),
        "context": sample.context.value,
        "reading": json.dumps(reading, separators=(",", ":")),
        "measurands": ",".join(measurand.value for measurand in sample.measurands),
        "offered_a": sample.offered_a,
        "temperature_c": sample.temperature_c,
        "stop_measurands": ",".join(measurand.value for measurand in sample.stop_measurands),
    }


def stamp_from(row: Row, prefix: str) -> Instant:
    """Read a stamp; its monotonic time belongs to the boot in `{prefix}_boot_id`."""
    return Instant(row[f"{prefix}_monotonic_s"], row[f"{prefix}_utc_s"], bool(row[f"{prefix}_is_trusted"]))


def start_from(row: Row) -> TransactionStart:
    """Read the start of a ledger row."""
    return TransactionStart(
        transaction=TransactionKey(row["transaction_key"]),
        connector=row["connector"],
        id_tag=IdTag(row["id_tag"]),
        meter_start_wh=WattHours(row["meter_start_wh"]),
        started=stamp_from(row, "started"),
        plug_id=row["plug_id"],
        reservation_id=row["reservation_id"],
    )


def stop_from(row: Row) -> TransactionStop:
    """Read the stop of a closed ledger row."""
    return TransactionStop(
        transaction=TransactionKey(row["transaction_key"]),
        meter_stop_wh=WattHours(row["meter_stop_wh"]),
        stopped=stamp_from(row, "stopped"),
        reason=StopReason(row["stop_reason"]),
        id_tag=None if row["stop_id_tag"] is None else IdTag(row["stop_id_tag"]),
    )


def sample_from(row: Row) -> MeterSample:
    """Read a sample row."""
    return MeterSample(
        connector=row["connector"],
        transaction=TransactionKey(row["transaction_key"]),
        taken=stamp_from(row, "taken"),
        context=ReadingContext(row["context"]),
        reading=decode(MeterReading, json.loads(row["reading"])),
        measurands=_measurands_from(row["measurands"]),
        offered_a=row["offered_a"],
        temperature_c=row["temperature_c"],
        stop_measurands=_measurands_from(row["stop_measurands"]),
    )


def _measurands_from(text: str) -> tuple[Measurand, ...]:
    return tuple(Measurand(name) for name in text.split(",") if name)


def open_transaction_from(row: Row) -> OpenTransaction:
    """Read a ledger row without a stop, with both stamps on the clock of its latest boot.

    A transaction that outlived a power cut began on the monotonic clock of an earlier boot, which means
    nothing now: that stamp is carried over by its UTC.
    """
    start, last = start_from(row), stamp_from(row, "last")
    if row["started_boot_id"] != row["last_boot_id"]:
        monotonic_s = last.monotonic_s - (last.utc_s - start.started.utc_s)
        started = Instant(monotonic_s, start.started.utc_s, start.started.is_utc_trusted)
        start = TransactionStart(
            start.transaction,
            start.connector,
            start.id_tag,
            start.meter_start_wh,
            started,
            start.plug_id,
            start.reservation_id,
        )
    return OpenTransaction(
        start=start,
        transaction_id=row["transaction_id"],
        id_tag_info=tag_info_from(row),
        last_energy_wh=WattHours(row["last_energy_wh"]),
        last_energy_at=last,
        boot_id=row["last_boot_id"],
    )


def tag_info_from(row: Row) -> IdTagInfo:
    """Read the verdict on a transaction's id tag; before the central system's, it was accepted locally."""
    if row["tag_status"] is None:
        parent = row["cached_parent"]
        return IdTagInfo(AuthorizationStatus.ACCEPTED, None if parent is None else IdTag(parent))
    return info_from(row["tag_status"], row["tag_parent"], row["tag_expiry_utc_s"])


def info_from(status: str, parent: str | None, expiry_utc_s: float | None) -> IdTagInfo:
    """Build a verdict from its three columns."""
    return IdTagInfo(AuthorizationStatus(status), None if parent is None else IdTag(parent), expiry_utc_s)


def session_from(row: Row) -> SessionRow:
    """Read a ledger row for a list."""
    return SessionRow(
        start=start_from(row),
        stop=None if row["stop_reason"] is None else stop_from(row),
        transaction_id=row["transaction_id"],
        last_energy_wh=WattHours(row["last_energy_wh"]),
        is_start_parked=bool(row["is_start_parked"]),
    )


def check_ledger(columns: Mapping[str, Any]) -> None:
    """Read a whole ledger row as all readers do.

    Raises:
        KeyError, ValueError, TypeError: one of them could not.
    """
    row = {**columns, "is_start_parked": 0, "cached_parent": None}
    session_from(row)
    open_transaction_from(row)
