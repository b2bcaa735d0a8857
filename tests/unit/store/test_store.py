"""What the store keeps, in which order, and what it gives back."""

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from evcharge_agent.core.facts import AuthorizationStatus, IdTag, IdTagInfo, StopReason, TransactionKey
from evcharge_agent.store import ledger, memory
from evcharge_agent.store.errors import StoreError
from evcharge_agent.store.store import Store
from tests.unit.store.examples import at, inline_store, sample, start, stop

ACCEPTED = IdTagInfo(AuthorizationStatus.ACCEPTED)
BLOCKED = IdTagInfo(AuthorizationStatus.BLOCKED, IdTag("PARENT"), 1_800_000_000.0)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = inline_store(tmp_path)
    yield opened
    opened.close()


@contextlib.contextmanager
def reopened(tmp_path: Path, boot_id: str = "boot-1") -> Iterator[Store]:
    store = inline_store(tmp_path, boot_id)
    try:
        yield store
    finally:
        store.close()


async def drained(store: Store, transaction_id: int = 7) -> list[object]:
    facts = []
    while (message := await store.oldest()) is not None:
        facts.append(message.fact)
        await store.acknowledge(message.sequence, transaction_id)
    return facts


async def test_facts_come_out_whole_and_in_order(store):
    facts = [start(reservation_id=4), sample(), sample(moment=at(80.0), energy_wh=None), stop()]
    await store.commit_start(facts[0])
    await store.commit_sample(facts[1])
    await store.commit_sample(facts[2])
    await store.commit_stop(facts[3])
    assert await drained(store) == facts


async def test_two_transactions_share_one_queue(store):
    await store.commit_start(start("a"))
    await store.commit_start(start("b", connector=2))
    await store.commit_sample(sample("a"))
    await store.commit_stop(stop("b"))
    await store.commit_stop(stop("a"))
    facts = [start("a"), start("b", connector=2), sample("a"), stop("b"), stop("a")]
    assert await drained(store) == facts


async def test_a_message_keeps_its_id_over_attempts_and_restarts(tmp_path):
    with reopened(tmp_path) as store:
        await store.commit_start(start())
        first = await store.oldest()
        assert await store.count_attempt(first.sequence) == 1
        assert await store.count_attempt(first.sequence) == 2
    with reopened(tmp_path) as store:
        again = await store.oldest()
    assert again == replace(first, attempts=2)


async def test_message_ids_differ(store):
    await store.commit_start(start("a"))
    await store.commit_start(start("b"))
    first = await store.oldest()
    await store.acknowledge(first.sequence, 1)
    assert (await store.oldest()).message_id != first.message_id


async def test_a_message_learns_its_transaction_id_from_the_answer_to_its_start(store):
    await store.commit_start(start())
    await store.commit_stop(stop())
    message = await store.oldest()
    assert message.transaction_id is None
    assert await store.acknowledge(message.sequence, 0, BLOCKED)
    assert (await store.oldest()).transaction_id == 0


async def test_the_answer_to_a_start_must_carry_a_transaction_id(store):
    await store.commit_start(start())
    message = await store.oldest()
    with pytest.raises(StoreError, match="no transaction id"):
        await store.acknowledge(message.sequence)
    assert await store.oldest() == message


async def test_after_a_parked_start_the_transaction_id_is_minus_one(store):
    await store.commit_start(start())
    await store.commit_stop(stop())
    message = await store.oldest()
    assert await store.park(message.sequence)
    assert not await store.park(message.sequence)
    assert (store.outbox_size(), store.parked()) == (1, 1)
    follower = await store.oldest()
    assert (follower.fact, follower.transaction_id) == (stop(), -1)
    assert [parked.fact for parked in await store.parked_messages()] == [start()]
    assert [row.is_start_parked for row in await store.sessions(5)] == [True]


async def test_a_late_answer_to_a_parked_start_still_counts(store):
    await store.commit_start(start())
    await store.commit_stop(stop())
    message = await store.oldest()
    await store.park(message.sequence)
    assert await store.acknowledge(message.sequence, 55, ACCEPTED)
    assert (await store.oldest()).transaction_id == 55
    assert store.parked() == 0


async def test_an_acknowledgement_counts_once(store):
    await store.commit_start(start())
    message = await store.oldest()
    assert await store.acknowledge(message.sequence, 5)
    assert not await store.acknowledge(message.sequence, 6)
    assert await store.count_attempt(message.sequence) == 0
    assert [row.transaction_id for row in await store.sessions(1)] == [5]


async def test_sequences_are_never_used_again(store):
    await store.commit_start(start("a"))
    first = await store.oldest()
    await store.acknowledge(first.sequence, 1)
    await store.commit_start(start("b"))
    assert (await store.oldest()).sequence > first.sequence


async def test_facts_are_written_once(store):
    assert await store.commit_start(start())
    assert not await store.commit_start(start(meter_start_wh=9))
    assert await store.commit_sample(sample())
    assert not await store.commit_sample(sample())
    assert await store.commit_stop(stop())
    assert not await store.commit_stop(stop(reason=StopReason.REMOTE, meter_stop_wh=1))
    assert not await store.commit_sample(sample(moment=at(120.0)))
    assert await drained(store) == [start(), sample(), stop()]


@pytest.mark.parametrize("commit", ["stop", "sample", "loose sample"])
async def test_facts_without_a_transaction_are_refused(store, commit):
    work = {
        "stop": lambda: store.commit_stop(stop("nobody")),
        "sample": lambda: store.commit_sample(sample("nobody")),
        "loose sample": lambda: store.commit_sample(sample(None)),
    }[commit]
    with pytest.raises(StoreError):
        await work()
    assert store.outbox_size() == 0
    assert await store.commit_start(start())


async def test_queueing_is_announced_and_nothing_else_is(store):
    await store.commit_start(start())
    assert store.changed.is_set()
    store.changed.clear()
    await store.set_setting("a", 1)
    assert not store.changed.is_set()


async def test_open_transactions_remember_the_last_energy(tmp_path):
    with reopened(tmp_path) as store:
        await store.commit_start(start("done"))
        await store.commit_stop(stop("done"))
        await store.commit_start(start("runs"))
        await store.commit_sample(sample("runs", at(70.0), 1500))
        await store.commit_sample(sample("runs", at(80.0), None))
    with reopened(tmp_path) as store:
        (found,) = await store.open_transactions()
    assert found.start == start("runs")
    assert (found.last_energy_wh, found.last_energy_at, found.boot_id) == (1500, at(70.0), "boot-1")
    assert (found.transaction_id, found.id_tag_info) == (None, ACCEPTED)


async def test_an_open_transaction_without_samples_has_its_start(store):
    await store.commit_start(start())
    (found,) = await store.open_transactions()
    assert (found.last_energy_wh, found.last_energy_at) == (1000, at(10.0))


async def test_an_open_transaction_carries_the_verdict_of_the_central_system(store):
    await store.commit_start(start())
    await store.acknowledge((await store.oldest()).sequence, 12, BLOCKED)
    (found,) = await store.open_transactions()
    assert (found.transaction_id, found.id_tag_info) == (12, BLOCKED)


async def test_before_the_verdict_the_parent_comes_from_the_cache(store):
    await store.remember_authorisation(IdTag("card0001"), BLOCKED)
    await store.commit_start(start())
    (found,) = await store.open_transactions()
    assert found.id_tag_info == IdTagInfo(AuthorizationStatus.ACCEPTED, IdTag("PARENT"))


async def test_a_start_of_an_earlier_boot_is_put_on_the_later_boots_clock(tmp_path):
    with reopened(tmp_path, "boot-1") as store:
        await store.commit_start(start(moment=at(5000.0)))
    with reopened(tmp_path, "boot-2") as store:
        # 3600 s later by the wall clock, 60 s into the new boot
        later = at(60.0, utc_base_s=1_750_000_000.0 + 5000.0 + 3600.0 - 60.0)
        await store.commit_sample(sample(moment=later))
        (found,) = await store.open_transactions()
    assert found.boot_id == "boot-2"
    assert found.last_energy_at == later
    assert found.start.started.monotonic_s == pytest.approx(60.0 - 3600.0)
    assert found.start.started.utc_s == at(5000.0).utc_s


async def test_sessions_are_listed_newest_first(store):
    for key in ("a", "b", "c"):
        await store.commit_start(start(key))
    await store.commit_sample(sample("b"))
    await store.commit_stop(stop("c"))
    rows = await store.sessions(2)
    assert [(row.start.transaction, row.stop, row.energy_wh) for row in rows] == [
        ("c", stop("c"), 1000),
        ("b", None, 500),
    ]
    assert await store.sessions(0) == []


async def test_stamps_before_the_first_sync_are_corrected_everywhere(store):
    await store.commit_start(start(moment=at(10.0, is_trusted=False)))
    await store.commit_sample(sample(moment=at(70.0, is_trusted=False)))
    await store.commit_stop(stop(moment=at(100.0, is_trusted=False)))
    assert await store.correct_stamps(1000.0) == 4
    first, second, third = await drained(store)
    assert first.started == replace(at(10.0), utc_s=at(1010.0).utc_s)
    assert second.taken == replace(at(70.0), utc_s=at(1070.0).utc_s)
    assert third.stopped == replace(at(100.0), utc_s=at(1100.0).utc_s)
    (row,) = await store.sessions(1)
    assert row.stop.stopped == replace(at(100.0), utc_s=at(1100.0).utc_s)


async def test_trusted_stamps_and_other_boots_are_left_alone(tmp_path):
    with reopened(tmp_path, "boot-0") as store:
        await store.commit_start(start("old", at(5.0, is_trusted=False)))
    with reopened(tmp_path) as store:
        await store.commit_start(start("trusted", at(6.0)))
        assert await store.correct_stamps(1000.0) == 0
        assert await store.correct_stamps(1000.0) == 0
        assert [row.start.started for row in await store.sessions(2)] == [at(6.0), at(5.0, is_trusted=False)]


async def test_a_fact_stamped_before_the_sync_and_committed_after_it_is_corrected_too(store):
    await store.correct_stamps(1000.0)
    await store.correct_stamps(-1.0)
    await store.commit_start(start(moment=at(10.0, is_trusted=False)))
    assert (await store.oldest()).fact.started == replace(at(10.0), utc_s=at(1009.0).utc_s)


async def test_a_known_offset_also_corrects_an_earlier_run_that_guessed_otherwise(tmp_path):
    with reopened(tmp_path) as store:
        await store.commit_start(start("first run", at(10.0, is_trusted=False, utc_base_s=0.0)))
    with reopened(tmp_path) as store:
        await store.commit_start(start("second run", at(20.0, is_trusted=False, utc_base_s=500.0)))
        await store.correct_stamps(100.0, offset_s=600.0)
        assert [row.start.started.utc_s for row in await store.sessions(2)] == [620.0, 610.0]


async def test_authorisations_are_kept_without_regard_to_case(tmp_path):
    with reopened(tmp_path) as store:
        await store.remember_authorisation(IdTag("Card"), ACCEPTED)
        await store.remember_authorisation(IdTag("CARD"), BLOCKED)
        await store.remember_authorisation(IdTag("other"), ACCEPTED)
    with reopened(tmp_path) as store:
        assert await store.authorisations() == {"CARD": BLOCKED, "other": ACCEPTED}


async def test_a_cleared_cache_stays_clear(tmp_path):
    with reopened(tmp_path) as store:
        await store.remember_authorisation(IdTag("Card"), ACCEPTED)
        await store.forget_authorisations()
    with reopened(tmp_path) as store:
        assert await store.authorisations() == {}


async def test_what_is_out_of_service_is_kept_as_a_whole(tmp_path):
    with reopened(tmp_path) as store:
        assert await store.inoperative() == frozenset()
        await store.remember_availability(frozenset({1, 2}))
    with reopened(tmp_path) as store:
        assert await store.inoperative() == {1, 2}
        await store.remember_availability(frozenset({0}))
        assert await store.inoperative() == {0}
        await store.remember_availability(frozenset())
        assert await store.inoperative() == frozenset()


async def test_the_authorisation_cache_is_bounded(store):
    for number in range(6):
        tag = IdTag(f"card{number}")
        store._writer.write(lambda connection, tag=tag: memory.upsert_authorisation(connection, tag, ACCEPTED, kept=3))
    assert list(await store.authorisations()) == ["card3", "card4", "card5"]


async def test_the_overlay_keeps_plain_data(tmp_path):
    values = {"a": 1, "b": [1.5, "x"], "c": None, "d": {"e": True}}
    with reopened(tmp_path) as store:
        for name, value in values.items():
            await store.set_setting(name, "old")
            await store.set_setting(name, value)
        await store.set_setting("gone", 1)
        assert await store.clear_setting("gone")
        assert not await store.clear_setting("gone")
    with reopened(tmp_path) as store:
        assert await store.overlay() == values


async def test_delivered_samples_of_old_sessions_are_forgotten_the_sessions_are_not(store):
    for key in ("a", "b"):
        await store.commit_start(start(key))
        await store.commit_sample(sample(key))
        await store.commit_stop(stop(key))
    await drained(store)
    for key in ("c", "d", "e"):
        await store.commit_start(start(key))
        await store.commit_sample(sample(key))
        await store.commit_stop(stop(key))
    store._writer.write(lambda connection: ledger.forget_old_samples(connection, sessions_kept=2))
    kept = store._writer.read(
        lambda connection: [row[0] for row in connection.execute("SELECT transaction_key FROM sample")]
    )
    assert kept == ["c", "d", "e"]
    assert len(await store.sessions(10)) == 5
    assert len(await drained(store)) == 9


async def test_counts_are_known_after_a_restart(tmp_path):
    with reopened(tmp_path) as store:
        await store.commit_start(start("a"))
        await store.commit_start(start("b"))
        await store.park((await store.oldest()).sequence)
    with reopened(tmp_path) as store:
        assert (store.outbox_size(), store.parked()) == (1, 1)


async def test_the_real_executor_is_one_thread_that_ends_with_the_store(tmp_path):
    store = Store.open(tmp_path, boot_id="b")
    await store.commit_start(start())
    names = [thread.name for thread in threading.enumerate() if thread.name.startswith("store")]
    assert len(names) == 1
    store.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("store")]
    with reopened(tmp_path) as again:
        assert [row.start.transaction for row in await again.sessions(1)] == [TransactionKey("t1")]


async def test_a_closed_store_refuses(tmp_path):
    store = Store.open(tmp_path, boot_id="b")
    store.close()
    with pytest.raises(StoreError, match="closed"):
        await store.commit_start(start())
