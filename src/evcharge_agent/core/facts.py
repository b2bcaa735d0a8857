"""Values the core, the store and the OCPP side share: time, identity, readings, transaction facts."""

import enum
from dataclasses import dataclass
from typing import NewType

from evcharge_hal.contract.units import PerPhase, WattHours

IdTag = NewType("IdTag", str)
"""Identifier of a card or user, 1..20 characters, compared without case."""


def same_id(one: IdTag, other: IdTag | None) -> bool:
    """Ids are compared without case (OCPP 1.6, CiString20Type)."""
    return other is not None and key_of(one) == key_of(other)


def key_of(id_tag: IdTag) -> IdTag:
    """The form of an id under which it is looked up."""
    return IdTag(id_tag.upper())


TransactionKey = NewType("TransactionKey", str)
"""Our own name for a transaction (a UUID), known before the central system gives its number."""


class Shelf(enum.Enum):
    """A set of small facts that is read whole at every start; the values name it on the disk."""

    LOCAL_LIST = "local_list"
    RESERVATIONS = "reservations"
    CHARGING_PROFILES = "charging_profiles"


@dataclass(frozen=True, slots=True)
class Instant:
    """One moment on both clocks. Durations use `monotonic_s`; only stamps for people use `utc_s`."""

    monotonic_s: float
    utc_s: float
    """Seconds since 1970 as best known at that moment."""
    is_utc_trusted: bool
    """The wall clock was set from the central system, NTP or an RTC (DESIGN D9)."""


class AuthorizationStatus(enum.Enum):
    """Verdict on an id tag; the values are OCPP's."""

    ACCEPTED = "Accepted"
    BLOCKED = "Blocked"
    EXPIRED = "Expired"
    INVALID = "Invalid"
    CONCURRENT_TX = "ConcurrentTx"


@dataclass(frozen=True, slots=True)
class IdTagInfo:
    """What is known of an id tag."""

    status: AuthorizationStatus
    parent_id_tag: IdTag | None = None
    expiry_utc_s: float | None = None


class StopReason(enum.Enum):
    """Why a transaction ended; the values are OCPP's."""

    LOCAL = "Local"
    REMOTE = "Remote"
    EV_DISCONNECTED = "EVDisconnected"
    DEAUTHORIZED = "DeAuthorized"
    POWER_LOSS = "PowerLoss"
    HARD_RESET = "HardReset"
    SOFT_RESET = "SoftReset"
    UNLOCK_COMMAND = "UnlockCommand"
    EMERGENCY_STOP = "EmergencyStop"
    REBOOT = "Reboot"
    OTHER = "Other"


class Measurand(enum.Enum):
    """Quantities a meter can give; the values are OCPP's."""

    ENERGY_IMPORT = "Energy.Active.Import.Register"
    POWER_IMPORT = "Power.Active.Import"
    CURRENT_IMPORT = "Current.Import"
    CURRENT_OFFERED = "Current.Offered"
    POWER_OFFERED = "Power.Offered"
    POWER_FACTOR = "Power.Factor"
    VOLTAGE = "Voltage"
    FREQUENCY = "Frequency"
    TEMPERATURE = "Temperature"


class ReadingContext(enum.Enum):
    """Why a sample was taken; the values are OCPP's."""

    BEGIN = "Transaction.Begin"
    END = "Transaction.End"
    PERIODIC = "Sample.Periodic"
    CLOCK = "Sample.Clock"
    TRIGGER = "Trigger"
    INTERRUPTION_BEGIN = "Interruption.Begin"
    INTERRUPTION_END = "Interruption.End"


@dataclass(frozen=True, slots=True)
class MeterReading:
    """One reading of a meter; None is "this meter does not say", never zero."""

    energy_wh: WattHours | None = None
    """Cumulative import register."""
    power_w: float | None = None
    current_a: PerPhase | None = None
    voltage_v: PerPhase | None = None
    power_factor: float | None = None
    frequency_hz: float | None = None


@dataclass(frozen=True, slots=True)
class TransactionStart:
    """The fact that opens a transaction. Committed before any energy flows (DESIGN D12)."""

    transaction: TransactionKey
    connector: int
    id_tag: IdTag
    meter_start_wh: WattHours
    started: Instant
    plug_id: str
    reservation_id: int | None = None


@dataclass(frozen=True, slots=True)
class TransactionStop:
    """The fact that closes a transaction; exactly one for each start."""

    transaction: TransactionKey
    meter_stop_wh: WattHours
    stopped: Instant
    reason: StopReason
    id_tag: IdTag | None = None
    """Only where somebody presented a tag to stop."""


@dataclass(frozen=True, slots=True)
class MeterSample:
    """A reading worth keeping, with the measurands that were configured when it was taken."""

    connector: int
    transaction: TransactionKey | None
    taken: Instant
    context: ReadingContext
    reading: MeterReading
    measurands: tuple[Measurand, ...]
    offered_a: float | None = None
    temperature_c: float | None = None
    stop_measurands: tuple[Measurand, ...] = ()
    """What StopTransaction repeats of it."""


@dataclass(frozen=True, slots=True)
class OpenTransaction:
    """A transaction found in the store at start that has no stop yet."""

    start: TransactionStart
    transaction_id: int | None
    """The central system's number, once it answered."""
    id_tag_info: IdTagInfo
    last_energy_wh: WattHours
    """Last register value that reached the disk."""
    last_energy_at: Instant
    boot_id: str
    """Kernel boot the monotonic stamps belong to."""


@dataclass(frozen=True, slots=True)
class HeldStop:
    """A stop found in the store at start that has not gone out: its run ended before the energy's end was known."""

    opened: OpenTransaction
    stop: TransactionStop
    """As written when it was decided."""
    boot_id: str
    """Kernel boot the monotonic stamp of the stop belongs to."""
