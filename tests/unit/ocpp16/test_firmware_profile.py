"""The handlers of firmware and logs: what is refused, what ends what, and what is told."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from evcharge_agent.core.effects import Answer
from evcharge_agent.core.events import UpdateAsked
from evcharge_agent.ocpp16.diagnostics import Pieces, Window
from evcharge_agent.ocpp16.envelope import ErrorCode
from evcharge_agent.ocpp16.errors import CallTimedOutError, LinkClosedError
from evcharge_agent.ocpp16.firmware_profile import (
    FileSources,
    FirmwareManagement,
    FirmwareProfile,
    SecureFirmwareProfile,
)
from evcharge_agent.ocpp16.firmware_service import FirmwareTools
from evcharge_agent.ocpp16.profile import Context, RequestRefusedError
from evcharge_agent.ocpp16.security.extended_trigger import SIGNED_FIRMWARE_STATUS
from evcharge_agent.ocpp16.transfer.network import Network
from evcharge_agent.ocpp16.transfer.spool import Spool
from evcharge_agent.ocpp16.transfer.transfer import Transfers, threads
from evcharge_agent.ocpp16.transfer.urls import HostPolicy, Scheme
from evcharge_agent.ocpp16.updater import NoUpdater, Updater
from evcharge_agent.runtime.inbox import Inbox
from tests.support.file_servers import Behaviour, http_server
from tests.support.firmware import bundle, make_root, make_signer, revocation_list
from tests.support.virtual_time import run_virtual, virtual_clock

ROOT = make_root()
SIGNER = make_signer(ROOT)
LONG_AGO = "2020-01-01T00:00:00Z"


class MemoryShelves:
    def __init__(self) -> None:
        self.rows: dict[str, str] = {}

    async def keep(self, _shelf: str, put: Any, _remove: Any = (), *, is_whole: bool = False) -> None:
        self.rows = dict(put) if is_whole else self.rows | dict(put)

    async def kept(self, _shelf: str) -> dict[str, str]:
        return self.rows


class Bench:
    """The two plugs with a line that remembers, and a core that says nobody charges."""

    def __init__(self, directory: Path) -> None:
        self.calls: list[Any] = []
        self.failures: list[Exception] = []
        self.events: list[str] = []
        self.windows: list[Window] = []
        self.pieces = Pieces({"log": b"line"})
        self.security_log = b"one\ntwo\n"
        self.revoked: Callable[[], str] = lambda: ""
        self.inbox = Inbox()
        self.options: dict[str, Any] = {"has_installer": True, "is_unsigned_allowed": True}
        self.updater: Updater = NoUpdater()
        self.shelves = MemoryShelves()
        self._directory = directory

    async def ready(self) -> None:
        pass

    async def call(self, payload: Any, message_id: str | None = None) -> Any:
        if self.failures:
            raise self.failures.pop(0)
        self.calls.append(payload)

    def told(self) -> list[tuple[str, int | None]]:
        return [(one.status.value, getattr(one, "request_id", None)) for one in self.calls]

    async def diagnostics(self, window: Window) -> Pieces:
        self.windows.append(window)
        return self.pieces

    def read_security_log(self, window: Window) -> bytes:
        self.windows.append(window)
        return self.security_log

    def read_revoked(self) -> str:
        return self.revoked()

    def build(self) -> None:
        clock = virtual_clock()
        clock.learn_utc(clock.now().utc_s)
        nothing: Any = None
        context = Context(self.inbox, nothing, nothing, clock, self, lambda: True)
        self.executor = threads()
        network = Network(HostPolicy(("127.0.0.0/8",)), frozenset(Scheme), idle_timeout_s=3.0)
        transfers = Transfers(Spool(self._directory), network, self.executor)
        tools = FirmwareTools(
            self.shelves, transfers, self.updater, lambda event, info: self.events.append(f"{event}: {info}")
        )
        sources = FileSources(
            tools=tools,
            roots=lambda: (ROOT.pem,),
            revoked=self.read_revoked,
            diagnostics=self.diagnostics,
            security_log=self.read_security_log,
            **self.options,
        )
        self.shared = FirmwareManagement(context, sources)
        plugs = (FirmwareProfile(self.shared), SecureFirmwareProfile(self.shared))
        self.handlers = {name: handler for plug in plugs for name, handler in plug.handlers.items()}
        self.triggers = {name: send for plug in plugs for name, send in plug.triggers.items()}
        self.plugs = plugs

    async def ask(self, action: str, **payload: Any) -> Any:
        """Ask, and act after the answer as the connection does."""
        reply = await self.handlers[action](payload)
        if reply.then is not None:
            reply.then()
        return reply.payload

    async def until(self, is_true: Callable[[], bool]) -> None:
        async with asyncio.timeout(600.0):
            while not is_true():  # noqa: ASYNC110 - from outside there is nothing to wait for
                await asyncio.sleep(0.1)

    async def core(self) -> None:
        while True:
            event = await self.inbox.take()
            if isinstance(event, UpdateAsked):
                self.inbox.settle(Answer(event.request, is_accepted=True))


def on_bench(directory: Path, test: Callable[[Bench], Awaitable[None]], **options: Any) -> Bench:
    bench = Bench(directory)
    bench.updater = options.pop("updater", bench.updater)
    bench.shelves = options.pop("shelves", bench.shelves)
    bench.options |= options

    async def main() -> None:
        bench.build()
        tasks = [asyncio.create_task(part()) for part in (bench.core, bench.plugs[0].run, bench.plugs[1].run)]
        try:
            await test(bench)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            bench.executor.shutdown()

    run_virtual(main())
    return bench


def firmware(location: str, **fields: str) -> dict[str, str]:
    content = {
        "location": location,
        "retrieve_date_time": LONG_AGO,
        "signing_certificate": SIGNER.pem,
        "signature": "AAAA",
    }
    return content | fields


# --- firmware ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "action"),
    [
        ({"is_unsigned_allowed": False}, "UpdateFirmware"),
        ({"has_installer": False}, "UpdateFirmware"),
        ({"has_installer": False}, "SignedUpdateFirmware"),
    ],
)
def test_what_is_not_supported_starts_nothing(tmp_path: Path, options: dict[str, bool], action: str) -> None:
    async def test(bench: Bench) -> None:
        with pytest.raises(RequestRefusedError) as refusal:
            await bench.ask(
                action,
                location="http://127.0.0.1/f",
                retrieve_date=LONG_AGO,
                request_id=1,
                firmware=firmware("http://x/f"),
            )
        assert refusal.value.code is ErrorCode.NOT_SUPPORTED
        await asyncio.sleep(20.0)
        assert bench.calls == []

    on_bench(tmp_path, test, **options)


def test_the_certificate_is_judged_first(tmp_path: Path) -> None:
    async def test(bench: Bench) -> None:
        async def status(pem: str) -> str:
            found = await bench.ask(
                "SignedUpdateFirmware", request_id=1, firmware=firmware("nonsense", signing_certificate=pem)
            )
            return str(found.status.value)

        assert await status("rubbish") == "InvalidCertificate"
        assert await status(make_signer(make_root()).pem) == "InvalidCertificate"
        bench.revoked = lambda: revocation_list(ROOT, SIGNER)
        assert await status(SIGNER.pem) == "RevokedCertificate"
        bench.revoked = lambda: Path("/nonexistent/list").read_text()
        assert await status(SIGNER.pem) == "InvalidCertificate", "a list that cannot be read trusts nobody"
        assert [event.partition(":")[0] for event in bench.events] == ["InvalidFirmwareSigningCertificate"] * 4
        bench.revoked = lambda: ""
        assert await status(SIGNER.pem) == "Rejected", "now the address is looked at"
        await asyncio.sleep(20.0)
        assert bench.calls == []

    on_bench(tmp_path, test)


def test_a_new_request_ends_the_one_under_way(tmp_path: Path) -> None:
    async def test(bench: Bench) -> None:
        content = bundle()
        with http_server(Behaviour(content)) as port:
            location = f"http://127.0.0.1:{port}/f"
            later = firmware(location, retrieve_date_time="2030-01-01T00:00:00Z")
            assert (await bench.ask("SignedUpdateFirmware", request_id=1, firmware=later)).status.value == "Accepted"
            await bench.until(lambda: bool(bench.calls))
            now = firmware(location, signature=SIGNER.sign(content))
            found = await bench.ask("SignedUpdateFirmware", request_id=2, firmware=now)
            assert found.status.value == "AcceptedCanceled"
            await bench.until(lambda: ("InstallVerificationFailed", 2) in bench.told())
        assert bench.told() == [
            ("DownloadScheduled", 1),
            *[(word, 2) for word in ("Downloading", "Downloaded", "SignatureVerified", "Installing")],
            ("InstallVerificationFailed", 2),
        ]

    on_bench(tmp_path, test)


def test_retries_and_notifications_over_a_bad_line(tmp_path: Path) -> None:
    async def test(bench: Bench) -> None:
        bench.failures = [LinkClosedError("gone"), CallTimedOutError("late")]
        with http_server(Behaviour(status=503)) as port:
            began_s = asyncio.get_running_loop().time()
            await bench.ask(
                "UpdateFirmware",
                location=f"http://127.0.0.1:{port}/f",
                retrieve_date=LONG_AGO,
                retries=3,
                retry_interval=100,
            )
            await bench.until(lambda: ("DownloadFailed", None) in bench.told())
        assert bench.told() == [("Downloading", None), ("DownloadFailed", None)]
        assert 200.0 <= asyncio.get_running_loop().time() - began_s < 205.0
        assert await bench.triggers["FirmwareStatusNotification"]() is None
        assert bench.told()[-1] == ("Idle", None)

    on_bench(tmp_path, test)


@pytest.mark.parametrize("date", ["yesterday", ""])
def test_what_is_no_date_is_refused(tmp_path: Path, date: str) -> None:
    async def test(bench: Bench) -> None:
        with pytest.raises(RequestRefusedError) as refusal:
            await bench.ask("UpdateFirmware", location="http://127.0.0.1/f", retrieve_date=date)
        assert refusal.value.code is ErrorCode.PROPERTY_CONSTRAINT_VIOLATION

    on_bench(tmp_path, test)


def test_an_unsigned_update_ends_where_it_is_no_longer_allowed(tmp_path: Path) -> None:
    """The installer has forbidden it meanwhile; the job was on the disk."""

    async def order(bench: Bench) -> None:
        await bench.ask("UpdateFirmware", location="http://127.0.0.1:1/f", retrieve_date="2030-01-01T00:00:00Z")
        await asyncio.sleep(60.0)

    async def resume(bench: Bench) -> None:
        await bench.until(lambda: bool(bench.calls))
        await asyncio.sleep(60.0)

    ordered = on_bench(tmp_path, order)
    again = on_bench(tmp_path, resume, shelves=ordered.shelves, is_unsigned_allowed=False)
    assert again.told() == [("DownloadFailed", None)]
    assert again.shelves.rows == {}


class BrokenUpdater(NoUpdater):
    """An installer with a mistake in it."""

    def install(self, path: Path, digest: str) -> str:
        raise RuntimeError(f"{path.name} {digest[:4]}")


def test_a_mistake_in_the_installer_fails_the_update_and_nothing_else(tmp_path: Path) -> None:
    async def test(bench: Bench) -> None:
        with http_server(Behaviour(bundle())) as port:
            for number in (1, 2):
                await bench.ask("UpdateFirmware", location=f"http://127.0.0.1:{port}/f", retrieve_date=LONG_AGO)
                await bench.until(lambda: bench.told().count(("InstallationFailed", None)) == number)  # noqa: B023

    on_bench(tmp_path, test, updater=BrokenUpdater())


def test_a_disk_that_refuses_fails_what_needs_it_and_nothing_else(tmp_path: Path) -> None:
    """What cannot be removed stands where our files go: as on a disk that went read-only."""

    async def test(bench: Bench) -> None:
        await asyncio.sleep(1.0)  # the spool has been emptied
        with http_server(Behaviour(bundle())) as port:
            for number in (1, 2):
                for name in ("firmware", "log"):
                    (tmp_path / "spool" / name).mkdir(parents=True, exist_ok=True)
                location = f"http://127.0.0.1:{port}/f"
                await bench.ask("UpdateFirmware", location=location, retrieve_date=LONG_AGO)
                await bench.until(lambda: bench.told().count(("DownloadFailed", None)) == number)  # noqa: B023
                log = {"remote_location": location}
                await bench.ask("GetLog", log=log, log_type="SecurityLog", request_id=number)
                await bench.until(lambda: ("UploadFailure", number) in bench.told())  # noqa: B023

    on_bench(tmp_path, test)


def test_each_trigger_has_its_own_message(tmp_path: Path) -> None:
    """TriggerMessage asks for FirmwareStatusNotification, ExtendedTriggerMessage for the signed one."""

    async def statuses(bench: Bench) -> list[tuple[str, str, int | None]]:
        before = len(bench.calls)
        await bench.triggers["FirmwareStatusNotification"]()
        await bench.triggers[SIGNED_FIRMWARE_STATUS]()
        return [
            (type(one).__name__, one.status.value, getattr(one, "request_id", None)) for one in bench.calls[before:]
        ]

    async def test(bench: Bench) -> None:
        plain, signed = "FirmwareStatusNotification", "SignedFirmwareStatusNotification"
        assert await statuses(bench) == [(plain, "Idle", None), (signed, "Idle", None)]
        with http_server(Behaviour(status=503)) as port:
            location = f"http://127.0.0.1:{port}/f"
            await bench.ask("UpdateFirmware", location=location, retrieve_date=LONG_AGO, retry_interval=9000)
            await bench.until(lambda: bool(bench.told()[2:]))
            assert await statuses(bench) == [(plain, "Downloading", None), (signed, "Idle", None)]
            await bench.ask(
                "SignedUpdateFirmware", request_id=6, firmware=firmware(location), retries=2, retry_interval=9000
            )
            await bench.until(lambda: ("DownloadPaused", 6) in bench.told())
            assert await statuses(bench) == [(plain, "Downloading", None), (signed, "DownloadPaused", 6)]

    on_bench(tmp_path, test)


# --- logs -------------------------------------------------------------------------------------------------


def test_no_diagnostics_is_an_empty_answer(tmp_path: Path) -> None:
    async def test(bench: Bench) -> None:
        bench.pieces = Pieces({})
        assert (await bench.ask("GetDiagnostics", location="http://127.0.0.1/")).file_name is None
        answer = await bench.ask(
            "GetLog", log={"remote_location": "http://127.0.0.1/"}, log_type="DiagnosticsLog", request_id=1
        )
        assert answer.status.value == "Rejected"
        await asyncio.sleep(20.0)
        assert bench.calls == []

    on_bench(tmp_path, test)


def test_the_security_log_is_one_file_of_the_time_asked_for(tmp_path: Path) -> None:
    async def test(bench: Bench) -> None:
        behaviour = Behaviour()
        with http_server(behaviour) as port:
            log = {
                "remote_location": f"http://127.0.0.1:{port}/",
                "oldest_timestamp": "2025-01-01T00:00:00Z",
                "latest_timestamp": "2025-02-01T00:00:00Z",
            }
            answer = await bench.ask("GetLog", log=log, log_type="SecurityLog", request_id=5)
            await bench.until(lambda: len(bench.calls) == 2)
        assert bench.told() == [("Uploading", 5), ("Uploaded", 5)]
        assert behaviour.stored == {f"/{answer.filename}": b"one\ntwo\n"}
        assert bench.windows == [Window(1_735_689_600.0, 1_738_368_000.0)]
        assert not list((tmp_path / "spool").iterdir())

    on_bench(tmp_path, test)


class SlowShelves(MemoryShelves):
    """A disk that takes its time to say what was under way."""

    def __init__(self) -> None:
        super().__init__()
        self.may_answer = asyncio.Event()

    async def kept(self, _shelf: str) -> dict[str, str]:
        await self.may_answer.wait()
        return await super().kept(_shelf)


def test_what_an_earlier_run_left_goes_and_what_this_one_sends_stays(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.prepare()
    for name in ("firmware", "diagnostics", "log"):
        spool.path(name).write_text("left")

    async def test(bench: Bench) -> None:
        await bench.until(lambda: not spool.path("log").exists() and not spool.path("diagnostics").exists())
        spool.path("log").write_text("of an upload that runs while the disk is still asked for the job")
        assert isinstance(bench.shelves, SlowShelves)
        bench.shelves.may_answer.set()
        await bench.until(lambda: not spool.path("firmware").exists())

    on_bench(tmp_path, test, shelves=SlowShelves())
    assert [path.name for path in spool.directory.iterdir()] == ["log"]


@pytest.mark.parametrize(
    ("status", "word"), [(403, "PermissionDenied"), (404, "UploadFailure"), (500, "UploadFailure")]
)
def test_how_an_upload_fails(tmp_path: Path, status: int, word: str) -> None:
    async def test(bench: Bench) -> None:
        behaviour = Behaviour(status=status)
        with http_server(behaviour) as port:
            log = {"remote_location": f"http://127.0.0.1:{port}/"}
            await bench.ask("GetLog", log=log, log_type="SecurityLog", request_id=5, retries=3, retry_interval=7)
            await bench.until(lambda: len(bench.calls) == 2)
        assert bench.told() == [("Uploading", 5), (word, 5)]
        assert len(behaviour.seen) == (3 if status == 500 else 1)

    on_bench(tmp_path, test)


def test_a_new_log_request_cancels_the_one_before(tmp_path: Path) -> None:
    async def test(bench: Bench) -> None:
        with http_server(Behaviour(status=500)) as bad, http_server(Behaviour()) as good:
            locations = [f"http://127.0.0.1:{port}/" for port in (bad, good)]
            statuses = []
            for number, location in enumerate(locations, 1):
                log = {"remote_location": location}
                answer = await bench.ask(
                    "GetLog", log=log, log_type="DiagnosticsLog", request_id=number, retries=9, retry_interval=600
                )
                statuses.append(answer.status.value)
                await asyncio.sleep(5.0)
                await bench.triggers["LogStatusNotification"]()
        assert statuses == ["Accepted", "AcceptedCanceled"]
        await asyncio.sleep(2000.0)
        assert bench.told() == [("Uploading", 1), ("Uploading", 1), ("Uploading", 2), ("Uploaded", 2), ("Idle", None)]

    on_bench(tmp_path, test)


def test_diagnostics_ends_the_upload_before(tmp_path: Path) -> None:
    async def test(bench: Bench) -> None:
        behaviour = Behaviour()
        with http_server(Behaviour(status=500)) as bad, http_server(behaviour) as good:
            for port in (bad, good):
                await bench.ask(
                    "GetDiagnostics", location=f"http://127.0.0.1:{port}/in", start_time=LONG_AGO, retries=5
                )
                await asyncio.sleep(5.0)
        assert [word for word, _ in bench.told()] == ["Uploading", "Uploading", "Uploaded"]
        (name,) = behaviour.stored
        assert name.startswith("/in/diagnostics-")

    on_bench(tmp_path, test)
