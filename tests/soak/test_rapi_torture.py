"""A million hostile lines between guard and an OpenEVSE board (`tests.support.rapi_torture`).

EVC_SOAK_SEED=N plays one episode again.
"""

import pytest

from tests.support.rapi_torture import Episode, Tally
from tests.support.soak import Progress, fresh_seed, soak_seed

pytestmark = pytest.mark.soak

LINES, LINES_PER_EPISODE = 1_000_000, 500


def test_a_million_hostile_lines(capsys: pytest.CaptureFixture[str]) -> None:
    def say(text: str) -> None:
        with capsys.disabled():
            print(text, flush=True)  # noqa: T201 - a long campaign says how far it is

    tally, seed = Tally(), soak_seed()
    progress = Progress("RAPI torture", say)
    if seed is not None:
        Episode(seed, tally).play(LINES_PER_EPISODE)
        progress.conclude(tally.text())
        return
    seed = fresh_seed()
    progress.conclude(f"episodes from seed {seed} on")
    while tally.hostile < LINES:
        Episode(seed, tally).play(LINES_PER_EPISODE)
        seed += 1
        progress.tell(f"{tally.hostile} of {LINES} lines, seed {seed}")
    progress.conclude(tally.text())
    assert tally.acknowledgements > 100
    assert tally.charging_s > 1000.0
