"""How far a transfer is, and how its attempts go on from each other."""

from collections.abc import Callable
from dataclasses import dataclass

Progress = Callable[[int, int | None], None]
"""Bytes so far and in all (None: not known); called in the transfer's thread."""


@dataclass(slots=True)
class Continuation:
    """What an attempt leaves for the next one."""

    validator: str | None = None
    """Strong ETag of the content (HTTP)."""
    total_bytes: int | None = None
    """Size as the server said."""
    may_continue: bool = False
    """The next attempt may ask for the rest only."""
