"""Tasks that ask meters and wait for cards, and post what they learn."""

import asyncio
import logging

from evcharge_agent.core.events import CardPresented, MeterFailed, MeterRead
from evcharge_agent.core.facts import IdTag, MeterReading
from evcharge_agent.runtime.inbox import Inbox
from evcharge_hal.contract.errors import EvchargeError
from evcharge_hal.contract.units import WattHours
from evcharge_hal.instruments.detect import DetectedMeter
from evcharge_hal.instruments.modbus_meter import ModbusMeter
from evcharge_hal.instruments.monitors import MeterWatch, judge
from evcharge_hal.instruments.values import CardReader, InstrumentError, Meter, MeterValues

METER_PERIOD_S = 1.0
METER_TIMEOUT_S = 2.0
"""All requests of one reading together, for slow periods more; the time-out of each request is shorter."""
LONGEST_METER_TIMEOUT_S = 10.0
READER_RETRY_S = 1.0

_log = logging.getLogger(__name__)


class MeterPoller:
    """Reads one session meter at fixed moments of the monotonic clock. `run` ends only by cancellation."""

    def __init__(
        self,
        connector: int,
        meter: Meter,
        inbox: Inbox,
        *,
        period_s: float = METER_PERIOD_S,
        timeout_s: float | None = None,
        ct_ratio: float = 1.0,
    ) -> None:
        self._connector = connector
        self._ct_ratio = ct_ratio
        self._meter = meter
        self._inbox = inbox
        self._period_s = period_s
        self._timeout_s = (
            min(max(METER_TIMEOUT_S, period_s), LONGEST_METER_TIMEOUT_S) if timeout_s is None else timeout_s
        )
        self._was_read: bool | None = None
        self._watch = MeterWatch()
        self._doubts: tuple[str, ...] = ()

    async def run(self) -> None:
        """Read, post, wait for the next multiple of the period; moments that were missed are left out."""
        loop = asyncio.get_running_loop()
        due_s = loop.time()
        try:
            while True:
                await self._read_once()
                missed = max(0, int((loop.time() - due_s) // self._period_s))
                due_s += (missed + 1) * self._period_s
                await asyncio.sleep(due_s - loop.time())
        finally:
            await self._meter.close()

    async def _read_once(self) -> None:
        try:
            async with asyncio.timeout(self._timeout_s):
                values = await self._meter.read()
        except TimeoutError:
            self._failed(f"no reading within {self._timeout_s:g} s")
        except EvchargeError as error:
            self._failed(str(error))
        else:
            self._take(values)

    def _take(self, values: MeterValues) -> None:
        """Hand on what can be; a meter that is frozen or speaks nonsense counts as silent."""
        mapped = self._meter.register_map if isinstance(self._meter, ModbusMeter | DetectedMeter) else None
        now_s = asyncio.get_running_loop().time()
        self._watch, judgement = judge(self._watch, values, now_s, mapped, self._ct_ratio)
        if judgement.failure is not None:
            self._failed(judgement.failure)
            return
        for doubt in judgement.doubts:
            if doubt not in self._doubts:
                _log.warning("Meter of connector %d: %s", self._connector, doubt)
        self._doubts = judgement.doubts
        if self._was_read is not True:
            _log.info("Meter of connector %d answers", self._connector)
        self._was_read = True
        self._inbox.post(MeterRead(self._connector, reading_from(judgement.values, self._ct_ratio), self._period_s))

    def _failed(self, reason: str) -> None:
        # Once per outage: a meter that is away all night is one line, not 40,000.
        if self._was_read is not False:
            _log.warning("Meter of connector %d: %s", self._connector, reason)
        self._was_read = False
        self._inbox.post(MeterFailed(self._connector, reason))


class CardReaderTask:
    """Waits for cards at one reader. `run` ends only by cancellation."""

    def __init__(self, name: str, reader: CardReader, connectors: tuple[int, ...], inbox: Inbox) -> None:
        self._name = name
        self._reader = reader
        self._connectors = connectors
        self._inbox = inbox

    async def run(self) -> None:
        """Post each card; a reader that is away is tried again every second."""
        was_there = True
        try:
            while True:
                try:
                    swipe = await self._reader.next_swipe()
                except InstrumentError as error:
                    if was_there:
                        _log.warning("Reader %s: %s", self._name, error)
                    was_there = False
                    await asyncio.sleep(READER_RETRY_S)
                    continue
                was_there = True
                meant = swipe.connectors or self._connectors
                served = tuple(connector for connector in meant if connector in self._connectors)
                if served:
                    self._inbox.post(CardPresented(IdTag(swipe.id_tag), served))
                else:
                    _log.warning("Reader %s does not serve connectors %s", self._name, meant)
        finally:
            await self._reader.close()


def reading_from(values: MeterValues, ct_ratio: float = 1.0) -> MeterReading:
    """Turn what the HAL read into the core's word for it; behind clamps, what depends on current is scaled."""
    energy_wh, power_w, current_a = values.energy_wh, values.power_w, values.current_a
    if ct_ratio != 1.0:
        energy_wh = None if energy_wh is None else WattHours(round(energy_wh * ct_ratio))
        power_w = None if power_w is None else power_w * ct_ratio
        current_a = None if current_a is None else current_a.map(lambda value_a: value_a * ct_ratio)
    return MeterReading(
        energy_wh=energy_wh,
        power_w=power_w,
        current_a=current_a,
        voltage_v=values.voltage_v,
        power_factor=values.power_factor,
        frequency_hz=values.frequency_hz,
    )
