"""Laws about StatusNotification and ChangeAvailability (OCPP 1.6, 4.9; rules 8 and 9)."""

from collections.abc import Iterator

from tests.support.strict.expectations import Expectations, seconds_at
from tests.support.strict.law import Finding
from tests.support.strict.laws_boot import TRIGGERS
from tests.support.strict.trace import Call, Trace, pairs

STATION_STATES = frozenset({"Available", "Unavailable", "Faulted"})
IN_TRANSACTION = frozenset({"Charging", "SuspendedEV", "SuspendedEVSE"})
AFTER_TRANSACTION = frozenset({"Finishing", "Available", "Unavailable"})
FAULTLESS = frozenset({"NoError", "EVCommunicationError"})
START_AFTER_S = 10.0

MOVES = {
    "Available": "Preparing Charging SuspendedEV SuspendedEVSE Reserved Unavailable Faulted",
    "Preparing": "Available Charging SuspendedEV SuspendedEVSE Finishing Faulted",
    "Charging": "Available SuspendedEV SuspendedEVSE Finishing Unavailable Faulted",
    "SuspendedEV": "Available Charging SuspendedEVSE Finishing Unavailable Faulted",
    "SuspendedEVSE": "Available Charging SuspendedEV Finishing Unavailable Faulted",
    "Finishing": "Available Preparing Unavailable Faulted",
    "Reserved": "Available Preparing Unavailable Faulted",
    "Unavailable": "Available Preparing Charging SuspendedEV SuspendedEVSE Faulted",
    "Faulted": "Available Preparing Charging SuspendedEV SuspendedEVSE Finishing Reserved Unavailable",
}
"""The table of OCPP 1.6, 4.9."""


def connectors_exist(trace: Trace, expectations: Expectations) -> Iterator[Finding]:
    """Nothing is said of a connector the charger does not have, and no transaction is the station's."""
    for call in trace.sent():
        lowest = 1 if call.action == "StartTransaction" else 0
        if call.connector is not None and not lowest <= call.connector <= expectations.connectors:
            yield call.at_s, f"connector {call.connector}: {call}"


def the_station_has_three_states(trace: Trace, _: Expectations) -> Iterator[Finding]:
    """Connector 0 is Available, Unavailable or Faulted (OCPP 1.6, 7.7)."""
    for call in trace.statuses(0):
        if call.payload["status"] not in STATION_STATES:
            yield call.at_s, f"connector 0 is {call.payload['status']}"


def status_moves_are_legal(trace: Trace, expectations: Expectations) -> Iterator[Finding]:
    """A connector moves as the table of 4.9 allows, while nothing could get lost on the way."""
    for connector in range(1, expectations.connectors + 1):
        for before, after in pairs(trace.statuses(connector)):
            was, is_ = str(before.payload["status"]), str(after.payload["status"])
            is_seen = trace.is_up(before.at_s, after.at_s) and trace.is_same_run(before, after)
            is_whole = seconds_at(trace, expectations, "MinimumStatusDuration", after.at_s) == 0
            if was != is_ and is_seen and is_whole and is_ not in MOVES[was].split():
                yield after.at_s, f"connector {connector} went from {was} to {is_}"


def only_changes_are_told(trace: Trace, expectations: Expectations) -> Iterator[Finding]:
    """A status is not repeated, unless the charger started or was asked to."""
    asked = [call for call in trace.asked(*TRIGGERS) if call.payload["requestedMessage"] == "StatusNotification"]
    for connector in range(expectations.connectors + 1):
        for before, after in pairs(trace.statuses(connector)):
            is_refused = before.error is not None or before.answered_s is None
            is_asked = any(call.at_s <= after.at_s and call.connector in (None, connector) for call in asked)
            is_same = _without_stamp(before) == _without_stamp(after)
            if is_same and not is_refused and not is_asked and trace.is_same_run(before, after):
                yield after.at_s, f"connector {connector} is {after.payload['status']} again"


def faulted_names_its_fault(trace: Trace, _: Expectations) -> Iterator[Finding]:
    """Faulted has an errorCode, and EVCommunicationError is no fault."""
    for call in trace.sent("StatusNotification"):
        if call.payload["status"] == "Faulted" and call.payload["errorCode"] in FAULTLESS:
            yield call.at_s, f"Faulted with {call.payload['errorCode']}"


def finishing_follows_the_stop(trace: Trace, _: Expectations) -> Iterator[Finding]:
    """The end of a transaction is told before the state that comes after it."""
    for call in trace.sent("StatusNotification"):
        if call.payload["status"] in AFTER_TRANSACTION:
            for transaction in trace.transactions:
                if transaction.connector == call.connector and transaction.is_open_at(call.number):
                    yield call.at_s, f"{call.payload['status']} before the stop of transaction {transaction.id}"


def charging_has_a_transaction(trace: Trace, _: Expectations) -> Iterator[Finding]:
    """Charging and both Suspended states are states of a transaction the central system hears of."""
    for call in trace.sent("StatusNotification"):
        if call.payload["status"] not in IN_TRANSACTION or trace.ended_s < call.at_s + START_AFTER_S:
            continue
        if not trace.is_up(call.at_s, call.at_s + START_AFTER_S):
            continue
        mine = [one for one in trace.transactions if one.connector == call.connector]
        is_told = any(
            one.start.at_s <= call.at_s + START_AFTER_S and (one.stop is None or one.stop.number > call.number)
            for one in mine
        )
        if not is_told:
            yield call.at_s, f"{call.payload['status']} without a transaction on connector {call.connector}"


def availability_is_obeyed(trace: Trace, expectations: Expectations) -> Iterator[Finding]:
    """Accepted: the state follows. Scheduled: what follows the transaction is Unavailable, never Available."""
    orders = trace.asked("ChangeAvailability")
    for place, order in enumerate(orders):
        if order.answered_s is None:
            continue
        later = min([one.at_s for one in orders[place + 1 :]], default=trace.ended_s)
        until_s = order.answered_s + expectations.follow_within_s
        is_inoperative = order.payload["type"] == "Inoperative"
        if order.status == "Accepted" and until_s <= later and trace.is_up(order.at_s, until_s):
            for connector in _meant(order, expectations):
                state = _state_at(trace, connector, until_s)
                if state is not None and (state == "Unavailable") != is_inoperative and state != "Faulted":
                    yield until_s, f"connector {connector} is {state} after {order}"
        if order.status == "Scheduled" and is_inoperative:
            for call in trace.sent("StatusNotification"):
                is_mine = call.connector in _meant(order, expectations) and call.connector != 0
                if is_mine and order.answered_s < call.at_s < later and call.payload["status"] == "Available":
                    yield call.at_s, f"Available after {order}"


def _meant(order: Call, expectations: Expectations) -> list[int]:
    return list(range(expectations.connectors + 1)) if order.connector == 0 else [int(order.payload["connectorId"])]


def _state_at(trace: Trace, connector: int, at_s: float) -> str | None:
    before = [call for call in trace.statuses(connector) if call.at_s <= at_s]
    return str(before[-1].payload["status"]) if before else None


def _without_stamp(call: Call) -> dict[str, object]:
    return {name: value for name, value in call.payload.items() if name != "timestamp"}


STATUS_LAWS = (
    connectors_exist,
    the_station_has_three_states,
    status_moves_are_legal,
    only_changes_are_told,
    faulted_names_its_fault,
    finishing_follows_the_stop,
    charging_has_a_transaction,
    availability_is_obeyed,
)
