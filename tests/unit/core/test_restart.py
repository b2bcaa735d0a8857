"""After a restart or a loss of mains: the same transaction goes on, or ends exactly once (DESIGN D11, CHG-7)."""

from dataclasses import replace

import pytest

from evcharge_agent.core import events as e
from evcharge_agent.core.effects import CommitSample, CommitStart, CommitStop, Note, TellGuard
from evcharge_agent.core.facts import (
    AuthorizationStatus,
    IdTagInfo,
    Instant,
    MeterReading,
    OpenTransaction,
    StopReason,
    TransactionKey,
    TransactionStart,
)
from evcharge_agent.core.step import next_deadline_s, step
from evcharge_agent.core.view import view
from evcharge_agent.runtime.redaction import redacted
from evcharge_hal.contract.channel import ContactorState, EventKind, GuardEvent
from evcharge_hal.contract.pilot import PilotState
from evcharge_hal.contract.units import WattHours
from tests.support.core_station import ACCEPTED, BOOT, TAG, UTC_OFFSET_S, Station, TestRules, set_points

OLD_PLUG = "00ff-1-1.3"
NEXT_PLUG = "00ff-1-1.4"
AFTER_POWER = "00ff-2-1.0"
STARTED_S, PERSISTED_S, NOW_S = 700.0, 950.0, 1000.0
PERSISTED_WH = 1400


def kept(boot_id=BOOT, plug_id=OLD_PLUG, info=ACCEPTED, transaction_id=7):
    station = Station()
    start = TransactionStart(TransactionKey("old"), 1, TAG, WattHours(1000), station.at(STARTED_S), plug_id)
    return OpenTransaction(start, transaction_id, info, WattHours(PERSISTED_WH), station.at(PERSISTED_S), boot_id)


def restarted(rules=None, *, found=None, plug_id=OLD_PLUG, missed=(), read_wh=None):
    """The agent starts, the guard reports `plug_id` and what it missed."""
    station = Station(rules, at_s=NOW_S)
    station.begin(open_transactions=(found or kept(),), run_id="new")
    if read_wh is not None:
        station.registers[1] = read_wh
        station.read_meters()
    outlet = station.outlets[1]
    outlet.plug_id = plug_id
    if plug_id is not None:
        outlet.pilot, outlet.contactor = PilotState.C, ContactorState.CLOSED
    station.connect_guard(*missed)
    return station


def event(number, at_s, kind, plug_id=None):
    return GuardEvent(number, at_s, kind, 1 if plug_id else None, plug_id)


def the_stop(station):
    (stop,) = station.stops()
    return stop.stop


def test_the_same_plug_goes_on_and_nothing_is_started_or_stopped():
    station = restarted(read_wh=1450)
    assert station.phase() == "active"
    assert station.stops() == []
    assert station.all(CommitStart) == []
    assert station.set_point().permission
    assert station.set_point().plug_id == OLD_PLUG
    assert station.statuses()[-1] == "Charging"
    session = station.seen().session
    assert session is not None
    assert (session.transaction, session.transaction_id, session.energy_wh) == ("old", 7, 450)
    assert session.duration_s == 300.0


def test_the_note_of_a_restart_shows_its_numbers():
    station = Station()
    station.begin(authorisations={TAG: ACCEPTED})
    (note,) = [note for note in station.all(Note) if note.event == "restored"]
    assert {name: redacted(name, value) for name, value in note.fields.items()} == {
        "open_transactions": 0,
        "known_cards": 1,
    }


def test_until_the_guard_has_spoken_it_is_left_alone():
    station = Station(at_s=NOW_S)
    station.begin(open_transactions=(kept(),), run_id="new")
    station.tell(e.TimePassed())
    assert station.phase() == "resuming"
    assert station.all(TellGuard) == []
    assert station.statuses() == ["SuspendedEVSE"]
    station.connect_guard(is_status_sent=False)
    assert set_points(station.all(TellGuard), 1) == []


def test_the_samples_go_on_at_multiples_of_the_interval():
    station = restarted(TestRules(meter_value_sample_interval_s=60), read_wh=1450)
    station.wait(130.0)
    taken = [item.sample.taken.monotonic_s for item in station.samples()]
    assert taken == [STARTED_S + 360.0, STARTED_S + 420.0]


def test_after_a_power_cut_the_beat_is_found_again_when_the_time_is_known():
    station = Station(TestRules(meter_value_sample_interval_s=60), at_s=NOW_S)
    station.is_clock_trusted = False
    # Nothing kept the time while there was no power: it seems to be before the start.
    found = kept("before")
    began = replace(found.start.started, utc_s=station.now.utc_s + 5000.0)
    station.begin(open_transactions=(replace(found, start=replace(found.start, started=began)),), run_id="new")
    station.outlets[1].plug_id, station.outlets[1].pilot = AFTER_POWER, PilotState.C
    station.connect_guard(event(1, 990.0, EventKind.POWER_RESTORED))
    assert station.seen().session.duration_s == 0.0
    station.now_s += 10.0
    learned = Instant(station.now_s, began.utc_s + 90.0, is_utc_trusted=True)
    station.state, _ = step(station.state, e.TimePassed(), learned)
    (connector,) = view(station.state, learned).connectors
    assert connector.session.duration_s == pytest.approx(90.0)
    assert next_deadline_s(station.state) <= station.now_s + 30.0
    later = Instant(station.now_s + 30.0, began.utc_s + 120.0, is_utc_trusted=True)
    _, effects = step(station.state, e.MeterRead(1, MeterReading(energy_wh=WattHours(1500))), later)
    assert [item.sample.taken for item in effects if isinstance(item, CommitSample)] == [later]


def test_another_plug_ends_it_at_the_true_time():
    missed = (event(1, 960.0, EventKind.UNPLUGGED, OLD_PLUG), event(2, 970.0, EventKind.PLUGGED, NEXT_PLUG))
    station = restarted(plug_id=NEXT_PLUG, missed=missed, read_wh=1450)
    stop = the_stop(station)
    assert (stop.reason, stop.stopped.monotonic_s, stop.meter_stop_wh) == (StopReason.EV_DISCONNECTED, 960.0, 1450)
    assert station.phase() == "plugged"


def test_nobody_there_any_more_ends_it_at_the_true_time():
    missed = (event(1, 960.0, EventKind.UNPLUGGED, OLD_PLUG),)
    station = restarted(plug_id=None, missed=missed)
    stop = the_stop(station)
    assert (stop.reason, stop.stopped.monotonic_s, stop.meter_stop_wh) == (
        StopReason.EV_DISCONNECTED,
        960.0,
        PERSISTED_WH,
    )
    assert station.phase() == "idle"


def test_an_unplug_nobody_saw_ends_it_at_the_last_persisted_time():
    stop = the_stop(restarted(plug_id=None))
    assert (stop.reason, stop.stopped.monotonic_s) == (StopReason.EV_DISCONNECTED, PERSISTED_S)


def test_it_survives_the_unplug_where_that_is_the_rule():
    station = restarted(TestRules(stop_transaction_on_ev_side_disconnect=False), plug_id=None)
    assert station.stops() == []
    assert station.phase() == "active"
    assert station.statuses()[-1] == "SuspendedEV"


@pytest.mark.parametrize("plug_id", [OLD_PLUG, AFTER_POWER])
def test_a_new_kernel_boot_is_a_power_loss_and_may_be_outlived(plug_id):
    station = restarted(found=kept("boot-0"), plug_id=plug_id)
    assert station.stops() == []
    assert station.set_point().permission
    assert station.set_point().plug_id == plug_id


def test_a_new_kernel_boot_keeps_the_wall_clock_time_of_the_session():
    before = kept("boot-0")
    start = replace(before.start, started=replace(before.start.started, monotonic_s=99_999.0))
    station = restarted(found=replace(before, start=start))
    session = station.seen().session
    assert session is not None
    assert session.duration_s == NOW_S - STARTED_S


@pytest.mark.parametrize(
    ("boot_id", "plug_id", "missed"),
    [
        ("boot-0", OLD_PLUG, ()),
        ("boot-0", AFTER_POWER, ()),
        ("boot-0", None, ()),
        (BOOT, AFTER_POWER, ()),
        (BOOT, AFTER_POWER, (event(1, 980.0, EventKind.POWER_RESTORED),)),
        (BOOT, None, (event(1, 980.0, EventKind.POWER_RESTORED),)),
    ],
)
def test_a_power_loss_that_is_not_to_be_outlived_ends_it_once_as_persisted(boot_id, plug_id, missed):
    rules = TestRules(continue_charging_after_power_loss=False)
    station = restarted(rules, found=kept(boot_id), plug_id=plug_id, missed=missed, read_wh=1450)
    stop = the_stop(station)
    assert (stop.reason, stop.meter_stop_wh, stop.id_tag) == (StopReason.POWER_LOSS, PERSISTED_WH, None)
    assert stop.stopped.utc_s == UTC_OFFSET_S + PERSISTED_S
    assert not station.set_point().permission
    station.send_status()
    assert len(station.stops()) == 1


def test_a_car_that_is_gone_after_the_power_loss_ends_it():
    missed = (event(1, 980.0, EventKind.POWER_RESTORED),)
    assert the_stop(restarted(plug_id=None, missed=missed)).reason is StopReason.POWER_LOSS


def test_the_co_processors_boot_alone_may_be_outlived():
    station = restarted(plug_id=AFTER_POWER, missed=(event(1, 980.0, EventKind.COPROCESSOR_UP),))
    assert station.stops() == []
    assert station.set_point().plug_id == AFTER_POWER


def test_a_car_that_left_before_the_power_did_was_unplugged():
    missed = (event(1, 960.0, EventKind.UNPLUGGED, OLD_PLUG), event(2, 980.0, EventKind.POWER_RESTORED))
    stop = the_stop(restarted(plug_id=AFTER_POWER, missed=missed))
    assert (stop.reason, stop.stopped.monotonic_s) == (StopReason.EV_DISCONNECTED, 960.0)


def test_a_car_that_left_after_the_power_came_back_was_unplugged():
    missed = (
        event(1, 980.0, EventKind.POWER_RESTORED),
        event(2, 985.0, EventKind.UNPLUGGED, AFTER_POWER),
        event(3, 990.0, EventKind.PLUGGED, "00ff-2-1.1"),
    )
    stop = the_stop(restarted(plug_id="00ff-2-1.1", missed=missed))
    assert (stop.reason, stop.stopped.monotonic_s) == (StopReason.EV_DISCONNECTED, 985.0)


def test_the_old_plug_that_a_reset_took_away_was_not_pulled():
    missed = (event(1, 980.0, EventKind.POWER_RESTORED), event(2, 980.1, EventKind.UNPLUGGED, OLD_PLUG))
    assert restarted(plug_id=AFTER_POWER, missed=missed).stops() == []


def test_power_that_came_before_the_session_is_no_loss():
    missed = (event(1, 10.0, EventKind.POWER_RESTORED), event(2, 960.0, EventKind.UNPLUGGED, OLD_PLUG))
    assert the_stop(restarted(plug_id=None, missed=missed)).reason is StopReason.EV_DISCONNECTED


def test_a_guard_that_started_anew_reports_power_that_was_never_away():
    missed = (
        event(1, 980.0, EventKind.COPROCESSOR_UP),
        event(2, 980.0, EventKind.POWER_RESTORED),
        event(3, 980.1, EventKind.PLUGGED, OLD_PLUG),
        event(4, 990.0, EventKind.UNPLUGGED, OLD_PLUG),
    )
    stop = the_stop(restarted(plug_id=None, missed=missed))
    assert (stop.reason, stop.stopped.monotonic_s) == (StopReason.EV_DISCONNECTED, 990.0)


def test_an_unplug_of_an_earlier_session_with_another_plug_does_not_count():
    missed = (event(1, 960.0, EventKind.UNPLUGGED, "00ff-1-1.2"),)
    assert the_stop(restarted(plug_id=None, missed=missed)).stopped.monotonic_s == PERSISTED_S


def test_while_it_waits_for_the_guard_it_can_be_stopped():
    station = Station(at_s=NOW_S)
    station.begin(open_transactions=(kept(),), run_id="new")
    station.swipe()
    assert station.last(CommitStop).stop.reason is StopReason.LOCAL
    station.outlets[1].plug_id, station.outlets[1].pilot = OLD_PLUG, PilotState.C
    station.connect_guard()
    assert not station.set_point().permission
    assert len(station.stops()) == 1


def test_an_id_that_was_not_accepted_gets_no_energy_after_the_restart_either():
    invalid = IdTagInfo(AuthorizationStatus.INVALID)
    station = restarted(TestRules(stop_transaction_on_invalid_id=False), found=kept(info=invalid))
    assert not station.set_point().permission
    assert station.statuses()[-1] == "SuspendedEVSE"


def test_an_id_that_was_not_accepted_ends_it_after_the_restart_where_that_is_the_rule():
    """Rule 4: the answer was on the disk, and the cut came before the stop was."""
    invalid = IdTagInfo(AuthorizationStatus.INVALID)
    rules = TestRules(stop_transaction_on_invalid_id=True, max_energy_on_invalid_id_wh=100_000)
    station = restarted(rules, found=kept(info=invalid))
    assert not any(item.permission for item in set_points(station.all(TellGuard), 1))
    assert (the_stop(station).reason, the_stop(station).id_tag) == (StopReason.DEAUTHORIZED, None)


def test_power_lost_and_back_while_the_agent_lives():
    station = Station().ready()
    station.start()
    station.close()
    station.wait(5.0)
    lost = station.ring(EventKind.COPROCESSOR_LOST)
    station.tell(e.GuardReported(lost))
    station.send_status(is_coprocessor_up=False)
    station.wait(2.0)
    station.tell(e.GuardReported(station.ring(EventKind.POWER_RESTORED)))
    station.outlets[1].plug_id = AFTER_POWER
    station.send_status()
    assert station.stops() == []
    assert station.set_point().plug_id == AFTER_POWER
    station.wait(1.0)
    station.unplug()
    assert station.last(CommitStop).stop.reason is StopReason.EV_DISCONNECTED


def test_power_lost_while_the_agent_lives_ends_it_where_that_is_the_rule():
    station = Station(TestRules(continue_charging_after_power_loss=False)).ready()
    station.start()
    station.wait(5.0)
    station.tell(e.GuardReported(station.ring(EventKind.POWER_RESTORED)))
    station.outlets[1].plug_id = AFTER_POWER
    station.send_status()
    assert station.last(CommitStop).stop.reason is StopReason.POWER_LOSS
    station.send_status()
    assert station.phase() == "finished"


def test_a_restarted_guard_does_not_turn_a_later_unplug_into_a_power_loss():
    station = Station().ready()
    station.start()
    station.wait(5.0)
    station.tell(e.GuardLost())
    station.wait(1.0)
    power = GuardEvent(1, station.now_s, EventKind.POWER_RESTORED)
    station.connect_guard(power, guard_id="guard-2")
    station.wait(5.0)
    station.pull()
    station.send_status()
    assert station.last(CommitStop).stop.reason is StopReason.EV_DISCONNECTED


def test_two_open_transactions_on_one_connector_are_never_both_taken_up():
    second = replace(kept(), start=replace(kept().start, transaction=TransactionKey("second")))
    station = Station(at_s=NOW_S)
    station.begin(open_transactions=(kept(), second), run_id="new")
    session = station.seen().session
    assert session is not None
    assert session.transaction == "old"
