"""Statements on the outbox: transaction messages in the order they happened. Blocking.

A row names its fact in the ledger instead of copying it, so a corrected stamp is corrected once. A row
leaves on the central system's answer; a parked one stays, out of the queue, to be shown.
"""

import sqlite3
import uuid
from dataclasses import dataclass

from evcharge_agent.core import sampling
from evcharge_agent.core.facts import (
    IdTagInfo,
    MeterSample,
    ReadingContext,
    TransactionKey,
    TransactionStart,
    TransactionStop,
)
from evcharge_agent.store import rows
from evcharge_agent.store.errors import StoreError
from evcharge_agent.store.records import OutboxMessage

GIVEN_UP_TRANSACTION_ID = -1
"""Transaction id of messages whose start was given up (OCPP 1.6 errata 3.18)."""

MESSAGES_KEPT = 2000
"""Beyond this many waiting messages meter values are thinned; starts and stops never are."""

STOP_SAMPLES = 100
"""Samples one StopTransaction may repeat; more would not fit into a frame of 64 KiB anyhow."""

_ENDS = (ReadingContext.BEGIN.value, ReadingContext.END.value)

_SELECT = """
    SELECT outbox.*, ledger.connector AS ledger_connector, ledger.transaction_id,
        EXISTS (
            SELECT 1 FROM outbox AS earlier
            WHERE earlier.transaction_key = outbox.transaction_key AND earlier.kind = 'start' AND earlier.is_parked
        ) AS is_start_parked
    FROM outbox JOIN ledger USING (transaction_key) WHERE """


@dataclass(frozen=True, slots=True)
class Counts:
    """Messages in the outbox."""

    queued: int
    parked: int


def queue(connection: sqlite3.Connection, key: TransactionKey, kind: str, sample_id: int | None = None) -> None:
    """Append a message; its id is drawn here and used for every send."""
    connection.execute(
        "INSERT INTO outbox (message_id, transaction_key, kind, sample_id) VALUES (?, ?, ?, ?)",
        (str(uuid.uuid4()), key, kind, sample_id),
    )


def select_oldest(connection: sqlite3.Connection) -> OutboxMessage | None:
    """The message to send next. Starts precede what they open, so their answers are known by then."""
    messages = _select(connection, "NOT outbox.is_parked ORDER BY outbox.sequence LIMIT 1")
    return messages[0] if messages else None


def select_parked(connection: sqlite3.Connection) -> tuple[OutboxMessage, ...]:
    """Messages that were given up, oldest first."""
    return _select(connection, "outbox.is_parked ORDER BY outbox.sequence")


def count_attempt(connection: sqlite3.Connection, sequence: int) -> int:
    """Count a send that failed while connected; return the new number, 0 when the message has gone."""
    found = connection.execute(
        "UPDATE outbox SET attempts = attempts + 1 WHERE sequence = ? RETURNING attempts", (sequence,)
    ).fetchall()
    return int(found[0][0]) if found else 0


def delete_answered(
    connection: sqlite3.Connection, sequence: int, transaction_id: int | None, info: IdTagInfo | None
) -> bool:
    """Take out an answered message and keep what the answer said; False when it was out already.

    Raises:
        StoreError: a start without the transaction id its answer must carry.
    """
    found = connection.execute("SELECT kind, transaction_key FROM outbox WHERE sequence = ?", (sequence,)).fetchone()
    if found is None:
        return False
    kind, key = found
    if kind == "start":
        if transaction_id is None:
            raise StoreError(f"the answer to the start of {key} carries no transaction id")
        connection.execute("UPDATE ledger SET transaction_id = ? WHERE transaction_key = ?", (transaction_id, key))
    if info is not None:
        connection.execute(
            "UPDATE ledger SET tag_status = ?, tag_parent = ?, tag_expiry_utc_s = ? WHERE transaction_key = ?",
            (info.status.value, info.parent_id_tag, info.expiry_utc_s, key),
        )
    connection.execute("DELETE FROM outbox WHERE sequence = ?", (sequence,))
    return True


def park(connection: sqlite3.Connection, sequence: int) -> bool:
    """Give a message up; False when it is not queued."""
    change = connection.execute("UPDATE outbox SET is_parked = 1 WHERE sequence = ? AND NOT is_parked", (sequence,))
    return change.rowcount == 1


def owner(connection: sqlite3.Connection, sequence: int) -> TransactionKey | None:
    """The transaction whose start or stop this message is; None for a sample, or when it has gone."""
    found = connection.execute(
        "SELECT transaction_key FROM outbox WHERE sequence = ? AND kind <> 'sample'", (sequence,)
    ).fetchone()
    return None if found is None else TransactionKey(found[0])


def thin(connection: sqlite3.Connection, kept: int = MESSAGES_KEPT) -> int:
    """Drop every second periodic sample of the older half when more than `kept` messages wait.

    Starts, stops, first and last samples stay, and at least `kept` / 2 samples, the first of them too. Returns
    how many were dropped.
    """
    if count(connection).queued <= kept:
        return 0
    samples = connection.execute(
        "SELECT outbox.sequence, sample_id FROM outbox JOIN sample USING (sample_id)"
        " WHERE NOT is_parked AND context IN (?, ?) ORDER BY sequence",
        (ReadingContext.PERIODIC.value, ReadingContext.CLOCK.value),
    ).fetchall()
    if len(samples) <= kept // 2:
        return 0
    dropped = samples[1 : len(samples) // 2 : 2]
    connection.executemany("DELETE FROM outbox WHERE sequence = ?", [(sequence,) for sequence, _ in dropped])
    connection.executemany("DELETE FROM sample WHERE sample_id = ?", [(sample_id,) for _, sample_id in dropped])
    return len(dropped)


def count(connection: sqlite3.Connection) -> Counts:
    """Count queued and parked messages."""
    total, parked = connection.execute("SELECT count(*), coalesce(sum(is_parked), 0) FROM outbox").fetchone()
    return Counts(total - parked, parked)


def _select(connection: sqlite3.Connection, condition: str) -> tuple[OutboxMessage, ...]:
    found = connection.execute(_SELECT + condition)
    return tuple(_message(connection, row) for row in found.fetchall())


def _message(connection: sqlite3.Connection, row: sqlite3.Row) -> OutboxMessage:
    transaction_id = row["transaction_id"]
    if transaction_id is None and row["is_start_parked"]:
        transaction_id = GIVEN_UP_TRANSACTION_ID
    return OutboxMessage(
        sequence=row["sequence"],
        message_id=row["message_id"],
        transaction=TransactionKey(row["transaction_key"]),
        fact=_fact(connection, row),
        attempts=row["attempts"],
        transaction_id=transaction_id,
        connector=row["ledger_connector"],
        samples=_stop_samples(connection, row["transaction_key"]) if row["kind"] == "stop" else (),
    )


def _stop_samples(connection: sqlite3.Connection, key: str) -> tuple[MeterSample, ...]:
    """What StopTransaction repeats, thinned evenly but for the first and the last."""
    found = connection.execute(
        "SELECT sample_id, context FROM sample WHERE transaction_key = ? AND stop_measurands <> '' ORDER BY sample_id",
        (key,),
    ).fetchall()
    chosen = [row[0] for row in sampling.spread(found, STOP_SAMPLES, lambda row: row[1] in _ENDS)]
    marks = ", ".join("?" * len(chosen))
    samples = connection.execute(
        f"SELECT * FROM sample WHERE sample_id IN ({marks}) ORDER BY sample_id",  # noqa: S608 - question marks
        chosen,
    )
    return tuple(rows.sample_from(row) for row in samples.fetchall())


def _fact(connection: sqlite3.Connection, row: sqlite3.Row) -> TransactionStart | TransactionStop | MeterSample:
    if row["kind"] == "sample":
        found = connection.execute("SELECT * FROM sample WHERE sample_id = ?", (row["sample_id"],))
        return rows.sample_from(found.fetchone())
    found = connection.execute("SELECT * FROM ledger WHERE transaction_key = ?", (row["transaction_key"],))
    entry = found.fetchone()
    return rows.start_from(entry) if row["kind"] == "start" else rows.stop_from(entry)
