"""Writes that are cut or fail, with real processes: strace ends the process at a system call or makes it fail,
and the file system of a running agent fills up or becomes read-only."""

import asyncio
import contextlib
import os
import resource
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from evcharge_agent.store.database import FILE_NAME
from tests.scenario.scripts import is_open, transaction
from tests.support.process_rig import ProcessRig
from tests.support.rig import CARD
from tests.support.rig_settings import RIG_SETTINGS

pytestmark = pytest.mark.system

ROOT = Path(__file__).parents[2]
SESSIONS = 2
FACTS = ("start", "sample", "stop")
TMPFS_BYTES = 2 * 1024 * 1024


# --- a store under strace ---------------------------------------------------------------------------------


def charge(directory: Path, *inject: str) -> tuple[int, list[str]]:
    """Run the charging process to its end, under strace if something is to be injected; what it promised."""
    command = [sys.executable, "-m", "tests.support.store_process", str(directory), str(SESSIONS)]
    if inject:
        strace = shutil.which("strace")
        assert strace is not None, "these tests need the Debian package strace"
        command = [strace, "-f", "-qq", "-o", str(directory.with_suffix(".trace")), *inject, *command]
    # A bytecode cache must not be among the writes that are counted.
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONUNBUFFERED": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60.0, check=False)
    return done.returncode, done.stdout.splitlines()


def count(directory: Path, call: str) -> int:
    """How often a whole run makes this system call."""
    code, _ = charge(directory, "-e", f"trace={call}")
    assert code == 0
    return sum(f"{call}(" in line for line in directory.with_suffix(".trace").read_text().splitlines())


def judge(directory: Path, promised: list[str]) -> None:
    """All that was promised is there; every session has one start and one stop with the right energy, once."""
    with contextlib.closing(sqlite3.connect(directory / FILE_NAME)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        queued = connection.execute("SELECT kind, transaction_key FROM outbox ORDER BY sequence").fetchall()
        energies = connection.execute("SELECT meter_start_wh, meter_stop_wh FROM ledger ORDER BY rowid").fetchall()
    kept = [f"{kind} {key}" for kind, key in queued]
    assert set(promised) <= set(kept)
    assert kept == [f"{kind} session-{number}" for number in range(SESSIONS) for kind in FACTS]
    assert energies == [(1000 * number, 1000 * number + 900) for number in range(SESSIONS)]


def facts(lines: list[str]) -> list[str]:
    return [line for line in lines if line.split()[0] in FACTS]


@pytest.mark.parametrize(
    ("call", "step"), [("fdatasync", 1), ("fsync", 1), ("pwrite64", 17), ("write", 2), ("unlink", 1)]
)
def test_killed_at_a_system_call(tmp_path: Path, call: str, step: int) -> None:
    for number in range(1, count(tmp_path / "uncut", call) + 1, step):
        directory = tmp_path / f"cut-{number}"
        code, promised = charge(directory, "-e", f"inject={call}:signal=SIGKILL:when={number}")
        assert code != 0
        code, again = charge(directory)
        assert code == 0
        judge(directory, facts(promised) + facts(again))


@pytest.mark.parametrize(
    ("call", "error", "step"), [("fdatasync", "EIO", 2), ("pwrite64", "ENOSPC", 19), ("pwrite64", "EIO", 23)]
)
def test_one_system_call_fails(tmp_path: Path, call: str, error: str, step: int) -> None:
    """The process says so where it matters, tries again, and all is there in the end."""
    refusals = 0
    for number in range(1, count(tmp_path / "uncut", call) + 1, step):
        directory = tmp_path / f"cut-{number}"
        code, promised = charge(directory, "-e", f"inject={call}:error={error}:when={number}")
        refusals += len(promised) - len(facts(promised))
        assert code == 0
        judge(directory, facts(promised))
    assert refusals > 0


@pytest.mark.parametrize(("call", "error"), [("fsync", "EIO"), ("write", "ENOSPC")])
def test_the_second_copy_fails(tmp_path: Path, call: str, error: str) -> None:
    """Nobody but the log is told, except where the call was the test's own output."""
    for number in range(1, count(tmp_path / "uncut", call) + 1):
        directory = tmp_path / f"cut-{number}"
        code, promised = charge(directory, "-e", f"inject={call}:error={error}:when={number}")
        if code != 0:
            code, again = charge(directory)
            promised += again
        assert code == 0
        assert facts(promised) == promised
        judge(directory, promised)


@pytest.mark.parametrize("number", [1, 4, 9, 14])
def test_a_disk_that_syncs_no_more(tmp_path: Path, number: int) -> None:
    directory = tmp_path / "store"
    code, promised = charge(directory, "-e", f"inject=fsync,fdatasync:error=EIO:when={number}+")
    assert code in (3, 4), "it gave up"
    assert len(facts(promised)) < len(promised)
    code, again = charge(directory)
    assert code == 0
    judge(directory, facts(promised) + facts(again))


# --- a whole charger on a bad file system -----------------------------------------------------------------


class SmallDisk:
    """The agent's state directory on a file system of its own where that is allowed, else under a limit."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        directory.mkdir(parents=True)
        mount = ["mount", "-t", "tmpfs", "-o", f"size={TMPFS_BYTES},mode=0700", "tmpfs", str(directory)]
        self.is_mounted = os.geteuid() == 0 and subprocess.run(mount, capture_output=True, check=False).returncode == 0

    @contextlib.asynccontextmanager
    async def full(self, pid: int) -> AsyncIterator[None]:
        """There is no room meanwhile, also not where the agent has just given some back."""
        if not self.is_mounted:
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (1, resource.RLIM_INFINITY))
            yield
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            return
        filling = asyncio.create_task(self._keep_full())
        try:
            yield
        finally:
            filling.cancel()
            await asyncio.gather(filling, return_exceptions=True)
        (self._directory / "filler").unlink()

    async def _keep_full(self) -> None:
        while True:
            with contextlib.suppress(OSError), (self._directory / "filler").open("ab", buffering=0) as filler:
                while True:
                    filler.write(b"\0" * 512)
            await asyncio.sleep(0.05)

    def forbid(self) -> None:
        """Nothing can be written; only while nobody has it open."""
        if self.is_mounted:
            subprocess.run(["mount", "-o", "remount,ro", str(self._directory)], check=True)
        else:
            self._directory.rename(self._directory.with_suffix(".away"))
            self._directory.write_text("in the way")

    def allow(self) -> None:
        """It can be written again."""
        if self.is_mounted:
            subprocess.run(["mount", "-o", "remount,rw", str(self._directory)], check=True)
        else:
            self._directory.unlink()
            self._directory.with_suffix(".away").rename(self._directory)

    def close(self) -> None:
        if self.is_mounted:
            subprocess.run(["umount", "--lazy", str(self._directory)], check=True)


@contextlib.asynccontextmanager
async def charger_on_small_disk(tmp_path: Path) -> AsyncIterator[tuple[ProcessRig, SmallDisk]]:
    disk = SmallDisk(tmp_path / "agent")
    try:
        async with ProcessRig.running(RIG_SETTINGS, tmp_path) as rig:
            yield rig, disk
    finally:
        disk.close()


async def storage(rig: ProcessRig) -> dict[str, object]:
    station = await rig.ask("status")
    return dict((station or {}).get("storage", {}))


async def until_storage(rig: ProcessRig, *, is_failing: bool, within_s: float) -> dict[str, object]:
    async with asyncio.timeout(within_s):
        while (found := await storage(rig)).get("is_failing") is not is_failing:
            await rig.sleep(0.2)
    return found


async def is_refused(rig: ProcessRig) -> None:
    await rig.do("plug", connector=1)
    await rig.until_state("Preparing")
    await rig.do("swipe", id_tag=CARD, connectors=[1])
    await rig.until_view("refused", lambda at: (at["waiting"] or {}).get("reason") == "storage_failed")
    await rig.do("unplug", connector=1)
    await rig.until_state("Available")


def shown(tmp_path: Path) -> None:
    print((tmp_path / "log").read_text())  # noqa: T201 - shown by pytest where the test fails


def test_a_disk_that_fills_up_while_charging(tmp_path: Path) -> None:
    async def main() -> None:
        async with charger_on_small_disk(tmp_path) as (rig, disk):
            await rig.until_online()
            await rig.plug_and_charge()
            await rig.until_view("number", lambda at: at["session"]["transaction_id"] is not None)
            async with disk.full(rig.simulation.pid("agent")):
                await until_storage(rig, is_failing=True, within_s=20.0)
                await rig.do("swipe", id_tag=CARD, connectors=[1])
                await rig.until_world("open", is_open, within_s=8.0)
                await rig.do("unplug", connector=1)
                await rig.until_state("Available")
                register_wh = (await rig.at())["energy_wh"]
                await is_refused(rig)
            await rig.until_stopped(within_s=50.0)
            assert transaction(rig).meter_stop_wh == register_wh
            await until_storage(rig, is_failing=False, within_s=15.0)
            assert rig.simulation.restarts["agent"] == 0

    try:
        asyncio.run(main())
    finally:
        shown(tmp_path)


def test_a_directory_that_cannot_be_written_at_the_start(tmp_path: Path) -> None:
    async def main() -> None:
        async with charger_on_small_disk(tmp_path) as (rig, disk):
            await rig.until_online()
            await rig.kill("agent")
            disk.forbid()
            await rig.start("agent")
            await rig.until_central("online", lambda: len(rig.central.of("BootNotification")) == 2)
            found = await until_storage(rig, is_failing=True, within_s=5.0)
            assert found["reason"]
            text = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "evcharge_agent", "status", "--runtime-dir", str(rig.simulation.runtime_dir)),
                stdout=subprocess.PIPE,
            )
            assert b"STORAGE FAILING" in (await text.communicate())[0]
            await is_refused(rig)
            disk.allow()
            await until_storage(rig, is_failing=False, within_s=20.0)
            await rig.until_state("Available")
            await rig.plug_and_charge()
            await rig.do("swipe", id_tag=CARD, connectors=[1])
            await rig.until_stopped()
            assert rig.simulation.restarts["agent"] == 0

    try:
        asyncio.run(main())
    finally:
        shown(tmp_path)


def test_a_database_damaged_while_the_power_was_off(tmp_path: Path) -> None:
    """The same transaction goes on, from the second copy; the settings are those of the file again."""

    async def main() -> None:
        async with ProcessRig.running(RIG_SETTINGS, tmp_path) as rig:
            await rig.until_online()
            await rig.plug_and_charge()
            await rig.until_view("number", lambda at: at["session"]["transaction_id"] is not None)
            before = (await rig.view())["session"]
            await rig.kill("agent")
            for suffix in ("", "-wal"):
                path = tmp_path / "agent" / f"{FILE_NAME}{suffix}"
                path.write_bytes(b"\xa5" * path.stat().st_size)
            await rig.start("agent")
            await rig.until_view("same", lambda at: (at["session"] or {}).get("transaction") == before["transaction"])
            await rig.until_world("full current again", lambda at: at["current_a"]["l1"] > 15.0)
            await rig.do("swipe", id_tag=CARD, connectors=[1])
            await rig.until_stopped()
            record = transaction(rig)
            assert record.transaction_id == before["transaction_id"]
            assert len(rig.central.of("StopTransaction")) == len(rig.central.of("StartTransaction")) == 1
            assert list((tmp_path / "agent").glob("*.damaged-1"))
            said = [line for line in (tmp_path / "log").read_text().splitlines() if "damaged" in line]
            assert said

    try:
        asyncio.run(main())
    finally:
        shown(tmp_path)
