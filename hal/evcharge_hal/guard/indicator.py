"""What the LED shows: patterns held as data, after the Lektrico manual's table. Faults win over states.

The manual's rotating and pulsing segments become a steady and a pulsing colour on a light without segments.
"""

import enum
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from evcharge_hal.contract.channel import Indication
from evcharge_hal.contract.faults import CATALOGUE, FaultCode, Severity

Colour = tuple[float, float, float]
"""Red, green, blue, each 0..1."""

OFF: Colour = (0.0, 0.0, 0.0)
RED: Colour = (1.0, 0.0, 0.0)
GREEN: Colour = (0.0, 1.0, 0.0)
BLUE: Colour = (0.0, 0.0, 1.0)
WHITE: Colour = (1.0, 1.0, 1.0)
PURPLE: Colour = (0.6, 0.0, 1.0)
YELLOW: Colour = (1.0, 0.8, 0.0)


class Shape(enum.Enum):
    """How a colour moves in time."""

    STEADY = "steady"
    BLINK = "blink"
    """On for the first half of the period."""
    BREATHE = "breathe"
    """Up and down between dark and full."""
    PULSE = "pulse"
    """Up and down between a third and full: never dark, so a paused charge does not look like no power."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """A colour, its shape and the shape's period."""

    colour: Colour
    shape: Shape = Shape.STEADY
    period_s: float = 1.0


PATTERNS: Mapping[Indication, Pattern] = {
    Indication.OFFLINE: Pattern(GREEN),
    Indication.AVAILABLE: Pattern(GREEN, Shape.BREATHE, 4.0),
    Indication.AWAITING_AUTHORISATION: Pattern(PURPLE),
    Indication.AWAITING_VEHICLE: Pattern(BLUE),
    Indication.CHARGING: Pattern(WHITE),
    Indication.PAUSED: Pattern(WHITE, Shape.PULSE, 2.0),
    Indication.FINISHED: Pattern(BLUE),
    Indication.RESERVED: Pattern(YELLOW, Shape.BLINK, 4.0),
    Indication.UNAVAILABLE: Pattern(RED, Shape.BREATHE, 4.0),
    Indication.UPDATING: Pattern(YELLOW),
}
FAULT_PATTERN = Pattern(RED)

_PULSE_FLOOR = 1.0 / 3.0


def choose_pattern(indication: Indication, faults: Collection[FaultCode]) -> Pattern:
    """The pattern that wins. A warning leaves the state's: charging goes on."""
    if any(CATALOGUE[code].severity is not Severity.WARNING for code in faults):
        return FAULT_PATTERN
    return PATTERNS[indication]


def colour(indication: Indication, faults: Collection[FaultCode], now_s: float) -> Colour:
    """Red, green and blue (each 0..1) at host monotonic time `now_s`."""
    pattern = choose_pattern(indication, faults)
    level = _level(pattern, now_s)
    red, green, blue = pattern.colour
    return (red * level, green * level, blue * level)


def _level(pattern: Pattern, now_s: float) -> float:
    part = math.fmod(now_s, pattern.period_s) / pattern.period_s
    if pattern.shape is Shape.BLINK:
        return 1.0 if part < 0.5 else 0.0  # noqa: PLR2004 - half of the period
    wave = 0.5 - 0.5 * math.cos(2.0 * math.pi * part)
    if pattern.shape is Shape.BREATHE:
        return wave
    if pattern.shape is Shape.PULSE:
        return _PULSE_FLOOR + (1.0 - _PULSE_FLOOR) * wave
    return 1.0
