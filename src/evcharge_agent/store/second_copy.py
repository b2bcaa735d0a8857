"""The second copy: an append-only file beside the database that knows what must not be lost with it.

One line for each change of a transaction that is open or whose start or stop is still owed to the central
system: a CRC and the whole of what the ledger says of it, so a later line replaces an earlier one and a bad
line costs only itself. It is written after the database and before anybody hears of the change: what it
does not know has been told to nobody, and no energy has flowed for it.

It is a help, never an obstacle: reading it never fails, and a copy that cannot be written is said and written
anew with the next change.
"""

import json
import logging
import os
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evcharge_agent.core.facts import TransactionKey
from evcharge_agent.store.disk import Disk

FILE_NAME = "open.log"
MAX_BYTES = 256 * 1024
"""Beyond this the file is written anew with what still matters."""
_MAX_READ_BYTES = 16 * MAX_BYTES

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Message:
    """A start or stop that is still owed to the central system, or was given up."""

    sequence: int
    """Order among all messages when it was copied."""
    message_id: str
    kind: str
    attempts: int
    is_parked: bool


@dataclass(frozen=True, slots=True)
class Copy:
    """One transaction as the ledger had it."""

    columns: Mapping[str, Any]
    messages: tuple[Message, ...]

    @property
    def key(self) -> TransactionKey:
        """Our name for the transaction."""
        return TransactionKey(self.columns["transaction_key"])

    @property
    def is_needed(self) -> bool:
        """Something is still to be done: it is open, its stop is held, or a message is owed."""
        is_unfinished = self.columns["stop_reason"] is None or bool(self.columns.get("is_stop_held"))
        return is_unfinished or any(not message.is_parked for message in self.messages)

    @property
    def progress(self) -> int:
        """How far its life has come; grows with every step of it."""
        is_stopped = self.columns["stop_reason"] is not None
        owed = {message.kind for message in self.messages if not message.is_parked}
        return (
            4 * is_stopped
            + (is_stopped and not self.columns.get("is_stop_held"))
            + ("start" not in owed)
            + (is_stopped and not self.columns.get("is_stop_held") and "stop" not in owed)
        )


class SecondCopy:
    """The file in `directory`. Blocking; one thread."""

    def __init__(self, directory: Path, disk: Disk | None = None) -> None:
        self._path = directory / FILE_NAME
        self._disk = disk or Disk()
        self._descriptor: int | None = None
        self._size = 0
        self._is_sound = False
        """Every line of the file is good and the descriptor can be believed."""

    @property
    def is_due(self) -> bool:
        """It must be written anew: it has grown, or it could not be written."""
        return not self._is_sound or self._size > MAX_BYTES

    def read(self) -> list[Copy]:
        """Return the last good line of every transaction, oldest first; bad lines are skipped and counted."""
        copies: dict[TransactionKey, Copy] = {}
        bad = 0
        for line in self._content().splitlines():
            copy = decode_line(line)
            if copy is None:
                bad += 1
            else:
                copies[copy.key] = copy
        if bad:
            _log.warning("The second copy %s has %d damaged lines, which are left out", self._path, bad)
        return list(copies.values())

    def append(self, copy: Copy, *, is_durable: bool) -> None:
        """Add a line; `is_durable` waits until it is on the disk. An error is logged, see `is_due`."""
        line = encode_line(copy)
        try:
            if self._descriptor is None:
                self._descriptor = self._disk.open(self._path, os.O_WRONLY | os.O_APPEND)
            self._disk.write(self._descriptor, line)
            self._size += len(line)
            if is_durable:
                self._disk.sync(self._descriptor)
        except OSError as error:
            self._give_up(error)

    def rewrite(self, copies: Iterable[Copy]) -> None:
        """Put the needed ones of `copies` in place of what is there; the old file stays until the new one is safe."""
        content = b"".join(encode_line(copy) for copy in copies if copy.is_needed)
        self.close()
        try:
            if content != self._content():
                self._put(content)
            self._size = len(content)
            self._is_sound = True
        except OSError as error:
            self._give_up(error)

    def close(self) -> None:
        """Close the file; harmless when it is not open."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def _put(self, content: bytes) -> None:
        fresh = self._path.with_name(f"{FILE_NAME}.new")
        descriptor = self._disk.open(fresh, os.O_WRONLY | os.O_TRUNC)
        try:
            self._disk.write(descriptor, content)
            self._disk.sync(descriptor)
        finally:
            os.close(descriptor)
        self._disk.replace(fresh, self._path)

    def _content(self) -> bytes:
        try:
            with self._path.open("rb") as file:
                return file.read(_MAX_READ_BYTES)
        except FileNotFoundError:
            return b""
        except OSError as error:
            _log.warning("The second copy %s cannot be read: %s", self._path, error)
            return b""

    def _give_up(self, error: OSError) -> None:
        # After a failed write or fsync the descriptor cannot be believed, nor the end of the file.
        self.close()
        self._is_sound = False
        _log.warning("The second copy %s cannot be written: %s", self._path, error)


def encode_line(copy: Copy) -> bytes:
    """One line: eight hex digits of CRC-32, a space, JSON."""
    messages = [[one.sequence, one.message_id, one.kind, one.attempts, int(one.is_parked)] for one in copy.messages]
    body = json.dumps({"ledger": dict(copy.columns), "messages": messages}, separators=(",", ":")).encode()
    return b"%08x %s\n" % (zlib.crc32(body), body)


def decode_line(line: bytes) -> Copy | None:
    """Read a line without its end; None for anything that was not written as it is."""
    crc, _, body = line.partition(b" ")
    if crc != b"%08x" % zlib.crc32(body):
        return None
    try:
        data = json.loads(body)
        messages = tuple(
            Message(int(sequence), str(message_id), str(kind), int(attempts), bool(is_parked))
            for sequence, message_id, kind, attempts, is_parked in data["messages"]
        )
        copy = Copy(dict(data["ledger"]), messages)
        is_usable = isinstance(copy.columns["transaction_key"], str) and "stop_reason" in copy.columns
        return copy if is_usable and {one.kind for one in messages} <= {"start", "stop"} else None
    except (ValueError, KeyError, TypeError, OverflowError):
        return None
