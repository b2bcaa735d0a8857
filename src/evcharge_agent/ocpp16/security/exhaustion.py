"""MemoryExhaustion: the disk or the memory of the charger is getting full (security white paper, 4)."""

import asyncio
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from evcharge_agent.ocpp16.security.ports import EventSink, SecurityEvent

LOOK_EVERY_S = 60.0
LOW_BYTES = 16 * 1024 * 1024
"""Left of either."""
FINE_BYTES = 2 * LOW_BYTES
"""What was low must come up to this before it is told again."""
_AVAILABLE = re.compile(r"^MemAvailable:\s+([0-9]{1,15}) kB$", re.MULTILINE | re.ASCII)


@dataclass(frozen=True, slots=True)
class Free:
    """What is left, bytes; None: nobody knows."""

    disk_bytes: int | None
    memory_bytes: int | None


@dataclass(frozen=True, slots=True)
class Watch:
    """What is low now. Pure."""

    low: frozenset[str] = frozenset()

    def looked(self, free: Free) -> "tuple[Watch, str]":
        """Take a look in; what to tell, empty: nothing new."""
        known = {"disk": free.disk_bytes, "memory": free.memory_bytes}
        low = {name for name, left in known.items() if left is not None and left < LOW_BYTES}
        still = {name for name in self.low if (left := known[name]) is None or left < FINE_BYTES}
        fresh = sorted(low - self.low)
        words = ", ".join(f"{name}: {(known[name] or 0) // 1024} KiB left" for name in fresh)
        return Watch(frozenset(low | still)), words


def look(directory: Path, meminfo: Path = Path("/proc/meminfo")) -> Free:
    """Ask the kernel; what it does not say is not known."""
    try:
        disk_bytes: int | None = shutil.disk_usage(directory).free
    except OSError:
        disk_bytes = None
    try:
        found = _AVAILABLE.search(meminfo.read_text("ascii", "replace"))
    except OSError:
        found = None
    return Free(disk_bytes, None if found is None else int(found[1]) * 1024)


async def watch(look: Callable[[], Free], events: EventSink) -> None:
    """Look for ever, and report what is getting full."""
    state = Watch()
    while True:
        state, words = state.looked(look())
        if words:
            events.report(SecurityEvent.MEMORY_EXHAUSTION, words)
        await asyncio.sleep(LOOK_EVERY_S)
