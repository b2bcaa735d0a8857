"""The finest clock there is: a stand-in for the world, one thread, no physics but the co-processor's own.

Towards guard and agent it is the simulated board: the GPIO text protocol, and the byte-level co-processor on a
pty. Every stamp is CLOCK_MONOTONIC, taken right before a write or right after a read. `bench.echo` is connected
to a second line socket and a second pty and is measured in turn with the guard.
"""

import json
import os
import selectors
import sys
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from bench import echo
from bench.wires import Car, LineServer
from evcharge_hal.boards.loader import build_board
from evcharge_hal.contract.pilot import PilotState, ResetCause
from evcharge_hal.link.frames import Control, FrameDecoder, Status
from evcharge_hal.sim.coprocessor import Coprocessor
from evcharge_hal.sim.serial_pty import SerialPty

ANSWER_WITHIN_S = 2.0
STATUS_BYTES = bytes(56)
Values = list[float | None]


class StandIn:
    """The board's far side and the stop-watch."""

    def __init__(self, folder: Path) -> None:
        self._selector = selectors.DefaultSelector()
        self._marks: dict[str, float] = {}
        self._pins = {section.id: section.pins for section in build_board({}, folder).connector}
        self._relays = dict.fromkeys(self._pins, False)
        self._states = dict.fromkeys(self._pins, PilotState.A)
        self._limits: deque[tuple[float, int, int]] = deque(maxlen=5000)
        self._pty = SerialPty(folder / "pilot")
        self._echo_pty = SerialPty(folder / echo.PILOT)
        self.gpio = LineServer(folder / "gpio.sock", self._selector, self._on_set)
        self.echo_gpio = LineServer(folder / echo.GPIO_SOCKET, self._selector, self._on_echo_set)
        self._cars = {number: Car(number, self._mark) for number in self._pins}
        self._advanced_s = time.monotonic()
        self._coprocessor = Coprocessor(
            self._cars, uid=0xBE, boot_count=1, reset_cause=ResetCause.POWER_ON, now_s=self._advanced_s
        )
        self._from_guard, self._to_guard = FrameDecoder(), FrameDecoder()
        self._requests: deque[bytes] = deque()
        self._is_over = False
        for descriptor, handle in (
            (self._pty.fileno, self._read_pilot),
            (self._echo_pty.fileno, self._read_echo),
            (sys.stdin.fileno(), self._read_request),
        ):
            self._selector.register(descriptor, selectors.EVENT_READ, handle)

    def run(self) -> None:
        """Do what stdin says until it ends."""
        while True:
            self._pump(lambda: bool(self._requests) or self._is_over, 3600.0)
            if self._is_over:
                return
            request = json.loads(self._requests.popleft())
            answer = getattr(self, "do_" + request.pop("do"))(**request)
            sys.stdout.write(json.dumps(answer) + "\n")
            sys.stdout.flush()

    # --- what can be asked ------------------------------------------------------------------------------------

    def do_health(self) -> dict[str, Any]:
        """Who is there and what is closed."""
        return {
            "guard": self.gpio.is_connected,
            "echo": self.echo_gpio.is_connected,
            "closed": [number for number in self._cars if self._is_closed(number)],
            "limits_ma": {number: self._limit_ma(number) for number in self._cars},
        }

    def do_plug(self, connector: int, is_plugged: bool) -> bool:
        """A car comes or goes; a short circuit goes with it."""
        self._cars[connector].is_plugged = is_plugged
        self._cars[connector].is_shorted = False
        return True

    def do_edges(self, connector: int, count: int, gap_s: float) -> dict[str, Values]:
        """RCM edge -> relay-off line, and the echo of the same edge, in turn."""
        real: Values = []
        bare: Values = []
        for index in range(count):
            # Gaps of different length, so that nothing keeps step with the 10 Hz of the link.
            pause_s = gap_s * (0.5 + index * 0.618 % 1.0)
            real.append(self._edge(self.gpio, connector, f"relay_off_{connector}", pause_s))
            bare.append(self._edge(self.echo_gpio, connector, "echo_edge", pause_s))
        return {"real": real, "echo": bare}

    def do_trip(self, connector: int) -> dict[str, float | None]:
        """An RCM edge under a closed contactor."""
        relay, permit = f"relay_off_{connector}", f"permit_off_{connector}"
        self._marks.clear()
        began_s = time.monotonic()
        self.gpio.level(self._rcm(connector), True)
        self._pump_for(relay, permit)
        found = {"relay": self._since(relay, began_s), "permit": self._since(permit, began_s)}
        self._rest(0.05)
        self.gpio.level(self._rcm(connector), False)
        return found

    def do_short(self, connector: int) -> dict[str, float | None]:
        """Pilot to earth under a closed contactor; the echo is a frame of the same length on the pty."""
        relay, permit, status = (f"{what}_{connector}" for what in ("relay_off", "permit_off", "status_E"))
        self._marks.clear()
        began_s = time.monotonic()
        self._cars[connector].is_shorted = True
        self._pump_for(relay, permit, status)
        return {
            "permit": self._since(permit, began_s),
            "relay": self._since(relay, began_s),
            "guard": self._since(relay, self._marks.get(status)),
            "echo": self._echo_frame(),
        }

    def do_plugs(self, count: int) -> dict[str, Values]:
        """STATUS(B) -> relay line driven off by the loop, at plug-ins; the same code drives it at a trip."""
        real: Values = []
        bare: Values = []
        for index in range(count):
            connector = 1 + index % len(self._cars)
            status, relay = f"status_B_{connector}", f"relay_off_{connector}"
            self.do_plug(connector, is_plugged=False)
            self._pump(partial(self._is_in, connector, PilotState.A), ANSWER_WITHIN_S)
            self._rest(0.05 + 0.1 * (index * 0.618 % 1.0))
            self._marks.clear()
            self.do_plug(connector, is_plugged=True)
            self._pump_for(status)
            self._pump_for(relay)
            real.append(self._since(relay, self._marks.get(status)))
            self._rest(0.15)  # the self-test the plug-in began
            bare.append(self._echo_frame())
        for connector in self._cars:
            self.do_plug(connector, is_plugged=False)
        return {"real": real, "echo": bare}

    def do_limit(self, connector: int, limit_ma: int) -> float | None:
        """When the co-processor was told this limit or a lower one; None when it was not within 2 s."""

        def find() -> float | None:
            found = (at_s for at_s, number, told in self._limits if number == connector and told <= limit_ma)
            return next(found, None)

        self._pump(lambda: find() is not None, ANSWER_WITHIN_S)
        return find()

    def do_forget(self) -> bool:
        """Forget limits and marks."""
        self._limits.clear()
        self._marks.clear()
        return True

    def do_mark(self, name: str, within_s: float) -> float | None:
        """Wait for a mark; return its time."""
        self._pump(lambda: name in self._marks, within_s)
        return self._marks.get(name)

    # --- measuring --------------------------------------------------------------------------------------------

    def _edge(self, server: LineServer, connector: int, mark: str, pause_s: float) -> float | None:
        self._marks.pop(mark, None)
        began_s = time.monotonic()
        server.level(self._rcm(connector), True)
        self._pump_for(mark)
        found = self._since(mark, began_s)
        server.level(self._rcm(connector), False)
        self._rest(pause_s)
        return found

    def _echo_frame(self) -> float | None:
        self._marks.pop("echo_frame", None)
        began_s = time.monotonic()
        self._echo_pty.write(STATUS_BYTES)
        self._pump_for("echo_frame")
        return self._since("echo_frame", began_s)

    def _since(self, mark: str, began_s: float | None) -> float | None:
        ended_s = self._marks.get(mark)
        return None if ended_s is None or began_s is None else ended_s - began_s

    def _mark(self, name: str, at_s: float) -> None:
        self._marks.setdefault(name, at_s)

    # --- the loop ---------------------------------------------------------------------------------------------

    def _pump_for(self, *marks: str) -> None:
        self._pump(lambda: all(mark in self._marks for mark in marks), ANSWER_WITHIN_S)

    def _rest(self, duration_s: float) -> None:
        self._pump(lambda: False, duration_s)

    def _pump(self, is_done: Callable[[], bool], within_s: float) -> None:
        end_s = time.monotonic() + within_s
        while not is_done():
            now_s = time.monotonic()
            if now_s >= end_s:
                return
            due_s = self._coprocessor.next_deadline_s(self._advanced_s)
            for key, _ in self._selector.select(max(0.0, min(due_s, end_s) - now_s)):
                key.data()
            now_s = time.monotonic()
            if now_s >= due_s:
                self._advanced_s = now_s
                self._coprocessor.advance(now_s)
                self._tell(now_s)

    def _read_request(self) -> None:
        data = os.read(sys.stdin.fileno(), 65536)
        self._is_over = not data
        self._requests.extend(line for line in data.split(b"\n") if line)

    def _read_pilot(self) -> None:
        data = self._pty.read()
        now_s = time.monotonic()
        for frame in self._from_guard.feed(data):
            if isinstance(frame, Control):
                self._mark("control", now_s)
                self._limits.append((now_s, frame.connector, frame.limit_ma))
        self._coprocessor.receive(data, now_s)
        self._tell(now_s)

    def _read_echo(self) -> None:
        if self._echo_pty.read():
            self._mark("echo_duty", time.monotonic())

    def _tell(self, now_s: float) -> None:
        """Mirror contacts first, then what the co-processor says."""
        for number in self._cars:
            self._tell_contact(number)
        data = self._coprocessor.take_output()
        if not data:
            return
        for frame in self._to_guard.feed(data):
            if isinstance(frame, Status) and frame.state is not self._states[frame.connector]:
                self._states[frame.connector] = frame.state
                # What the relay line did before this frame is not its consequence.
                self._marks.pop(f"relay_off_{frame.connector}", None)
                self._mark(f"status_{frame.state.value}_{frame.connector}", now_s)
        self._pty.write(data)

    def _tell_contact(self, number: int) -> None:
        pin = self._pins[number].feedback
        if pin is not None:
            self.gpio.level(pin, self._is_closed(number))

    def _is_in(self, number: int, state: PilotState) -> bool:
        return self._states[number] is state

    def _is_closed(self, number: int) -> bool:
        return self._relays[number] and self._cars[number].is_permitted

    def _limit_ma(self, number: int) -> int:
        return next((told for _, at, told in reversed(self._limits) if at == number), 0)

    def _rcm(self, connector: int) -> int:
        pin = self._pins[connector].rcm
        if pin is None:
            raise ValueError(f"connector {connector} has no RCM line")
        return pin

    def _on_set(self, pin: int, is_high: bool, now_s: float) -> None:
        for number, pins in self._pins.items():
            if pin == pins.relay:
                self._relays[number] = is_high
                if not is_high:
                    self._mark(f"relay_off_{number}", now_s)
                self._tell_contact(number)
            elif pin == pins.rcm_test:
                self.gpio.level(self._rcm(number), is_high)

    def _on_echo_set(self, pin: int, is_high: bool, now_s: float) -> None:
        del is_high
        self._mark("echo_frame" if pin == self._pins[2].relay else "echo_edge", now_s)


if __name__ == "__main__":
    StandIn(Path(sys.argv[1])).run()
