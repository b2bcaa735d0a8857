"""The car: what it reads from the pilot, when it closes its switch, what it draws.

It is the other side of IEC 61851-1 and shares nothing with the charger's tables: the duty is read by the
vehicle's own table (hardware.md 3.2), so a charger that states a wrong duty gets a wrong car.
"""

import enum
import math
from dataclasses import dataclass

from evcharge_hal.contract.pilot import PilotOutput
from evcharge_hal.contract.schema import declare

REACTION_S = 0.5
"""From valid PWM to S2 closed, and from any reason to stop to S2 open once the current is gone."""
STOP_LIMIT_S = 2.8
"""A car lets go at the latest this long after PWM went (IEC 61851-1 Table A.6: 3 s)."""
RAMP_UP_S = 4.0
"""From nothing to the car's maximum; a new duty must be followed within 5 s."""
RAMP_DOWN_S = 2.0
CHARGER_START_S = 1.0
"""The on-board charger needs this long after voltage appears."""
STAYS_AWAKE_S = 30.0
"""A sleepy car that was woken falls asleep again without PWM for this long."""
DIP_S = 1.0
"""A pilot at or below 0 V for this long wakes a sleepy car (IEC 61851-1 A.5.3 pulses 4 s)."""

_TAPER_FROM = 0.8
_TAPER_FLOOR = 0.1


class Request(enum.Enum):
    """What the driver wants of the car."""

    CHARGE = "charge"
    PAUSE = "pause"


@dataclass(frozen=True, slots=True)
class CarSettings:
    """What kind of car it is and what it is asked to do."""

    request: Request = declare("What the driver wants", default=Request.CHARGE)
    current_a: float = declare("Most it takes on each phase", unit="A", ge=1.0, le=80.0, default=16.0)
    phases: int = declare("Phases it uses", ge=1, le=3, default=3)
    min_current_a: float = declare(
        "Offered less, it stays in C and draws nothing", unit="A", ge=0.0, le=32.0, default=6.0
    )
    battery_wh: float = declare("Battery size", unit="Wh", ge=100.0, le=1e6, default=50_000.0)
    is_after_pwm: bool = declare(
        "Closes S2 only when PWM is there; otherwise as soon as it is plugged in", default=True
    )
    is_sleepy: bool = declare("Ignores PWM until the pilot was pulled down for a while", default=False)


@dataclass(frozen=True, slots=True)
class CarQuirks:
    """What is wrong with it."""

    is_stubborn: bool = False
    """Stays in C and goes on drawing when PWM is taken away."""
    is_overdrawing: bool = False
    needs_ventilation: bool = False


def read_duty_a(duty: float) -> float | None:
    """Current per phase a car reads from the duty 0..1; None where it must not charge."""
    pct = duty * 100.0
    if pct < 8.0 or pct > 97.0:  # noqa: PLR2004 - the table of hardware.md 3.2
        return None
    if pct < 10.0:  # noqa: PLR2004
        return 6.0
    if pct <= 85.0:  # noqa: PLR2004
        return pct * 0.6
    return (pct - 64.0) * 2.5 if pct <= 96.0 else 80.0  # noqa: PLR2004


@dataclass(frozen=True, slots=True)
class Inlet:
    """What reaches the car through the cable."""

    output: PilotOutput
    """E also stands for a pilot that is shorted or broken on the way."""
    duty: float
    voltage_v: float
    """Phase voltage at the inlet; 0 with the contactor open."""
    phases: int
    """Phases that reach the inlet."""


class Car:
    """One car; it keeps its battery when it leaves."""

    def __init__(self, settings: CarSettings, soc_pct: float = 20.0) -> None:
        self.settings = settings
        self.quirks = CarQuirks()
        self.battery_energy_wh = settings.battery_wh * soc_pct / 100.0
        self.is_s2_closed = False
        self.current_a = 0.0
        self.mean_current_a = 0.0
        """Average over the last step: what energy is counted from."""
        self._start_for_s = 0.0
        self._stop_for_s = 0.0
        self._supplied_for_s = 0.0
        self._dip_for_s = 0.0
        self._awake_left_s = 0.0
        self._was_stopped = False
        self._had_pwm = False
        self._last_read_a = 0.0

    @property
    def soc_pct(self) -> float:
        """State of charge, 0..100 %."""
        return 100.0 * self.battery_energy_wh / self.settings.battery_wh

    @property
    def is_full(self) -> bool:
        """Nothing more fits in."""
        return self.battery_energy_wh >= self.settings.battery_wh

    @property
    def is_asleep(self) -> bool:
        """A sleepy car that nobody has woken."""
        return self.settings.is_sleepy and self._awake_left_s <= 0.0

    def phases_used(self, inlet_phases: int) -> int:
        """Phases it draws from."""
        return min(self.settings.phases, inlet_phases)

    def unplug(self) -> None:
        """Let the driver take the cable; the battery and the settings stay."""
        self.is_s2_closed = False
        self.current_a = self.mean_current_a = 0.0
        self._start_for_s = self._stop_for_s = self._supplied_for_s = 0.0
        self._dip_for_s = self._awake_left_s = 0.0
        self._was_stopped = self._had_pwm = False
        self._last_read_a = 0.0

    def ask(self, settings: CarSettings, soc_pct: float | None) -> None:
        """Change what it is or wants; a new wish forgets that the charger stopped it."""
        soc_pct = self.soc_pct if soc_pct is None else soc_pct
        if settings.request is not self.settings.request:
            self._was_stopped = False
        self.settings = settings
        self.battery_energy_wh = settings.battery_wh * soc_pct / 100.0

    def store(self, energy_wh: float) -> None:
        """Put energy into the battery."""
        self.battery_energy_wh = min(self.settings.battery_wh, self.battery_energy_wh + energy_wh)

    def step(self, dt_s: float, inlet: Inlet) -> None:
        """Let time pass while plugged in."""
        self._sleep(dt_s, inlet)
        read_a = read_duty_a(inlet.duty) if inlet.output is PilotOutput.X2 else None
        self._was_stopped = read_a is None and (self._was_stopped or self._had_pwm)
        self._had_pwm = read_a is not None
        self._last_read_a = self._last_read_a if read_a is None else read_a
        may_draw = self._may_draw(inlet, read_a)
        self._switch(dt_s, may_draw)
        self._supplied_for_s = self._supplied_for_s + dt_s if inlet.voltage_v > 0.0 else 0.0
        start_a = self.current_a if inlet.voltage_v > 0.0 else 0.0
        self.current_a = self._ramp(start_a, self._target_a(read_a, may_draw), dt_s)
        self.mean_current_a = (start_a + self.current_a) / 2.0

    def _sleep(self, dt_s: float, inlet: Inlet) -> None:
        is_dip = inlet.output in (PilotOutput.E, PilotOutput.F)
        self._dip_for_s = self._dip_for_s + dt_s if is_dip else 0.0
        if self._dip_for_s >= DIP_S or (not self.is_asleep and inlet.output is PilotOutput.X2):
            self._awake_left_s = STAYS_AWAKE_S
        else:
            self._awake_left_s = max(0.0, self._awake_left_s - dt_s)

    def _may_draw(self, inlet: Inlet, read_a: float | None) -> bool:
        if self.settings.request is Request.PAUSE or self.is_full or self.is_asleep:
            return False
        if read_a is not None:
            return True
        if self.quirks.is_stubborn and self.is_s2_closed:
            return True
        return not self.settings.is_after_pwm and not self._was_stopped and inlet.output is PilotOutput.X1

    def _switch(self, dt_s: float, may_draw: bool) -> None:
        self._start_for_s = self._start_for_s + dt_s if may_draw and not self.is_s2_closed else 0.0
        self._stop_for_s = self._stop_for_s + dt_s if not may_draw and self.is_s2_closed else 0.0
        if self._start_for_s >= REACTION_S:
            self.is_s2_closed = True
            self._start_for_s = 0.0
        is_let_go = self.current_a <= 0.0 and self._stop_for_s >= REACTION_S
        if is_let_go or self._stop_for_s >= STOP_LIMIT_S:
            self.is_s2_closed = False
            self._stop_for_s = 0.0

    def _target_a(self, read_a: float | None, may_draw: bool) -> float:
        if not (may_draw and self.is_s2_closed) or self._supplied_for_s < CHARGER_START_S:
            return 0.0
        offered_a = read_a
        if offered_a is None:
            offered_a = self._last_read_a if self.quirks.is_stubborn else 0.0
        if offered_a < self.settings.min_current_a:
            return 0.0
        if self.quirks.is_overdrawing:
            return offered_a * 1.25 + 2.0
        return min(offered_a, self.settings.current_a * self._acceptance())

    def _acceptance(self) -> float:
        """Part of its maximum the battery takes: all below 80 %, then less and less."""
        soc = self.battery_energy_wh / self.settings.battery_wh
        return 1.0 if soc <= _TAPER_FROM else max(_TAPER_FLOOR, (1.0 - soc) / (1.0 - _TAPER_FROM))

    def _ramp(self, from_a: float, target_a: float, dt_s: float) -> float:
        if not self.is_s2_closed:
            return 0.0
        span_a = max(self.settings.current_a, target_a, from_a)
        if target_a > from_a:
            return min(target_a, from_a + span_a / RAMP_UP_S * dt_s)
        # Measured from the car's maximum, not from what is left, so that the end is reached in time.
        return max(target_a, from_a - span_a / RAMP_DOWN_S * dt_s)

    def next_change_s(self) -> float:
        """Seconds until its switch may move; infinite when it rests."""
        left_s = [
            limit_s - for_s
            for limit_s, for_s in ((REACTION_S, self._start_for_s), (REACTION_S, self._stop_for_s))
            if 0.0 < for_s < limit_s
        ]
        return min(left_s, default=math.inf)
