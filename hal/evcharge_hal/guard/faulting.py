"""Latching and clearing, applied from the catalogue's rows alone; no fault has a rule of its own here."""

from collections.abc import Mapping, Sequence

from evcharge_hal.contract.channel import ClearFault, Reply
from evcharge_hal.contract.faults import CATALOGUE, FaultCode, Latch, Owner
from evcharge_hal.contract.pilot import PilotState
from evcharge_hal.guard.monitors import Monitor
from evcharge_hal.guard.state import ConnectorState, LatchedFault, Situation

Faults = Mapping[FaultCode, LatchedFault]


def restore_faults(codes: frozenset[FaultCode], now_s: float) -> Faults:
    """What a person has not acknowledged before the restart is still in force."""
    return {
        code: LatchedFault(raised_s=now_s, is_present=False, gone_s=now_s)
        for code in codes
        if CATALOGUE[code].latch is Latch.ACKNOWLEDGE
    }


def acknowledge_only(faults: Faults) -> frozenset[FaultCode]:
    """Faults that have to outlive the process."""
    if not faults:
        return frozenset()
    return frozenset(code for code in faults if CATALOGUE[code].latch is Latch.ACKNOWLEDGE)


def update_faults(situation: Situation, monitors: Sequence[Monitor]) -> Faults:
    """Ask every monitor, latch what is new, drop what is over; the same mapping when nothing changed."""
    faults, now_s = situation.connector.faults, situation.now_s
    changed: dict[FaultCode, LatchedFault] | None = None
    for monitor in monitors:
        is_present = monitor.is_present(situation)
        known = faults.get(monitor.code) if faults else None
        if is_present is None or (known is None and not is_present):
            continue
        fault = note_presence(known, is_present, now_s)
        if fault is not known:
            changed = dict(faults) if changed is None else changed
            changed[monitor.code] = fault
    faults = faults if changed is None else changed
    if not faults:
        return faults
    is_unplugged = is_seen_unplugged(situation.connector)
    over = [code for code, fault in faults.items() if is_over(code, fault, is_unplugged, now_s)]
    return {code: fault for code, fault in faults.items() if code not in over} if over else faults


def note_presence(known: LatchedFault | None, is_present: bool, now_s: float) -> LatchedFault:
    """A cause came, went or stayed."""
    if known is None:
        return LatchedFault(raised_s=now_s, is_present=is_present, gone_s=now_s)
    if known.is_present is is_present:
        return known
    return LatchedFault(raised_s=known.raised_s, is_present=is_present, gone_s=now_s)


def is_seen_unplugged(connector: ConnectorState) -> bool:
    """A fresh report says A."""
    report = connector.pilot.report
    return report is not None and connector.pilot.lost_s is None and report.state is PilotState.A


def is_over(code: FaultCode, fault: LatchedFault, is_unplugged: bool, now_s: float) -> bool:
    """Whether the catalogue's rule lets the fault go."""
    row = CATALOGUE[code]
    if row.owner is Owner.AGENT and row.latch is Latch.PLUG and is_unplugged:
        # An agent that was restarted does not know any more what it said of a car that has left.
        return True
    if fault.is_present or row.latch is Latch.ACKNOWLEDGE:
        return False
    if row.latch is Latch.PLUG and is_unplugged:
        return True
    return row.clear_after_s is not None and now_s >= fault.gone_s + row.clear_after_s


def clear_s(code: FaultCode, fault: LatchedFault) -> float:
    """When the fault clears by itself; infinite while it cannot."""
    after_s = CATALOGUE[code].clear_after_s
    return float("inf") if fault.is_present or after_s is None else fault.gone_s + after_s


def raise_fault(faults: Faults, code: FaultCode, is_present: bool, now_s: float) -> Faults | None:
    """Take the agent's word for a fault it owns; None when the fault is not its own."""
    if CATALOGUE[code].owner is not Owner.AGENT:
        return None
    known = faults.get(code)
    if known is None and not is_present:
        return faults
    return {**faults, code: note_presence(known, is_present, now_s)}


def note_acknowledged(connector: ConnectorState) -> frozenset[FaultCode]:
    """Forget what was acknowledged when the car has left, whatever restarts there were meanwhile."""
    return frozenset() if connector.acknowledged and is_seen_unplugged(connector) else connector.acknowledged


def clear_fault(faults: Faults, request: ClearFault, acknowledged: frozenset[FaultCode]) -> tuple[Faults, Reply]:
    """A person's acknowledgement; `acknowledged` have been since the last unplug. What is not latched is clear."""
    fault = faults.get(request.code)
    if fault is None:
        return faults, Reply(request.request, is_accepted=True)
    if CATALOGUE[request.code].latch is not Latch.ACKNOWLEDGE:
        return faults, Reply(request.request, is_accepted=False, reason="clears by itself; unplug the car")
    if fault.is_present:
        return faults, Reply(request.request, is_accepted=False, reason="the cause is still present")
    if request.code in acknowledged:
        reason = "acknowledged before for this car; unplug it first"
        return faults, Reply(request.request, is_accepted=False, reason=reason)
    remaining = {code: fault for code, fault in faults.items() if code is not request.code}
    return remaining, Reply(request.request, is_accepted=True)
