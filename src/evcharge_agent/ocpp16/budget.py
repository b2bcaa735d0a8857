"""How many requests the central system may make. Pure (spec security 3.10)."""

from dataclasses import dataclass

BURST = 200
"""Requests at once: a central system that sets every key after a boot stays far below."""
PER_SECOND = 10.0


@dataclass(frozen=True, slots=True)
class CallBudget:
    """A bucket of requests that refills with time."""

    left: float = BURST
    at_s: float = 0.0

    def spend(self, now_s: float) -> "CallBudget | None":
        """Take one request at monotonic `now_s`; None when there is none left."""
        left = min(float(BURST), self.left + max(now_s - self.at_s, 0.0) * PER_SECOND)
        return CallBudget(left - 1.0, now_s) if left >= 1.0 else None
