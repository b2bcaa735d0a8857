"""A process that charges on a store and tells of every fact once it is on the disk: `python -m ... DIRECTORY SESSIONS`.

What it prints has been promised. It goes on where an earlier process was ended, tries a write that failed
again as the core does, and ends when the sessions are complete.
"""

import asyncio
import sys
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Any

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
from evcharge_agent.store.errors import StoreError
from evcharge_agent.store.executor import InlineExecutor
from evcharge_agent.store.store import Store
from evcharge_hal.contract.units import WattHours

TRIES = 5
UTC_S = 1_750_000_000.0


async def charge(directory: Path, sessions: int) -> None:
    """Bring every session to its end."""
    store = opened(directory)
    for number in range(sessions):
        key = TransactionKey(f"session-{number}")
        at_s = 100.0 * number
        start = TransactionStart(key, 1, IdTag(f"TAG-{number}"), WattHours(1000 * number), _at(at_s), f"plug-{number}")
        await tried(f"start {key}", partial(store.commit_start, start))
        reading = MeterReading(energy_wh=WattHours(1000 * number + 500))
        measurands = (Measurand.ENERGY_IMPORT,)
        sample = MeterSample(1, key, _at(at_s + 10.0), ReadingContext.PERIODIC, reading, measurands)
        await tried(f"sample {key}", partial(store.commit_sample, sample))
        stop = TransactionStop(key, WattHours(1000 * number + 900), _at(at_s + 20.0), StopReason.LOCAL)
        await tried(f"stop {key}", partial(store.commit_stop, stop))
    store.close()


def opened(directory: Path) -> Store:
    """Open the store, as often as the daemon would."""
    for _ in range(TRIES):
        try:
            return Store.open(directory, boot_id="boot", executor=InlineExecutor())
        except StoreError as error:
            tell(f"refused {error.reason}")
    raise SystemExit(3)


async def tried(what: str, write: Callable[[], Coroutine[Any, Any, bool]]) -> None:
    """Write until it is on the disk."""
    for _ in range(TRIES):
        try:
            await write()
        except StoreError as error:
            tell(f"refused {error.reason}")
        else:
            tell(what)
            return
    raise SystemExit(4)


def tell(text: str) -> None:
    """Promise it."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _at(monotonic_s: float) -> Instant:
    return Instant(monotonic_s, UTC_S + monotonic_s, is_utc_trusted=True)


if __name__ == "__main__":
    asyncio.run(charge(Path(sys.argv[1]), int(sys.argv[2])))
