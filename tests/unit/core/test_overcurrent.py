"""The car may not take more than it was offered."""

import math

import pytest

from evcharge_agent.core.overcurrent import Finding, highest_offer_a, note_offer, watch
from evcharge_agent.core.state import Draw
from evcharge_hal.contract.units import PerPhase


def offered(*offers):
    draw = Draw()
    for at_s, offer_a in offers:
        draw = note_offer(draw, offer_a, at_s)
    return draw


@pytest.mark.parametrize(
    ("offers", "now_s", "highest_a"),
    [
        ([], 100.0, math.inf),
        ([(99.0, 16.0)], 100.0, math.inf),
        ([(93.0, 16.0)], 100.0, 16.0),
        ([(50.0, 16.0)], 100.0, 16.0),
        ([(50.0, 16.0), (95.0, 6.0)], 100.0, 16.0),
        ([(50.0, 16.0), (93.0, 6.0)], 100.0, 6.0),
        ([(50.0, 16.0), (92.9, 6.0)], 100.0, 6.0),
        ([(50.0, 6.0), (95.0, 16.0), (96.0, 10.0)], 100.0, 16.0),
    ],
)
def test_the_highest_offer_of_the_last_seven_seconds(offers, now_s, highest_a):
    assert highest_offer_a(offered(*offers), now_s) == highest_a


def test_old_offers_are_forgotten():
    draw = offered(*((float(at_s), 6.0 + at_s % 7) for at_s in range(1000)))
    assert len(draw.offers) <= 9


@pytest.mark.parametrize(("draw_a", "is_over"), [(18.6, False), (18.7, True)])
def test_ten_percent_and_one_ampere_are_tolerated(draw_a, is_over):
    draw, finding = watch(offered((0.0, 16.0)), PerPhase(0.0, draw_a, 0.0), 100.0)
    assert (finding is Finding.WARNING) is is_over
    assert (draw.exceeded_since_s is not None) is is_over


def run(draw, readings):
    findings = []
    for at_s, current_a in readings:
        draw, finding = watch(draw, PerPhase(current_a, 0.0, 0.0), at_s)
        findings.append(finding)
    return draw, findings


def test_five_seconds_of_it_warn_first_and_stop_then():
    _, findings = run(offered((0.0, 16.0)), [(100.0 + second, 20.0) for second in range(8)])
    assert findings == [Finding.WARNING, *[None] * 4, Finding.OVERCURRENT, None, None]


def test_a_moment_below_starts_the_five_seconds_anew():
    readings = [(100.0, 20.0), (104.0, 20.0), (104.9, 16.0), (105.0, 20.0), (109.9, 20.0)]
    _, findings = run(offered((0.0, 16.0)), readings)
    assert Finding.OVERCURRENT not in findings


def test_when_the_draw_is_back_the_cause_is_over():
    draw, findings = run(offered((0.0, 16.0)), [(100.0, 20.0), (105.0, 20.0), (106.0, 10.0)])
    assert findings[1:] == [Finding.OVERCURRENT, Finding.OVER]
    assert not draw.is_overcurrent


def test_a_car_that_follows_a_cut_within_five_seconds_is_not_at_fault():
    draw = offered((0.0, 32.0), (100.0, 6.0))
    _, findings = run(draw, [(100.0 + second, 32.0 if second < 5 else 6.0) for second in range(20)])
    assert findings == [None] * 20


def test_current_without_any_offer_is_too_much():
    _, findings = run(offered((0.0, 0.0)), [(100.0, 1.5), (105.0, 1.5)])
    assert findings == [Finding.WARNING, Finding.OVERCURRENT]
