"""BootNotification: when it is due and what its answer allows (OCPP 1.6, 4.2). Pure.

The registration belongs to the run of this program, not to the connection: a mere reconnect changes nothing.
"""

import enum
from dataclasses import dataclass, replace

OWN_RETRY_S = 30.0
"""Wait for the next attempt when the central system names none, or did not answer."""
LONGEST_RETRY_S = 86_400.0
"""An interval beyond a day is taken for a mistake: a charger is not switched off for good by one number."""


class Registration(enum.Enum):
    """What the central system said to the last BootNotification; the values are OCPP's."""

    UNKNOWN = "Unknown"
    ACCEPTED = "Accepted"
    PENDING = "Pending"
    REJECTED = "Rejected"


@dataclass(frozen=True, slots=True)
class Boot:
    """The registration and when to ask again."""

    registration: Registration = Registration.UNKNOWN
    due_s: float | None = float("-inf")
    """Monotonic time the next BootNotification is due; None: not needed."""

    @property
    def is_accepted(self) -> bool:
        """Calls of our own may be sent (rule 7)."""
        return self.registration is Registration.ACCEPTED

    def may_answer(self, now_s: float) -> bool:
        """Rejected: nothing is sent and nothing answered until the interval is over (rule 7)."""
        return self.registration is not Registration.REJECTED or self.due_s is None or now_s >= self.due_s

    def answered(self, registration: Registration, interval_s: int, now_s: float) -> "Boot":
        """Take in the central system's answer."""
        if registration is Registration.ACCEPTED:
            return Boot(registration, None)
        wait_s = min(float(interval_s), LONGEST_RETRY_S) if interval_s > 0 else OWN_RETRY_S
        return Boot(registration, now_s + wait_s)

    def unanswered(self, now_s: float) -> "Boot":
        """Take in a time-out or a CALLERROR: what was known stays, and we ask again."""
        return replace(self, due_s=now_s + OWN_RETRY_S)
