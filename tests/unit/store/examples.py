"""Facts to write, and a store that runs inline."""

from dataclasses import replace
from pathlib import Path

from evcharge_agent.core.facts import (
    IdTag,
    Instant,
    Measurand,
    MeterReading,
    MeterSample,
    ReadingContext,
    StopReason,
    TransactionKey,
    TransactionStart,
    TransactionStop,
)
from evcharge_agent.store.executor import InlineExecutor
from evcharge_agent.store.store import Store
from evcharge_hal.contract.units import PerPhase, WattHours

BOOT = "boot-1"


def at(monotonic_s: float, *, is_trusted: bool = True, utc_base_s: float = 1_750_000_000.0) -> Instant:
    return Instant(monotonic_s, utc_base_s + monotonic_s, is_trusted)


def start(key: str = "t1", moment: Instant | None = None, **changes) -> TransactionStart:
    values = {
        "transaction": TransactionKey(key),
        "connector": 1,
        "id_tag": IdTag("CARD0001"),
        "meter_start_wh": WattHours(1000),
        "started": moment or at(10.0),
        "plug_id": "plug-1",
        "reservation_id": None,
    }
    return TransactionStart(**values | changes)


def sample(key: str | None = "t1", moment: Instant | None = None, energy_wh: int | None = 1500) -> MeterSample:
    reading = MeterReading(
        energy_wh=None if energy_wh is None else WattHours(energy_wh),
        power_w=7360.5,
        current_a=PerPhase(16.0, 15.5, 0.0),
        frequency_hz=50.01,
    )
    return MeterSample(
        connector=1,
        transaction=None if key is None else TransactionKey(key),
        taken=moment or at(70.0),
        context=ReadingContext.PERIODIC,
        reading=reading,
        measurands=(Measurand.ENERGY_IMPORT, Measurand.CURRENT_IMPORT),
        offered_a=16.0,
    )


def end_sample(key: str = "t1", moment: Instant | None = None, energy_wh: int = 2000) -> MeterSample:
    return replace(sample(key, moment or at(100.0), energy_wh), context=ReadingContext.END)


def stop(key: str = "t1", moment: Instant | None = None, **changes) -> TransactionStop:
    values = {
        "transaction": TransactionKey(key),
        "meter_stop_wh": WattHours(2000),
        "stopped": moment or at(100.0),
        "reason": StopReason.LOCAL,
        "id_tag": IdTag("CARD0001"),
    }
    return TransactionStop(**values | changes)


def inline_store(directory: Path, boot_id: str = BOOT) -> Store:
    return Store.open(directory, boot_id=boot_id, executor=InlineExecutor())
