"""One connector: pilot wires, cable, contactor, residual current, the car at the end, the energy register."""

import enum
import math
from dataclasses import dataclass

from evcharge_hal.boards.board import Cable, ConnectorSection
from evcharge_hal.contract.pilot import PilotOutput
from evcharge_hal.contract.units import PerPhase
from evcharge_hal.sim.circuit import PilotVoltages
from evcharge_hal.sim.plant.car import Car, Inlet, read_duty_a
from evcharge_hal.sim.plant.contactor import Contactor
from evcharge_hal.sim.plant.memory import ConnectorMemory
from evcharge_hal.sim.plant.residual import ResidualMonitor

CABLE_OHM = {63: 100.0, 32: 220.0, 20: 680.0, 13: 1500.0}
"""Resistor between PP and PE by cable rating (IEC 61851-1 Table B.2)."""
BAD_CABLE_OHM = 40.0
OTHER_CABLE_OHM = 1500.0

HAND_S = 0.6
"""Least time between unplugging and plugging in again."""
PULL_S = 0.15
"""From pilot to proximity contact while a plug is pulled: the pilot's is the shortest and breaks first."""

_SOURCE_V = 12.0
_SOURCE_OHM = 1000.0
_DIODE_V = 0.7
_B_OHM = 2740.0
_C_OHM = 882.0
_D_OHM = 246.0
_GAP_V = 4.5
"""Between the windows of C and D: no state at all."""

AMBIENT_C = 25.0
_HEATING_C = 20.0
"""Above ambient at rated current, after a while."""
_HEATING_S = 600.0
_HOT_C = 72.0


class PilotBreak(enum.Enum):
    """What is wrong between the charger's pilot and the car."""

    NONE = "none"
    SHORT = "short"
    DIODE = "diode"
    GAP = "gap"


class CableBreak(enum.Enum):
    """What is wrong with the proximity resistor."""

    NONE = "none"
    BAD = "bad"
    CHANGED = "changed"


@dataclass(slots=True)
class Wounds:
    """Injected faults of one connector that are not a component's own."""

    pilot: PilotBreak = PilotBreak.NONE
    cable: CableBreak = CableBreak.NONE
    is_hot: bool = False
    is_sensor_lost: bool = False
    is_lock_jammed: bool = False


class Connector:
    """The power path and the wires of one connector; satisfies `PilotCircuit`."""

    def __init__(self, section: ConnectorSection, memory: ConnectorMemory) -> None:
        self.section = section
        self.contactor = Contactor(memory.closings)
        self.residual = ResidualMonitor()
        self.wounds = Wounds()
        self.car = Car(memory.car, memory.soc_pct)
        self.has_car = memory.has_car
        self.cable_a = memory.cable_a if memory.cable_a in CABLE_OHM else 0
        """Rating of the loose cable in the socket; 0: empty."""
        self.energy_wh = memory.energy_wh
        """The session meter's register, with its fraction."""
        self.is_register_held = False
        self.output = PilotOutput.X1
        self.duty = 1.0
        self.is_permitted = False
        self.is_relay_on = False
        self.is_locked = False
        """The plug is held. No mains, no lock: a solenoid's spring, or a motor's reserve, sets the plug free."""
        self._is_lock_driven = False
        self.held_temperature_c: float | None = None
        """Held there by the simulator's user."""
        self._warmth_c = AMBIENT_C
        self._apart_s = math.inf
        """Since the last car was unplugged."""
        self._is_cable_leaving = False
        self._coming_cable_a: int | None = None
        """Cable of a car that is about to be plugged in."""
        self.voltage_v = PerPhase.uniform(0.0)
        """At the charger's terminals, in the charger's order."""

    def memory(self) -> ConnectorMemory:
        """Return what a power cut would leave."""
        return ConnectorMemory(
            self.section.id,
            self.energy_wh,
            self.contactor.closings,
            self.has_car,
            0 if self._is_cable_leaving else self.cable_a,
            self.car.soc_pct,
            self.car.settings,
        )

    # --- the co-processor's side (PilotCircuit) -----------------------------------------------------------

    def drive(self, output: PilotOutput, duty: float) -> None:
        """Drive the pilot."""
        self.output = output
        self.duty = duty

    def read_pilot(self) -> PilotVoltages:
        """Both half-waves at the charger's end of the pilot wire; they are equal where nothing oscillates."""
        if self.output is PilotOutput.E or self.wounds.pilot is PilotBreak.SHORT:
            return PilotVoltages(0.0, 0.0)
        negative_v = self._negative_v()
        if self.output is PilotOutput.F:
            return PilotVoltages(negative_v, negative_v)
        positive_v = self._positive_v()
        return PilotVoltages(positive_v, negative_v if self.output is PilotOutput.X2 else positive_v)

    def read_proximity_ohm(self) -> float | None:
        """Resistance between PP and PE."""
        if self.section.cable is Cable.FIXED or self.cable_a == 0:
            return None
        if self.wounds.cable is CableBreak.BAD:
            return BAD_CABLE_OHM
        return OTHER_CABLE_OHM if self.wounds.cable is CableBreak.CHANGED else CABLE_OHM[self.cable_a]

    def set_permit(self, is_permitted: bool) -> None:
        """Take the co-processor's half of the coil chain."""
        self.is_permitted = is_permitted
        self._update_coil()

    def set_locked(self, is_locked: bool) -> None:
        """Drive the lock."""
        self._is_lock_driven = is_locked
        self._move_lock()

    def read_locked(self) -> bool:
        """Position of the lock."""
        return self.is_locked

    def jam_lock(self, is_jammed: bool) -> None:
        """Keep the lock where it is, or let it follow its drive again."""
        self.wounds.is_lock_jammed = is_jammed
        self._move_lock()

    def _move_lock(self) -> None:
        if not self.wounds.is_lock_jammed:
            self.is_locked = self._is_lock_driven

    def read_temperature_c(self) -> float | None:
        """Board temperature; None when the sensor is gone."""
        return None if self.wounds.is_sensor_lost else self.temperature_c

    # --- the guard's side ----------------------------------------------------------------------------------

    def set_relay(self, is_on: bool) -> None:
        """Take the guard's half of the coil chain."""
        self.is_relay_on = is_on
        self._update_coil()

    # --- the driver's side ---------------------------------------------------------------------------------

    def plug(self, cable_a: int) -> None:
        """Connect the car; a car that is there already stays as it is.

        Nobody plugs in again faster than `HAND_S`: what is asked sooner happens then, so that two verbs in a
        row are the new car they were meant to be, and not a gap no co-processor would believe.
        """
        if self._apart_s < HAND_S:
            self._coming_cable_a = cable_a
            return
        self._coming_cable_a = None
        if self.section.cable is Cable.SOCKET and self.cable_a == 0:
            self.cable_a = cable_a
        self.has_car = True

    def unplug(self, *, leaves_cable: bool) -> None:
        """Disconnect the car. A locked plug stays in the socket, whatever the driver wanted."""
        self._coming_cable_a = None
        takes_cable = not leaves_cable and not self.is_locked
        if self.has_car:
            self.has_car = False
            self.car.unplug()
            self._apart_s = 0.0
            self._is_cable_leaving = takes_cable
        elif takes_cable and not self._is_cable_leaving:
            self.cable_a = 0

    # --- physics -------------------------------------------------------------------------------------------

    @property
    def phases(self) -> int:
        """Phases the car draws from."""
        return self.car.phases_used(self.section.phases)

    @property
    def is_idle(self) -> bool:
        """Nothing flows and nothing flowed during the last step."""
        return not self.has_car or (self.car.current_a <= 0.0 and self.car.mean_current_a <= 0.0)

    @property
    def current_a(self) -> PerPhase:
        """What flows now."""
        return self._by_phase(self.car.current_a if self.has_car and self.contactor.is_closed else 0.0)

    @property
    def mean_current_a(self) -> PerPhase:
        """What flowed on average over the last step."""
        return self._by_phase(self.car.mean_current_a if self.has_car else 0.0)

    @property
    def power_w(self) -> float:
        """Active power; the on-board charger's power factor is taken as 1."""
        return _product(self.voltage_v, self.current_a)

    @property
    def vehicle_state(self) -> str:
        """What the car does, A to D; the pilot may be too broken to tell."""
        if not self.has_car:
            return "A"
        if not self.car.is_s2_closed:
            return "B"
        return "D" if self.car.quirks.needs_ventilation else "C"

    @property
    def car_reads_a(self) -> float | None:
        """Current the car reads from the pilot; None where it must not charge."""
        if not self.has_car or self._output_at_car is not PilotOutput.X2:
            return None
        return read_duty_a(self.duty)

    @property
    def temperature_c(self) -> float:
        """What the board really has."""
        if self.wounds.is_hot:
            return _HOT_C
        return self._warmth_c if self.held_temperature_c is None else self.held_temperature_c

    def next_change_s(self) -> float:
        """Seconds until something here changes by itself."""
        return min(
            self.contactor.next_change_s(),
            self.residual.next_change_s(),
            self.car.next_change_s() if self.has_car else math.inf,
            math.inf if self._coming_cable_a is None else HAND_S - self._apart_s,
            PULL_S - self._apart_s if self._is_cable_leaving else math.inf,
        )

    def step(self, dt_s: float, voltage_v: PerPhase, speed: float) -> None:
        """Let time pass; the register takes what flowed, the battery `speed` times as much."""
        self._apart_s += dt_s
        if self._is_cable_leaving and self._apart_s >= PULL_S - 1e-9:
            self._is_cable_leaving = False
            self.cable_a = 0
        if self._coming_cable_a is not None and self._apart_s >= HAND_S - 1e-9:
            self._apart_s = math.inf
            self.plug(self._coming_cable_a)
        self.voltage_v = voltage_v
        supply_v = voltage_v.l1 if self.contactor.is_closed else 0.0
        if self.has_car:
            self.car.step(dt_s, Inlet(self._output_at_car, self.duty, supply_v, self.section.phases))
        if not self.is_idle:
            energy_wh = _product(voltage_v, self.mean_current_a) * dt_s / 3600.0
            self.car.store(energy_wh * speed)
            self.energy_wh += 0.0 if self.is_register_held else energy_wh
        self._heat(dt_s)
        self.residual.step(dt_s)
        self.contactor.step(dt_s)

    def _update_coil(self) -> None:
        self.contactor.energise(self.is_permitted and self.is_relay_on)

    @property
    def _output_at_car(self) -> PilotOutput:
        return PilotOutput.E if self.wounds.pilot is PilotBreak.SHORT else self.output

    @property
    def _load_ohm(self) -> float | None:
        """What the car puts between pilot and earth; None without a car."""
        if not self.has_car:
            return None
        if not self.car.is_s2_closed:
            return _B_OHM
        return _D_OHM if self.car.quirks.needs_ventilation else _C_OHM

    def _positive_v(self) -> float:
        load_ohm = self._load_ohm
        if load_ohm is None:
            return _SOURCE_V
        if self.wounds.pilot is PilotBreak.GAP:
            return _GAP_V
        diode_v = 0.0 if self.wounds.pilot is PilotBreak.DIODE else _DIODE_V
        return diode_v + (_SOURCE_V - diode_v) * load_ohm / (load_ohm + _SOURCE_OHM)

    def _negative_v(self) -> float:
        """The car's diode keeps its load off this half; without it the load divides it as well."""
        load_ohm = self._load_ohm
        if load_ohm is None or self.wounds.pilot is not PilotBreak.DIODE:
            return -_SOURCE_V
        return -_SOURCE_V * load_ohm / (load_ohm + _SOURCE_OHM)

    def _by_phase(self, current_a: float) -> PerPhase:
        used = self.phases
        return PerPhase(current_a, current_a if used > 1 else 0.0, current_a if used > 2 else 0.0)  # noqa: PLR2004

    def _heat(self, dt_s: float) -> None:
        load = (self.car.mean_current_a if self.has_car else 0.0) / self.section.max_a
        aim_c = AMBIENT_C + _HEATING_C * load * load
        self._warmth_c += (aim_c - self._warmth_c) * min(1.0, dt_s / _HEATING_S)


def _product(a: PerPhase, b: PerPhase) -> float:
    return a.l1 * b.l1 + a.l2 * b.l2 + a.l3 * b.l3
