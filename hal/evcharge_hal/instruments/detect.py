"""Which register map fits a meter: tried one after another, told honestly when more than one does."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass

from evcharge_hal.instruments.modbus_line import FIRST_BACK_OFF_S, ModbusLine
from evcharge_hal.instruments.modbus_meter import ModbusMeter
from evcharge_hal.instruments.monitors import implausible
from evcharge_hal.instruments.registers import RegisterMap, load_map, shipped_maps
from evcharge_hal.instruments.values import InstrumentError, MeterValues, NotAskedError, RefusedError

_MAINS_V = (180.0, 270.0)
_MAINS_HZ = (45.0, 65.0)
_MOST_TRIES = 4
"""Of each map, when nobody answers or it is too early to ask."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Detection:
    """Names of the maps that fit, in the order they were tried."""

    unit: int
    fitting: tuple[str, ...]

    @property
    def certain(self) -> str | None:
        """The one that fits; None when none does or several do."""
        return self.fitting[0] if len(self.fitting) == 1 else None

    def __str__(self) -> str:
        if not self.fitting:
            return f"unit {self.unit}: no register map fits"
        if len(self.fitting) == 1:
            return f"unit {self.unit}: {self.fitting[0]}"
        return f"unit {self.unit}: {', '.join(self.fitting)} all fit; name the one on the label"


def fits(values: MeterValues) -> bool:
    """Mains voltage on every phase that has any, a mains frequency where the map has one, and no contradiction."""
    if values.voltage_v is None or values.energy_wh is None:
        return False
    volts = (values.voltage_v.l1, values.voltage_v.l2, values.voltage_v.l3)
    is_mains = all(value == 0.0 or _MAINS_V[0] <= value <= _MAINS_V[1] for value in volts) and volts[0] > 0.0
    frequency_hz = values.frequency_hz
    has_mains_frequency = frequency_hz is not None and _MAINS_HZ[0] <= frequency_hz <= _MAINS_HZ[1]
    return is_mains and has_mains_frequency and implausible(values) is None


class Search:
    """Tries the register maps on one unit, one map at a time, because each takes as long as a reading."""

    def __init__(self, line: ModbusLine, unit: int, names: Sequence[str] | None = None) -> None:
        self._line = line
        self._unit = unit
        self._left = list(shipped_maps() if names is None else names)
        self._fitting: list[str] = []
        self._is_heard = False

    @property
    def is_over(self) -> bool:
        """All maps were tried."""
        return not self._left

    @property
    def detection(self) -> Detection:
        """What was found so far."""
        return Detection(self._unit, tuple(self._fitting))

    async def try_next(self) -> None:
        """Read by the next map and keep it if it fits.

        Raises:
            InstrumentError: nobody has answered yet, or nobody was asked; the map's turn comes again.
        """
        name = self._left[0]
        try:
            values = await ModbusMeter(self._line, self._unit, load_map(name)).read()
        except NotAskedError:
            raise
        except RefusedError:
            self._is_heard = True
        except InstrumentError:
            # One that refuses by silence is there if it answered to another map.
            if not self._is_heard:
                self._left.append(self._left.pop(0))
                raise
        else:
            self._is_heard = True
            if fits(values):
                self._fitting.append(name)
        self._left.pop(0)


async def detect(line: ModbusLine, unit: int, names: Sequence[str] | None = None) -> Detection:
    """Read `unit` by each map (all shipped ones unless named) and say which give a meter's picture.

    Raises:
        InstrumentError: nobody answers to any of them.
    """
    search = Search(line, unit, names)
    trouble: InstrumentError | None = None
    for _ in range(_MOST_TRIES * len(shipped_maps() if names is None else names)):
        if search.is_over:
            break
        try:
            await search.try_next()
        except NotAskedError:
            await asyncio.sleep(FIRST_BACK_OFF_S)
        except InstrumentError as error:
            trouble = error
    if not search.is_over and trouble is not None:
        raise trouble
    return search.detection


class DetectedMeter:
    """A meter whose map is found out by its first readings; see `values.Meter`."""

    def __init__(self, line: ModbusLine, unit: int) -> None:
        self._line = line
        self._unit = unit
        self._search = Search(line, unit)
        self._meter: ModbusMeter | None = None
        line.join(unit)

    @property
    def register_map(self) -> RegisterMap | None:
        """The map that was found."""
        return None if self._meter is None else self._meter.register_map

    async def read(self) -> MeterValues:
        """Try one more map, or read by the one that was found; see `values.Meter.read`.

        Raises:
            InstrumentError: as a meter does, and while nothing or more than one thing is known.
        """
        if self._meter is None:
            await self._search.try_next()
            if not self._search.is_over:
                raise InstrumentError(f"{self._line.name} unit {self._unit}: trying the register maps")
            detection, self._search = self._search.detection, Search(self._line, self._unit)
            if detection.certain is None:
                raise InstrumentError(f"{self._line.name} {detection}")
            _log.info("Meter at %s %s", self._line.name, detection)
            self._meter = ModbusMeter(self._line, self._unit, load_map(detection.certain))
        return await self._meter.read()

    async def close(self) -> None:
        """Close the line; see `values.Meter.close`."""
        await self._line.close()
