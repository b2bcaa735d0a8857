"""Laws of the plant that hold whatever guard, car and driver do."""

import dataclasses
from collections import deque

from hypothesis import given, settings
from hypothesis import strategies as st

from evcharge_hal.boards.board import Rotation
from evcharge_hal.boards.loader import load_board
from evcharge_hal.contract.pilot import PilotOutput
from evcharge_hal.contract.units import PerPhase
from evcharge_hal.sim.plant.car import CarSettings, read_duty_a
from evcharge_hal.sim.plant.connector import Connector
from evcharge_hal.sim.plant.memory import PlantMemory
from evcharge_hal.sim.plant.plant import Plant
from evcharge_hal.sim.plant.site import HouseLoad

EMPTY = PlantMemory()
LAW = settings(deadline=None, max_examples=25, print_blob=True)
SAMPLE_S = 0.02
OBEYS_WITHIN_S = 5.0

cars = st.builds(
    CarSettings,
    current_a=st.sampled_from([6.0, 10.0, 16.0, 32.0, 63.0]),
    phases=st.integers(1, 3),
    min_current_a=st.sampled_from([0.0, 6.0, 8.0, 13.0]),
    battery_wh=st.sampled_from([300.0, 50_000.0]),
    is_after_pwm=st.booleans(),
    is_sleepy=st.booleans(),
)
drives = st.one_of(
    st.tuples(st.just(PilotOutput.X2), st.floats(0.0, 1.0)),
    st.tuples(st.just(PilotOutput.X2), st.floats(0.1, 0.6)),
    st.tuples(st.sampled_from([PilotOutput.X1, PilotOutput.E, PilotOutput.F]), st.just(1.0)),
)
moments = st.lists(
    st.tuples(drives, st.booleans(), st.booleans(), st.booleans(), st.floats(0.05, 4.0)), min_size=3, max_size=10
)


def make_plant(rotation: Rotation = Rotation.RST) -> tuple[Plant, Connector]:
    board = load_board(None)
    sections = tuple(dataclasses.replace(section, rotation=rotation) for section in board.connector)
    plant = Plant(dataclasses.replace(board, connector=sections), 230.0, EMPTY)
    return plant, plant.connectors[1]


def advance(plant: Plant, duration_s: float) -> None:
    end_s = plant.elapsed_s + duration_s
    while plant.elapsed_s < end_s - 1e-9:
        plant.step(min(plant.next_step_s(), end_s - plant.elapsed_s))


def obey(connector: Connector, moment) -> float:
    """Bring the wires into the state a moment asks for; return how long it lasts."""
    (output, duty), permit, relay, is_plugged, duration_s = moment
    connector.drive(output, duty)
    connector.set_permit(permit)
    connector.set_relay(relay)
    if is_plugged:
        connector.plug(32)
    else:
        connector.unplug(leaves_cable=False)
    return duration_s


def power_w(connector: Connector) -> float:
    volts, amps = connector.voltage_v, connector.current_a
    return volts.l1 * amps.l1 + volts.l2 * amps.l2 + volts.l3 * amps.l3


@LAW
@given(car=cars, trace=moments)
def test_no_current_flows_through_an_open_contactor_or_without_a_car(car, trace):
    plant, connector = make_plant()
    connector.car.ask(car, 20.0)
    for moment in trace:
        duration_s = obey(connector, moment)
        for _ in range(int(duration_s / SAMPLE_S)):
            register_wh, closings = connector.energy_wh, connector.contactor.closings
            was_closed = connector.contactor.is_closed
            advance(plant, SAMPLE_S)
            is_closed = connector.contactor.is_closed
            if not connector.has_car or not is_closed:
                assert connector.current_a.total == 0.0
            if not connector.has_car or not (was_closed or is_closed or connector.contactor.closings > closings):
                assert connector.energy_wh == register_wh


@LAW
@given(car=cars, trace=moments)
def test_a_sound_car_never_draws_more_than_it_read_in_the_last_5_s(car, trace):
    plant, connector = make_plant()
    connector.car.ask(car, 20.0)
    read: deque[float] = deque([0.0], maxlen=int(OBEYS_WITHIN_S / SAMPLE_S))
    for moment in trace:
        duration_s = obey(connector, moment)
        for _ in range(int(duration_s / SAMPLE_S)):
            read.append((connector.output is PilotOutput.X2 and read_duty_a(connector.duty)) or 0.0)
            advance(plant, SAMPLE_S)
            assert connector.current_a.maximum <= max(read) + 1e-6
            assert connector.current_a.maximum <= car.current_a + 1e-6


@LAW
@given(car=cars, trace=moments, speed=st.sampled_from([1.0, 60.0]))
def test_the_register_is_the_integral_of_volts_times_amps(car, trace, speed):
    plant, connector = make_plant()
    plant.speed = speed
    connector.car.ask(car, 20.0)
    stored_wh = connector.car.battery_energy_wh
    integral_wh = 0.0
    for moment in trace:
        duration_s = obey(connector, moment)
        for _ in range(int(duration_s / 0.01)):
            before_w = power_w(connector)
            register_wh = connector.energy_wh
            advance(plant, 0.01)
            integral_wh += (before_w + power_w(connector)) / 2.0 * 0.01 / 3600.0
            assert connector.energy_wh >= register_wh, "a register never runs backwards"
    assert abs(connector.energy_wh - integral_wh) < 1.0
    room_wh = car.battery_wh - stored_wh
    expected_wh = min(room_wh, connector.energy_wh * speed)
    assert abs(connector.car.battery_energy_wh - stored_wh - expected_wh) < 1e-6 * car.battery_wh


@LAW
@given(
    rotation=st.sampled_from(Rotation),
    phases=st.integers(1, 3),
    load=st.tuples(*[st.floats(0.0, 60.0)] * 3),
    pv_w=st.sampled_from([0.0, 5000.0, 60_000.0]),
)
def test_the_grid_carries_house_and_cars_less_the_sun(rotation, phases, load, pv_w):
    plant, connector = make_plant(rotation)
    plant.house = HouseLoad(PerPhase(*load), pv_w)
    connector.car.ask(CarSettings(phases=phases), 20.0)
    obey(connector, ((PilotOutput.X2, 0.2), True, True, True, 0.0))
    advance(plant, 8.0)
    assert abs(connector.current_a.total - 12.0 * phases) < 1e-6
    expected_a = sum(load) + 12.0 * phases - pv_w / 230.0
    assert abs(plant.grid_current_a.total - expected_a) < 1e-6
    imported_wh, exported_wh = plant.grid_import_wh, plant.grid_export_wh
    advance(plant, 20.0)
    change_wh = plant.grid_import_wh - imported_wh - (plant.grid_export_wh - exported_wh)
    assert abs(change_wh - plant.grid_power_w.total / 180.0) < 1.0 + abs(change_wh) * 0.01


def test_a_faster_world_fills_the_battery_and_nothing_else():
    energies, socs = [], []
    for speed in (1.0, 100.0):
        plant, connector = make_plant()
        plant.speed = speed
        connector.car.ask(CarSettings(battery_wh=100_000.0), 0.0)
        obey(connector, ((PilotOutput.X2, 16.0 / 60.0), True, True, True, 0.0))
        advance(plant, 60.0)
        energies.append(connector.energy_wh)
        socs.append(connector.car.soc_pct)
    assert energies[0] == energies[1]
    assert abs(socs[1] - 100.0 * socs[0]) < 1e-6
