"""A small, quick world around the guard's core: reports every 100 ms, contacts, a car, an agent; all of it may lie.

It stands in for co-processor, contactor and agent at the level of the core's inputs, so that thousands of
seconds cost little. The byte-level link, the fake co-processor and the plant are in `tests.support.guard_plant`.
Time is passed in; nothing sleeps.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from evcharge_hal.boards.board import (
    Board,
    BoardSection,
    Cable,
    ConnectorPins,
    ConnectorSection,
    LinkSection,
    Lock,
    Thresholds,
)
from evcharge_hal.contract.channel import ClearFault, RaiseFault, SetPoint, Unlock
from evcharge_hal.contract.faults import FaultCode
from evcharge_hal.contract.pilot import (
    CoprocessorFault,
    CoprocessorIdentity,
    LinkDown,
    LinkUp,
    PilotOutput,
    PilotReport,
    PilotState,
    ResetCause,
)
from evcharge_hal.contract.units import Amps, Celsius, Seconds
from evcharge_hal.guard import core
from evcharge_hal.guard.effects import ClearCoprocessorLatch, Drive, GuardEffect, Record, Remember
from evcharge_hal.guard.events import GuardInput, LinesRead, TimePassed
from evcharge_hal.guard.state import GuardState

Step = Callable[[GuardState, GuardInput, float], tuple[GuardState, tuple[GuardEffect, ...]]]

UID = "00000000000000a1"
TICK_S = 0.1
AGENT_EVERY_S = 1.0
LINES_EVERY_S = 1.0
CONTACT_S = 0.02
RCM_TEST_DELAY_S = 0.24
HIGH_V = {
    PilotState.A: 12.0,
    PilotState.B: 9.0,
    PilotState.C: 6.0,
    PilotState.D: 3.0,
    PilotState.E: 0.0,
    PilotState.F: -12.0,
    PilotState.INVALID: 4.5,
}


def make_board(
    connectors: int = 1,
    *,
    supply_a: float | None = None,
    cable: Cable = Cable.SOCKET,
    has_rcm_test: bool = True,
    max_a: float = 32.0,
    lock: Lock = Lock.NONE,
) -> Board:
    """Build a board with sensible pins; `supply_a` is shared by its connectors."""
    return Board(
        board=BoardSection(name="test", supply_a=None if supply_a is None else Amps(supply_a)),
        link=LinkSection(),
        thresholds=Thresholds(),
        connector=tuple(
            ConnectorSection(
                id=number,
                pins=ConnectorPins(relay=number, feedback=10, rcm=12, rcm_test=14 if has_rcm_test else None),
                max_a=Amps(max_a),
                cable=cable,
                lock=lock,
            )
            for number in range(1, connectors + 1)
        ),
    )


@dataclass(frozen=True, slots=True)
class Moment:
    """One step of the core as seen from outside: what went in, what came out, what is driven since."""

    now_s: float
    event: GuardInput
    effects: tuple[GuardEffect, ...]
    before: Mapping[int, Drive]
    drives: Mapping[int, Drive]

    def closes(self, number: int) -> bool:
        """Whether this step closed the relay of a connector."""
        was_closed = number in self.before and self.before[number].is_relay_closed
        return self.is_closed(number) and not was_closed

    def is_closed(self, number: int) -> bool:
        """Whether the relay of a connector is driven after this step."""
        return number in self.drives and self.drives[number].is_relay_closed

    def raised(self, number: int) -> set[FaultCode]:
        """Faults recorded as raised in this step."""
        return {
            effect.fault
            for effect in self.effects
            if isinstance(effect, Record) and effect.kind.value == "fault_raised" and effect.connector == number
            if effect.fault is not None
        }


class Watcher(Protocol):
    """Sees every step of the core."""

    def __call__(self, moment: Moment) -> None:
        """One step is done."""
        ...

    def restart(self) -> None:
        """The guard's process has ended; the next step is another one's first."""
        ...


@dataclass(slots=True)
class Spot:
    """One connector's wires, car and agent's wish."""

    number: int
    car: PilotState = PilotState.A
    wound: PilotState | None = None
    """State E, F or INVALID on the wire, whatever the car does."""
    plug_count: int = 0
    pp_ohm: float = 220.0
    has_diode: bool = True
    temperature_c: float | None = 25.0
    leaks: bool = False
    is_test_broken: bool = False
    is_lock_jammed: bool = False
    is_locked: bool = False
    rcm_release_s: float = 0.0
    """How long the monitor stays tripped after the test current."""
    released_s: float = 0.0
    is_welded: bool = False
    is_stuck_open: bool = False
    sample_age_s: float = 0.005
    is_silent: bool = False
    refuses_permit: bool = False
    active: CoprocessorFault = CoprocessorFault.NONE
    latched: CoprocessorFault = CoprocessorFault.NONE
    is_contact_closed: bool = False
    contact_due_s: float | None = None
    tested_since_s: float | None = None
    is_permitted: bool = False
    was_permit_off: bool = False
    set_point: SetPoint | None = None
    is_agent_silent: bool = False
    wish_plug_id: str | None = None
    """A stale id the agent insists on; None: the true one."""
    lines: tuple[bool, bool] = (False, False)
    lines_due_s: float = 0.0


@dataclass(slots=True)
class World:
    """The core, its inputs and what it drives."""

    board: Board
    step: Step = core.step
    now_s: float = 100.0
    latched: Mapping[int, frozenset[FaultCode]] = field(default_factory=dict)
    watchers: Sequence[Watcher] = ()
    boot_count: int = 7
    is_link_up: bool = False
    drives: dict[int, Drive] = field(default_factory=dict)
    effects: list[tuple[float, GuardEffect]] = field(default_factory=list)
    spots: dict[int, Spot] = field(default_factory=dict)
    state: GuardState = field(init=False)
    memory: Remember = field(init=False)
    _tick_s: float = 0.0
    _agent_s: float = 0.0
    _requests: int = 0

    def __post_init__(self) -> None:
        """Start the guard; nothing has been said yet."""
        self.spots = {section.id: Spot(section.id) for section in self.board.connector}
        self.memory = Remember(self.latched, {})
        self.restart_guard()
        self._tick_s = self._agent_s = self.now_s

    def restart_guard(self) -> None:
        """Start anew from what was remembered: everything else the guard knew is gone."""
        self.state = core.start(self.board, self.memory, self.now_s)
        self.is_link_up = False
        self.drives.clear()
        for watcher in self.watchers:
            watcher.restart()
        self.feed(TimePassed())

    # --- the loop -------------------------------------------------------------------------------------------

    def run(self, seconds: float) -> None:
        """Let time pass as the shell would: deadlines, reports, lines and the agent."""
        end_s = self.now_s + seconds
        while True:
            due_s = core.next_deadline_s(self.state, self.now_s)
            soonest_s = min(due_s, self._tick_s, self._agent_s, *self._contact_dues())
            if soonest_s > end_s:
                break
            self.now_s = max(self.now_s, soonest_s)
            self._move_contacts()
            if self.now_s >= due_s:
                self.feed(TimePassed())
            if self.now_s >= self._tick_s:
                self._tick_s = self.now_s + TICK_S
                self._tick()
            if self.now_s >= self._agent_s:
                self._agent_s = self.now_s + AGENT_EVERY_S
                self.speak()
        self.now_s = end_s

    def stall(self, seconds: float) -> None:
        """Stop the guard for a while, as SIGSTOP would; the world goes on."""
        self.now_s += seconds
        self._move_contacts()

    def feed(self, event: GuardInput) -> None:
        """Give the core one fact and carry its effects out."""
        before = dict(self.drives)
        self.state, effects = self.step(self.state, event, self.now_s)
        for effect in effects:
            self.effects.append((self.now_s, effect))
            if isinstance(effect, Drive):
                self.drives[effect.connector] = effect
            elif isinstance(effect, Remember):
                self.memory = effect
            elif isinstance(effect, ClearCoprocessorLatch):
                self.spots[effect.connector].latched = CoprocessorFault.NONE
        moment = Moment(self.now_s, event, effects, before, dict(self.drives))
        for watcher in self.watchers:
            watcher(moment)
        for spot in self.spots.values():
            self._follow(spot)

    # --- what happens outside -------------------------------------------------------------------------------

    def connect(self) -> None:
        """Complete the handshake, as a driver would after `LinkDown` or at the start."""
        self.is_link_up = True
        self.feed(LinkUp(self.identity(), is_restart=False))

    def disconnect(self) -> None:
        """Lose the link."""
        self.is_link_up = False
        self.feed(LinkDown("unplugged by the test"))

    def reboot_coprocessor(self, cause: ResetCause = ResetCause.WATCHDOG) -> None:
        """Restart the co-processor; cars that are there count as there at boot."""
        self.boot_count += 1
        for spot in self.spots.values():
            spot.plug_count, spot.is_permitted, spot.latched = 0, False, CoprocessorFault.NONE
        self.is_link_up = True
        self.feed(LinkUp(self.identity(cause), is_restart=True))

    def identity(self, cause: ResetCause = ResetCause.SOFTWARE) -> CoprocessorIdentity:
        """What the co-processor says of itself."""
        return CoprocessorIdentity(UID, "1.0.0", self.boot_count, cause, len(self.spots), Amps(32.0))

    def plug(self, number: int = 1, state: PilotState = PilotState.B) -> None:
        """Plug a car in."""
        spot = self.spots[number]
        if spot.car is PilotState.A:
            spot.plug_count += 1
        spot.car = state

    def wish(
        self,
        number: int = 1,
        offer_a: float = 16.0,
        *,
        permission: bool = True,
        on_lapse_a: float = 6.0,
        hold_s: float = 120.0,
        restrict_at_s: float | None = None,
    ) -> None:
        """Set what the agent repeats every second from now on, and say it once."""
        self.spots[number].set_point = SetPoint(
            connector=number,
            plug_id=None,
            offer_a=Amps(offer_a),
            permission=permission,
            on_lapse_a=Amps(on_lapse_a),
            hold_s=Seconds(hold_s),
            restrict_at_s=restrict_at_s,
        )
        self.speak()

    def speak(self) -> None:
        """The agent states its wishes."""
        for spot in self.spots.values():
            if spot.set_point is not None and not spot.is_agent_silent:
                plug_id = spot.wish_plug_id or self.plug_id(spot.number)
                self.feed(replace(spot.set_point, plug_id=plug_id))

    def clear(self, code: FaultCode, number: int = 1) -> None:
        """A person acknowledges."""
        self._requests += 1
        self.feed(ClearFault(self._requests, number, code))

    def unlock(self, number: int = 1) -> None:
        """The agent asks for the cable."""
        self._requests += 1
        self.feed(Unlock(self._requests, number))

    def raise_fault(self, code: FaultCode, number: int = 1, *, is_present: bool = True) -> None:
        """The agent names a fault of its own."""
        self.feed(RaiseFault(number, code, is_present))

    def plug_id(self, number: int) -> str | None:
        """Which plug the guard says is in."""
        return core.status(self.state, self.now_s).connectors[number - 1].plug_id

    def charge(self, number: int = 1, offer_a: float = 16.0) -> None:
        """Take a connector from nothing to a closed contactor and check that it got there."""
        if not self.is_link_up:
            self.connect()
        self.plug(number)
        self.run(0.5)
        self.wish(number, offer_a)
        self.run(12.0)
        self.spots[number].car = PilotState.C
        self.run(4.0)
        assert self.drives[number].is_relay_closed, core.status(self.state, self.now_s)

    # --- inside ---------------------------------------------------------------------------------------------

    def _tick(self) -> None:
        for spot in self.spots.values():
            if self.is_link_up and not spot.is_silent:
                self.feed(self.report(spot))
            self._follow(spot)
            self._read_lines(spot)

    def report(self, spot: Spot) -> PilotReport:
        """What the co-processor says of a connector now."""
        drive = self.drives.get(spot.number)
        output = PilotOutput.X1 if drive is None else drive.pilot.output
        state = spot.wound or spot.car
        high_v = HIGH_V[state]
        is_x2 = output is PilotOutput.X2
        low_v = high_v if not is_x2 else (-12.0 if spot.has_diode else -high_v)
        return PilotReport(
            connector=spot.number,
            received_s=self.now_s,
            sample_age_s=spot.sample_age_s,
            state=state,
            output=output,
            duty=1.0 if not is_x2 or drive is None else drive.pilot.limit_a * 0.6 / 100.0,
            high_v=high_v,
            low_v=low_v,
            pp_ohm=None if spot.car is PilotState.A else spot.pp_ohm,
            is_permitted=spot.is_permitted,
            is_locked=spot.is_locked,
            temperature_c=None if spot.temperature_c is None else Celsius(spot.temperature_c),
            active=spot.active,
            latched=spot.latched,
            boot_count=self.boot_count,
            plug_count=spot.plug_count,
        )

    def _follow(self, spot: Spot) -> None:
        """Permit, contact and test winding follow what is driven."""
        drive = self.drives.get(spot.number)
        if drive is None:
            return
        wants_permit = drive.pilot.permit and self.is_link_up and not spot.refuses_permit
        spot.is_permitted = wants_permit and spot.car is PilotState.C and spot.wound is None
        if drive.is_rcm_test_active and not spot.is_test_broken:
            spot.tested_since_s = self.now_s if spot.tested_since_s is None else spot.tested_since_s
        elif not drive.is_rcm_test_active and spot.tested_since_s is not None:
            has_tripped = self.now_s >= spot.tested_since_s + RCM_TEST_DELAY_S
            spot.released_s = self.now_s + spot.rcm_release_s if has_tripped else 0.0
            spot.tested_since_s = None
        if not spot.is_lock_jammed and self.is_link_up:
            spot.is_locked = drive.pilot.is_locked
        is_live = drive.is_relay_closed and spot.is_permitted
        if is_live != spot.is_contact_closed and spot.contact_due_s is None:
            spot.contact_due_s = self.now_s + CONTACT_S

    def _contact_dues(self) -> list[float]:
        tests_s = [
            spot.tested_since_s + RCM_TEST_DELAY_S
            for spot in self.spots.values()
            if spot.tested_since_s is not None and self.now_s < spot.tested_since_s + RCM_TEST_DELAY_S
        ]
        return tests_s + [spot.contact_due_s for spot in self.spots.values() if spot.contact_due_s is not None]

    def _move_contacts(self) -> None:
        for spot in self.spots.values():
            drive = self.drives.get(spot.number)
            if spot.contact_due_s is not None and self.now_s >= spot.contact_due_s and drive is not None:
                spot.contact_due_s = None
                is_live = drive.is_relay_closed and spot.is_permitted
                if is_live:
                    spot.is_contact_closed = spot.is_contact_closed or not spot.is_stuck_open
                elif not spot.is_welded:
                    spot.is_contact_closed = False
            self._read_lines(spot)

    def _read_lines(self, spot: Spot) -> None:
        is_tested = spot.tested_since_s is not None and self.now_s >= spot.tested_since_s + RCM_TEST_DELAY_S
        lines = (spot.is_contact_closed, spot.leaks or is_tested or self.now_s < spot.released_s)
        if self.now_s >= spot.lines_due_s or lines != spot.lines:
            spot.lines, spot.lines_due_s = lines, self.now_s + LINES_EVERY_S
            self.feed(LinesRead(spot.number, *lines))
