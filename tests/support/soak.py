"""What long campaigns share: their seed, their length, and a word now and then about how far they are."""

import os
import random
import time
from collections.abc import Callable

SEED_VARIABLE = "EVC_SOAK_SEED"
MINUTES_VARIABLE = "EVC_SOAK_MINUTES"


def soak_seed() -> int | None:
    """The one seed to play again; None, also for a batch of another campaign (`4711/3`): play new ones."""
    text = os.environ.get(SEED_VARIABLE, "")
    return int(text) if text.isdecimal() else None


def fresh_seed() -> int:
    """Where a new campaign begins; every run tries other seeds."""
    return random.SystemRandom().randrange(1_000_000_000)


def soak_minutes(default: float) -> float:
    """How long a campaign in real time lasts."""
    return float(os.environ.get(MINUTES_VARIABLE) or default)


class Progress:
    """Says every few seconds how far a campaign is; `say` is a `print` that reaches the terminal."""

    def __init__(self, what: str, say: Callable[[str], None], every_s: float = 15.0) -> None:
        self._what = what
        self._say = say
        self._every_s = every_s
        self._began_s = self._told_s = time.monotonic()

    def elapsed_s(self) -> float:
        """Real time since the start."""
        return time.monotonic() - self._began_s

    def tell(self, text: str) -> None:
        """Say it, unless something was said a moment ago."""
        if time.monotonic() - self._told_s >= self._every_s:
            self.conclude(text)

    def conclude(self, text: str) -> None:
        """Say it."""
        self._told_s = time.monotonic()
        self._say(f"[{self._what} {self.elapsed_s():.0f} s] {text}")
