"""The true state of the world as plain JSON data: what no instrument of the charger could tell."""

from typing import TYPE_CHECKING, Any

from evcharge_hal.contract.schema import encode
from evcharge_hal.sim.plant.connector import Connector

if TYPE_CHECKING:
    from evcharge_hal.sim.world import World


def take_snapshot(world: "World") -> dict[str, Any]:
    """Everything by connector number (as text, since it is JSON), then what they share."""
    plant = world.plant
    return {
        "now_s": world.now_s,
        "speed": plant.speed,
        "connectors": {
            str(number): {
                **_connector(connector),
                "faults": sorted(kind.value for kind, at in world.faults if at == number),
            }
            for number, connector in plant.connectors.items()
        },
        "coprocessor": {
            "uid": world.memory.uid,
            "boot_count": world.memory.boot_count,
            "faults": sorted(kind.value for kind, at in world.faults if at == 0),
        },
        "house": encode(plant.load),
        "grid": {
            "voltage_v": encode(plant.voltage_v),
            "current_a": encode(plant.grid_current_a),
            "power_w": plant.grid_power_w.total,
            "import_wh": int(plant.grid_import_wh),
            "export_wh": int(plant.grid_export_wh),
        },
        "meters": {
            name: {
                "role": meter.role.value,
                "connector": meter.connector,
                "is_silent": name in world.silent_meters,
                "is_frozen": name in world.frozen_images,
            }
            for name, meter in world.meters.items()
        },
        "lines": {str(pin): is_high for pin, is_high in sorted(world.wiring.levels.items())},
    }


def _connector(connector: Connector) -> dict[str, Any]:
    volts = connector.read_pilot()
    car = connector.car
    return {
        "is_plugged": connector.has_car,
        "vehicle_state": connector.vehicle_state,
        "pilot": {
            "output": connector.output.value,
            "duty": connector.duty,
            "high_v": volts.high_v,
            "low_v": volts.low_v,
            "car_reads_a": connector.car_reads_a,
        },
        "pp_ohm": connector.read_proximity_ohm(),
        "is_permitted": connector.is_permitted,
        "is_relay_on": connector.is_relay_on,
        "is_coil_energised": connector.contactor.is_energised,
        "is_contactor_closed": connector.contactor.is_closed,
        "closings": connector.contactor.closings,
        "is_locked": connector.is_locked,
        "voltage_v": encode(connector.voltage_v),
        "current_a": encode(connector.current_a),
        "power_w": connector.power_w,
        "energy_wh": int(connector.energy_wh),
        "is_register_held": connector.is_register_held,
        "residual_a": connector.residual.residual_a,
        "is_rcm_tripped": connector.residual.is_tripped,
        "is_rcm_test_driven": connector.residual.is_test_driven,
        "temperature_c": connector.temperature_c,
        "car": {
            **encode(car.settings),
            "soc_pct": car.soc_pct,
            "is_asleep": connector.has_car and car.is_asleep,
            "is_full": car.is_full,
        },
    }
