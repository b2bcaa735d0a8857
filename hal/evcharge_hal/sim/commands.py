"""What each verb does to the world."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from evcharge_hal.contract.errors import InvalidFieldError
from evcharge_hal.contract.units import PerPhase
from evcharge_hal.link.frames import PROTOCOL_VERSION
from evcharge_hal.sim.config import MeterRole
from evcharge_hal.sim.plant.car import CarQuirks
from evcharge_hal.sim.plant.connector import CableBreak, Connector, PilotBreak
from evcharge_hal.sim.plant.residual import LEAKAGE_A
from evcharge_hal.sim.plant.site import HouseLoad
from evcharge_hal.sim.verbs import (
    BOARD_KINDS,
    METER_KINDS,
    Clear,
    Ev,
    Fault,
    FaultKind,
    House,
    Meter,
    Plug,
    Reset,
    Side,
    Speed,
    Swipe,
    Temperature,
    Unplug,
    Verb,
)

if TYPE_CHECKING:
    from evcharge_hal.sim.world import World


def perform(world: "World", verb: Verb) -> None:
    """Do what a verb says, at the world's present time.

    Raises:
        InvalidFieldError: it names a connector or meter that is not there.
    """
    _HANDLERS[type(verb)](world, verb)


def _connector(world: "World", number: int) -> Connector:
    connectors = world.plant.connectors
    if number not in connectors:
        raise InvalidFieldError("connector", number, "one of " + ", ".join(map(str, connectors)))
    return connectors[number]


def _plug(world: "World", verb: Plug) -> None:
    _connector(world, verb.connector).plug(verb.cable_a)


def _unplug(world: "World", verb: Unplug) -> None:
    _connector(world, verb.connector).unplug(leaves_cable=verb.side is Side.EV)


def _ev(world: "World", verb: Ev) -> None:
    car = _connector(world, verb.connector).car
    named = {
        name: value
        for name, value in (
            ("request", verb.request),
            ("current_a", verb.current_a),
            ("phases", verb.phases),
            ("min_current_a", verb.min_current_a),
            ("battery_wh", verb.battery_wh),
            ("is_after_pwm", verb.after_pwm),
            ("is_sleepy", verb.sleepy),
        )
        if value is not None
    }
    changes: dict[str, Any] = named
    car.ask(dataclasses.replace(car.settings, **changes), verb.soc_pct)


def _swipe(world: "World", verb: Swipe) -> None:
    for number in verb.connectors:
        _connector(world, number)
    world.hold_card(verb if verb.connectors else Swipe(verb.id_tag, tuple(world.plant.connectors)))


def _meter(world: "World", verb: Meter) -> None:
    connector = _connector(world, verb.connector)
    if verb.energy_wh is not None:
        connector.energy_wh = float(verb.energy_wh)
    if verb.hold is not None:
        connector.is_register_held = verb.hold


def _house(world: "World", verb: House) -> None:
    plant = world.plant
    plant.house = HouseLoad(
        plant.load.load_a if verb.load_a is None else PerPhase(*verb.load_a),
        plant.load.pv_w if verb.pv_w is None else verb.pv_w,
    )
    plant.profile = None
    if verb.nominal_v is not None:
        plant.nominal_v = verb.nominal_v


def _speed(world: "World", verb: Speed) -> None:
    world.plant.speed = verb.factor


def _temperature(world: "World", verb: Temperature) -> None:
    _connector(world, verb.connector).held_temperature_c = verb.temperature_c


def _reset(world: "World", verb: Reset) -> None:
    world.restart_coprocessor(verb.cause)


# --- faults ------------------------------------------------------------------------------------------------


def _fault(world: "World", verb: Fault) -> None:
    _switch_fault(world, verb, is_present=True)


def _clear(world: "World", verb: Clear) -> None:
    _switch_fault(world, verb, is_present=False)


def _switch_fault(world: "World", verb: Fault | Clear, *, is_present: bool) -> None:
    connector = _connector(world, verb.connector)
    if verb.kind in METER_KINDS:
        _switch_meters(world, verb, is_present=is_present)
        return
    key = (verb.kind, 0 if verb.kind in BOARD_KINDS else verb.connector)
    if (key in world.faults) == is_present:
        return
    (world.faults.add if is_present else world.faults.remove)(key)
    if verb.kind in BOARD_KINDS:
        _inflict_board(world, verb.kind, is_present=is_present)
    else:
        _inflict(connector, {kind for kind, number in world.faults if number == verb.connector})


def _switch_meters(world: "World", verb: Fault | Clear, *, is_present: bool) -> None:
    for name in _meters_meant(world, verb):
        if verb.kind is FaultKind.METER_SILENT:
            (world.silent_meters.add if is_present else world.silent_meters.discard)(name)
        elif not is_present:
            world.frozen_images.pop(name, None)
        else:
            world.frozen_images.setdefault(name, world.live_image(name))


def _meters_meant(world: "World", verb: Fault | Clear) -> Iterable[str]:
    if verb.meter is not None:
        if verb.meter not in world.meters:
            raise InvalidFieldError("meter", verb.meter, "one of " + (", ".join(world.meters) or "none: no meters"))
        return [verb.meter]
    found = [
        meter.name
        for meter in world.meters.values()
        if meter.role is MeterRole.SESSION and meter.connector == verb.connector
    ]
    if not found:
        raise InvalidFieldError("connector", verb.connector, "a connector that has a session meter")
    return found


def _inflict_board(world: "World", kind: FaultKind, *, is_present: bool) -> None:
    coprocessor = world.coprocessor
    if kind is FaultKind.COPROCESSOR_LOST:
        coprocessor.is_silent = is_present
    elif kind is FaultKind.COPROCESSOR_INCOMPATIBLE:
        coprocessor.protocol_version = PROTOCOL_VERSION + 1 if is_present else PROTOCOL_VERSION
    elif kind is FaultKind.COPROCESSOR_HUNG:
        coprocessor.is_hung = is_present
    elif kind is FaultKind.POWER_FAIL_WARNING:
        coprocessor.see_supply_failing(is_present)


_PILOT_BREAKS = {
    FaultKind.PILOT_SHORT: PilotBreak.SHORT,
    FaultKind.DIODE: PilotBreak.DIODE,
    FaultKind.PILOT_INVALID: PilotBreak.GAP,
}
_CABLE_BREAKS = {FaultKind.CABLE_INVALID: CableBreak.BAD, FaultKind.CABLE_CHANGED: CableBreak.CHANGED}


def _inflict(connector: Connector, kinds: set[FaultKind]) -> None:
    """Make the connector have exactly these faults; of two that exclude each other the graver wins."""
    wounds = connector.wounds
    wounds.pilot = next((wound for kind, wound in _PILOT_BREAKS.items() if kind in kinds), PilotBreak.NONE)
    wounds.cable = next((wound for kind, wound in _CABLE_BREAKS.items() if kind in kinds), CableBreak.NONE)
    wounds.is_hot = FaultKind.OVER_TEMPERATURE in kinds
    wounds.is_sensor_lost = FaultKind.TEMPERATURE_SENSOR_LOST in kinds
    connector.jam_lock(FaultKind.LOCK_JAM in kinds)
    connector.residual.residual_a = LEAKAGE_A if FaultKind.RCM_TRIP in kinds else 0.0
    connector.residual.is_test_broken = FaultKind.RCM_SELF_TEST in kinds
    connector.contactor.weld(FaultKind.CONTACTOR_WELDED in kinds)
    connector.contactor.block(FaultKind.CONTACTOR_DID_NOT_CLOSE in kinds)
    connector.car.quirks = CarQuirks(
        is_stubborn=FaultKind.STUBBORN in kinds,
        is_overdrawing=FaultKind.OVERCURRENT in kinds,
        needs_ventilation=FaultKind.VENTILATION_REQUIRED in kinds,
    )


_HANDLERS: Mapping[type, Callable[["World", Any], None]] = {
    Plug: _plug,
    Unplug: _unplug,
    Ev: _ev,
    Swipe: _swipe,
    Fault: _fault,
    Clear: _clear,
    Meter: _meter,
    House: _house,
    Speed: _speed,
    Temperature: _temperature,
    Reset: _reset,
}
