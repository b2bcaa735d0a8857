"""Facts become payloads: lengths, stamps, units, phases, no null, no exponent."""

import math

import pytest

from evcharge_agent.core.effects import ConnectorState, ReportStatus
from evcharge_agent.core.facts import (
    AuthorizationStatus,
    IdTag,
    IdTagInfo,
    Instant,
    Measurand,
    MeterReading,
    MeterSample,
    ReadingContext,
    StopReason,
    TransactionKey,
    TransactionStart,
    TransactionStop,
)
from evcharge_agent.ocpp16 import translate
from evcharge_agent.ocpp16.keys import Station
from evcharge_agent.store.records import OutboxMessage
from evcharge_hal.contract.units import PerPhase, WattHours

AT = Instant(10.0, 1_750_000_000.0, is_utc_trusted=True)
STAMP = "2025-06-15T15:06:40.000Z"
KEY = TransactionKey("one")
STATION = Station("charger", "v" * 30, "m" * 30, "s" * 30, "f" * 60)


def sample(reading, *measurands, **more):
    return MeterSample(1, KEY, AT, ReadingContext.PERIODIC, reading, measurands, **more)


def message(fact, transaction_id):
    return OutboxMessage(1, "id", KEY, fact, 0, transaction_id, 1)


def status(connector=1, state=ConnectorState.AVAILABLE, error="NoError", info="", vendor_error=""):
    report = ReportStatus(connector, state, error, info, vendor_error, AT)
    return translate.status_notification(report, STATION, AT.utc_s)


def test_strings_are_cut_to_their_lengths():
    boot = translate.boot_notification(STATION)
    lengths = (boot.charge_point_vendor, boot.charge_point_model, boot.charge_box_serial_number, boot.firmware_version)
    assert [len(text or "") for text in lengths] == [20, 20, 25, 50]
    assert len(translate.authorize(IdTag("t" * 99)).id_tag) == 20
    told = status(info="i" * 99, vendor_error="e" * 99)
    assert (len(told.info or ""), len(told.vendor_error_code or "")) == (50, 50)


def test_empty_strings_are_absent():
    told = status()
    assert (told.info, told.vendor_id, told.vendor_error_code) == (None, None, None)


@pytest.mark.parametrize(
    ("state", "told"),
    [
        (ConnectorState.AVAILABLE, "Available"),
        (ConnectorState.CHARGING, "Available"),
        (ConnectorState.UNAVAILABLE, "Unavailable"),
        (ConnectorState.FAULTED, "Faulted"),
    ],
)
def test_connector_0_knows_three_states(state, told):
    assert status(connector=0, state=state).status == told


def test_an_error_code_ocpp_does_not_have_is_other_error():
    assert status(error="EarthWorm").error_code == "OtherError"
    assert status(error="GroundFailure").error_code == "GroundFailure"


def test_a_start_and_a_stop_carry_the_moment_of_the_event():
    start = translate.start_transaction(TransactionStart(KEY, 2, IdTag("A"), WattHours(5), AT, "plug"))
    assert (start.connector_id, start.meter_start, start.timestamp, start.reservation_id) == (2, 5, STAMP, None)
    stop = translate.stop_transaction(TransactionStop(KEY, WattHours(9), AT, StopReason.EV_DISCONNECTED), 0)
    assert (stop.transaction_id, stop.meter_stop, stop.timestamp) == (0, 9, STAMP)
    assert (stop.reason, stop.id_tag) == ("EVDisconnected", None)


@pytest.mark.parametrize("reason", StopReason)
def test_every_reason_has_its_ocpp_word(reason):
    stop = translate.stop_transaction(TransactionStop(KEY, WattHours(9), AT, reason, IdTag("A")), 1)
    assert (stop.reason, stop.id_tag) == (reason.value, "A")


@pytest.mark.parametrize(
    "fact",
    [
        TransactionStop(KEY, WattHours(1), AT, StopReason.LOCAL),
        sample(MeterReading(WattHours(1)), Measurand.ENERGY_IMPORT),
    ],
)
def test_no_placeholder_stands_for_an_unknown_transaction_id(fact):
    with pytest.raises(ValueError, match="transaction id"):
        translate.transaction_call(message(fact, None))


@pytest.mark.parametrize("transaction_id", [0, -1, 2**31 - 1])
def test_any_id_the_central_system_assigned_is_echoed(transaction_id):
    fact = TransactionStop(KEY, WattHours(1), AT, StopReason.LOCAL)
    told = translate.transaction_call(message(fact, transaction_id))
    assert told is not None
    assert told.transaction_id == transaction_id


READING = MeterReading(
    energy_wh=WattHours(123_456_789),
    power_w=0.00000012,
    current_a=PerPhase(16.004, 0.0, 15.996),
    voltage_v=PerPhase(230.04, 231.0, 229.0),
    power_factor=0.98,
    frequency_hz=49.99,
)


@pytest.mark.parametrize(
    ("measurand", "values"),
    [
        (Measurand.ENERGY_IMPORT, [("123456789", "Wh", None, "Outlet")]),
        (Measurand.POWER_IMPORT, [("0.0", "W", None, "Outlet")]),
        (
            Measurand.CURRENT_IMPORT,
            [("16.00", "A", "L1", "Outlet"), ("0.00", "A", "L2", "Outlet"), ("16.00", "A", "L3", "Outlet")],
        ),
        (Measurand.CURRENT_OFFERED, [("16.0", "A", None, "Outlet")]),
        (Measurand.POWER_OFFERED, []),
        (Measurand.POWER_FACTOR, [("0.980", None, None, "Outlet")]),
        (
            Measurand.VOLTAGE,
            [("230.0", "V", "L1-N", "Outlet"), ("231.0", "V", "L2-N", "Outlet"), ("229.0", "V", "L3-N", "Outlet")],
        ),
        (Measurand.FREQUENCY, [("49.99", None, None, "Outlet")]),
        (Measurand.TEMPERATURE, [("41.5", "Celsius", None, "Body")]),
    ],
)
def test_each_measurand_is_written_with_unit_phase_and_location(measurand, values):
    written = translate.sampled_values(sample(READING, measurand, offered_a=16.0, temperature_c=41.5))
    assert [(one["value"], one.get("unit"), one.get("phase"), one["location"]) for one in written] == values
    assert all(one["measurand"] == measurand.value and one["context"] == "Sample.Periodic" for one in written)


@pytest.mark.parametrize("value", [math.nan, math.inf, None])
def test_what_the_meter_does_not_say_is_absent(value):
    assert translate.sampled_values(sample(MeterReading(power_w=value), Measurand.POWER_IMPORT)) == []


def test_a_sample_without_any_value_is_no_message():
    assert translate.meter_values(sample(MeterReading(), *Measurand), 1) is None


def test_a_sample_outside_a_transaction_has_no_transaction_id():
    told = translate.meter_values(sample(READING, Measurand.ENERGY_IMPORT), None)
    assert told is not None
    assert told.transaction_id is None


@pytest.mark.parametrize(
    ("answer", "info"),
    [
        ({"status": "Accepted"}, IdTagInfo(AuthorizationStatus.ACCEPTED)),
        ({"status": "Accepted", "parent_id_tag": ""}, IdTagInfo(AuthorizationStatus.ACCEPTED)),
        (
            {"status": "ConcurrentTx", "parent_id_tag": "P", "expiry_date": STAMP},
            IdTagInfo(AuthorizationStatus.CONCURRENT_TX, IdTag("P"), AT.utc_s),
        ),
        ({"status": "Blocked", "expiry_date": "soon"}, IdTagInfo(AuthorizationStatus.BLOCKED)),
    ],
)
def test_a_verdict_is_read(answer, info):
    assert translate.id_tag_info(answer) == info


def test_every_measurand_has_a_writer():
    for measurand in Measurand:
        translate.sampled_values(sample(READING, measurand))


def test_a_stop_repeats_samples_with_their_own_measurands():
    reading = MeterReading(energy_wh=WattHours(1500), power_w=11000.0)
    taken = sample(reading, Measurand.ENERGY_IMPORT, stop_measurands=(Measurand.POWER_IMPORT,))
    silent = sample(MeterReading(), stop_measurands=(Measurand.POWER_IMPORT,))
    fact = TransactionStop(KEY, WattHours(2000), AT, StopReason.LOCAL)
    told = translate.stop_transaction(fact, 7, (taken, silent))
    value = {"value": "11000.0", "context": "Sample.Periodic", "measurand": "Power.Active.Import"}
    assert told.transaction_data == [
        {"timestamp": STAMP, "sampled_value": [value | {"location": "Outlet", "unit": "W"}]}
    ]
    assert translate.stop_transaction(fact, 7, (silent,)).transaction_data is None
    assert translate.stop_transaction(fact, 7).transaction_data is None


def test_a_stop_repeats_no_more_than_it_may_but_the_first_and_the_last():
    reading = MeterReading(energy_wh=WattHours(1500))
    contexts = [ReadingContext.BEGIN, *[ReadingContext.PERIODIC] * 20, ReadingContext.END]
    samples = [
        MeterSample(1, KEY, AT, context, reading, (), stop_measurands=(Measurand.ENERGY_IMPORT,))
        for context in contexts
    ]
    stopped = OutboxMessage(
        1, "id", KEY, TransactionStop(KEY, WattHours(2000), AT, StopReason.LOCAL), 0, 7, 1, tuple(samples)
    )
    told = translate.transaction_call(stopped, 5).transaction_data
    assert [one["sampled_value"][0]["context"] for one in told] == [
        "Transaction.Begin",
        *["Sample.Periodic"] * 3,
        "Transaction.End",
    ]
