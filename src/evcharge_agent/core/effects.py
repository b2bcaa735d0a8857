"""Everything the core can ask of its shells, imperative and complete in itself."""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

from evcharge_agent.core.events import RequestId
from evcharge_agent.core.facts import (
    IdTag,
    IdTagInfo,
    Instant,
    MeterSample,
    Shelf,
    TransactionKey,
    TransactionStart,
    TransactionStop,
)
from evcharge_hal.contract.channel import ClearFault, Indicate, RaiseFault, ResetGuard, SetPoint, Unlock
from evcharge_hal.contract.units import WattHours


class ConnectorState(enum.Enum):
    """OCPP's word for a connector; derived, never stored."""

    AVAILABLE = "Available"
    PREPARING = "Preparing"
    CHARGING = "Charging"
    SUSPENDED_EV = "SuspendedEV"
    SUSPENDED_EVSE = "SuspendedEVSE"
    FINISHING = "Finishing"
    RESERVED = "Reserved"
    UNAVAILABLE = "Unavailable"
    FAULTED = "Faulted"


@dataclass(frozen=True, slots=True)
class TellGuard:
    """Send one message on the guard channel. Repeated set-points come from here too."""

    message: SetPoint | Indicate | RaiseFault | ClearFault | Unlock | ResetGuard


@dataclass(frozen=True, slots=True)
class CommitStart:
    """Write the start durably, then answer with `StartCommitted` or `CommitFailed`."""

    start: TransactionStart


@dataclass(frozen=True, slots=True)
class CommitStop:
    """Write the stop durably. Energy has already been told to stop."""

    stop: TransactionStop
    end: MeterSample | None = None
    """The last sample, which goes out before the stop."""
    is_held: bool = False
    """Both hold what is known now; nothing goes out before `FinishStop` says how it ended."""


@dataclass(frozen=True, slots=True)
class FinishStop:
    """Give a held stop its final values and let it go out; a crash before that lets it go out as it is."""

    transaction: TransactionKey
    meter_stop_wh: WattHours
    """The register after the energy really ended."""
    stopped: Instant
    end: MeterSample | None = None
    """The last sample, in place of the one that came with the stop."""


@dataclass(frozen=True, slots=True)
class CommitSample:
    """Queue a sample; of a transaction durably, otherwise only while connected."""

    sample: MeterSample


@dataclass(frozen=True, slots=True)
class KeepRegister:
    """Keep the register of a running transaction; a loss of power then costs a minute, whatever is sampled."""

    transaction: TransactionKey
    energy_wh: WattHours
    at: Instant


@dataclass(frozen=True, slots=True)
class RememberAuthorisation:
    """Keep a verdict of the central system for offline use."""

    id_tag: IdTag
    info: IdTagInfo


@dataclass(frozen=True, slots=True)
class ForgetAuthorisations:
    """Drop all verdicts that were kept, durably, then answer the request: accepted, or why not."""

    request: RequestId


@dataclass(frozen=True, slots=True)
class RememberAvailability:
    """Keep which connectors are ordered out of service, 0 for all; answered by `AvailabilityKept`."""

    inoperative: frozenset[int]
    request: RequestId
    """Comes back with `AvailabilityKept`."""


@dataclass(frozen=True, slots=True)
class Keep:
    """Write to a shelf durably, all of it or nothing; answered by `Kept`."""

    shelf: Shelf
    put: Mapping[str, object]
    """Values of the shelf's type, by name."""
    remove: frozenset[str] = frozenset()
    is_whole: bool = False
    """What is not in `put` is removed."""
    request: RequestId | None = None
    """Comes back with `Kept`."""


@dataclass(frozen=True, slots=True)
class Restart:
    """End this process once everything above is on the disk; a supervisor starts it again.

    Soft: what can be delivered to the central system is delivered first, within a bound.
    """

    is_hard: bool


@dataclass(frozen=True, slots=True)
class AskAuthorize:
    """Ask the central system; answered by `AuthorizeAnswered` with the same request."""

    request: RequestId
    id_tag: IdTag


@dataclass(frozen=True, slots=True)
class ReportStatus:
    """A connector's state changed; connector 0 is the station."""

    connector: int
    state: ConnectorState
    error_code: str
    info: str
    vendor_error_code: str
    at: Instant


@dataclass(frozen=True, slots=True)
class Answer:
    """The outcome of a request."""

    request: RequestId
    is_accepted: bool
    reason: str = ""
    """Stable code."""
    text: str = ""
    """The same for a person."""


class Level(enum.Enum):
    """How loud a note is."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Note:
    """Something for the log: a stable event name and plain fields. Id tags are shortened by the shell."""

    event: str
    level: Level = Level.INFO
    connector: int | None = None
    transaction: str | None = None
    fields: Mapping[str, object] = field(default_factory=dict)


Effect = (
    TellGuard
    | CommitStart
    | CommitStop
    | FinishStop
    | CommitSample
    | KeepRegister
    | RememberAuthorisation
    | ForgetAuthorisations
    | RememberAvailability
    | Keep
    | Restart
    | AskAuthorize
    | ReportStatus
    | Answer
    | Note
)
