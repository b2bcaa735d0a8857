"""Remote and local requests: answered exactly once, and before what they announce."""

import pytest

from evcharge_agent.core import events as e
from evcharge_agent.core.effects import Answer, AskAuthorize, CommitStart, CommitStop, TellGuard
from evcharge_agent.core.events import RequestId
from evcharge_agent.core.facts import AuthorizationStatus, IdTag, IdTagInfo, StopReason
from evcharge_hal.contract.channel import ClearFault, Reply, SetPoint
from evcharge_hal.contract.faults import FaultCode
from tests.support.core_station import ACCEPTED, TAG, Station, TestRules

R = RequestId("r")
FREE_OR_NOT = "no_free_connector"


def remote_start(station, connector=1, id_tag=TAG, request=R):
    effects = station.tell(e.RemoteStartRequested(request, id_tag, connector))
    answers = [effect for effect in effects if isinstance(effect, Answer)]
    assert len(answers) == 1
    return answers[0], effects


def test_a_remote_start_with_the_cable_in_begins_without_asking():
    station = Station().ready()
    station.plug()
    answer, effects = remote_start(station)
    assert answer.is_accepted
    kinds = [type(effect) for effect in effects]
    assert kinds.index(Answer) < kinds.index(CommitStart)
    assert station.phase() == "active"
    assert station.all(AskAuthorize) == []


def test_a_remote_start_before_the_cable_waits_and_lapses():
    station = Station(TestRules(connection_time_out_s=20)).ready()
    remote_start(station)
    assert station.statuses()[-1] == "Preparing"
    station.wait(21.0)
    assert station.statuses()[-1] == "Available"
    remote_start(station)
    station.plug()
    assert station.phase() == "active"


def test_a_remote_start_may_have_to_be_authorised():
    station = Station(TestRules(authorize_remote_tx_requests=True)).ready()
    station.plug()
    _, effects = remote_start(station)
    kinds = [type(effect) for effect in effects]
    assert kinds.index(Answer) < kinds.index(AskAuthorize)
    station.answer_authorize(IdTagInfo(AuthorizationStatus.BLOCKED))
    assert station.phase() == "plugged"
    remote_start(station)
    station.answer_authorize(ACCEPTED)
    assert station.phase() == "active"


def occupied(station):
    station.start()


def authorised(station):
    station.swipe()
    station.answer_authorize(ACCEPTED)


def broken(station):
    station.latch(FaultCode.RCM_TRIP)


def guardless(station):
    station.tell(e.GuardLost())


def pending(station):
    station.tell(e.CentralSystemChanged(is_connected=True, is_accepted=False))


@pytest.mark.parametrize(
    ("prepare", "connector", "reason"),
    [
        (None, 0, "unknown_connector"),
        (None, 2, "unknown_connector"),
        (None, -1, "unknown_connector"),
        (occupied, 1, "busy"),
        (authorised, 1, "busy"),
        (broken, 1, "fault"),
        (guardless, 1, "guard_lost"),
        (pending, 1, "not_accepted"),
        (occupied, None, "no_free_connector"),
        (broken, None, "no_free_connector"),
    ],
)
def test_a_remote_start_is_refused(prepare, connector, reason):
    station = Station().ready()
    if prepare is not None:
        prepare(station)
    answer, _ = remote_start(station, connector)
    assert (answer.is_accepted, answer.reason) == (False, reason)


def test_a_remote_stop_by_number():
    station = Station().ready()
    key = station.start()
    station.tell(e.TransactionRegistered(key, 0, ACCEPTED))
    effects = station.tell(e.RemoteStopRequested(R, 0))
    kinds = [type(effect) for effect in effects]
    assert isinstance(effects[0], TellGuard)
    assert isinstance(effects[0].message, SetPoint)
    assert kinds.index(Answer) < kinds.index(CommitStop)
    stop = station.last(CommitStop).stop
    assert (stop.reason, stop.id_tag) == (StopReason.REMOTE, None)


def test_a_remote_stop_of_something_unknown_is_refused():
    station = Station().ready()
    key = station.start()
    station.tell(e.RemoteStopRequested(R, 7))
    assert not station.answers()[R].is_accepted
    station.tell(e.TransactionRegistered(key, 7, ACCEPTED))
    pending(station)
    station.tell(e.RemoteStopRequested(RequestId("r2"), 7))
    assert not station.answers()["r2"].is_accepted
    assert station.stops() == []


def test_a_local_start_is_answered_with_the_verdict():
    station = Station().ready()
    station.plug()
    station.tell(e.StartRequested(R, 1, TAG))
    assert station.answers() == {}
    station.answer_authorize(ACCEPTED)
    assert station.answers() == {R: Answer(R, is_accepted=True)}
    assert station.phase() == "active"


@pytest.mark.parametrize(
    ("answer", "reason"), [(IdTagInfo(AuthorizationStatus.BLOCKED), "id_blocked"), (None, "id_unknown_offline")]
)
def test_a_local_start_that_is_refused_says_why(answer, reason):
    station = Station().ready()
    station.tell(e.StartRequested(R, 1, TAG))
    station.answer_authorize(answer)
    assert station.answers()[R].reason == reason


@pytest.mark.parametrize(("prepare", "connector", "reason"), [(None, 9, "unknown_connector"), (occupied, 1, "busy")])
def test_a_local_start_where_nothing_is_free_is_refused(prepare, connector, reason):
    station = Station().ready()
    if prepare is not None:
        prepare(station)
    station.tell(e.StartRequested(R, connector, IdTag("new")))
    assert station.answers()[R].reason == reason


def test_a_local_start_that_is_withdrawn_is_answered_too():
    station = Station().ready()
    station.tell(e.StartRequested(R, 1, TAG))
    station.tell(e.StopRequested(RequestId("r2"), 1))
    assert station.answers()[R].reason == "cancelled"
    assert station.answers()["r2"].is_accepted


def test_a_local_stop():
    station = Station().ready()
    station.start()
    station.tell(e.StopRequested(R, 1))
    assert station.answers()[R].is_accepted
    stop = station.last(CommitStop).stop
    assert (stop.reason, stop.id_tag) == (StopReason.LOCAL, None)


@pytest.mark.parametrize("connector", [1, 0, 5])
def test_a_local_stop_of_nothing_is_refused(connector):
    station = Station().ready()
    station.tell(e.StopRequested(R, connector))
    assert station.answers()[R].reason == "no_transaction"


def test_an_acknowledgement_is_the_guards_to_grant():
    station = Station().ready()
    station.tell(e.ClearFaultRequested(R, 1, FaultCode.RCM_TRIP))
    station.tell(e.ClearFaultRequested(RequestId("r2"), 1, FaultCode.DIODE))
    messages = [effect.message for effect in station.all(TellGuard)]
    first, second = [message for message in messages if isinstance(message, ClearFault)]
    assert station.answers() == {}
    station.tell(e.GuardReplied(Reply(second.request, is_accepted=False, reason="still there")))
    station.tell(e.GuardReplied(Reply(first.request, is_accepted=True)))
    station.tell(e.GuardReplied(Reply(first.request, is_accepted=True)))
    assert station.answers()[R].is_accepted
    assert station.answers()["r2"].reason == "refused_by_guard"
    assert station.answers()["r2"].text == "The safety process refused. still there"


def test_an_acknowledgement_without_a_guard_is_refused_at_once_or_when_it_goes():
    station = Station().ready()
    station.tell(e.ClearFaultRequested(R, 1, FaultCode.RCM_TRIP))
    station.tell(e.GuardLost())
    station.tell(e.ClearFaultRequested(RequestId("r2"), 1, FaultCode.RCM_TRIP))
    station.tell(e.ClearFaultRequested(RequestId("r3"), 4, FaultCode.RCM_TRIP))
    assert {name: answer.reason for name, answer in station.answers().items()} == {
        "r": "guard_lost",
        "r2": "guard_lost",
        "r3": "unknown_connector",
    }
