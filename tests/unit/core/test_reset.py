"""Rule 12: a reset ends transactions with its own reason, within bounds, and then asks for the restart."""

import pytest

from evcharge_agent.core import events as e
from evcharge_agent.core.effects import CommitStart, CommitStop, FinishStop, Restart, TellGuard
from evcharge_agent.core.events import RequestId
from evcharge_agent.core.facts import StopReason
from evcharge_agent.core.reset import GUARD_ANSWERS_WITHIN_S, HARD_WITHIN_S, SOFT_WITHIN_S
from evcharge_hal.contract.channel import Reply, ResetGuard
from tests.support.core_station import Station, TestRules, set_points

SOFT, HARD = e.ResetOrdered(is_hard=False), e.ResetOrdered(is_hard=True)


def charging(rules=None):
    station = Station(rules).ready()
    station.start()
    station.close()
    return station


def asked(station):
    """Numbers under which the guard was asked."""
    messages = [effect.message for effect in station.all(TellGuard)]
    return [message.request for message in messages if isinstance(message, ResetGuard)]


def test_soft_without_anybody_restarts_at_once_and_leaves_the_guard_alone():
    station = Station().ready()
    station.tell(SOFT)
    assert station.all(Restart) == [Restart(is_hard=False)]
    assert asked(station) == []


def test_soft_waits_for_the_last_register_and_restarts_after_it_is_written():
    station = charging()
    effects = station.tell(SOFT)
    assert [wish.permission for wish in set_points(effects_of(effects), 1)] == [False]
    (stop,) = station.stops()
    assert (stop.stop.reason, stop.stop.id_tag, stop.is_held) == (StopReason.SOFT_RESET, None, True)
    station.wait(2.0)
    assert station.all(Restart) == []
    station.open()
    station.registers[1] += 7
    station.wait(2.0)
    (finish,) = station.finishes()
    assert finish.meter_stop_wh == station.registers[1]
    kinds = [type(effect) for _, effect in station.effects if isinstance(effect, FinishStop | Restart)]
    assert kinds == [FinishStop, Restart]


def effects_of(effects):
    return [effect for effect in effects if isinstance(effect, TellGuard)]


def test_soft_does_not_wait_for_ever():
    station = charging()
    station.tell(SOFT)
    station.wait(SOFT_WITHIN_S + 0.1)
    assert station.all(Restart) == [Restart(is_hard=False)]
    assert len(station.finishes()) == 1, "the stop went out before"


def test_soft_waits_for_a_start_that_is_being_written_and_stops_it():
    station = Station().ready()
    station.is_committing = False
    key = station.start()
    station.tell(SOFT)
    assert station.all(Restart) == []
    station.tell(e.StartCommitted(key))
    station.wait(3.0)
    assert [stop.stop.reason for stop in station.stops()] == [StopReason.SOFT_RESET]
    assert len(station.all(Restart)) == 1


def test_hard_takes_the_energy_away_before_anything_else_and_asks_the_guard_in_the_same_step():
    station = charging()
    effects = station.tell(HARD)
    messages = [effect.message for effect in effects[:2] if isinstance(effect, TellGuard)]
    assert {type(message).__name__ for message in messages} == {"SetPoint", "ResetGuard"}
    (stop,) = [effect for effect in effects if isinstance(effect, CommitStop)]
    assert stop.stop.reason is StopReason.HARD_RESET


def test_hard_restarts_when_the_guard_has_opened_and_the_register_was_read():
    station = charging()
    station.tell(HARD)
    station.tell(e.GuardReplied(Reply(asked(station)[0], is_accepted=True)))
    station.open()
    station.tell(e.GuardLost())
    assert station.all(Restart) == []
    station.wait(2.0)
    assert station.all(Restart) == [Restart(is_hard=True)]
    assert len(station.finishes()) == 1


def test_hard_waits_for_a_car_that_lets_go_late():
    station = charging()
    station.tell(HARD)
    station.tell(e.GuardReplied(Reply(asked(station)[0], is_accepted=True)))
    station.wait(6.0)
    assert station.all(Restart) == []
    station.registers[1] += 9
    station.open()
    station.tell(e.GuardLost())
    station.wait(2.0)
    (finish,) = station.finishes()
    assert finish.meter_stop_wh == station.registers[1]
    assert station.all(Restart) == [Restart(is_hard=True)]


def test_hard_does_not_wait_for_ever():
    station = charging()
    station.tell(HARD)
    station.wait(HARD_WITHIN_S + 0.1)
    assert station.all(Restart) == [Restart(is_hard=True)]
    assert len(station.finishes()) == 1, "the stop went out before"


@pytest.mark.parametrize("retries", [0, 1, 3])
def test_a_guard_that_does_not_answer_is_asked_again_as_often_as_reset_retries_says(retries):
    station = charging(TestRules(reset_retries=retries))
    station.tell(HARD)
    station.wait(GUARD_ANSWERS_WITHIN_S * (retries + 1) + HARD_WITHIN_S)
    assert len(asked(station)) == min(retries + 1, 4)
    assert station.all(Restart) == [Restart(is_hard=True)]


def test_without_a_guard_hard_restarts_the_agent_alone():
    station = Station().ready()
    station.tell(e.GuardLost())
    station.tell(HARD)
    assert asked(station) == []
    assert station.all(Restart) == [Restart(is_hard=True)]


def test_hard_overtakes_soft_but_not_the_other_way_round():
    station = charging()
    station.tell(SOFT)
    station.tell(HARD)
    assert len(asked(station)) == 1
    station.tell(SOFT)
    station.wait(SOFT_WITHIN_S)
    assert station.all(Restart) == [Restart(is_hard=True)]
    assert [stop.stop.reason for stop in station.stops()] == [StopReason.SOFT_RESET]


@pytest.mark.parametrize("order", [SOFT, HARD])
def test_nobody_begins_a_session_before_the_restart(order):
    station = charging()
    station.tell(order)
    station.wait(1.0)
    station.swipe("other")
    station.tell(e.RemoteStartRequested(RequestId("r"), "other", 1))
    station.tell(e.StartRequested(RequestId("s"), 1, "other"))
    assert {station.answers()[RequestId(name)].reason for name in "rs"} == {"restarting"}
    station.wait(20.0)
    assert len(station.all(CommitStart)) == 1
    assert len(station.all(Restart)) == 1


def test_a_claim_that_waits_for_its_car_is_dropped():
    station = Station().ready()
    station.tell(e.RemoteStartRequested(RequestId("r"), "one", 1))
    station.tell(SOFT)
    assert station.phase() == "idle"
    assert len(station.all(Restart)) == 1
