"""Latch and clear rules, straight from the catalogue's rows; no fault has a test of its own figures."""

import pytest

from evcharge_hal.contract.channel import ClearFault
from evcharge_hal.contract.faults import CATALOGUE, FaultCode, Latch, Owner
from evcharge_hal.guard import faulting
from evcharge_hal.guard.state import LatchedFault

ALL = list(FaultCode)
ACKNOWLEDGED = [code for code in ALL if CATALOGUE[code].latch is Latch.ACKNOWLEDGE]


@pytest.mark.parametrize("code", ALL)
def test_a_present_cause_is_not_over_unless_the_agents_car_has_left(code: FaultCode) -> None:
    fault = LatchedFault(raised_s=0.0, is_present=True)
    assert not faulting.is_over(code, fault, is_unplugged=False, now_s=1e9)
    is_forgotten = code is FaultCode.OVERCURRENT
    assert faulting.is_over(code, fault, is_unplugged=True, now_s=1e9) is is_forgotten
    assert faulting.clear_s(code, fault) == float("inf")


@pytest.mark.parametrize("code", ALL)
@pytest.mark.parametrize("is_unplugged", [True, False])
def test_a_gone_cause_is_over_by_its_row(code: FaultCode, is_unplugged: bool) -> None:
    row = CATALOGUE[code]
    fault = LatchedFault(raised_s=0.0, is_present=False, gone_s=100.0)
    after_s = row.clear_after_s
    for now_s in (100.0, 159.9, 160.0, 1e6):
        is_timed_out = after_s is not None and now_s >= 100.0 + after_s
        expected = row.latch is not Latch.ACKNOWLEDGE and (is_timed_out or (row.latch is Latch.PLUG and is_unplugged))
        assert faulting.is_over(code, fault, is_unplugged=is_unplugged, now_s=now_s) is expected


def test_a_cause_that_comes_back_starts_its_time_anew() -> None:
    first = faulting.note_presence(None, True, 10.0)
    gone = faulting.note_presence(first, False, 20.0)
    assert (gone.raised_s, gone.gone_s, gone.is_present) == (10.0, 20.0, False)
    assert faulting.note_presence(gone, False, 30.0) is gone
    again = faulting.note_presence(gone, True, 40.0)
    assert faulting.note_presence(again, False, 50.0).gone_s == 50.0


@pytest.mark.parametrize("code", ALL)
def test_only_the_agents_own_faults_are_taken_from_it(code: FaultCode) -> None:
    raised = faulting.raise_fault({}, code, True, 1.0)
    if CATALOGUE[code].owner is Owner.AGENT:
        assert raised is not None
        assert raised[code].is_present
    else:
        assert raised is None


def test_the_end_of_a_fault_nobody_raised_is_nothing() -> None:
    assert faulting.raise_fault({}, FaultCode.OVERCURRENT, False, 1.0) == {}


@pytest.mark.parametrize("code", ALL)
@pytest.mark.parametrize("is_present", [True, False])
def test_a_person_clears_what_is_theirs_when_the_cause_has_gone(code: FaultCode, is_present: bool) -> None:
    faults = {code: LatchedFault(0.0, is_present)}
    remaining, reply = faulting.clear_fault(faults, ClearFault(7, 1, code), frozenset())
    assert reply.request == 7
    assert reply.is_accepted is (code in ACKNOWLEDGED and not is_present)
    assert (code in remaining) is not reply.is_accepted
    assert reply.is_accepted or reply.reason


def test_clearing_twice_is_fine() -> None:
    assert faulting.clear_fault({}, ClearFault(8, 1, FaultCode.RCM_TRIP), frozenset())[1].is_accepted


@pytest.mark.parametrize("code", ALL)
def test_only_acknowledged_faults_come_back_from_the_state_file(code: FaultCode) -> None:
    restored = faulting.restore_faults(frozenset({code}), 5.0)
    assert set(restored) == ({code} if code in ACKNOWLEDGED else set())
    assert faulting.acknowledge_only(restored) == frozenset(restored)


def test_the_state_file_holds_trips_and_welds() -> None:
    assert set(ACKNOWLEDGED) == {FaultCode.RCM_TRIP, FaultCode.RCM_SELF_TEST, FaultCode.CONTACTOR_WELDED}
