"""Time stamps as OCPP writes them: UTC, RFC 3339. Pure."""

from datetime import UTC, datetime

EARLIEST_UTC_S = 1_577_836_800.0
"""2020-01-01. A central system that claims an earlier time is not believed."""
LATEST_UTC_S = 4_102_444_800.0
"""2100-01-01, likewise."""


def to_stamp(utc_s: float) -> str:
    """Write seconds since 1970 as `2026-01-31T12:00:00.000Z`."""
    moment = datetime.fromtimestamp(round(utc_s, 3), tz=UTC)
    return moment.isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def from_stamp(text: str) -> float | None:
    """Read a stamp in any ISO 8601 spelling, without zone as UTC; None when it is none."""
    try:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def believable_utc_s(text: str) -> float | None:
    """Read the central system's clock; None when it says no time a charger can run at."""
    utc_s = from_stamp(text)
    return utc_s if utc_s is not None and EARLIEST_UTC_S <= utc_s <= LATEST_UTC_S else None
