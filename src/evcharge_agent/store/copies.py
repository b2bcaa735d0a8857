"""Between the ledger and the second copy: what is copied, and taking up what the ledger does not know. Blocking.

The ledger can know less than its copy when it was damaged, deleted or replaced by an older one, or when the
disk forgot what it had promised to keep (SQLite then drops the end of its log without a word). The copy is
written after the ledger, so one that is further always tells what has really happened.
"""

import logging
import sqlite3
from collections.abc import Sequence

from evcharge_agent.core.facts import TransactionKey
from evcharge_agent.store import rows
from evcharge_agent.store.second_copy import Copy, Message, SecondCopy

CLOSED_COPIED = 200
"""Finished transactions of which the copy keeps what is owed, the newest; open ones are all kept."""

ENERGY_EVERY_S = 60.0
"""So often the register of a running transaction is copied, to spare the disk."""
_SENSELESS = (
    *(ValueError, KeyError, TypeError, OverflowError),
    *(sqlite3.IntegrityError, sqlite3.InterfaceError, sqlite3.ProgrammingError),
)
_log = logging.getLogger(__name__)


class Copier:
    """Keeps the second copy in step with the ledger, and the ledger with it at every opening.

    An error of the copy is never an error of the operation.
    """

    def __init__(self, second: SecondCopy) -> None:
        self._second = second
        self._energy_due_s: dict[TransactionKey, float] = {}

    def take_up(self, connection: sqlite3.Connection) -> None:
        """Bring a freshly opened ledger up to its copy, and the copy up to the ledger.

        Raises:
            sqlite3.Error: the ledger cannot be read, or lacks something and cannot be written.
        """
        taken = take_up(connection, self._second.read())
        if taken:
            _log.error("Taken from the second copy, the database did not know them: %s", ", ".join(taken))
        self.refresh(connection)

    def refresh(self, connection: sqlite3.Connection) -> None:
        """Write the copy anew, unless it says all that already."""
        self._second.rewrite(select_needed(connection))

    def note(self, connection: sqlite3.Connection, key: TransactionKey, *, is_durable: bool) -> None:
        """A start or stop has been written, or its message has gone."""
        copy = select(connection, key)
        if copy is not None:
            self._second.append(copy, is_durable=is_durable)
        if self._second.is_due:
            self.refresh(connection)

    def note_energy(self, connection: sqlite3.Connection, key: TransactionKey, now_s: float) -> None:
        """A register has been written; now and then it is copied, without waiting for the disk."""
        if now_s < self._energy_due_s.get(key, now_s - 1.0) <= now_s + ENERGY_EVERY_S:
            return
        self._energy_due_s = {name: due_s for name, due_s in self._energy_due_s.items() if due_s > now_s}
        self._energy_due_s[key] = now_s + ENERGY_EVERY_S
        self.note(connection, key, is_durable=False)

    def close(self) -> None:
        """Close the file."""
        self._second.close()


def select(connection: sqlite3.Connection, key: TransactionKey) -> Copy | None:
    """One transaction as the ledger has it; None when it is not there."""
    found = connection.execute("SELECT * FROM ledger WHERE transaction_key = ?", (key,)).fetchone()
    return None if found is None else _copy(connection, found)


def select_needed(connection: sqlite3.Connection) -> list[Copy]:
    """All that the second copy should know, oldest first."""
    owed = (
        "SELECT transaction_key FROM outbox JOIN ledger AS entry USING (transaction_key)"
        " WHERE kind <> 'sample' AND NOT is_parked AND stop_reason IS NOT NULL"
        " GROUP BY transaction_key ORDER BY max(entry.rowid) DESC LIMIT ?"
    )
    found = connection.execute(
        f"SELECT * FROM ledger WHERE stop_reason IS NULL OR is_stop_held OR transaction_key IN ({owed}) ORDER BY rowid",  # noqa: S608 - no values
        (CLOSED_COPIED,),
    )
    return [_copy(connection, row) for row in found.fetchall()]


def take_up(connection: sqlite3.Connection, copies: Sequence[Copy]) -> list[TransactionKey]:
    """Bring the ledger up to its second copy in one transaction; return what it did not know.

    Raises:
        sqlite3.Error: nothing was changed.
    """
    ahead = [copy for copy in copies if _is_ahead(connection, copy)]
    if not ahead:
        return []
    connection.execute("BEGIN IMMEDIATE")
    try:
        taken = [copy for copy in ahead if _write(connection, copy)]
        messages = sorted(
            ((message, copy.key) for copy in taken for message in copy.messages), key=lambda one: one[0].sequence
        )
        for message, key in messages:
            connection.execute(
                "INSERT INTO outbox (message_id, transaction_key, kind, attempts, is_parked)"
                " SELECT :id, :key, :kind, :attempts, :is_parked"
                " WHERE NOT EXISTS (SELECT 1 FROM outbox WHERE message_id = :id)",
                {
                    "id": message.message_id,
                    "key": key,
                    "kind": message.kind,
                    "attempts": message.attempts,
                    "is_parked": int(message.is_parked),
                },
            )
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return [copy.key for copy in taken]


def _is_ahead(connection: sqlite3.Connection, copy: Copy) -> bool:
    known = select(connection, copy.key)
    return copy.is_needed if known is None else copy.progress > known.progress


def _write(connection: sqlite3.Connection, copy: Copy) -> bool:
    """Put a copy into the ledger, and away with messages it no longer owes; False when it makes no sense."""
    names = [row["name"] for row in connection.execute("PRAGMA table_info(ledger)")]
    columns = {name: copy.columns[name] for name in names if name in copy.columns}
    connection.execute("SAVEPOINT one_copy")
    try:
        rows.check_ledger(columns)
        listed, values = ", ".join(columns), ", ".join(f":{name}" for name in columns)
        updates = ", ".join(f"{name} = excluded.{name}" for name in columns)
        connection.execute(
            f"INSERT INTO ledger ({listed}) VALUES ({values})"  # noqa: S608 - names come from the schema
            f" ON CONFLICT (transaction_key) DO UPDATE SET {updates}",
            columns,
        )
        owed = [message.message_id for message in copy.messages]
        connection.execute(
            "DELETE FROM outbox WHERE transaction_key = ? AND kind <> 'sample'"  # noqa: S608 - question marks
            f" AND message_id NOT IN ({', '.join('?' * len(owed))})",
            (copy.key, *owed),
        )
    except _SENSELESS as error:
        connection.execute("ROLLBACK TO one_copy")
        _log.error("The second copy of transaction %s makes no sense: %s", copy.key, error)
        return False
    finally:
        connection.execute("RELEASE one_copy")
    return True


def _copy(connection: sqlite3.Connection, row: sqlite3.Row) -> Copy:
    found = connection.execute(
        "SELECT sequence, message_id, kind, attempts, is_parked FROM outbox"
        " WHERE transaction_key = ? AND kind <> 'sample' ORDER BY sequence",
        (row["transaction_key"],),
    )
    messages = tuple(
        Message(sequence, message_id, kind, attempts, bool(is_parked))
        for sequence, message_id, kind, attempts, is_parked in found.fetchall()
    )
    return Copy(dict(row), messages)
