"""The composite schedule says at every second what a slow reference says, and the reference catches mistakes."""

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evcharge_agent.core import composite
from evcharge_agent.core.charging_profiles import RateUnit
from evcharge_agent.core.composite import Question, Sight
from tests.support.broken_composites import BROKEN
from tests.support.composite_cases import Mismatch, case, judge
from tests.support.composite_reference import limit_at

BOUNDED = settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])


@BOUNDED
@given(st.randoms(use_true_random=False))
def test_the_report_is_right_at_every_second(chance):
    drawn = case(chance)
    judge(composite.report(drawn.basis, drawn.question, drawn.now), drawn)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(400))
def test_the_report_is_right_in_many_cases(seed):
    chance = random.Random(seed)
    for _ in range(20):
        drawn = case(chance)
        judge(composite.report(drawn.basis, drawn.question, drawn.now), drawn)


def judge_many(report, count):
    chance = random.Random(1)
    for _ in range(count):
        drawn = case(chance)
        if drawn.question.duration_s <= 600:
            judge(report(drawn.basis, drawn.question, drawn.now), drawn)


def test_the_right_one_passes_where_mistakes_are_sought():
    judge_many(composite.report, 400)


@pytest.mark.parametrize("wrong", BROKEN)
def test_a_mistake_is_caught(wrong):
    with pytest.raises(Mismatch):
        judge_many(BROKEN[wrong], 400)


@BOUNDED
@given(st.randoms(use_true_random=False))
def test_nothing_changes_before_it_is_said_to(chance):
    """What limits a charge stands until the moment the core wakes up for."""
    drawn = case(chance)
    basis, now = drawn.basis, drawn.now
    sight = Sight.of(now)
    for number, outlet in basis.by_number.items():
        question = Question(number, 600, RateUnit.CURRENT, float("inf"))
        idle_since = now.utc_s + composite.EARLY_S
        spans = [composite.connector_span(basis, number, sight), composite.station_span(basis, sight)]
        until_utc_s = min(span.until_utc_s for span in spans)
        found = [span.allowance.current_a for span in spans if span.allowance is not None]
        assert until_utc_s > sight.at_utc_s
        expected = limit_at(basis, question, now, sight.at_utc_s, idle_since)
        assert min(found, default=float("inf")) == pytest.approx(expected), (number, outlet)
        last_utc_s = min(until_utc_s - 0.001, now.utc_s + 600)
        for part in (0.1, 0.5, 0.9, 1.0):
            at_utc_s = sight.at_utc_s + (last_utc_s - sight.at_utc_s) * part
            assert limit_at(basis, question, now, at_utc_s, idle_since) == pytest.approx(expected)
