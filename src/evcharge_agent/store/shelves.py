"""Statements on the shelves: small named facts, read whole at start. Blocking."""

import sqlite3
from collections.abc import Collection, Mapping


def write_shelf(
    connection: sqlite3.Connection, shelf: str, put: Mapping[str, str], remove: Collection[str], *, is_whole: bool
) -> None:
    """Put and remove; `is_whole` removes everything that is not put."""
    if is_whole:
        connection.execute("DELETE FROM shelf WHERE shelf = ?", (shelf,))
    connection.executemany("DELETE FROM shelf WHERE shelf = ? AND name = ?", [(shelf, name) for name in remove])
    connection.executemany(
        "INSERT OR REPLACE INTO shelf (shelf, name, value) VALUES (?, ?, ?)",
        [(shelf, name, value) for name, value in put.items()],
    )


def select_shelf(connection: sqlite3.Connection, shelf: str) -> dict[str, str]:
    """All values of a shelf, in the order of their names."""
    return dict(connection.execute("SELECT name, value FROM shelf WHERE shelf = ? ORDER BY name", (shelf,)).fetchall())
