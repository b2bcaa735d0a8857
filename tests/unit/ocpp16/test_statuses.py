"""Rule 8: after the boot one status each, then changes only; after an outage only the current state."""

from evcharge_agent.core.effects import ConnectorState, ReportStatus
from evcharge_agent.core.facts import Instant
from evcharge_agent.ocpp16.statuses import MAX_QUEUED, StatusBook


def report(connector, state=ConnectorState.AVAILABLE, error="NoError", at_s=0.0):
    return ReportStatus(connector, state, error, "", "", Instant(at_s, at_s, is_utc_trusted=True))


def queued(book):
    return [(one.connector, one.state.value) for one in book.queue]


def delivered(book):
    while book.queue:
        book = book.delivered(book.queue[0])
    return book


def test_going_online_owes_every_connector_with_the_station_first():
    book = StatusBook()
    for connector in (2, 1, 0):
        book = book.reported(report(connector), is_online=False)
    assert queued(book.went_online()) == [(0, "Available"), (1, "Available"), (2, "Available")]


def test_online_every_change_is_owed_in_order():
    book = delivered(StatusBook().reported(report(1), is_online=True))
    for state in (ConnectorState.PREPARING, ConnectorState.CHARGING):
        book = book.reported(report(1, state), is_online=True)
    assert queued(book) == [(1, "Preparing"), (1, "Charging")]


def test_the_same_state_again_is_no_change():
    book = StatusBook().reported(report(1), is_online=True)
    assert queued(book.reported(report(1, at_s=9.0), is_online=True)) == [(1, "Available")]
    told = delivered(book)
    assert queued(told.reported(report(1, at_s=9.0), is_online=True)) == []
    assert queued(told.reported(report(1, error="WeakSignal"), is_online=True)) == [(1, "Available")]


def test_after_an_outage_only_the_current_state_and_only_if_it_changed():
    book = delivered(
        StatusBook().reported(report(1), is_online=True).reported(report(2), is_online=True)
    ).went_offline()
    for state in (ConnectorState.PREPARING, ConnectorState.CHARGING, ConnectorState.SUSPENDED_EV):
        book = book.reported(report(1, state), is_online=False)
    for state in (ConnectorState.PREPARING, ConnectorState.AVAILABLE):
        book = book.reported(report(2, state), is_online=False)
    assert queued(book.went_online()) == [(1, "SuspendedEV")]


def test_what_was_on_its_way_when_the_line_broke_is_owed_again():
    book = StatusBook().reported(report(1), is_online=True).went_offline()
    assert queued(book) == []
    assert queued(book.went_online()) == [(1, "Available")]


def test_a_delivery_that_is_told_late_does_not_disturb_the_queue():
    first = report(1)
    book = StatusBook().reported(first, is_online=True).went_offline()
    book = book.reported(report(1, ConnectorState.PREPARING), is_online=False).went_online()
    assert queued(book.delivered(first)) == [(1, "Preparing")]


def test_a_flood_of_changes_collapses_to_the_latest():
    book = StatusBook()
    states = (ConnectorState.PREPARING, ConnectorState.AVAILABLE)
    for number in range(MAX_QUEUED + 2):
        book = book.reported(report(1, states[number % 2], at_s=number), is_online=True)
    assert len(book.queue) <= MAX_QUEUED
    assert book.queue[-1] is book.latest[1]
