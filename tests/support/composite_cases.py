"""Random profiles and windows for the composite schedule, drawn so that much happens within minutes."""

import itertools
import random
from dataclasses import dataclass
from datetime import UTC, datetime

from evcharge_agent.core.charging_profiles import (
    Book,
    ChargingProfile,
    Installed,
    Kind,
    Period,
    Purpose,
    RateUnit,
    Recurrency,
    Schedule,
    install,
)
from evcharge_agent.core.composite import Basis, Outlet, Question, ReportedSchedule, Running
from evcharge_agent.core.facts import Instant, TransactionKey
from tests.support.composite_reference import reported_at

BOOT = "boot"
DAY_S = 86_400


def _utc(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


DAYS = [
    _utc("2026-03-29T00:55:00"),  # an hour is left out in Europe at 01:00 UTC
    _utc("2026-10-25T00:55:00"),  # and comes twice
    _utc("2026-11-01T06:00:00"),  # the same in New York
    _utc("2028-02-28T23:50:00"),  # the night before a 29 February
    _utc("2028-02-29T23:50:00"),
    _utc("2026-12-31T23:55:00"),
    _utc("2026-06-10T12:00:00"),
]
LIMITS_A = [0.0, 3.0, 6.0, 6.1, 7.9, 10.0, 16.0, 20.5, 32.0]
LIMITS_W = [0.0, 1000.0, 1380.0, 4140.0, 5000.5, 7400.0, 11040.0, 22080.0]
KEYS = [TransactionKey("one"), TransactionKey("two"), TransactionKey("over")]


@dataclass(frozen=True)
class Case:
    """A question and what its answer follows from."""

    basis: Basis
    question: Question
    now: Instant


def case(chance: random.Random) -> Case:
    """Draw one."""
    utc_s = chance.choice(DAYS) + chance.choice([0, 0, 17, 17.25])
    monotonic_s = 1_000_000.0 + chance.choice([0, 0.5])
    now = Instant(monotonic_s, utc_s, is_utc_trusted=chance.random() < 0.8)
    book: Book = {}
    for number in range(chance.choice([1, 2, 3, 4, 6])):
        book = install(book, _installed(chance, number, now))
    outlets = {number: Outlet(chance.choice([3, 3, 1]), _running(chance, number, now)) for number in (1, 2)}
    basis = Basis(tuple(book.values()), BOOT, outlets, chance.choice([32.0, 100.0]))
    duration_s = chance.choice([0, 1, 60, 600, 1200])
    question = Question(chance.choice([0, 1, 1, 1, 2]), duration_s, chance.choice(list(RateUnit)), 32.0)
    return Case(basis, question, now)


def _running(chance: random.Random, number: int, now: Instant) -> Running | None:
    ago_s = chance.choice([0, 1, 30, 300, 3600])
    return Running(KEYS[number - 1], now.monotonic_s - ago_s) if chance.random() < 0.7 else None


def _installed(chance: random.Random, number: int, now: Instant) -> Installed:
    purpose = chance.choice([Purpose.CHARGE_POINT_MAX, Purpose.TX_DEFAULT, Purpose.TX_DEFAULT, Purpose.TX])
    connector = {Purpose.CHARGE_POINT_MAX: 0, Purpose.TX: chance.choice([1, 2])}.get(purpose, chance.choice([0, 1, 2]))
    ago_s = chance.choice([0, 10, 250, 4000])
    accepted = Instant(now.monotonic_s - ago_s, now.utc_s - ago_s, chance.random() < 0.8)
    transaction = chance.choice(KEYS) if purpose is Purpose.TX else None
    boot_id = BOOT if chance.random() < 0.8 else "an earlier one"
    return Installed(connector, _profile(chance, number, purpose, now), accepted, boot_id, transaction)


def _profile(chance: random.Random, number: int, purpose: Purpose, now: Instant) -> ChargingProfile:
    kind = chance.choice(list(Kind))
    recurrency = chance.choice(list(Recurrency)) if kind is Kind.RECURRING else None
    start_utc_s = float(int(now.utc_s)) + chance.choice([-900, -100, -7, 0, 5, 300])
    start_utc_s -= chance.choice([0, 0, DAY_S, 7 * DAY_S, 30 * DAY_S, 200 * DAY_S])
    has_start = kind is Kind.RECURRING or (kind is Kind.ABSOLUTE and chance.random() < 0.8)
    has_validity = chance.random() < 0.3
    return ChargingProfile(
        number,
        chance.choice([0, 1, 2, 3]),
        purpose,
        kind,
        _schedule(chance, start_utc_s if has_start else None),
        recurrency,
        valid_from_utc_s=now.utc_s + chance.choice([-50, 20, 400]) if has_validity and chance.random() < 0.7 else None,
        valid_to_utc_s=now.utc_s + chance.choice([401, 500, 1000]) if has_validity else None,
    )


def _schedule(chance: random.Random, start_utc_s: float | None) -> Schedule:
    unit = chance.choice(list(RateUnit))
    limits = LIMITS_A if unit is RateUnit.CURRENT else LIMITS_W
    at_s = chance.choice([0, 0, 0, 30])
    periods: list[Period] = []
    for _ in range(chance.choice([1, 2, 3, 5])):
        periods.append(Period(at_s, chance.choice(limits), chance.choice([None, None, 1, 2, 3])))
        at_s += chance.choice([1, 10, 60, 299, 3600])
    duration_s = chance.choice([None, None, 50, 300, 1000, DAY_S, 8 * DAY_S])
    return Schedule(unit, tuple(periods), duration_s, start_utc_s)


class Mismatch(AssertionError):  # noqa: N818 - a finding, not an error
    """A report that says something else than the reference."""


def judge(found: ReportedSchedule, drawn: Case) -> None:
    """Compare a report with the reference at every second.

    Raises:
        Mismatch: the first difference.
    """
    question = drawn.question
    starts = [period.start_s for period in found.periods]
    if found.duration_s != question.duration_s or starts[:1] != [0] or starts != sorted(set(starts)):
        raise Mismatch(f"shape: {found}")
    if any(start >= max(question.duration_s, 1) for start in starts):
        raise Mismatch(f"begins after the end: {found}")
    said = [(period.limit, period.phases) for period in found.periods]
    if any(one == other for one, other in itertools.pairwise(said)):
        raise Mismatch(f"neighbours are equal: {found}")
    place = 0
    for second in range(max(question.duration_s, 1)):
        while place + 1 < len(starts) and starts[place + 1] <= second:
            place += 1
        wanted = reported_at(drawn.basis, question, drawn.now, second)
        told = found.periods[place].limit
        if not wanted - 0.1 < told <= wanted + 1e-6:
            raise Mismatch(f"second {second}: {told} instead of {wanted}: {found}")
