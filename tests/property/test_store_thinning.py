"""A queue that grows too long loses meter values, evenly and from its older half; starts and stops never."""

import sqlite3
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from evcharge_agent.core.facts import MeterSample, ReadingContext
from evcharge_agent.store import ledger, outbox
from evcharge_agent.store.database import Database
from evcharge_agent.store.outbox import MESSAGES_KEPT
from tests.unit.store.examples import BOOT, at, inline_store, sample, start, stop

KEPT = 40

sessions = st.lists(st.integers(0, 30), min_size=1, max_size=25)
"""Number of periodic samples of each session."""


def filled(connection: sqlite3.Connection, samples_of: list[int]) -> None:
    """Queue whole sessions: start, first sample, periodic ones, last sample, stop; thin after every message."""
    clock_s = 0.0
    for number, samples in enumerate(samples_of):
        key = f"t{number}"
        ledger.insert_start(connection, start(key, at(clock_s)), BOOT)
        contexts = [ReadingContext.BEGIN, *[ReadingContext.PERIODIC] * samples]
        for context in contexts:
            clock_s += 1.0
            taken = sample(key, at(clock_s), int(1000 + clock_s))
            taken = MeterSample(**{name: getattr(taken, name) for name in taken.__slots__} | {"context": context})
            ledger.insert_sample(connection, taken, BOOT)
            outbox.thin(connection, KEPT)
        ledger.insert_stop(connection, stop(key, at(clock_s)), None, BOOT, is_held=False)
        outbox.thin(connection, KEPT)


@settings(max_examples=60, deadline=None)
@given(samples_of=sessions)
def test_only_periodic_samples_go_and_the_queue_stays_bounded(samples_of):
    with tempfile.TemporaryDirectory() as directory:
        database = Database(Path(directory))
        database.write(lambda connection: filled(connection, samples_of))
        messages = database.read(lambda connection: outbox._select(connection, "NOT is_parked ORDER BY sequence"))
        rows = database.read(lambda connection: connection.execute("SELECT count(*) FROM sample").fetchone()[0])
        database.close()
    samples = [message for message in messages if isinstance(message.fact, MeterSample)]
    firsts = [message for message in samples if message.fact.context is ReadingContext.BEGIN]
    others = len(messages) - len(samples)
    assert others == 2 * len(samples_of), "starts and stops"
    assert len(firsts) == len(samples_of), "first samples"
    must_stay = others + len(firsts)
    assert len(messages) <= max(KEPT, must_stay + KEPT // 2)
    assert rows == len(samples), "a dropped value leaves the disk, too"
    # What is left is in order, and the newest values are untouched.
    energies = [message.fact.reading.energy_wh for message in samples]
    assert energies == sorted(energies)
    queued = sum(samples_of)
    periodic = [message for message in samples if message.fact.context is ReadingContext.PERIODIC]
    if queued + must_stay <= KEPT:
        assert len(periodic) == queued
    else:
        assert len(periodic) >= min(queued, KEPT // 2 - KEPT // 8)


@settings(max_examples=30, deadline=None)
@given(count=st.integers(KEPT + 1, 4 * KEPT))
def test_every_second_of_the_older_half_goes(count):
    with tempfile.TemporaryDirectory() as directory:
        database = Database(Path(directory))

        def fill(connection: sqlite3.Connection) -> int:
            ledger.insert_start(connection, start(), BOOT)
            for number in range(count):
                ledger.insert_sample(connection, sample(moment=at(20.0 + number), energy_wh=number), BOOT)
            return outbox.thin(connection, KEPT)

        dropped = database.write(fill)
        messages = database.read(lambda connection: outbox._select(connection, "NOT is_parked ORDER BY sequence"))
        database.close()
    left = [message.fact.reading.energy_wh for message in messages[1:]]
    half = count // 2
    assert left == [*range(0, half, 2), *range(half, count)]
    assert dropped == count - len(left)


async def test_the_store_does_it_and_says_so(tmp_path, caplog):
    store = inline_store(tmp_path)
    await store.commit_start(start())

    def fill(connection: sqlite3.Connection) -> None:
        for number in range(MESSAGES_KEPT - 1):
            ledger.insert_sample(connection, sample(moment=at(20.0 + number)), BOOT)

    store._writer.write_outbox(fill)
    assert store.outbox_size() == MESSAGES_KEPT
    assert "meter values were dropped" not in caplog.text
    await store.commit_sample(sample(moment=at(1e5)))
    assert store.outbox_size() == MESSAGES_KEPT + 1 - MESSAGES_KEPT // 4
    assert "500 meter values were dropped" in caplog.text
    assert (await store.oldest()).fact == start()
    store.close()
