"""Every payload we can build is valid by the standard's schema, without null and without exponents."""

import json
import re

from hypothesis import given, settings
from hypothesis import strategies as st
from ocpp.charge_point import remove_nones, serialize_as_dict, snake_to_camel_case

from evcharge_agent.core.effects import ConnectorState, ReportStatus
from evcharge_agent.core.facts import (
    IdTag,
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
from evcharge_agent.ocpp16.stamps import from_stamp, to_stamp
from evcharge_agent.store.records import OutboxMessage
from evcharge_hal.contract.units import PerPhase, WattHours
from tests.support.schemas import FrameChecker

words = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=80)
numbers = st.none() | st.floats(allow_nan=True, allow_infinity=True)
phases = st.none() | st.builds(PerPhase, st.floats(), st.floats(), st.floats())
energy_wh = st.integers(0, 2**62).map(WattHours)
instants = st.builds(Instant, st.floats(0, 1e9), st.floats(0, 4_000_000_000), is_utc_trusted=st.booleans())
tags = words.map(IdTag)
KEY = TransactionKey("one")

starts = st.builds(
    TransactionStart, st.just(KEY), st.integers(1, 2), tags, energy_wh, instants, words, st.none() | st.integers(0, 99)
)
stops = st.builds(TransactionStop, st.just(KEY), energy_wh, instants, st.sampled_from(StopReason), st.none() | tags)
readings = st.builds(MeterReading, st.none() | energy_wh, numbers, phases, phases, numbers, numbers)
samples = st.builds(
    MeterSample,
    st.integers(0, 2),
    st.just(KEY),
    instants,
    st.sampled_from(ReadingContext),
    readings,
    st.lists(st.sampled_from(Measurand), unique=True).map(tuple),
    numbers,
    numbers,
)
reports = st.builds(ReportStatus, st.integers(0, 2), st.sampled_from(ConnectorState), words, words, words, instants)
stations = st.builds(Station, words, words, words, words, words)


def frame_of(payload):
    data = remove_nones(snake_to_camel_case(serialize_as_dict(payload)))
    return json.dumps([2, "id", type(payload).__name__, data])


@settings(max_examples=300, deadline=None)
@given(fact=starts | stops | samples, transaction_id=st.integers(-1, 2**31 - 1))
def test_transaction_messages_are_valid(fact, transaction_id):
    payload = translate.transaction_call(OutboxMessage(1, "id", KEY, fact, 0, transaction_id, 1))
    if payload is None:
        assert isinstance(fact, MeterSample)
        return
    FrameChecker().check(frame_of(payload))


@settings(max_examples=200, deadline=None)
@given(report=reports, station=stations)
def test_status_boot_and_authorize_are_valid(report, station):
    FrameChecker().check(frame_of(translate.status_notification(report, station, report.at.utc_s)))
    FrameChecker().check(frame_of(translate.boot_notification(station)))
    FrameChecker().check(frame_of(translate.authorize(IdTag(station.vendor))))


@settings(max_examples=300, deadline=None)
@given(sample=samples)
def test_values_are_plain_decimals(sample):
    for value in translate.sampled_values(sample):
        assert re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", value["value"])


@settings(max_examples=300, deadline=None)
@given(utc_s=st.floats(0, 4_000_000_000))
def test_a_stamp_reads_back_to_the_millisecond(utc_s):
    text = to_stamp(utc_s)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", text)
    read = from_stamp(text)
    assert read is not None
    assert abs(read - utc_s) <= 0.001
