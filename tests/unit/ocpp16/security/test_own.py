"""The charger's own certificates in time: a new one begins by itself, an old one goes a month after (A02.FR.08-.10)."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from evcharge_agent.ocpp16.keys import Station
from evcharge_agent.ocpp16.security.certificate_store import CertificateStore, Kind
from evcharge_agent.ocpp16.security.memory import LinkMemory
from evcharge_agent.ocpp16.security.moments import Moments
from evcharge_agent.ocpp16.security.own import MONTH_S, OwnCertificates
from evcharge_agent.ocpp16.security.renewal import LOOK_EVERY_S, Renewal
from evcharge_agent.ocpp16.security.roots import Roots
from evcharge_agent.runtime.clock import Clock
from evcharge_agent.settings.ocpp_section import Ocpp
from tests.support.certificates import DAY_S, root
from tests.support.virtual_time import run_virtual

ROOT = root("operator")
YEAR_S = 365 * DAY_S


class Bench:
    """A charger in profile 3 whose clock is the loop's and right, and its renewal."""

    def __init__(self, directory: Path) -> None:
        loop = asyncio.get_running_loop()
        self.began_s = loop.time()
        began_utc_s = time.time()
        clock = Clock(loop.time, lambda: began_utc_s)
        clock.learn_utc(began_utc_s)
        settings = Ocpp.model_validate({"url": "wss://csms.example", "security_profile": 3})
        self.store = CertificateStore(directory)
        self.store.add_root(Kind.CENTRAL_SYSTEM_ROOT, ROOT.pem)
        self.memory = LinkMemory()
        self.moments = Moments(clock, self.memory)
        roots = Roots(self.store, lambda: settings, self.memory, self.moments)
        station = Station("id", "vendor", "model", "SERIAL-7", "1")
        self.own = OwnCertificates(self.store, lambda: settings, station, roots, self.memory, self.moments)
        self.in_use: int | None = None
        self.switches: list[tuple[float, int | None]] = []
        self.renewal = Renewal(
            self.own, self, self.moments, is_wanted=lambda: True, in_use=lambda: self.in_use, reconnect=self.reconnect
        )

    async def ready(self) -> None:
        await asyncio.Event().wait()

    async def call(self, payload: object, message_id: str | None = None) -> object:
        raise AssertionError(payload)

    @property
    def passed_s(self) -> float:
        return asyncio.get_running_loop().time() - self.began_s

    def add(self, from_s: float = -DAY_S, to_s: float = YEAR_S) -> int:
        """Take a certificate of this validity, against now."""
        assert self.own.take(ROOT.sign(self.own.request(), from_s=from_s, to_s=to_s)) is None
        return self.store.all(Kind.CHARGE_POINT)[0].number

    def reconnect(self, _: str) -> None:
        """Make a new connection, with the best certificate."""
        self.in_use = self.own.candidates()[0].number
        self.switches.append((self.passed_s, self.in_use))

    @property
    def kept(self) -> set[int]:
        return {stored.number for stored in self.store.all(Kind.CHARGE_POINT)}


def on_bench(directory: Path, test: Callable[[Bench], Awaitable[None]]) -> None:
    async def main() -> None:
        bench = Bench(directory)
        await test(bench)

    run_virtual(main())


async def renewed(bench: Bench, for_s: float) -> None:
    """Let the renewal look after the certificates for so long."""
    task = asyncio.create_task(bench.renewal.run())
    await asyncio.sleep(for_s)
    assert not task.done()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.mark.parametrize("begins_s", [90.0, 2.5 * LOOK_EVERY_S])
def test_row_13_a_certificate_is_put_to_work_in_the_moment_it_begins(tmp_path: Path, begins_s: float) -> None:
    async def test(bench: Bench) -> None:
        old = bench.add()
        bench.in_use = old
        new = bench.add(from_s=begins_s)
        assert [one.number for one in bench.own.candidates()] == [old]
        await renewed(bench, begins_s + 60.0)
        assert [number for _, number in bench.switches] == [new]
        # Certificates know whole seconds.
        assert begins_s - 1.0 <= bench.switches[0][0] <= begins_s + 2.0
        assert [one.number for one in bench.own.candidates()] == [new, old]

    on_bench(tmp_path, test)


def test_row_13_of_those_that_are_valid_the_newest_wins_and_the_one_that_ends_makes_way(tmp_path: Path) -> None:
    async def test(bench: Bench) -> None:
        long, short = bench.add(), bench.add(from_s=-60.0, to_s=LOOK_EVERY_S / 2)
        bench.in_use = short
        assert [one.number for one in bench.own.candidates()] == [short, long]
        await renewed(bench, 1.5 * LOOK_EVERY_S)
        assert [number for _, number in bench.switches] == [long]

    on_bench(tmp_path, test)


def test_row_13_what_was_replaced_stays_a_month_as_fallback(tmp_path: Path) -> None:
    async def test(bench: Bench) -> None:
        old, new = bench.add(), bench.add()
        bench.in_use = new
        now_utc_s = bench.moments.now_utc_s()
        await bench.memory.note_own(new, now_utc_s - MONTH_S + 1.5 * LOOK_EVERY_S)
        await renewed(bench, 1.2 * LOOK_EVERY_S)
        assert bench.kept == {old, new}
        await renewed(bench, 1.2 * LOOK_EVERY_S)
        assert bench.kept == {new}
        assert bench.switches == []

    on_bench(tmp_path, test)


def test_row_13_nothing_is_taken_away_for_one_that_has_never_worked(tmp_path: Path) -> None:
    async def test(bench: Bench) -> None:
        old, refused = bench.add(), bench.add()
        bench.in_use = old
        await bench.memory.note_own(old, bench.moments.now_utc_s() - 2 * MONTH_S)
        await renewed(bench, 3.0 * LOOK_EVERY_S)
        assert bench.kept == {old, refused}
        # Its turn comes with every look, and whoever refuses it gets the old one in between.
        assert {number for _, number in bench.switches} == {refused}

    on_bench(tmp_path, test)
