"""The shell of a firmware update: keeps the job, moves it by what happens, carries out what it asks for.

The job is on the disk before anything it asks for is done, so that `Resumed` finds the truth after a power cut. What
it decides is in `firmware_job`.
"""

import asyncio
import functools
import json
from collections.abc import Callable, Collection, Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Protocol

import structlog
from ocpp.v16 import call
from ocpp.v16.enums import FirmwareStatus

from evcharge_agent.core.events import ResetOrdered, UpdateAsked, UpdateAwaited
from evcharge_agent.ocpp16 import firmware_job
from evcharge_agent.ocpp16.firmware_job import Verdict, verdict_on
from evcharge_agent.ocpp16.firmware_values import (
    Action,
    Actions,
    Announce,
    Answered,
    Discard,
    Download,
    Event,
    Fetched,
    FetchFailed,
    Hold,
    Install,
    InstallEnded,
    Job,
    Order,
    Ordered,
    Outcome,
    Report,
    Reported,
    Restart,
    Resumed,
    Stage,
    State,
    StationCleared,
    Status,
    TimePassed,
    Verified,
    Verify,
)
from evcharge_agent.ocpp16.profile import DECIDE_WITHIN_S, Context
from evcharge_agent.ocpp16.signing import is_signed
from evcharge_agent.ocpp16.telling import deliver
from evcharge_agent.ocpp16.transfer.network import TransferError
from evcharge_agent.ocpp16.transfer.spool import SpoolError
from evcharge_agent.ocpp16.transfer.transfer import Fetch, Transfers, digest_of
from evcharge_agent.ocpp16.updater import Updater
from evcharge_agent.ocpp16.waiting import Signal
from evcharge_agent.store.errors import StoreError
from evcharge_hal.contract.errors import EvchargeError, InvalidFieldError
from evcharge_hal.contract.schema import decode, encode

SHELF = "firmware"
_JOB = "job"
FILE = "firmware"
"""Its name in the spool."""
MAX_FIRMWARE_BYTES = 256 * 1024 * 1024
ASK_EVERY_S = 1.0
"""Whether the station is clear."""

_LOG = structlog.get_logger(__name__)


class Shelves(Protocol):
    """Where the job is kept; the store satisfies it."""

    async def keep(
        self, shelf: str, put: Mapping[str, str], remove: Collection[str] = (), *, is_whole: bool = False
    ) -> None:
        """Write durably, or raise StoreError."""
        ...

    async def kept(self, shelf: str) -> dict[str, str]:
        """Read all."""
        ...


@dataclass(frozen=True, slots=True)
class FirmwareTools:
    """What an update is made with."""

    shelves: Shelves
    transfers: Transfers
    updater: Updater
    announce: Callable[[str, str], None]
    """Takes a security event: its type and words for a person."""


@dataclass(frozen=True, slots=True)
class _Begin:
    """The answer is out."""


class FirmwareService:
    """One charger's firmware updates, one at a time. `run` it beside the handlers."""

    def __init__(self, context: Context, tools: FirmwareTools, *, is_unsigned_allowed: bool = True) -> None:
        self._context = context
        self._is_unsigned_allowed = is_unsigned_allowed
        self._tools = tools
        self._state = State()
        self._turn = asyncio.Lock()
        self._changed = Signal()
        self._is_resumed = asyncio.Event()
        self._actions: asyncio.Queue[Action | _Begin] = asyncio.Queue()
        self._work: asyncio.Task[None] | None = None
        self._fetch: Fetch | None = None
        self._installing: asyncio.Future[str | None] | None = None

    async def run(self) -> None:
        """Take up what was under way, then do what is asked for, until cancelled."""
        try:
            await self._resume()
            async with asyncio.TaskGroup() as tasks:
                for part in (self._tell(), self._pass_time(), self._watch_station(), self._act()):
                    tasks.create_task(part)
        finally:
            await self._end()

    async def order(self, order: Order) -> Verdict:
        """Take a request in; once it has been answered, `answered` begins it.

        Raises:
            StoreError: it could not be kept, and nothing has changed.
        """
        try:
            async with asyncio.timeout(DECIDE_WITHIN_S):
                await self._is_resumed.wait()  # a large file may have to be read first
        except TimeoutError:
            return Verdict.REJECTED
        verdict = verdict_on(self._state)
        if verdict is not Verdict.REJECTED:
            _LOG.info("firmware_ordered", request_id=order.request_id, verdict=verdict.value)
            await self._take(Ordered(order))
        return verdict

    def answered(self) -> None:
        """Begin what was ordered."""
        self._actions.put_nowait(_Begin())

    @property
    def status(self) -> Report:
        """What a trigger is answered with."""
        return firmware_job.status_of(self._state)

    async def send_status(self) -> None:
        """Send FirmwareStatusNotification now, with the word of OCPP 1.6 that is nearest (TriggerMessage)."""
        await self._send(Report(_PLAIN_WORDS.get(self.status.status, self.status.status)))

    async def send_signed_status(self) -> None:
        """Send SignedFirmwareStatusNotification now: a plain update is none of its own (ExtendedTriggerMessage)."""
        status = self.status
        is_signed_update = status.request_id is not None
        await self._send(status if is_signed_update else Report(Status.IDLE), is_signed_wanted=True)

    async def _send(self, report: Report, *, is_signed_wanted: bool = False) -> None:
        with suppress(EvchargeError):
            await self._context.line.call(_notification(report, is_signed_wanted=is_signed_wanted))

    def as_json(self) -> dict[str, object]:
        """The update for people to see; names are only added."""
        job = self._state.job
        running = [view.as_json() for view in self._tools.transfers.running.values()]
        return {
            "stage": None if job is None else job.stage.value,
            "status": self.status.status.value,
            "transfers": running,
        }

    # --- moving the job -----------------------------------------------------------------------------------

    async def _take(self, event: Event) -> None:
        async with self._turn:
            state, actions = firmware_job.step(self._state, event, self._context.clock.now())
            if state.job != self._state.job:
                try:
                    await self._keep(state.job)
                except StoreError as error:
                    _LOG.error("firmware_job_not_kept", reason=error.reason)
                    if isinstance(event, Ordered):
                        raise
                    state, actions = self._without_disk(state, actions)
            self._state = state
            for action in actions:
                self._actions.put_nowait(action)
        self._changed.notify()

    def _without_disk(self, state: State, actions: Actions) -> firmware_job.Step:
        """What is not on the disk is not installed: after a power cut nobody would know of it."""
        if not any(isinstance(action, Install) for action in actions):
            return state, actions
        return firmware_job.step(state, InstallEnded(state.serial, Outcome.FAILED), self._context.clock.now())

    async def _keep(self, job: Job | None) -> None:
        put = {} if job is None else {_JOB: json.dumps(encode(job))}
        await self._tools.shelves.keep(SHELF, put, is_whole=True)

    async def _resume(self) -> None:
        transfers = self._tools.transfers
        job = await self._kept_job()
        digest = ""
        with suppress(OSError, SpoolError):
            if job is None:
                await transfers.run(functools.partial(transfers.spool.discard, FILE))
            else:
                digest = await self._digest()
        if job is not None:
            self._state = State(job)
            _LOG.info("firmware_job_resumed", stage=job.stage.value)
            await self._take(self._resumption(job, digest))
        self._is_resumed.set()

    def _resumption(self, job: Job, digest: str) -> Event:
        """How an earlier run's job goes on. What is unsigned ends where that is no longer allowed."""
        is_begun = job.stage in (Stage.INSTALLING, Stage.REBOOTING, Stage.OVER)
        if job.order.is_signed or self._is_unsigned_allowed or is_begun:
            return Resumed(self._tools.updater.digest, digest)
        _LOG.warning("firmware_unsigned_job_refused")
        self._state = State(replace(job, stage=Stage.DOWNLOADING))
        return FetchFailed(self._state.serial, is_final=True)

    async def _kept_job(self) -> Job | None:
        try:
            text = (await self._tools.shelves.kept(SHELF)).get(_JOB)
            return None if text is None else decode(Job, json.loads(text))
        except (StoreError, InvalidFieldError, ValueError) as error:
            _LOG.error("firmware_job_unreadable", reason=type(error).__name__)
            return None

    async def _digest(self) -> str:
        path = self._tools.transfers.spool.path(FILE)
        return await self._tools.transfers.run(lambda: digest_of(path) if path.is_file() else "")

    async def _pass_time(self) -> None:
        while True:
            wait_s = firmware_job.next_look_s(self._state, self._context.clock.now())
            if not await self._changed.wait(None if wait_s is None else max(wait_s, 0.05)):
                await self._take(TimePassed())

    async def _tell(self) -> None:
        while True:
            await self._changed.wait_until(lambda: self._state.job is not None and bool(self._state.job.reports))
            job = self._state.job
            if job is not None and job.reports:
                await deliver(self._context.line, _notification(job.reports[0]))
                await self._take(Reported())

    async def _watch_station(self) -> None:
        while True:
            await self._changed.wait_until(self._is_waiting)
            answer = await self._context.ask(UpdateAsked)
            if answer is not None and answer.is_accepted and self._is_waiting():
                await self._take(StationCleared())
            else:
                await asyncio.sleep(ASK_EVERY_S)

    def _is_waiting(self) -> bool:
        """And all that was to be done before has been: the station is held."""
        return self._state.job is not None and self._state.job.stage is Stage.WAITING and self._actions.empty()

    # --- what the job asks for ----------------------------------------------------------------------------

    async def _act(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            while True:
                action = await self._actions.get()
                match action:
                    case Download(serial):
                        self._begin(tasks, self._download(serial), FetchFailed(serial, is_final=True))
                    case Verify(serial):
                        self._begin(tasks, self._verify(serial), Verified(serial, is_valid=False))
                    case Install(serial):
                        self._begin(tasks, self._install(serial), InstallEnded(serial, Outcome.FAILED))
                    case Hold(is_wanted):
                        self._context.inbox.post(UpdateAwaited(is_wanted))
                        self._changed.notify()
                    case Discard():
                        await self._discard()
                    case Announce(event_type, info):
                        self._tools.announce(event_type, info)
                    case Restart():
                        _LOG.info("firmware_restarts_the_agent")
                        self._context.inbox.post(ResetOrdered(is_hard=False))
                    case _Begin():
                        await self._take(Answered())

    def _begin(self, tasks: asyncio.TaskGroup, work: Coroutine[Any, Any, None], failure: Event) -> None:
        self._work = tasks.create_task(self._contained(work, failure))

    async def _contained(self, work: Coroutine[Any, Any, None], failure: Event) -> None:
        """A mistake of ours fails the update, not the connection; after a restart it would only happen again."""
        try:
            await work
        except Exception:  # noqa: BLE001 - whatever it is, it is logged and the update has failed
            _LOG.exception("firmware_work_failed")
            await self._take(failure)

    async def _download(self, serial: int) -> None:
        job, transfers = self._state.job, self._tools.transfers
        if job is None:
            return
        try:
            if self._fetch is None:
                self._fetch = await transfers.begin(FILE, MAX_FIRMWARE_BYTES)
            found = await transfers.fetch(job.order.location, self._fetch)
        except (TransferError, SpoolError) as error:
            is_final = isinstance(error, SpoolError) or error.is_final
            _LOG.warning("firmware_download_failed", reason=str(error), attempt=job.begun, is_final=is_final)
            await self._take(FetchFailed(serial, is_final))
        else:
            self._close()
            await self._take(Fetched(serial, found.digest))

    async def _verify(self, serial: int) -> None:
        job = self._state.job
        if job is None:
            return
        path, order = self._tools.transfers.spool.path(FILE), job.order
        try:
            is_valid = await self._tools.transfers.run(
                functools.partial(is_signed, path, order.signing_certificate, order.signature)
            )
        except OSError:
            is_valid = False
        await self._take(Verified(serial, is_valid))

    async def _install(self, serial: int) -> None:
        job = self._state.job
        if job is None:
            return
        path, digest = self._tools.transfers.spool.path(FILE), job.digest

        def work() -> str | None:
            if digest_of(path) != digest:
                return "the file has changed since it was checked"
            return self._tools.updater.install(path, digest)

        self._installing = asyncio.ensure_future(self._tools.transfers.run(work))
        try:
            refusal = await asyncio.shield(self._installing)
        except OSError as error:
            _LOG.error("firmware_not_installed", reason=error.strerror)
            outcome = Outcome.FAILED
        else:
            outcome = Outcome.INSTALLED if refusal is None else Outcome.UNUSABLE
            _LOG.info("firmware_install_ended", outcome=outcome.value, reason=refusal)
        await self._take(InstallEnded(serial, outcome))

    async def _discard(self) -> None:
        """End the work under way. What asked for this has ended by itself, or ends now."""
        if self._work is not None and not self._work.done():
            self._work.cancel()
            await asyncio.gather(self._work, return_exceptions=True)
        self._close()
        transfers = self._tools.transfers
        with suppress(SpoolError):
            await transfers.run(functools.partial(transfers.spool.discard, FILE))

    def _close(self) -> None:
        if self._fetch is not None:
            self._fetch.file.close()
            self._fetch = None

    async def _end(self) -> None:
        """An installation cannot be ended; the next start must not find it half known."""
        self._close()
        if self._installing is not None and not self._installing.done():
            await asyncio.wait([self._installing])


_PLAIN_WORDS = {
    Status.DOWNLOAD_SCHEDULED: Status.IDLE,
    Status.DOWNLOAD_PAUSED: Status.DOWNLOADING,
    Status.SIGNATURE_VERIFIED: Status.DOWNLOADED,
    Status.INSTALL_SCHEDULED: Status.DOWNLOADED,
    Status.INSTALL_REBOOTING: Status.INSTALLING,
}
"""FirmwareStatusNotification has seven words only (OCPP 1.6, 7.25)."""


def _notification(report: Report, *, is_signed_wanted: bool = False) -> object:
    status = FirmwareStatus(report.status.value)
    if report.request_id is None and not is_signed_wanted:
        return call.FirmwareStatusNotification(status=status)
    # Idle belongs to no request; the library leaves None out.
    request_id: Any = report.request_id
    return call.SignedFirmwareStatusNotification(status=status, request_id=request_id)
