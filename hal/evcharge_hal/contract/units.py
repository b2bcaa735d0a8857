"""Units at function borders, and the one per-phase value.

Energy is integer Wh (OCPP meterStart/meterStop), everything else is float in the base unit.
The NewTypes cost nothing at run time; they let mypy catch watts passed as amperes.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NewType

Amps = NewType("Amps", float)
Volts = NewType("Volts", float)
Watts = NewType("Watts", float)
WattHours = NewType("WattHours", int)
Seconds = NewType("Seconds", float)
Celsius = NewType("Celsius", float)

MIN_CURRENT_A = Amps(6.0)
"""Lowest current a pilot can state (IEC 61851-1 Table A.8); between 0 and this there is only pause."""

MAX_CURRENT_A = Amps(80.0)
"""Highest current a pilot can state (IEC 61851-1 Table A.8)."""

_PILOT_STEP_A = 0.1
# Absorbs binary rounding so that 16.1 stays 16.1, and is far below one step so nothing is raised.
_ROUNDING_SLACK = 1e-6


def quantise_down_a(current_a: float) -> Amps:
    """Round a current down to the pilot's step of 0.1 A; never up, never negative."""
    if current_a <= 0.0:
        return Amps(0.0)
    return Amps(math.floor(current_a / _PILOT_STEP_A + _ROUNDING_SLACK) / 10.0)


def offer_or_pause_a(current_a: float) -> Amps:
    """Quantise an offer; below the minimum of 6 A it is a pause, which is 0 A."""
    quantised_a = quantise_down_a(current_a)
    return quantised_a if quantised_a >= MIN_CURRENT_A else Amps(0.0)


@dataclass(frozen=True, slots=True)
class PerPhase:
    """One value for each phase of the grid; rotation has already been applied by the HAL."""

    l1: float
    l2: float
    l3: float

    @classmethod
    def uniform(cls, value: float) -> "PerPhase":
        """The same value on all three phases."""
        return cls(value, value, value)

    def map(self, change: Callable[[float], float]) -> "PerPhase":
        """Apply `change` to each phase."""
        return PerPhase(change(self.l1), change(self.l2), change(self.l3))

    def lowest(self, other: "PerPhase") -> "PerPhase":
        """The smaller of the two values, phase by phase."""
        return PerPhase(min(self.l1, other.l1), min(self.l2, other.l2), min(self.l3, other.l3))

    @property
    def minimum(self) -> float:
        """The smallest of the three values."""
        return min(self.l1, self.l2, self.l3)

    @property
    def maximum(self) -> float:
        """The largest of the three values."""
        return max(self.l1, self.l2, self.l3)

    @property
    def total(self) -> float:
        """The sum of the three values."""
        return self.l1 + self.l2 + self.l3
