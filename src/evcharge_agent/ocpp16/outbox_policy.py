"""What becomes of a transaction message that was sent in vain (OCPP 1.6, 3.7.1 and rule 2). Pure."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Retry:
    """Send the same content again after a while; everything behind it waits."""

    after_s: float


@dataclass(frozen=True, slots=True)
class Park:
    """Give it up: it leaves the queue, stays in the store and is shown; the next one goes on."""


def decide_next(sends: int, attempts: int, retry_interval_s: float) -> Retry | Park:
    """Decide after `sends` sends that were not answered with a CALLRESULT while connected.

    `attempts` is TransactionMessageAttempts, the total number of sends; a time-out counts like a CALLERROR,
    time spent offline does not count at all.
    """
    if sends >= max(attempts, 1):
        return Park()
    return Retry(retry_interval_s * sends)
