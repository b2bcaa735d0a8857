"""SIGKILL of agent, guard and everything at hundreds of random moments: nothing lost, nothing doubled, nothing unsafe.

See `tests.support.kill_campaign` for the variables that choose seed and counts.
"""

import asyncio
from pathlib import Path

import pytest

from tests.support.kill_campaign import Campaign, Orders
from tests.support.kill_campaign_plan import Victim

pytestmark = pytest.mark.soak


@pytest.mark.parametrize("victim", Victim, ids=lambda victim: victim.value)
def test_kills(victim: Victim, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def say(text: str) -> None:
        with capsys.disabled():
            print(text, flush=True)  # noqa: T201 - a long campaign says how far it is

    campaign = Campaign(victim, Orders.read(victim), tmp_path, say)
    asyncio.run(campaign.run())
    say(campaign.summary())
    assert campaign.problems == []
