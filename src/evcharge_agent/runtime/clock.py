"""The one place that reads clocks (DESIGN D9).

Wall time is the monotonic clock plus an offset. The offset starts as what the system says, untrusted, and
is learned from the central system, or from the system's clock once NTP or an RTC has set that. We never set it.
"""

import time
from collections.abc import Callable

from evcharge_agent.core.facts import Instant


def system_utc_s() -> float:
    """What the system's clock says, right or wrong, in seconds since 1970."""
    return time.time()


class Clock:
    """Gives `Instant`s; monotonic durations are untouched by anything learned."""

    def __init__(
        self,
        monotonic_s: Callable[[], float] = time.monotonic,
        system_utc_s: Callable[[], float] = system_utc_s,
    ) -> None:
        self._monotonic_s = monotonic_s
        self._offset_s = system_utc_s() - monotonic_s()
        self._is_trusted = False
        self.on_moved: Callable[[float], None] | None = None
        """Hears by how many seconds the wall clock moved whenever it is set."""

    def now(self) -> Instant:
        """Return this moment on both clocks."""
        monotonic_s = self._monotonic_s()
        return Instant(monotonic_s, monotonic_s + self._offset_s, self._is_trusted)

    def learn_utc(self, utc_s: float) -> float:
        """Set the wall clock from a trusted source; return by how many seconds it moved."""
        offset_s = utc_s - self._monotonic_s()
        moved_s = offset_s - self._offset_s
        self._offset_s = offset_s
        self._is_trusted = True
        if self.on_moved is not None:
            self.on_moved(moved_s)
        return moved_s

    @property
    def offset_s(self) -> float:
        """UTC minus monotonic, as known."""
        return self._offset_s

    @property
    def is_trusted(self) -> bool:
        """The wall clock has been set from a trusted source since this process started."""
        return self._is_trusted
