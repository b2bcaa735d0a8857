"""Hours of charging, and what a process holds at the end of each: memory, descriptors, tasks, objects."""

import asyncio
import gc
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.support.memory_rig import MemoryRig
from tests.support.rig import CAR, Rig

WARM_UP = 4
"""Samples left out at the beginning: caches, pools and the database's pages fill."""
PAUSE_S = 20.0


@dataclass(frozen=True, slots=True)
class Holding:
    """What a process holds at one moment, always at the same phase: nothing plugged in, nothing queued."""

    at_hours: float
    anonymous_kb: int
    descriptors: int
    threads: int
    tasks: int = 0
    objects: int = 0

    def text(self) -> str:
        """One line."""
        return (
            f"{self.anonymous_kb} kB, {self.descriptors} fds, {self.threads} threads, {self.tasks} tasks,"
            f" {self.objects} objects"
        )


def read_holding(at_hours: float, pid: int | str = "self", tasks: int = 0, objects: int = 0) -> Holding:
    """Read a process's figures from /proc."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    fields = dict(line.split(":", 1) for line in lines)
    descriptors = sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
    return Holding(at_hours, int(fields["RssAnon"].split()[0]), descriptors, int(fields["Threads"]), tasks, objects)


def read_own_holding(at_hours: float) -> Holding:
    """Read this process's figures after a garbage collection."""
    gc.collect()
    return read_holding(at_hours, tasks=len(asyncio.all_tasks()), objects=len(gc.get_objects()))


def slope(points: Sequence[tuple[float, float]]) -> float:
    """Least-squares slope."""
    count = len(points)
    mean_x = sum(x for x, _ in points) / count
    mean_y = sum(y for _, y in points) / count
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / spread


def memory_slope_kb(holdings: Sequence[Holding]) -> float:
    """Growth of anonymous memory after the warm-up, kB an hour."""
    return slope([(one.at_hours, float(one.anonymous_kb)) for one in holdings[WARM_UP:]])


def object_slope(holdings: Sequence[Holding]) -> float:
    """Growth of the number of objects after the warm-up, an hour."""
    return slope([(one.at_hours, float(one.objects)) for one in holdings[WARM_UP:]])


async def charge_once(rig: Rig, number: int, charge_s: float, within_s: float = 60.0) -> None:
    """Plug, card, charge, card, unplug; the connectors take turns."""
    connector, card = 1 + number % 2, f"CARD-{number % 50}"
    await rig.do("ev", **{**CAR, "connector": connector})
    await rig.do("plug", connector=connector)
    await rig.until_state("Preparing", connector)
    await rig.do("swipe", id_tag=card, connectors=[connector])
    await rig.until_state("Charging", connector, within_s=within_s)
    await rig.sleep(charge_s)
    await rig.do("swipe", id_tag=card, connectors=[connector])
    await rig.until_state("Finishing", connector)
    await rig.do("unplug", connector=connector)
    await rig.until_state("Available", connector)


async def live_an_hour(rig: MemoryRig, hour: int, charge_s: float, first: int) -> int:
    """An hour of sessions; in every third one the central system is away for a while. Returns how many there were.

    At its end the books are compared and the central system's memory, which is meant to keep all, is emptied.
    """
    end_s, sessions = rig.now_s() + 3600.0, 0
    is_outage = hour % 3 == 2
    while rig.now_s() < end_s - charge_s - 120.0:
        if is_outage and sessions == 2:
            rig.central.is_reachable = False
            await rig.central.drop()
        await charge_once(rig, first + sessions, charge_s)
        sessions += 1
        if is_outage and sessions == 4:
            rig.central.is_reachable = True
        await rig.sleep(PAUSE_S)
    rig.central.is_reachable = True
    await rig.sleep(max(0.0, end_s - rig.now_s()))
    records = rig.central.transactions.values()
    assert len(records) == sessions, f"hour {hour}: {len(records)} of {sessions} sessions told"
    assert all(record.energy_wh is not None and record.energy_wh > 0 for record in records)
    rig.central.forget()
    rig.central.received.clear()
    rig.notes.clear()
    return sessions
