"""The guard's core in a closed loop with the real link driver, the fake co-processor and the plant.

Bytes go both ways, volts and contacts are the plant's, time is virtual. The guard can be stopped, killed and
started again; what its GPIO does then is a choice, because Raspberry Pi kernels keep a line as it was.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from evcharge_hal.boards.board import Board
from evcharge_hal.contract.channel import ClearFault, SetPoint
from evcharge_hal.contract.faults import FaultCode
from evcharge_hal.contract.pilot import LinkEvent, LinkNoticed, PilotOutput, ResetCause
from evcharge_hal.contract.units import Amps
from evcharge_hal.guard import core
from evcharge_hal.guard.effects import ClearCoprocessorLatch, Drive, Remember
from evcharge_hal.guard.events import GuardInput, LinesRead, TimePassed
from evcharge_hal.guard.state import GuardState
from evcharge_hal.link.native import NativeLink
from evcharge_hal.sim.coprocessor import Coprocessor
from evcharge_hal.sim.plant.memory import PlantMemory
from evcharge_hal.sim.plant.plant import Plant
from tests.support.guard_world import Moment, Step, Watcher

LINES_EVERY_S = 0.1
AGENT_EVERY_S = 1.0
PORT_BYTES = 4096
"""What a serial port keeps for a reader that is away."""


@dataclass(slots=True)
class Process:
    """The guard's process: the core's state and the link driver. Killing it loses both."""

    state: GuardState
    link: NativeLink
    drives: dict[int, Drive] = field(default_factory=dict)


@dataclass(slots=True)
class PlantWorld:
    """World, guard and a plain agent. `watch` is called after every instant with this world."""

    board: Board
    step: Step = core.step
    watchers: Sequence[Watcher] = ()
    watch: Callable[["PlantWorld"], None] | None = None
    coprocessor_type: type[Coprocessor] = Coprocessor
    now_s: float = 50.0
    keeps_gpio: bool = True
    """A line stays as it was when the process dies; else it falls to its pull-down."""
    is_stopped: bool = False
    memory: Remember = field(default_factory=lambda: Remember({}, {}))
    wishes: dict[int, SetPoint] = field(default_factory=dict)
    is_agent_silent: bool = False
    guard: Process | None = None
    plant: Plant = field(init=False)
    coprocessor: Coprocessor = field(init=False)
    _port: bytearray = field(default_factory=bytearray)
    _lines: dict[int, tuple[bool, bool]] = field(default_factory=dict)
    _lines_s: float = 0.0
    _lines_said_s: float = -math.inf
    _agent_s: float = 0.0
    _requests: int = 0

    def __post_init__(self) -> None:
        """Power the board and start the guard."""
        self.plant = Plant(self.board, 230.0, PlantMemory())
        self.coprocessor = self.coprocessor_type(
            self.plant.connectors, uid=0xA1, boot_count=3, reset_cause=ResetCause.POWER_ON, now_s=self.now_s
        )
        self._lines_s = self._agent_s = self.now_s
        self.start_guard()

    # --- the guard's process --------------------------------------------------------------------------------

    def start_guard(self) -> None:
        """Start a guard with what the state file holds; it opens the relays first, as the shell does."""
        for connector in self.plant.connectors.values():
            connector.set_relay(False)
            connector.residual.is_test_driven = False
        state = core.start(self.board, self.memory, self.now_s)
        self.guard = Process(state, NativeLink(tuple(self.plant.connectors)))
        self._port.clear()
        self._lines.clear()
        for watcher in self.watchers:
            watcher.restart()
        self._feed(TimePassed())

    def kill_guard(self) -> None:
        """SIGKILL: nothing is said any more; lines keep their level or fall."""
        self.guard = None
        if not self.keeps_gpio:
            for connector in self.plant.connectors.values():
                connector.set_relay(False)
                connector.residual.is_test_driven = False

    # --- time -----------------------------------------------------------------------------------------------

    def run(self, seconds: float) -> None:
        """Let time pass, never over a deadline of anybody."""
        end_s = self.now_s + seconds
        self._turn()
        while self.now_s < end_s - 1e-9:
            dues_s = [end_s, self.coprocessor.next_deadline_s(self.now_s), self.now_s + self.plant.next_step_s()]
            if self.guard is not None and not self.is_stopped:
                dues_s += [
                    core.next_deadline_s(self.guard.state, self.now_s),
                    self.guard.link.next_deadline_s(),
                    self._lines_s,
                    self._agent_s,
                ]
            # A millisecond is the finest turn; a deadline in the past is due now.
            next_s = min(end_s, max(min(dues_s), self.now_s + 0.001))
            while self.now_s < next_s - 1e-9:
                dt_s = min(next_s - self.now_s, self.plant.next_step_s())
                self.plant.step(dt_s)
                self.now_s += dt_s
            self._turn()
            if self.watch is not None:
                self.watch(self)

    def _turn(self) -> None:
        self.coprocessor.advance(self.now_s)
        self._port += self._carry_up(self.coprocessor.take_output())
        del self._port[:-PORT_BYTES]
        if self.guard is None or self.is_stopped:
            return
        data = bytes(self._port)
        self._port.clear()
        if data:
            self._take(self.guard.link.receive(data, self.now_s))
        self._take(self.guard.link.advance(self.now_s))
        self._read_lines()
        if self.now_s >= self._agent_s:
            self._agent_s = self.now_s + AGENT_EVERY_S
            self.speak()
        if self.now_s >= core.next_deadline_s(self.guard.state, self.now_s):
            self._feed(TimePassed())
        out = self._carry_down(self.guard.link.outgoing())
        if out:
            self.coprocessor.receive(out, self.now_s)

    def _carry_up(self, data: bytes) -> bytes:
        """What the line makes of the co-processor's bytes."""
        return data

    def _carry_down(self, data: bytes) -> bytes:
        """What the line makes of the guard's bytes."""
        return data

    def _take(self, events: Sequence[LinkEvent]) -> None:
        for event in events:
            if not isinstance(event, LinkNoticed):
                self._feed(event)

    def _read_lines(self) -> None:
        is_due = self.now_s >= self._lines_said_s + AGENT_EVERY_S
        if self.now_s >= self._lines_s:
            self._lines_s = self.now_s + LINES_EVERY_S
        for number, connector in self.plant.connectors.items():
            lines = (connector.contactor.is_closed, connector.residual.is_tripped)
            if is_due or self._lines.get(number) != lines:
                self._lines[number] = lines
                self._feed(LinesRead(number, *lines))
        if is_due:
            self._lines_said_s = self.now_s

    def _feed(self, event: GuardInput) -> None:
        assert self.guard is not None
        before: Mapping[int, Drive] = dict(self.guard.drives)
        self.guard.state, effects = self.step(self.guard.state, event, self.now_s)
        for effect in effects:
            if isinstance(effect, Drive):
                self._drive(effect)
            elif isinstance(effect, Remember):
                self.memory = effect
            elif isinstance(effect, ClearCoprocessorLatch):
                self.guard.link.clear_latch(effect.connector)
        moment = Moment(self.now_s, event, effects, before, dict(self.guard.drives))
        for watcher in self.watchers:
            watcher(moment)

    def _drive(self, drive: Drive) -> None:
        assert self.guard is not None
        connector = self.plant.connectors[drive.connector]
        self.guard.drives[drive.connector] = drive
        connector.set_relay(drive.is_relay_closed)
        connector.residual.is_test_driven = drive.is_rcm_test_active
        self.guard.link.command(drive.pilot, self.now_s)

    # --- what people do -------------------------------------------------------------------------------------

    def wish(self, number: int = 1, offer_a: float = 16.0, *, permission: bool = True) -> None:
        """What the agent repeats every second."""
        self.wishes[number] = SetPoint(connector=number, plug_id=None, offer_a=Amps(offer_a), permission=permission)
        self.speak()

    def speak(self) -> None:
        """The agent states its wishes, for what is plugged in by the guard's own word."""
        if self.guard is None or self.is_stopped or self.is_agent_silent:
            return
        for number, wish in self.wishes.items():
            plug_id = core.status(self.guard.state, self.now_s).connectors[number - 1].plug_id
            self._feed(SetPoint(wish.connector, plug_id, wish.offer_a, wish.permission, on_lapse_a=wish.on_lapse_a))

    def clear(self, code: FaultCode, number: int = 1) -> None:
        """A person acknowledges."""
        self._requests += 1
        self._feed(ClearFault(self._requests, number, code))

    def charge(self, number: int = 1, *, within_s: float = 25.0) -> None:
        """Plug a car in and wait until it draws current."""
        self.run(0.5)
        self.plant.connectors[number].plug(32)
        self.run(0.5)
        self.wish(number)
        end_s = self.now_s + within_s
        while self.now_s < end_s and self.plant.connectors[number].current_a.l1 < 6.0:
            self.run(0.25)
        assert self.plant.connectors[number].current_a.l1 >= 6.0, self.explain()

    def explain(self) -> str:
        """What the guard says, for a failing test."""
        return "no guard" if self.guard is None else str(core.status(self.guard.state, self.now_s))

    def has_pwm(self, number: int = 1) -> bool:
        """Whether the car sees PWM."""
        return self.plant.connectors[number].output is PilotOutput.X2

    def is_live(self, number: int = 1) -> bool:
        """Whether the main contacts are closed."""
        return self.plant.connectors[number].contactor.is_closed
