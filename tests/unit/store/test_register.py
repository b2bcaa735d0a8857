"""The register of a running transaction, kept without a message."""

import pytest

from evcharge_agent.core.facts import Instant, TransactionKey
from evcharge_agent.store.database import FILE_NAME
from evcharge_agent.store.errors import StoreError
from evcharge_hal.contract.units import WattHours
from tests.unit.store.examples import at, inline_store, sample, start, stop

KEY = TransactionKey("t1")


async def last_of(store):
    (found,) = await store.open_transactions()
    return found.last_energy_wh, found.last_energy_at


async def test_it_is_what_an_open_transaction_comes_back_with_and_nothing_is_queued(tmp_path):
    store = inline_store(tmp_path)
    await store.commit_start(start())
    store.changed.clear()
    assert await store.keep_register(KEY, WattHours(1234), at(70.0))
    assert store.outbox_size() == 1
    assert not store.changed.is_set()
    store.close()
    again = inline_store(tmp_path)
    assert await last_of(again) == (1234, at(70.0))
    assert again.outbox_size() == 1
    again.close()


async def test_a_later_sample_replaces_it_and_it_a_sample(tmp_path):
    store = inline_store(tmp_path)
    await store.commit_start(start())
    await store.keep_register(KEY, WattHours(1234), at(60.0))
    await store.commit_sample(sample())
    assert await last_of(store) == (1500, at(70.0))
    await store.keep_register(KEY, WattHours(1600), at(80.0))
    assert await last_of(store) == (1600, at(80.0))
    store.close()


async def test_after_the_stop_it_changes_nothing(tmp_path):
    store = inline_store(tmp_path)
    await store.commit_start(start())
    await store.commit_stop(stop())
    before = await store.sessions(1)
    assert not await store.keep_register(KEY, WattHours(9999), at(300.0))
    assert await store.sessions(1) == before
    store.close()


async def test_of_a_transaction_nobody_knows_it_is_an_error(tmp_path):
    store = inline_store(tmp_path)
    with pytest.raises(StoreError, match="not in the ledger"):
        await store.keep_register(KEY, WattHours(1), at(1.0))
    store.close()


async def test_its_stamp_is_corrected_when_the_time_becomes_known(tmp_path):
    store = inline_store(tmp_path)
    await store.commit_start(start())
    await store.keep_register(KEY, WattHours(1100), at(60.0, is_trusted=False))
    await store.correct_stamps(500.0)
    assert (await last_of(store))[1] == Instant(60.0, at(560.0).utc_s, is_utc_trusted=True)
    await store.keep_register(KEY, WattHours(1200), at(120.0, is_trusted=False))
    assert (await last_of(store))[1] == Instant(120.0, at(620.0).utc_s, is_utc_trusted=True)
    store.close()


async def test_the_second_copy_knows_it(tmp_path):
    store = inline_store(tmp_path)
    await store.commit_start(start())
    await store.keep_register(KEY, WattHours(1234), at(70.0))
    store.close()
    for path in tmp_path.glob(f"{FILE_NAME}*"):
        path.unlink()
    again = inline_store(tmp_path)
    assert await last_of(again) == (1234, at(70.0))
    again.close()
