"""Statements on the authorisation cache, the settings overlay and the availability. Blocking."""

import json
import sqlite3
from collections.abc import Mapping

from evcharge_agent.core.authorisation import AUTHORISATIONS_KEPT
from evcharge_agent.core.facts import IdTag, IdTagInfo
from evcharge_agent.store import rows


def upsert_authorisation(
    connection: sqlite3.Connection, id_tag: IdTag, info: IdTagInfo, kept: int = AUTHORISATIONS_KEPT
) -> bool:
    """Keep a verdict among the `kept` newest; False (nothing is written) when it is known in the same words."""
    values = (info.status.value, info.parent_id_tag, info.expiry_utc_s)
    known = connection.execute(
        "SELECT status, parent, expiry_utc_s FROM authorisation WHERE id_tag = ?", (id_tag,)
    ).fetchone()
    if known is not None and tuple(known) == values:
        return False
    connection.execute(
        "INSERT OR REPLACE INTO authorisation (id_tag, status, parent, expiry_utc_s) VALUES (?, ?, ?, ?)",
        (id_tag, *values),
    )
    connection.execute(
        "DELETE FROM authorisation WHERE entry <= (SELECT entry FROM authorisation ORDER BY entry DESC"
        " LIMIT 1 OFFSET ?)",
        (kept,),
    )
    return True


def select_authorisations(connection: sqlite3.Connection) -> Mapping[IdTag, IdTagInfo]:
    """All verdicts by id tag."""
    found = connection.execute("SELECT id_tag, status, parent, expiry_utc_s FROM authorisation ORDER BY entry")
    return {IdTag(row[0]): rows.info_from(row[1], row[2], row[3]) for row in found}


def delete_authorisations(connection: sqlite3.Connection) -> None:
    """Forget all verdicts."""
    connection.execute("DELETE FROM authorisation")


def replace_inoperative(connection: sqlite3.Connection, connectors: frozenset[int]) -> None:
    """Keep which connectors are ordered out of service."""
    connection.execute("DELETE FROM inoperative")
    connection.executemany("INSERT INTO inoperative (connector) VALUES (?)", [(number,) for number in connectors])


def select_inoperative(connection: sqlite3.Connection) -> frozenset[int]:
    """Which connectors are ordered out of service."""
    return frozenset(int(row[0]) for row in connection.execute("SELECT connector FROM inoperative"))


def select_overlay(connection: sqlite3.Connection) -> dict[str, object]:
    """Settings changed at run time, by name."""
    found = connection.execute("SELECT name, value FROM overlay ORDER BY name")
    return {row[0]: json.loads(row[1]) for row in found}


def upsert_setting(connection: sqlite3.Connection, name: str, value: object) -> None:
    """Keep the value of a setting (plain JSON data)."""
    connection.execute(
        "INSERT INTO overlay (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        (name, json.dumps(value, separators=(",", ":"))),
    )


def delete_setting(connection: sqlite3.Connection, name: str) -> bool:
    """Fall back to the file's value; False when there was no overlay."""
    return connection.execute("DELETE FROM overlay WHERE name = ?", (name,)).rowcount == 1
