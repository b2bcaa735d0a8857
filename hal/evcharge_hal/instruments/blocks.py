"""Which registers to ask for together, and what the answer means. Pure."""

import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from evcharge_hal.contract.units import PerPhase, WattHours
from evcharge_hal.instruments.registers import (
    PER_PHASE,
    Phase,
    Quantity,
    Register,
    RegisterMap,
    RegisterType,
    WordOrder,
)
from evcharge_hal.instruments.values import InstrumentError, MeterValues

_FORMATS = {
    RegisterType.U16: ">H",
    RegisterType.I16: ">h",
    RegisterType.U32: ">I",
    RegisterType.I32: ">i",
    RegisterType.F32: ">f",
    RegisterType.U64: ">Q",
    RegisterType.I64: ">q",
}
# Far above what a meter can count in its life (an SDM630 ends at 10 GWh), far below where floats lose Wh.
_MOST_ENERGY_WH = 1e14
_LEAST_TENFOLD_HZ = 450.0
_MOST_TENFOLD_HZ = 650.0


@dataclass(frozen=True, slots=True, order=True)
class Block:
    """One request: `count` registers from `address`."""

    address: int
    count: int

    @property
    def end(self) -> int:
        """First address after it."""
        return self.address + self.count


def plan_blocks(
    register_map: RegisterMap, *, with_holes: bool = True, max_block: int | None = None
) -> tuple[Block, ...]:
    """Group registers into as few requests as the map allows, by rising address.

    Registers of one number are never split. Without holes only what was asked for is read, for meters that
    refuse addresses they do not define. `max_block` lowers the map's.
    """
    most = min(max_block or register_map.max_block, register_map.max_block)
    max_hole = register_map.max_hole if with_holes else 0
    blocks: list[Block] = []
    for register in sorted(register_map.registers, key=lambda register: (register.address, register.end)):
        last = blocks[-1] if blocks else None
        if (
            last is not None
            and register.address - last.end <= max_hole
            and max(register.end, last.end) - last.address <= most
        ):
            blocks[-1] = Block(last.address, max(register.end, last.end) - last.address)
        else:
            blocks.append(Block(register.address, register.type.width))
    return tuple(blocks)


def decode_values(register_map: RegisterMap, words_by_block: Mapping[Block, Sequence[int]]) -> MeterValues:
    """Turn the registers read into values in base units.

    A number the meter marks as absent, NaN and infinity become None, and with them the whole per-phase value
    they belong to. Phases the map does not name have nothing wired to them: 0.

    Raises:
        InstrumentError: a block is not as long as it was asked for, or a register is in none.
    """
    for block, words in words_by_block.items():
        if len(words) != block.count:
            raise InstrumentError(f"{len(words)} registers at 0x{block.address:04X} instead of {block.count}")
    found = {
        (register.quantity, register.phase): _number(register, register_map, words_by_block)
        for register in register_map.registers
    }
    if register_map.has_unwired_phases_unavailable:
        _fill_unwired(found)
    return MeterValues(
        energy_wh=_energy_wh(found.get((Quantity.ENERGY_IMPORT, None))),
        power_w=found.get((Quantity.POWER, None)),
        current_a=_per_phase(found, Quantity.CURRENT),
        voltage_v=_per_phase(found, Quantity.VOLTAGE),
        power_factor=found.get((Quantity.POWER_FACTOR, None)),
        frequency_hz=found.get((Quantity.FREQUENCY, None)),
        energy_export_wh=_energy_wh(found.get((Quantity.ENERGY_EXPORT, None))),
        power_by_phase_w=_per_phase(found, Quantity.PHASE_POWER),
    )


def _number(
    register: Register, register_map: RegisterMap, words_by_block: Mapping[Block, Sequence[int]]
) -> float | None:
    words = _words(register, words_by_block)
    if register_map.word_order is WordOrder.LITTLE:
        words = words[::-1]
    packed = struct.pack(f">{len(words)}H", *words)
    (raw,) = struct.unpack(_FORMATS[register.type], packed)
    is_marked = any(mark.marks(raw, register.type) for mark in register_map.unavailable)
    if is_marked or raw in register.absent or not math.isfinite(raw):
        return None
    value = float(raw * register.scale)
    is_tenfold = register.quantity is Quantity.FREQUENCY and register_map.has_tenfold_frequency
    return value / 10.0 if is_tenfold and _LEAST_TENFOLD_HZ <= value <= _MOST_TENFOLD_HZ else value


def _fill_unwired(found: dict[tuple[Quantity, Phase | None], float | None]) -> None:
    """Put 0 where a phase has no voltage while another has: an overflow on a live phase stays unknown."""
    voltages = {phase: found[Quantity.VOLTAGE, phase] for phase in Phase if (Quantity.VOLTAGE, phase) in found}
    if all(voltage is None for voltage in voltages.values()):
        return
    for phase, voltage in voltages.items():
        if voltage is None:
            found |= {(quantity, phase): 0.0 for quantity in PER_PHASE if (quantity, phase) in found}


def _words(register: Register, words_by_block: Mapping[Block, Sequence[int]]) -> Sequence[int]:
    for block, words in words_by_block.items():
        if block.address <= register.address and register.end <= block.end:
            start = register.address - block.address
            return words[start : start + register.type.width]
    raise InstrumentError(f"register 0x{register.address:04X} was not read")


def _energy_wh(value: float | None) -> WattHours | None:
    """Round to whole Wh; a register that counts backwards below zero or beyond reason says nothing."""
    if value is None or not 0.0 <= value <= _MOST_ENERGY_WH:
        return None
    return WattHours(round(value))


def _per_phase(found: Mapping[tuple[Quantity, Phase | None], float | None], quantity: Quantity) -> PerPhase | None:
    values = [found.get((quantity, phase), 0.0) for phase in Phase]
    if not any((quantity, phase) in found for phase in Phase):
        return None
    l1, l2, l3 = values
    if l1 is None or l2 is None or l3 is None:
        return None
    return PerPhase(l1, l2, l3)
