import dataclasses

import pytest

from evcharge_hal.boards.board import Cable, ConnectorPins, ConnectorSection
from evcharge_hal.contract.pilot import PilotOutput
from evcharge_hal.contract.units import Amps, PerPhase
from evcharge_hal.sim.plant.car import CarQuirks
from evcharge_hal.sim.plant.connector import HAND_S, PULL_S, CableBreak, Connector, PilotBreak
from evcharge_hal.sim.plant.memory import ConnectorMemory

GRID = PerPhase.uniform(230.0)
SECTION = ConnectorSection(id=1, pins=ConnectorPins(relay=17))
IN_C = {"has_car": True, "is_s2_closed": True}
IN_B = {"has_car": True, "is_s2_closed": False}
NO_CAR = {"has_car": False, "is_s2_closed": False}


def make(section=SECTION, *, has_car=True, is_s2_closed=False) -> Connector:
    connector = Connector(section, ConnectorMemory(1))
    if has_car:
        connector.plug(32)
    connector.car.is_s2_closed = is_s2_closed
    return connector


@pytest.mark.parametrize(
    ("output", "car", "high", "low"),
    [
        (PilotOutput.X1, NO_CAR, (11, 13), (11, 13)),
        (PilotOutput.X2, NO_CAR, (11, 13), (-13, -11)),
        (PilotOutput.X1, IN_B, (8, 10), (8, 10)),
        (PilotOutput.X2, IN_B, (8, 10), (-13, -11)),
        (PilotOutput.X1, IN_C, (5, 7), (5, 7)),
        (PilotOutput.X2, IN_C, (5, 7), (-13, -11)),
        (PilotOutput.F, IN_B, (-13, -11), (-13, -11)),
        (PilotOutput.E, IN_B, (-1, 1), (-1, 1)),
    ],
)
def test_pilot_levels_are_those_of_the_standard(output, car, high, low):
    connector = make(**car)
    connector.drive(output, 0.5)
    volts = connector.read_pilot()
    assert high[0] <= volts.high_v <= high[1]
    assert low[0] <= volts.low_v <= low[1]


def test_a_car_that_needs_ventilation_shows_d():
    connector = make(**IN_C)
    connector.car.quirks = CarQuirks(needs_ventilation=True)
    connector.drive(PilotOutput.X2, 0.5)
    assert 2.0 <= connector.read_pilot().high_v <= 4.0
    assert connector.vehicle_state == "D"


@pytest.mark.parametrize(
    ("wound", "high", "low"),
    [
        (PilotBreak.SHORT, (-1, 1), (-1, 1)),
        (PilotBreak.DIODE, (5, 7), (-11, -4)),
        (PilotBreak.GAP, (4, 5), (-13, -11)),
    ],
)
def test_a_broken_pilot_leaves_its_windows(wound, high, low):
    connector = make(**IN_C)
    connector.wounds.pilot = wound
    connector.drive(PilotOutput.X2, 0.5)
    volts = connector.read_pilot()
    assert high[0] <= volts.high_v <= high[1]
    assert low[0] < volts.low_v < low[1]


@pytest.mark.parametrize(("cable_a", "ohm"), [(13, 1500.0), (20, 680.0), (32, 220.0), (63, 100.0)])
def test_each_cable_has_its_resistor(cable_a, ohm):
    connector = Connector(SECTION, ConnectorMemory(1))
    assert connector.read_proximity_ohm() is None
    connector.plug(cable_a)
    assert connector.read_proximity_ohm() == ohm
    connector.plug(13 if cable_a != 13 else 63)
    assert connector.read_proximity_ohm() == ohm, "plugging twice does not change the cable"
    connector.wounds.cable = CableBreak.BAD
    assert connector.read_proximity_ohm() == pytest.approx(40.0)
    connector.wounds.cable = CableBreak.CHANGED
    assert connector.read_proximity_ohm() == 1500.0


def test_a_fixed_cable_has_no_resistor():
    connector = make(dataclasses.replace(SECTION, cable=Cable.FIXED))
    assert connector.read_proximity_ohm() is None
    assert connector.vehicle_state == "B"


def test_the_cable_may_stay_in_the_socket():
    connector = make()
    connector.unplug(leaves_cable=True)
    advance(connector, 1.0)
    assert (connector.vehicle_state, connector.read_proximity_ohm()) == ("A", 220.0)
    connector.unplug(leaves_cable=False)
    assert connector.read_proximity_ohm() is None


def test_the_pilot_breaks_before_the_proximity_contact():
    connector = make()
    connector.unplug(leaves_cable=False)
    connector.unplug(leaves_cable=False)
    assert (connector.vehicle_state, connector.read_proximity_ohm()) == ("A", 220.0)
    advance(connector, PULL_S + 0.02)
    assert connector.read_proximity_ohm() is None


def test_a_locked_plug_stays_in_the_socket():
    connector = make()
    connector.set_locked(True)
    connector.unplug(leaves_cable=False)
    advance(connector, 1.0)
    assert (connector.vehicle_state, connector.read_proximity_ohm()) == ("A", 220.0)


@pytest.mark.parametrize(("permit", "relay", "is_on"), [(0, 0, 0), (0, 1, 0), (1, 0, 0), (1, 1, 1)])
def test_the_coil_needs_both_halves_of_its_chain(permit, relay, is_on):
    connector = make()
    connector.set_permit(bool(permit))
    connector.set_relay(bool(relay))
    connector.step(0.05, GRID, 1.0)
    assert connector.contactor.is_energised is bool(is_on)


@pytest.mark.parametrize(
    ("wired", "of_car", "used"), [(3, 3, (1, 1, 1)), (3, 2, (1, 1, 0)), (3, 1, (1, 0, 0)), (1, 3, (1, 0, 0))]
)
def test_current_flows_in_the_phases_both_have(wired, of_car, used):
    connector = make(dataclasses.replace(SECTION, phases=wired), **IN_C)
    connector.car.ask(dataclasses.replace(connector.car.settings, phases=of_car), 20.0)
    connector.car.current_a = 10.0
    connector.contactor.is_closed = True
    assert connector.current_a == PerPhase(*(10.0 * phase for phase in used))


def test_the_board_warms_with_the_square_of_the_current():
    connector = make(dataclasses.replace(SECTION, max_a=Amps(16.0)), **IN_C)
    connector.drive(PilotOutput.X2, 16.0 / 60.0)
    connector.set_permit(True)
    connector.set_relay(True)
    for _ in range(20 * 1200):
        connector.step(0.05, GRID, 0.1)
    assert 40.0 < connector.temperature_c < 46.0
    connector.held_temperature_c = 62.0
    assert connector.read_temperature_c() == 62.0
    connector.wounds.is_hot = True
    assert connector.read_temperature_c() == 72.0
    connector.wounds.is_sensor_lost = True
    assert connector.read_temperature_c() is None


def advance(connector: Connector, duration_s: float) -> None:
    for _ in range(round(duration_s / 0.02)):
        connector.step(0.02, GRID, 1.0)


def test_unplugging_and_plugging_in_a_row_is_seen_as_two_cars():
    connector = make()
    connector.unplug(leaves_cable=False)
    connector.plug(13)
    assert connector.vehicle_state == "A", "a hand needs its time"
    advance(connector, HAND_S - 0.04)
    assert connector.vehicle_state == "A"
    advance(connector, 0.08)
    assert (connector.vehicle_state, connector.read_proximity_ohm()) == ("B", 1500.0)


def test_a_car_that_was_about_to_come_may_stay_away():
    connector = make()
    connector.unplug(leaves_cable=False)
    connector.plug(13)
    connector.unplug(leaves_cable=False)
    advance(connector, 2.0)
    assert connector.vehicle_state == "A"
    connector.plug(20)
    assert connector.vehicle_state == "B", "after a while it is immediate"
