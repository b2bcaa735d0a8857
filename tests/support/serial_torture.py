"""The pilot link on a damaged line: guard's core, real driver, co-processor and plant, judged at every step.

An episode charges over a sound line, then the line goes bad while people, agent and co-processor do what they do;
at last it is sound again and the charge must go on. Everything follows from the episode's seed.
"""

import random
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from evcharge_hal.contract.channel import EventKind
from evcharge_hal.contract.pilot import LinkEvent, LinkNoticed, PilotOutput, ResetCause
from evcharge_hal.guard.effects import Drive, Record
from evcharge_hal.link.frames import MAX_WIRE_BYTES
from evcharge_hal.sim.coprocessor import Coprocessor
from evcharge_hal.sim.plant.car import Request
from tests.support.damaged_line import LATEST_S, Damage, DamagedLine, draw_severity
from tests.support.guard_laws import BrokenLawError, Court
from tests.support.guard_plant import PlantWorld
from tests.support.guard_plant_acts import Physics, pause_or_go_on
from tests.support.guard_world import Moment, make_board

DEADLINE_S = 1.0
SPACING_S = 0.02
"""The driver merges changes closer than this."""
WINDOW_S = DEADLINE_S + LATEST_S + SPACING_S + 0.03
"""How long the co-processor may act on a set-point after the guard has replaced it by a lower one."""
RECOVERED_WITHIN_S = 700.0
"""Six closings in ten minutes may be used up by then."""
DEBOUNCE_S = 0.1
BAD_FRAMES_TOLD = 20


@dataclass(slots=True)
class TorturedWorld(PlantWorld):
    """A plant whose pilot link runs over a damaged line."""

    line: DamagedLine = field(default_factory=lambda: DamagedLine(random.Random(0)))
    noticed: Counter[str] = field(default_factory=Counter)
    allowed: dict[int, deque[tuple[float, float, bool]]] = field(default_factory=dict)
    """By connector: since when the guard allows which current and permit; the last entry goes on."""

    def _turn(self) -> None:
        if self.guard is None or self.is_stopped:
            # What is on the wire arrives, whoever has died meanwhile.
            self.coprocessor.receive(self.line.carry(b"", self.now_s, "down"), self.now_s)
        PlantWorld._turn(self)

    def _carry_up(self, data: bytes) -> bytes:
        spoilt = self.line.spoilt_upward
        data = self.line.carry(data, self.now_s, "up")
        if self.guard is None:
            self.line.spoilt_upward = spoilt  # nobody is there to notice
        return data

    def _carry_down(self, data: bytes) -> bytes:
        self.line.echo(data)
        return self.line.carry(data, self.now_s, "down")

    def _take(self, events: Sequence[LinkEvent]) -> None:
        self.noticed.update(event.code for event in events if isinstance(event, LinkNoticed))
        PlantWorld._take(self, events)

    def fall_silent(self) -> None:
        """The guard is gone or stands still: from now on it allows nothing."""
        for said in self.allowed.values():
            said.append((self.now_s, 0.0, False))

    def speak_again(self) -> None:
        """It goes on where it stood."""
        for number, drive in (self.guard.drives if self.guard is not None else {}).items():
            self.allowed[number].append((self.now_s, *_allowance(drive)))

    def _drive(self, drive: Drive) -> None:
        self.allowed.setdefault(drive.connector, deque()).append((self.now_s, *_allowance(drive)))
        PlantWorld._drive(self, drive)


def _allowance(drive: Drive) -> tuple[float, bool]:
    return drive.pilot.limit_a if drive.pilot.output is PilotOutput.X2 else 0.0, drive.pilot.permit


@dataclass(slots=True)
class Listener:
    """Counts what the guard records."""

    recorded: Counter[EventKind] = field(default_factory=Counter)

    def __call__(self, moment: Moment) -> None:
        """One step is done."""
        self.recorded.update(effect.kind for effect in moment.effects if isinstance(effect, Record))

    def restart(self) -> None:
        """What was recorded stays recorded."""


@dataclass(slots=True)
class LineLaws:
    """What a line must never do, at the plant itself: raise a current, close a contact, fill a buffer."""

    physics: Physics = field(default_factory=Physics)
    in_c2_s: dict[int, float] = field(default_factory=dict)
    was_permitted: dict[int, bool] = field(default_factory=dict)

    def __call__(self, world: PlantWorld) -> None:
        """Judge one instant."""
        assert isinstance(world, TorturedWorld)
        self.physics(world)
        held = len(world.coprocessor._decoder._partial)
        require(held < MAX_WIRE_BYTES, world, f"the co-processor holds {held} bytes")
        if world.guard is not None:
            held = len(world.guard.link._decoder._partial)
            require(held < MAX_WIRE_BYTES, world, f"the driver holds {held} bytes")
        for number in world.plant.connectors:
            self._judge(world, number)

    def _judge(self, world: TorturedWorld, number: int) -> None:
        connector = world.plant.connectors[number]
        most_a, is_granted = self._allowed(world, number)
        is_x2 = connector.output is PilotOutput.X2
        stated_a = stated_current_a(connector.duty) if is_x2 else 0.0
        require(stated_a <= most_a + 1e-6, world, f"pilot {number} states {stated_a:.2f} A, allowed {most_a:.2f} A")
        if is_x2 and connector.vehicle_state == "C":
            self.in_c2_s[number] = world.now_s
        if connector.is_permitted and not self.was_permitted.get(number, False):
            require(is_granted, world, f"permit {number} closed without the guard's wish")
            seen_s = self.in_c2_s.get(number, 0.0)
            require(world.now_s - seen_s <= DEBOUNCE_S, world, f"permit {number} closed outside of C2")
        self.was_permitted[number] = connector.is_permitted

    def _allowed(self, world: TorturedWorld, number: int) -> tuple[float, bool]:
        """The highest current and whether any permit the guard stood for within the window."""
        said = world.allowed[number]
        while len(said) > 1 and said[1][0] < world.now_s - WINDOW_S:
            said.popleft()
        return max(entry[1] for entry in said), any(entry[2] for entry in said)


def stated_current_a(duty: float) -> float:
    """What a car reads from a duty (IEC 61851-1 Table A.8)."""
    return duty * 60.0 if duty <= 0.85 else (duty - 0.64) * 250.0


def require(holds: bool, world: PlantWorld, text: str) -> None:
    if not holds:
        raise BrokenLawError(f"at {world.now_s:.3f} s: {text}")


# --- what goes on beside ----------------------------------------------------------------------------------------


def _wish(world: TorturedWorld, number: int, luck: random.Random) -> None:
    world.wish(number, luck.choice([0.0, 6.0, 7.3, 16.0, 32.0]), permission=luck.random() < 0.85)


def _replug(world: TorturedWorld, number: int, _luck: random.Random) -> None:
    world.plant.connectors[number].unplug(leaves_cable=False)
    world.run(0.8)
    world.plant.connectors[number].plug(32)


def _reboot(world: TorturedWorld, _number: int, luck: random.Random) -> None:
    world.coprocessor.reset(luck.choice(list(ResetCause)), world.now_s)


def _restart_guard(world: TorturedWorld, _number: int, luck: random.Random) -> None:
    world.kill_guard()
    world.fall_silent()
    world.run(luck.choice([0.3, 1.5, 6.0]))
    world.start_guard()


def _stall(world: TorturedWorld, _number: int, luck: random.Random) -> None:
    world.is_stopped = True
    world.fall_silent()
    world.run(luck.choice([0.2, 0.9, 1.5, 5.0]))
    world.is_stopped = False
    world.speak_again()


def _nothing(_world: TorturedWorld, _number: int, _luck: random.Random) -> None:
    pass


Act = Callable[[TorturedWorld, int, random.Random], None]
ACTS: tuple[Act, ...] = (
    _nothing,
    _nothing,
    _wish,
    _wish,
    _reboot,
    _replug,
    lambda world, number, _luck: pause_or_go_on(world, number),
    _restart_guard,
    _stall,
)
PAUSES_S = (0.05, 0.4, 1.3, 4.0)


# --- episodes and campaigns -------------------------------------------------------------------------------------


@dataclass(slots=True)
class Tally:
    """What happened, over one episode or many."""

    episodes: int = 0
    simulated_s: float = 0.0
    frames: Counter[str] = field(default_factory=Counter)
    damaged: Counter[Damage] = field(default_factory=Counter)
    noticed: Counter[str] = field(default_factory=Counter)
    recorded: Counter[EventKind] = field(default_factory=Counter)

    def add(self, world: TorturedWorld, listener: Listener, simulated_s: float) -> None:
        """Count an episode."""
        self.episodes += 1
        self.simulated_s += simulated_s
        self.frames.update(world.line.frames)
        self.damaged.update(world.line.damaged)
        self.noticed.update(world.noticed)
        self.recorded.update(listener.recorded)

    def text(self) -> str:
        """One paragraph."""
        kinds = ", ".join(f"{kind.value} {count}" for kind, count in self.damaged.most_common())
        told = ", ".join(f"{code} {count}" for code, count in self.noticed.most_common())
        events = ", ".join(f"{kind.value} {count}" for kind, count in self.recorded.most_common())
        frames = f"{self.frames['down']} down, {self.frames['up']} up"
        return (
            f"{self.episodes} episodes, {self.simulated_s:.0f} simulated s, frames: {frames}\n"
            f"  damaged: {kinds}\n  noticed: {told}\n  recorded: {events}"
        )


def play_episode(seed: int, tally: Tally, coprocessor_type: type[Coprocessor] = Coprocessor, acts: int = 10) -> None:
    """One episode.

    Raises:
        AssertionError: a law was broken; the text names the seed.
    """
    try:
        _play(seed, tally, coprocessor_type, acts)
    except AssertionError as error:
        raise BrokenLawError(f"seed {seed} (EVC_SOAK_SEED={seed} plays it again): {error}") from error


def _play(seed: int, tally: Tally, coprocessor_type: type[Coprocessor], acts: int) -> None:
    luck = random.Random(seed)
    listener = Listener()
    world = _charging_world(1 + seed % 2, luck, listener, coprocessor_type)
    began_s = world.now_s
    world.line.severity = draw_severity(luck)
    for _ in range(acts):
        number = luck.choice(list(world.plant.connectors))
        luck.choice(ACTS)(world, number, luck)
        world.run(luck.choice(PAUSES_S))
    if world.line.spoilt_upward >= BAD_FRAMES_TOLD:
        # Noise without a single zero is no frame at all: it is told as silence.
        is_told = world.noticed["noise"] + world.noticed["status_late"] + listener.recorded[EventKind.COPROCESSOR_LOST]
        require(is_told > 0, world, f"{world.line.spoilt_upward} spoilt frames and not a word")
    # Once a second, whatever the line does: the journal is not flooded. A restarted driver counts anew.
    require(world.noticed["noise"] <= world.now_s - began_s + acts + 2.0, world, "a flood of notices")
    world.line.heal()
    _recover(world)
    tally.add(world, listener, world.now_s - began_s)


def _charging_world(
    connectors: int, luck: random.Random, listener: Listener, coprocessor_type: type[Coprocessor]
) -> TorturedWorld:
    board = make_board(connectors, supply_a=32.0 if connectors > 1 else None)
    world = TorturedWorld(
        board, watchers=[Court(board), listener], coprocessor_type=coprocessor_type, line=DamagedLine(luck)
    )
    world.watch = LineLaws()
    for number in world.plant.connectors:
        world.charge(number)
    return world


def _recover(world: TorturedWorld) -> None:
    """The line is sound: every car charges again without anybody's help."""
    for number, connector in world.plant.connectors.items():
        connector.plug(32)
        connector.car.ask(replace(connector.car.settings, request=Request.CHARGE), None)
        world.wish(number)
    end_s = world.now_s + RECOVERED_WITHIN_S
    while any(connector.current_a.l1 < 6.0 for connector in world.plant.connectors.values()):
        require(world.now_s < end_s, world, f"not charging again on a sound line: {world.explain()}")
        world.run(1.0)
