"""Register images of the simulated meters: what a Modbus master would read at this instant."""

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from evcharge_hal.contract.units import PerPhase, WattHours
from evcharge_hal.sim.config import RegisterMap

IMAGE_WORDS = 0x0160


@dataclass(frozen=True, slots=True)
class MeterValues:
    """All a meter shows, taken at one instant. Energy is what the display says: whole Wh, rounded down."""

    voltage_v: PerPhase
    current_a: PerPhase
    power_w: PerPhase
    frequency_hz: float
    import_wh: WattHours
    export_wh: WattHours


def register_image(kind: RegisterMap, values: MeterValues) -> tuple[int, ...]:
    """Return the 16-bit words from address 0."""
    words = [0] * IMAGE_WORDS
    for address, value in _IMAGES[kind](values).items():
        words[address], words[address + 1] = struct.unpack(">HH", struct.pack(">f", value))
    return tuple(words)


def _sdm630(values: MeterValues) -> Mapping[int, float]:
    """Eastron SDM630: input registers, 32-bit floats, high word first (manufacturer's register list)."""
    floats: dict[int, float] = {
        0x0034: values.power_w.total,
        0x0030: values.current_a.total,
        0x002A: values.voltage_v.total / 3.0,
        0x003E: 1.0,
        0x0046: values.frequency_hz,
        0x0048: values.import_wh / 1000.0,
        0x004A: values.export_wh / 1000.0,
        0x0156: (values.import_wh + values.export_wh) / 1000.0,
    }
    power_factor = values.power_w.map(lambda watts: -1.0 if watts < 0.0 else 1.0)
    for address, phases in (
        (0x0000, values.voltage_v),
        (0x0006, values.current_a.map(abs)),
        (0x000C, values.power_w),
        (0x0012, values.power_w.map(abs)),
        (0x001E, power_factor),
    ):
        floats |= {address: phases.l1, address + 2: phases.l2, address + 4: phases.l3}
    return floats


_IMAGES: Mapping[RegisterMap, Callable[[MeterValues], Mapping[int, float]]] = {RegisterMap.SDM630: _sdm630}
