"""Laws about charging profiles: what is taken, what is told of them, and what the car draws (rules 14 to 16)."""

import itertools
from collections.abc import Iterator

from tests.support.strict.expectations import Expectations
from tests.support.strict.law import Finding
from tests.support.strict.profiles import is_meant, limit_at, place_at, running, standing
from tests.support.strict.trace import Call, Trace, Transaction, stamp_s

EDGE_S = 1.5
"""Around the moment of a change either limit may be told."""
LOOKS = 40
SETTLES_S = 10.0
"""How long a car may take to follow a new limit."""
MARGIN_A = 0.5


def impossible_profiles_are_refused(trace: Trace, expectations: Expectations) -> Iterator[Finding]:
    """TxProfile needs its running transaction, ChargePointMaxProfile the station (rule 15)."""
    for call in trace.asked("SetChargingProfile"):
        if call.status != "Accepted":
            continue
        profile = call.payload["csChargingProfiles"]
        purpose, connector = profile["chargingProfilePurpose"], call.payload["connectorId"]
        transaction = running(trace, connector, call.number)
        if purpose == "ChargePointMaxProfile" and connector != 0:
            yield call.at_s, f"ChargePointMaxProfile accepted on connector {connector}"
        if purpose != "TxProfile":
            continue
        if transaction is None:
            yield call.at_s, f"TxProfile accepted without a transaction on connector {connector}"
        elif profile.get("transactionId", transaction.id) != transaction.id:
            yield call.at_s, f"TxProfile accepted for transaction {profile['transactionId']}"


def only_tx_profiles_come_with_a_start(trace: Trace, _: Expectations) -> Iterator[Finding]:
    """RemoteStartTransaction brings a TxProfile without a transactionId, or is rejected (rule 10)."""
    for call in trace.asked("RemoteStartTransaction"):
        profile = call.payload.get("chargingProfile")
        if call.status != "Accepted" or profile is None:
            continue
        if profile["chargingProfilePurpose"] != "TxProfile" or "transactionId" in profile:
            yield call.at_s, f"accepted: {call}"


def clears_tell_the_truth(trace: Trace, _: Expectations) -> Iterator[Finding]:
    """ClearChargingProfile is Accepted where a profile fits it, and Unknown where none does."""
    for call in trace.asked("ClearChargingProfile"):
        meant = [one for one in standing(trace, call.number) if is_meant(one, call.payload)]
        is_perhaps_over = any(one.transaction and _is_ending(trace, one.transaction, call) for one in meant)
        if call.status is None or is_perhaps_over:
            continue
        if (call.status == "Accepted") != bool(meant):
            yield call.at_s, f"{call.status} with {len(meant)} to clear: {call}"


def schedules_are_well_formed(trace: Trace, _: Expectations) -> Iterator[Finding]:
    """A composite schedule begins now, at 0 s, and its periods ascend within its duration (rule 14)."""
    for call in _schedules(trace):
        assert call.result is not None
        schedule = call.result["chargingSchedule"]
        starts = [float(period["startPeriod"]) for period in schedule["chargingSchedulePeriod"]]
        duration_s = float(schedule.get("duration", call.payload["duration"]))
        if call.result.get("connectorId") != call.payload["connectorId"]:
            yield call.at_s, f"schedule of connector {call.result.get('connectorId')} for {call}"
        if schedule["chargingRateUnit"] != call.payload.get("chargingRateUnit", schedule["chargingRateUnit"]):
            yield call.at_s, f"schedule in {schedule['chargingRateUnit']} for {call}"
        if starts[:1] != [0.0] or any(after <= before for before, after in itertools.pairwise(starts)):
            yield call.at_s, f"periods begin at {starts}"
        elif starts[-1] >= max(duration_s, 1.0) or duration_s > call.payload["duration"]:
            yield call.at_s, f"periods until {starts[-1]:g} s in {duration_s:g} of {call.payload['duration']} s"


def schedules_follow_the_profiles(trace: Trace, _: Expectations) -> Iterator[Finding]:
    """At every moment a composite schedule tells the lowest of what the profiles allow (rule 14)."""
    for call in _schedules(trace):
        place, connector = call.answer_number, call.connector
        if place is None or not connector or call.result is None:
            continue
        transaction = running(trace, connector, place)
        if transaction is not None and _is_ending(trace, transaction, call):
            continue
        schedule = call.result["chargingSchedule"]
        begin_utc_s = stamp_s(call.result["scheduleStart"])
        began_utc_s = begin_utc_s if transaction is None else _began_utc_s(transaction)
        book, unit = standing(trace, place), schedule["chargingRateUnit"]
        for second in _looks(schedule, float(call.payload["duration"])):
            allowed = {
                limit_at(book, connector, begin_utc_s + second + slack_s, began_utc_s, unit)
                for slack_s in (-EDGE_S, 0.0, EDGE_S)
            }
            told = [one["limit"] for one in schedule["chargingSchedulePeriod"] if one["startPeriod"] <= second]
            if None in allowed or not told:
                continue
            if not any(abs(told[-1] - one) <= 0.1 for one in allowed if one is not None):
                yield call.at_s, f"{told[-1]} {unit} told {second:g} s on, {allowed} allowed: {call}"
                break


def the_draw_keeps_its_limit(trace: Trace, expectations: Expectations) -> Iterator[Finding]:
    """No phase draws more than the profiles allow, or have allowed a moment ago (rule 15)."""
    for call in trace.sent("MeterValues"):
        for value in call.payload["meterValue"]:
            drawn_a = [float(one["value"]) for one in value["sampledValue"] if one.get("measurand") == "Current.Import"]
            utc_s = stamp_s(value["timestamp"])
            allowed_a = _allowed_a(trace, int(call.payload["connectorId"]), utc_s - trace.utc_offset_s)
            if drawn_a and allowed_a is not None and max(drawn_a) > allowed_a + MARGIN_A:
                yield call.at_s, f"{max(drawn_a)} A drawn, {allowed_a:g} A allowed: {call}"


def _allowed_a(trace: Trace, connector: int, at_s: float) -> float | None:
    """The most that was allowed since a car had to follow; None while anything was."""
    mine = [one for one in trace.transactions if one.connector == connector]
    began = [one for one in mine if _began_utc_s(one) - trace.utc_offset_s <= at_s]
    if not began:
        return None
    began_utc_s = _began_utc_s(began[-1])
    limits: list[float] = []
    for back_s in range(0, int(SETTLES_S) + 1, 2):
        moment_s = max(at_s - back_s, began_utc_s - trace.utc_offset_s)
        book = standing(trace, place_at(trace, moment_s))
        limit = limit_at(book, connector, trace.utc_s(moment_s), began_utc_s)
        if limit is None:
            return None
        limits.append(limit)
    return max(limits)


def _schedules(trace: Trace) -> list[Call]:
    asked = [one for one in trace.asked("GetCompositeSchedule") if one.status == "Accepted"]
    return [one for one in asked if one.result is not None and "chargingSchedule" in one.result]


def _looks(schedule: dict[str, object], duration_s: float) -> list[float]:
    """Seconds at which a schedule is compared: spread over it, and around each change it tells."""
    periods = schedule["chargingSchedulePeriod"]
    assert isinstance(periods, list)
    edges = [float(one["startPeriod"]) + shift for one in periods for shift in (-2.0, 2.0)]
    spread = [duration_s * part / LOOKS for part in range(LOOKS)]
    return sorted(second for second in {*edges, *spread} if 0.0 <= second < duration_s)


def _began_utc_s(transaction: Transaction) -> float:
    return stamp_s(str(transaction.start.payload["timestamp"]))


def _is_ending(trace: Trace, transaction: Transaction, call: Call) -> bool:
    """It is over for the charger, and the central system has not been told yet."""
    stop = transaction.stop
    if stop is None or stop.number < call.number:
        return False
    return stamp_s(str(stop.payload["timestamp"])) <= trace.utc_s(call.at_s)


CHARGING_LAWS = (
    impossible_profiles_are_refused,
    only_tx_profiles_come_with_a_start,
    clears_tell_the_truth,
    schedules_are_well_formed,
    schedules_follow_the_profiles,
    the_draw_keeps_its_limit,
)
