import struct

import pytest

from evcharge_hal.contract.units import PerPhase, WattHours
from evcharge_hal.sim.config import RegisterMap
from evcharge_hal.sim.meters import MeterValues, register_image

VALUES = MeterValues(
    voltage_v=PerPhase(229.5, 230.25, 231.0),
    current_a=PerPhase(16.0, -8.5, 0.0),
    power_w=PerPhase(3672.0, -1957.125, 0.0),
    frequency_hz=50.125,
    import_wh=WattHours(1_234_567),
    export_wh=WattHours(89),
)

# Address, value: written from the SDM630's register list, not from the code.
SDM630 = [
    (0x0000, 229.5),
    (0x0002, 230.25),
    (0x0004, 231.0),
    (0x0006, 16.0),
    (0x0008, 8.5),
    (0x000A, 0.0),
    (0x000C, 3672.0),
    (0x000E, -1957.125),
    (0x0010, 0.0),
    (0x001E, 1.0),
    (0x0020, -1.0),
    (0x0034, 1714.875),
    (0x0046, 50.125),
    (0x0048, 1234.567),
    (0x004A, 0.089),
    (0x0156, 1234.656),
]


@pytest.mark.parametrize(("address", "value"), SDM630)
def test_the_sdm630_has_its_floats_high_word_first(address, value):
    words = register_image(RegisterMap.SDM630, VALUES)
    (found,) = struct.unpack(">f", struct.pack(">HH", *words[address : address + 2]))
    assert found == pytest.approx(value, rel=1e-6)


@pytest.mark.parametrize("energy_wh", [0, 1, 999, 12_345, 1_000_001, 8_000_003])
def test_a_whole_watt_hour_survives_the_float(energy_wh):
    values = MeterValues(*[PerPhase.uniform(0.0)] * 3, 50.0, WattHours(energy_wh), WattHours(0))
    words = register_image(RegisterMap.SDM630, values)
    (kwh,) = struct.unpack(">f", struct.pack(">HH", *words[0x48:0x4A]))
    assert round(kwh * 1000.0) == energy_wh
