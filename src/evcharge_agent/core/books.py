"""What the station has been ordered, asked and promised, beside its sessions: part of the state, as plain frozen values."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from evcharge_agent.core.charging_profiles import Book
from evcharge_agent.core.effects import CommitStop, FinishStop
from evcharge_agent.core.events import RequestId
from evcharge_agent.core.facts import IdTag, TransactionKey
from evcharge_agent.core.local_list import LocalList
from evcharge_agent.core.reservations import Reservation
from evcharge_agent.core.spans import Spans


@dataclass(frozen=True, slots=True)
class Reset:
    """A reset under way. Times are monotonic."""

    is_hard: bool
    until_s: float
    """When the restart is asked for in any case."""
    tries_left: int
    """Times the guard may still be asked; 0 for a soft reset, which leaves it alone."""
    ask_s: float
    """When the guard is asked, or asked again."""
    request: int | None = None
    """Number the guard echoes."""
    is_answered: bool = False
    is_leaving: bool = False
    """The restart has been asked for."""


@dataclass(frozen=True, slots=True)
class AvailabilityChange:
    """What an order makes of the connectors out of service, and the word its answer carries."""

    inoperative: frozenset[int]
    word: str


@dataclass(frozen=True, slots=True)
class Orders:
    """What the central system has ordered of the station as a whole."""

    inoperative: frozenset[int] = frozenset()
    """Connectors ordered out of service; 0 stands for all."""
    kept: frozenset[int] = frozenset()
    """The same on the disk, which acts once the answer to the order has been sent."""
    asked: Mapping[RequestId, AvailabilityChange] = field(default_factory=dict)
    """Orders that are being written, oldest first."""
    reset: Reset | None = None
    is_update_awaited: bool = False
    """Firmware waits for everybody to be served: all connectors are out meanwhile. Ends with the run."""

    @property
    def out(self) -> frozenset[int]:
        """Connectors out of service for whatever reason; 0 stands for all."""
        return self.inoperative | {0} if self.is_update_awaited else self.inoperative


@dataclass(frozen=True, slots=True)
class Alignment:
    """The next clock-aligned sample."""

    interval_s: int
    next_utc_s: float
    due_s: float
    """The same on the monotonic clock."""
    last_utc_s: float | None = None
    """The boundary before; a clock set back does not make it come again."""


@dataclass(frozen=True, slots=True)
class Inquiry:
    """An Authorize we wait for."""

    id_tag: IdTag
    connector: int
    is_stop: bool
    """Asked for the parent id, to stop the transaction there."""


@dataclass(frozen=True, slots=True)
class Unlocking:
    """Somebody waits for the cable."""

    request: RequestId
    deadline_s: float
    asked: int | None = None
    """Number under which the guard was asked; None: energy has to end first."""


@dataclass(frozen=True, slots=True)
class Pending:
    """Questions and promises that are not tied to a session's phase."""

    inquiries: Mapping[RequestId, Inquiry] = field(default_factory=dict)
    clears: Mapping[int, RequestId] = field(default_factory=dict)
    """Fault acknowledgements by the number the guard echoes."""
    unlocks: Mapping[int, Unlocking] = field(default_factory=dict)
    """By connector."""
    unregistered: Mapping[TransactionKey, IdTag] = field(default_factory=dict)
    """Closed transactions whose StartTransaction has not been answered; the newest few."""
    stops: Mapping[TransactionKey, tuple[CommitStop | FinishStop, ...]] = field(default_factory=dict)
    """What was written of the newest stops, in case a write fails."""
    retry_s: float | None = None
    """When to write the failed ones again."""
    failed: frozenset[TransactionKey] = frozenset()


@dataclass(frozen=True, slots=True)
class ListBook:
    """The local authorisation list."""

    current: LocalList = field(default_factory=LocalList)
    """As it is on the disk."""
    awaited: tuple[RequestId, LocalList] | None = None
    """What it will be once it is written, and who waits for that."""


@dataclass(frozen=True, slots=True)
class BookChange:
    """A change of the charging profiles that is being written, so that it can be undone."""

    put: Book
    gone: Book


@dataclass(frozen=True, slots=True)
class ChargingBook:
    """The charging profiles of the central system."""

    book: Book = field(default_factory=dict)
    awaited: Mapping[RequestId, BookChange] = field(default_factory=dict)
    spans: Spans = field(default_factory=Spans)
    """What they allow, as found at the last step."""


@dataclass(frozen=True, slots=True)
class ReservationWrite:
    """A change of the reservations that is being written."""

    numbers: frozenset[int]
    wanted: Reservation | None = None
    """The one that is made."""
    before: Reservation | None = None
    """What it replaces."""
    is_cancelled: bool = False
    """Somebody waits for the end of it."""


@dataclass(frozen=True, slots=True)
class ReservationBook:
    """Reservations. Times are monotonic."""

    held: Mapping[int, Reservation] = field(default_factory=dict)
    """By id; those being written keep others away already."""
    awaited: Mapping[RequestId, ReservationWrite] = field(default_factory=dict)
    unforgotten: frozenset[int] = frozenset()
    """Those that are over and still on the disk, for a write failed."""
    retry_s: float | None = None
    """When to try that again."""
    due_s: float | None = None
    """When the next one expires; None: there is none, or the time is not known."""
