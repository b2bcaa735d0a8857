"""Statements on the ledger: transactions, their samples, and the correction of stamps. Blocking.

Every function runs inside the caller's transaction. `boot_id` names the kernel boot the monotonic stamps
of new rows belong to.
"""

import sqlite3
from dataclasses import replace

from evcharge_agent.core.facts import (
    HeldStop,
    Instant,
    MeterSample,
    OpenTransaction,
    ReadingContext,
    TransactionKey,
    TransactionStart,
    TransactionStop,
)
from evcharge_agent.store import outbox, rows
from evcharge_agent.store.errors import StoreError
from evcharge_agent.store.records import SessionRow
from evcharge_hal.contract.units import WattHours

SAMPLED_SESSIONS_KEPT = 100
"""Finished sessions whose delivered samples are kept; the sessions themselves are kept for good."""

UNSENT_SAMPLES_KEPT = 4 * outbox.STOP_SAMPLES
"""Samples of a running transaction that are kept for StopTransaction alone."""

_STAMPS = (("ledger", "started"), ("ledger", "last"), ("ledger", "stopped"), ("sample", "taken"))


def insert_start(connection: sqlite3.Connection, start: TransactionStart, boot_id: str) -> bool:
    """Open a transaction and queue its message; False when the key is known already."""
    if _state(connection, start.transaction) is not None:
        return False
    _insert(connection, "ledger", rows.start_columns(start, boot_id))
    outbox.queue(connection, start.transaction, "start")
    return True


def delete_start(connection: sqlite3.Connection, key: TransactionKey) -> None:
    """Take back a start of which nobody has heard but that it failed."""
    connection.execute("DELETE FROM outbox WHERE transaction_key = ?", (key,))
    connection.execute("DELETE FROM ledger WHERE transaction_key = ?", (key,))


def insert_stop(
    connection: sqlite3.Connection, stop: TransactionStop, end: MeterSample | None, boot_id: str, *, is_held: bool
) -> bool:
    """Close a transaction; queue its last sample and the stop unless they are held. False when it was closed before.

    Raises:
        StoreError: no such transaction.
    """
    if _known_state(connection, stop.transaction) != "open":
        return False
    _update(connection, stop.transaction, rows.stop_columns(stop, boot_id) | {"is_stop_held": int(is_held)})
    if end is not None:
        _insert(connection, "sample", rows.sample_columns(end, boot_id), or_ignore=True)
    if not is_held:
        _queue_stop(connection, stop.transaction)
    return True


def finish_stop(
    connection: sqlite3.Connection,
    key: TransactionKey,
    meter_stop_wh: WattHours,
    stopped: Instant,
    end: MeterSample | None,
    boot_id: str,
) -> bool:
    """Give a held stop its final values, never less energy than it had, and queue it; False when it is not held.

    `end` takes the place of the sample that came with the stop.

    Raises:
        StoreError: no such transaction, or it has no stop yet.
    """
    state = _known_state(connection, key)
    if state == "open":
        raise StoreError(f"transaction {key} has no stop yet")
    if state == "stopped":
        return False
    lowest = connection.execute(
        "SELECT max(meter_start_wh, meter_stop_wh) FROM ledger WHERE transaction_key = ?", (key,)
    )
    stop_wh = WattHours(max(meter_stop_wh, *lowest.fetchone()))
    stamp = rows.stamp_columns("stopped", stopped, boot_id)
    _update(connection, key, {"meter_stop_wh": stop_wh, "is_stop_held": 0, **stamp})
    for sample_id in _held_samples(connection, key):
        connection.execute("DELETE FROM sample WHERE sample_id = ?", (sample_id,))
    if end is not None:
        end = replace(end, reading=replace(end.reading, energy_wh=stop_wh))
        _insert(connection, "sample", rows.sample_columns(end, boot_id), or_ignore=True)
    _queue_stop(connection, key)
    return True


def insert_sample(connection: sqlite3.Connection, sample: MeterSample, boot_id: str) -> bool:
    """Keep a sample of a running transaction and queue its message; False for a repeated or late one.

    Raises:
        StoreError: no such transaction.
    """
    if sample.transaction is None:
        raise StoreError("a sample outside a transaction is not kept")
    if _known_state(connection, sample.transaction) != "open":
        return False
    inserted = _insert(connection, "sample", rows.sample_columns(sample, boot_id), or_ignore=True)
    if inserted is None:
        return False
    if sample.measurands:
        outbox.queue(connection, sample.transaction, "sample", inserted)
    else:
        _thin_unsent(connection, sample.transaction)
    if sample.reading.energy_wh is not None:
        _update_last(connection, sample.transaction, sample.reading.energy_wh, sample.taken, boot_id)
    return True


def keep_register(
    connection: sqlite3.Connection, key: TransactionKey, energy_wh: WattHours, at: Instant, boot_id: str
) -> bool:
    """Keep what a running transaction's meter says, without a message; False when it has a stop.

    Raises:
        StoreError: no such transaction.
    """
    if _known_state(connection, key) != "open":
        return False
    _update_last(connection, key, energy_wh, at, boot_id)
    return True


def select_open(connection: sqlite3.Connection) -> tuple[OpenTransaction, ...]:
    """Transactions without a stop, oldest first."""
    found = connection.execute(
        "SELECT ledger.*, authorisation.parent AS cached_parent FROM ledger"
        " LEFT JOIN authorisation ON authorisation.id_tag = ledger.id_tag COLLATE NOCASE"
        " WHERE stop_reason IS NULL ORDER BY ledger.rowid"
    )
    return tuple(rows.open_transaction_from(row) for row in found)


def select_held(connection: sqlite3.Connection) -> tuple[HeldStop, ...]:
    """Stops that have not gone out, oldest first."""
    found = connection.execute(
        "SELECT ledger.*, authorisation.parent AS cached_parent FROM ledger"
        " LEFT JOIN authorisation ON authorisation.id_tag = ledger.id_tag COLLATE NOCASE"
        " WHERE is_stop_held ORDER BY ledger.rowid"
    )
    return tuple(
        HeldStop(rows.open_transaction_from(row), rows.stop_from(row), row["stopped_boot_id"]) for row in found
    )


def select_sessions(connection: sqlite3.Connection, limit: int) -> list[SessionRow]:
    """The newest `limit` transactions, newest first."""
    found = connection.execute(
        "SELECT ledger.*, EXISTS (SELECT 1 FROM outbox WHERE outbox.transaction_key = ledger.transaction_key"
        " AND kind = 'start' AND is_parked) AS is_start_parked FROM ledger ORDER BY ledger.rowid DESC LIMIT ?",
        (max(limit, 0),),
    )
    return [rows.session_from(row) for row in found]


def shift_stamps(connection: sqlite3.Connection, boot_id: str, moved_s: float, offset_s: float | None) -> int:
    """Correct all untrusted stamps of this boot and trust them; return how many there were.

    Where `offset_s` (UTC minus monotonic) is known, the monotonic time decides: an earlier run of this
    boot may have started from another guess of the time.
    """
    utc = "{0}_utc_s + :moved_s" if offset_s is None else "{0}_monotonic_s + :offset_s"
    values = {"boot_id": boot_id, "moved_s": moved_s, "offset_s": offset_s}
    count = 0
    for table, prefix in _STAMPS:
        change = connection.execute(
            f"UPDATE {table} SET {prefix}_utc_s = {utc.format(prefix)}, {prefix}_is_trusted = 1"  # noqa: S608 - names come from code
            f" WHERE {prefix}_boot_id = :boot_id AND {prefix}_is_trusted = 0",
            values,
        )
        count += change.rowcount
    return count


def forget_old_samples(connection: sqlite3.Connection, sessions_kept: int = SAMPLED_SESSIONS_KEPT) -> None:
    """Bound the file: delivered samples of all but the last finished sessions go."""
    connection.execute(
        "DELETE FROM sample WHERE transaction_key IN (SELECT transaction_key FROM ledger WHERE stop_reason IS NOT NULL"
        " ORDER BY rowid DESC LIMIT -1 OFFSET ?)"
        " AND transaction_key NOT IN (SELECT transaction_key FROM outbox WHERE kind = 'stop' AND NOT is_parked)"
        " AND sample_id NOT IN (SELECT sample_id FROM outbox WHERE sample_id IS NOT NULL)",
        (sessions_kept,),
    )


def _queue_stop(connection: sqlite3.Connection, key: TransactionKey) -> None:
    """The last sample, if there is one to be sent, then the stop."""
    for sample_id in _held_samples(connection, key):
        is_sent = connection.execute("SELECT measurands <> '' FROM sample WHERE sample_id = ?", (sample_id,))
        if is_sent.fetchone()[0]:
            outbox.queue(connection, key, "sample", sample_id)
    outbox.queue(connection, key, "stop")
    forget_old_samples(connection)


def _thin_unsent(connection: sqlite3.Connection, key: TransactionKey) -> None:
    """Bound what only StopTransaction will tell: every second of too many goes, but for the first sample."""
    found = connection.execute(
        "SELECT sample_id FROM sample WHERE transaction_key = ? AND measurands = '' AND context <> ? ORDER BY sample_id",
        (key, ReadingContext.BEGIN.value),
    ).fetchall()
    if len(found) > UNSENT_SAMPLES_KEPT:
        connection.executemany("DELETE FROM sample WHERE sample_id = ?", found[1::2])


def _held_samples(connection: sqlite3.Connection, key: TransactionKey) -> list[int]:
    """The sample that was kept with a stop and is not queued yet."""
    found = connection.execute(
        "SELECT sample_id FROM sample WHERE transaction_key = ? AND context = ?"
        " AND sample_id NOT IN (SELECT sample_id FROM outbox WHERE sample_id IS NOT NULL)",
        (key, ReadingContext.END.value),
    )
    return [row[0] for row in found.fetchall()]


def _state(connection: sqlite3.Connection, key: TransactionKey) -> str | None:
    found = connection.execute(
        "SELECT iif(stop_reason IS NULL, 'open', iif(is_stop_held, 'held', 'stopped')) FROM ledger"
        " WHERE transaction_key = ?",
        (key,),
    ).fetchone()
    return None if found is None else str(found[0])


def _known_state(connection: sqlite3.Connection, key: TransactionKey) -> str:
    state = _state(connection, key)
    if state is None:
        raise StoreError(f"transaction {key} is not in the ledger")
    return state


def _update(connection: sqlite3.Connection, key: TransactionKey, columns: rows.Columns) -> None:
    assignments = ", ".join(f"{name} = :{name}" for name in columns)
    connection.execute(
        f"UPDATE ledger SET {assignments} WHERE transaction_key = :key",  # noqa: S608 - names come from code
        columns | {"key": key},
    )


def _update_last(
    connection: sqlite3.Connection, key: TransactionKey, energy_wh: WattHours, at: Instant, boot_id: str
) -> None:
    """The last register known: what the transaction ends with when the power goes."""
    _update(connection, key, {"last_energy_wh": energy_wh, **rows.stamp_columns("last", at, boot_id)})


def _insert(
    connection: sqlite3.Connection, table: str, columns: rows.Columns, *, or_ignore: bool = False
) -> int | None:
    """Insert a row and return its rowid; None where an equal one was there."""
    names, values = ", ".join(columns), ", ".join(f":{name}" for name in columns)
    conflict = "OR IGNORE " if or_ignore else ""
    statement = f"INSERT {conflict}INTO {table} ({names}) VALUES ({values})"  # noqa: S608 - names come from code
    cursor = connection.execute(statement, columns)
    return cursor.lastrowid if cursor.rowcount == 1 else None
