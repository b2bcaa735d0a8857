"""Rule 11: UnlockConnector stops a transaction first and then asks the guard, whose word is the answer."""

import pytest

from evcharge_agent.core import events as e
from evcharge_agent.core.effects import TellGuard
from evcharge_agent.core.events import RequestId, UnlockAsked
from evcharge_agent.core.facts import StopReason
from evcharge_agent.core.unlocking import UNLOCKED_WITHIN_S
from evcharge_hal.contract.channel import Reply, Unlock, UnlockOutcome
from tests.support.core_station import Station, set_points

ORDER = UnlockAsked(RequestId("u"), 1)


def station_with_lock(*, has_lock=True):
    station = Station()
    station.has_lock = has_lock
    return station.ready()


def charging():
    station = station_with_lock()
    station.start()
    station.close()
    return station


def asked(station):
    messages = [effect.message for effect in station.all(TellGuard)]
    return [message.request for message in messages if isinstance(message, Unlock)]


def outcome(station, name="u"):
    answer = station.answers().get(RequestId(name))
    return None if answer is None else (answer.is_accepted, answer.reason)


@pytest.mark.parametrize("is_plugged", [False, True])
def test_without_a_transaction_the_guard_is_asked_at_once(is_plugged):
    station = station_with_lock()
    if is_plugged:
        station.plug()
    before = station.statuses()
    station.tell(ORDER)
    (number,) = asked(station)
    assert outcome(station) is None
    station.tell(e.GuardReplied(Reply(number, is_accepted=True, reason="unlocked")))
    assert outcome(station) == (True, "unlocked")
    assert station.statuses() == before, "nothing becomes Available by it"


def test_a_transaction_is_stopped_first_and_the_contactor_waited_for():
    station = charging()
    effects = station.tell(ORDER)
    assert [wish.permission for wish in set_points([x for x in effects if isinstance(x, TellGuard)], 1)] == [False]
    assert [(stop.stop.reason, stop.stop.id_tag) for stop in station.stops()] == [(StopReason.UNLOCK_COMMAND, None)]
    station.wait(2.0)
    assert asked(station) == []
    station.open()
    (number,) = asked(station)
    station.tell(e.GuardReplied(Reply(number, is_accepted=True, reason="unlocked")))
    assert outcome(station) == (True, "unlocked")
    assert station.statuses()[-1] != "Available"


@pytest.mark.parametrize("connector", [0, 1, 9])
def test_without_a_lock_or_connector_it_is_not_supported_and_the_transaction_goes_on(connector):
    station = station_with_lock(has_lock=False)
    station.start()
    station.close()
    station.tell(UnlockAsked(RequestId("u"), connector))
    assert outcome(station) == (False, UnlockOutcome.NOT_SUPPORTED.value)
    assert station.stops() == []
    assert asked(station) == []
    assert station.set_point().permission


def test_the_guards_refusal_is_the_answer():
    station = station_with_lock()
    station.tell(ORDER)
    station.tell(e.GuardReplied(Reply(asked(station)[0], is_accepted=False, reason="failed")))
    assert outcome(station) == (False, "failed")


def test_a_guard_that_does_not_answer_or_goes_is_a_failure():
    silent = station_with_lock()
    silent.tell(ORDER)
    silent.wait(UNLOCKED_WITHIN_S + 0.1)
    assert outcome(silent) == (False, "failed")
    gone = station_with_lock()
    gone.tell(ORDER)
    gone.tell(e.GuardLost())
    assert outcome(gone) == (False, "failed")
    gone.tell(UnlockAsked(RequestId("v"), 1))
    assert outcome(gone, "v") == (False, "failed")


def test_a_second_order_takes_over_and_the_first_is_answered():
    station = charging()
    station.tell(ORDER)
    station.tell(UnlockAsked(RequestId("v"), 1))
    assert outcome(station) == (False, "failed")
    station.open()
    (number,) = asked(station)
    station.tell(e.GuardReplied(Reply(number, is_accepted=True, reason="unlocked")))
    assert outcome(station, "v") == (True, "unlocked")
    assert len(station.stops()) == 1
