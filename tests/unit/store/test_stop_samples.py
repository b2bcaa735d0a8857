"""What StopTransaction repeats is on the disk with the transaction, bounded, and kept until it has been told."""

from dataclasses import replace

from evcharge_agent.core.facts import Measurand, ReadingContext
from evcharge_agent.store import ledger, outbox
from tests.unit.store.examples import at, end_sample, inline_store, sample, start, stop

VOLTAGE = (Measurand.VOLTAGE,)


def repeated(taken, *, is_sent=True, context=None):
    changes = {"stop_measurands": VOLTAGE} | ({} if is_sent else {"measurands": ()})
    return replace(taken, **changes) if context is None else replace(taken, context=context, **changes)


async def last_message(store):
    """Answer all that is queued; the stop as it would be sent."""
    message = None
    while (found := await store.oldest()) is not None:
        message = found
        await store.acknowledge(found.sequence, 7)
    return message


async def test_a_stop_comes_with_the_samples_it_repeats_also_after_a_restart(tmp_path):
    store = inline_store(tmp_path)
    await store.commit_start(start())
    taken = [
        repeated(sample(moment=at(10.0)), context=ReadingContext.BEGIN),
        sample(moment=at(20.0)),
        repeated(sample(moment=at(30.0))),
    ]
    for one in taken:
        await store.commit_sample(one)
    await store.commit_stop(stop(), end=repeated(end_sample()), is_held=True)
    store.close()
    store = inline_store(tmp_path)
    await store.finish_stop(start().transaction, stop().meter_stop_wh, at(100.0), repeated(end_sample()))
    told = await last_message(store)
    assert told is not None
    assert told.samples == (taken[0], taken[2], repeated(end_sample()))
    store.close()


async def test_what_is_only_repeated_is_no_message_of_its_own(tmp_path):
    store = inline_store(tmp_path)
    await store.commit_start(start())
    await store.commit_sample(repeated(sample(moment=at(20.0)), is_sent=False))
    await store.commit_stop(stop(), end=repeated(end_sample(), is_sent=False), is_held=True)
    assert store.outbox_size() == 1
    await store.finish_stop(start().transaction, stop().meter_stop_wh, at(101.0), repeated(end_sample(), is_sent=False))
    assert store.outbox_size() == 2
    told = await last_message(store)
    assert [one.context for one in told.samples] == [ReadingContext.PERIODIC, ReadingContext.END]
    store.close()


async def test_samples_that_wait_for_the_stop_alone_are_bounded_and_the_first_and_last_stay(tmp_path):
    store = inline_store(tmp_path)
    await store.commit_start(start())
    await store.commit_sample(repeated(sample(moment=at(10.0)), is_sent=False, context=ReadingContext.BEGIN))
    for number in range(3 * ledger.UNSENT_SAMPLES_KEPT):
        await store.commit_sample(repeated(sample(moment=at(20.0 + number)), is_sent=False))
    await store.commit_stop(stop(moment=at(5000.0)), end=repeated(end_sample(moment=at(5000.0)), is_sent=False))
    told = await last_message(store)
    assert len(told.samples) == outbox.STOP_SAMPLES
    assert [one.context for one in (told.samples[0], told.samples[-1])] == [ReadingContext.BEGIN, ReadingContext.END]
    inner = [one.taken.monotonic_s for one in told.samples[1:-1]]
    assert inner == sorted(inner)
    store.close()


async def test_samples_stay_until_their_stop_has_been_told(tmp_path):
    store = inline_store(tmp_path)
    await store.commit_start(start())
    await store.commit_sample(repeated(sample(moment=at(20.0)), is_sent=False))
    await store.commit_stop(stop())
    for number in range(ledger.SAMPLED_SESSIONS_KEPT + 2):
        await store.commit_start(start(f"later-{number}", at(200.0 + number)))
        await store.commit_stop(stop(f"later-{number}", at(200.5 + number)))
    await store.acknowledge((await store.oldest()).sequence, 7)
    told = await store.oldest()
    assert told.transaction == "t1"
    assert len(told.samples) == 1
    store.close()
