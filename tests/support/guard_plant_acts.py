"""What may happen to the plant, and what must then be true at its contacts whoever is there to see to it."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from evcharge_hal.contract.faults import FaultCode
from evcharge_hal.contract.pilot import ResetCause
from evcharge_hal.sim.plant.car import CarQuirks, Request
from evcharge_hal.sim.plant.connector import CableBreak, PilotBreak
from evcharge_hal.sim.plant.residual import LEAKAGE_A
from tests.support.guard_laws import BrokenLawError, Court
from tests.support.guard_plant import PlantWorld
from tests.support.guard_world import make_board


def make_world(connectors: int = 1, **options: Any) -> PlantWorld:
    """A judged world; two connectors share 32 A."""
    board = make_board(connectors, supply_a=32.0 if connectors > 1 else None)
    return PlantWorld(board, watchers=[Court(board)], **options)


@dataclass(slots=True)
class Physics:
    """Contacts open within 0.1 s of what must open them, by whoever is there to do it."""

    since_s: dict[tuple[int, str], float] = field(default_factory=dict)
    weak: set[int] = field(default_factory=set)
    """Connectors whose contactor is welded: nothing can be asked of it."""

    def __call__(self, world: PlantWorld) -> None:
        """Judge one instant."""
        is_guarded = world.guard is not None and not world.is_stopped
        for number, connector in world.plant.connectors.items():
            pilot = connector.wounds.pilot
            causes = {
                "INV-1 the car is not in C": connector.vehicle_state != "C",
                "INV-2 the pilot is shorted": pilot is PilotBreak.SHORT,
                "INV-2 the diode is missing": pilot is PilotBreak.DIODE and world.has_pwm(number),
                "INV-4 the monitor has tripped": connector.residual.is_tripped and is_guarded,
                "INV-11 the co-processor has no permit": not connector.is_permitted,
            }
            for text, is_there in causes.items():
                key = (number, text)
                if not is_there or not connector.contactor.is_closed or number in self.weak:
                    self.since_s.pop(key, None)
                    continue
                waited_s = world.now_s - self.since_s.setdefault(key, world.now_s)
                if waited_s > 0.1 + 1e-6:
                    raise BrokenLawError(f"{text} and contacts {number} are closed {waited_s:.2f} s later")


def _wound(pilot: PilotBreak) -> Callable[[PlantWorld, int], None]:
    def act(world: PlantWorld, number: int) -> None:
        world.plant.connectors[number].wounds.pilot = pilot

    return act


def pause_or_go_on(world: PlantWorld, number: int) -> None:
    """The driver pauses the car, or lets it go on."""
    car = world.plant.connectors[number].car
    request = Request.PAUSE if car.settings.request is Request.CHARGE else Request.CHARGE
    car.ask(replace(car.settings, request=request), None)


def _heal(world: PlantWorld, number: int) -> None:
    connector = world.plant.connectors[number]
    connector.wounds.pilot, connector.wounds.cable = PilotBreak.NONE, CableBreak.NONE
    connector.wounds.is_hot = connector.wounds.is_sensor_lost = False
    connector.residual.residual_a, connector.residual.is_test_broken = 0.0, False
    connector.contactor.block(False)
    connector.car.quirks = CarQuirks()
    connector.car.ask(replace(connector.car.settings, request=Request.CHARGE), None)
    world.coprocessor.is_silent = world.coprocessor.is_hung = world.is_agent_silent = world.is_stopped = False
    if world.guard is None:
        world.start_guard()
    world.run(0.5)
    for code in (FaultCode.RCM_TRIP, FaultCode.RCM_SELF_TEST):
        world.clear(code, number)
    connector.plug(32)
    world.wish(number)
    world.run(8.0)


def _set(part: str, name: str, value: object) -> Callable[[PlantWorld, int], None]:
    def act(world: PlantWorld, number: int) -> None:
        connector = world.plant.connectors[number]
        targets = {
            "world": world,
            "coprocessor": world.coprocessor,
            "wounds": connector.wounds,
            "residual": connector.residual,
            "car": connector.car,
        }
        setattr(targets[part], name, value)

    return act


ACTS: dict[str, Callable[[PlantWorld, int], None]] = {
    "heal": _heal,
    "heal_again": _heal,
    "unplug": lambda world, number: world.plant.connectors[number].unplug(leaves_cable=False),
    "pause": pause_or_go_on,
    "short": _wound(PilotBreak.SHORT),
    "diode": _wound(PilotBreak.DIODE),
    "gap": _wound(PilotBreak.GAP),
    "bad_cable": _set("wounds", "cable", CableBreak.BAD),
    "other_cable": _set("wounds", "cable", CableBreak.CHANGED),
    "hot": _set("wounds", "is_hot", True),
    "sensor": _set("wounds", "is_sensor_lost", True),
    "leak": _set("residual", "residual_a", LEAKAGE_A),
    "break_test": _set("residual", "is_test_broken", True),
    "block": lambda world, number: world.plant.connectors[number].contactor.block(True),
    "stubborn": _set("car", "quirks", CarQuirks(is_stubborn=True)),
    "ventilation": _set("car", "quirks", CarQuirks(needs_ventilation=True)),
    "silent": _set("coprocessor", "is_silent", True),
    "hung": _set("coprocessor", "is_hung", True),
    "reset": lambda world, _number: world.coprocessor.reset(ResetCause.WATCHDOG, world.now_s),
    "agent": _set("world", "is_agent_silent", True),
    "stop": _set("world", "is_stopped", True),
    "go_on": _set("world", "is_stopped", False),
    "kill": lambda world, _number: world.kill_guard(),
    "withdraw": lambda world, number: world.wishes.update({number: replace(world.wishes[number], permission=False)}),
}
