"""What no title of the list asks for and real central systems do all the same; the laws judge what follows."""

from tests.octt.bench import Bench, in_memory
from tests.support.rig import CARD
from tests.support.strict.answering import cut, error, late, silence
from tests.support.strict.central import StrictCentral, wanted
from tests.support.strict.trace import to_stamp

MESSAGE_TIMEOUT_S = 30.0


async def _charge_and_stop(bench: Bench, for_s: float) -> None:
    """A session by card that asks for no particular message in between."""
    await bench.plug()
    await bench.status("Preparing")
    await bench.swipe()
    await bench.sleep(for_s)
    await bench.swipe()
    await bench.status("Finishing", within_s=60)
    await bench.sleep(10)


@in_memory()
async def test_transaction_messages_refused_with_errors_are_sent_again_later_and_later(bench: Bench) -> None:
    answers = bench.central.answers
    answers.next("StartTransaction", error(), error(), late(1.0))
    answers.next("MeterValues", error(), error("NotSupported"))
    answers.next("StopTransaction", error("GenericError"), error())
    await bench.booted()
    await _charge_and_stop(bench, for_s=25)
    assert len(bench.central.sent("StartTransaction")) == 3
    assert len(bench.central.sent("StopTransaction")) == 3


@in_memory()
async def test_a_line_cut_between_a_message_and_its_answer_doubles_nothing(bench: Bench) -> None:
    answers = bench.central.answers
    answers.next("StartTransaction", cut(), cut())
    answers.next("StopTransaction", cut())
    await bench.booted()
    await _charge_and_stop(bench, for_s=12)
    for action in ("StartTransaction", "StopTransaction"):
        assert len({call.id for call in bench.central.sent(action)}) == 1
    assert len(bench.central.trace.lives) == 4


@in_memory()
async def test_an_answer_that_comes_after_the_time_out_counts(bench: Bench) -> None:
    bench.central.answers.next("StartTransaction", late(MESSAGE_TIMEOUT_S + 1.0))
    await bench.booted()
    await _charge_and_stop(bench, for_s=MESSAGE_TIMEOUT_S + 8.0)
    assert len(bench.central.sent("StartTransaction")) == 1
    assert len(bench.central.sent("StopTransaction")) == 1


@in_memory(keys={"TransactionMessageAttempts": 2})
async def test_a_transaction_whose_start_was_given_up_is_told_with_minus_one(bench: Bench) -> None:
    bench.central.answers.next("StartTransaction", error(), error())
    await bench.booted()
    await _charge_and_stop(bench, for_s=10)
    (stop,) = bench.central.sent("StopTransaction")
    assert stop.payload["transactionId"] == -1


def _answer_no_boot(central: StrictCentral) -> None:
    central.answers.next("BootNotification", error(), silence())


@in_memory(prepare=_answer_no_boot)
async def test_a_boot_that_is_refused_and_then_not_answered_is_repeated(bench: Bench) -> None:
    await bench.central.expect_all(*[wanted("BootNotification")] * 3, within_s=120)
    await bench.statuses("Available", "Available", "Available")


def _reject_for_long(central: StrictCentral) -> None:
    central.answers.boot("Rejected", 25)


@in_memory(keys={"AllowOfflineTxForUnknownId": True}, prepare=_reject_for_long)
async def test_a_charge_before_the_boot_is_accepted_is_told_after_it(bench: Bench) -> None:
    central = bench.central
    await central.expect("BootNotification")
    await bench.plug()
    await bench.sleep(1)
    await bench.swipe()
    await bench.sleep(8)
    await bench.swipe()
    await bench.sleep(8)
    await bench.unplug()
    await central.expect("BootNotification")
    await central.expect("StartTransaction", idTag=CARD)
    await central.expect("StopTransaction")
    await bench.status("Available")


@in_memory()
async def test_an_authorize_nobody_answers_starts_nothing(bench: Bench) -> None:
    bench.central.answers.next("Authorize", silence())
    await bench.booted()
    await bench.plug()
    await bench.status("Preparing")
    await bench.swipe()
    await bench.central.quiet("StartTransaction", for_s=MESSAGE_TIMEOUT_S + 5)


@in_memory()
async def test_two_transactions_through_an_outage_an_order_and_a_power_cut(bench: Bench) -> None:
    central = bench.central
    await bench.booted()
    await central.configure(ClockAlignedDataInterval=5)
    first = await bench.charging("CARD-A", 1)
    second = await bench.charging("CARD-B", 2)
    await central.go_offline()
    await bench.sleep(8)
    central.go_online()
    await bench.sleep(8)
    assert await central.order("ChangeAvailability", connectorId=0, type="Inoperative") == "Scheduled"
    await bench.swipe("CARD-A", 1)
    await bench.stopped(first)
    await bench.status("Unavailable", 1)
    await bench.cut_power()
    await central.expect("BootNotification")
    await bench.status("Charging", 2, within_s=40)
    await bench.swipe("CARD-B", 2)
    await bench.stopped(second)
    await bench.status("Unavailable", 2)
    await bench.status("Unavailable", 0)


@in_memory(keys={"MinimumStatusDuration": 2})
async def test_a_tag_that_charges_elsewhere_is_refused_by_the_answer_to_the_start(bench: Bench) -> None:
    bench.central.answers.tag_at_start(CARD, "ConcurrentTx")
    await bench.booted()
    await bench.plug()
    await bench.status("Preparing")
    await bench.swipe()
    start = await bench.central.expect("StartTransaction")
    await bench.stopped(start, "DeAuthorized")
    await bench.unplug()
    await bench.status("Available")


@in_memory()
async def test_remote_starts_without_a_connector_take_one_each(bench: Bench) -> None:
    await bench.booted()
    for id_tag, status in (("APP-1", "Accepted"), ("APP-2", "Accepted"), ("APP-3", "Rejected")):
        assert await bench.central.order("RemoteStartTransaction", idTag=id_tag) == status
    await bench.plug(2)
    await bench.central.expect("StartTransaction", connectorId=2)
    await bench.status("Available", 1, within_s=25)


@in_memory()
async def test_a_soft_reset_while_the_line_goes_loses_no_stop(bench: Bench) -> None:
    await bench.booted()
    start = await bench.charging()
    assert await bench.central.order("Reset", type="Soft") == "Accepted"
    await bench.central.go_offline()
    await bench.sleep(22)
    bench.central.go_online()
    await bench.central.expect("BootNotification")
    await bench.stopped(start, "SoftReset")


@in_memory()
async def test_a_remote_start_on_a_reserved_connector_asks_for_the_parent_although_it_need_not_authorise(
    bench: Bench,
) -> None:
    central = bench.central
    central.answers.tag("PARTNER", parentIdTag="FAMILY")
    central.answers.tag("STRANGER", parentIdTag="OTHERS")
    await bench.booted()
    order = {"connectorId": 1, "idTag": CARD, "parentIdTag": "FAMILY", "reservationId": 7}
    order["expiryDate"] = to_stamp(central.utc_s() + 600)
    assert await central.order("ReserveNow", **order) == "Accepted"
    await bench.status("Reserved")
    for id_tag in ("STRANGER", "PARTNER"):
        assert await central.order("RemoteStartTransaction", idTag=id_tag, connectorId=1) == "Accepted"
        await central.expect("Authorize", idTag=id_tag)
    await bench.status("Preparing")
    await bench.plug()
    await central.expect("StartTransaction", idTag="PARTNER", reservationId=7)
