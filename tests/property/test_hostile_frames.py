"""A hundred thousand frames no central system should send: no session ends, and every answer is a valid frame."""

import itertools

from evcharge_agent.store.executor import InlineExecutor
from evcharge_agent.store.store import Store
from tests.support.hostile_frames import BATCH, Hostile, Target, silence
from tests.support.virtual_time import run_virtual

FRAMES = 100_000


def test_a_hundred_thousand_hostile_frames_end_no_session(tmp_path):
    async def main():
        store = Store.open(tmp_path, boot_id="boot", executor=InlineExecutor())
        target = Target(tmp_path, store)
        frames = Hostile(16).frames(FRAMES)
        while batch := list(itertools.islice(frames, BATCH)):
            await target.survive(batch)
        await target.end()
        store.close()
        return target.answers

    with silence():
        assert run_virtual(main()) > FRAMES // 10
