"""What hangs on the stand-in's board: two cars on their pilot wires, and the line sockets."""

import contextlib
import selectors
import socket
import time
from collections.abc import Callable
from pathlib import Path

from evcharge_hal.contract.errors import ProtocolError
from evcharge_hal.contract.pilot import PilotOutput
from evcharge_hal.sim.circuit import PilotVoltages
from evcharge_hal.sim.gpio_lines import Claim, Level, SetLevel, read_command

Mark = Callable[[str, float], None]


class Car:
    """A `PilotCircuit` with a car that asks for energy as soon as it sees PWM, and lets go as soon as it is gone."""

    def __init__(self, connector: int, mark: Mark) -> None:
        self._connector = connector
        self._mark = mark
        self.is_plugged = False
        self.is_shorted = False
        self.is_permitted = False
        self._output = PilotOutput.X1

    def drive(self, output: PilotOutput, duty: float) -> None:
        """Note when the PWM goes."""
        del duty
        if self._output is PilotOutput.X2 and output is not PilotOutput.X2:
            self._mark(f"pwm_off_{self._connector}", time.monotonic())
        self._output = output

    def read_pilot(self) -> PilotVoltages:
        """+12, +9 or +6 V, or nothing while it is shorted."""
        if self.is_shorted or self._output is PilotOutput.E:
            return PilotVoltages(0.0, 0.0)
        if self._output is PilotOutput.F:
            return PilotVoltages(-12.0, -12.0)
        is_pwm = self._output is PilotOutput.X2
        high_v = 12.0 if not self.is_plugged else 6.0 if is_pwm else 9.0
        return PilotVoltages(high_v, -12.0 if is_pwm else high_v)

    def read_proximity_ohm(self) -> float | None:
        """A 32 A cable, which the car takes along."""
        return 220.0 if self.is_plugged else None

    def set_permit(self, is_permitted: bool) -> None:
        """Note when the permit falls."""
        if self.is_permitted and not is_permitted:
            self._mark(f"permit_off_{self._connector}", time.monotonic())
        self.is_permitted = is_permitted

    def set_locked(self, is_locked: bool) -> None:
        """There is no lock."""

    def read_locked(self) -> bool:
        return False

    def read_temperature_c(self) -> float | None:
        """A cool board."""
        return 30.0


class LineServer:
    """The world's end of the GPIO text protocol, for one guard at a time."""

    def __init__(
        self, path: Path, selector: selectors.BaseSelector, on_set: Callable[[int, bool, float], None]
    ) -> None:
        self._selector = selector
        self._on_set = on_set
        self._levels: dict[int, bool] = {}
        self._guard: socket.socket | None = None
        self._rest = b""
        self._door = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._door.bind(str(path))
        self._door.listen()
        selector.register(self._door, selectors.EVENT_READ, self._accept)

    @property
    def is_connected(self) -> bool:
        """A guard holds the lines."""
        return self._guard is not None

    def level(self, pin: int, is_high: bool) -> None:
        """Move an input of the board."""
        if self._levels.get(pin, False) != is_high:
            self._levels[pin] = is_high
            self._send(Level(pin, is_high).line())

    def _send(self, line: bytes) -> None:
        if self._guard is not None:
            with contextlib.suppress(OSError):  # a guard that was killed is found by reading
                self._guard.sendall(line)

    def _accept(self) -> None:
        guard, _address = self._door.accept()
        self._lose()
        self._guard, self._rest = guard, b""
        self._selector.register(guard, selectors.EVENT_READ, self._read)

    def _lose(self) -> None:
        if self._guard is not None:
            self._selector.unregister(self._guard)
            self._guard.close()
            self._guard = None

    def _read(self) -> None:
        if self._guard is None:
            return
        try:
            data = self._guard.recv(4096)
        except OSError:
            data = b""
        now_s = time.monotonic()
        if not data:
            self._lose()
            return
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            with contextlib.suppress(ProtocolError):
                self._take(line, now_s)

    def _take(self, line: bytes, now_s: float) -> None:
        command = read_command(line)
        if isinstance(command, Claim):
            self._send(Level(command.pin, self._levels.get(command.pin, False)).line())
        elif isinstance(command, SetLevel):
            self._levels[command.pin] = command.is_high
            self._on_set(command.pin, command.is_high, now_s)
