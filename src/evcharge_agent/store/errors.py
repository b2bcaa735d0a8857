"""What the store raises."""

from evcharge_hal.contract.errors import EvchargeError


class StoreError(EvchargeError):
    """The store refused; `reason` says why in words fit for a user."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class DiskError(StoreError):
    """The disk or the database refused.

    The connection has been given up and is opened anew by the next operation: after a failed fsync a
    handle cannot be believed, so nothing is ever repeated on it.
    """
