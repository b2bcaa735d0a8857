"""The agent's lease (DESIGN D2): it runs downhill, and silence means stop.

HELD while the latest set-point for this plug is younger than its `lease_s`. LAPSED: at most `on_lapse_a`,
never rising, never closing. SPENT after the hold budget, or at the next restriction the agent announced.
"""

from dataclasses import replace

from evcharge_hal.contract.channel import EventKind, LeaseState, SetPoint
from evcharge_hal.guard.deadlines import HOLD_REFILL_S
from evcharge_hal.guard.state import LeaseView

_FACTS = {LeaseState.LAPSED: EventKind.LEASE_LAPSED, LeaseState.SPENT: EventKind.LEASE_SPENT}


def state_at(lease: LeaseView, now_s: float) -> LeaseState:
    """How much of the agent's word is left."""
    if lease.set_point is None:
        return LeaseState.NONE
    if now_s < lapse_s(lease):
        return LeaseState.HELD
    return LeaseState.LAPSED if now_s < spent_s(lease) else LeaseState.SPENT


def lapse_s(lease: LeaseView) -> float:
    """When the lease lapses; never without a set-point."""
    return float("inf") if lease.set_point is None else lease.received_s + lease.set_point.lease_s


def spent_s(lease: LeaseView) -> float:
    """When the hold after the lapse is over."""
    if lease.set_point is None:
        return float("inf")
    lapsed_s = lapse_s(lease)
    over_s = lapsed_s + max(0.0, lease.set_point.hold_s - lease.hold_used_s)
    restrict_s = lease.set_point.restrict_at_s
    return over_s if restrict_s is None else min(over_s, max(lapsed_s, restrict_s))


def accept_set_point(lease: LeaseView, set_point: SetPoint, now_s: float) -> LeaseView:
    """Renew the lease; the caller has checked that the set-point is for this plug."""
    unbroken_s, used_s = lease.unbroken_s, lease.hold_used_s
    if lease.set_point is None:
        unbroken_s = now_s
    elif now_s >= lapse_s(lease):
        # A gap costs what it lasted, so that an agent that crashes in a circle cannot hold for ever.
        used_s += min(now_s, max(spent_s(lease), lapse_s(lease))) - lapse_s(lease)
        unbroken_s = now_s
    if now_s >= unbroken_s + HOLD_REFILL_S:
        used_s = 0.0
    return replace(
        lease,
        set_point=set_point,
        received_s=now_s,
        unbroken_s=unbroken_s,
        hold_used_s=used_s,
        state=LeaseState.HELD,
        noticed_plug_id=None,
    )


def forget_plug(lease: LeaseView) -> LeaseView:
    """Another car, or none: the agent's word was not for it. The hold budget is not refilled by replugging."""
    return LeaseView(hold_used_s=lease.hold_used_s)


def pass_time(lease: LeaseView, now_s: float) -> tuple[LeaseView, EventKind | None]:
    """Note a lapse or the end of the hold; returns the fact to record."""
    state = state_at(lease, now_s)
    if state is lease.state:
        return lease, None
    return replace(lease, state=state), _FACTS.get(state)
