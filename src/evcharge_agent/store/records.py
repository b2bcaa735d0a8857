"""What the store hands out: rows as frozen values."""

from dataclasses import dataclass

from evcharge_agent.core.facts import MeterSample, TransactionKey, TransactionStart, TransactionStop
from evcharge_hal.contract.units import WattHours


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
    samples: tuple[MeterSample, ...] = ()
    """What a stop repeats of its transaction, oldest first, at most `outbox.STOP_SAMPLES`."""


@dataclass(frozen=True, slots=True)
class SessionRow:
    """One transaction of the ledger, for lists and exports."""

    start: TransactionStart
    stop: TransactionStop | None
    """None while it runs."""
    transaction_id: int | None
    last_energy_wh: WattHours
    """Last register value that reached the disk."""
    is_start_parked: bool
    """The central system never took the start; it was given up."""

    @property
    def energy_wh(self) -> WattHours:
        """Energy delivered, as far as it is on the disk."""
        end_wh = self.stop.meter_stop_wh if self.stop is not None else self.last_energy_wh
        return WattHours(end_wh - self.start.meter_start_wh)
