"""Times of day as the off-peak keys write them: `11:00-16:00,22:00-08:00` (UK SI 2021/1467, features SCH-1)."""

import re
from typing import Annotated

from pydantic import AfterValidator

MAX_SLOTS = 8
MINUTES_A_DAY = 24 * 60
SLOTS_ALLOWED = f"at most {MAX_SLOTS} times of day as 11:00-16:00,22:00-08:00, over midnight or not, none in another"

_SLOT = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])-([01][0-9]|2[0-3]):([0-5][0-9])", re.ASCII)


def read_time_slots(text: str) -> tuple[tuple[int, int], ...]:
    """Return begin and end of each slot in minutes since midnight; an end before its begin is of the next day.

    Raises:
        ValueError: an entry is no slot, is empty, or lies partly in another.
    """
    parts = [part.strip() for part in text.split(",")] if text.strip() else []
    found = [_SLOT.fullmatch(part) for part in parts]
    slots = tuple((60 * int(one[1]) + int(one[2]), 60 * int(one[3]) + int(one[4])) for one in found if one is not None)
    minutes = [minute % MINUTES_A_DAY for begin, end in slots for minute in range(begin, _end_after(begin, end))]
    if len(slots) < len(parts) or len(parts) > MAX_SLOTS or len(set(minutes)) < len(minutes):
        raise ValueError(SLOTS_ALLOWED)
    return slots


def check_time_slots(text: str) -> str:
    """Return the list without blanks.

    Raises:
        ValueError: as `read_time_slots`.
    """
    return ",".join(
        f"{begin // 60:02d}:{begin % 60:02d}-{end // 60:02d}:{end % 60:02d}" for begin, end in read_time_slots(text)
    )


def _end_after(begin: int, end: int) -> int:
    """A slot that ends where it begins is the whole day."""
    return end if end > begin else end + MINUTES_A_DAY


TimeSlots = Annotated[str, AfterValidator(check_time_slots)]
