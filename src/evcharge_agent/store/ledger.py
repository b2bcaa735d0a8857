"""Statements on the ledger: transactions, their samples, and the correction of stamps. Blocking.

Every function runs inside the caller's transaction. `boot_id` names the kernel boot the monotonic stamps
of new rows belong to.
"""

import sqlite3

from evcharge_agent.core.facts import MeterSample, OpenTransaction, TransactionKey, TransactionStart, TransactionStop
from evcharge_agent.store import outbox, rows
from evcharge_agent.store.errors import StoreError
from evcharge_agent.store.records import SessionRow

SAMPLED_SESSIONS_KEPT = 100
"""Finished sessions whose delivered samples are kept; the sessions themselves are kept for good."""

_STAMPS = (("ledger", "started"), ("ledger", "last"), ("ledger", "stopped"), ("sample", "taken"))


def insert_start(connection: sqlite3.Connection, start: TransactionStart, boot_id: str) -> bool:
    """Open a transaction and queue its message; False when the key is known already."""
    if _state(connection, start.transaction) is not None:
        return False
    _insert(connection, "ledger", rows.start_columns(start, boot_id))
    outbox.queue(connection, start.transaction, "start")
    return True


def insert_stop(connection: sqlite3.Connection, stop: TransactionStop, boot_id: str) -> bool:
    """Close a transaction and queue its message; False when it was closed before.

    Raises:
        StoreError: no such transaction.
    """
    if _known_state(connection, stop.transaction) == "stopped":
        return False
    columns = rows.stop_columns(stop, boot_id)
    assignments = ", ".join(f"{name} = :{name}" for name in columns)
    connection.execute(
        f"UPDATE ledger SET {assignments} WHERE transaction_key = :key",  # noqa: S608 - names come from code
        columns | {"key": stop.transaction},
    )
    outbox.queue(connection, stop.transaction, "stop")
    forget_old_samples(connection)
    return True


def insert_sample(connection: sqlite3.Connection, sample: MeterSample, boot_id: str) -> bool:
    """Keep a sample of a running transaction and queue its message; False for a repeated or late one.

    Raises:
        StoreError: no such transaction.
    """
    if sample.transaction is None:
        raise StoreError("a sample outside a transaction is not kept")
    if _known_state(connection, sample.transaction) == "stopped":
        return False
    inserted = _insert(connection, "sample", rows.sample_columns(sample, boot_id), or_ignore=True)
    if inserted is None:
        return False
    outbox.queue(connection, sample.transaction, "sample", inserted)
    energy_wh = sample.reading.energy_wh
    if energy_wh is not None:
        last = rows.stamp_columns("last", sample.taken, boot_id)
        connection.execute(
            "UPDATE ledger SET last_energy_wh = :energy_wh, last_monotonic_s = :last_monotonic_s,"
            " last_utc_s = :last_utc_s, last_is_trusted = :last_is_trusted, last_boot_id = :last_boot_id"
            " WHERE transaction_key = :key",
            last | {"energy_wh": energy_wh, "key": sample.transaction},
        )
    return True


def select_open(connection: sqlite3.Connection) -> tuple[OpenTransaction, ...]:
    """Transactions without a stop, oldest first."""
    found = connection.execute(
        "SELECT ledger.*, authorisation.parent AS cached_parent FROM ledger"
        " LEFT JOIN authorisation ON authorisation.id_tag = ledger.id_tag COLLATE NOCASE"
        " WHERE stop_reason IS NULL ORDER BY ledger.rowid"
    )
    return tuple(rows.open_transaction_from(row) for row in found)


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
        " AND sample_id NOT IN (SELECT sample_id FROM outbox WHERE sample_id IS NOT NULL)",
        (sessions_kept,),
    )


def _state(connection: sqlite3.Connection, key: TransactionKey) -> str | None:
    found = connection.execute(
        "SELECT iif(stop_reason IS NULL, 'open', 'stopped') FROM ledger WHERE transaction_key = ?", (key,)
    ).fetchone()
    return None if found is None else str(found[0])


def _known_state(connection: sqlite3.Connection, key: TransactionKey) -> str:
    state = _state(connection, key)
    if state is None:
        raise StoreError(f"transaction {key} is not in the ledger")
    return state


def _insert(
    connection: sqlite3.Connection, table: str, columns: rows.Columns, *, or_ignore: bool = False
) -> int | None:
    """Insert a row and return its rowid; None where an equal one was there."""
    names, values = ", ".join(columns), ", ".join(f":{name}" for name in columns)
    conflict = "OR IGNORE " if or_ignore else ""
    statement = f"INSERT {conflict}INTO {table} ({names}) VALUES ({values})"  # noqa: S608 - names come from code
    cursor = connection.execute(statement, columns)
    return cursor.lastrowid if cursor.rowcount == 1 else None
