"""How long to wait before connecting again: doubling, capped, jittered, for ever. Pure."""

from dataclasses import dataclass

MIN_WAIT_S = 1.0
STABLE_AFTER_S = 60.0
"""A connection that lived this long was a good one: the next wait starts small again."""
_MAX_DOUBLINGS = 16


@dataclass(frozen=True, slots=True)
class Backoff:
    """Failures in a row."""

    failures: int = 0

    def wait_s(self, longest_s: float, jitter: float) -> float:
        """Next wait, between half and the whole of the step, so that a fleet does not come back as one.

        `jitter` is a random number in [0, 1).
        """
        step_s = min(MIN_WAIT_S * 2.0 ** min(self.failures, _MAX_DOUBLINGS), max(longest_s, MIN_WAIT_S))
        return step_s * (0.5 + 0.5 * jitter)

    def ended(self, connected_s: float | None) -> "Backoff":
        """Forget the failures if the connection that ended was a good one; None: there never was one."""
        return Backoff() if connected_s is not None and connected_s >= STABLE_AFTER_S else self

    def waited(self) -> "Backoff":
        """Count one more wait."""
        return Backoff(self.failures + 1)
