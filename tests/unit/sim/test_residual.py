import pytest

from evcharge_hal.sim.plant.residual import LEAKAGE_A, RELEASE_S, TEST_DELAY_S, TRIP_DELAY_S, ResidualMonitor


def after(monitor: ResidualMonitor, duration_s: float) -> bool:
    for _ in range(round(duration_s / 0.001)):
        monitor.step(0.001)
    return monitor.is_tripped


def test_leakage_trips_at_once_and_is_released_after_it_has_gone():
    monitor = ResidualMonitor()
    monitor.residual_a = LEAKAGE_A
    assert not after(monitor, TRIP_DELAY_S - 0.002)
    assert after(monitor, 0.004)
    assert after(monitor, 60.0), "it stays while the leakage stays"
    monitor.residual_a = 0.0
    assert after(monitor, RELEASE_S - 0.005)
    assert not after(monitor, 0.010)


@pytest.mark.parametrize(("residual_a", "trips"), [(0.0, False), (0.005, False), (0.006, True), (0.3, True)])
def test_the_threshold_is_6_ma(residual_a, trips):
    monitor = ResidualMonitor()
    monitor.residual_a = residual_a
    assert after(monitor, 1.0) is trips


def test_the_test_winding_trips_it_when_driven_long_enough():
    monitor = ResidualMonitor()
    monitor.is_test_driven = True
    assert not after(monitor, TEST_DELAY_S - 0.005)
    assert after(monitor, 0.010)
    monitor.is_test_driven = False
    assert not after(monitor, RELEASE_S + 0.005)


def test_a_short_pulse_and_a_broken_winding_do_nothing():
    monitor = ResidualMonitor()
    monitor.is_test_driven = True
    assert not after(monitor, 0.1)
    monitor.is_test_driven = False
    assert not after(monitor, 1.0)
    monitor.is_test_broken = monitor.is_test_driven = True
    assert not after(monitor, 5.0)
    monitor.residual_a = LEAKAGE_A
    assert after(monitor, 0.1), "a broken winding does not stop it from protecting"


def test_it_names_the_instant_of_its_next_change():
    monitor = ResidualMonitor()
    assert monitor.next_change_s() == float("inf")
    monitor.residual_a = LEAKAGE_A
    monitor.step(monitor.next_change_s())
    assert monitor.is_tripped
    assert monitor.next_change_s() == float("inf")
    monitor.residual_a = 0.0
    monitor.step(monitor.next_change_s())
    assert not monitor.is_tripped
