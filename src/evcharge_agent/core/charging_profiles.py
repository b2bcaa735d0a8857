"""Charging profiles of the central system: what they are, which are taken, and the book of those installed. Pure.

OCPP 1.6, 3.13 and 7.8; ocpp16.md rules 14 to 16. What they allow at a moment is `composite`'s to say.
"""

import enum
import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from evcharge_agent.core.facts import Instant, TransactionKey
from evcharge_agent.core.rules import ChargingRules

STATION = 0
"""Connector 0: the charge point as a whole."""
MAX_PHASES = 3
MAX_LIMIT = 10_000_000.0
"""A or W; above this a number is a mistake, and arithmetic with it might be one too."""


class Purpose(enum.Enum):
    """What a profile is for; the values are OCPP's."""

    CHARGE_POINT_MAX = "ChargePointMaxProfile"
    TX_DEFAULT = "TxDefaultProfile"
    TX = "TxProfile"


class Kind(enum.Enum):
    """What a schedule's begin refers to; the values are OCPP's."""

    ABSOLUTE = "Absolute"
    RECURRING = "Recurring"
    RELATIVE = "Relative"


class Recurrency(enum.Enum):
    """How often a schedule comes again; the values are OCPP's."""

    DAILY = "Daily"
    WEEKLY = "Weekly"


class RateUnit(enum.Enum):
    """Unit of a limit; the values are OCPP's."""

    CURRENT = "A"
    POWER = "W"


CYCLES_S: Mapping[Recurrency, int] = {Recurrency.DAILY: 86_400, Recurrency.WEEKLY: 604_800}
"""In seconds of UTC, so no day is longer or shorter than another (ocpp16.md rule 16)."""

UNIT_NAMES: Mapping[RateUnit, str] = {RateUnit.CURRENT: "Current", RateUnit.POWER: "Power"}
"""How ChargingScheduleAllowedChargingRateUnit calls them."""


@dataclass(frozen=True, slots=True)
class Period:
    """One limit of a schedule; it holds until the next one's begin."""

    start_s: int
    """Since the begin of the schedule."""
    limit: float
    """A for each phase, or W for all together."""
    phases: int | None = None
    """None: three are assumed where the number matters (OCPP 1.6, 7.14)."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """Limits one after the other (OCPP 1.6, 7.13)."""

    unit: RateUnit
    periods: tuple[Period, ...]
    duration_s: int | None = None
    """None: the last period goes on."""
    start_utc_s: float | None = None
    min_rate: float | None = None
    """Least rate at which this charge is efficient; a hint for local optimisation, it limits nothing."""


@dataclass(frozen=True, slots=True)
class ChargingProfile:
    """A profile as the central system sends it (OCPP 1.6, 7.8)."""

    id: int
    stack_level: int
    purpose: Purpose
    kind: Kind
    schedule: Schedule
    recurrency: Recurrency | None = None
    transaction_id: int | None = None
    valid_from_utc_s: float | None = None
    valid_to_utc_s: float | None = None


@dataclass(frozen=True, slots=True)
class Installed:
    """A profile that was taken; on the disk it is found under `name`."""

    connector: int
    profile: ChargingProfile
    accepted: Instant
    boot_id: str
    """Kernel boot the monotonic stamp belongs to."""
    transaction: TransactionKey | None = None
    """What a TxProfile lives and dies with."""

    @property
    def name(self) -> str:
        """An id is used once on a charge point, whatever the connector."""
        return str(self.profile.id)


Book = Mapping[int, Installed]
"""All installed profiles by their id."""


@dataclass(frozen=True, slots=True)
class Criteria:
    """Which profiles to clear (OCPP 1.6, 5.5)."""

    id: int | None = None
    """Alone wins: the others are then not looked at."""
    connector: int | None = None
    purpose: Purpose | None = None
    stack_level: int | None = None


def objection(profile: ChargingProfile, rules: ChargingRules) -> str | None:
    """Say why a profile cannot be taken, wherever it is sent to; None: it can."""
    return next(_objections(profile, rules), None)


def _objections(profile: ChargingProfile, rules: ChargingRules) -> Iterator[str]:
    schedule = profile.schedule
    if not 0 <= profile.stack_level <= rules.charge_profile_max_stack_level:
        yield f"stackLevel: 0 to {rules.charge_profile_max_stack_level} are possible."
    if UNIT_NAMES[schedule.unit] not in rules.charging_rate_units:
        yield f"chargingRateUnit: possible are {', '.join(rules.charging_rate_units)}."
    if not 1 <= len(schedule.periods) <= rules.charging_schedule_max_periods:
        yield f"chargingSchedulePeriod: 1 to {rules.charging_schedule_max_periods} are possible."
    if schedule.duration_s is not None and schedule.duration_s <= 0:
        yield "duration: must be more than 0 s."
    if schedule.min_rate is not None and not _is_limit(schedule.min_rate):
        yield f"minChargingRate: 0 to {MAX_LIMIT:.0f} are possible."
    is_cycle_known = profile.recurrency is not None and schedule.start_utc_s is not None
    if profile.kind is Kind.RECURRING and not is_cycle_known:
        yield "chargingProfileKind: Recurring needs recurrencyKind and startSchedule."
    begin_s, end_s = profile.valid_from_utc_s, profile.valid_to_utc_s
    if begin_s is not None and end_s is not None and end_s <= begin_s:
        yield "validTo: must be later than validFrom."
    yield from _period_objections(schedule.periods)


def _period_objections(periods: tuple[Period, ...]) -> Iterator[str]:
    last_s = -1
    for period in periods:
        if period.start_s <= last_s:
            yield "startPeriod: must be 0 or more and rise from period to period."
        if not _is_limit(period.limit):
            yield f"limit: 0 to {MAX_LIMIT:.0f} are possible."
        if period.phases is not None and not 1 <= period.phases <= MAX_PHASES:
            yield f"numberPhases: 1 to {MAX_PHASES} are possible."
        last_s = period.start_s


def _is_limit(value: float) -> bool:
    return math.isfinite(value) and 0.0 <= value <= MAX_LIMIT


def misplaced(profile: ChargingProfile, connector: int) -> str | None:
    """Say why a profile cannot stand on this connector; None: it can (OCPP 1.6, 5.16)."""
    if profile.purpose is Purpose.CHARGE_POINT_MAX and connector != STATION:
        return "connectorId: a ChargePointMaxProfile goes to connector 0."
    if profile.purpose is Purpose.TX and connector == STATION:
        return "connectorId: a TxProfile goes to the connector of its transaction."
    return None


def remote_start_objection(profile: ChargingProfile, rules: ChargingRules) -> str | None:
    """Say why a profile cannot come with RemoteStartTransaction (ocpp16.md rule 10); None: it can."""
    if profile.purpose is not Purpose.TX:
        return "chargingProfilePurpose: RemoteStartTransaction takes a TxProfile only."
    if profile.transaction_id is not None:
        return "transactionId: there is no transaction yet."
    return objection(profile, rules)


def replaced_by(book: Book, connector: int, profile: ChargingProfile) -> frozenset[int]:
    """Ids that give way: the same one wherever it stands, and what has its place in the stack (OCPP 1.6, 5.16.4)."""
    place = (connector, profile.purpose, profile.stack_level)
    return frozenset(
        number
        for number, one in book.items()
        if number == profile.id or (one.connector, one.profile.purpose, one.profile.stack_level) == place
    )


def is_full(book: Book, connector: int, profile: ChargingProfile, rules: ChargingRules) -> bool:
    """There is no room for one more; one that replaces another needs none."""
    count = len(book) - len(replaced_by(book, connector, profile)) + 1
    return count > rules.max_charging_profiles_installed


def install(book: Book, new: Installed) -> Book:
    """The book with `new` in it and without what gives way to it."""
    gone = replaced_by(book, new.connector, new.profile)
    return {**without(book, gone), new.profile.id: new}


def without(book: Book, ids: Collection[int]) -> Book:
    """The book without these."""
    return {number: one for number, one in book.items() if number not in ids}


def matching(book: Book, criteria: Criteria) -> frozenset[int]:
    """Ids of the profiles to clear: without a criterion all, by id that one, else those all criteria fit."""
    if criteria.id is not None:
        return frozenset({criteria.id} & set(book))
    return frozenset(
        number
        for number, one in book.items()
        if criteria.connector in (None, one.connector)
        and criteria.purpose in (None, one.profile.purpose)
        and criteria.stack_level in (None, one.profile.stack_level)
    )


def orphaned(book: Book, running: Mapping[TransactionKey, int]) -> frozenset[int]:
    """Ids of the TxProfiles whose transaction is over; `running` are those that are not, with their connector."""
    return frozenset(
        number
        for number, one in book.items()
        if one.profile.purpose is Purpose.TX
        and (one.transaction is None or running.get(one.transaction) != one.connector)
    )
