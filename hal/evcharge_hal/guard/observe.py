"""Facts from outside become state; nothing is decided here."""

from collections.abc import Callable
from dataclasses import replace

from evcharge_hal.boards.board import Cable
from evcharge_hal.contract.channel import ClearFault, EventKind, RaiseFault, Reply, SetPoint, Unlock, UnlockOutcome
from evcharge_hal.contract.faults import CATALOGUE
from evcharge_hal.contract.pilot import LinkDown, LinkIncompatible, LinkUp, PilotOutput, PilotReport, PilotState
from evcharge_hal.guard import faulting, lease, locking
from evcharge_hal.guard.ceilings import find_cable_a
from evcharge_hal.guard.deadlines import REPORT_LOST_S
from evcharge_hal.guard.effects import Record
from evcharge_hal.guard.events import AgentHeard, GuardInput, LeaveOrdered, LinesRead, TimePassed
from evcharge_hal.guard.monitors import is_diode_low
from evcharge_hal.guard.state import ConnectorState, GuardState, LinkView, PilotView

Note = Record | Reply
_PLUGGED = (PilotState.B, PilotState.C, PilotState.D)


def observe(state: GuardState, event: GuardInput, now_s: float) -> tuple[GuardState, list[Note]]:
    """Take one fact in; returns what is worth recording about it."""
    notes: list[Note] = []
    match event:
        case PilotReport():
            state = _on_report(state, event, notes)
        case LinesRead():
            state = _change(state, event.connector, lambda connector: _on_lines(connector, event, now_s))
        case LinkUp():
            state = _on_link_up(state, event, now_s, notes)
        case LinkDown():
            state = _on_link_down(state, event.reason, now_s, notes)
        case LinkIncompatible():
            state = _on_link_down(state, event.reason, now_s, notes)
            state = replace(state, link=replace(state.link, is_incompatible=True))
        case SetPoint() | RaiseFault() | ClearFault() | Unlock():
            state = _on_agent(state, event, now_s, notes)
        case AgentHeard():
            state = state if state.told_boot == state.known_boot else replace(state, told_boot=state.known_boot)
        case LeaveOrdered():
            state = _on_leave(state)
        case TimePassed():
            pass
    return _watch_freshness(state, now_s), notes


def lost_at_s(pilot: PilotView, link: LinkView) -> float:
    """When the co-processor counts as lost unless a fresh sample comes: a frame with an old sample is no help."""
    if pilot.report is None:
        return link.since_s + REPORT_LOST_S
    # A negative or absurd age must not make a report newer than its arrival.
    age_s = max(0.0, pilot.report.sample_age_s)
    return max(link.since_s, pilot.report.received_s - age_s) + REPORT_LOST_S


def _change(state: GuardState, number: int, change: Callable[[ConnectorState], ConnectorState]) -> GuardState:
    """Change one connector; a number this board does not have is ignored."""
    return state.with_connectors(
        tuple([change(item) if item.section.id == number else item for item in state.connectors])
    )


def _watch_freshness(state: GuardState, now_s: float) -> GuardState:
    """Notice silence connector by connector, whatever the link driver thinks of its bytes."""
    if not state.link.is_up:
        return state
    watched = tuple([_watch_connector(connector, state.link, now_s) for connector in state.connectors])
    return state if watched == state.connectors else state.with_connectors(watched)


def _watch_connector(connector: ConnectorState, link: LinkView, now_s: float) -> ConnectorState:
    due_s = lost_at_s(connector.pilot, link)
    lost_s = None if now_s < due_s else due_s
    if lost_s == connector.pilot.lost_s:
        return connector
    return replace(connector, pilot=replace(connector.pilot, lost_s=lost_s))


# --- the co-processor ---------------------------------------------------------------------------------------


def _on_link_up(state: GuardState, event: LinkUp, now_s: float, notes: list[Note]) -> GuardState:
    """A handshake: nothing known before it counts, and the outputs are given anew."""
    identity = event.identity
    detail = f"{identity.uid} boot {identity.boot_count} {identity.reset_cause.value} firmware {identity.firmware}"
    notes.append(Record(EventKind.COPROCESSOR_UP, detail=detail))
    boot = (identity.uid, identity.boot_count)
    # A guard that has just started meets the same boot again: power was not away another time. It says so again
    # only where no agent has heard it yet; one that has, knows by the plug's id that it was not.
    if boot != state.known_boot and identity.reset_cause.is_power_loss:
        notes.append(Record(EventKind.POWER_RESTORED, detail=detail))
    connectors = tuple(
        replace(_forget_reports(connector), sequence=replace(connector.sequence, drive=None))
        for connector in state.connectors
    )
    return replace(state, link=LinkView(now_s, identity, is_up=True), connectors=connectors, known_boot=boot)


def _forget_reports(connector: ConnectorState) -> ConnectorState:
    return replace(connector, pilot=replace(connector.pilot, report=None, lost_s=None, x2_reports=0, good_lows=0))


def _on_link_down(state: GuardState, reason: str, now_s: float, notes: list[Note]) -> GuardState:
    if not state.link.is_up:
        return state
    notes.append(Record(EventKind.COPROCESSOR_LOST, detail=reason))
    connectors = tuple(
        replace(connector, pilot=replace(connector.pilot, lost_s=_earlier(connector.pilot.lost_s, now_s)))
        for connector in state.connectors
    )
    return replace(state, link=replace(state.link, since_s=now_s, is_up=False), connectors=connectors)


def _earlier(lost_s: float | None, now_s: float) -> float:
    return now_s if lost_s is None else lost_s


def _on_report(state: GuardState, report: PilotReport, notes: list[Note]) -> GuardState:
    identity = state.link.identity
    if not state.link.is_up or identity is None:
        return state
    if report.boot_count != identity.boot_count:
        # It has booted and nobody shook hands: whatever it says, no pilot and no permit is what we set.
        reason = f"boot {report.boot_count} without a handshake"
        state = _on_link_down(state, reason, report.received_s, notes)
        return replace(state, connectors=tuple(_forget_reports(connector) for connector in state.connectors))

    def take(connector: ConnectorState) -> ConnectorState:
        pilot = _read_pilot(state, connector, report, notes)
        if pilot.plug_id == connector.pilot.plug_id:
            return connector.with_pilot(pilot)
        # Another plug: neither the agent's word nor the self-test, also one that still runs, was for it.
        rcm = replace(connector.rcm, passed_plug_id=None, tested_plug_id=None)
        return replace(connector, pilot=pilot, lease=lease.forget_plug(connector.lease), rcm=rcm)

    return _change(state, report.connector, take)


def _read_pilot(state: GuardState, connector: ConnectorState, report: PilotReport, notes: list[Note]) -> PilotView:
    known = connector.pilot
    is_x2 = report.output is PilotOutput.X2
    is_same = known.report is not None and known.report.state is report.state
    plug_id = _plug_id(state, known.plug_id, report)
    plugged_s, cable_a = known.plugged_s, known.cable_a
    if plug_id != known.plug_id:
        plugged_s, cable_a = report.received_s, None
        _note_plug(connector.section.id, known.plug_id, plug_id, report, notes)
    if plug_id is not None and cable_a is None and connector.section.cable is Cable.SOCKET:
        cable_a = find_cable_a(report.pp_ohm, state.board.thresholds)
    return PilotView(
        report=report,
        state_since_s=known.state_since_s if is_same else report.received_s,
        x2_reports=known.x2_reports + 1 if is_x2 else 0,
        good_lows=known.good_lows + 1 if is_x2 and is_diode_low(report) else 0,
        plug_id=plug_id,
        plugged_s=plugged_s,
        cable_a=cable_a,
        lost_s=known.lost_s,
    )


def _plug_id(state: GuardState, known: str | None, report: PilotReport) -> str | None:
    """DESIGN D11: co-processor uid, boot and plug count, so the same plug has the same id after any restart."""
    if report.state is PilotState.A or state.link.identity is None:
        return None
    if report.state in _PLUGGED or known is not None:
        return f"{state.link.identity.uid}-{report.boot_count}-{report.connector}.{report.plug_count}"
    return None


def _note_plug(number: int, old: str | None, new: str | None, report: PilotReport, notes: list[Note]) -> None:
    """A new id of the same boot means that the old car left, seen or not."""
    boot = f"-{report.boot_count}-{number}."
    if old is not None and (new is None or boot in old):
        notes.append(Record(EventKind.UNPLUGGED, number, old))
    if new is not None:
        detail = "was there when the co-processor booted" if report.plug_count == 0 else ""
        notes.append(Record(EventKind.PLUGGED, number, new, detail=detail))


# --- lines and the agent ------------------------------------------------------------------------------------


def _on_lines(connector: ConnectorState, event: LinesRead, now_s: float) -> ConnectorState:
    contactor = connector.contactor
    if contactor.is_closed is not event.is_contactor_closed:
        contactor = replace(contactor, is_closed=event.is_contactor_closed, changed_s=now_s)
    rcm = replace(connector.rcm, is_tripped=event.is_rcm_tripped, read_s=now_s)
    return replace(connector, contactor=contactor, rcm=rcm)


def _on_agent(
    state: GuardState, message: SetPoint | RaiseFault | ClearFault | Unlock, now_s: float, notes: list[Note]
) -> GuardState:
    match message:
        case SetPoint():
            if state.is_leaving:
                return state
            return _change(state, message.connector, lambda connector: _on_set_point(connector, message, now_s, notes))
        case RaiseFault():
            return _change(state, message.connector, lambda connector: _on_raise(connector, message, now_s, notes))
        case ClearFault():
            return _on_clear(state, message, notes)
        case Unlock():
            return _change(state, message.connector, lambda connector: _on_unlock(connector, message, now_s, notes))


def _on_set_point(connector: ConnectorState, set_point: SetPoint, now_s: float, notes: list[Note]) -> ConnectorState:
    """Only the car that is in is spoken for; a wish for another is no permission (DESIGN D2)."""
    held, plug_id = connector.lease, connector.pilot.plug_id
    if plug_id is not None and set_point.plug_id == plug_id:
        return replace(connector, lease=lease.accept_set_point(held, set_point, now_s))
    # Around a plug event both sides are briefly of different opinion; only a wrong id, and once, is worth a line.
    if plug_id is None or set_point.plug_id in (None, held.noticed_plug_id):
        return connector
    detail = f"set-point for {set_point.plug_id} ignored"
    notes.append(Record(EventKind.NOTICE, connector.section.id, plug_id, detail=detail))
    return replace(connector, lease=replace(held, noticed_plug_id=set_point.plug_id))


def _on_leave(state: GuardState) -> GuardState:
    """Without a wish no current is offered: pilot off now, contactor when the car has let go, at the latest after 6 s."""
    connectors = tuple(replace(item, lease=lease.forget_plug(item.lease)) for item in state.connectors)
    return replace(state, connectors=connectors, is_leaving=True)


def _on_raise(connector: ConnectorState, event: RaiseFault, now_s: float, notes: list[Note]) -> ConnectorState:
    faults = faulting.raise_fault(connector.faults, event.code, event.is_present, now_s)
    if faults is None:
        detail = f"the agent does not own {event.code.value}"
        notes.append(Record(EventKind.NOTICE, connector.section.id, detail=detail))
        return connector
    return replace(connector, faults=faults)


def _on_unlock(connector: ConnectorState, message: Unlock, now_s: float, notes: list[Note]) -> ConnectorState:
    """The latest order counts; one that waited for it is answered."""
    lock = connector.lock
    if lock.request is not None:
        notes.append(Reply(lock.request, is_accepted=False, reason=UnlockOutcome.FAILED.value))
    refusal = locking.refuse_unlock(connector, message)
    if refusal is not None:
        notes.append(refusal)
        return replace(connector, lock=replace(lock, request=None))
    return replace(connector, lock=replace(lock, request=message.request, asked_s=now_s))


def _on_clear(state: GuardState, event: ClearFault, notes: list[Note]) -> GuardState:
    if all(connector.section.id != event.connector for connector in state.connectors):
        notes.append(Reply(event.request, is_accepted=False, reason=f"there is no connector {event.connector}"))

    def clear(connector: ConnectorState) -> ConnectorState:
        faults, reply = faulting.clear_fault(connector.faults, event, connector.acknowledged)
        notes.append(reply)
        if faults is connector.faults:
            return connector
        is_once = CATALOGUE[event.code].is_acknowledged_once
        acknowledged = connector.acknowledged | {event.code} if is_once else connector.acknowledged
        return replace(connector, faults=faults, acknowledged=acknowledged)

    return _change(state, event.connector, clear)
