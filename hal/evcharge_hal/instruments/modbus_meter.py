"""A Modbus meter by any register map, on any line."""

import asyncio

from evcharge_hal.instruments.blocks import Block, decode_values, plan_blocks
from evcharge_hal.instruments.modbus_line import ModbusLine
from evcharge_hal.instruments.registers import RegisterMap
from evcharge_hal.instruments.rtu_frames import Request
from evcharge_hal.instruments.values import InstrumentError, MeterValues, RefusedError

_ILLEGAL_ADDRESS_OR_VALUE = (2, 3)
"""What meters answer to a block that is too long or has undefined registers in it."""
_SMALL_BLOCK = 6
"""Registers that meters still give which refuse long blocks (some SDM72D-M)."""


class ModbusMeter:
    """Reads the registers of `register_map` from unit `unit` on `line`; see `values.Meter`."""

    def __init__(self, line: ModbusLine, unit: int, register_map: RegisterMap) -> None:
        self._line = line
        self._unit = unit
        self._map = register_map
        self._plans = _plans(register_map)
        self._lock = asyncio.Lock()
        line.join(unit)

    @property
    def register_map(self) -> RegisterMap:
        """What is read."""
        return self._map

    async def read(self) -> MeterValues:
        """Read all blocks and decode them; see `values.Meter.read`."""
        async with self._lock:
            try:
                return await self._read_all()
            except InstrumentError as error:
                where = f"{self._map.name} at {self._line.name} unit {self._unit}"
                raise type(error)(f"{where}: {error}") from error

    async def close(self) -> None:
        """Close the line; the next `read` of any meter on it opens it again."""
        await self._line.close()

    async def _read_all(self) -> MeterValues:
        words_by_block: dict[Block, tuple[int, ...]] = {}
        pending = list(self._plans[0])
        while pending:
            block = pending[0]
            request = Request(self._unit, self._map.function_code, block.address, block.count)
            answer = await self._line.ask(request, self._map.gap_ms / 1000.0)
            if answer.exception_code in _ILLEGAL_ADDRESS_OR_VALUE and len(self._plans) > 1:
                # From now on: what a meter refuses once it refuses always.
                del self._plans[0]
                words_by_block.clear()
                pending = list(self._plans[0])
            elif answer.exception_code:
                raise RefusedError(f"exception {answer.exception_code} at 0x{block.address:04X}")
            else:
                words_by_block[pending.pop(0)] = answer.words
        return decode_values(self._map, words_by_block)


def _plans(register_map: RegisterMap) -> list[tuple[Block, ...]]:
    """Ways to read the map, each asking less of the meter than the one before, the last each number by itself."""
    found = [plan_blocks(register_map)]
    for max_block in (None, _SMALL_BLOCK, 1):
        plan = plan_blocks(register_map, with_holes=False, max_block=max_block)
        if plan != found[-1]:
            found.append(plan)
    return found
