"""What charging profiles allow, read off the wire alone (OCPP 1.6, 3.13 and 7.8; ocpp16.md rules 14 to 16).

Shares nothing with the product. Three phases of 230 V are assumed, which is what the chargers under test have.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from tests.support.strict.trace import Call, Payload, Trace, Transaction, stamp_s

WATT_FOR_AMPERE_BY_PHASE = 230.0
PHASES = 3
CYCLES_S = {"Daily": 86_400.0, "Weekly": 604_800.0}
TX, DEFAULT, MAX = "TxProfile", "TxDefaultProfile", "ChargePointMaxProfile"


@dataclass(frozen=True, slots=True)
class Standing:
    """A profile that was accepted and stands."""

    connector: int
    profile: Payload
    since_utc_s: float
    transaction: Transaction | None
    """Of a TxProfile."""

    @property
    def purpose(self) -> str:
        return str(self.profile["chargingProfilePurpose"])

    @property
    def place(self) -> tuple[int, str, int]:
        """Two in one place replace each other."""
        return self.connector, self.purpose, int(self.profile["stackLevel"])


def standing(trace: Trace, place: int) -> list[Standing]:
    """Profiles that stand at that place of the trace."""
    book: list[Standing] = []
    for number, call in _events(trace):
        if number >= place:
            break
        if call.action == "ClearChargingProfile":
            book = [one for one in book if not is_meant(one, call.payload)]
        elif call.action == "StopTransaction":
            book = [one for one in book if one.transaction is None or call not in one.transaction.stops]
        else:
            for new in _brought(trace, number, call):
                gone = new.profile["chargingProfileId"]
                rest = [one for one in book if one.place != new.place and one.profile["chargingProfileId"] != gone]
                book = [*rest, new]
    return book


def is_meant(one: Standing, criteria: Payload) -> bool:
    """ClearChargingProfile with these criteria takes the profile away; an id alone decides."""
    if "id" in criteria:
        return bool(one.profile["chargingProfileId"] == criteria["id"])
    said = {
        "connectorId": one.connector,
        "chargingProfilePurpose": one.purpose,
        "stackLevel": one.profile["stackLevel"],
    }
    return all(said[name] == value for name, value in criteria.items())


def limit_at(
    book: Iterable[Standing], connector: int, at_utc_s: float, began_utc_s: float, unit: str = "A"
) -> float | None:
    """What they allow a connector whose transaction began then; None where they say nothing."""
    ranked = sorted(book, key=lambda one: (one.purpose != TX, one.connector == 0, -int(one.profile["stackLevel"])))
    own = [
        one
        for one in ranked
        if (one.purpose == TX and one.connector == connector)
        or (one.purpose == DEFAULT and one.connector in (0, connector))
    ]
    most = [one for one in ranked if one.purpose == MAX]
    said = [_first(stack, at_utc_s, began_utc_s, unit) for stack in (own, most)]
    return min((limit for limit in said if limit is not None), default=None)


def running(trace: Trace, connector: int, place: int) -> Transaction | None:
    """The transaction of a connector at that place of the trace."""
    for one in trace.transactions:
        is_begun = one.connector == connector and one.start.number < place
        if is_begun and (one.stop is None or one.stop.number > place):
            return one
    return None


def place_at(trace: Trace, at_s: float) -> int:
    """The place in the trace of a moment."""
    return bisect_right(trace.entries, at_s, key=lambda entry: entry.at_s)


def _events(trace: Trace) -> list[tuple[int, Call]]:
    orders = [one for one in trace.asked("SetChargingProfile", "ClearChargingProfile") if one.status == "Accepted"]
    found = [(one.answer_number, one) for one in orders if one.answer_number is not None]
    found += [(one.start.number, one.start) for one in trace.transactions]
    found += [(one.stop.number, one.stop) for one in trace.transactions if one.stop is not None]
    return sorted(found, key=lambda item: item[0])


def _brought(trace: Trace, place: int, call: Call) -> Iterator[Standing]:
    """The profile a SetChargingProfile brings, or the remote start a transaction comes from."""
    if call.action == "SetChargingProfile" and call.connector is not None and call.answered_s is not None:
        profile = call.payload["csChargingProfiles"]
        transaction = running(trace, call.connector, place) if profile["chargingProfilePurpose"] == TX else None
        yield Standing(call.connector, profile, trace.utc_s(call.answered_s), transaction)
    elif call.action == "StartTransaction":
        starts = [one for one in trace.asked("RemoteStartTransaction") if one.status == "Accepted"]
        mine = [one for one in starts if one.number < call.number and one.connector in (None, call.connector)]
        mine = [one for one in mine if str(one.payload["idTag"]).casefold() == str(call.payload["idTag"]).casefold()]
        transaction = next(one for one in trace.transactions if one.start == call)
        if mine and "chargingProfile" in mine[-1].payload:
            yield Standing(
                transaction.connector, mine[-1].payload["chargingProfile"], stamp_s(_stamp(call)), transaction
            )


def _stamp(call: Call) -> str:
    return str(call.payload["timestamp"])


def _first(stack: Iterable[Standing], at_utc_s: float, began_utc_s: float, unit: str) -> float | None:
    """What the first says that says something."""
    said = (_says(one, at_utc_s, began_utc_s, unit) for one in stack)
    return next((limit for limit in said if limit is not None), None)


def _says(one: Standing, at_utc_s: float, began_utc_s: float, unit: str) -> float | None:
    profile, schedule = one.profile, one.profile["chargingSchedule"]
    kind = profile["chargingProfileKind"]
    is_early = "validFrom" in profile and at_utc_s < stamp_s(profile["validFrom"])
    is_late = "validTo" in profile and at_utc_s >= stamp_s(profile["validTo"])
    begin_utc_s = began_utc_s if kind == "Relative" and one.purpose != MAX else one.since_utc_s
    if kind != "Relative" and "startSchedule" in schedule:
        begin_utc_s = stamp_s(schedule["startSchedule"])
    into_s = at_utc_s - begin_utc_s
    if kind == "Recurring" and into_s >= 0:
        into_s %= CYCLES_S[profile["recurrencyKind"]]
    begun = [period for period in schedule["chargingSchedulePeriod"] if period["startPeriod"] <= into_s]
    if is_early or is_late or not begun or into_s >= schedule.get("duration", float("inf")):
        return None
    limit, per_ampere = (
        float(begun[-1]["limit"]),
        WATT_FOR_AMPERE_BY_PHASE * float(begun[-1].get("numberPhases", PHASES)),
    )
    if schedule["chargingRateUnit"] == unit:
        return limit
    return limit / per_ampere if unit == "A" else limit * per_ampere
