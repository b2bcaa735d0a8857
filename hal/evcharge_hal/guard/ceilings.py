"""The guard's own limits and the offer that follows from them and the lease (DESIGN D4).

The offer is the minimum of everything; no code path sets the pilot's current any other way. Cuts are
immediate, raises are 5 s apart, and between 0 and 6 A there is nothing.
"""

import math
from collections.abc import Sequence
from dataclasses import replace

from evcharge_hal.boards.board import Cable, Thresholds
from evcharge_hal.contract.channel import Ceiling, CeilingSource, LeaseState
from evcharge_hal.contract.faults import CATALOGUE, Severity
from evcharge_hal.contract.pilot import CoprocessorFault
from evcharge_hal.contract.units import MIN_CURRENT_A, Amps, offer_or_pause_a
from evcharge_hal.guard.deadlines import FOLLOW_S, RAISE_APART_S, X1_DWELL_S
from evcharge_hal.guard.state import ConnectorState, OfferView, Situation

PLAUSIBLE_FROM_C, PLAUSIBLE_TO_C = -50.0, 150.0
"""A board temperature outside is a broken sensor."""

NO_CABLE_ABOVE_OHM = 2200.0

_HOST_LOST = CoprocessorFault.HOST_LOST.value


def read_temperature_c(connector: ConnectorState) -> float | None:
    """Board temperature; None where the sensor gives nothing one could believe."""
    report = connector.pilot.report
    if report is None or report.temperature_c is None:
        return None
    return report.temperature_c if PLAUSIBLE_FROM_C <= report.temperature_c <= PLAUSIBLE_TO_C else None


def is_cable_present(connector: ConnectorState) -> bool | None:
    """Whether something closes the proximity circuit of the socket (hardware.md 3.4); None where nobody can tell."""
    report = connector.pilot.report
    if report is None or connector.section.cable is Cable.FIXED:
        return None
    return report.pp_ohm is not None and report.pp_ohm <= NO_CABLE_ABOVE_OHM


def find_cable_a(pp_ohm: float | None, thresholds: Thresholds) -> float | None:
    """What a proximity resistor stands for (IEC 61851-1 Table B.2); None outside every window."""
    if pp_ohm is None or not math.isfinite(pp_ohm):
        return None
    for window in thresholds.proximity:
        if window.from_ohm <= pp_ohm < window.to_ohm:
            return window.limit_a
    return None


def derate_a(temperature_c: float, rated_a: float, thresholds: Thresholds) -> float:
    """Rated current up to `derate_from_c`, then linear down to 6 A at `stop_at_c` (hardware.md 3.5)."""
    if temperature_c <= thresholds.derate_from_c:
        return rated_a
    if temperature_c >= thresholds.stop_at_c:
        return MIN_CURRENT_A
    part = (temperature_c - thresholds.derate_from_c) / (thresholds.stop_at_c - thresholds.derate_from_c)
    return rated_a - part * (rated_a - MIN_CURRENT_A)


def own_ceilings(situation: Situation) -> tuple[Ceiling, ...]:
    """Limits that concern this connector alone."""
    connector, thresholds = situation.connector, situation.board.thresholds
    section = connector.section
    found = [Ceiling(CeilingSource.RATING, section.max_a)]
    if section.cable is Cable.FIXED:
        found.append(Ceiling(CeilingSource.CABLE, section.cable_a))
    elif connector.pilot.plug_id is not None:
        found.append(Ceiling(CeilingSource.CABLE, Amps(connector.pilot.cable_a or 0.0)))
    if situation.link.identity is not None:
        found.append(Ceiling(CeilingSource.COPROCESSOR, situation.link.identity.max_a))
    temperature_c = read_temperature_c(connector)
    if temperature_c is not None:
        limit_a = derate_a(temperature_c, section.max_a, thresholds)
        # A cool board limits nothing, and is not named among what does.
        if limit_a < section.max_a:
            found.append(Ceiling(CeilingSource.TEMPERATURE, Amps(limit_a)))
    elif connector.pilot.report is not None:
        found.append(Ceiling(CeilingSource.TEMPERATURE_SENSOR_LOST, thresholds.sensor_lost_a))
    return tuple(found)


def lease_limit_a(connector: ConnectorState) -> float:
    """What the agent's word allows now; after a lapse never more than is on the pilot."""
    set_point = connector.lease.set_point
    if set_point is None or not set_point.permission:
        return 0.0
    if connector.lease.state is LeaseState.HELD:
        return set_point.offer_a
    if connector.lease.state is LeaseState.LAPSED:
        return min(connector.offer.offered_a, set_point.on_lapse_a)
    return 0.0


def is_stopped(connector: ConnectorState) -> bool:
    """A fault in force, or the co-processor's note that it missed us, forbids any offer."""
    report = connector.pilot.report
    if report is None or connector.pilot.lost_s is not None or report.latched.value & _HOST_LOST:
        return True
    return any(CATALOGUE[code].severity is not Severity.WARNING for code in connector.faults)


def committed_a(connector: ConnectorState, now_s: float) -> float:
    """The most the car may still draw: the offer, or an earlier one it has not had the time to follow."""
    offer, contactor = connector.offer, connector.contactor
    is_live_without_offer = offer.offered_a == 0.0 and (contactor.is_driven or contactor.is_closed is True)
    if now_s < offer.peak_until_s or is_live_without_offer:
        return max(offer.peak_a, offer.offered_a)
    return offer.offered_a


def demand_a(situation: Situation) -> float:
    """What this connector would offer if the supply were its own."""
    if is_stopped(situation.connector):
        return 0.0
    limits = (ceiling.limit_a for ceiling in own_ceilings(situation))
    return offer_or_pause_a(min(lease_limit_a(situation.connector), *limits))


def share_supply(situation: Situation, others: Sequence[ConnectorState]) -> Ceiling | None:
    """Limit a connector to its part of `supply_a`; None where the board declares no shared supply.

    The parts never add up to more than the supply: a raise only takes what no other car may still be drawing,
    and the other connector sees this offer before it makes its own.
    """
    supply_a = situation.board.board.supply_a
    if supply_a is None:
        return None
    limit_a = float(supply_a)
    for other in others:
        fair_a = _fair_share_a(situation, other, supply_a)
        limit_a = min(limit_a, fair_a, supply_a - committed_a(other, situation.now_s))
    return Ceiling(CeilingSource.SUPPLY, Amps(max(0.0, limit_a)))


def _fair_share_a(situation: Situation, other: ConnectorState, supply_a: float) -> float:
    other_a = demand_a(situation.about(other))
    if other_a == 0.0:
        return supply_a
    if supply_a / 2 >= MIN_CURRENT_A:
        return max(supply_a / 2, supply_a - other_a)
    # Too little for two: whoever is offered keeps it, else the lower number.
    connector = situation.connector
    is_first = connector.section.id < other.section.id
    if other.offer.offered_a > 0.0 or (connector.offer.offered_a == 0.0 and not is_first):
        return 0.0
    return supply_a


def decide_offer_a(situation: Situation, ceilings: Sequence[Ceiling]) -> Amps:
    """The current to put on the pilot now, were the sequence to allow it; 0 is a pause."""
    connector, now_s = situation.connector, situation.now_s
    if is_stopped(connector):
        return Amps(0.0)
    limits = (ceiling.limit_a for ceiling in ceilings)
    wanted_a = offer_or_pause_a(min(lease_limit_a(connector), *limits))
    offer = connector.offer
    if wanted_a <= offer.offered_a:
        return wanted_a
    # Raises, and PWM after a pause, take their time (DESIGN D4; hardware.md 3.3).
    if now_s < offer.raised_s + RAISE_APART_S or (offer.offered_a == 0.0 and now_s < offer.x1_since_s + X1_DWELL_S):
        return Amps(offer.offered_a)
    return wanted_a


def apply_offer(offer: OfferView, offered_a: float, now_s: float) -> OfferView:
    """Note what the pilot says from now on."""
    if offered_a == offer.offered_a:
        return offer
    if offered_a > offer.offered_a:
        peak_a = max(offered_a, offer.peak_a if now_s < offer.peak_until_s else 0.0)
        return replace(offer, offered_a=offered_a, raised_s=now_s, peak_a=peak_a)
    peak_a = max(offer.offered_a, offer.peak_a if now_s < offer.peak_until_s else 0.0)
    x1_since_s = now_s if offered_a == 0.0 else offer.x1_since_s
    return replace(offer, offered_a=offered_a, peak_a=peak_a, peak_until_s=now_s + FOLLOW_S, x1_since_s=x1_since_s)
