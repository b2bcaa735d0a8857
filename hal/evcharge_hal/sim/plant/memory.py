"""What the physical world keeps through a power cut: registers, counters, and the car that is still plugged in."""

from dataclasses import dataclass

from evcharge_hal.contract.schema import declare
from evcharge_hal.sim.plant.car import CarSettings


@dataclass(frozen=True, slots=True)
class ConnectorMemory:
    """One connector. A power cut does not unplug a car, and does not change what it wants."""

    connector: int = declare("Connector", ge=1, le=64)
    energy_wh: float = declare("Session meter's register", unit="Wh", ge=0.0, default=0.0)
    closings: int = declare("Operations of the contactor", ge=0, default=0)
    has_car: bool = declare("A car is plugged in", default=False)
    cable_a: int = declare("Rating of the loose cable in the socket; 0: empty", unit="A", ge=0, le=63, default=0)
    soc_pct: float = declare("State of charge of the car's battery", unit="%", ge=0.0, le=100.0, default=20.0)
    car: CarSettings = declare("The car", default_factory=CarSettings)


@dataclass(frozen=True, slots=True)
class PlantMemory:
    """The whole plant."""

    connectors: tuple[ConnectorMemory, ...] = declare("Connectors", max_length=64, default=())
    grid_import_wh: float = declare("Grid meter's import register", unit="Wh", ge=0.0, default=0.0)
    grid_export_wh: float = declare("Grid meter's export register", unit="Wh", ge=0.0, default=0.0)
