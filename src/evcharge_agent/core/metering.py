"""The session meter: a register that never falls, and the age of what it says. Pure.

A meter that is silent is not a meter that says zero: after three of its periods, at least 5 s, it is lost
(DESIGN 4b).
"""

import math
from dataclasses import replace

from evcharge_agent.core.facts import MeterReading
from evcharge_agent.core.state import Meter
from evcharge_hal.contract.units import PerPhase, WattHours

LOST_PERIODS = 3
LOST_MIN_S = 5.0
_LONGEST_PERIOD_S = 60.0


def is_plausible(reading: MeterReading) -> bool:
    """Finite numbers and a register that is not negative; anything else counts as silence."""
    values: list[float | None] = [reading.power_w, reading.power_factor, reading.frequency_hz]
    for per_phase in (reading.current_a, reading.voltage_v):
        values += [per_phase.l1, per_phase.l2, per_phase.l3] if per_phase is not None else []
    is_finite = all(value is None or math.isfinite(value) for value in values)
    return is_finite and (reading.energy_wh is None or reading.energy_wh >= 0)


def take(meter: Meter, reading: MeterReading, now_s: float, period_s: float | None = None) -> Meter:
    """Take a plausible reading in; without a `period_s` the time since the last one tells it."""
    register_wh, is_low = meter.register_wh, False
    if reading.energy_wh is not None:
        is_low = register_wh is not None and reading.energy_wh < register_wh
        register_wh = max(reading.energy_wh, register_wh if register_wh is not None else 0)
    if period_s is None:
        is_steady = meter.read_s is not None and not meter.is_lost
        period_s = now_s - meter.read_s if is_steady and meter.read_s is not None else meter.period_s
    return replace(
        meter,
        reading=reading,
        read_s=now_s,
        period_s=min(max(period_s, 0.0), _LONGEST_PERIOD_S),
        register_wh=register_wh,
        is_lost=False,
        is_register_low=is_low,
    )


def lost_at_s(meter: Meter) -> float:
    """When the meter counts as lost if it stays silent."""
    last_s = meter.read_s if meter.read_s is not None else meter.since_s
    return last_s + max(LOST_MIN_S, LOST_PERIODS * meter.period_s)


def fresh_register_wh(meter: Meter) -> int | None:
    """The register, if the meter spoke of it and is not lost."""
    is_known = meter.reading is not None and meter.reading.energy_wh is not None
    return meter.register_wh if is_known and not meter.is_lost else None


def is_register_read_since(meter: Meter, since_s: float) -> bool:
    """The last reading came at `since_s` or later and spoke of the register."""
    is_known = meter.reading is not None and meter.reading.energy_wh is not None
    return is_known and meter.read_s is not None and meter.read_s >= since_s


def steady_reading(meter: Meter) -> MeterReading | None:
    """The last reading with a register that never falls; None while the meter is lost."""
    if meter.reading is None or meter.is_lost:
        return None
    if meter.reading.energy_wh is None or meter.register_wh is None:
        return meter.reading
    return replace(meter.reading, energy_wh=WattHours(meter.register_wh))


def draw_a(meter: Meter) -> PerPhase | None:
    """What the car takes, if the meter says so."""
    return meter.reading.current_a if meter.reading is not None and not meter.is_lost else None
