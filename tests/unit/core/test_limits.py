"""One number, many limits: combining, sharing, and how the offer follows."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evcharge_agent.core import limits
from evcharge_agent.core.limits import Limit, Scope, Source, combine, next_offer, raise_deadline_s
from evcharge_agent.core.reasons import TEXTS, Reason
from evcharge_agent.core.sharing import share_equally
from evcharge_hal.contract.channel import Ceiling, CeilingSource
from evcharge_hal.contract.units import Amps, PerPhase
from tests.support.core_station import TestRules


def limit(current_a, source=Source.USER):
    per_phase = current_a if isinstance(current_a, PerPhase) else PerPhase.uniform(current_a)
    return Limit(source, Scope.CONNECTOR, per_phase, Reason.USER_LIMIT)


@pytest.mark.parametrize(
    ("currents_a", "offer_a", "acting"),
    [
        ([], 0.0, None),
        ([32.0], 32.0, 0),
        ([32.0, 16.0, 20.0], 16.0, 1),
        ([16.0, 16.0], 16.0, 0),
        ([5.99, 32.0], 0.0, 0),
        ([6.0, 32.0], 6.0, 0),
        ([0.0], 0.0, 0),
        ([-3.0], 0.0, 0),
        ([13.37, 20.0], 13.3, 0),
        ([PerPhase(20.0, 9.0, 30.0), 16.0], 9.0, 0),
    ],
)
def test_the_lowest_acts_and_says_so(currents_a, offer_a, acting):
    chain = [limit(current_a) for current_a in currents_a]
    target = combine(chain)
    assert target.offer_a == pytest.approx(offer_a)
    assert target.acting is (None if acting is None else chain[acting])


@pytest.mark.parametrize("source", CeilingSource)
def test_every_ceiling_of_the_guard_has_its_place_and_its_words(source):
    (found,) = limits.guard_limits([Ceiling(source, Amps(10.0))])
    assert found.current_a == PerPhase.uniform(10.0)
    assert found.reason in TEXTS


def test_every_reason_has_words():
    assert set(TEXTS) == set(Reason)


@pytest.mark.parametrize(
    ("offer_a", "target_a", "raised_s", "now_s", "expected"),
    [
        (16.0, 10.0, 99.0, 100.0, (10.0, 99.0)),
        (16.0, 0.0, 99.0, 100.0, (0.0, 99.0)),
        (10.0, 16.0, None, 100.0, (16.0, 100.0)),
        (10.0, 16.0, 95.0, 100.0, (16.0, 100.0)),
        (10.0, 16.0, 95.1, 100.0, (10.0, 95.1)),
        (10.0, 10.0, 99.0, 100.0, (10.0, 99.0)),
    ],
)
def test_down_at_once_up_every_five_seconds(offer_a, target_a, raised_s, now_s, expected):
    assert next_offer(offer_a, target_a, raised_s, now_s) == expected


def test_a_raise_that_is_held_back_has_a_deadline():
    assert raise_deadline_s(10.0, 16.0, 95.0) == 100.0
    assert raise_deadline_s(10.0, 10.0, 95.0) is None
    assert raise_deadline_s(10.0, 16.0, None) is None


def test_a_share_says_that_it_is_one():
    rules = TestRules(installer_limit_a=32.0)
    assert limits.installer_limit(rules, 32.0).reason is Reason.INSTALLER_LIMIT
    assert limits.installer_limit(rules, 16.0).reason is Reason.INSTALLER_LIMIT_SHARED


@pytest.mark.parametrize(
    ("limit_a", "wanting", "shares"),
    [
        (32.0, [], {}),
        (32.0, [1], {1: 32.0}),
        (32.0, [1, 2], {1: 16.0, 2: 16.0}),
        (13.0, [2, 1], {2: 6.5, 1: 6.5}),
        (11.9, [2, 1], {2: 11.9, 1: 0.0}),
        (5.0, [1], {1: 0.0}),
        (0.0, [1, 2], {1: 0.0, 2: 0.0}),
    ],
)
def test_the_station_limit_is_shared(limit_a, wanting, shares):
    assert share_equally(limit_a, wanting) == shares


@given(st.floats(0.0, 160.0), st.integers(0, 12))
def test_shares_never_exceed_the_limit_and_never_fall_between_nothing_and_the_minimum(limit_a, count):
    shares = share_equally(limit_a, range(count))
    assert set(shares) == set(range(count))
    assert math.fsum(shares.values()) <= limit_a * (1 + 1e-9)
    assert all(share_a == 0.0 or share_a >= 6.0 for share_a in shares.values())
    assert sum(share_a > 0.0 for share_a in shares.values()) == min(count, int(limit_a // 6.0))
