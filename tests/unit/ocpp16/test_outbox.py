"""Rules 2 and 3: transaction messages are a durable FIFO, and nothing is sent before its transaction id."""

import asyncio

import pytest
from ocpp.v16 import call_result

from evcharge_agent.core.effects import ConnectorState
from evcharge_agent.core.events import TagInfoLearned, TransactionRegistered
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
)
from evcharge_agent.demo.central_script import Behaviour, Script
from evcharge_agent.ocpp16.errors import CallTimedOutError
from evcharge_agent.ocpp16.outbox import OutboxSender
from evcharge_agent.ocpp16.stamps import from_stamp
from evcharge_agent.settings.sections import Settings
from evcharge_agent.store.records import OutboxMessage
from evcharge_hal.contract.units import WattHours
from tests.support.ocpp_charger import CENTRAL_IS_AHEAD_S
from tests.support.ocpp_charger import on_site as any_site
from tests.support.virtual_time import START_UTC_S, run_virtual

TRANSACTION_MESSAGES = ("StartTransaction", "MeterValues", "StopTransaction")
OCPP = {"keys": {"TransactionMessageAttempts": 3, "TransactionMessageRetryInterval": 10}}


def on_site(directory, test, script=None, ocpp=OCPP, *, is_accepted=True):
    return any_site(directory, test, script, ocpp, is_accepted=is_accepted)


async def whole_charge(charger, name="one", id_tag="CARD1"):
    key = await charger.start(name, id_tag=id_tag)
    await charger.sample(key, 600)
    await charger.stop(key, id_tag=id_tag)
    return key


def sent(central):
    return [one for one in central.received if one.action in TRANSACTION_MESSAGES]


def sent_actions(central):
    return [one.action for one in sent(central)]


def on_the_wire(central, action):
    """Message ids of all sends of an action, taken in or not."""
    return [frame.text.split('"')[1] for frame in central.frames.all() if frame.summary == action]


def test_a_whole_charge_arrives_in_order_and_adds_up(tmp_path):
    async def test(_, charger, central):
        key = await whole_charge(charger)
        await charger.drained()
        return key, charger.all(TransactionRegistered), central

    key, registered, central = on_site(tmp_path, test)
    assert sent_actions(central) == list(TRANSACTION_MESSAGES)
    assert registered == [TransactionRegistered(key, 1, IdTagInfo(AuthorizationStatus.ACCEPTED))]
    record = central.transactions[1]
    assert (record.energy_wh, record.reason, record.stop_id_tag) == (1000, "Local", "CARD1")
    assert [one["value"] for one in record.meter_values[0]["sampled_value"]] == ["600", "0.0"]


def test_everything_recorded_offline_is_drained_in_order_with_true_stamps(tmp_path):
    async def test(site, charger, central):
        central.is_reachable = False
        key = await charger.start("one")
        await asyncio.sleep(600.0)
        await charger.sample(key, 600)
        await asyncio.sleep(600.0)
        await charger.stop(key, reason=StopReason.EV_DISCONNECTED)
        await whole_charge(charger, "two")
        central.is_reachable = True
        await site.accepted()
        await charger.drained()
        return central

    central = on_site(tmp_path, test, is_accepted=False)
    assert sent_actions(central) == list(TRANSACTION_MESSAGES) * 2
    # The first guess of the charger's clock was an hour behind the central system's.
    began_utc_s = START_UTC_S + CENTRAL_IS_AHEAD_S
    record = central.transactions[1]
    stamps = (record.started, record.meter_values[0]["timestamp"], record.stopped)
    assert [from_stamp(stamp) for stamp in stamps] == [began_utc_s, began_utc_s + 600.0, began_utc_s + 1200.0]
    assert record.stop_id_tag is None


@pytest.mark.parametrize("behaviour", [Behaviour(refusal="GenericError"), Behaviour(is_silent=True)])
def test_a_refused_or_unanswered_message_is_sent_again_with_the_same_id_and_content(tmp_path, behaviour):
    script = Script()
    script.expect("StartTransaction", behaviour, behaviour)

    async def test(_, charger, central):
        began_s = asyncio.get_running_loop().time()
        await charger.start("one")
        await charger.drained()
        texts = {frame.text for frame in central.frames.all() if frame.summary == "StartTransaction"}
        return asyncio.get_running_loop().time() - began_s, on_the_wire(central, "StartTransaction"), texts

    took_s, ids, texts = on_site(tmp_path, test, script)
    assert len(ids) == 3
    assert len(set(ids)) == len(texts) == 1
    timeouts_s = 60.0 if behaviour.is_silent else 0.0
    assert took_s == pytest.approx(10.0 + 20.0 + timeouts_s, abs=0.5)  # interval x sends so far


def test_after_all_attempts_a_message_is_parked_and_the_next_goes_on(tmp_path):
    script = Script()
    script.expect("MeterValues", *[Behaviour(refusal="InternalError")] * 3)

    async def test(_, charger, central):
        await whole_charge(charger)
        await charger.drained()
        return charger.store.parked(), len(on_the_wire(central, "MeterValues")), sent_actions(central)

    assert on_site(tmp_path, test, script) == (1, 3, ["StartTransaction", "StopTransaction"])


def test_after_a_parked_start_its_messages_carry_minus_one(tmp_path):
    script = Script()
    script.expect("StartTransaction", *[Behaviour(refusal="InternalError")] * 3)

    async def test(_, charger, central):
        await whole_charge(charger)
        await charger.drained()
        return [one.payload["transaction_id"] for one in sent(central)], charger.all(TransactionRegistered)

    assert on_site(tmp_path, test, script) == ([-1, -1], [])


@pytest.mark.parametrize("transaction_id", [0, -7, 2**31 - 1])
def test_the_assigned_transaction_id_is_echoed_whatever_it_is(tmp_path, transaction_id):
    async def test(_, charger, central):
        await whole_charge(charger)
        await charger.drained()
        return [one.payload["transaction_id"] for one in sent(central)[1:]]

    assert on_site(tmp_path, test, Script(next_transaction_id=transaction_id)) == [transaction_id] * 2


def test_nothing_behind_a_start_leaves_before_its_answer(tmp_path):
    script = Script()
    script.expect("StartTransaction", Behaviour(delay_s=20.0))

    async def test(_, charger, central):
        await whole_charge(charger)
        await asyncio.sleep(19.0)
        before = sent_actions(central) + [f.summary for f in central.frames.all() if f.summary == "MeterValues"]
        await charger.drained()
        return before, sent_actions(central)

    assert on_site(tmp_path, test, script) == ([], list(TRANSACTION_MESSAGES))


@pytest.mark.parametrize("is_answer_lost", [True, False])
def test_a_line_cut_before_the_answer_is_no_attempt(tmp_path, is_answer_lost):
    script = Script()
    cut = Behaviour(is_cut=True, is_answer_lost=is_answer_lost, is_silent=not is_answer_lost)
    script.expect("StartTransaction", *[cut] * 5)

    async def test(_, charger, central):
        await whole_charge(charger)
        await charger.drained()
        ids = on_the_wire(central, "StartTransaction")
        return (
            len(ids),
            len(set(ids)),
            charger.store.parked(),
            len(central.transactions),
            len(central.of("BootNotification")),
        )

    assert on_site(tmp_path, test, script) == (6, 1, 0, 1, 1)


def test_hours_offline_are_no_attempt(tmp_path):
    async def test(site, charger, central):
        central.is_reachable = False
        await central.drop()
        await whole_charge(charger)
        await asyncio.sleep(12 * 3600.0)
        message = await charger.store.oldest()
        central.is_reachable = True
        await charger.drained()
        return message.attempts, charger.store.parked(), sent_actions(central)

    assert on_site(tmp_path, test) == (0, 0, list(TRANSACTION_MESSAGES))


def test_a_late_answer_to_an_earlier_send_counts(tmp_path):
    script = Script()
    script.expect("StartTransaction", Behaviour(delay_s=35.0))  # the call times out after 30

    async def test(_, charger, central):
        await charger.start("one")
        await charger.drained()
        return len(on_the_wire(central, "StartTransaction")), len(charger.all(TransactionRegistered))

    assert on_site(tmp_path, test, script) == (1, 1)


def test_heartbeat_and_status_are_not_queued_behind_a_waiting_message(tmp_path):
    script = Script()
    script.expect("StartTransaction", Behaviour(refusal="GenericError"))

    async def test(_, charger, central):
        await charger.start("one")
        await asyncio.sleep(1.0)
        charger.report(1, ConnectorState.PREPARING)
        await asyncio.sleep(1.0)
        return central.states(1), sent_actions(central)

    assert on_site(tmp_path, test, script) == (["Preparing"], [])


def test_a_running_transaction_outlives_a_restart_of_the_charger(tmp_path):
    """Rule 3: the id is in the store, not in memory; a Start answered before is not sent again."""

    async def first(_, charger, __):
        await charger.start("one")
        await charger.drained()

    async def second(_, charger, central):
        [transaction] = await charger.store.open_transactions()
        await charger.stop(transaction.start.transaction)
        await charger.drained()
        return transaction.transaction_id, [one.payload["transaction_id"] for one in sent(central)]

    on_site(tmp_path, first, Script(next_transaction_id=77))
    assert on_site(tmp_path, second) == (77, [77])


def test_messages_queued_at_a_power_cut_are_sent_after_it_with_their_ids(tmp_path):
    async def first(_, charger, central):
        central.is_reachable = False
        await whole_charge(charger)
        return (await charger.store.oldest()).message_id

    async def second(_, charger, central):
        await charger.drained()
        return sent(central)[0].message_id, sent_actions(central)

    message_id = on_site(tmp_path, first, is_accepted=False)
    assert on_site(tmp_path, second) == (message_id, list(TRANSACTION_MESSAGES))


def test_a_verdict_in_the_answer_to_a_stop_is_learned(tmp_path):
    async def test(_, charger, __):
        await whole_charge(charger)
        await charger.drained()
        return charger.all(TagInfoLearned)

    learned = on_site(tmp_path, test, Script(tags={"card1": "Expired"}))
    assert learned == [TagInfoLearned(IdTag("CARD1"), IdTagInfo(AuthorizationStatus.EXPIRED))]


def test_a_start_refused_as_invalid_is_registered_with_its_verdict(tmp_path):
    async def test(_, charger, __):
        await charger.start("one", id_tag="STRANGER")
        await charger.drained()
        return charger.all(TransactionRegistered)

    [registered] = on_site(tmp_path, test, Script(unknown_tag="Invalid", next_transaction_id=0))
    assert (registered.transaction_id, registered.info.status) == (0, AuthorizationStatus.INVALID)


def test_a_sample_that_says_nothing_is_not_sent_and_does_not_block(tmp_path):
    async def test(_, charger, central):
        key = await charger.start("one")
        now = charger.clock.now()
        empty = MeterSample(1, key, now, ReadingContext.PERIODIC, MeterReading(), (Measurand.TEMPERATURE,))
        await charger.store.commit_sample(empty)
        await charger.stop(key)
        await charger.drained()
        return sent_actions(central)

    assert on_site(tmp_path, test) == ["StartTransaction", "StopTransaction"]


def test_finishing_is_told_after_the_stop(tmp_path):
    script = Script()
    script.expect("StopTransaction", Behaviour(delay_s=3.0))

    async def test(_, charger, central):
        charger.report(1, ConnectorState.CHARGING)
        key = await charger.start("one")
        await charger.drained()
        committing = asyncio.create_task(charger.stop(key))
        await asyncio.sleep(0)
        charger.report(1, ConnectorState.FINISHING)
        await committing
        await charger.drained()
        await asyncio.sleep(1.0)
        return [one.action for one in central.received[-2:]], central.states(1)

    expected = ["StopTransaction", "StatusNotification"]
    assert on_site(tmp_path, test, script) == (expected, ["Charging", "Finishing"])


def test_finishing_does_not_wait_for_a_stop_that_cannot_be_sent(tmp_path):
    script = Script()
    script.expect("StopTransaction", *[Behaviour(refusal="GenericError")] * 2)

    async def test(_, charger, central):
        charger.report(1, ConnectorState.CHARGING)
        key = await charger.start("one")
        await charger.drained()
        await charger.stop(key)
        charger.report(1, ConnectorState.FINISHING)
        await asyncio.sleep(6.0)
        return central.states(1), len(central.of("StopTransaction"))

    assert on_site(tmp_path, test, script) == (["Charging", "Finishing"], 0)


class SlowDisk:
    """An outbox of one message on a card that takes seconds to write."""

    def __init__(self):
        self.changed = asyncio.Event()
        self.done = []
        start = TransactionStart(
            TransactionKey("one"), 1, IdTag("CARD1"), WattHours(1), Instant(0.0, 0.0, is_utc_trusted=True), "plug"
        )
        self._messages = [OutboxMessage(1, "id", start.transaction, start, 0, None, 1)]

    async def oldest(self):
        return self._messages[0] if self._messages else None

    async def count_attempt(self, sequence):
        await asyncio.sleep(5.0)
        return 1

    async def acknowledge(self, sequence, transaction_id=None, info=None):
        self.done.append(("acknowledged", transaction_id))
        self._messages.clear()
        return True

    async def park(self, sequence):
        self.done.append(("parked", None))
        self._messages.clear()
        return True


class DeadLine:
    """Calls time out at once."""

    async def ready(self):
        return

    async def call(self, payload, message_id=None):
        raise CallTimedOutError("no answer")


class OneAttempt:
    """TransactionMessageAttempts = 1."""

    connection = Settings.model_validate({"ocpp": {"keys": {"TransactionMessageAttempts": 1}}}).ocpp


def test_an_answer_that_comes_while_the_attempt_is_being_counted_prevents_parking():
    async def main():
        disk, posted = SlowDisk(), []
        sender = OutboxSender(disk, DeadLine(), OneAttempt(), posted.append)
        running = asyncio.create_task(sender.run())
        await asyncio.sleep(1.0)
        late = call_result.StartTransaction(transaction_id=7, id_tag_info={"status": "Accepted"})
        sender.take_late_result("other", late)
        sender.take_late_result("id", late)
        sender.take_late_result("id", late)
        await asyncio.sleep(10.0)
        running.cancel()
        return disk.done, len(posted)

    assert run_virtual(main()) == ([("acknowledged", 7)], 1)
