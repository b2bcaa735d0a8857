"""One firmware update, from the request to the word that it runs (OCPP 1.6, 4.5 and 5.19; security white paper L01).

Pure: `step(state, event, now) -> (state, actions)`. What is in `Job` is on the disk before an action is carried out;
`Resumed` is the first event after a restart, and leads from wherever the power was cut to a defined end: the download
begins again, or the failure is told. Nothing is installed twice.

The order of the notifications (those in brackets are the signed update's only):

    [DownloadScheduled] Downloading [DownloadPaused Downloading …] Downloaded [SignatureVerified] [InstallScheduled]
    Installing [InstallRebooting] Installed

or, instead of what would have come next: DownloadFailed, [InvalidSignature], [InstallVerificationFailed],
InstallationFailed.
"""

import enum
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from evcharge_agent.core.facts import Instant
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

BEGIN_WITHIN_S = 10.0
"""A job whose answer could not be sent begins all the same."""
TELL_BEFORE_RESTART_S = 10.0
"""How long the restart waits for what there is to tell before it."""
LOOK_EVERY_S = 10.0
"""A date is looked at this often: the clock may be set meanwhile."""
SAY_THAT_IT_WAITS_AFTER_S = 1.0
"""An installation that need not wait begins at once, and nobody is told that it is scheduled."""
MOST_TO_TELL = 200
"""A central system that asks for updates and takes no notification is refused."""


Step = tuple[State, Actions]


class Verdict(enum.Enum):
    """What becomes of a request."""

    ACCEPTED = "Accepted"
    ACCEPTED_CANCELED = "AcceptedCanceled"
    """An update that was under way ends for it (L01.FR.24)."""
    REJECTED = "Rejected"
    """An installation cannot be ended."""


_INSTALLS = (Stage.INSTALLING, Stage.REBOOTING)
_HAS_FILE = (Stage.VERIFYING, Stage.INSTALL_SCHEDULED, Stage.WAITING)


def verdict_on(state: State) -> Verdict:
    """Say what would become of a request now."""
    if state.job is not None and len(state.job.reports) >= MOST_TO_TELL:
        return Verdict.REJECTED
    if state.job is None or state.job.stage is Stage.OVER:
        return Verdict.ACCEPTED
    return Verdict.REJECTED if state.job.stage in _INSTALLS else Verdict.ACCEPTED_CANCELED


def status_of(state: State) -> Report:
    """What a trigger is answered with: Idle while nothing is under way (OCPP 1.6, 4.5)."""
    job = state.job
    if job is None or job.told is None or job.stage is Stage.OVER:
        return Report(Status.IDLE)
    return Report(job.told, job.order.request_id)


def next_look_s(state: State, now: Instant) -> float | None:
    """In how many seconds `TimePassed` is due at the latest; None: only events move the job."""
    if state.job is None:
        return None
    if state.job.stage in (Stage.SCHEDULED, Stage.INSTALL_SCHEDULED):
        date_s = _date_of(state.job)
        wait_s = date_s - now.utc_s if now.is_utc_trusted else LOOK_EVERY_S
        return min(max(wait_s, 0.0), LOOK_EVERY_S)
    return None if state.due_s is None else max(state.due_s - now.monotonic_s, 0.0)


def step(state: State, event: Event, now: Instant) -> Step:
    """Take one event. An event that does not fit the stage changes nothing."""
    if isinstance(event, Ordered):
        return _order(state, event.order, now)
    if state.job is None:
        return state, ()
    if isinstance(event, Reported):
        return _reported(state, state.job)
    if isinstance(event, Resumed):
        return _resume(state, state.job, event, now)
    handler = _TABLE.get((state.job.stage, type(event)))
    if handler is None or getattr(event, "serial", state.serial) != state.serial:
        return state, ()
    return handler(state, state.job, event, now)


# --- transitions ------------------------------------------------------------------------------------------


def _order(state: State, order: Order, now: Instant) -> Step:
    """Begin anew; what the old job still has to tell goes out first."""
    verdict = verdict_on(state)
    if verdict is Verdict.REJECTED:
        return state, ()
    left = () if state.job is None else state.job.reports
    fresh = State(Job(order, reports=left), due_s=now.monotonic_s + BEGIN_WITHIN_S, serial=state.serial + 1)
    return fresh, (Discard(), Hold(is_wanted=False)) if verdict is Verdict.ACCEPTED_CANCELED else ()


def _begin(state: State, job: Job, event: Any, now: Instant) -> Step:
    if isinstance(event, TimePassed) and not _is_due(state, now):
        return state, ()
    if _has_come(job.order.retrieve_utc_s, now):
        return _download(state, job)
    return _put(state, _tell(job, Status.DOWNLOAD_SCHEDULED, is_signed_only=True), Stage.SCHEDULED)


def _check_retrieve_date(state: State, job: Job, _: Any, now: Instant) -> Step:
    return _download(state, job) if _has_come(job.order.retrieve_utc_s, now) else (state, ())


def _retry(state: State, job: Job, _: Any, now: Instant) -> Step:
    return _download(state, job) if _is_due(state, now) else (state, ())


def _download(state: State, job: Job) -> Step:
    """Begin an attempt, or give up when there was the last one."""
    if job.begun >= job.order.attempts:
        return _fail(state, job, Status.DOWNLOAD_FAILED)
    # A plain update knows no pause: its attempts are one download.
    told = job if job.told is Status.DOWNLOADING else _tell(job, Status.DOWNLOADING)
    begun = replace(told, begun=job.begun + 1, digest="")
    return _work(state, begun, Stage.DOWNLOADING, Download)


def _fetched(state: State, job: Job, event: Fetched, now: Instant) -> Step:
    arrived = _tell(replace(job, digest=event.digest), Status.DOWNLOADED)
    if job.order.is_signed:
        return _work(state, arrived, Stage.VERIFYING, Verify)
    return _plan_install(state, arrived, now)


def _fetch_failed(state: State, job: Job, event: FetchFailed, now: Instant) -> Step:
    if event.is_final or job.begun >= job.order.attempts:
        return _fail(state, job, Status.DOWNLOAD_FAILED)
    paused = _tell(job, Status.DOWNLOAD_PAUSED, is_signed_only=True)
    return _put(state, paused, Stage.PAUSED, due_s=now.monotonic_s + job.order.interval_s)


def _verified(state: State, job: Job, event: Verified, now: Instant) -> Step:
    if not event.is_valid:
        failed, actions = _fail(state, job, Status.INVALID_SIGNATURE)
        return failed, (*actions, Announce("InvalidFirmwareSignature"))
    return _plan_install(state, _tell(job, Status.SIGNATURE_VERIFIED), now)


def _plan_install(state: State, job: Job, now: Instant) -> Step:
    date_s = job.order.install_utc_s
    if date_s is not None and not _has_come(date_s, now):
        return _put(state, _tell(job, Status.INSTALL_SCHEDULED, is_signed_only=True), Stage.INSTALL_SCHEDULED)
    return _wait(state, job, now)


def _wait(state: State, job: Job, now: Instant) -> Step:
    """For those who charge (L01.FR.16)."""
    due_s = now.monotonic_s + SAY_THAT_IT_WAITS_AFTER_S
    return _put(state, job, Stage.WAITING, Hold(is_wanted=True), due_s=due_s)


def _say_that_it_waits(state: State, job: Job, _: Any, now: Instant) -> Step:
    if not _is_due(state, now):
        return state, ()
    told = job if job.told is Status.INSTALL_SCHEDULED else _tell(job, Status.INSTALL_SCHEDULED, is_signed_only=True)
    return _put(state, told, Stage.WAITING)


def _check_install_date(state: State, job: Job, _: Any, now: Instant) -> Step:
    return _wait(state, job, now) if _has_come(_date_of(job), now) else (state, ())


def _install(state: State, job: Job, _: Any, __: Instant) -> Step:
    return _work(state, _tell(job, Status.INSTALLING), Stage.INSTALLING, Install)


def _install_ended(state: State, job: Job, event: InstallEnded, now: Instant) -> Step:
    if event.outcome is Outcome.INSTALLED:
        told = _tell(job, Status.INSTALL_REBOOTING, is_signed_only=True)
        after = replace(state, job=replace(told, stage=Stage.REBOOTING), due_s=now.monotonic_s + TELL_BEFORE_RESTART_S)
        return _restart_when_told(after, told)
    is_unusable = job.order.is_signed and event.outcome is Outcome.UNUSABLE
    return _fail(state, job, Status.INSTALL_VERIFICATION_FAILED if is_unusable else Status.INSTALLATION_FAILED)


def _check_restart(state: State, _: Job, __: Any, now: Instant) -> Step:
    if state.is_restart_asked or not _is_due(state, now):
        return state, ()
    return replace(state, is_restart_asked=True, due_s=None), (Restart(),)


def _reported(state: State, job: Job) -> Step:
    left = replace(job, reports=job.reports[1:])
    if left.stage is Stage.OVER and not left.reports:
        return replace(state, job=None, due_s=None), ()
    after = replace(state, job=left)
    return _restart_when_told(after, left) if left.stage is Stage.REBOOTING else (after, ())


def _restart_when_told(state: State, job: Job) -> Step:
    if job.reports or state.is_restart_asked:
        return state, ()
    return replace(state, is_restart_asked=True, due_s=None), (Restart(),)


def _resume(state: State, job: Job, event: Resumed, now: Instant) -> Step:
    if job.stage in _HAS_FILE and event.file_digest != job.digest:
        return _download(state, job)
    match job.stage:
        case Stage.ORDERED:
            return _begin(state, job, Answered(), now)
        case Stage.DOWNLOADING | Stage.PAUSED:
            return _download(state, job)
        case Stage.VERIFYING:
            return _work(state, job, Stage.VERIFYING, Verify)
        case Stage.WAITING:
            return _wait(state, job, now)
        case Stage.INSTALLING | Stage.REBOOTING:
            return _resume_install(state, job, event)
        case Stage.OVER if not job.reports:
            return replace(state, job=None), ()
        case _:
            return state, ()


def _resume_install(state: State, job: Job, event: Resumed) -> Step:
    """The slots tell: the new firmware runs, or it was never put in place."""
    if job.digest == "" or event.installed_digest != job.digest:
        return _fail(state, job, Status.INSTALLATION_FAILED)
    over, actions = _over(state, _tell(job, Status.INSTALLED))
    return over, (*actions, Announce("FirmwareUpdated"))


Handler = Callable[[State, Job, Any, Instant], Step]

_TABLE: Mapping[tuple[Stage, type], Handler] = {
    (Stage.ORDERED, Answered): _begin,
    (Stage.ORDERED, TimePassed): _begin,
    (Stage.SCHEDULED, TimePassed): _check_retrieve_date,
    (Stage.DOWNLOADING, Fetched): _fetched,
    (Stage.DOWNLOADING, FetchFailed): _fetch_failed,
    (Stage.PAUSED, TimePassed): _retry,
    (Stage.VERIFYING, Verified): _verified,
    (Stage.INSTALL_SCHEDULED, TimePassed): _check_install_date,
    (Stage.WAITING, StationCleared): _install,
    (Stage.WAITING, TimePassed): _say_that_it_waits,
    (Stage.INSTALLING, InstallEnded): _install_ended,
    (Stage.REBOOTING, TimePassed): _check_restart,
}


# --- parts ------------------------------------------------------------------------------------------------


def _date_of(job: Job) -> float:
    if job.stage is Stage.INSTALL_SCHEDULED and job.order.install_utc_s is not None:
        return job.order.install_utc_s
    return job.order.retrieve_utc_s


def _has_come(date_s: float, now: Instant) -> bool:
    """A date has come once a clock that is right says so; without one nobody knows."""
    return now.is_utc_trusted and now.utc_s >= date_s


def _is_due(state: State, now: Instant) -> bool:
    return state.due_s is None or now.monotonic_s >= state.due_s


def _tell(job: Job, status: Status, *, is_signed_only: bool = False) -> Job:
    if is_signed_only and not job.order.is_signed:
        return job
    return replace(job, told=status, reports=(*job.reports, Report(status, job.order.request_id)))


def _put(state: State, job: Job, stage: Stage, *actions: Action, due_s: float | None = None) -> Step:
    return replace(state, job=replace(job, stage=stage), due_s=due_s), actions


def _work(state: State, job: Job, stage: Stage, action: Callable[[int], Action]) -> Step:
    serial = state.serial + 1
    return replace(state, job=replace(job, stage=stage), due_s=None, serial=serial), (action(serial),)


def _fail(state: State, job: Job, status: Status) -> Step:
    return _over(state, _tell(job, status))


def _over(state: State, job: Job) -> Step:
    after = replace(state, job=replace(job, stage=Stage.OVER), due_s=None, serial=state.serial + 1)
    return after, (Discard(), Hold(is_wanted=False))
