"""What becomes of an open transaction when its plug is not the one that is there (DESIGN D11).

One rule for a restart of the agent, a restart of the co-processor and a cable that was pulled: the
`plug_id` proves that it is still the same car; the guard's event ring tells when it left; a loss of mains
is a new kernel boot or a power-on of the co-processor, never the death of a process.
"""

import math
import re
from dataclasses import dataclass

from evcharge_agent.core.facts import StopReason
from evcharge_agent.core.rules import SessionRules
from evcharge_agent.core.state import Ring, Session, Transaction, Unplug

_PLUG_NUMBER = re.compile(r"^(.+)\D\d+$")


@dataclass(frozen=True, slots=True)
class GoOn:
    """The transaction goes on with this plug; None: without a car, until one is plugged in again."""

    plug_id: str | None


@dataclass(frozen=True, slots=True)
class End:
    """The transaction is over."""

    reason: StopReason
    at_s: float | None
    """Monotonic time of the unplug, where the guard knows it."""


def boot_of(plug_id: str) -> str | None:
    """The co-processor and its boot a plug belongs to: all of the id but the plug count at its end."""
    match = _PLUG_NUMBER.match(plug_id)
    return match.group(1) if match else None


def decide(
    connector: int,
    session: Session,
    transaction: Transaction,
    plug_id: str | None,
    ring: Ring,
    rules: SessionRules,
) -> GoOn | End:
    """Decide for a transaction bound to `session.plug_id` when the guard reports `plug_id`."""
    bound_id = session.plug_id
    bound_s = session.plugged.monotonic_s if session.plugged is not None else transaction.began_s
    if bound_id is None:
        return GoOn(plug_id)
    if plug_id == bound_id and not transaction.is_after_boot:
        return GoOn(plug_id)
    is_ended_by_unplug = rules.stop_transaction_on_ev_side_disconnect
    is_power_loss, returned_s = _power_loss(transaction, bound_id, bound_s, plug_id, ring)
    left_s = _left_s(connector, bound_id, bound_s, returned_s, ring.unplugs)
    if left_s is None and is_power_loss:
        return _after_power_loss(connector, session, transaction, plug_id, ring, rules)
    return End(StopReason.EV_DISCONNECTED, left_s) if is_ended_by_unplug else GoOn(plug_id)


def _after_power_loss(
    connector: int,
    session: Session,
    transaction: Transaction,
    plug_id: str | None,
    ring: Ring,
    rules: SessionRules,
) -> GoOn | End:
    """CHG-7. A car that left after the mains came back was unplugged, whoever is there now."""
    if not rules.continue_charging_after_power_loss:
        return End(StopReason.POWER_LOSS, None)
    if plug_id == session.plug_id:
        return GoOn(plug_id)
    for item in ring.unplugs:
        is_later = transaction.is_after_boot or (item.at_s > transaction.began_s and item.plug_id != session.plug_id)
        if item.connector == connector and is_later and rules.stop_transaction_on_ev_side_disconnect:
            return End(StopReason.EV_DISCONNECTED, item.at_s)
    return GoOn(plug_id) if plug_id is not None else End(StopReason.POWER_LOSS, None)


def _left_s(connector: int, plug_id: str, since_s: float, before_s: float, unplugs: tuple[Unplug, ...]) -> float | None:
    """When this very plug was pulled, if that was before power or co-processor came back.

    After that the old plug is gone in any case; the guard may say so, but nobody pulled it.
    """
    for item in unplugs:
        if item.connector == connector and item.plug_id == plug_id and since_s <= item.at_s < before_s:
            return item.at_s
    return None


def _power_loss(
    transaction: Transaction, bound_id: str, bound_s: float, plug_id: str | None, ring: Ring
) -> tuple[bool, float]:
    """Whether mains was lost, and when the co-processor came back (infinite: it never went)."""
    if transaction.is_after_boot:
        return True, -math.inf
    if ring.power_restored_s is not None and ring.power_restored_s > bound_s:
        return True, ring.power_restored_s
    if plug_id is not None and boot_of(plug_id) != boot_of(bound_id):
        is_up_known = ring.coprocessor_up_s is not None and ring.coprocessor_up_s > bound_s
        return True, ring.coprocessor_up_s if is_up_known and ring.coprocessor_up_s is not None else math.inf
    return False, math.inf
