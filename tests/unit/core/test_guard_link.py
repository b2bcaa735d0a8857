"""Set-points on a lease, the guard going away, and faults only the agent can see."""

import itertools

import pytest

from evcharge_agent.core import events as e
from evcharge_agent.core.effects import Note, TellGuard
from evcharge_hal.contract.channel import Ceiling, CeilingSource, EventKind, GuardEvent, RaiseFault
from evcharge_hal.contract.faults import FaultCode
from evcharge_hal.contract.units import Amps
from tests.support.core_station import RATED_A, Station, TestRules, rated, set_points


def charging(rules=None):
    station = Station(rules).ready()
    station.start()
    station.close()
    station.wait(10.0)
    return station


def sent(station, since_s=0.0):
    return [(at_s, item) for at_s, effect in station.effects for item in set_points([effect], 1) if at_s >= since_s]


def raised(station):
    messages = [effect.message for effect in station.all(TellGuard)]
    return [(item.code, item.is_present) for item in messages if isinstance(item, RaiseFault)]


def test_the_set_point_is_repeated_every_second():
    station = charging()
    begin_s = station.now_s
    station.wait(20.0)
    times = [at_s for at_s, _ in sent(station, begin_s)]
    assert len(times) >= 20
    assert max(later - earlier for earlier, later in itertools.pairwise(times)) <= 1.0


def test_the_set_point_is_complete():
    station = charging(TestRules(agent_lost_a=10.0, agent_lost_hold_s=60.0))
    wish = station.set_point()
    assert (wish.offer_a, wish.permission, wish.phases, wish.lease_s) == (32.0, True, 3, 5.0)
    assert (wish.on_lapse_a, wish.hold_s, wish.restrict_at_s) == (10.0, 60.0, None)


@pytest.mark.parametrize(
    ("agent_lost_a", "user_limit_a", "on_lapse_a"), [(16.0, 10.0, 10.0), (0.0, 32.0, 0.0), (5.0, 32.0, 0.0)]
)
def test_a_lapse_never_raises_the_offer(agent_lost_a, user_limit_a, on_lapse_a):
    station = charging(TestRules(agent_lost_a=agent_lost_a, user_limit_a=user_limit_a))
    assert station.set_point().on_lapse_a == on_lapse_a


def test_a_cut_is_sent_at_once_and_a_raise_after_five_seconds():
    station = charging()
    begin_s = station.now_s
    station.change(user_limit_a=10.0)
    assert station.set_point().offer_a == 10.0
    station.change(user_limit_a=16.0)
    assert station.set_point().offer_a == 16.0
    station.change(user_limit_a=20.0)
    assert station.set_point().offer_a == 16.0
    station.wait(4.9)
    assert station.set_point().offer_a == 16.0
    station.wait(0.2)
    assert station.set_point().offer_a == 20.0
    raised_s = [at_s for at_s, item in sent(station, begin_s) if item.offer_a == 20.0]
    assert raised_s[0] == begin_s + 5.0


def test_below_six_ampere_the_car_is_paused_with_the_reason():
    station = charging()
    station.outlets[1].ceilings = (*rated(), Ceiling(CeilingSource.TEMPERATURE, Amps(5.0)))
    station.send_status()
    assert station.set_point().offer_a == 0.0
    assert station.set_point().permission
    assert station.statuses()[-1] == "SuspendedEVSE"
    seen = station.seen()
    assert seen.waiting is not None
    assert seen.waiting.reason == "no_current"
    assert [limit.source for limit in seen.limits if limit.is_acting] == ["temperature"]


def test_without_a_guard_nothing_is_sent_and_the_session_is_suspended():
    station = charging()
    lost_s, told = station.now_s, len(sent(station))
    station.tell(e.GuardLost())
    station.wait(20.0)
    assert len(sent(station)) == told
    assert station.statuses()[-1] == "SuspendedEVSE"
    assert station.statuses(0)[-1] == "Faulted"
    assert [item for item in station.samples() if item.sample.taken.monotonic_s > lost_s]
    station.connect_guard(guard_id="guard-2")
    assert station.statuses()[-1] == "Charging"
    assert station.statuses(0)[-1] == "Available"
    assert station.stops() == []
    assert station.set_point().permission


def test_a_new_guard_is_told_nothing_before_it_has_spoken():
    station = charging()
    told = len(sent(station))
    station.tell(e.GuardLost())
    station.connect_guard(is_status_sent=False)
    station.wait(3.0)
    assert len(sent(station)) == told


def test_a_guard_that_is_briefly_away_troubles_nobody():
    station = Station().ready()
    station.tell(e.GuardLost())
    station.wait(3.0)
    station.connect_guard()
    assert station.statuses() == ["Available"]
    station.tell(e.GuardLost())
    station.wait(6.0)
    assert station.statuses() == ["Available", "Faulted"]
    assert station.statuses(0) == ["Available", "Faulted"]


def test_a_station_that_never_had_a_guard_says_nothing_for_five_seconds():
    station = Station().begin()
    station.read_meters()
    station.wait(4.0)
    assert station.statuses(0) == []
    station.wait(2.0)
    assert station.statuses(0) == ["Faulted"]
    assert station.statuses(1) == [], "what connectors there are is the guard's to say"


def test_a_guard_that_names_its_connectors_and_falls_silent_says_nothing_for_five_seconds():
    station = Station().begin().connect_guard(is_status_sent=False)
    station.read_meters()
    station.wait(4.0)
    assert station.statuses() == []
    station.wait(2.0)
    assert station.statuses() == ["Faulted"]


def test_a_status_without_a_connection_is_not_believed():
    station = Station().begin()
    station.send_status()
    assert station.view().connectors == ()


def test_events_that_come_twice_count_once():
    station = charging()
    event = GuardEvent(50, station.now_s, EventKind.UNPLUGGED, 1, "gone")
    station.tell(e.GuardReported(event))
    station.tell(e.GuardReported(event))
    assert len(station.state.guard.ring.unplugs) == 1


def test_a_silent_meter_is_a_fault_for_the_guard_to_show():
    station = charging()
    station.meters_speak = False
    station.wait(6.0)
    assert raised(station)[-1] == (FaultCode.METER_LOST, True)
    assert station.phase() == "active"
    station.tell(e.GuardLost())
    station.connect_guard()
    assert (FaultCode.METER_LOST, True) in raised(station)[-2:]
    station.read_meter()
    assert raised(station)[-1] == (FaultCode.METER_LOST, False)


def test_a_fault_that_went_while_the_guard_was_away_is_taken_back():
    station = charging()
    station.meters_speak = False
    station.wait(6.0)
    station.tell(e.GuardLost())
    station.read_meter()
    station.connect_guard()
    assert (FaultCode.METER_LOST, False) in raised(station)[-2:]


def test_a_car_that_draws_too_much_is_noted_then_stopped_by_the_guard():
    station = charging(TestRules(user_limit_a=10.0))
    station.currents[1] = 20.0
    station.wait(3.0)
    assert "draw_above_offer" in [note.event for note in station.all(Note)]
    assert (FaultCode.OVERCURRENT, True) not in raised(station)
    station.wait(4.0)
    assert raised(station)[-1] == (FaultCode.OVERCURRENT, True)
    station.latch(FaultCode.OVERCURRENT)
    assert station.statuses()[-1] == "SuspendedEVSE"
    assert station.seen().error_code == "OverCurrentFailure"
    station.currents[1] = 0.0
    station.wait(1.0)
    assert raised(station)[-1] == (FaultCode.OVERCURRENT, False)


def test_a_trip_is_shown_and_the_transaction_outlives_it():
    station = charging()
    station.latch(FaultCode.RCM_TRIP)
    seen = station.seen()
    assert (seen.state.value, seen.error_code, seen.vendor_error_code) == ("Faulted", "GroundFailure", "rcm_trip")
    assert [fault.code for fault in seen.faults] == [FaultCode.RCM_TRIP]
    assert station.stops() == []
    station.latch()
    assert station.statuses()[-2:] == ["Faulted", "Charging"]


def test_a_lost_co_processor_faults_the_whole_station():
    station = Station(connectors=2).ready()
    station.latch(FaultCode.COPROCESSOR_LOST)
    assert station.statuses(0)[-1] == "Faulted"


def test_a_car_that_needs_ventilation_is_not_the_chargers_fault():
    station = charging()
    station.latch(FaultCode.VENTILATION_REQUIRED)
    assert station.statuses()[-1] == "SuspendedEVSE"
    assert station.seen().error_code == "EVCommunicationError"


def test_the_rated_current_is_the_guards_to_say():
    station = charging(TestRules(user_limit_a=80.0, installer_limit_a=80.0))
    assert station.set_point().offer_a == RATED_A


def test_a_contactor_that_bounces_right_after_the_start_is_no_new_beginning():
    station = Station().ready()
    station.start()
    station.close()
    station.open(wait=None)
    station.close()
    assert station.statuses() == ["Available", "Preparing", "Charging"]
