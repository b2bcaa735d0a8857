"""The lease in isolation: a clock of numbers and set-points."""

import pytest

from evcharge_hal.contract.channel import EventKind, LeaseState, SetPoint
from evcharge_hal.contract.units import Amps, Seconds
from evcharge_hal.guard import lease
from evcharge_hal.guard.state import LeaseView


def set_point(hold_s: float = 120.0, restrict_at_s: float | None = None, lease_s: float = 5.0) -> SetPoint:
    return SetPoint(
        connector=1,
        plug_id="p",
        offer_a=Amps(16.0),
        permission=True,
        lease_s=Seconds(lease_s),
        hold_s=Seconds(hold_s),
        restrict_at_s=restrict_at_s,
    )


def held(at_s: float = 0.0, **fields: float) -> LeaseView:
    return lease.accept_set_point(LeaseView(), set_point(**fields), at_s)


@pytest.mark.parametrize(
    ("now_s", "hold_s", "restrict_at_s", "expected"),
    [
        (0.0, 120.0, None, LeaseState.HELD),
        (4.999, 120.0, None, LeaseState.HELD),
        (5.0, 120.0, None, LeaseState.LAPSED),
        (124.999, 120.0, None, LeaseState.LAPSED),
        (125.0, 120.0, None, LeaseState.SPENT),
        (5.0, 0.0, None, LeaseState.SPENT),
        (30.0, 120.0, 30.0, LeaseState.SPENT),
        (29.9, 120.0, 30.0, LeaseState.LAPSED),
        # A restriction before the lapse is the agent's own business while it speaks, and bites at the lapse.
        (4.0, 120.0, 2.0, LeaseState.HELD),
        (5.0, 120.0, 2.0, LeaseState.SPENT),
    ],
)
def test_state_over_time(now_s: float, hold_s: float, restrict_at_s: float | None, expected: LeaseState) -> None:
    view = lease.accept_set_point(LeaseView(), set_point(hold_s, restrict_at_s), 0.0)
    assert lease.state_at(view, now_s) is expected


def test_without_a_set_point_there_is_none_for_ever() -> None:
    assert lease.state_at(LeaseView(), 1e9) is LeaseState.NONE
    assert lease.lapse_s(LeaseView()) == lease.spent_s(LeaseView()) == float("inf")


def test_gaps_add_up_and_spend_the_hold() -> None:
    view = held(hold_s=30.0)
    view = lease.accept_set_point(view, set_point(30.0), 25.0)  # a gap of 20 s
    assert view.hold_used_s == pytest.approx(20.0)
    assert lease.state_at(view, 30.0 + 9.9) is LeaseState.LAPSED
    assert lease.state_at(view, 30.0 + 10.1) is LeaseState.SPENT


def test_a_gap_costs_no_more_than_the_budget() -> None:
    view = lease.accept_set_point(held(hold_s=30.0), set_point(30.0), 1000.0)
    assert view.hold_used_s == pytest.approx(30.0)
    assert lease.state_at(view, 1005.0) is LeaseState.SPENT


@pytest.mark.parametrize(("unbroken_s", "refills"), [(59.0, False), (60.0, True)])
def test_the_hold_refills_after_60_s_of_unbroken_lease_only(unbroken_s: float, refills: bool) -> None:
    view = lease.accept_set_point(held(hold_s=30.0), set_point(30.0), 25.0)
    for second in range(1, int(unbroken_s) + 1):
        view = lease.accept_set_point(view, set_point(30.0), 25.0 + second)
    assert (view.hold_used_s == 0.0) is refills


def test_replugging_does_not_refill_the_hold() -> None:
    view = lease.accept_set_point(held(hold_s=30.0), set_point(30.0), 25.0)
    fresh = lease.forget_plug(view)
    assert fresh.set_point is None
    assert fresh.hold_used_s == view.hold_used_s


def test_each_fact_is_recorded_once() -> None:
    view = held(hold_s=2.0)
    facts = []
    for now_s in (0.0, 5.0, 6.0, 7.0, 8.0):
        view, fact = lease.pass_time(view, now_s)
        facts.append(fact)
    assert facts == [None, EventKind.LEASE_LAPSED, None, EventKind.LEASE_SPENT, None]
