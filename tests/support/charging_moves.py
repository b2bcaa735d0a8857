"""What a central system does with charging profiles in a random life."""

from evcharge_agent.core.charging_profiles import ChargingProfile, Criteria, Kind, Purpose, RateUnit, Recurrency
from tests.support.charging import profile

LIMITS_A = [0.0, 3.0, 6.0, 7.5, 10.0, 13.0, 16.0, 20.0, 32.0]
PLACES = [
    (Purpose.CHARGE_POINT_MAX, 0),
    (Purpose.TX_DEFAULT, 0),
    (Purpose.TX_DEFAULT, 1),
    (Purpose.TX_DEFAULT, 2),
    (Purpose.TX, 1),
    (Purpose.TX, 2),
]


def place(a: int) -> tuple[Purpose, int]:
    """Purpose and connector."""
    return PLACES[a % len(PLACES)]


def some_profile(a: int, b: int, utc_s: float, purpose: Purpose | None = None) -> ChargingProfile:
    """Some profile with a change within the next seconds; a few are not to be taken."""
    kind = list(Kind)[b % 3]
    unit = list(RateUnit)[b % 2]
    scale = 690.0 if unit is RateUnit.POWER else 1.0
    limits = [LIMITS_A[(a * 5 + b + step) % len(LIMITS_A)] * scale for step in range(3)]
    start_utc_s = utc_s + [-10.0, 4.0, -86_400.0][a % 3] if kind is Kind.RECURRING or b % 4 == 1 else None
    return profile(
        (0, limits[0]),
        (3 + a, limits[1]),
        (20 + b, limits[2]),
        id=(a + b) % 6,
        level=b % 4 if b < 11 else -1,
        purpose=purpose or place(a)[0],
        kind=kind,
        unit=unit,
        duration_s=[None, 15, 100][(a + b) % 3],
        start_utc_s=start_utc_s,
        recurrency=list(Recurrency)[a % 2] if kind is Kind.RECURRING else None,
        valid_to_utc_s=utc_s + 12.0 if a % 5 == 4 else None,
    )


def some_criteria(a: int, b: int) -> Criteria:
    """Some criteria, also none."""
    return [
        Criteria(),
        Criteria(id=b % 6),
        Criteria(connector=b % 3),
        Criteria(purpose=place(b)[0]),
        Criteria(stack_level=b % 4),
        Criteria(connector=b % 3, purpose=place(b)[0]),
    ][a % 6]
