"""Every write of every scenario cut once, and every write of the restart that follows some of these cuts."""

import logging
from collections.abc import Iterator

import pytest
import structlog

from tests.support.ocpp_cut_scenarios import QUESTIONS
from tests.support.ocpp_cut_sessions import SESSIONS
from tests.support.ocpp_cuts import Scenario, ends_of, live, spread
from tests.support.store_cuts import After

pytestmark = pytest.mark.soak

TWICE = 3
"""So many first cuts of each scenario are followed by cuts of the restart."""


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.reset_defaults()


@pytest.mark.parametrize("scenario", [*QUESTIONS, *SESSIONS], ids=lambda scenario: scenario.__name__)
def test_every_write_cut_once_and_the_restart_again(
    scenario: type[Scenario], capsys: pytest.CaptureFixture[str]
) -> None:
    points = live(scenario, After.KILL)
    once = twice = 0
    for after in ends_of(scenario):
        for cut_at in range(1, points + 1):
            live(scenario, after, cut_at)
            once += 1
        for first in spread(points, TWICE, list(After).index(after)):
            restart = live(scenario, after, first, 10_000)
            for second in range(1, restart + 1):
                live(scenario, after, first, second)
                twice += 1
    with capsys.disabled():
        print(f"[cuts] {scenario.__name__}: {points} points, {once} lives cut once, {twice} cut twice")  # noqa: T201
