"""The guard's memory across restarts: latches that only a person may clear, and closings (DESIGN D11).

A file that cannot be read may have held a residual-current or weld latch. It is put aside and every connector
starts with `RCM_SELF_TEST` latched, so a person must look before energy flows again. No file at all is a new
board: nothing is latched. The file of a newer guard, with keys that are not known here, is such a file too: it may
hold a latch this guard does not understand.
"""

import json
import logging
import os
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from evcharge_hal.contract.channel import MAX_CONNECTORS
from evcharge_hal.contract.errors import EvchargeError
from evcharge_hal.contract.faults import FaultCode
from evcharge_hal.contract.schema import declare, decode, encode
from evcharge_hal.guard.effects import Remember

STATE_FILE_NAME = "guard-state.json"
_FORMAT_VERSION = 1
_RETRY_S = 10.0
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Loaded:
    """What was remembered; `notice` says what a technician should know about it, empty when nothing."""

    remembered: Remember
    notice: str = ""


class StateStore(Protocol):
    """Where the guard remembers."""

    @property
    def problem(self) -> str:
        """Why the latest state could not be kept; empty while all is well."""
        ...

    def load(self, connectors: Sequence[int]) -> Loaded:
        """Return what was saved last, for these connectors."""
        ...

    def save(self, remembered: Remember) -> None:
        """Keep this instead of what was saved before; returns without waiting for a slow disk."""
        ...


class MemoryState:
    """A `StateStore` for a guard in the same process as its world."""

    def __init__(self, remembered: Remember | None = None) -> None:
        self.remembered = remembered
        self.problem = ""

    def load(self, connectors: Sequence[int]) -> Loaded:
        """Return what was saved last, or a new board's state."""
        return Loaded(self.remembered or _new_board(connectors))

    def save(self, remembered: Remember) -> None:
        """Keep this."""
        self.remembered = remembered


@dataclass(frozen=True, slots=True)
class _ConnectorState:
    id: int = declare("Connector", ge=1, le=MAX_CONNECTORS)
    latched: frozenset[FaultCode] = declare("Faults only a person may clear", max_length=len(FaultCode))
    closings: int = declare("Contactor closings since the board was made", ge=0)
    recent_s: tuple[float, ...] = declare("Monotonic times of the latest closings", unit="s", max_length=64, default=())
    is_rcm_testing: bool = declare("The RCM self-test was running", default=False)
    acknowledged: frozenset[FaultCode] = declare(
        "Faults that count as acknowledged for the car that is in", max_length=len(FaultCode), default=frozenset()
    )


@dataclass(frozen=True, slots=True)
class _State:
    version: int = declare("Version of the format", ge=_FORMAT_VERSION, le=_FORMAT_VERSION)
    connectors: tuple[_ConnectorState, ...] = declare("Connectors", max_length=MAX_CONNECTORS)
    boot_id: str = declare("Kernel boot the monotonic times belong to", max_length=64, default="")
    coprocessor_uid: str = declare("Co-processor whose start an agent was told of", max_length=64, default="")
    coprocessor_boot: int = declare("Its boot count", ge=0, default=0)


class StateFile:
    """A `StateStore` in one small file that is replaced as a whole; saving blocks for the disk.

    `boot_id` names the kernel boot: what is remembered in monotonic time is of no use in another.
    """

    def __init__(self, path: Path, boot_id: str = "") -> None:
        self._path = path
        self._boot_id = boot_id
        # A connector the board file leaves out today keeps its latch for tomorrow.
        self._others: tuple[_ConnectorState, ...] = ()

    def load(self, connectors: Sequence[int]) -> Loaded:
        """Read the file; one that cannot be used is replaced by a conservative state at once."""
        try:
            text = self._path.read_bytes()
        except FileNotFoundError:
            return Loaded(_new_board(connectors))
        except OSError as error:
            return self._distrust(connectors, b"", f"cannot be read: {error.strerror}")
        try:
            state = decode(_State, json.loads(text))
        except (ValueError, RecursionError, EvchargeError) as error:
            return self._distrust(connectors, text, f"is damaged: {error}")
        self._others = tuple(entry for entry in state.connectors if entry.id not in connectors)
        by_id = {entry.id: entry for entry in state.connectors}
        new = _new_board(connectors)
        latched = {number: by_id[number].latched if number in by_id else new.latched[number] for number in connectors}
        closings = {number: by_id[number].closings if number in by_id else 0 for number in connectors}
        recent_s = {number: by_id[number].recent_s for number in connectors if number in by_id}
        acknowledged = {
            entry.id: entry.acknowledged for entry in by_id.values() if entry.acknowledged and entry.id in connectors
        }
        coprocessor = (state.coprocessor_uid, state.coprocessor_boot) if state.coprocessor_uid else None
        testing = frozenset(number for number in connectors if number in by_id and by_id[number].is_rcm_testing)
        # A test current does not outlive the mains: in another boot a trip is a trip.
        if not self._boot_id or state.boot_id != self._boot_id:
            recent_s, testing = {}, frozenset()
        return Loaded(Remember(latched, closings, recent_s, testing, acknowledged, coprocessor))

    def save(self, remembered: Remember) -> None:
        """Replace the file and wait until it is on the disk.

        Raises:
            OSError: the disk is full, read-only or broken; the old file is still there.
        """
        connectors = [
            _ConnectorState(
                number,
                latched,
                remembered.closings.get(number, 0),
                remembered.recent_s.get(number, ()),
                is_rcm_testing=number in remembered.testing,
                acknowledged=remembered.acknowledged.get(number, frozenset()),
            )
            for number, latched in sorted(remembered.latched.items())
        ]
        uid, boot_count = remembered.coprocessor or ("", 0)
        state = _State(_FORMAT_VERSION, (*connectors, *self._others), self._boot_id, uid, boot_count)
        _replace_durably(self._path, json.dumps(encode(state)).encode() + b"\n")

    def _distrust(self, connectors: Sequence[int], text: bytes, problem: str) -> Loaded:
        """Keep the bytes for a technician and put the conservative state in their place, in this order."""
        conservative = Remember(
            {number: frozenset({FaultCode.RCM_SELF_TEST}) for number in connectors}, dict.fromkeys(connectors, 0)
        )
        aside = self._path.with_suffix(".bad")
        try:
            if text:
                aside.write_bytes(text)
            self.save(conservative)
        except OSError as error:
            problem += f"; it cannot be replaced either: {error.strerror}"
        notice = f"state file {self._path.name} {problem}; every connector waits for a person's acknowledgement"
        return Loaded(conservative, notice)


class StateWriter:
    """Saves on a thread of its own: an SD card may take seconds, the co-processor waits one.

    The latest state wins. A failing disk is tried again every 10 s and logged once per failure.
    """

    def __init__(self, store: StateFile) -> None:
        self._store = store
        self.problem = ""
        self._condition = threading.Condition()
        self._waiting: Remember | None = None
        self._is_closing = False
        self._thread = threading.Thread(target=self._run, name="state-writer", daemon=True)
        self._thread.start()

    def load(self, connectors: Sequence[int]) -> Loaded:
        """Read the file; see `StateFile.load`."""
        return self._store.load(connectors)

    def save(self, remembered: Remember) -> None:
        """Hand over a state; returns at once."""
        with self._condition:
            self._waiting = remembered
            self._condition.notify()

    def close(self, timeout_s: float) -> None:
        """Write what waits, for at most `timeout_s`, and end the thread."""
        with self._condition:
            self._is_closing = True
            self._condition.notify()
        self._thread.join(timeout_s)

    def _run(self) -> None:
        while True:
            with self._condition:
                self._condition.wait_for(lambda: self._waiting is not None or self._is_closing)
                remembered, self._waiting = self._waiting, None
            if remembered is None:
                return
            try:
                self._store.save(remembered)
            except OSError as error:
                _log.error("the state file cannot be written, latches may be lost: %s", error)
                self.problem = str(error)
                self._keep_for_retry(remembered)
            else:
                self.problem = ""

    def _keep_for_retry(self, remembered: Remember) -> None:
        with self._condition:
            if self._is_closing:
                return
            self._waiting = self._waiting or remembered
            self._condition.wait(_RETRY_S)


def _new_board(connectors: Sequence[int]) -> Remember:
    latched: Mapping[int, frozenset[FaultCode]] = dict.fromkeys(connectors, frozenset())
    return Remember(latched, dict.fromkeys(connectors, 0))


def _replace_durably(path: Path, text: bytes) -> None:
    """Write beside, sync, rename, sync the folder: after a power cut there is the old or the new file."""
    beside = path.with_suffix(".new")
    fd = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(fd, "wb", closefd=False) as file:
            file.write(text)
        os.fsync(fd)
    finally:
        os.close(fd)
    beside.replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
