"""The register of a running transaction reaches the disk once a minute, whatever the central system wants to see."""

import itertools

import pytest

from evcharge_agent.core import events as e
from evcharge_agent.core.effects import CommitSample, KeepRegister
from evcharge_agent.core.facts import IdTagInfo, Measurand, MeterReading, OpenTransaction, StopReason
from evcharge_agent.core.transactions import KEEP_REGISTER_S
from tests.support.core_station import ACCEPTED, BOOT, Station, TestRules

UNSAMPLED = {"meter_value_sample_interval_s": 0}
POWER_W = 7200


def charging(**rules):
    station = Station(TestRules(**rules)).ready()
    key = station.start()
    station.close()
    return station, key


def charge(station, seconds):
    for _ in range(seconds):
        station.registers[1] += POWER_W // 3600
        station.wait(1.0)


def written(station):
    """Every register that went to the disk, with its time."""
    found = []
    for at_s, effect in station.effects:
        if isinstance(effect, KeepRegister):
            found.append((at_s, effect.energy_wh))
        elif isinstance(effect, CommitSample) and effect.sample.reading.energy_wh is not None:
            found.append((at_s, effect.sample.reading.energy_wh))
    return found


@pytest.mark.parametrize(
    "rules",
    [UNSAMPLED, {"meter_value_sample_interval_s": 900}, {"meter_values_sampled_data": ()}],
    ids=["off", "rare", "nothing"],
)
def test_it_is_written_once_a_minute_without_samples(rules):
    station, key = charging(**rules)
    began_s = station.now_s
    charge(station, 300)
    kept = station.all(KeepRegister)
    assert [item.at.monotonic_s - began_s for item in kept] == [60.0, 120.0, 180.0, 240.0, 300.0]
    assert {item.transaction for item in kept} == {key}
    assert kept[-1].energy_wh == 1600


@pytest.mark.parametrize("interval_s", [10, 59, 60])
def test_samples_that_come_often_enough_are_all_that_is_written(interval_s):
    station, _ = charging(meter_value_sample_interval_s=interval_s)
    charge(station, 300)
    assert station.all(KeepRegister) == []


@pytest.mark.parametrize("rules", [{}, UNSAMPLED, {"meter_value_sample_interval_s": 100}])
def test_a_power_cut_bills_all_but_the_last_minute(rules):
    station, key = charging(**rules, continue_charging_after_power_loss=False)
    start = station.state.connectors[1].session.transaction.start
    charge(station, 330)
    at_s, energy_wh = written(station)[-1]
    found = OpenTransaction(start, 7, ACCEPTED, energy_wh, station.at(at_s), BOOT)
    truth_wh = station.registers[1]
    after = Station(station.rules, at_s=station.now_s + 20.0)
    after.boot_id = "boot-2"
    after.registers[1] = truth_wh
    after.begin(open_transactions=(found,), run_id="run2")
    after.connect_guard()
    [commit] = after.stops()
    assert (commit.stop.transaction, commit.stop.reason) == (key, StopReason.POWER_LOSS)
    assert 0 <= truth_wh - commit.stop.meter_stop_wh <= POWER_W * KEEP_REGISTER_S / 3600.0
    assert station.now_s - at_s <= KEEP_REGISTER_S


def test_a_register_that_is_not_known_is_written_as_soon_as_it_is():
    station, _ = charging(**UNSAMPLED)
    station.meters_speak = False
    station.wait(90.0)
    assert station.all(KeepRegister) == []
    station.tell(e.MeterRead(1, MeterReading(power_w=1.0)))
    assert station.all(KeepRegister) == []
    station.read_meters()
    assert len(station.all(KeepRegister)) == 1


def test_after_a_restart_it_is_written_when_the_guard_has_spoken_not_before():
    before, _ = charging(**UNSAMPLED)
    start = before.state.connectors[1].session.transaction.start
    found = OpenTransaction(start, 7, IdTagInfo(ACCEPTED.status), start.meter_start_wh, start.started, BOOT)
    station = Station(before.rules, at_s=before.now_s + 600.0)
    station.outlets[1].plug_id = start.plug_id
    station.begin(open_transactions=(found,), run_id="run2")
    station.read_meters()
    station.wait(10.0)
    assert station.all(KeepRegister) == []
    station.connect_guard()
    station.read_meters()
    assert len(station.all(KeepRegister)) == 1


def test_nothing_is_written_before_or_after_a_transaction():
    station = Station(TestRules(**UNSAMPLED)).ready()
    station.plug()
    station.wait(200.0)
    assert station.all(KeepRegister) == []
    station.swipe()
    station.answer_authorize(ACCEPTED)
    station.wait(130.0)
    station.swipe()
    times = [at_s for at_s, effect in station.effects if isinstance(effect, KeepRegister)]
    assert [later - earlier for earlier, later in itertools.pairwise(times)] == [60.0]
    station.wait(200.0)
    assert len(station.all(KeepRegister)) == 2


def test_a_rare_sample_counts():
    station, _ = charging(meter_value_sample_interval_s=90, meter_values_sampled_data=(Measurand.VOLTAGE,))
    began_s = station.now_s
    charge(station, 190)
    assert [item.at.monotonic_s - began_s for item in station.all(KeepRegister)] == [60.0, 150.0]
