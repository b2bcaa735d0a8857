import dataclasses
import struct

import pytest

from evcharge_hal.boards.loader import load_board
from evcharge_hal.contract.errors import InvalidFieldError
from evcharge_hal.contract.pilot import LinkDown, LinkIncompatible, LinkUp, PilotState, ResetCause
from evcharge_hal.sim.config import SimConfig
from evcharge_hal.sim.persistence import InMemoryPersistence
from evcharge_hal.sim.verbs import FaultKind, Swipe, UnknownVerbError
from tests.support.sim_host import METERS, START_S, Host, make_world


def at(world, connector=1):
    return world.state()["connectors"][str(connector)]


def float_at(image, address):
    (value,) = struct.unpack(">f", struct.pack(">HH", *image[address : address + 2]))
    return value


def charging() -> Host:
    host = Host(make_world())
    host.charge(limit_a=15.0)
    assert host.world.plant.connectors[1].current_a.l1 == pytest.approx(15.0)
    return host


# --- the whole chain ---------------------------------------------------------------------------------------


def test_a_charge_goes_through_pilot_permit_relay_and_meter():
    host = charging()
    state = at(host.world)
    assert (state["vehicle_state"], state["is_contactor_closed"]) == ("C", True)
    assert state["pilot"]["car_reads_a"] == pytest.approx(15.0)
    before_wh = state["energy_wh"]
    host.run(36.0)
    image = host.world.register_image("session-1")
    assert image is not None
    assert float_at(image, 0x0006) == pytest.approx(15.0)
    assert float_at(image, 0x0034) == pytest.approx(3 * 15 * 230, rel=0.01)
    assert float_at(image, 0x0048) * 1000 - before_wh == pytest.approx(103.5, abs=1.5)
    grid = host.world.register_image("grid")
    assert grid is not None
    assert float_at(grid, 0x0034) == pytest.approx(float_at(image, 0x0034), rel=1e-5)
    assert host.reports[1].state is PilotState.C
    assert at(host.world, 2)["power_w"] == 0.0


def test_a_dead_guard_with_retained_lines_loses_the_permit():
    host = charging()
    host.world.advance(host.world.now_s + 1.1)
    assert at(host.world)["pilot"]["output"] == "x1", "pilot off 1.1 s after the last frame"
    assert host.world.line(17), "the line is still driven"
    host.world.advance(host.world.now_s + 3.0)
    assert not at(host.world)["is_contactor_closed"]


def test_a_released_line_opens_the_contactor_at_once():
    host = charging()
    host.world.release_line(17)
    host.run(0.05)
    assert not at(host.world)["is_contactor_closed"]


def test_the_mirror_contact_follows_the_contacts_and_is_told():
    world = make_world()
    told = []
    world.on_line_change = lambda pin, is_high: told.append((pin, is_high))
    host = Host(world)
    host.charge()
    assert told[0] == (27, True)
    assert told[-1] == (27, True)
    told.clear()
    host.drive(1, 0.0, permit=False, relay=False)
    host.run(0.2)
    assert told == [(27, False)]


def test_a_relay_line_that_is_active_low_is_off_at_power_on():
    board = load_board(None)
    first = board.connector[0]
    pins = dataclasses.replace(first.pins, is_relay_active_high=False, is_feedback_active_high=False)
    board = dataclasses.replace(board, connector=(dataclasses.replace(first, pins=pins),))
    world = make_world(board=board)
    assert (world.line(pins.relay), world.line(pins.feedback)) == (True, True)
    Host(world).charge()
    assert (world.line(pins.relay), world.line(pins.feedback)) == (False, False)
    world.release_line(pins.relay)
    assert world.line(pins.relay)


def test_an_input_of_the_board_cannot_be_driven():
    with pytest.raises(InvalidFieldError):
        make_world().set_line(27, True)


def test_time_does_not_run_backwards():
    world = make_world()
    world.advance(START_S + 5.0)
    world.advance(START_S)
    assert world.now_s == START_S + 5.0


def test_the_world_names_its_next_event():
    host = charging()
    assert host.world.now_s < host.world.next_event_s() <= host.world.now_s + 0.05


# --- verbs -------------------------------------------------------------------------------------------------


def test_every_verb_is_idempotent():
    bodies = {
        "plug": {"connector": 1},
        "unplug": {"connector": 2},
        "ev": {"connector": 1, "request": "pause", "current_a": 10, "phases": 1, "soc_pct": 33, "battery_wh": 4000},
        "fault": {"kind": "rcm_trip", "connector": 1},
        "clear": {"kind": "diode", "connector": 2},
        "meter": {"connector": 1, "energy_wh": 5000, "hold": True},
        "house": {"load_a": [1, 2, 3], "pv_w": 500, "nominal_v": 231},
        "speed": {"factor": 7},
        "temperature": {"connector": 1, "temperature_c": 61},
    }
    world = make_world()
    for verb, body in bodies.items():
        once = world.perform(verb, body)
        assert world.perform(verb, body) == once, verb
    state = world.state()
    assert state["connectors"]["1"]["energy_wh"] == 5000
    assert state["connectors"]["1"]["faults"] == ["rcm_trip"]
    assert state["connectors"]["1"]["temperature_c"] == 61
    assert state["connectors"]["1"]["car"] == {
        "request": "pause",
        "current_a": 10.0,
        "phases": 1,
        "min_current_a": 6.0,
        "battery_wh": 4000.0,
        "is_after_pwm": True,
        "is_sleepy": False,
        "soc_pct": 33.0,
        "is_asleep": False,
        "is_full": False,
    }
    assert state["house"] == {"load_a": {"l1": 1.0, "l2": 2.0, "l3": 3.0}, "pv_w": 500.0}
    assert state["speed"] == 7.0


def test_bad_verbs_change_nothing():
    world = make_world(board=dataclasses.replace(load_board(None), connector=load_board(None).connector[:1]))
    before = world.state()
    with pytest.raises(UnknownVerbError):
        world.perform("plugg", {})
    for verb, body in (
        ("plug", {"connector": 2}),
        ("ev", {"connector": 1, "soc_pct": 20, "phases": 9}),
        ("swipe", {"id_tag": "A", "connectors": [1, 2]}),
        ("fault", {"kind": "meter_frozen", "connector": 2}),
        ("fault", {"kind": "meter_frozen", "meter": "absent"}),
    ):
        with pytest.raises(InvalidFieldError):
            world.perform(verb, body)
    assert world.state() == before
    assert world.take_swipes() == ()


def test_swipes_are_queued_in_order_and_taken_once():
    world = make_world()
    world.perform("swipe", {"id_tag": "A"})
    world.perform("swipe", {"id_tag": "B", "connectors": [2]})
    assert world.take_swipes() == (Swipe("A", (1, 2)), Swipe("B", (2,)))
    assert world.take_swipes() == ()


def test_a_held_register_stays_and_everything_else_goes_on():
    host = charging()
    host.world.perform("meter", {"connector": 1, "energy_wh": 5000, "hold": True})
    soc_pct = at(host.world)["car"]["soc_pct"]
    host.run(10.0)
    state = at(host.world)
    assert (state["energy_wh"], state["is_register_held"]) == (5000, True)
    assert state["power_w"] > 10_000
    assert state["car"]["soc_pct"] > soc_pct
    host.world.perform("meter", {"connector": 1, "hold": False})
    host.run(10.0)
    assert at(host.world)["energy_wh"] == pytest.approx(5028, abs=2)


def test_unplugging_one_side_or_both():
    world = make_world()
    world.perform("plug", {"connector": 1, "cable_a": 20})
    assert world.perform("unplug", {"connector": 1, "side": "ev"})["connectors"]["1"]["pp_ohm"] == 680.0
    assert world.perform("unplug", {"connector": 1})["connectors"]["1"]["pp_ohm"] is None
    world.advance(world.now_s + 1.0)
    world.perform("plug", {"connector": 1})
    world.perform("unplug", {"connector": 1})
    world.advance(world.now_s + 0.2)
    assert at(world)["pp_ohm"] is None


# --- faults ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", FaultKind)
def test_every_fault_can_be_set_and_cleared_without_a_trace(kind):
    world = make_world()
    before = world.state()
    body = {"kind": kind.value, "connector": 1}
    assert world.perform("fault", body) != before
    assert world.perform("clear", body) == before


@pytest.mark.parametrize(
    ("kind", "state"),
    [
        ("pilot_short", PilotState.E),
        ("pilot_invalid", PilotState.INVALID),
        ("ventilation_required", PilotState.D),
    ],
)
def test_pilot_faults_are_seen_by_the_coprocessor(kind, state):
    host = charging()
    host.world.perform("fault", {"kind": kind})
    host.run(1.0)
    assert host.reports[1].state is state
    assert not at(host.world)["is_contactor_closed"]


def test_a_welded_contactor_stays_closed_and_the_current_flows_on():
    host = charging()
    host.world.perform("fault", {"kind": "contactor_welded"})
    host.world.perform("fault", {"kind": "stubborn"})
    host.drive(1, 0.0, permit=False, relay=False)
    host.run(5.0)
    state = at(host.world)
    assert (state["is_coil_energised"], state["is_contactor_closed"], host.world.line(27)) == (False, True, True)
    assert state["current_a"]["l1"] > 14.9
    host.world.perform("clear", {"kind": "contactor_welded"})
    host.run(0.1)
    assert not at(host.world)["is_contactor_closed"]


def test_residual_current_moves_its_line_within_20_ms():
    host = charging()
    host.world.perform("fault", {"kind": "rcm_trip"})
    host.run(0.02)
    assert host.world.line(22)
    assert at(host.world)["residual_a"] == pytest.approx(0.03)
    host.world.perform("clear", {"kind": "rcm_trip"})
    host.run(0.4)
    assert not host.world.line(22)


def test_the_test_winding_moves_the_same_line():
    world = make_world()
    world.set_line(23, True)
    world.advance(START_S + 0.26)
    assert world.line(22)
    world.set_line(23, False)
    world.advance(START_S + 0.6)
    assert not world.line(22)


def test_a_frozen_meter_shows_one_instant_for_ever_and_a_silent_one_nothing():
    host = charging()
    host.world.perform("fault", {"kind": "meter_frozen"})
    frozen = host.world.register_image("session-1")
    host.run(5.0)
    assert host.world.register_image("session-1") == frozen
    host.world.perform("fault", {"kind": "meter_frozen"})
    assert host.world.register_image("session-1") == frozen, "freezing twice is freezing once"
    host.world.perform("fault", {"kind": "meter_silent", "meter": "grid"})
    assert host.world.register_image("grid") is None
    host.world.perform("clear", {"kind": "meter_frozen"})
    assert host.world.register_image("session-1") != frozen


@pytest.mark.parametrize("kind", ["coprocessor_lost", "link_lost"])
def test_a_lost_coprocessor_is_noticed_and_comes_back(kind):
    host = charging()
    host.world.perform("fault", {"kind": kind})
    host.run(1.2)
    assert isinstance(host.events[-1], LinkDown)
    host.events.clear()
    host.world.perform("clear", {"kind": kind})
    host.run(2.0)
    assert any(isinstance(event, LinkUp) for event in host.events)


def test_a_hung_coprocessor_opens_on_its_own_deadline():
    host = charging()
    host.world.perform("fault", {"kind": "coprocessor_hung"})
    host.run(4.2)
    assert not at(host.world)["is_permitted"]
    assert not at(host.world)["is_contactor_closed"]


def test_an_incompatible_coprocessor_says_so():
    world = make_world()
    world.perform("fault", {"kind": "coprocessor_incompatible"})
    host = Host(world)
    host.run(2.0)
    assert any(isinstance(event, LinkIncompatible) for event in host.events)


def test_a_reset_of_the_coprocessor_counts_its_boots():
    persistence = InMemoryPersistence()
    host = Host(make_world(persistence))
    host.charge()
    host.world.perform("reset", {"cause": "watchdog"})
    host.run(2.0)
    assert not at(host.world)["is_contactor_closed"]
    last = [event for event in host.events if isinstance(event, LinkUp)][-1]
    assert (last.identity.reset_cause, last.identity.boot_count, last.is_restart) == (ResetCause.WATCHDOG, 2, True)
    assert persistence.memory.boot_count == 2


# --- memory ------------------------------------------------------------------------------------------------


def test_every_start_is_a_power_on_reset_and_keeps_the_registers():
    persistence = InMemoryPersistence()
    first = Host(make_world(persistence))
    first.charge()
    first.run(10.0)
    energy_wh, closings = at(first.world)["energy_wh"], at(first.world)["closings"]
    assert energy_wh > 30
    second = Host(make_world(persistence))
    second.run(0.5)
    state = at(second.world)
    assert (state["energy_wh"], state["closings"], state["is_contactor_closed"]) == (energy_wh, closings, False)
    assert (state["is_plugged"], state["vehicle_state"], second.reports[1].plug_count) == (True, "B", 0)
    assert state["car"]["soc_pct"] == pytest.approx(at(first.world)["car"]["soc_pct"], abs=0.01)
    identity = next(event for event in second.events if isinstance(event, LinkUp)).identity
    assert (identity.boot_count, identity.reset_cause) == (2, ResetCause.POWER_ON)
    assert identity.uid == persistence.memory.uid


def test_no_reader_ever_sees_energy_that_a_power_cut_would_take_back():
    persistence = InMemoryPersistence()
    host = Host(make_world(persistence, SimConfig(meters=METERS)))
    host.charge(limit_a=32.0)
    for _ in range(500):
        host.run(0.01)
        shown_wh = round(float_at(host.world.live_image("session-1"), 0x0048) * 1000.0)
        assert shown_wh <= persistence.memory.plant.connectors[0].energy_wh
