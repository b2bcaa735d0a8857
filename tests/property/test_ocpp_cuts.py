"""What a central system was answered is there afterwards: the agent's process ended while it was being written.

A sample of the points, spread over each scenario; all of them, and cuts of the restart as well, in the soak twin.
"""

import logging
from collections.abc import Iterator

import pytest
import structlog

from tests.support.ocpp_cut_scenarios import QUESTIONS
from tests.support.ocpp_cut_sessions import SESSIONS
from tests.support.ocpp_cuts import Scenario, ends_of, live, spread
from tests.support.store_cuts import After

POINTS = 4
"""So many of each scenario and kind of end; shorter scenarios are cut at every point."""


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.reset_defaults()


CUTS = [(scenario, after) for scenario in (*QUESTIONS, *SESSIONS) for after in ends_of(scenario)]


@pytest.mark.parametrize(("scenario", "after"), CUTS, ids=[f"{one.__name__}, {after.value}" for one, after in CUTS])
def test_some_writes_cut_once(scenario: type[Scenario], after: After) -> None:
    points = live(scenario, after)
    assert points >= 4
    # Another end, other points.
    for cut_at in spread(points, POINTS, list(After).index(after)):
        live(scenario, after, cut_at)
