"""What the kernel knows of a process."""

import os
from dataclasses import dataclass
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_KIB = 1024


@dataclass(frozen=True, slots=True)
class Usage:
    """Running totals of one process, children not included."""

    cpu_s: float
    written_bytes: int
    """Handed to the block layer (`write_bytes` of /proc/PID/io); what was overwritten in the cache counts once."""


def read_usage(pid: int) -> Usage:
    """Read the totals now."""
    # The name in the second field may hold anything; what follows its closing bracket may not.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    counters = dict(line.split(": ") for line in Path(f"/proc/{pid}/io").read_text().splitlines())
    return Usage((int(fields[11]) + int(fields[12])) / _TICKS, int(counters["write_bytes"]))


def read_memory_mb(pid: int) -> tuple[float, float]:
    """RSS and PSS in MB (2**20 bytes)."""
    sums = {"Rss": 0, "Pss": 0}
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        name, _, rest = line.partition(":")
        if name in sums:
            sums[name] = int(rest.split()[0])
    return sums["Rss"] / _KIB, sums["Pss"] / _KIB
