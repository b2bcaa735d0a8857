"""The wires between the fake co-processor and the physical model.

The co-processor sees volts and ohms, never the car's mind; the plant sees a driven pilot and a permit,
never a frame. Two circuits make a two-connector board.
"""

from dataclasses import dataclass
from typing import Protocol

from evcharge_hal.contract.pilot import PilotOutput


@dataclass(frozen=True, slots=True)
class PilotVoltages:
    """What the co-processor's ADC reads, at the pilot's two half-waves."""

    high_v: float
    low_v: float


class PilotCircuit(Protocol):
    """One connector's pilot, proximity and permit wires."""

    def drive(self, output: PilotOutput, duty: float) -> None:
        """Drive the pilot; `duty` 0..1 counts only for X2."""
        ...

    def read_pilot(self) -> PilotVoltages:
        """Sample both half-waves now."""
        ...

    def read_proximity_ohm(self) -> float | None:
        """Resistance between PP and PE; None when the socket is empty or the cable is fixed."""
        ...

    def set_permit(self, is_permitted: bool) -> None:
        """Give or take the co-processor's half of the coil chain."""
        ...

    def set_locked(self, is_locked: bool) -> None:
        """Drive the connector lock."""
        ...

    def read_locked(self) -> bool:
        """Position of the lock; where it has no contact of its own, as it is driven."""
        ...

    def read_temperature_c(self) -> float | None:
        """Board temperature; None when the sensor is gone."""
        ...
