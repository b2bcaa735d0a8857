"""A RAPI driver and a board over bytes in memory; time moves in small steps and everything seen is kept."""

from collections.abc import Callable
from dataclasses import dataclass, field

from evcharge_hal.contract.pilot import LinkEvent, LinkUp, PilotCommand, PilotOutput, PilotReport
from evcharge_hal.contract.units import Amps
from evcharge_hal.link.rapi import RapiLink
from tests.support.rapi_board import RapiBoard

STEP_S = 0.02


def run_at(limit_a: float) -> PilotCommand:
    """Charge with this limit."""
    return PilotCommand(1, PilotOutput.X2, Amps(limit_a), permit=True)


def stop(*, permit: bool = True) -> PilotCommand:
    """Stop; with the permit left, the car may let go first."""
    return PilotCommand(1, PilotOutput.X1, Amps(0.0), permit=permit)


@dataclass(slots=True)
class Bench:
    """Both ends of the line."""

    board: RapiBoard = field(default_factory=RapiBoard)
    link: RapiLink = field(default_factory=RapiLink)
    now_s: float = 100.0
    events: list[LinkEvent] = field(default_factory=list)
    to_host: Callable[[bytes], bytes] = bytes
    to_board: Callable[[bytes], bytes] = bytes
    is_host_alive: bool = True
    offered: list[tuple[float, int | None]] = field(default_factory=list)
    """Every change of what the car reads from the pilot."""

    def __post_init__(self) -> None:
        self.board.now_s = self.now_s
        self.board.restart()

    def run(self, duration_s: float) -> "Bench":
        """Let both live for a while."""
        until_s = self.now_s + duration_s
        while self.now_s < until_s - 1e-9:
            self.now_s += STEP_S
            said = self.board.advance(self.now_s)
            if self.is_host_alive:
                if said := self.to_host(said):
                    self.events += self.link.receive(said, self.now_s)
                if self.now_s >= self.link.next_deadline_s():
                    self.events += self.link.advance(self.now_s)
                self.board.receive(self.to_board(self.link.outgoing()))
            if not self.offered or self.offered[-1][1] != self.board.offered_a:
                self.offered.append((self.now_s, self.board.offered_a))
        return self

    def up(self) -> "Bench":
        """Until the link is up."""
        self.run(self.board.post_s + 2.0)
        assert any(isinstance(event, LinkUp) for event in self.events)
        return self

    def charge(self, limit_a: float) -> "Bench":
        """Up, plugged in, charging."""
        self.up()
        self.board.car = 2
        self.run(1.0)
        self.tell(run_at(limit_a)).run(1.0)
        self.board.car = 3
        self.run(3.0)
        assert self.board.relay_closed
        return self

    def tell(self, command: PilotCommand) -> "Bench":
        """Give the driver a set-point."""
        self.link.command(command, self.now_s)
        return self

    @property
    def report(self) -> PilotReport:
        """The latest report."""
        return [event for event in self.events if isinstance(event, PilotReport)][-1]

    def kinds(self) -> list[str]:
        """Names of all events but the reports."""
        return [type(event).__name__ for event in self.events if not isinstance(event, PilotReport)]
