"""sd_notify(3) without a library: one datagram for each thing the service manager is told.

A service that is not run by systemd has no address to tell it to; everything here then does nothing.
"""

import os
import socket
from collections.abc import Mapping

ADDRESS_VARIABLE = "NOTIFY_SOCKET"
WATCHDOG_VARIABLE = "WATCHDOG_USEC"
WATCHDOG_PID_VARIABLE = "WATCHDOG_PID"
BEATS_PER_WATCHDOG = 4
"""sd_watchdog_enabled(3) asks for half the time; a quarter survives one late beat."""
_LONGEST_STATUS = 500


class Notifier:
    """Tells the service manager how this process is. Never waits and never raises."""

    def __init__(self, address: str | None = None, watchdog_s: float | None = None) -> None:
        self._address = "\0" + address[1:] if address and address.startswith("@") else address
        self._watchdog_s = watchdog_s

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "Notifier":
        """Take address and watchdog from what systemd put into the environment."""
        address = environment.get(ADDRESS_VARIABLE)
        usable = address if address and address[0] in "/@" else None
        return cls(usable, _watchdog_s(environment))

    @property
    def is_active(self) -> bool:
        """Somebody listens."""
        return self._address is not None

    @property
    def beat_every_s(self) -> float | None:
        """How often `beat` is wanted; None: no watchdog."""
        return None if self._watchdog_s is None or not self.is_active else self._watchdog_s / BEATS_PER_WATCHDOG

    def ready(self, status: str = "") -> bool:
        """The service does what it is for."""
        return self._send(f"READY=1\nSTATUS={_one_line(status)}" if status else "READY=1")

    def status(self, text: str) -> bool:
        """One line for `systemctl status`."""
        return self._send(f"STATUS={_one_line(text)}")

    def beat(self) -> bool:
        """Something has moved on; silence for the unit's WatchdogSec is the end."""
        return self._send("WATCHDOG=1")

    def stopping(self) -> bool:
        """The service has begun to stop."""
        return self._send("STOPPING=1")

    def _send(self, text: str) -> bool:
        if self._address is None:
            return False
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC) as door:
                door.sendto(text.encode("utf-8", "replace"), self._address)
        except OSError:
            return False  # A manager that does not listen now is told again at the next beat.
        return True


class LoopBeat:
    """The watchdog of a loop that calls `turned` after every turn: a beat is due, a turn was made, it is told."""

    def __init__(self, notifier: Notifier) -> None:
        self._notifier = notifier
        self._every_s = notifier.beat_every_s
        self._next_s = float("-inf")

    def turned(self, now_s: float) -> None:
        """The loop has made a turn at `now_s`, host monotonic seconds."""
        if self._every_s is not None and now_s >= self._next_s:
            self._next_s = now_s + self._every_s
            self._notifier.beat()


def _watchdog_s(environment: Mapping[str, str]) -> float | None:
    text, pid = environment.get(WATCHDOG_VARIABLE, ""), environment.get(WATCHDOG_PID_VARIABLE, str(os.getpid()))
    if not (text.isascii() and text.isdigit()) or pid != str(os.getpid()) or int(text) == 0:
        return None
    return int(text) / 1e6


def _one_line(text: str) -> str:
    return " ".join(text.split())[:_LONGEST_STATUS]
