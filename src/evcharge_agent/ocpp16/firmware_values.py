"""What a firmware update is made of: the order, the job, what happens to it and what is to be done. Pure values."""

import enum
from dataclasses import dataclass

from evcharge_hal.contract.schema import declare

LATEST_UTC_S = 4_102_444_800.0
"""2100-01-01: no date beyond is believed."""


class Status(enum.Enum):
    """What is told; the values are OCPP's."""

    DOWNLOAD_SCHEDULED = "DownloadScheduled"
    DOWNLOADING = "Downloading"
    DOWNLOAD_PAUSED = "DownloadPaused"
    DOWNLOADED = "Downloaded"
    DOWNLOAD_FAILED = "DownloadFailed"
    SIGNATURE_VERIFIED = "SignatureVerified"
    INVALID_SIGNATURE = "InvalidSignature"
    INSTALL_SCHEDULED = "InstallScheduled"
    INSTALLING = "Installing"
    INSTALL_REBOOTING = "InstallRebooting"
    INSTALLED = "Installed"
    INSTALL_VERIFICATION_FAILED = "InstallVerificationFailed"
    INSTALLATION_FAILED = "InstallationFailed"
    IDLE = "Idle"


class Stage(enum.Enum):
    """Where a job stands."""

    ORDERED = "ordered"
    """Accepted; the answer is on its way."""
    SCHEDULED = "scheduled"
    """Not before `retrieve_utc_s`."""
    DOWNLOADING = "downloading"
    PAUSED = "paused"
    """Between two attempts."""
    VERIFYING = "verifying"
    INSTALL_SCHEDULED = "install_scheduled"
    """Not before `install_utc_s`."""
    WAITING = "waiting"
    """For those who charge; the free connectors are out of service."""
    INSTALLING = "installing"
    REBOOTING = "rebooting"
    OVER = "over"
    """Only notifications are left."""


@dataclass(frozen=True, slots=True)
class Order:
    """What was asked for."""

    location: str = declare("Address", max_length=4096)
    retrieve_utc_s: float = declare("Not to be got before", ge=0.0, le=LATEST_UTC_S)
    attempts: int = declare("Most downloads that are tried", ge=1, le=100)
    interval_s: int = declare("From a failed download to the next", unit="s", ge=0, le=86_400)
    request_id: int | None = declare("Of a signed update; None: UpdateFirmware", default=None)
    install_utc_s: float | None = declare("Not to be installed before", default=None, ge=0.0, le=LATEST_UTC_S)
    signing_certificate: str = declare("PEM", default="", max_length=5500)
    signature: str = declare("Base64", default="", max_length=800)

    @property
    def is_signed(self) -> bool:
        """SignedUpdateFirmware."""
        return self.request_id is not None

    def __repr__(self) -> str:
        return f"Order(request_id={self.request_id})"  # the address may hold a password


@dataclass(frozen=True, slots=True)
class Report:
    """One notification that has not been answered yet."""

    status: Status = declare("Status")
    request_id: int | None = declare("Of a signed update", default=None)


@dataclass(frozen=True, slots=True)
class Job:
    """The part that is on the disk."""

    order: Order = declare("What was asked for")
    stage: Stage = declare("Where it stands", default=Stage.ORDERED)
    begun: int = declare("Downloads begun", default=0, ge=0, le=1000)
    digest: str = declare("SHA-256 of the file that arrived", default="", max_length=64)
    told: Status | None = declare("The last notification", default=None)
    reports: tuple[Report, ...] = declare("To be told, oldest first", default=(), max_length=1000)


@dataclass(frozen=True, slots=True)
class State:
    """The job and what only this run knows of it."""

    job: Job | None = None
    due_s: float | None = None
    """Monotonic: when something happens without any event."""
    serial: int = 0
    """Of the work under way; results of earlier work are not heeded."""
    is_restart_asked: bool = False


# --- what happens -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Ordered:
    """A request, accepted (`verdict_on`)."""

    order: Order


@dataclass(frozen=True, slots=True)
class Answered:
    """The request was answered."""


@dataclass(frozen=True, slots=True)
class TimePassed:
    """Something may be due."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """The file is there."""

    serial: int
    digest: str


@dataclass(frozen=True, slots=True)
class FetchFailed:
    """An attempt failed; final: others would, too."""

    serial: int
    is_final: bool


@dataclass(frozen=True, slots=True)
class Verified:
    """The signature was checked."""

    serial: int
    is_valid: bool


@dataclass(frozen=True, slots=True)
class StationCleared:
    """Nobody is served, and nobody will be before the hold is over."""


class Outcome(enum.Enum):
    """How an installation ended."""

    INSTALLED = "installed"
    """It runs after the restart."""
    UNUSABLE = "unusable"
    """The file is no firmware for this charger, or an older one."""
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class InstallEnded:
    """The installer is done."""

    serial: int
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Resumed:
    """The process has started."""

    installed_digest: str
    """Of the file the running firmware came from; empty: not known."""
    file_digest: str
    """Of the downloaded file; empty: there is none."""


@dataclass(frozen=True, slots=True)
class Reported:
    """The oldest notification was answered, or given up."""


Event = (
    Ordered
    | Answered
    | TimePassed
    | Fetched
    | FetchFailed
    | Verified
    | StationCleared
    | InstallEnded
    | Resumed
    | Reported
)


# --- what is to be done -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Download:
    """Make an attempt; answered by `Fetched` or `FetchFailed`."""

    serial: int


@dataclass(frozen=True, slots=True)
class Verify:
    """Check the signature over the file; answered by `Verified`."""

    serial: int


@dataclass(frozen=True, slots=True)
class Install:
    """Install the file; answered by `InstallEnded`."""

    serial: int


@dataclass(frozen=True, slots=True)
class Hold:
    """Take whoever is free out of service, and whoever becomes free; or put them back."""

    is_wanted: bool


@dataclass(frozen=True, slots=True)
class Discard:
    """End what is under way and remove the file."""


@dataclass(frozen=True, slots=True)
class Restart:
    """End the process; a supervisor starts it again."""


@dataclass(frozen=True, slots=True)
class Announce:
    """A security event (white paper A04)."""

    event_type: str
    info: str = ""


Action = Download | Verify | Install | Hold | Discard | Restart | Announce
Actions = tuple[Action, ...]
Step = tuple[State, Actions]
