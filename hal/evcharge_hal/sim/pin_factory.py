"""gpiozero's door to the simulated lines: outputs are forwarded to the world, inputs follow it.

To gpiozero this is a mock factory; the traps of mock pins (a pull that overwrites the level, a list of
states that grows for ever, a function change that moves the line) are closed here.
"""

import contextlib
import logging
import socket
import struct
import threading
import time
from pathlib import Path
from typing import Any

from gpiozero.pins.mock import MockFactory, MockPin  # type: ignore[import-untyped]

from evcharge_hal.contract.errors import EvchargeError, ProtocolError
from evcharge_hal.sim.gpio_lines import Claim, Level, SetLevel, read_command

log = logging.getLogger(__name__)

CONNECT_TIMEOUT_S = 10.0
ANSWER_TIMEOUT_S = 2.0
_RETRY_S = 0.05
_SEND_TIMEOUT = struct.pack("ll", 1, 0)  # struct timeval: one second


class WorldUnreachableError(EvchargeError):
    """The simulated world does not answer on its GPIO socket."""


class SimPin(MockPin):  # type: ignore[misc]  # gpiozero has no types
    """A pin whose other end is in the world's process."""

    _state: bool

    def close(self) -> None:
        """Stop listening. The line keeps its level: closing a device never drives an output."""
        self.when_changed = None

    def clear_states(self) -> None:
        """Remember only the time of the last change; a mock's list of states grows for ever."""
        self._last_change = time.monotonic()
        self.states: list[Any] = []

    def follow(self, is_high: bool) -> None:
        """Take the level the world has given the line; tells gpiozero of a change."""
        is_changed = self._change_state(is_high)
        if is_changed and self._function == "input" and self._when_changed is not None:
            self._call_when_changed()

    def _set_function(self, value: str) -> None:
        super()._set_function(value)
        self.factory.claim(self, is_output=value == "output")

    def _set_pull(self, value: str) -> None:
        """Note the pull; what the line's level is, only the world knows."""
        self._pull = value

    def _set_state(self, value: float) -> None:
        super()._set_state(value)
        self.factory.send_level(self)

    def _change_state(self, value: bool) -> bool:
        if self._state == value:
            return False
        self._state = value
        self._last_change = time.monotonic()
        return True


class SimPinFactory(MockFactory):  # type: ignore[misc]  # gpiozero has no types
    """Pins of a board in the simulated world.

    The world may start later than the guard (`connect_timeout_s`), and may be restarted under it: the lines
    are then claimed and driven anew, as a real board's would still be driven.

    Raises:
        WorldUnreachableError: nobody listens on the socket within the time.
    """

    def __init__(self, socket_path: Path, *, connect_timeout_s: float = CONNECT_TIMEOUT_S) -> None:
        super().__init__(pin_class=SimPin)
        self._path = socket_path
        self._lock = threading.RLock()
        self._answered = threading.Condition()
        self._awaited: int | None = None
        self._is_closed = False
        self._is_gone = False
        self._socket = self._connect(connect_timeout_s)
        self._reader = threading.Thread(target=self._read_for_ever, name="sim-gpio", daemon=True)
        self._reader.start()

    def close(self) -> None:
        """Close the connection; to the world this is the guard's death."""
        if self._is_closed:
            return
        self._is_closed = True
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        if threading.current_thread() is not self._reader:
            self._reader.join(timeout=ANSWER_TIMEOUT_S)
        self._socket.close()
        super().close()

    def claim(self, pin: SimPin, *, is_output: bool) -> None:
        """Take a line and wait until its present level is known; a lost world is waited for in vain, once."""
        number = _number(pin)
        with self._answered:
            self._awaited = number
            self._send(Claim(number, is_output).line())
            if not self._answered.wait_for(lambda: self._awaited is None, ANSWER_TIMEOUT_S):
                self._awaited = None
                log.error("the simulated world does not answer for line %d", number)

    def send_level(self, pin: SimPin) -> None:
        """Tell the world how an output is driven."""
        self._send(SetLevel(_number(pin), bool(pin.state)).line())

    def _send(self, line: bytes) -> None:
        try:
            with self._lock:
                self._socket.sendall(line)
        except OSError:
            # The reader finds the same and reconnects, then drives every output anew.
            self._tell_gone()

    def _tell_gone(self) -> None:
        """Say it once for each outage, whoever finds it first."""
        with self._lock:
            if not self._is_gone:
                self._is_gone = True
                log.error("%s: the simulated world is gone; waiting for it", self._path)

    def _connect(self, timeout_s: float) -> socket.socket:
        deadline_s = time.monotonic() + timeout_s
        while True:
            candidate = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            # A world that is stopped must not stop the guard as well.
            candidate.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _SEND_TIMEOUT)
            try:
                candidate.connect(str(self._path))
            except OSError as error:
                candidate.close()
                if time.monotonic() >= deadline_s:
                    msg = f"{self._path}: the simulated world does not answer: {error.strerror or error}"
                    raise WorldUnreachableError(msg) from error
                time.sleep(_RETRY_S)
            else:
                return candidate

    def _read_for_ever(self) -> None:
        while not self._is_closed:
            buffer = b""
            while data := self._receive():
                *lines, buffer = (buffer + data).split(b"\n")
                for line in lines:
                    self._take(line)
            if not self._is_closed:
                self._reconnect()

    def _receive(self) -> bytes:
        try:
            return self._socket.recv(4096)
        except OSError:
            return b""

    def _reconnect(self) -> None:
        self._tell_gone()
        while not self._is_closed:
            try:
                fresh = self._connect(1.0)
            except WorldUnreachableError:
                continue
            with self._lock:
                self._socket.close()
                self._socket = fresh
                self._is_gone = False
            for pin in self.pins.values():
                is_output = pin.function == "output"
                self._send(Claim(_number(pin), is_output).line())
                if is_output:
                    self.send_level(pin)
            log.warning("%s: the simulated world is back", self._path)
            return

    def _take(self, line: bytes) -> None:
        try:
            command = read_command(line)
        except ProtocolError as error:
            log.warning("from the simulated world: %s", error)
            return
        if not isinstance(command, Level):
            log.warning("the simulated world sent %s", command)
            return
        pin = next((pin for pin in self.pins.values() if _number(pin) == command.pin), None)
        if pin is not None and (pin.function == "input" or self._awaited == command.pin):
            self._follow(pin, command.is_high)
        with self._answered:
            if self._awaited == command.pin:
                self._awaited = None
                self._answered.notify_all()

    def _follow(self, pin: SimPin, is_high: bool) -> None:
        try:
            pin.follow(is_high)
        except Exception:
            # A callback that raises must not end the thread all other lines depend on.
            log.exception("a callback of line %s failed", pin)


def _number(pin: SimPin) -> int:
    return int(pin.info.name[4:])
