"""The least that can stand in for a guard before the simulated world: the real driver, a relay line, no rules."""

from evcharge_hal.boards.board import Board
from evcharge_hal.boards.loader import load_board
from evcharge_hal.contract.pilot import LinkEvent, PilotCommand, PilotOutput, PilotReport
from evcharge_hal.contract.units import Amps
from evcharge_hal.link.native import NativeLink
from evcharge_hal.sim.config import MeterRole, SimConfig, SimMeter
from evcharge_hal.sim.persistence import InMemoryPersistence, Persistence
from evcharge_hal.sim.world import World

START_S = 1000.0
METERS = (SimMeter("session-1", MeterRole.SESSION, 1), SimMeter("grid", MeterRole.GRID))


def make_world(
    persistence: Persistence | None = None, config: SimConfig | None = None, board: Board | None = None
) -> World:
    """A world of the shipped simulated board with a session meter at connector 1 and a grid meter."""
    return World(
        config or SimConfig(meters=METERS), board or load_board(None), persistence or InMemoryPersistence(), START_S
    )


class Host:
    """Moves bytes between the driver and the world, 10 ms at a time."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.link = NativeLink(tuple(world.plant.connectors))
        self.events: list[LinkEvent] = []
        self.reports: dict[int, PilotReport] = {}

    def drive(self, connector: int, limit_a: float, *, permit: bool, relay: bool) -> None:
        """State a full set-point; 0 A takes the PWM away."""
        output = PilotOutput.X2 if limit_a else PilotOutput.X1
        self.link.command(PilotCommand(connector, output, Amps(limit_a), permit), self.world.now_s)
        pins = self.world.plant.connectors[connector].section.pins
        self.world.set_line(pins.relay, relay == pins.is_relay_active_high)

    def run(self, duration_s: float) -> None:
        """Let time pass."""
        end_s = self.world.now_s + duration_s
        while self.world.now_s < end_s - 1e-9:
            now_s = min(end_s, self.world.now_s + 0.01)
            events = list(self.link.advance(now_s))
            self.world.serial_receive(self.link.outgoing(), now_s)
            events += self.link.receive(self.world.serial_take(), now_s)
            self.events += events
            self.reports |= {event.connector: event for event in events if isinstance(event, PilotReport)}

    def charge(self, connector: int = 1, limit_a: float = 16.0) -> None:
        """Plug in and bring the car to full current."""
        self.world.perform("plug", {"connector": connector})
        self.run(1.0)
        self.drive(connector, limit_a, permit=False, relay=False)
        self.run(0.5)
        self.drive(connector, limit_a, permit=True, relay=True)
        self.run(8.0)
