"""A fixed handful of the kills that `make soak` draws by the hundred (`tests/soak/test_kills.py`)."""

import asyncio
from pathlib import Path

import pytest

from tests.support.kill_campaign import play
from tests.support.kill_campaign_killer import Tally
from tests.support.kill_campaign_plan import Kill, Moment, Plan, Victim

pytestmark = pytest.mark.system

PLANS = (
    Plan(
        "AGENT",
        1,
        Victim.AGENT,
        (
            Kill(Moment.START_UNSENT, 0.2),
            Kill(Moment.CHARGING, 0.5, again_s=(0.4,)),
            Kill(Moment.STOP_UNANSWERED, 0.1),
        ),
    ),
    Plan("GUARD", 2, Victim.GUARD, (Kill(Moment.CHARGING, 0.3),)),
    Plan(
        "POWER",
        1,
        Victim.POWER,
        (Kill(Moment.START_UNANSWERED, 0.1), Kill(Moment.STOP_UNSENT, 3.0)),
        is_resume_awaited=False,
    ),
)


def test_nothing_is_lost_or_doubled_and_the_contactor_opens(tmp_path: Path) -> None:
    tally = Tally()
    problems = asyncio.run(play(PLANS, tmp_path, tally))
    print((tmp_path / "log").read_text())  # noqa: T201 - shown by pytest where the test fails
    assert problems == []
    assert tally.kills.total() == sum(plan.count for plan in PLANS) == 7
    assert tally.evidence["between commit and send of a start"] > 0
    assert tally.evidence["between commit and send of a stop"] > 0
    assert tally.openings_s
