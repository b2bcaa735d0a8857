"""Charging profiles come back from the disk as they were written; what cannot be one is left out."""

import asyncio

import pytest

from evcharge_agent.core.charging_profiles import Installed, Kind, Recurrency
from evcharge_agent.core.facts import Instant, Shelf, TransactionKey
from evcharge_agent.runtime.shelves import encode, restore
from evcharge_agent.store.executor import InlineExecutor
from evcharge_agent.store.store import Store
from tests.support.charging import MAX, TX, WATT, profile

NOW = Instant(12.25, 1_790_000_000.125, is_utc_trusted=True)
ENTRIES = [
    Installed(1, profile(), NOW, "boot"),
    Installed(0, profile((0, 0.0), (60, 16.1, 3), id=-5, level=42, purpose=MAX, min_rate=6.0), NOW, "boot"),
    Installed(2, profile(id=3, purpose=TX, transaction_id=0), NOW, "boot", TransactionKey("t")),
    Installed(
        1,
        profile(
            (0, 7000.5, 1),
            id=4,
            kind=Kind.RECURRING,
            unit=WATT,
            duration_s=60,
            start_utc_s=1_700_000_000.5,
            recurrency=Recurrency.WEEKLY,
            valid_from_utc_s=1.0,
            valid_to_utc_s=2.5,
        ),
        NOW,
        "boot",
    ),
]


async def written(store: Store, texts: dict[str, str]) -> dict[str, object]:
    await store.keep(Shelf.CHARGING_PROFILES.value, texts, frozenset(), is_whole=False)
    return await restore(store, Shelf.CHARGING_PROFILES)


@pytest.fixture(name="store")
def _store(tmp_path):
    store = Store.open(tmp_path, boot_id="boot", executor=InlineExecutor())
    yield store
    store.close()


def test_what_was_written_comes_back(store):
    texts = {one.name: encode(Shelf.CHARGING_PROFILES, one) for one in ENTRIES}
    assert asyncio.run(written(store, texts)) == {one.name: one for one in ENTRIES}


@pytest.mark.parametrize("text", ["{}", "[]", "null", '{"connector": 1}'])
def test_what_is_no_profile_is_left_out(store, text):
    good = ENTRIES[0]
    found = asyncio.run(written(store, {"9": text, good.name: encode(Shelf.CHARGING_PROFILES, good)}))
    assert found == {good.name: good}
