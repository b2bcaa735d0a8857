"""Everything the core can be told: one class for each fact from outside, none for internal hand-over."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NewType

from evcharge_agent.core.charging_profiles import ChargingProfile, Criteria, Installed
from evcharge_agent.core.facts import HeldStop, IdTag, IdTagInfo, MeterReading, OpenTransaction, Shelf, TransactionKey
from evcharge_agent.core.local_list import LocalList, Update
from evcharge_agent.core.reservations import Reservation
from evcharge_agent.core.rules import Rules
from evcharge_hal.contract.channel import GuardEvent, Reply, Status, Welcome
from evcharge_hal.contract.faults import FaultCode

RequestId = NewType("RequestId", str)
"""Names a request whose outcome somebody waits for; answered by exactly one `Answer`."""


# --- start and time ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Restored:
    """What the store knew at start. First event of every run."""

    rules: Rules
    open_transactions: tuple[OpenTransaction, ...]
    authorisations: Mapping[IdTag, IdTagInfo]
    boot_id: str
    """Kernel boot this run belongs to."""
    run_id: str
    """Drawn by the shell; the core names its transactions and requests after it."""
    inoperative: frozenset[int] = frozenset()
    """Connectors ordered out of service; 0 stands for all."""
    local_list: LocalList = LocalList()
    charging_profiles: tuple[Installed, ...] = ()
    reservations: tuple[Reservation, ...] = ()
    held_stops: tuple[HeldStop, ...] = ()


@dataclass(frozen=True, slots=True)
class TimePassed:
    """`next_deadline` was reached."""


@dataclass(frozen=True, slots=True)
class RulesChanged:
    """A setting was changed at run time; the whole new set of rules."""

    rules: Rules


# --- guard ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class GuardConnected:
    """The handshake is done; its missed events follow as `GuardReported`."""

    welcome: Welcome


@dataclass(frozen=True, slots=True)
class GuardLost:
    """The channel broke."""


@dataclass(frozen=True, slots=True)
class StatusReceived:
    """The guard's view of all connectors."""

    status: Status


@dataclass(frozen=True, slots=True)
class GuardReported:
    """One fact with its true time, possibly from before this process started."""

    event: GuardEvent


@dataclass(frozen=True, slots=True)
class GuardReplied:
    """Answer to a numbered request such as `AskClearFault`."""

    reply: Reply


# --- instruments ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class MeterRead:
    """A session meter gave a reading; its age is zero now."""

    connector: int
    reading: MeterReading
    period_s: float | None = None
    """How often the meter is read; None: not known, so the time between readings tells."""


@dataclass(frozen=True, slots=True)
class MeterFailed:
    """A session meter gave nothing, or something implausible."""

    connector: int
    reason: str


@dataclass(frozen=True, slots=True)
class CardPresented:
    """A card was held to a reader that serves these connectors."""

    id_tag: IdTag
    connectors: tuple[int, ...]


# --- central system ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CentralSystemChanged:
    """The OCPP link went up or down, or BootNotification was answered."""

    is_connected: bool
    is_accepted: bool
    """The central system has accepted the boot; stays true over a mere reconnect."""


@dataclass(frozen=True, slots=True)
class AuthorizeAnswered:
    """Answer to `AskAuthorize`; None when no answer came (offline, time-out, CALLERROR)."""

    request: RequestId
    info: IdTagInfo | None


@dataclass(frozen=True, slots=True)
class TransactionRegistered:
    """StartTransaction was answered, perhaps hours after the start."""

    transaction: TransactionKey
    transaction_id: int
    info: IdTagInfo


@dataclass(frozen=True, slots=True)
class TagInfoLearned:
    """StopTransaction's answer carried idTagInfo."""

    id_tag: IdTag
    info: IdTagInfo


@dataclass(frozen=True, slots=True)
class RemoteStartRequested:
    """RemoteStartTransaction; the answer goes out before anything else happens."""

    request: RequestId
    id_tag: IdTag
    connector: int | None
    profile: ChargingProfile | None = None
    """Comes into force with the transaction."""


@dataclass(frozen=True, slots=True)
class RemoteStopRequested:
    """RemoteStopTransaction by the central system's number."""

    request: RequestId
    transaction_id: int


@dataclass(frozen=True, slots=True)
class UnlockAsked:
    """UnlockConnector; the answer's reason is an `UnlockOutcome`."""

    request: RequestId
    connector: int


@dataclass(frozen=True, slots=True)
class AvailabilityAsked:
    """ChangeAvailability. Answered once it is on the disk; the answer's reason says whether it has to wait."""

    request: RequestId
    connector: int
    """0 is the station."""
    is_operative: bool


@dataclass(frozen=True, slots=True)
class AvailabilityOrdered:
    """The answer to ChangeAvailability has been sent: what is on the disk acts."""

    connector: int
    is_operative: bool


@dataclass(frozen=True, slots=True)
class ResetOrdered:
    """Reset, answered and to be carried out."""

    is_hard: bool


@dataclass(frozen=True, slots=True)
class CacheClearRequested:
    """ClearCache."""

    request: RequestId


@dataclass(frozen=True, slots=True)
class LocalListSent:
    """SendLocalList; answered when it is on the disk."""

    request: RequestId
    update: Update


@dataclass(frozen=True, slots=True)
class ChargingProfileSet:
    """SetChargingProfile; acts at once, is answered when it is on the disk."""

    request: RequestId
    connector: int
    """0 is the station."""
    profile: ChargingProfile


@dataclass(frozen=True, slots=True)
class ChargingProfilesCleared:
    """ClearChargingProfile; acts at once, is answered when it is on the disk."""

    request: RequestId
    criteria: Criteria


@dataclass(frozen=True, slots=True)
class UpdateAwaited:
    """Firmware waits to be installed, or does no more: meanwhile whoever is free is out of service."""

    is_awaited: bool


@dataclass(frozen=True, slots=True)
class UpdateAsked:
    """May firmware be installed now? Accepted once nobody is served and nobody can be."""

    request: RequestId


@dataclass(frozen=True, slots=True)
class ReserveRequested:
    """ReserveNow; answered when it is on the disk."""

    request: RequestId
    reservation: Reservation


@dataclass(frozen=True, slots=True)
class CancelRequested:
    """CancelReservation; answered when it is on the disk."""

    request: RequestId
    reservation_id: int


@dataclass(frozen=True, slots=True)
class SampleRequested:
    """TriggerMessage for MeterValues, answered; None means every connector."""

    connector: int | None


# --- store ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class StartCommitted:
    """The start is on the disk: energy may flow."""

    transaction: TransactionKey


@dataclass(frozen=True, slots=True)
class CommitFailed:
    """A write failed; a start that failed refuses the session."""

    transaction: TransactionKey
    is_start: bool
    reason: str


@dataclass(frozen=True, slots=True)
class AvailabilityKept:
    """`RememberAvailability` was carried out; not kept: nothing on the disk has changed."""

    is_kept: bool
    request: RequestId


@dataclass(frozen=True, slots=True)
class Kept:
    """A `Keep` was carried out; not kept: nothing on the disk has changed."""

    shelf: Shelf
    is_kept: bool
    request: RequestId | None


# --- people on the spot -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class StartRequested:
    """Start from the local command line or page."""

    request: RequestId
    connector: int
    id_tag: IdTag


@dataclass(frozen=True, slots=True)
class StopRequested:
    """Stop from the local command line or page."""

    request: RequestId
    connector: int


@dataclass(frozen=True, slots=True)
class ClearFaultRequested:
    """Somebody acknowledged a fault."""

    request: RequestId
    connector: int
    code: FaultCode


Event = (
    Restored
    | TimePassed
    | RulesChanged
    | GuardConnected
    | GuardLost
    | StatusReceived
    | GuardReported
    | GuardReplied
    | MeterRead
    | MeterFailed
    | CardPresented
    | CentralSystemChanged
    | AuthorizeAnswered
    | TransactionRegistered
    | TagInfoLearned
    | RemoteStartRequested
    | RemoteStopRequested
    | UnlockAsked
    | AvailabilityAsked
    | AvailabilityOrdered
    | AvailabilityKept
    | ResetOrdered
    | CacheClearRequested
    | LocalListSent
    | ChargingProfileSet
    | ChargingProfilesCleared
    | UpdateAwaited
    | UpdateAsked
    | ReserveRequested
    | CancelRequested
    | SampleRequested
    | StartCommitted
    | CommitFailed
    | Kept
    | StartRequested
    | StopRequested
    | ClearFaultRequested
)
