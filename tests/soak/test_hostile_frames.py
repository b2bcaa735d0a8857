"""A million frames no central system should send: no session ends and nothing piles up."""

import itertools
import os
from pathlib import Path

import pytest

from evcharge_agent.store.executor import InlineExecutor
from evcharge_agent.store.store import Store
from tests.support.hostile_frames import BATCH, Hostile, Target, silence
from tests.support.virtual_time import run_virtual

pytestmark = pytest.mark.soak

FRAMES = 1_000_000
WARM_UP = 100_000
MAX_GROWTH_BYTES = 5 * 1024 * 1024


def resident_bytes():
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def test_a_million_hostile_frames_end_no_session_and_cost_no_memory(tmp_path):
    async def main():
        store = Store.open(tmp_path, boot_id="boot", executor=InlineExecutor())
        target = Target(tmp_path, store)
        frames = Hostile(2026).frames(FRAMES)
        sent, before = 0, 0
        while batch := list(itertools.islice(frames, BATCH)):
            await target.survive(batch)
            sent += len(batch)
            if sent == WARM_UP:
                before = resident_bytes()
        growth = resident_bytes() - before
        await target.end()
        store.close()
        return sent, growth

    with silence():
        sent, growth = run_virtual(main(), limit_s=10 * 365 * 86_400.0)
    print(f"{sent} frames, RSS grew by {growth / 1024:.0f} KiB after the first {WARM_UP}")  # noqa: T201 - a figure
    assert sent == FRAMES
    assert growth < MAX_GROWTH_BYTES
