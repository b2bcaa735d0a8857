"""From a set-point of the port to the next commands of a RAPI board. Pure.

A board that closes its own relay knows no "PWM without a permit": enabled, it closes as soon as the car asks. So only
X2 *with* the permit enables it, and everything else is a stop, of which it has two: `$FS` waits for the car to let go
(at most 3 s), `$FD` opens at once. `$SC` carries `V` always: without it the board writes its EEPROM.
"""

import enum
from dataclasses import dataclass

from evcharge_hal.contract.pilot import PilotCommand, PilotOutput
from evcharge_hal.link.rapi_view import FLAG_AUTH_LOCK, FLAG_BOOT_LOCK, MIN_LIMIT_A, BoardView, Mode, limit_to_amps

SLEEP, DISABLE, ENABLE = "FS", "FD", "FE"
CLEAR_BOOT_LOCK, CLEAR_AUTH_LOCK = "SB", "S4 0"
ACKNOWLEDGE = "SY 165"
"""Ends the limit after a missed heartbeat, and lifts the board to its *maximum*, whatever it was told before."""
STOPS = frozenset({SLEEP, DISABLE})


class Aim(enum.Enum):
    """What the board is to be."""

    STOP = "stop"
    """Steady +12 V; the car may let go first."""
    OPEN = "open"
    """Steady +12 V, the relay open at once."""
    UNAVAILABLE = "unavailable"
    """Steady -12 V."""
    RUN = "run"


@dataclass(frozen=True, slots=True)
class Wish:
    """A set-point in the board's terms."""

    aim: Aim
    amps: int = MIN_LIMIT_A
    """Capacity; the lowest there is while nothing is offered, so that a board that goes on by itself offers no more."""


@dataclass(frozen=True, slots=True)
class Clamp:
    """The board answered `$NK`: it was asked for one capacity and took another."""

    asked: int
    taken: int


@dataclass(frozen=True, slots=True)
class BoardSituation:
    """All that the next command depends on."""

    view: BoardView
    amps: int | None
    """Capacity as last confirmed; None: unknown, perhaps the maximum."""
    clamp: Clamp | None
    is_heartbeat_missed: bool
    is_latched: bool
    """A fault is remembered; nothing is enabled."""


NOTHING = Wish(Aim.OPEN)


def read_wish(command: PilotCommand | None) -> Wish:
    """What a set-point asks of the board. Less than 6 A is a pause (IEC 61851-1 Table A.8)."""
    if command is None:
        return NOTHING
    if command.output in (PilotOutput.F, PilotOutput.E):
        return Wish(Aim.UNAVAILABLE)
    if not command.permit:
        return NOTHING
    amps = limit_to_amps(command.limit_a)
    if command.output is PilotOutput.X2 and amps:
        return Wish(Aim.RUN, amps)
    return Wish(Aim.STOP)


def set_capacity(amps: int) -> str:
    """The one way a limit is stated: never below what a board knows, always volatile."""
    return f"SC {max(amps, MIN_LIMIT_A)} V"


def next_commands(situation: BoardSituation, wish: Wish) -> tuple[str, ...]:
    """Commands to write now, in one go; none when the board is as it should be."""
    may_run = wish.aim is Aim.RUN and not situation.is_latched
    target = wish.amps if may_run else MIN_LIMIT_A
    clamp = situation.clamp
    # It keeps a lower one of its own (cable, temperature): fine. It cannot go as low as asked: then it stops.
    is_clamped = clamp is not None and clamp.asked == target and clamp.taken == situation.amps
    may_run = may_run and not (is_clamped and clamp is not None and clamp.taken > target)
    stop = () if may_run else _stop(situation.view, wish)
    if stop:
        return stop
    if situation.is_heartbeat_missed:
        # The order matters: the gap between the two last is the one moment above the limit, so they go together.
        if situation.amps != MIN_LIMIT_A:
            return (set_capacity(MIN_LIMIT_A),)
        return (ACKNOWLEDGE, set_capacity(target))
    if situation.amps != target and not is_clamped:
        return (set_capacity(target),)
    return _start(situation.view) if may_run else ()


def _stop(view: BoardView, wish: Wish) -> tuple[str, ...]:
    if wish.aim is Aim.UNAVAILABLE:
        return () if view.mode is Mode.DISABLED else (DISABLE,)
    if view.mode is Mode.DISABLED:
        # It was disabled to open at once; with -12 V on the pilot it cannot see the car leave.
        return () if view.is_relay_closed else (SLEEP,)
    if view.is_relay_closed and wish.aim is not Aim.STOP:
        return (DISABLE,)
    return (SLEEP,) if view.mode is Mode.ENABLED else ()


def _start(view: BoardView) -> tuple[str, ...]:
    if view.state.flags & FLAG_BOOT_LOCK:
        return (CLEAR_BOOT_LOCK,)
    if view.state.flags & FLAG_AUTH_LOCK:
        return (CLEAR_AUTH_LOCK,)
    return (ENABLE,) if view.mode is not Mode.ENABLED else ()
