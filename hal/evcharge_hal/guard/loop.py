"""The guard's loop: one thread, one selector, no asyncio (spec: the trip path must not wait for anything).

The loop waits for three things, in this order of importance: the wake pipe (an edge on a line, a signal), the
co-processor's port, the agent. Reads per turn are bounded, writes never wait, and a lost port is looked for
again. Whatever ends the loop, the relays are opened before anything else is done about it.
"""

import contextlib
import logging
import os
import selectors
import time
from collections.abc import Callable
from typing import Protocol

from evcharge_hal.guard.channel_server import ChannelServer
from evcharge_hal.guard.runtime import Guard
from evcharge_hal.link.serial_port import PortError

LINES_PER_TURN = 32
"""Agent messages handled before the lines and the port are looked at again."""
REOPEN_AFTER_LOSS_S = 1.1
"""Longer than the link driver takes to notice silence (1.0 s), so that a reopened port starts with a handshake."""
REOPEN_FIRST_S = 0.1
REOPEN_SLOWEST_S = 5.0
GOODBYE_S = 0.2
# Keeps a deadline that has just passed from spinning the processor.
_SHORTEST_SLEEP_S = 0.001
_log = logging.getLogger(__name__)


class Port(Protocol):
    """A byte stream to the co-processor; every method raises `PortError` when it is gone."""

    @property
    def wants_write(self) -> bool:
        """Bytes wait for the descriptor to become writable."""
        ...

    def fileno(self) -> int:
        """Return the descriptor to select on."""
        ...

    def read(self) -> bytes:
        """Return what has arrived, empty when nothing; never waits."""
        ...

    def write(self, data: bytes, /) -> None:
        """Take bytes; what the device does not take now waits inside."""
        ...

    def flush(self) -> None:
        """Write what waits, as far as the device takes it."""
        ...

    def close(self) -> None:
        """Give the device back."""
        ...


def _nothing(_now_s: float) -> None:
    """Nobody watches."""


class WakePipe:
    """Wakes the loop from another thread or a signal handler; a full pipe is already a wake-up."""

    def __init__(self) -> None:
        self.read_fd, self.write_fd = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def wake(self) -> None:
        """Wake the loop; from any thread."""
        with contextlib.suppress(BlockingIOError):
            os.write(self.write_fd, b"\0")

    def drain(self) -> None:
        """Forget the wake-ups so far."""
        with contextlib.suppress(BlockingIOError):
            while len(os.read(self.read_fd, 4096)) == 4096:  # noqa: PLR2004 - the size just asked for
                pass

    def close(self) -> None:
        """Give both ends back."""
        os.close(self.read_fd)
        os.close(self.write_fd)


class PortKeeper:
    """Opens the port, loses it, and opens it again ever more slowly."""

    def __init__(self, open_port: Callable[[], Port], selector: selectors.BaseSelector) -> None:
        self._open_port = open_port
        self._selector = selector
        self._port: Port | None = None
        self._events = 0
        self._retry_s = 0.0
        self._pause_s = REOPEN_FIRST_S
        self._last_problem = ""
        self.is_readable = False

    @property
    def is_open(self) -> bool:
        """The port is there as far as we know."""
        return self._port is not None

    @property
    def wants_write(self) -> bool:
        """Bytes wait for the device."""
        return self._port is not None and self._port.wants_write

    def next_deadline_s(self) -> float:
        """Return when the port should be looked for; infinite while it is open."""
        return self._retry_s if self._port is None else float("inf")

    def open_if_due(self, now_s: float) -> None:
        """Try to open a closed port when its pause is over; each new problem is logged once."""
        if self._port is not None or now_s < self._retry_s:
            return
        try:
            self._port = self._open_port()
        except PortError as error:
            if str(error) != self._last_problem:
                self._last_problem = str(error)
                _log.warning("the co-processor's port cannot be opened, trying again: %s", error)
            self._retry_s = now_s + self._pause_s
            self._pause_s = min(self._pause_s * 2.0, REOPEN_SLOWEST_S)
            return
        _log.info("the co-processor's port is open")
        self._last_problem = ""
        self._pause_s = REOPEN_FIRST_S
        self._events = selectors.EVENT_READ
        self._selector.register(self._port, self._events, self._mark_readable)

    def read(self) -> bytes:
        """Return what has arrived.

        Raises:
            PortError: the port is gone.
        """
        self.is_readable = False
        return b"" if self._port is None else self._port.read()

    def write(self, take: Callable[[], bytes]) -> None:
        """Write what waits, then what `take` gives; nothing is taken while the device is behind.

        Raises:
            PortError: the port is gone.
        """
        if self._port is None:
            take()  # frames that nobody can receive are not kept: they would be stale
            return
        if self._port.wants_write:
            self._port.flush()
        if not self._port.wants_write and (data := take()):
            self._port.write(data)
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if self._port.wants_write else 0)
        if events != self._events:
            self._events = events
            self._selector.modify(self._port, events, self._mark_readable)

    def lose(self, now_s: float) -> None:
        """Close the port and look for it again after a pause."""
        self.close()
        self._retry_s = now_s + REOPEN_AFTER_LOSS_S

    def close(self) -> None:
        """Close the port."""
        if self._port is not None:
            self._selector.unregister(self._port)
            self._port.close()
            self._port = None
        self.is_readable = False

    def _mark_readable(self, _mask: int) -> None:
        self.is_readable = True


class GuardLoop:
    """Carries bytes and time to the guard until told to stop."""

    def __init__(
        self,
        guard: Guard,
        port: PortKeeper,
        server: ChannelServer,
        wake: WakePipe,
        selector: selectors.BaseSelector,
        clock_s: Callable[[], float] = time.monotonic,
        on_turn: Callable[[float], None] = _nothing,
    ) -> None:
        """`on_turn` is called with the time after every whole turn; the watchdog's beat hangs on it."""
        self._guard = guard
        self._on_turn = on_turn
        self._port = port
        self._server = server
        self._wake = wake
        self._selector = selector
        self._clock_s = clock_s
        self._is_stopping = False
        self._is_woken = False
        selector.register(wake.read_fd, selectors.EVENT_READ, self._mark_woken)

    def stop(self) -> None:
        """End `run` soon; from a signal handler or another thread."""
        self._is_stopping = True
        self._wake.wake()

    def run(self) -> None:
        """Turn until `stop`, or until the guard has been reset, then leave everything off.

        An exception also opens the relays and takes the permits back before it goes on.
        """
        try:
            while not self._is_stopping and not self._guard.is_over:
                self._wait()
                self._turn()
                self._on_turn(self._clock_s())
            self._say_goodbye()
        except BaseException:
            self._guard.shut_down(self._clock_s())
            self._write_once()
            raise
        finally:
            self._guard.open_relays()

    def _wait(self) -> None:
        for key, mask in self._selector.select(self._timeout_s()):
            key.data(mask)

    def _timeout_s(self) -> float:
        if self._server.has_backlog:
            return 0.0
        now_s = self._clock_s()
        deadline_s = min(self._guard.next_deadline_s(now_s), self._port.next_deadline_s())
        return max(deadline_s - now_s, _SHORTEST_SLEEP_S)

    def _turn(self) -> None:
        self._port.open_if_due(self._clock_s())
        if self._is_woken:
            self._is_woken = False
            self._wake.drain()
            self._guard.lines_changed(self._clock_s())
        self._carry(self._read_port)
        if self._guard.has_stood_still(self._clock_s()):
            self._server.mark_stale()
        for message in self._server.take_messages(LINES_PER_TURN):
            self._guard.agent_message(message, self._clock_s(), is_stale=self._server.is_stale)
        self._guard.turn(self._clock_s())
        self._carry(lambda: self._port.write(self._guard.link.outgoing))

    def _read_port(self) -> None:
        if self._port.is_readable:
            data = self._port.read()
            if data:
                self._guard.link_bytes(data, self._clock_s())

    def _carry(self, move: Callable[[], None]) -> None:
        """Do one transfer; a port that fails is lost, and the guard is told."""
        try:
            move()
        except PortError as error:
            now_s = self._clock_s()
            _log.warning("the co-processor's port failed: %s", error)
            self._port.lose(now_s)
            self._guard.link_failed(str(error), now_s)

    def _say_goodbye(self) -> None:
        """Relays first, then the permit; a co-processor that does not listen drops it after its deadline."""
        self._guard.shut_down(self._clock_s())
        give_up_s = self._clock_s() + GOODBYE_S
        self._carry(lambda: self._port.write(self._guard.link.outgoing))
        while self._port.wants_write and self._clock_s() < give_up_s:
            self._selector.select(_SHORTEST_SLEEP_S)
            self._carry(lambda: self._port.write(self._guard.link.outgoing))

    def _write_once(self) -> None:
        """Write without waiting, whatever is broken; without it the co-processor's deadline takes the permit."""
        try:
            self._port.write(self._guard.link.outgoing)
        except Exception as error:  # noqa: BLE001 - the error that ends the loop is the one to be told
            _log.critical("the co-processor is not told: %s", error)

    def _mark_woken(self, _mask: int) -> None:
        self._is_woken = True
