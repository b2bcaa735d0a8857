"""Everything the core remembers, grouped by concern. Plain frozen values; the mappings are never changed in place."""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

from evcharge_agent.core.books import Alignment, ChargingBook, ListBook, Orders, Pending, ReservationBook
from evcharge_agent.core.charging_profiles import ChargingProfile
from evcharge_agent.core.effects import ConnectorState
from evcharge_agent.core.events import RequestId
from evcharge_agent.core.facts import (
    AuthorizationStatus,
    IdTag,
    IdTagInfo,
    Instant,
    MeterReading,
    OpenTransaction,
    StopReason,
    TransactionStart,
    TransactionStop,
)
from evcharge_agent.core.reasons import Reason
from evcharge_agent.core.rules import Rules
from evcharge_agent.core.session import Phase
from evcharge_hal.contract.channel import ConnectorRating, ConnectorStatus, Indication, SetPoint


class Origin(enum.Enum):
    """Who asked for a session."""

    CARD = "card"
    REMOTE = "remote"
    LOCAL = "local"


@dataclass(frozen=True, slots=True)
class Claim:
    """Somebody wants to charge here: from presenting an id until the transaction starts or it lapses."""

    id_tag: IdTag
    origin: Origin
    deadline_s: float
    """When ConnectionTimeOut is over."""
    connectors: tuple[int, ...] = ()
    """The claim goes with whichever of these is plugged in first."""
    answer_to: RequestId | None = None
    """Local request that waits for the verdict."""
    info: IdTagInfo | None = None
    """The verdict, once accepted."""
    profile: ChargingProfile | None = None
    """What RemoteStartTransaction brought for the transaction."""
    ready_s: float | None = None
    """When car, authorisation and guard were first all there; the meter is waited for from then on."""


@dataclass(frozen=True, slots=True)
class StopCause:
    """Why and when a transaction ends."""

    reason: StopReason
    at: Instant
    id_tag: IdTag | None = None
    """Only where somebody presented it to stop."""
    energy_wh: int | None = None
    """Register to close with; None takes the meter's."""


@dataclass(frozen=True, slots=True)
class Transaction:
    """One transaction that has no stop yet."""

    start: TransactionStart
    info: IdTagInfo
    began_s: float
    """Start on this boot's monotonic clock."""
    transaction_id: int | None = None
    """The central system's number."""
    next_sample: int = 1
    """Which multiple of the sample interval is due next."""
    register_kept_s: float | None = None
    """When this run last had the register written; None: not yet."""
    kept: OpenTransaction | None = None
    """What the store knew, if it comes from an earlier run."""
    is_of_earlier_boot: bool = False
    """It began on a monotonic clock that is gone; only UTC tells when."""
    is_after_boot: bool = False
    """The kernel has booted since: mains was lost (DESIGN D11)."""
    is_grace_over: bool = False
    """What MaxEnergyOnInvalidId leaves to an id that is not accepted has been taken."""

    @property
    def is_energy_refused(self) -> bool:
        """The central system does not accept the id and the transaction stays open (ocpp16.md rule 4)."""
        return self.info.status is not AuthorizationStatus.ACCEPTED and self.is_grace_over


@dataclass(frozen=True, slots=True)
class Ending:
    """A stop that is on the disk and waits for the register after the energy has really ended."""

    stop: TransactionStop
    """As written; its stamp moves to the moment the energy ended."""
    transaction: Transaction
    deadline_s: float
    """When it goes out with what is known."""
    off_s: float | None = None
    """Since when no energy can flow; None: not proven."""
    is_of_earlier_run: bool = False
    """Found on the disk: when the energy really ended, nobody saw."""


@dataclass(frozen=True, slots=True)
class Session:
    """Where one connector stands in the session table, and with whom."""

    phase: Phase = Phase.IDLE
    plug_id: str | None = None
    plugged: Instant | None = None
    """When this plug was bound."""
    claim: Claim | None = None
    transaction: Transaction | None = None
    held_stop: StopCause | None = None
    """A stop that came before the start was on the disk."""
    refusal: Reason | None = None
    """Why the last attempt came to nothing; until the next one or the unplug."""
    ending: Ending | None = None
    """The last transaction's stop, until it may go out."""


@dataclass(frozen=True, slots=True)
class KeptPlug:
    """A plug that stays locked after DeAuthorized, until whom it belongs to presents the id or one with its parent."""

    plug_id: str
    transaction: Transaction


@dataclass(frozen=True, slots=True)
class Meter:
    """The session meter of one connector."""

    since_s: float = 0.0
    """Watched since; a meter that never spoke is lost from then on."""
    reading: MeterReading | None = None
    read_s: float | None = None
    period_s: float = 1.0
    """How often it is read, as its poller says; else the time between the last two readings."""
    register_wh: int | None = None
    """Highest register value seen; never falls."""
    is_lost: bool = False
    is_register_low: bool = False
    """The meter says less than it said before; noted once."""


@dataclass(frozen=True, slots=True)
class Draw:
    """Watches that the car takes no more than it was offered."""

    offers: tuple[tuple[float, float], ...] = ()
    """(monotonic time, offer in A) of the last seconds; the oldest one covers the begin of the window."""
    exceeded_since_s: float | None = None
    is_overcurrent: bool = False


@dataclass(frozen=True, slots=True)
class Output:
    """What was last told to the guard."""

    offer_a: float = 0.0
    target_a: float = 0.0
    """What the limits allow; the offer follows."""
    raised_s: float | None = None
    """When the offer last rose."""
    is_permitted: bool = False
    set_point: SetPoint | None = None
    """None: must be sent as soon as the guard can hear it."""
    sent_s: float = 0.0
    indication: Indication | None = None
    acting: Reason | None = None
    """Why the limit stands that sets the target."""


@dataclass(frozen=True, slots=True)
class StatusReport:
    """What StatusNotification carries, without the time."""

    state: ConnectorState
    error_code: str = "NoError"
    info: str = ""
    vendor_error_code: str = ""


@dataclass(frozen=True, slots=True)
class Reported:
    """What the central system was told, and what waits for MinimumStatusDuration."""

    last: StatusReport | None = None
    pending: StatusReport | None = None
    since: Instant | None = None
    """When `pending` began."""


@dataclass(frozen=True, slots=True)
class Connector:
    """Everything about one connector."""

    number: int
    rating: ConnectorRating | None = None
    seen: ConnectorStatus | None = None
    """The guard's last word."""
    session: Session = field(default_factory=Session)
    meter: Meter = field(default_factory=Meter)
    draw: Draw = field(default_factory=Draw)
    output: Output = field(default_factory=Output)
    reported: Reported = field(default_factory=Reported)
    is_out: bool = False
    """Out of service by order of the central system; an order for a busy connector waits."""
    is_reserved: bool = False
    """Kept for somebody, and that is on the disk."""
    has_list_conflict: bool = False
    """The central system's last word on an id here contradicts the local list."""
    kept_plug: KeptPlug | None = None

    @property
    def kept_transaction(self) -> Transaction | None:
        """The transaction whose plug is kept, while that plug is in and nobody charges with it."""
        kept, session = self.kept_plug, self.session
        is_there = kept is not None and kept.plug_id == session.plug_id and session.transaction is None
        return kept.transaction if kept is not None and is_there else None


@dataclass(frozen=True, slots=True)
class Run:
    """What holds for the whole run of this process."""

    rules: Rules
    run_id: str
    boot_id: str
    next_number: int = 1
    """For transaction keys and request names."""


@dataclass(frozen=True, slots=True)
class Unplug:
    """An unplug with its true time, as the guard's event ring tells it."""

    connector: int
    plug_id: str | None
    at_s: float


@dataclass(frozen=True, slots=True)
class Ring:
    """What the guard's event ring told that a later decision needs. Times are monotonic."""

    last_number: int = 0
    coprocessor_up_s: float | None = None
    """Last time the link to the co-processor came up."""
    power_restored_s: float | None = None
    """Last time the co-processor came from a loss of mains; None once a plug has proved there was none."""
    unplugs: tuple[Unplug, ...] = ()
    """The latest ones, oldest first."""


@dataclass(frozen=True, slots=True)
class GuardLink:
    """The channel to the guard."""

    is_connected: bool = False
    is_current: bool = False
    """A status has arrived since the connection: what we know is true, and set-points may go out."""
    is_coprocessor_up: bool = False
    lost_s: float = 0.0
    """Since when it is not current."""
    guard_id: str | None = None
    ring: Ring = field(default_factory=Ring)


@dataclass(frozen=True, slots=True)
class CentralSystem:
    """The OCPP side as far as decisions depend on it."""

    is_connected: bool = False
    is_accepted: bool = False


@dataclass(frozen=True, slots=True)
class State:
    """The whole core."""

    run: Run | None = None
    """None until `Restored`; nothing else is heeded before."""
    guard: GuardLink = field(default_factory=GuardLink)
    central: CentralSystem = field(default_factory=CentralSystem)
    authorisations: Mapping[IdTag, IdTagInfo] = field(default_factory=dict)
    """Verdicts by id in upper case."""
    listed: ListBook = field(default_factory=ListBook)
    reserved: ReservationBook = field(default_factory=ReservationBook)
    connectors: Mapping[int, Connector] = field(default_factory=dict)
    pending: Pending = field(default_factory=Pending)
    reported: Reported = field(default_factory=Reported)
    """The station, which is connector 0."""
    orders: Orders = field(default_factory=Orders)
    charging: ChargingBook = field(default_factory=ChargingBook)
    aligned: Alignment | None = None
    """None while there are no clock-aligned samples."""
    is_time_known: bool = False
    """UTC was trusted at the last step."""
    stepped_s: float = 0.0
    """Time of the last step: all that was due by then has been looked at."""
