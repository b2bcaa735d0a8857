"""What was on the disk of a killed agent, beside what the central system had been sent by then."""

import contextlib
import json
import shutil
import sqlite3
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from evcharge_agent.demo.frames import Direction, FrameLog
from evcharge_agent.store.database import FILE_NAME

WAL_NAME = f"{FILE_NAME}-wal"


@dataclass(frozen=True, slots=True)
class Found:
    """Kinds of messages (`start`, `stop`, `sample`) that were committed and not acknowledged."""

    unsent: tuple[str, ...] = ()
    """Not one byte of them had reached the central system."""
    sent: tuple[str, ...] = ()
    """They had been sent; the answer, if there was one, is not on the disk."""
    is_stop_held: bool = False
    """A stop was written and waited for the last register."""


@dataclass
class SentFrames:
    """Message ids of the calls a central system was sent."""

    frames: FrameLog
    ids: set[str] = field(default_factory=set)
    _number: int = 0

    def update(self) -> set[str]:
        """Take in what came since the last time; return all."""
        for frame in self.frames.newer_than(self._number):
            self._number = frame.number
            if frame.direction is Direction.FROM_CHARGER and frame.text.startswith("[2,"):
                self.ids.add(json.loads(frame.text)[1])
        return self.ids


def look(state_dir: Path, sent: set[str]) -> Found:
    """Read a copy of the database; a killed agent's may be in any state but a damaged one."""
    with tempfile.TemporaryDirectory() as name:
        copy = Path(name) / FILE_NAME
        for file in (FILE_NAME, WAL_NAME):
            if (state_dir / file).exists():
                shutil.copyfile(state_dir / file, Path(name) / file)
        if not copy.exists():
            return Found()
        with contextlib.closing(sqlite3.connect(copy)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",), "damaged by a kill"
            if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'inoperative'").fetchone():
                return Found()
            queued = connection.execute("SELECT kind, message_id FROM outbox ORDER BY sequence").fetchall()
            held = connection.execute("SELECT count(*) FROM ledger WHERE is_stop_held").fetchone()[0]
    return Found(
        tuple(kind for kind, message_id in queued if message_id not in sent),
        tuple(kind for kind, message_id in queued if message_id in sent),
        bool(held),
    )


def count(found: Found, into: Counter[str]) -> None:
    """Add what was found to the evidence of a campaign."""
    for kind in ("start", "stop", "sample"):
        if kind in found.unsent:
            into[f"between commit and send of a {kind}"] += 1
        if kind in found.sent:
            into[f"between send and acknowledgement of a {kind}"] += 1
    into["while a stop was held"] += found.is_stop_held
