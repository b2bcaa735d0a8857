"""What the store hands out: rows as frozen values."""

from dataclasses import dataclass

from evcharge_agent.core.facts import MeterSample, TransactionKey, TransactionStart, TransactionStop


@dataclass(frozen=True, slots=True)
class OutboxMessage:
    """One transaction message waiting for the central system, oldest first.

    `message_id` is fixed at creation and is the OCPP message id of every send of this row.
    """

    sequence: int
    message_id: str
    transaction: TransactionKey
    fact: TransactionStart | TransactionStop | MeterSample
    attempts: int
    """Sends that were not answered with a CALLRESULT while connected."""
    transaction_id: int | None
    """The central system's number, once known; -1 when the Start was given up."""
    connector: int
