"""Ten days of charging, each with the process ended at every single write: nothing lost, nothing doubled.

Four times over: killed; power cut (what was not synced is gone, another boot); killed and the database damaged;
killed and the database deleted.
"""

import os
import tempfile
from pathlib import Path

import pytest

from tests.support.store_cuts import After, lives, steps

SCENARIOS = {
    "a charge by card": "start a 100; drain; sample a 200; drain; sample a 300; drain; hold a 390; finish a 400; drain",
    "an immediate stop": "start a 100; drain; stop a 100; drain",
    "no central system": "start a 100; sample a 200; sample a 300; hold a 400; finish a 410; drain",
    "three sessions offline": "start a 1; stop a 5; start b 5; sample b 7; stop b 9; start c 9; stop c 20",
    "two connectors": "start a 1; start b 50; one; sample a 3; sample b 60; stop b 70; one; one; stop a 9; drain",
    "a flapping line": "start a 1; deafen; one; sample a 3; deafen; one; drain; stop a 8; deafen; one; drain",
    "a start answered late": "start a 1; sample a 2; hold a 4; drain; finish a 5; one; start b 5; drain; stop b 6; drain",
    "a start that is refused": "start refused 1; drain; sample refused 2; stop refused 4; drain; start b 4; stop b 9",
    "other writes in between": "verdict a; start a 1; setting x 1; drain; setting x 2; verdict b; stop a 6; setting y 1",
    "a clock that is set": "start a 1; sample a 2; clock - 3600; one; sample a 3; clock - 60; hold a 7; clock - 1; finish a 8",
}


CUTS = [(name, after) for name in SCENARIOS for after in (After.KILL, After.POWER, After.DAMAGE)]
CUTS += [("a charge by card", After.LOSS), ("two connectors", After.LOSS)]


@pytest.mark.parametrize(("name", "after"), CUTS, ids=[f"{name}, {after.value}" for name, after in CUTS])
def test_every_write_cut_once(name: str, after: After) -> None:
    # In memory where that is possible: it is the order of the writes that counts, and there are ten thousands.
    memory = Path("/dev/shm")  # noqa: S108
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as directory:
        assert lives(Path(directory), steps(SCENARIOS[name]), after) > 15
