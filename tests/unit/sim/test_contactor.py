import math

import pytest

from evcharge_hal.sim.plant.contactor import BOUNCE_S, OPERATE_S, RELEASE_S, Contactor


def trace(contactor: Contactor, duration_s: float) -> list[tuple[float, bool]]:
    """Changes of the contact as (time in s, is closed), stepping to each change exactly."""
    changes, now_s = [], 0.0
    while now_s < duration_s:
        step_s = min(contactor.next_change_s(), duration_s - now_s)
        before = contactor.is_closed
        contactor.step(step_s)
        now_s += step_s
        if contactor.is_closed != before:
            changes.append((round(now_s, 6), contactor.is_closed))
    return changes


def test_it_closes_late_bounces_once_and_opens_late():
    contactor = Contactor()
    contactor.energise(True)
    assert trace(contactor, 1.0) == [
        (OPERATE_S, True),
        (OPERATE_S + BOUNCE_S, False),
        (OPERATE_S + 2 * BOUNCE_S, True),
    ]
    contactor.energise(False)
    assert trace(contactor, 1.0) == [(RELEASE_S, False)]
    assert contactor.closings == 1, "a bounce is not an operation"


def test_a_coil_pulse_shorter_than_the_operate_time_moves_nothing():
    contactor = Contactor()
    contactor.energise(True)
    contactor.step(OPERATE_S / 2)
    contactor.energise(False)
    assert trace(contactor, 1.0) == []
    assert contactor.closings == 0


def test_welded_contacts_stay_until_they_are_parted():
    contactor = Contactor()
    contactor.energise(True)
    trace(contactor, 1.0)
    contactor.weld(True)
    contactor.energise(False)
    assert trace(contactor, 5.0) == []
    assert contactor.is_closed
    contactor.weld(False)
    assert trace(contactor, 1.0) == [(RELEASE_S, False)]


def test_open_contacts_weld_at_the_next_closing():
    contactor = Contactor()
    contactor.weld(True)
    assert not contactor.is_closed
    contactor.energise(True)
    assert trace(contactor, 1.0) == [(OPERATE_S, True)], "welded contacts do not bounce"
    contactor.energise(False)
    assert trace(contactor, 1.0) == []


def test_a_blocked_contactor_does_not_close_and_does_when_it_is_freed():
    contactor = Contactor()
    contactor.block(True)
    contactor.energise(True)
    assert trace(contactor, 1.0) == []
    assert (contactor.is_closed, contactor.closings) == (False, 0)
    contactor.block(False)
    assert trace(contactor, 1.0)[0] == (OPERATE_S, True)


@pytest.mark.parametrize("step_s", [0.001, 0.007, 0.05, 1.0])
def test_however_it_is_stepped_it_ends_where_the_coil_says(step_s):
    contactor = Contactor(closings=41)
    for is_on in (True, False, True):
        contactor.energise(is_on)
        for _ in range(math.ceil(0.1 / step_s)):
            contactor.step(step_s)
        assert contactor.is_closed == is_on
    assert contactor.closings == 43
