"""The kernel boot that monotonic stamps belong to (DESIGN D11)."""

import os
from pathlib import Path

BOOT_ID_VARIABLE = "EVCHARGE_BOOT_ID"
"""Overrides the kernel's boot id: a simulated power cut is a new boot although the host kernel went on."""

_LONGEST = 64
_BOOT_ID_FILE = Path("/proc/sys/kernel/random/boot_id")


def read_boot_id() -> str:
    """Return the boot id; the same for both processes, new after each boot of the kernel."""
    named = os.environ.get(BOOT_ID_VARIABLE, "").strip()
    return (named or _BOOT_ID_FILE.read_text().strip())[:_LONGEST]
