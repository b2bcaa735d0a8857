"""What must hold of charging profiles in every life of the core, judged by the slow reference."""

import math

from evcharge_agent.core.charging_profiles import Purpose, RateUnit
from evcharge_agent.core.composite import EARLY_S, Basis, Outlet, Question, Running
from evcharge_agent.core.facts import Instant
from evcharge_agent.core.state import Run, State
from tests.support.composite_reference import chosen, limit_at


def excess_of_offers(after: State, now: Instant) -> str | None:
    """Say which offer is above what the active profiles allow at this moment; None: none is."""
    run = after.run
    if run is None or not (run.rules.charging.uses_charging_profiles and run.rules.is_central_system_enabled):
        return None
    basis = _basis(after, run)
    utc_s = now.utc_s + EARLY_S
    for number, connector in after.connectors.items():
        question = Question(number, 0, RateUnit.CURRENT, math.inf)
        allowed_a = limit_at(basis, question, now, utc_s, utc_s)
        if connector.output.offer_a > allowed_a + 1e-6:
            return f"connector {number}: {connector.output.offer_a} A offered, {allowed_a} A allowed"
    most_a = chosen(basis, 0, (Purpose.CHARGE_POINT_MAX,), now, utc_s, None, basis.station_phases, RateUnit.CURRENT)
    total_a = sum(connector.output.offer_a for connector in after.connectors.values())
    if most_a is not None and total_a > most_a + 1e-6:
        return f"station: {total_a} A offered, {most_a} A allowed"
    return None


def orphans(after: State) -> list[int]:
    """TxProfiles that outlive their transaction."""
    running = {
        connector.session.transaction.start.transaction
        for connector in after.connectors.values()
        if connector.session.transaction is not None
    }
    return [
        number
        for number, one in after.charging.book.items()
        if one.profile.purpose is Purpose.TX and one.transaction not in running
    ]


def _basis(after: State, run: Run) -> Basis:
    outlets = {}
    for number, connector in after.connectors.items():
        transaction = connector.session.transaction
        phases = connector.rating.phases if connector.rating is not None else 3
        running = Running(transaction.start.transaction, transaction.began_s) if transaction is not None else None
        outlets[number] = Outlet(phases, running)
    return Basis(tuple(after.charging.book.values()), run.boot_id, outlets)
