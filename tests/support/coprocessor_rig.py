"""The fake co-processor on a bench, its host played by hand: frames are written one by one, right or wrong."""

from collections.abc import Callable
from dataclasses import replace

from evcharge_hal.contract.pilot import PilotOutput, ResetCause
from evcharge_hal.link.frames import (
    BadFrame,
    Control,
    Event,
    Frame,
    FrameDecoder,
    Hello,
    OpenReason,
    Request,
    RequestKind,
    Status,
    encode,
)
from evcharge_hal.sim.coprocessor import Coprocessor
from evcharge_hal.sim.coprocessor_connector import CoprocessorConnector
from tests.support.pilot_bench import CONNECTED_V, NO_CAR_V, READY_V, UID, FakeCircuit

IDLE = Control(1, PilotOutput.X1, 0, False, False, 3, 0, 1000)
CHARGE = replace(IDLE, mode=PilotOutput.X2, limit_ma=16_000, is_permitted=True)
ConnectorType = type[CoprocessorConnector]


class Rig:
    """A co-processor on a bench, its host played by hand: the last set-point is repeated every 100 ms."""

    def __init__(
        self, connector_type: ConnectorType = CoprocessorConnector, *, high_v: float = NO_CAR_V, max_a: float = 32.0
    ) -> None:
        made = type("Made", (Coprocessor,), {"connector_type": connector_type})
        self.now_s = 10.0
        self.circuit = FakeCircuit(high_v=high_v)
        self.mcu: Coprocessor = made(
            {1: self.circuit}, uid=UID, boot_count=3, reset_cause=ResetCause.POWER_ON, now_s=self.now_s, max_a=max_a
        )
        self.decoder = FrameDecoder()
        self.heard: list[Frame] = []
        self.control: Control | None = None
        self.seq = 0
        self.said_s = 0.0

    def send(self, *frames: Frame) -> None:
        for frame in frames:
            self.seq = self.seq % 255 + 1
            self.mcu.receive(encode(replace(frame, seq=self.seq)), self.now_s)
        self._listen()

    def say(self, control: Control) -> None:
        """Send a set-point and repeat it from now on."""
        self.control, self.said_s = control, self.now_s
        self.send(control)

    def fall_silent(self) -> None:
        self.control = None

    def run(self, duration_s: float, until: Callable[[], bool] = lambda: False, step_s: float = 0.01) -> float:
        """Let time pass until `until` holds; returns how much did."""
        began_s = self.now_s
        for _ in range(round(duration_s / step_s)):
            if until():
                break
            self.now_s += step_s
            self.mcu.advance(self.now_s)
            if self.control is not None and self.now_s - self.said_s >= 0.0999:
                self.say(self.control)
            self._listen()
        return self.now_s - began_s

    def greet(self) -> None:
        self.send(Hello(1, 1, 77))

    def charge(self, control: Control = CHARGE) -> None:
        """From whatever is there to C2 with a closed permit, with all the edges it takes."""
        self.greet()
        self.say(IDLE)
        self.circuit.high_v = CONNECTED_V
        self.run(0.5)
        self.say(control)
        self.run(0.2)
        self.circuit.high_v = READY_V
        self.run(0.5)
        assert self.circuit.is_permitted, "the rig must be able to charge"

    def opened_within(self, limit_s: float) -> bool:
        """Whether the permit opens in time."""
        self.run(limit_s, lambda: not self.circuit.is_permitted)
        return not self.circuit.is_permitted

    def of(self, kind: type) -> list[Frame]:
        return [frame for frame in self.heard if isinstance(frame, kind)]

    @property
    def status(self) -> Status:
        last = self.of(Status)[-1]
        assert isinstance(last, Status)
        return last

    @property
    def opening(self) -> OpenReason:
        """Why the permit was opened last."""
        self.run(1.5)
        openings = [event for event in self.of(Event) if isinstance(event, Event) and event.code == 2]
        assert isinstance(openings[-1], Event)
        return OpenReason(openings[-1].detail)

    def _listen(self) -> None:
        for frame in self.decoder.feed(self.mcu.take_output()):
            assert not isinstance(frame, BadFrame), frame
            self.heard.append(frame)
            if isinstance(frame, Event):
                self.seq = self.seq % 255 + 1
                request = Request(1, RequestKind.SELF_TEST, 99, seq=self.seq, ack=frame.number)
                self.mcu.receive(encode(request), self.now_s)
