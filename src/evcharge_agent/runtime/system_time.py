"""Where the system's clock can be believed, time is known without a central system (DESIGN D9).

Two files say so, both readable by a service that may not touch the clock: systemd-timesyncd marks that it has
synchronised, and the kernel that it has set the clock from a battery-backed one at boot.
"""

import asyncio
import enum
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from evcharge_agent.runtime.clock import Clock, system_utc_s
from evcharge_agent.store.errors import StoreError

SYNCHRONISED = Path("run/systemd/timesync/synchronized")
SET_AT_BOOT = Path("sys/class/rtc/rtc0/hctosys")
LOOK_S = 30.0
EARLIEST_UTC_S = 1_577_836_800.0
"""2020-01-01. A system that says an earlier time does not know it, whoever set it."""

_log = logging.getLogger(__name__)


class Source(enum.Enum):
    """Who set the system's clock."""

    NOBODY = "nobody"
    RTC = "rtc"
    NTP = "ntp"


def source_of(root: Path = Path("/")) -> Source:
    """Tell who set the system's clock, as far as the files below `root` say."""
    if (root / SYNCHRONISED).exists():
        return Source.NTP
    try:
        is_set_at_boot = (root / SET_AT_BOOT).read_text("ascii").strip() == "1"
    except (OSError, UnicodeDecodeError):
        return Source.NOBODY
    return Source.RTC if is_set_at_boot else Source.NOBODY


class StampCorrector(Protocol):
    """Corrects what was stamped before the time was known."""

    async def correct_stamps(self, moved_s: float, *, offset_s: float | None = None) -> int:
        """See `Store.correct_stamps`."""
        ...


async def follow_system_time(
    clock: Clock,
    stamps: StampCorrector,
    source: Callable[[], Source] = source_of,
    read_utc_s: Callable[[], float] = system_utc_s,
) -> None:
    """Teach `clock` from the system's; returns once that is as good as it gets, or the central system has taught it.

    A battery-backed clock may be off by minutes a year, so a later synchronisation counts for more.
    """
    taught_by, taught_offset_s = Source.NOBODY, clock.offset_s
    while not clock.is_trusted or (taught_by is Source.RTC and clock.offset_s == taught_offset_s):
        found = source()
        utc_s = read_utc_s()
        if found not in (taught_by, Source.NOBODY) and utc_s >= EARLIEST_UTC_S:
            await _teach(clock, stamps, utc_s)
            _log.info("The time is known from the system's clock, which was set by %s.", found.value)
            taught_by, taught_offset_s = found, clock.offset_s
        await asyncio.sleep(LOOK_S)


async def _teach(clock: Clock, stamps: StampCorrector, utc_s: float) -> None:
    is_first = not clock.is_trusted
    moved_s = clock.learn_utc(utc_s)
    if is_first:
        try:
            await stamps.correct_stamps(moved_s, offset_s=clock.offset_s)
        except StoreError as error:
            _log.error("Stamps from before the time was known could not be corrected: %s", error.reason)
