"""A million frames and more between guard and co-processor over lines that damage them (`tests.support.serial_torture`).

EVC_SOAK_SEED=N plays one episode again.
"""

import pytest

from tests.support.damaged_line import Damage
from tests.support.serial_torture import Tally, play_episode
from tests.support.soak import Progress, fresh_seed, soak_seed

pytestmark = pytest.mark.soak

FRAMES = 1_000_000


def test_a_million_frames_of_which_many_are_damaged(capsys: pytest.CaptureFixture[str]) -> None:
    def say(text: str) -> None:
        with capsys.disabled():
            print(text, flush=True)  # noqa: T201 - a long campaign says how far it is

    tally, seed = Tally(), soak_seed()
    progress = Progress("serial torture", say)
    if seed is not None:
        play_episode(seed, tally)
        progress.conclude(tally.text())
        return
    seed = fresh_seed()
    progress.conclude(f"episodes from seed {seed} on")
    while (frames := sum(tally.frames.values())) < FRAMES:
        play_episode(seed, tally)
        seed += 1
        progress.tell(f"{frames} of {FRAMES} frames, {frames / progress.elapsed_s():.0f} a second, seed {seed}")
    progress.conclude(f"{tally.text()}\n  {frames / progress.elapsed_s():.0f} frames a second")
    assert set(tally.damaged) == set(Damage)
