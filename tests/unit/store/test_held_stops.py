"""A stop that is on the disk and may not go out yet."""

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from evcharge_agent.store.database import FILE_NAME, Database
from evcharge_agent.store.errors import StoreError
from evcharge_agent.store.executor import InlineExecutor
from evcharge_agent.store.store import Store
from evcharge_agent.store.writer import Writer
from tests.unit.store.examples import at, end_sample, inline_store, sample, start, stop


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = inline_store(tmp_path)
    yield opened
    opened.close()


async def drained(store: Store) -> list[object]:
    facts = []
    while (message := await store.oldest()) is not None:
        facts.append(message.fact)
        await store.acknowledge(message.sequence, 7)
    return facts


async def held(store: Store, key: str = "t1") -> None:
    await store.commit_start(start(key))
    assert await store.commit_stop(stop(key), end=end_sample(key), is_held=True)


async def test_a_last_sample_goes_out_before_its_stop(store):
    await store.commit_start(start())
    await store.commit_stop(stop(), end=end_sample())
    assert await drained(store) == [start(), end_sample(), stop()]


async def test_it_closes_the_transaction_but_is_not_given_out(store):
    await held(store)
    assert await store.open_transactions() == ()
    assert [row.stop for row in await store.sessions(1)] == [stop()]
    assert not await store.commit_sample(sample(moment=at(101.0)))
    assert not await store.commit_stop(stop())
    assert store.outbox_size() == 1
    assert await drained(store) == [start()]


async def test_it_goes_out_once_with_its_final_values_behind_what_was_there(store):
    await held(store)
    await store.commit_start(start("other", connector=2))
    store.changed.clear()
    assert await store.finish_stop("t1", 2008, at(104.0), end_sample(moment=at(104.0), energy_wh=2008))
    assert store.changed.is_set()
    assert not await store.finish_stop("t1", 2009, at(105.0))
    final = stop(moment=at(104.0), meter_stop_wh=2008)
    assert await drained(store) == [
        start(),
        start("other", connector=2),
        end_sample(moment=at(104.0), energy_wh=2008),
        final,
    ]
    assert [row.stop for row in await store.sessions(2)] == [None, final]


@pytest.mark.parametrize(("provisional_wh", "final_wh", "given_wh"), [(2000, 1999, 2000), (900, 950, 1000)])
async def test_the_register_never_falls(store, provisional_wh, final_wh, given_wh):
    await store.commit_start(start())
    await store.commit_stop(stop(meter_stop_wh=provisional_wh), end=end_sample(), is_held=True)
    await store.finish_stop("t1", final_wh, at(104.0), end_sample(energy_wh=final_wh))
    _, last, final = await drained(store)
    assert last.reading.energy_wh == final.meter_stop_wh == given_wh


async def test_without_samples_only_the_stop_goes_out(store):
    await store.commit_start(start())
    await store.commit_stop(stop(), is_held=True)
    await store.finish_stop("t1", 2001, at(100.0))
    assert await drained(store) == [start(), stop(meter_stop_wh=2001)]


async def test_what_has_no_stop_cannot_be_finished(store):
    await store.commit_start(start())
    with pytest.raises(StoreError, match="no stop yet"):
        await store.finish_stop("t1", 2000, at(100.0))
    with pytest.raises(StoreError, match="nobody"):
        await store.finish_stop("nobody", 2000, at(100.0))
    assert await drained(store) == [start()]


async def test_after_a_crash_they_are_still_held_and_known_to_the_next_run(tmp_path):
    store = inline_store(tmp_path)
    await held(store, "a")
    await held(store, "b")
    store.close()
    for _ in range(2):
        store = inline_store(tmp_path, "boot-2")
        assert store.outbox_size() == 2
        found = await store.held_stops()
        assert [(one.opened.start, one.stop, one.boot_id) for one in found] == [
            (start("a"), stop("a"), "boot-1"),
            (start("b"), stop("b"), "boot-1"),
        ]
        assert await store.open_transactions() == ()
        store.close()
    store = inline_store(tmp_path, "boot-2")
    assert await store.finish_stop("a", 2008, at(104.0), end_sample("a", at(104.0), 2008))
    assert [one.stop.transaction for one in await store.held_stops()] == ["b"]
    final = stop("a", moment=at(104.0), meter_stop_wh=2008)
    assert await drained(store) == [start("a"), start("b"), end_sample("a", at(104.0), 2008), final]
    store.close()


async def test_a_disk_that_cannot_be_written_at_the_start_is_tried_with_the_next_write(tmp_path, caplog):
    store = inline_store(tmp_path)
    await drained(store)
    store.close()
    other = sqlite3.connect(tmp_path / FILE_NAME, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    writer = Writer(Database(tmp_path, busy_timeout_s=0.01), "boot-1")
    writer.take_up()
    store = Store(writer, "boot-1", InlineExecutor())
    assert "locked" in caplog.text
    assert store.outbox_size() == 0
    other.close()
    await store.commit_start(start("next"))
    assert await drained(store) == [start("next")]
    store.close()


async def test_stamps_are_corrected_while_it_is_held_and_on_its_way_in(store):
    await store.commit_start(start())
    untrusted = at(100.0, is_trusted=False)
    await store.commit_stop(stop(moment=untrusted), end=end_sample(moment=untrusted), is_held=True)
    assert await store.correct_stamps(1000.0) == 2
    (row,) = await store.sessions(1)
    assert row.stop.stopped == replace(at(100.0), utc_s=at(1100.0).utc_s)
    late = at(104.0, is_trusted=False)
    await store.finish_stop("t1", 2008, late, end_sample(moment=late))
    _, last, final = await drained(store)
    assert last.taken == final.stopped == replace(at(104.0), utc_s=at(1104.0).utc_s)
