"""Recorded register images of meters, and what must be read of them: `tests/golden/meters/*.json`."""

import json
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from evcharge_hal.contract.units import PerPhase
from evcharge_hal.instruments.values import MeterValues

DIRECTORY = Path(__file__).parents[1] / "golden" / "meters"
NAMES = sorted(path.stem for path in DIRECTORY.glob("*.json"))


@dataclass(frozen=True)
class Golden:
    """An image by wire address, and the values in it; lists are the three phases."""

    map: str
    function_code: int
    words: dict[int, int]
    values: dict[str, Any] = field(default_factory=dict)

    def differences(self, read: MeterValues) -> dict[str, tuple[object, object]]:
        """What was read and is not what stands in the file."""
        found = {}
        for one in fields(MeterValues):
            wanted, got = self.values.get(one.name), getattr(read, one.name)
            plain = [got.l1, got.l2, got.l3] if isinstance(got, PerPhase) else got
            if not _are_close(wanted, plain):
                found[one.name] = (wanted, plain)
        return found


def load_golden(name: str) -> Golden:
    """Read one file."""
    data = json.loads((DIRECTORY / f"{name}.json").read_text("utf-8"))
    words = {
        int(address, 16) + offset: int(word, 16)
        for address, text in data["registers"].items()
        for offset, word in enumerate(text.split())
    }
    return Golden(data["map"], data["function_code"], words, data["values"])


def _are_close(wanted: object, got: object) -> bool:
    if isinstance(wanted, list) and isinstance(got, list):
        return len(wanted) == len(got) and all(map(_are_close, wanted, got))
    if isinstance(wanted, int | float) and isinstance(got, int | float):
        return abs(wanted - got) <= 1e-6 * max(1.0, abs(wanted))
    return wanted is None and got is None
