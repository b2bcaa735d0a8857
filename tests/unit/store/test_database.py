"""Opening, damage, full and read-only disks, schema versions."""

import shutil
import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from evcharge_agent.store import ledger, rows
from evcharge_agent.store.database import FILE_NAME, Database, shipped_migrations
from evcharge_agent.store.disk import Disk
from evcharge_agent.store.errors import StoreError
from evcharge_agent.store.executor import InlineExecutor
from evcharge_agent.store.store import Store
from evcharge_agent.store.writer import Writer
from tests.unit.store.examples import inline_store, start, stop

LATEST = shipped_migrations()[-1][0]


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = Database(tmp_path / "store")
    yield opened
    opened.close()


def pragma(database: Database, name: str) -> object:
    return database.read(lambda connection: connection.execute(f"PRAGMA {name}").fetchone()[0])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("journal_mode", "wal"),
        ("synchronous", 2),
        ("foreign_keys", 1),
        ("journal_size_limit", 1 << 20),
        ("user_version", LATEST),
    ],
)
def test_it_is_set_up_to_survive_a_power_cut(database, name, value):
    assert pragma(database, name) == value


def test_only_the_owner_reads_it(database, tmp_path):
    database.write(lambda connection: connection.execute("INSERT INTO overlay VALUES ('a', '1')"))
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "store").iterdir()}
    assert modes == dict.fromkeys([FILE_NAME, f"{FILE_NAME}-wal", f"{FILE_NAME}-shm"], 0o600)
    assert stat.S_IMODE((tmp_path / "store").stat().st_mode) == 0o700


def test_an_error_of_the_work_undoes_it_and_keeps_the_connection(database):
    def work(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT INTO overlay VALUES ('a', '1')")
        raise StoreError("no")

    connection = database.connection()
    with pytest.raises(StoreError, match="no"):
        database.write(work)
    assert database.connection() is connection
    assert database.read(lambda open_: open_.execute("SELECT count(*) FROM overlay").fetchone()[0]) == 0


def test_an_error_of_sqlite_gives_the_connection_up(database):
    connection = database.connection()
    with pytest.raises(StoreError, match="nowhere"):
        database.write(lambda open_: open_.execute("INSERT INTO nowhere VALUES (1)"))
    assert database.connection() is not connection
    with pytest.raises(sqlite3.ProgrammingError):
        connection.execute("SELECT 1")


async def test_a_full_disk_is_said_and_forgotten_once_there_is_room(tmp_path):
    store = inline_store(tmp_path)
    await store.commit_start(start())

    # SQLite says SQLITE_FULL at this limit just as it does for ENOSPC; a new connection has it no more.
    pages = store._writer.read(lambda connection: connection.execute("PRAGMA page_count").fetchone()[0])
    store._writer.read(lambda connection: connection.execute(f"PRAGMA max_page_count = {pages}"))
    with pytest.raises(StoreError, match="full"):
        await store.set_setting("name", "x" * 100_000)
    assert await store.overlay() == {}
    assert await store.commit_stop(stop())
    assert store.outbox_size() == 2
    store.close()


async def test_a_directory_that_is_a_file_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="file"):
        inline_store(tmp_path / "file")


async def test_a_locked_database_is_given_up_and_works_again(tmp_path):
    store = Store(Writer(Database(tmp_path, busy_timeout_s=0.01), "boot-1"), "boot-1", InlineExecutor())
    await store.overlay()
    other = sqlite3.connect(tmp_path / FILE_NAME, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match="locked"):
        await store.commit_start(start())
    other.close()
    assert await store.commit_start(start())
    store.close()


async def test_a_damaged_file_is_moved_aside_and_said(tmp_path, caplog):
    store = inline_store(tmp_path)
    for number in range(50):
        await store.set_setting(f"name{number}", "x" * 400)
    store.close()
    path = tmp_path / FILE_NAME
    content = bytearray(path.read_bytes())
    content[4096 * 2 : 4096 * 6] = b"\xa5" * (4096 * 4)
    path.write_bytes(content)

    store = inline_store(tmp_path)
    assert await store.overlay() == {}
    assert await store.commit_start(start())
    store.close()
    assert (tmp_path / f"{FILE_NAME}.damaged-1").read_bytes() == content
    assert "damaged" in caplog.text
    assert f"{FILE_NAME}.damaged-1" in caplog.text


@pytest.mark.parametrize("content", [b"not a database, but long enough to look at" * 40, bytes(range(256)) * 32])
async def test_a_file_that_is_no_database_is_moved_aside(tmp_path, content):
    (tmp_path / FILE_NAME).write_bytes(content)
    store = inline_store(tmp_path)
    assert await store.commit_start(start())
    store.close()
    assert (tmp_path / f"{FILE_NAME}.damaged-1").read_bytes() == content


async def test_a_stale_log_never_meets_a_new_file(tmp_path):
    store = inline_store(tmp_path / "live")
    for number in range(50):
        await store.commit_start(start(f"t{number}"))
    store._writer.read(lambda connection: connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall())
    await store.commit_start(start("in the log only"))
    wal = (tmp_path / "live" / f"{FILE_NAME}-wal").read_bytes()
    content = (tmp_path / "live" / FILE_NAME).read_bytes()
    store.close()

    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / f"{FILE_NAME}-wal").write_bytes(wal)
    (tmp_path / "broken" / FILE_NAME).write_bytes(content[:4096] + b"\xa5" * (len(content) - 4096))
    store = inline_store(tmp_path / "broken")
    assert await store.sessions(5) == []
    assert await store.commit_start(start("new"))
    assert store._writer.read(lambda connection: connection.execute("PRAGMA integrity_check").fetchone()[0]) == "ok"
    store.close()


async def test_damage_found_while_running_costs_one_operation(tmp_path):
    store = inline_store(tmp_path)
    for number in range(20):  # more than the page cache holds
        await store.set_setting(f"name{number}", "x" * 100_000)
    store.close()
    store = inline_store(tmp_path)
    path = tmp_path / FILE_NAME
    content = path.read_bytes()
    path.write_bytes(content[:4096] + b"\xa5" * (len(content) - 4096))
    with pytest.raises(StoreError, match="malformed"):
        await store.overlay()
    assert await store.commit_start(start("new"))
    assert [row.start.transaction for row in await store.sessions(5)] == ["new"]
    store.close()


def test_only_so_many_damaged_files_are_kept(tmp_path):
    for _ in range(8):
        (tmp_path / FILE_NAME).write_bytes(b"x" * 4096)
        store = inline_store(tmp_path)
        store.close()
        (tmp_path / FILE_NAME).unlink()
    assert len(list(tmp_path.glob("*.damaged-*"))) == 5


def test_a_file_of_a_newer_version_is_left_alone(tmp_path):
    connection = sqlite3.connect(tmp_path / FILE_NAME)
    connection.execute("PRAGMA user_version = 999")
    connection.close()
    with pytest.raises(StoreError, match="newer version"):
        inline_store(tmp_path)
    assert not list(tmp_path.glob("*.damaged-*"))


def test_a_migration_keeps_a_copy_of_what_was_there(tmp_path):
    store = inline_store(tmp_path)
    store._writer.write(lambda connection: connection.execute("INSERT INTO overlay VALUES ('kept', '1')"))
    store.close()
    steps = [(LATEST, "not run again"), (LATEST + 1, "CREATE TABLE addition (name TEXT) STRICT;")]
    database = Database(tmp_path, migrations=steps)
    assert pragma(database, "user_version") == LATEST + 1
    assert database.read(lambda connection: connection.execute("SELECT name FROM overlay").fetchone()[0]) == "kept"
    database.close()
    copy = sqlite3.connect(tmp_path / f"{FILE_NAME}.schema-{LATEST}")
    assert copy.execute("PRAGMA user_version").fetchone() == (LATEST,)
    assert copy.execute("SELECT name FROM overlay").fetchall() == [("kept",)]
    copy.close()


async def test_stops_written_before_stops_could_be_held_are_not_given_out_again(tmp_path):
    old = Database(tmp_path, migrations=shipped_migrations()[:1])
    columns = rows.start_columns(start(), "boot-1") | rows.stop_columns(stop(), "boot-1")
    old.write(lambda connection: ledger._insert(connection, "ledger", columns))
    old.close()
    store = inline_store(tmp_path)
    assert store.outbox_size() == 0
    assert [row.stop for row in await store.sessions(5)] == [stop()]
    store.close()


def test_a_migration_that_fails_changes_nothing(tmp_path):
    inline_store(tmp_path).close()
    steps = [(LATEST + 1, "CREATE TABLE addition (name TEXT) STRICT; INSERT INTO nowhere VALUES (1);")]
    with pytest.raises(StoreError, match="nowhere"):
        Database(tmp_path, migrations=steps).connection()
    database = Database(tmp_path)
    tables = database.read(lambda connection: connection.execute("SELECT name FROM sqlite_master").fetchall())
    database.close()
    assert "addition" not in {row[0] for row in tables}


class DoubtfulDisk(Disk):
    """The next COMMIT happens, but is reported to have failed, as when an fsync fails after the write."""

    is_doubtful = False

    def connect(self, path: Path, timeout_s: float) -> sqlite3.Connection:
        disk = self

        class Connection(sqlite3.Connection):
            def execute(self, sql, *parameters):
                cursor = super().execute(sql, *parameters)
                if sql == "COMMIT" and disk.is_doubtful:
                    disk.is_doubtful = False
                    raise sqlite3.OperationalError("disk I/O error")
                return cursor

        return sqlite3.connect(path, timeout=timeout_s, isolation_level=None, factory=Connection)


@pytest.fixture
def doubtful(tmp_path: Path) -> Iterator[tuple[Store, DoubtfulDisk]]:
    disk = DoubtfulDisk()
    store = Store.open(tmp_path, boot_id="boot-1", executor=InlineExecutor(), disk=disk)
    yield store, disk
    store.close()


async def test_a_start_that_was_told_to_have_failed_is_not_there(doubtful, tmp_path):
    store, disk = doubtful
    disk.is_doubtful = True
    with pytest.raises(StoreError, match="I/O error"):
        await store.commit_start(start())
    assert await store.oldest() is None
    assert await store.open_transactions() == ()
    assert not (tmp_path / "open.log").exists()
    assert await store.commit_start(start("next"))
    assert (await store.oldest()).transaction == "next"


async def test_a_stop_that_was_told_to_have_failed_is_repeated_and_given_out_once(doubtful):
    store, disk = doubtful
    await store.commit_start(start())
    disk.is_doubtful = True
    with pytest.raises(StoreError, match="I/O error"):
        await store.commit_stop(stop())
    store.changed.clear()
    assert await store.commit_stop(stop()) is False
    assert store.changed.is_set()
    assert store.outbox_size() == 2


async def test_what_a_killed_process_left_in_the_log_is_carried_into_the_database_first(tmp_path):
    store = inline_store(tmp_path / "live")
    await store.commit_start(start())
    shutil.copytree(tmp_path / "live", tmp_path / "killed", ignore=shutil.ignore_patterns("*-shm", "open.log"))
    store.close()
    after_kill = inline_store(tmp_path / "killed")
    (tmp_path / "rest").mkdir()
    shutil.copy(tmp_path / "killed" / FILE_NAME, tmp_path / "rest" / FILE_NAME)
    after_kill.close()
    store = inline_store(tmp_path / "rest")
    assert [kept.start for kept in await store.open_transactions()] == [start()]
    store.close()
