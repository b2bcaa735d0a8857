import dataclasses

import pytest

from evcharge_hal.contract.pilot import PilotOutput
from evcharge_hal.sim.plant.car import (
    CHARGER_START_S,
    Car,
    CarQuirks,
    CarSettings,
    Inlet,
    Request,
    read_duty_a,
)

X1 = Inlet(PilotOutput.X1, 1.0, 230.0, 3)
E = Inlet(PilotOutput.E, 0.0, 230.0, 3)


def pwm(amps: float, voltage_v: float = 230.0) -> Inlet:
    return Inlet(PilotOutput.X2, amps / 60.0 if amps <= 51.0 else amps / 250.0 + 0.64, voltage_v, 3)


def run(car: Car, inlet: Inlet, duration_s: float, step_s: float = 0.05) -> float:
    """Let time pass; return when S2 changed for the last time, or `duration_s` if it did not."""
    changed_s, now_s = duration_s, 0.0
    while now_s < duration_s - 1e-9:
        before = car.is_s2_closed
        car.step(step_s, inlet)
        now_s += step_s
        if car.is_s2_closed != before:
            changed_s = now_s
    return changed_s


@pytest.mark.parametrize(
    ("duty_pct", "current_a"),
    [
        (0.0, None),
        (3.0, None),
        (5.0, None),  # digital communication required
        (7.9, None),
        (8.0, 6.0),
        (9.9, 6.0),
        (10.0, 6.0),
        (26.0, 15.6),
        (50.0, 30.0),
        (85.0, 51.0),
        (90.0, 65.0),
        (96.0, 80.0),
        (96.5, 80.0),
        (97.1, None),
        (100.0, None),
    ],
)
def test_the_duty_is_read_by_the_vehicle_table(duty_pct, current_a):
    read_a = read_duty_a(duty_pct / 100.0)
    assert read_a is None if current_a is None else read_a == pytest.approx(current_a)


def test_it_waits_for_pwm_then_draws_what_is_offered():
    car = Car(CarSettings())
    run(car, X1, 10.0)
    assert not car.is_s2_closed
    assert run(car, pwm(10.0), 2.0) < 1.0
    run(car, pwm(10.0), 6.0)
    assert car.current_a == pytest.approx(10.0)


def test_without_voltage_it_waits_in_c_and_draws_nothing():
    car = Car(CarSettings())
    run(car, pwm(16.0, voltage_v=0.0), 20.0)
    assert (car.is_s2_closed, car.current_a) == (True, 0.0)
    run(car, pwm(16.0), CHARGER_START_S / 2)
    assert car.current_a == 0.0
    run(car, pwm(16.0), 6.0)
    assert car.current_a == pytest.approx(16.0)
    run(car, pwm(16.0, voltage_v=0.0), 0.05)
    assert car.current_a == 0.0, "no voltage, no current"


@pytest.mark.parametrize(("from_a", "to_a"), [(6.0, 32.0), (32.0, 6.0), (16.0, 10.0), (63.0, 6.0)])
def test_a_new_duty_is_followed_within_5_s(from_a, to_a):
    car = Car(CarSettings(current_a=63.0))
    run(car, pwm(from_a), 12.0)
    assert car.current_a == pytest.approx(from_a)
    run(car, pwm(to_a), 5.0)
    assert car.current_a == pytest.approx(to_a)


@pytest.mark.parametrize("current_a", [6.0, 16.0, 32.0, 63.0])
def test_without_pwm_it_ramps_down_and_goes_to_b_within_3_s(current_a):
    car = Car(CarSettings(current_a=current_a))
    run(car, pwm(current_a), 12.0)
    assert run(car, X1, 5.0) < 3.0
    assert not car.is_s2_closed
    run(car, X1, 60.0)
    assert not car.is_s2_closed
    run(car, pwm(6.0), 2.0)
    assert car.is_s2_closed, "PWM calls it back"


def test_a_car_that_does_not_wait_for_pwm_stays_in_b_after_it_was_stopped():
    car = Car(CarSettings(is_after_pwm=False))
    run(car, X1, 2.0)
    assert (car.is_s2_closed, car.current_a) == (True, 0.0)
    run(car, pwm(10.0), 10.0)
    run(car, X1, 30.0)
    assert not car.is_s2_closed
    car.ask(dataclasses.replace(car.settings, request=Request.PAUSE), None)
    car.ask(dataclasses.replace(car.settings, request=Request.CHARGE), None)
    run(car, X1, 2.0)
    assert car.is_s2_closed, "a new wish of the driver"


def test_a_car_that_ignores_6_a_stays_in_c_and_draws_nothing():
    car = Car(CarSettings(min_current_a=8.0))
    run(car, pwm(6.0), 30.0)
    assert (car.is_s2_closed, car.current_a) == (True, 0.0)
    run(car, pwm(8.0), 10.0)
    assert car.current_a == pytest.approx(8.0)


def test_pause_and_charge_are_followed():
    car = Car(CarSettings())
    run(car, pwm(16.0), 10.0)
    car.ask(dataclasses.replace(car.settings, request=Request.PAUSE), None)
    assert run(car, pwm(16.0), 5.0) < 3.0
    assert not car.is_s2_closed
    car.ask(dataclasses.replace(car.settings, request=Request.CHARGE), None)
    run(car, pwm(16.0), 2.0)
    assert car.is_s2_closed


def test_a_sleepy_car_wakes_only_from_a_dip():
    car = Car(CarSettings(is_sleepy=True))
    run(car, X1, 5.0)
    run(car, pwm(16.0), 120.0)
    assert (car.is_asleep, car.is_s2_closed) == (True, False)
    run(car, E, 0.5)
    run(car, pwm(16.0), 5.0)
    assert car.is_asleep, "too short a dip"
    run(car, E, 4.0)
    run(car, X1, 0.75)
    run(car, pwm(16.0), 2.0)
    assert (car.is_asleep, car.is_s2_closed) == (False, True)
    run(car, pwm(16.0), 300.0)
    assert car.is_s2_closed, "it does not fall asleep while it charges"
    run(car, X1, 40.0)
    assert car.is_asleep


def test_above_80_percent_it_takes_less_and_stops_when_full():
    car = Car(CarSettings(battery_wh=1000.0), soc_pct=80.0)
    run(car, pwm(16.0), 10.0)
    assert car.current_a == pytest.approx(16.0)
    car.store(100.0)
    run(car, pwm(16.0), 5.0)
    assert car.current_a == pytest.approx(8.0)
    car.store(99.0)
    run(car, pwm(16.0), 5.0)
    assert car.current_a == pytest.approx(1.6)
    car.store(50.0)
    assert (car.is_full, car.soc_pct) == (True, 100.0)
    run(car, pwm(16.0), 5.0)
    assert (car.is_s2_closed, car.current_a) == (False, 0.0)


def test_a_stubborn_car_goes_on_drawing_without_pwm():
    car = Car(CarSettings())
    car.quirks = CarQuirks(is_stubborn=True)
    run(car, pwm(10.0), 10.0)
    run(car, X1, 60.0)
    assert (car.is_s2_closed, car.current_a) == (True, pytest.approx(10.0))


def test_an_overdrawing_car_draws_more_than_any_rule_forgives():
    car = Car(CarSettings(current_a=6.0))
    car.quirks = CarQuirks(is_overdrawing=True)
    run(car, pwm(16.0), 10.0)
    assert car.current_a > 1.1 * 16.0 + 1.0


def test_unplugged_it_forgets_everything_but_its_battery():
    car = Car(CarSettings(), soc_pct=50.0)
    run(car, pwm(16.0), 10.0)
    car.unplug()
    assert (car.is_s2_closed, car.current_a, car.mean_current_a, car.soc_pct) == (False, 0.0, 0.0, 50.0)
    run(car, X1, 10.0)
    assert not car.is_s2_closed
