"""A car on wires, and a bench that lets a pilot link driver and the fake co-processor talk over bytes in memory.

`FakeCircuit` has volts and nothing else: no battery, no contactor. Time is passed in and moves in small steps.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from evcharge_hal.contract.pilot import LinkEvent, PilotCommand, PilotOutput, PilotReport, ResetCause
from evcharge_hal.contract.units import Amps
from evcharge_hal.link.native import NativeLink
from evcharge_hal.sim.circuit import PilotVoltages
from evcharge_hal.sim.coprocessor import Coprocessor

NO_CAR_V, CONNECTED_V, READY_V, VENTILATION_V, SHORT_V = 12.0, 9.0, 6.0, 3.0, 0.0
UID = 0x00112233445566AA


@dataclass(slots=True)
class FakeCircuit:
    """One connector's wires; `high_v` is what the car makes of +12 V."""

    high_v: float = NO_CAR_V
    low_v: float = -12.0
    """The negative half-wave under PWM; about -`high_v` with a car that has no diode."""
    pp_ohm: float | None = None
    temperature_c: float | None = 25.0
    output: PilotOutput | None = None
    duty: float = 0.0
    is_permitted: bool | None = None
    is_locked: bool | None = None
    permits: list[bool] = field(default_factory=list)
    """Every change of the permit, in order."""

    def drive(self, output: PilotOutput, duty: float) -> None:
        self.output, self.duty = output, duty

    def read_pilot(self) -> PilotVoltages:
        if self.output is PilotOutput.F:
            return PilotVoltages(-12.0, -12.0)
        if self.output is PilotOutput.E:
            return PilotVoltages(0.0, 0.0)
        return PilotVoltages(self.high_v, self.low_v if self.output is PilotOutput.X2 else self.high_v)

    def read_proximity_ohm(self) -> float | None:
        return self.pp_ohm

    def set_permit(self, is_permitted: bool) -> None:
        self.is_permitted = is_permitted
        self.permits.append(is_permitted)

    def set_locked(self, is_locked: bool) -> None:
        self.is_locked = is_locked

    def read_locked(self) -> bool:
        return bool(self.is_locked)

    def read_temperature_c(self) -> float | None:
        return self.temperature_c


def command(
    output: PilotOutput = PilotOutput.X1, limit_a: float = 0.0, *, permit: bool = False, connector: int = 1
) -> PilotCommand:
    """A set-point with the usual rest."""
    return PilotCommand(connector, output, Amps(limit_a), permit)


class Bench:
    """Driver and co-processor with a line between them that can be bent."""

    def __init__(
        self,
        connectors: tuple[int, ...] = (1,),
        *,
        step_s: float = 0.01,
        coprocessor_type: type[Coprocessor] = Coprocessor,
        max_a: float = 32.0,
    ) -> None:
        self.now_s = 100.0
        self.step_s = step_s
        self.circuits = {number: FakeCircuit() for number in connectors}
        self.coprocessor = coprocessor_type(
            self.circuits,
            uid=UID,
            boot_count=7,
            reset_cause=ResetCause.POWER_ON,
            now_s=self.now_s,
            max_a=max_a,
        )
        self.host = NativeLink(connectors)
        self.is_host_alive = True
        self.bend: Callable[[bytes], Iterable[bytes]] = lambda data: (data,)
        """What the line does to bytes on their way, in both directions."""
        self.events: list[LinkEvent] = []
        self.sent: list[tuple[float, bytes]] = []
        """What the host wrote, and when."""

    @property
    def circuit(self) -> FakeCircuit:
        return self.circuits[1]

    @property
    def report(self) -> PilotReport:
        """The last report of connector 1."""
        return self.reports()[-1]

    def reports(self, connector: int = 1) -> list[PilotReport]:
        return [event for event in self.events if isinstance(event, PilotReport) and event.connector == connector]

    def facts(self) -> list[LinkEvent]:
        """Everything but reports."""
        return [event for event in self.events if not isinstance(event, PilotReport)]

    def command(self, wish: PilotCommand) -> None:
        self.host.command(wish, self.now_s)
        self._carry()

    def run(self, duration_s: float, until: Callable[[], bool] = lambda: False) -> float:
        """Let time pass until `until` holds; returns how much did."""
        began_s = self.now_s
        steps = round(duration_s / self.step_s)
        for _ in range(steps):
            if until():
                break
            self.now_s += self.step_s
            self.coprocessor.advance(self.now_s)
            if self.is_host_alive:
                self.events += self.host.advance(self.now_s)
            self._carry()
        return self.now_s - began_s

    def charge(self, limit_a: float = 16.0) -> None:
        """Plug in a car and bring it to C2 with a closed permit."""
        self.command(command())
        self.run(0.2)
        self.circuit.high_v = CONNECTED_V
        self.run(0.4)
        self.command(command(PilotOutput.X2, limit_a, permit=True))
        self.run(0.2)
        self.circuit.high_v = READY_V
        self.run(0.5)
        assert self.circuit.is_permitted, "the bench itself must be able to charge"

    def _carry(self) -> None:
        for _ in range(3):  # an answer to an answer to what is said now
            if self.is_host_alive:
                data = self.host.outgoing()
                if data:
                    self.sent.append((self.now_s, data))
                for piece in self.bend(data):
                    self.coprocessor.receive(piece, self.now_s)
            data = self.coprocessor.take_output()
            if self.is_host_alive and data:
                for piece in self.bend(data):
                    self.events += self.host.receive(piece, self.now_s)
