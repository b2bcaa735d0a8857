"""At which moments a certificate has to be valid: also a charger that wakes up in 1970 must find its central system.

A clock nobody vouches for only counts when it is later than what is certainly past: the date of this software, and
the last time that was known; and then only for what has expired. Where the central system and the system's own clock disagree by more than a day, either
may be right, and a certificate has to be valid at one of them: otherwise a central system whose clock went wrong for
an hour would lock its chargers out for years.
"""

from evcharge_agent.ocpp16.security.memory import LinkMemory
from evcharge_agent.runtime.clock import Clock

RELEASED_UTC_S = 1_793_491_200.0
"""2026-11-01: this software is not older."""
PLAUSIBLE_FOR_S = 20 * 365 * 86_400.0
"""A clock nobody vouches for that is further ahead of what is certainly past is broken."""
DISAGREE_FROM_S = 86_400.0
NOTE_EVERY_S = 86_400.0


class Moments:
    """Make it when the program starts, before anything is learned."""

    def __init__(self, clock: Clock, memory: LinkMemory) -> None:
        self._clock = clock
        self._memory = memory
        now = clock.now()
        self._guessed_offset_s = now.utc_s - now.monotonic_s

    def now_utc_s(self) -> float:
        """The best guess at now."""
        return self._points()[0]

    def within(self, not_before_utc_s: float, not_after_utc_s: float) -> tuple[float, ...]:
        """Moments between the two that it may be now; none: it is certainly not valid.

        While nobody vouches for the clock it may be any moment later than what is certainly past: a certificate that
        begins later than a stopped clock says may have been renewed meanwhile.
        """
        points = self._points()
        if not self._clock.is_trusted:
            points = (max(points[0], not_before_utc_s),)
        return tuple(one for one in points if not_before_utc_s <= one <= not_after_utc_s)

    def _points(self) -> tuple[float, ...]:
        """Moments it may be now, or later when nobody vouches for the clock; never none."""
        now = self._clock.now()
        past_utc_s = self._past_utc_s()
        guess_utc_s = now.monotonic_s + self._guessed_offset_s
        is_guess_usable = past_utc_s <= guess_utc_s <= past_utc_s + PLAUSIBLE_FOR_S
        if not now.is_utc_trusted:
            return (guess_utc_s if is_guess_usable else past_utc_s,)
        if is_guess_usable and abs(guess_utc_s - now.utc_s) > DISAGREE_FROM_S:
            return (now.utc_s, guess_utc_s)
        return (now.utc_s,)

    @property
    def is_time_known(self) -> bool:
        """Somebody vouches for the time."""
        return self._clock.is_trusted

    async def note(self, latest_utc_s: float) -> None:
        """Remember that it is now, but nothing after `latest_utc_s`, where a good server's certificate ends.

        A wrong clock can so never make that server's certificate look expired for good.
        """
        now = self._clock.now()
        utc_s = min(now.utc_s, latest_utc_s)
        if now.is_utc_trusted and utc_s >= self._memory.known_utc_s + NOTE_EVERY_S:
            await self._memory.note_time(utc_s)

    def _past_utc_s(self) -> float:
        return max(RELEASED_UTC_S, self._memory.known_utc_s)
