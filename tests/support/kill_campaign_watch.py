"""SIGKILL at the very write: a thread that sleeps in inotify until a file is written to."""

import ctypes
import os
import select
import signal
import struct
import threading
import time
from collections.abc import Sequence
from pathlib import Path

IN_MODIFY = 0x2
_EVENT = struct.Struct("iIII")


class WriteTrigger:
    """Kills `pids` `delay_s` after the `count`-th write to `path`'s file; writes made as one may count as one.

    Armed when constructed. `wait` says when it happened.
    """

    def __init__(self, path: Path, pids: Sequence[int], count: int, delay_s: float, within_s: float) -> None:
        self._name = path.name.encode()
        self._pids = tuple(pids)
        self._count = count
        self._delay_s = delay_s
        self._deadline_s = time.monotonic() + within_s
        self._fired_s: float | None = None
        libc = ctypes.CDLL(None, use_errno=True)
        self._descriptor: int = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._descriptor < 0 or libc.inotify_add_watch(self._descriptor, os.fsencode(path.parent), IN_MODIFY) < 0:
            raise OSError(ctypes.get_errno(), f"{path.parent} cannot be watched")
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def wait(self) -> float | None:
        """Return the monotonic time of the kill; None: there were not so many writes in time."""
        self._thread.join()
        os.close(self._descriptor)
        return self._fired_s

    def _run(self) -> None:
        seen = 0
        while (left_s := self._deadline_s - time.monotonic()) > 0:
            ready, _, _ = select.select([self._descriptor], [], [], left_s)
            if ready:
                seen += self._writes(os.read(self._descriptor, 65536))
            if seen >= self._count:
                time.sleep(self._delay_s)
                kill_all(self._pids)
                self._fired_s = time.monotonic()
                return

    def _writes(self, data: bytes) -> int:
        found = 0
        while data:
            _, _, _, length = _EVENT.unpack_from(data)
            name = data[_EVENT.size : _EVENT.size + length].rstrip(b"\0")
            found += name == self._name
            data = data[_EVENT.size + length :]
        return found


def kill_all(pids: Sequence[int]) -> None:
    """SIGKILL one after the other, without a pause; one that has gone already is as good."""
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
