"""The second copy: taken up when the database lost something, harmless whatever is in it."""

import errno
import os
import sqlite3
from pathlib import Path

import pytest

from evcharge_agent.core.facts import AuthorizationStatus, IdTag, IdTagInfo, TransactionStart, TransactionStop
from evcharge_agent.store import database, second_copy
from evcharge_agent.store.disk import Disk
from evcharge_agent.store.executor import InlineExecutor
from evcharge_agent.store.second_copy import decode_line
from evcharge_agent.store.store import Store
from tests.unit.store.examples import BOOT, at, inline_store, sample, start, stop

ACCEPTED = IdTagInfo(AuthorizationStatus.ACCEPTED, IdTag("PARENT"))


def log_of(directory: Path) -> Path:
    return directory / second_copy.FILE_NAME


def lose_database(directory: Path) -> None:
    for path in directory.glob(f"{database.FILE_NAME}*"):
        path.unlink()


def spoil_database(directory: Path) -> None:
    (directory / f"{database.FILE_NAME}-wal").unlink(missing_ok=True)
    (directory / database.FILE_NAME).write_bytes(b"\xa5" * 8192)


async def owed(store: Store) -> list[tuple[str, object]]:
    """Take all messages out, oldest first: (message id, fact)."""
    found = []
    while (message := await store.oldest()) is not None:
        found.append((message.message_id, message.fact))
        await store.acknowledge(message.sequence, 7, ACCEPTED)
    return found


@pytest.mark.parametrize("harm", [lose_database, spoil_database])
async def test_an_open_transaction_outlives_its_database(tmp_path, caplog, harm):
    store = inline_store(tmp_path)
    await store.commit_start(start())
    message = await store.oldest()
    store.close()
    harm(tmp_path)
    store = inline_store(tmp_path)
    (kept,) = await store.open_transactions()
    assert (kept.start, kept.boot_id, kept.transaction_id) == (start(), BOOT, None)
    assert "t1" in caplog.text
    again = await store.oldest()
    assert (again.message_id, again.fact) == (message.message_id, message.fact)
    assert await store.commit_stop(stop())
    assert [fact for _, fact in await owed(store)] == [start(), stop()]
    store.close()


async def test_the_number_the_verdict_and_the_energy_come_with_it(tmp_path):
    store = inline_store(tmp_path)
    await store.commit_start(start())
    await owed(store)
    await store.commit_sample(sample(moment=at(70.0), energy_wh=1500))
    await store.commit_sample(sample(moment=at(100.0), energy_wh=1600))
    await store.commit_sample(sample(moment=at(130.0), energy_wh=1700))
    await store.commit_sample(sample(moment=at(189.0), energy_wh=1800))
    store.close()
    spoil_database(tmp_path)
    store = inline_store(tmp_path)
    (kept,) = await store.open_transactions()
    assert (kept.transaction_id, kept.id_tag_info) == (7, ACCEPTED)
    assert kept.last_energy_wh == 1700, "copied once a minute"
    assert await store.oldest() is None, "the start was taken already"
    store.close()


async def test_stops_that_are_owed_are_kept_with_their_order_and_ids(tmp_path):
    store = inline_store(tmp_path)
    for number, key in enumerate(("a", "b")):
        await store.commit_start(start(key, at(10.0 + number)))
    await store.commit_sample(sample("a", at(30.0)))
    await store.commit_stop(stop("b", at(50.0)))
    await store.commit_stop(stop("a", at(60.0)))
    message = await store.oldest()
    await store.acknowledge(message.sequence, 1, ACCEPTED)
    store.close()
    lose_database(tmp_path)
    store = inline_store(tmp_path)
    facts = [fact for _, fact in await owed(store)]
    assert facts == [start("b", at(11.0)), stop("b", at(50.0)), stop("a", at(60.0))]
    assert (await store.sessions(5))[1].transaction_id == 1
    store.close()


@pytest.mark.parametrize("is_start_delivered", [False, True])
async def test_a_held_stop_is_not_lost_and_stays_held(tmp_path, is_start_delivered):
    store = inline_store(tmp_path)
    await store.commit_start(start())
    if is_start_delivered:
        await store.acknowledge((await store.oldest()).sequence, 7, ACCEPTED)
    await store.commit_stop(stop(moment=at(100.0, is_trusted=False)), is_held=True)
    await store.correct_stamps(0.0)  # writes the copy anew
    store.close()
    lose_database(tmp_path)
    store = inline_store(tmp_path)
    assert [one.stop for one in await store.held_stops()] == [stop()]
    assert await store.finish_stop("t1", stop().meter_stop_wh, stop().stopped)
    assert [fact for _, fact in await owed(store)] == [start(), stop()][is_start_delivered:]
    store.close()


async def test_a_start_that_was_given_up_stays_given_up(tmp_path):
    store = inline_store(tmp_path)
    await store.commit_start(start())
    await store.park((await store.oldest()).sequence)
    await store.commit_stop(stop())
    store.close()
    lose_database(tmp_path)
    store = inline_store(tmp_path)
    message = await store.oldest()
    assert (message.fact, message.transaction_id) == (stop(), -1)
    assert [parked.fact for parked in await store.parked_messages()] == [start()]
    store.close()


async def test_what_is_done_leaves_no_trace(tmp_path):
    store = inline_store(tmp_path)
    await store.commit_start(start())
    await store.commit_stop(stop())
    await owed(store)
    store.close()
    lose_database(tmp_path)
    store = inline_store(tmp_path)
    assert await store.sessions(5) == []
    assert log_of(tmp_path).read_bytes() == b""
    store.close()


async def test_a_database_that_fell_back_is_brought_up(tmp_path):
    """A disk that lies about fsync, or rot in the log: SQLite drops the end of its log without a word."""
    store = inline_store(tmp_path)
    await store.commit_start(start())
    await owed(store)
    older = {path.name: path.read_bytes() for path in tmp_path.glob(f"{database.FILE_NAME}*")}
    await store.commit_stop(stop())
    message = await store.oldest()
    store.close()
    lose_database(tmp_path)
    for name, content in older.items():
        (tmp_path / name).write_bytes(content)
    store = inline_store(tmp_path)
    assert await store.open_transactions() == ()
    assert await owed(store) == [(message.message_id, stop())]
    store.close()


async def test_damage_found_while_running_costs_no_session(tmp_path):
    store = inline_store(tmp_path)
    await store.commit_start(start())
    for number in range(20):  # more than the page cache holds
        await store.set_setting(f"name{number}", "x" * 100_000)
    store.close()
    store = inline_store(tmp_path)
    path = tmp_path / database.FILE_NAME
    content = path.read_bytes()
    path.write_bytes(content[:4096] + b"\xa5" * (len(content) - 4096))
    with pytest.raises(Exception, match="malformed"):
        await store.overlay()
    assert await store.commit_stop(stop())
    assert [fact for _, fact in await owed(store)] == [start(), stop()]
    store.close()


async def test_corrected_stamps_are_corrected_in_the_copy_too(tmp_path):
    store = inline_store(tmp_path)
    await store.commit_start(start(moment=at(10.0, is_trusted=False)))
    await store.correct_stamps(3600.0)
    store.close()
    lose_database(tmp_path)
    store = inline_store(tmp_path)
    (kept,) = await store.open_transactions()
    assert kept.start.started == at(10.0, utc_base_s=1_750_003_600.0)
    store.close()


@pytest.mark.parametrize("cut", range(0, 600, 37))
async def test_a_torn_tail_costs_only_its_line(tmp_path, cut):
    store = inline_store(tmp_path)
    await store.commit_start(start("a"))
    whole = log_of(tmp_path).read_bytes()
    await store.commit_start(start("b"))
    torn = log_of(tmp_path).read_bytes()[: len(whole) + cut]
    store.close()
    lose_database(tmp_path)
    log_of(tmp_path).write_bytes(torn)
    store = inline_store(tmp_path)
    assert [kept.start.transaction for kept in await store.open_transactions()] == ["a"]
    assert await store.commit_start(start("c"))
    store.close()
    lose_database(tmp_path)
    store = inline_store(tmp_path)
    assert [kept.start.transaction for kept in await store.open_transactions()] == ["a", "c"]
    store.close()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n\n\n",
        b"garbage without an end",
        bytes(range(256)) * 20,
        b"00000000 {}\n",
        b'cafebabe {"ledger":{},"messages":[]}\n',
        bytes(n * n % 251 for n in range(5000)),
    ],
)
async def test_a_bad_copy_stops_no_start(tmp_path, content):
    log_of(tmp_path).write_bytes(content)
    store = inline_store(tmp_path)
    assert await store.open_transactions() == ()
    assert await store.commit_start(start())
    store.close()


@pytest.mark.parametrize(
    "change",
    [
        {"connector": "one"},
        {"connector": None},
        {"stop_reason": "Boredom"},
        {"started_utc_s": float("nan")},
        {"id_tag": ["a", "b"]},
        {"meter_start_wh": 2**80},
        {"plug_id": {}},
        {"tag_status": "Perhaps"},
    ],
)
async def test_a_good_line_that_makes_no_sense_is_left_out(tmp_path, caplog, change):
    store = inline_store(tmp_path)
    await store.commit_start(start("a"))
    await store.commit_start(start("b"))
    store.close()
    first, second = log_of(tmp_path).read_bytes().splitlines()
    copy = decode_line(first)
    spoilt = second_copy.encode_line(second_copy.Copy({**copy.columns, **change}, copy.messages))
    lose_database(tmp_path)
    log_of(tmp_path).write_bytes(spoilt + second + b"\n")
    store = inline_store(tmp_path)
    assert [kept.start.transaction for kept in await store.open_transactions()] == ["b"]
    assert "makes no sense" in caplog.text
    store.close()


@pytest.mark.parametrize("messages", [[["x"]], [[1, "id", "sample", 0, 0]], [1], None, [[1e999, "id", "start", 0, 0]]])
async def test_senseless_messages_make_a_bad_line(tmp_path, messages):
    store = inline_store(tmp_path)
    await store.commit_start(start())
    store.close()
    body = second_copy.json.dumps({"ledger": {"transaction_key": "x", "stop_reason": None}, "messages": messages})
    line = b"%08x %s\n" % (second_copy.zlib.crc32(body.encode()), body.encode())
    assert decode_line(line[:-1]) is None
    log_of(tmp_path).write_bytes(line)
    store = inline_store(tmp_path)
    assert len(await store.open_transactions()) == 1
    store.close()


async def test_a_copy_of_a_newer_version_is_read_as_far_as_known(tmp_path):
    store = inline_store(tmp_path)
    await store.commit_start(start())
    store.close()
    copy = decode_line(log_of(tmp_path).read_bytes().splitlines()[0])
    newer = second_copy.Copy({**copy.columns, "flavour": "strawberry"}, copy.messages)
    log_of(tmp_path).write_bytes(second_copy.encode_line(newer))
    lose_database(tmp_path)
    store = inline_store(tmp_path)
    assert len(await store.open_transactions()) == 1
    store.close()


async def test_it_stays_small(tmp_path):
    store = inline_store(tmp_path)
    largest = 0
    for number in range(150):
        await store.commit_start(start(f"t{number}", at(float(number))))
        await store.commit_stop(stop(f"t{number}", at(float(number) + 0.5)))
        await owed(store)
        largest = max(largest, log_of(tmp_path).stat().st_size)
    assert second_copy.MAX_BYTES / 2 < largest < second_copy.MAX_BYTES + 2000
    store.close()
    inline_store(tmp_path).close()
    assert log_of(tmp_path).stat().st_size == 0


class BrokenFiles(Disk):
    """Takes the database, but not the second copy, while `is_broken`."""

    is_broken = True

    def open(self, path: Path, flags: int) -> int:
        if self.is_broken and path.name.startswith(second_copy.FILE_NAME):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        return super().open(path, flags)


class FailingSync(Disk):
    """The n-th fsync of a file fails."""

    def __init__(self, number: int) -> None:
        self.left = number

    def sync(self, descriptor: int) -> None:
        self.left -= 1
        if self.left == 0:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        super().sync(descriptor)


async def test_a_copy_that_cannot_be_written_is_said_and_caught_up_later(tmp_path, caplog):
    disk = BrokenFiles()
    store = Store.open(tmp_path, boot_id=BOOT, executor=InlineExecutor(), disk=disk)
    assert await store.commit_start(start("a"))
    assert "cannot be written" in caplog.text
    assert store.failure is None
    disk.is_broken = False
    assert await store.commit_start(start("b"))
    store.close()
    lose_database(tmp_path)
    store = inline_store(tmp_path)
    assert [kept.start.transaction for kept in await store.open_transactions()] == ["a", "b"]
    store.close()


@pytest.mark.parametrize("number", range(1, 5))
async def test_after_a_failed_fsync_the_file_is_written_anew(tmp_path, number):
    disk = FailingSync(number)
    store = Store.open(tmp_path, boot_id=BOOT, executor=InlineExecutor(), disk=disk)
    for key in ("a", "b", "c", "d", "e"):
        assert await store.commit_start(start(key))
    assert disk.left <= 0
    store.close()
    lose_database(tmp_path)
    store = inline_store(tmp_path)
    assert [kept.start.transaction for kept in await store.open_transactions()] == ["a", "b", "c", "d", "e"]
    store.close()


async def test_only_the_owner_reads_it(tmp_path):
    store = inline_store(tmp_path)
    await store.commit_start(start())
    assert log_of(tmp_path).stat().st_mode & 0o777 == 0o600
    store.close()


async def test_an_idle_charger_writes_nothing_to_it(tmp_path):
    store = inline_store(tmp_path)
    await store.set_setting("name", 1)
    store.close()
    assert not log_of(tmp_path).exists()


class Unreadable(Disk):
    """Connections whose check of the file fails as a bad sector makes it fail."""

    def __init__(self, times: int) -> None:
        self.times = times

    def connect(self, path: Path, timeout_s: float) -> sqlite3.Connection:
        return sqlite3.connect(path, timeout=timeout_s, isolation_level=None, factory=self.connection)

    def connection(self, *args: object, **kwargs: object) -> sqlite3.Connection:
        disk = self

        class BadSector(sqlite3.Connection):
            def execute(self, sql, *parameters):
                if disk.times > 0 and "quick_check" in sql:
                    disk.times -= 1
                    error = sqlite3.OperationalError("disk I/O error")
                    error.sqlite_errorcode = sqlite3.SQLITE_IOERR_READ
                    raise error
                return super().execute(sql, *parameters)

        return BadSector(*args, **kwargs)


@pytest.mark.parametrize(("times", "is_moved"), [(2, False), (3, True)])
async def test_a_file_that_cannot_be_read_again_and_again_is_moved_aside(tmp_path, times, is_moved):
    store = inline_store(tmp_path)
    await store.commit_start(start())
    await store.set_setting("name", 1)
    store.close()
    store = Store.open(tmp_path, boot_id=BOOT, executor=InlineExecutor(), disk=Unreadable(times), is_patient=True)
    assert store.is_suspended
    for _ in range(2):
        await store._try_again()
    assert not store.is_suspended
    assert [kept.start for kept in await store.open_transactions()] == [start()]
    assert (await store.overlay() == {}) is is_moved
    assert bool(list(tmp_path.glob("*.damaged-1"))) is is_moved
    store.close()


async def test_facts_are_read_back_as_they_were_written(tmp_path):
    """Every column survives the way through the copy."""
    begun = start("x", at(11.5, is_trusted=False), reservation_id=5, id_tag=IdTag("Äpfel"), meter_start_wh=0)
    ended = stop("x", at(99.25), id_tag=None)
    store = inline_store(tmp_path)
    await store.commit_start(begun)
    await store.commit_stop(ended)
    store.close()
    lose_database(tmp_path)
    store = inline_store(tmp_path)
    facts = [fact for _, fact in await owed(store)]
    assert facts == [begun, ended]
    assert isinstance(facts[0], TransactionStart)
    assert isinstance(facts[1], TransactionStop)
    store.close()
