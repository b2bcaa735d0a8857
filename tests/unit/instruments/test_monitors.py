"""What a meter's own readings say against it."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evcharge_hal.contract.units import PerPhase, WattHours
from evcharge_hal.instruments.monitors import (
    Counter,
    EnergyBalance,
    Frozen,
    Judgement,
    MeterWatch,
    count_on,
    implausible,
    judge,
    reversed_phases,
    signed_current_a,
    watch_energy,
    watch_frozen,
)
from evcharge_hal.instruments.registers import load_map
from evcharge_hal.instruments.values import MeterValues

LOADED = MeterValues(
    energy_wh=WattHours(1000),
    power_w=3680.0,
    current_a=PerPhase(16.0, 0.0, 0.0),
    voltage_v=PerPhase(230.0, 230.0, 230.0),
    power_factor=1.0,
    frequency_hz=50.0,
)
IDLE = replace(LOADED, power_w=0.0, current_a=PerPhase.uniform(0.0))


def frozen_at(values: MeterValues, seconds: list[float]) -> list[bool]:
    state, found = Frozen(), []
    for now_s in seconds:
        state, is_frozen = watch_frozen(state, values, now_s)
        found.append(is_frozen)
    return found


def test_the_same_registers_for_30_s_under_load_are_frozen():
    assert frozen_at(LOADED, [100.0, 115.0, 129.9, 130.0, 131.0]) == [False, False, False, True, True]


def test_a_meter_without_load_may_repeat_itself():
    assert not any(frozen_at(IDLE, [0.0, 60.0, 3600.0]))


def test_a_load_without_currents_is_seen_by_the_power():
    totals = MeterValues(energy_wh=WattHours(5), power_w=-250.0)
    assert frozen_at(totals, [0.0, 30.0]) == [False, True]
    assert frozen_at(replace(totals, power_w=150.0), [0.0, 30.0]) == [False, False]


def test_one_other_register_ends_it():
    state, _ = watch_frozen(Frozen(), LOADED, 0.0)
    state, is_frozen = watch_frozen(state, LOADED, 31.0)
    assert is_frozen
    state, is_frozen = watch_frozen(state, replace(LOADED, frequency_hz=50.01), 32.0)
    assert not is_frozen
    assert watch_frozen(state, replace(LOADED, frequency_hz=50.01), 61.0)[1] is False


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({}, None),
        ({"voltage_v": PerPhase(230.0, 500.1, 230.0)}, "voltage"),
        ({"voltage_v": PerPhase(-1.0, 230.0, 230.0)}, "voltage"),
        ({"current_a": PerPhase(0.0, 0.0, 10_001.0)}, "current"),
        ({"frequency_hz": 500.0}, "frequency of 500 Hz"),
        ({"frequency_hz": 39.9}, "frequency"),
        ({"frequency_hz": 0.0}, None),
        ({"power_factor": 1.2}, "power factor"),
        ({"power_factor": -1.0}, None),
        ({"power_w": 3680.0 * 1.05 + 99.0}, None),
        ({"power_w": 3680.0 * 1.05 + 101.0}, "less voltage times current"),
        ({"power_w": -5000.0}, "less voltage times current"),
        ({"power_w": 1e6, "current_a": None}, None),
        ({"current_a": PerPhase(-16.0, 0.0, 0.0), "power_w": -3680.0}, None),
    ],
)
def test_what_no_meter_can_mean_is_named(change, told):
    said = implausible(replace(LOADED, **change))
    assert said is None if told is None else said is not None and told in said


def test_behind_clamps_little_power_is_much():
    few = replace(IDLE, power_w=50.0)
    assert implausible(few) is None
    assert implausible(few, ct_ratio=30.0) is not None


def run_energy(power_w: float, counted_per_s_wh: float, seconds: int, step_wh: float = 1.0) -> EnergyBalance:
    state, exact_wh = EnergyBalance(), 1000.0
    for second in range(seconds):
        shown_wh = WattHours(int(exact_wh / step_wh) * int(step_wh))
        state = watch_energy(state, replace(LOADED, energy_wh=shown_wh, power_w=power_w), float(second), step_wh)
        exact_wh += counted_per_s_wh
    return state


@pytest.mark.parametrize("step_wh", [1.0, 10.0])
@pytest.mark.parametrize(
    ("factor", "is_off"), [(1.0, False), (1.04, False), (0.96, False), (1.12, True), (0.88, True), (0.0, True)]
)
def test_register_and_power_are_compared(factor, is_off, step_wh):
    power_w = 7200.0  # 2 Wh a second: 500 Wh take 250 s
    assert run_energy(power_w, factor * 2.0, 600, step_wh).is_off is is_off


def test_a_coarse_register_needs_more_energy():
    """100 Wh a step: compared after 5 kWh, not after 500 Wh."""
    assert run_energy(7200.0, 2.0, 2600, 100.0).is_off is False
    assert run_energy(7200.0, 0.0, 2400, 100.0).is_off is False
    assert run_energy(7200.0, 0.0, 2600, 100.0).is_off is True


@pytest.mark.parametrize("change", [{"energy_wh": None}, {"power_w": None}, {"power_w": -1.0}])
def test_a_window_begins_anew_where_it_cannot_be_summed(change):
    state = run_energy(7200.0, 2.0, 200)
    assert state.by_power_wh > 0.0
    assert watch_energy(state, replace(LOADED, **change), 200.0, 1.0).began_wh is None


def test_a_gap_between_readings_is_not_filled():
    state = run_energy(7200.0, 2.0, 200)
    assert watch_energy(state, LOADED, 211.0, 1.0).by_power_wh == 0.0


@pytest.mark.parametrize(
    ("power_w", "current_a", "phases"),
    [
        (PerPhase(3000.0, 3000.0, 3000.0), PerPhase.uniform(13.0), ()),
        (PerPhase(3000.0, -3000.0, 3000.0), PerPhase.uniform(13.0), ("l2",)),
        (PerPhase(-3000.0, -3000.0, -3000.0), PerPhase.uniform(13.0), ("l1", "l2", "l3")),
        (PerPhase(-20.0, 0.0, 0.0), PerPhase.uniform(0.1), ()),
        (PerPhase(-20.0, 0.0, 0.0), PerPhase.uniform(5.0), ()),
    ],
)
def test_a_clamp_turned_around_is_told_by_its_power(power_w, current_a, phases):
    assert reversed_phases(MeterValues(power_by_phase_w=power_w, current_a=current_a)) == phases


def test_currents_get_the_sign_of_their_power():
    values = MeterValues(current_a=PerPhase(5.0, 6.0, 7.0), power_by_phase_w=PerPhase(1150.0, -1380.0, 0.0))
    assert signed_current_a(values) == PerPhase(5.0, -6.0, 7.0)
    assert signed_current_a(MeterValues(current_a=PerPhase(5.0, -6.0, 7.0))) == PerPhase(5.0, -6.0, 7.0)
    assert signed_current_a(MeterValues()) is None


ROLLOVER_WH = 100_000_000


@pytest.mark.parametrize(
    ("read_wh", "counted_wh"),
    [
        ([99_999_000, 500, 600], [99_999_000, 100_000_500, 100_000_600]),
        ([98_000_000, 2_000_000], [98_000_000, 102_000_000]),
        # Not near the end, or not near the beginning: a register that was set or is damaged, for others to judge.
        ([97_000_000, 500], [97_000_000, 500]),
        ([99_999_000, 3_000_000], [99_999_000, 3_000_000]),
        ([99_999_000, 500, 99_999_999, 7], [99_999_000, 100_000_500, 199_999_999, 200_000_007]),
    ],
)
def test_a_register_that_is_full_is_counted_on(read_wh, counted_wh):
    state, found = Counter(), []
    for energy_wh in read_wh:
        state, counted = count_on(state, WattHours(energy_wh), float(ROLLOVER_WH))
        found.append(counted)
    assert found == counted_wh


@settings(max_examples=200, deadline=None)
@given(steps=st.lists(st.integers(0, ROLLOVER_WH // 60), max_size=60), began=st.integers(0, ROLLOVER_WH - 1))
def test_rollovers_change_nothing_of_what_was_counted(steps, began):
    state, true_wh = Counter(), began
    state, first = count_on(state, WattHours(began), float(ROLLOVER_WH))
    for step in steps:
        true_wh += step
        state, counted = count_on(state, WattHours(true_wh % ROLLOVER_WH), float(ROLLOVER_WH))
        assert counted - first == true_wh - began


def test_without_a_rollover_a_register_is_handed_on_as_it_is():
    state, _ = count_on(Counter(), WattHours(99_999_999), None)
    assert count_on(state, WattHours(5), None)[1] == 5


def test_a_judgement_names_the_worst():
    watch, first = judge(MeterWatch(), LOADED, 0.0, load_map("sdm630"))
    assert first == Judgement(LOADED)
    watch, second = judge(watch, LOADED, 30.0, load_map("sdm630"))
    assert second.failure == "frozen: the same registers for 30 s under load"
    _, third = judge(watch, replace(LOADED, frequency_hz=500.0), 31.0)
    assert third.failure == "implausible: frequency of 500 Hz"


def test_doubts_do_not_take_the_values_away():
    values = replace(LOADED, power_by_phase_w=PerPhase(-3680.0, 0.0, 0.0), power_w=-3680.0)
    _, judgement = judge(MeterWatch(), values, 0.0)
    assert judgement.failure is None
    assert judgement.values == values
    assert judgement.doubts == ("current flows backwards on l1: clamp or wires turned",)


number = st.one_of(st.none(), st.floats(-1e12, 1e12))
phases = st.one_of(st.none(), st.builds(PerPhase, *3 * [st.floats(-1e12, 1e12)]))


@settings(max_examples=60, deadline=None)
@given(
    readings=st.lists(
        st.builds(
            MeterValues,
            energy_wh=st.one_of(st.none(), st.integers(0, 10**14)),
            power_w=number,
            current_a=phases,
            voltage_v=phases,
            power_factor=number,
            frequency_hz=number,
            power_by_phase_w=phases,
        ),
        max_size=5,
    ),
    step_s=st.floats(0.0, 40.0),
)
def test_no_readings_whatsoever_break_the_watch(readings, step_s):
    watch = MeterWatch()
    for index, values in enumerate(readings):
        watch, judgement = judge(watch, values, index * step_s)
        assert judgement.values == values
