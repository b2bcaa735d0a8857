"""When a stop goes out: with the register after the energy has really ended, or without it when that cannot come."""

from dataclasses import replace

import pytest

from evcharge_agent.core import events as e
from evcharge_agent.core.effects import CommitStart, FinishStop, ReportStatus, TellGuard
from evcharge_agent.core.facts import AuthorizationStatus as Verdict
from evcharge_agent.core.facts import (
    HeldStop,
    IdTagInfo,
    MeterReading,
    OpenTransaction,
    ReadingContext,
    StopReason,
    TransactionKey,
    TransactionStart,
    TransactionStop,
)
from evcharge_agent.core.transactions import FINISH_WITHIN_S, OPEN_WITHOUT_GUARD_S, READING_TAKES_S
from evcharge_hal.contract.channel import ContactorState, EventKind, Indicate, Indication
from evcharge_hal.contract.pilot import PilotState
from evcharge_hal.contract.units import WattHours
from tests.support.core_station import TAG, Station, TestRules

PROVISIONAL_WH, RAMP_WH = 1500, 8


def charging(rules=None):
    """A charge whose last reading said 1500 Wh."""
    station = Station(rules).ready()
    key = station.start()
    station.tell(e.TransactionRegistered(key, 7, IdTagInfo(Verdict.ACCEPTED)))
    station.currents[1] = 16.0
    station.close()
    station.registers[1] = PROVISIONAL_WH
    station.wait(1.0)
    return station


def stopped(rules=None):
    """The same after the card that stops it; the car ramps down."""
    station = charging(rules)
    station.swipe()
    station.registers[1] += RAMP_WH
    return station


def the_finish(station):
    (finish,) = station.finishes()
    return finish


def test_a_stop_is_committed_at_once_and_held():
    station = stopped()
    (commit,) = station.stops()
    assert commit.is_held
    assert commit.stop.meter_stop_wh == PROVISIONAL_WH
    assert (commit.end.context, commit.end.reading.energy_wh) == (ReadingContext.END, PROVISIONAL_WH)
    assert commit.end.offered_a == 32.0
    assert station.finishes() == []
    assert not station.set_point().permission


def test_it_goes_out_with_the_first_reading_after_the_contactor_opened():
    station = stopped()
    station.wait(2.3)
    assert station.finishes() == [], "readings under load are not the end"
    station.currents[1] = 0.0
    station.open(wait=None)
    opened = station.now
    assert station.finishes() == []
    station.wait(1.0)
    finish = the_finish(station)
    assert finish.transaction == station.stops()[0].stop.transaction
    assert (finish.meter_stop_wh, finish.stopped) == (PROVISIONAL_WH + RAMP_WH, opened)
    assert finish.end is not None
    assert (finish.end.context, finish.end.taken) == (ReadingContext.END, opened)
    assert (finish.end.reading.energy_wh, finish.end.reading.power_w) == (PROVISIONAL_WH + RAMP_WH, 0.0)
    assert finish.end.offered_a == 0.0
    station.wait(60.0)
    assert len(station.finishes()) == 1


def test_a_reading_that_may_have_been_begun_before_does_not_count():
    station = stopped()
    station.open(wait=None)
    station.now_s += READING_TAKES_S - 0.01
    station.read_meter()
    assert station.finishes() == []
    station.now_s += 0.02
    station.read_meter()
    assert the_finish(station)


def test_a_reading_without_a_register_does_not_count():
    station = stopped()
    station.meters_speak = False
    station.open(wait=None)
    station.now_s += 1.0
    station.tell(e.MeterRead(1, MeterReading(power_w=0.0)))
    assert station.finishes() == []


def test_the_status_stays_until_it_goes_out_and_then_follows_it():
    station = stopped()
    station.open(wait=None)
    assert station.phase() == "finished"
    assert station.statuses()[-1] == station.seen().state.value == "Charging"
    station.now_s += 1.0
    effects = station.tell(e.MeterRead(1, MeterReading(energy_wh=1508)))
    kinds = [type(effect) for effect in effects]
    assert kinds.index(FinishStop) < kinds.index(ReportStatus)
    assert station.statuses()[-1] == station.seen().state.value == "Finishing"


def test_who_stops_it_sees_that_at_once():
    station = stopped()
    told = [effect.message for effect in station.all(TellGuard) if isinstance(effect.message, Indicate)]
    assert told[-1].indication is Indication.FINISHED


def test_a_fault_is_told_all_the_same_and_is_no_end():
    station = stopped()
    station.outlets[1].contactor = ContactorState.WELDED
    station.send_status()
    assert station.finishes() == []


def test_a_contactor_that_never_opens_is_waited_for_only_so_long():
    station = stopped()
    station.wait(FINISH_WITHIN_S - 0.1)
    assert station.finishes() == []
    station.wait(0.1)
    finish = the_finish(station)
    assert (finish.meter_stop_wh, finish.stopped) == (PROVISIONAL_WH + RAMP_WH, station.now)
    assert finish.end.reading.power_w is None, "what it says is not how it ended"
    assert station.phase() == "stopping"
    assert station.statuses()[-1] == "Finishing"


def test_a_contactor_that_closes_again_was_no_end():
    station = stopped()
    station.open(wait=None)
    station.close()
    station.wait(3.0)
    assert station.finishes() == []
    station.open(wait=None)
    opened = station.now
    station.wait(2.0)
    assert the_finish(station).stopped == opened


def test_a_slow_meter_is_waited_for_only_so_long():
    station = stopped()
    station.meters_speak = False
    station.tell(e.MeterRead(1, MeterReading(energy_wh=1501)))
    station.now_s += 4.0
    station.tell(e.MeterRead(1, MeterReading(energy_wh=1502)))
    station.open(wait=None)
    opened = station.now
    station.wait(3.9)
    assert station.finishes() == []
    station.wait(0.2)
    finish = the_finish(station)
    assert (finish.meter_stop_wh, finish.stopped) == (1502, opened)


@pytest.mark.parametrize("is_lost_first", [True, False])
def test_a_lost_meter_is_not_waited_for(is_lost_first):
    station = charging()
    station.meters_speak = False
    if is_lost_first:
        station.wait(6.0)
        assert station.state.connectors[1].meter.is_lost
    station.swipe()
    station.wait(1.0)
    assert station.finishes() == [], "but the contactor is"
    station.open(wait=None)
    opened = station.now
    if not is_lost_first:
        assert station.finishes() == []
        station.wait(5.0)
    finish = the_finish(station)
    assert (finish.meter_stop_wh, finish.stopped) == (PROVISIONAL_WH, opened)


def test_a_lost_guard_is_waited_for_until_the_contactor_is_open_without_it():
    station = stopped()
    station.wait(1.0)
    station.tell(e.GuardLost())
    station.wait(OPEN_WITHOUT_GUARD_S)
    assert station.finishes() == []
    station.registers[1] += RAMP_WH
    station.wait(1.5)
    assert the_finish(station).meter_stop_wh == PROVISIONAL_WH + 2 * RAMP_WH


def test_a_guard_that_is_back_in_time_tells_when_the_energy_ended():
    station = stopped()
    station.wait(1.0)
    station.tell(e.GuardLost())
    station.registers[1] += RAMP_WH
    station.wait(1.0)
    station.connect_guard()
    station.open(wait=None)
    opened = station.now
    station.wait(2.0)
    finish = the_finish(station)
    assert (finish.meter_stop_wh, finish.stopped) == (PROVISIONAL_WH + 2 * RAMP_WH, opened)


def test_with_neither_guard_nor_meter_nothing_is_waited_for():
    station = charging()
    station.meters_speak = False
    station.tell(e.GuardLost())
    station.wait(6.0)
    station.swipe()
    assert len(station.stops()) == len(station.finishes()) == 1


def test_without_a_guard_for_long_the_stop_goes_out_in_its_own_step():
    station = charging()
    station.tell(e.GuardLost())
    station.wait(OPEN_WITHOUT_GUARD_S + 2.0)
    station.swipe()
    assert len(station.stops()) == len(station.finishes()) == 1


def test_a_guard_that_is_lost_after_the_contactor_opened_changes_nothing():
    station = stopped()
    station.open(wait=None)
    station.tell(e.GuardLost())
    assert station.finishes() == []
    station.wait(1.0)
    assert the_finish(station).meter_stop_wh == PROVISIONAL_WH + RAMP_WH


def test_an_unplug_keeps_its_true_time_and_gets_the_register_after_it():
    station = charging()
    pulled = station.now
    event = station.ring(EventKind.UNPLUGGED, 1, station.outlets[1].plug_id)
    station.pull()
    station.registers[1] += 1
    station.now_s += 0.3
    station.tell(e.GuardReported(event))
    station.send_status()
    assert station.finishes() == []
    assert station.statuses()[-1] == "Charging"
    station.wait(1.0)
    finish = the_finish(station)
    assert (finish.meter_stop_wh, finish.stopped) == (PROVISIONAL_WH + 1, pulled)
    assert finish.end.taken == pulled
    assert station.statuses()[-2:] == ["Charging", "Available"]


def test_an_unplug_while_the_car_ramps_down_ends_the_energy():
    station = stopped()
    station.wait(1.2)
    station.unplug()
    pulled = station.now
    station.wait(1.0)
    finish = the_finish(station)
    assert (finish.stopped, station.stops()[0].stop.reason) == (pulled, StopReason.LOCAL)
    assert station.statuses()[-2:] == ["Charging", "Available"]


def test_a_car_that_had_stopped_long_ago_keeps_the_time_of_the_card():
    station = charging()
    station.open()
    station.wait(600.0)
    assert station.statuses()[-1] == "SuspendedEV"
    station.swipe()
    swiped = station.now
    station.wait(0.3)
    assert station.statuses()[-1] == "SuspendedEV"
    station.wait(1.0)
    assert the_finish(station).stopped == swiped
    assert station.statuses()[-2:] == ["SuspendedEV", "Finishing"]


def test_the_register_never_falls_below_what_was_committed():
    station = stopped()
    station.open(wait=None)
    station.registers[1] = 10
    station.wait(1.0)
    assert the_finish(station).meter_stop_wh == PROVISIONAL_WH


def test_the_next_transaction_waits_until_the_stop_has_gone_out():
    station = charging(TestRules(local_pre_authorize=True))
    station.unplug()
    station.registers[1] += 3
    station.plug()
    station.swipe()
    if station.state.pending.inquiries:
        station.answer_authorize(IdTagInfo(Verdict.ACCEPTED))
    assert station.phase() == "authorised"
    station.wait(1.0)
    kinds = [type(effect) for _, effect in station.effects]
    starts = [place for place, kind in enumerate(kinds) if kind is CommitStart]
    assert starts[0] < kinds.index(FinishStop) < starts[1]
    assert station.last(CommitStart).start.meter_start_wh == the_finish(station).meter_stop_wh == 1503
    assert station.last(CommitStart).start.id_tag == TAG


def test_without_samples_there_is_none_at_the_end():
    station = stopped(TestRules(meter_value_sample_interval_s=0))
    station.open(wait=None)
    station.wait(1.0)
    assert station.stops()[0].end is None
    assert the_finish(station).end is None


def test_a_deauthorised_transaction_ends_when_its_energy_does():
    station = charging()
    key = station.state.connectors[1].session.transaction.start.transaction
    station.tell(e.TransactionRegistered(key, 7, IdTagInfo(Verdict.BLOCKED)))
    station.wait(3.0)
    station.open(wait=None)
    opened = station.now
    station.wait(1.0)
    assert (station.stops()[0].stop.reason, the_finish(station).stopped) == (StopReason.DEAUTHORIZED, opened)


# --- a stop that an earlier run held ----------------------------------------------------------------------


def held(station, boot_id="boot-1", decided_s=2.0):
    """The stop of a transaction that was stopped `decided_s` ago, as the store gives it back."""
    stop = TransactionStop(
        TransactionKey("old"), WattHours(PROVISIONAL_WH), station.at(station.now_s - decided_s), StopReason.LOCAL, TAG
    )
    start = TransactionStart(
        stop.transaction, 1, TAG, WattHours(100), station.at(station.now_s - 600.0), "co-processor-1.1"
    )
    info = IdTagInfo(Verdict.ACCEPTED)
    return HeldStop(OpenTransaction(start, 7, info, WattHours(900), start.started, boot_id), stop, boot_id)


def begun_with(stop, station, *, is_closed=True):
    """A new run that finds it; the car is still there."""
    station.begin(held_stops=(stop,), run_id="new")
    station.registers[1] = PROVISIONAL_WH + RAMP_WH
    outlet = station.outlets[1]
    outlet.plug_id, outlet.pilot = stop.opened.start.plug_id, PilotState.C if is_closed else PilotState.B
    outlet.contactor = ContactorState.CLOSED if is_closed else ContactorState.OPEN
    return station


def test_a_stop_of_an_earlier_run_ends_with_the_register_after_the_energy_too():
    station = Station()
    found = held(station)
    begun_with(found, station)
    station.connect_guard()
    station.wait(2.0)
    assert station.finishes() == [], "the car still ramps down"
    assert not station.set_point().permission
    station.open(wait=None)
    station.wait(1.0)
    finish = the_finish(station)
    assert (finish.transaction, finish.meter_stop_wh) == ("old", PROVISIONAL_WH + RAMP_WH)
    assert finish.stopped == found.stop.stopped, "when the energy ended nobody saw"
    assert finish.end.reading.energy_wh == PROVISIONAL_WH + RAMP_WH
    assert station.statuses()[-2:] == ["SuspendedEVSE", "Finishing"]
    assert station.stops() == []


def test_it_waits_for_guard_and_meter_only_so_long():
    station = Station()
    station.meters_speak = False
    begun_with(held(station), station)
    station.wait(OPEN_WITHOUT_GUARD_S)
    assert station.finishes() == []
    station.wait(FINISH_WITHIN_S - OPEN_WITHOUT_GUARD_S)
    assert the_finish(station).meter_stop_wh == PROVISIONAL_WH


def test_after_a_power_cut_it_keeps_its_time_on_the_clock_of_this_boot():
    station = Station(at_s=5000.0)
    found = held(station, boot_id="before", decided_s=3600.0)
    earlier = replace(found, stop=replace(found.stop, stopped=replace(found.stop.stopped, monotonic_s=99_999.0)))
    begun_with(earlier, station, is_closed=False)
    station.connect_guard()
    station.wait(2.0)
    assert the_finish(station).stopped.utc_s == found.stop.stopped.utc_s
    assert the_finish(station).stopped.monotonic_s == pytest.approx(1400.0)
    assert the_finish(station).meter_stop_wh == PROVISIONAL_WH + RAMP_WH


def test_what_has_followed_on_the_connector_is_not_its_energy():
    station = Station()
    found = held(station)
    followed = replace(found.opened, start=replace(found.opened.start, transaction=TransactionKey("next")))
    station.begin(held_stops=(found,), open_transactions=(followed,), run_id="new")
    finish = the_finish(station)
    assert (finish.meter_stop_wh, finish.stopped) == (PROVISIONAL_WH, found.stop.stopped)
    assert station.phase() == "resuming"


def test_nobody_begins_before_it_has_gone_out():
    station = Station(TestRules(local_pre_authorize=True))
    begun_with(held(station), station, is_closed=False)
    station.meters_speak = False
    station.connect_guard()
    station.swipe()
    if station.state.pending.inquiries:
        station.answer_authorize(IdTagInfo(Verdict.ACCEPTED))
    assert not station.all(CommitStart)
    station.meters_speak = True
    station.wait(2.0)
    kinds = [type(effect) for _, effect in station.effects]
    assert kinds.index(FinishStop) < kinds.index(CommitStart)
