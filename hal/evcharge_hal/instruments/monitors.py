"""What a meter's own readings say against it: frozen, out of range, energy against power, clamps turned. Pure.

Each is a state and a step; `MeterWatch` puts them together for one meter.
"""

import math
from dataclasses import dataclass, field, replace

from evcharge_hal.contract.units import PerPhase, WattHours
from evcharge_hal.instruments.registers import RegisterMap
from evcharge_hal.instruments.values import MeterValues

FROZEN_S = 30.0
"""All registers identical for so long under load (DESIGN 4b)."""
LOAD_A = 1.0
LOAD_W = 200.0
MOST_VOLTAGE_V = 500.0
MOST_CURRENT_A = 10_000.0
LEAST_FREQUENCY_HZ = 40.0
MOST_FREQUENCY_HZ = 70.0
_SLACK = 1.05
"""A power factor or a power a little over what arithmetic allows is rounding."""
_POWER_SLACK_W = 100.0
ENERGY_TOLERANCE = 0.05
ENERGY_WINDOW_WH = 500.0
"""Energy by power that has to be counted before register and power are compared."""
_STEPS_IN_WINDOW = 50
_LONGEST_STEP_S = 10.0
"""Between readings further apart power may have been anything."""
REVERSED_A = 0.5
ROLLOVER_NEAR = 0.02
"""How near to the end and the beginning a register has to be for a fall to be a rollover."""


@dataclass(frozen=True, slots=True)
class Frozen:
    """The last reading that differed from the one before, and when it came."""

    values: MeterValues | None = None
    since_s: float = 0.0


def watch_frozen(state: Frozen, values: MeterValues, now_s: float) -> tuple[Frozen, bool]:
    """Take a reading in; True while a meter under load has repeated itself for 30 s."""
    if values != state.values or not is_under_load(values):
        return Frozen(values, now_s), False
    return state, now_s - state.since_s >= FROZEN_S


def is_under_load(values: MeterValues) -> bool:
    """Tell whether current or power flows, as far as the meter says."""
    if values.current_a is not None:
        return max(abs(values.current_a.l1), abs(values.current_a.l2), abs(values.current_a.l3)) >= LOAD_A
    return values.power_w is not None and abs(values.power_w) >= LOAD_W


def implausible(values: MeterValues, ct_ratio: float = 1.0) -> str | None:
    """Say what no meter can mean; None when everything can be. Limits of current are before the clamps' ratio."""
    if values.voltage_v is not None and not _are_within(values.voltage_v, 0.0, MOST_VOLTAGE_V):
        return f"voltage outside 0 to {MOST_VOLTAGE_V:g} V"
    if values.current_a is not None and not _are_within(values.current_a, -MOST_CURRENT_A, MOST_CURRENT_A):
        return f"current beyond {MOST_CURRENT_A:g} A"
    frequency_hz = values.frequency_hz
    # 0 is what some meters say while they have no voltage.
    if frequency_hz and not LEAST_FREQUENCY_HZ <= frequency_hz <= MOST_FREQUENCY_HZ:
        return f"frequency of {frequency_hz:g} Hz"
    if values.power_factor is not None and abs(values.power_factor) > _SLACK:
        return f"power factor of {values.power_factor:g}"
    if values.power_w is not None and abs(values.power_w) > _most_power_w(values, ct_ratio):
        return f"power of {values.power_w:.0f} W with less voltage times current"
    return None


def _are_within(phases: PerPhase, least: float, most: float) -> bool:
    return all(least <= value <= most for value in (phases.l1, phases.l2, phases.l3))


def _most_power_w(values: MeterValues, ct_ratio: float) -> float:
    if values.voltage_v is None or values.current_a is None:
        return math.inf
    volts, amps = values.voltage_v, values.current_a
    apparent_va = abs(volts.l1 * amps.l1) + abs(volts.l2 * amps.l2) + abs(volts.l3 * amps.l3)
    return apparent_va * _SLACK + _POWER_SLACK_W / ct_ratio


@dataclass(frozen=True, slots=True)
class EnergyBalance:
    """Register and summed power since a common beginning."""

    began_wh: int | None = None
    by_power_wh: float = 0.0
    power_w: float | None = None
    at_s: float = 0.0
    is_off: bool = False


def watch_energy(state: EnergyBalance, values: MeterValues, now_s: float, step_wh: float) -> EnergyBalance:
    """Take a reading in; `is_off` tells how the last finished window ended.

    Import only: while power flows back, or a reading is missing for 10 s, the window begins anew.
    """
    energy_wh, power_w = values.energy_wh, values.power_w
    if energy_wh is None or power_w is None or power_w < 0.0:
        return EnergyBalance(is_off=state.is_off)
    begun = EnergyBalance(energy_wh, 0.0, power_w, now_s, state.is_off)
    if state.began_wh is None or state.power_w is None or now_s - state.at_s > _LONGEST_STEP_S:
        return begun
    by_power_wh = state.by_power_wh + (state.power_w + power_w) / 2.0 * (now_s - state.at_s) / 3600.0
    if by_power_wh < max(ENERGY_WINDOW_WH, _STEPS_IN_WINDOW * step_wh):
        return replace(state, by_power_wh=by_power_wh, power_w=power_w, at_s=now_s)
    counted_wh = energy_wh - state.began_wh
    is_off = abs(counted_wh - by_power_wh) > ENERGY_TOLERANCE * by_power_wh + 2.0 * step_wh
    return replace(begun, is_off=is_off)


def reversed_phases(values: MeterValues) -> tuple[str, ...]:
    """Phases whose power flows back although another draws: a clamp or a wire turned around.

    Only for meters behind which nothing produces: a session meter.
    """
    power_w, current_a = values.power_by_phase_w, values.current_a
    if power_w is None or current_a is None:
        return ()
    drawn = (("l1", power_w.l1, current_a.l1), ("l2", power_w.l2, current_a.l2), ("l3", power_w.l3, current_a.l3))
    return tuple(name for name, watts, amps in drawn if abs(amps) >= REVERSED_A and watts < -LOAD_W / 2.0)


def signed_current_a(values: MeterValues) -> PerPhase | None:
    """Currents with the sign of their phase's power, import positive; most meters tell magnitudes only."""
    current_a, power_w = values.current_a, values.power_by_phase_w
    if current_a is None or power_w is None:
        return current_a
    return PerPhase(
        math.copysign(current_a.l1, power_w.l1),
        math.copysign(current_a.l2, power_w.l2),
        math.copysign(current_a.l3, power_w.l3),
    )


@dataclass(frozen=True, slots=True)
class Counter:
    """A register that starts at 0 again when it is full."""

    last_wh: int | None = None
    offset_wh: int = 0


def count_on(state: Counter, energy_wh: WattHours, rollover_wh: float | None) -> tuple[Counter, WattHours]:
    """Count on over the end of a register; any other fall is handed on as it is, for others to judge."""
    offset_wh = state.offset_wh
    if rollover_wh is not None and state.last_wh is not None:
        was_near_end = state.last_wh >= (1.0 - ROLLOVER_NEAR) * rollover_wh
        if was_near_end and energy_wh <= ROLLOVER_NEAR * rollover_wh:
            offset_wh += round(rollover_wh)
    return Counter(energy_wh, offset_wh), WattHours(energy_wh + offset_wh)


@dataclass(frozen=True, slots=True)
class MeterWatch:
    """Everything watched of one meter, and what was found last."""

    frozen: Frozen = field(default_factory=Frozen)
    balance: EnergyBalance = field(default_factory=EnergyBalance)
    counter: Counter = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class Judgement:
    """`values` to go on with; `failure`: they must not be used, and why; `doubts`: they may, but."""

    values: MeterValues
    failure: str | None = None
    doubts: tuple[str, ...] = ()


def judge(
    watch: MeterWatch, values: MeterValues, now_s: float, register_map: RegisterMap | None = None, ct_ratio: float = 1.0
) -> tuple[MeterWatch, Judgement]:
    """Judge a reading of a session meter, as it came from the meter, before any ratio of clamps."""
    rollover_wh = register_map.rollover_wh if register_map is not None else None
    step_wh = register_map.energy_step_wh if register_map is not None else 1.0
    counter = watch.counter
    frozen, is_frozen = watch_frozen(watch.frozen, values, now_s)
    if values.energy_wh is not None:
        counter, energy_wh = count_on(watch.counter, values.energy_wh, rollover_wh)
        values = replace(values, energy_wh=energy_wh)
    balance = watch_energy(watch.balance, values, now_s, step_wh)
    failure = f"frozen: the same registers for {FROZEN_S:.0f} s under load" if is_frozen else None
    said = implausible(values, ct_ratio)
    if said is not None:
        failure = f"implausible: {said}"
    doubts = [f"current flows backwards on {phase}: clamp or wires turned" for phase in reversed_phases(values)]
    if balance.is_off:
        doubts.append(f"the register counts more than {ENERGY_TOLERANCE:.0%} off the power")
    return MeterWatch(frozen, balance, counter), Judgement(values, failure, tuple(doubts))
