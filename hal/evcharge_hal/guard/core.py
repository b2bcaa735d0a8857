"""The guard's decisions: `step(state, event, now) -> (state, effects)`, without clock, I/O or randomness.

One turn is: take the fact in, then for each connector let time pass, look for faults, decide the offer, let the
sequence settle, and say what the outputs are. Nothing above the guard can close the contactor or raise a
current past a limit; whoever calls only adds wishes and facts.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from evcharge_hal.boards.board import Board, ConnectorSection, Lock
from evcharge_hal.contract.channel import Ceiling, EventKind
from evcharge_hal.contract.faults import CATALOGUE, FaultCode
from evcharge_hal.contract.pilot import CoprocessorFault, PilotCommand, PilotOutput, PilotState
from evcharge_hal.contract.units import Amps
from evcharge_hal.guard import ceilings, deadlines, faulting, lease, locking
from evcharge_hal.guard.closing import HOLDS, Hold, classify
from evcharge_hal.guard.effects import ClearCoprocessorLatch, Drive, GuardEffect, Record, Remember
from evcharge_hal.guard.events import GuardInput, TimePassed
from evcharge_hal.guard.locking import Locking
from evcharge_hal.guard.monitors import MONITORS, Monitor
from evcharge_hal.guard.observe import observe
from evcharge_hal.guard.rcm_test import abort_test, advance_test
from evcharge_hal.guard.reporting import find_deadline_s, next_deadline_s, status
from evcharge_hal.guard.sequence import OUTPUTS, TABLE, Output, SequenceState, Signal
from evcharge_hal.guard.state import (
    ConnectorState,
    ContactorView,
    GuardState,
    LeaseView,
    LinkView,
    LockView,
    OfferView,
    PilotView,
    RcmPhase,
    RcmView,
    SequenceView,
    Situation,
)

__all__ = ["RULES", "Rules", "next_deadline_s", "start", "status", "step"]

_HOST_LOST = CoprocessorFault.HOST_LOST.value
_SETTLE_TURNS = len(SequenceState)
_LOOKS = 5
"""Most looks at one instant; what moves is settled after two, a self-test that failed after three."""
_PROVEN = (SequenceState.CHARGING, SequenceState.STOPPING)


@dataclass(frozen=True, slots=True)
class Rules:
    """What the core decides by. Tests plant bugs here to see that the proofs find them."""

    table: Mapping[SequenceState, Mapping[Signal, SequenceState]]
    outputs: Mapping[SequenceState, Output]
    monitors: Sequence[Monitor]
    holds: Sequence[Hold]
    own_ceilings: Callable[[Situation], tuple[Ceiling, ...]]
    share_supply: Callable[[Situation, Sequence[ConnectorState]], Ceiling | None]
    decide_offer_a: Callable[[Situation, Sequence[Ceiling]], Amps]
    decide_lock: Callable[[Situation, bool], Locking]


RULES = Rules(
    table=TABLE,
    outputs=OUTPUTS,
    monitors=MONITORS,
    holds=HOLDS,
    own_ceilings=ceilings.own_ceilings,
    share_supply=ceilings.share_supply,
    decide_offer_a=ceilings.decide_offer_a,
    decide_lock=locking.decide_lock,
)


def start(board: Board, kept: Remember, now_s: float) -> GuardState:
    """The guard as it starts: everything open, what outlives a process as remembered, nobody's word.

    `kept.testing` names connectors whose RCM self-test the process before left running. Lines keep their level when a
    process dies, so the monitor may trip by that test current until 3 s after this start has taken it away.
    """
    return GuardState(
        board,
        started_s=now_s,
        stepped_s=now_s,
        link=LinkView(since_s=now_s),
        connectors=tuple(_start_connector(section, kept, now_s) for section in board.connector),
        known_boot=kept.coprocessor,
        told_boot=kept.coprocessor,
    )


def _start_connector(section: ConnectorSection, kept: Remember, now_s: float) -> ConnectorState:
    closings, recent_s = kept.closings.get(section.id, 0), kept.recent_s.get(section.id)
    # After a boot nobody knows when the last closing was, so it counts as now: a charger that restarts in a
    # circle must not wear the contactor out.
    if recent_s is None:
        recent_s = (now_s,) if closings else ()
    recent_s = tuple(min(at_s, now_s) for at_s in recent_s)
    return ConnectorState(
        section=section,
        pilot=PilotView(),
        contactor=ContactorView(is_driven=False, driven_s=now_s, total=closings, recent_s=recent_s, changed_s=now_s),
        rcm=RcmView(phase=RcmPhase.RELEASING, phase_s=now_s) if section.id in kept.testing else RcmView(),
        lease=LeaseView(),
        offer=OfferView(x1_since_s=now_s, phases=section.phases),
        faults=faulting.restore_faults(kept.latched.get(section.id, frozenset()), now_s),
        sequence=SequenceView(SequenceState.START_UP, now_s),
        acknowledged=kept.acknowledged.get(section.id, frozenset()),
        # Whatever it held before is held until the outlet is proven dead (H18).
        lock=LockView(is_driven=section.lock is not Lock.NONE),
    )


def step(
    state: GuardState, event: GuardInput, now_s: float, rules: Rules = RULES
) -> tuple[GuardState, tuple[GuardEffect, ...]]:
    """Take one fact in and decide. Drives come first, then what to remember, then what to tell."""
    early: tuple[GuardEffect, ...] = ()
    if now_s >= state.stepped_s + deadlines.REPORT_LOST_S:
        # The process was away for as long as the co-processor waits. What its deadlines say comes before any
        # fact that may have waited in a buffer meanwhile.
        state, early = _turn(_abort_tests(state, now_s), TimePassed(), now_s, rules)
    elif now_s >= state.stepped_s + deadlines.RCM_STALL_S and any(map(_is_testing, state.connectors)):
        state, early = _turn(_abort_tests(state, now_s), TimePassed(), now_s, rules)
    state, effects = _turn(state, event, now_s, rules)
    return state, early + effects


def _abort_tests(state: GuardState, now_s: float) -> GuardState:
    connectors = tuple(replace(item, rcm=abort_test(item.rcm, now_s)) for item in state.connectors)
    return replace(state, connectors=connectors)


def _turn(
    before: GuardState, event: GuardInput, now_s: float, rules: Rules
) -> tuple[GuardState, tuple[GuardEffect, ...]]:
    state, notes = observe(before, event, now_s)
    drives: list[GuardEffect] = []
    later: list[GuardEffect] = list(notes)
    settled = list(state.connectors)
    concerned = _concerned(before, state, event, now_s)
    _decide_all(state, settled, concerned, now_s, rules, later)
    for index in concerned:
        drive = _drive(settled[index], rules.outputs)
        if drive != settled[index].sequence.drive:
            settled[index] = replace(settled[index], sequence=replace(settled[index].sequence, drive=drive))
            drives.append(drive)
    decided_s = now_s if len(concerned) == len(settled) else state.decided_s
    due_s = find_deadline_s(state, settled, now_s, decided_s)
    state = GuardState(
        state.board,
        state.started_s,
        now_s,
        state.link,
        tuple(settled),
        state.known_boot,
        state.told_boot,
        state.is_leaving,
        decided_s,
        due_s,
    )
    pairs = list(zip(before.connectors, settled, strict=True))
    if state.told_boot != before.told_boot or any(_is_memorable(old, new) for old, new in pairs):
        drives.append(_memory(state))
    for old, new in pairs:
        later += _fault_records(old, new)
    return state, (*drives, *later)


def _concerned(before: GuardState, state: GuardState, event: GuardInput, now_s: float) -> Sequence[int]:
    """Which connectors have to be decided about: those a fact has changed; all where time or what they share has."""
    numbers = range(len(state.connectors))
    is_time_up = now_s >= before.due_s or isinstance(event, TimePassed)
    is_shared = state.board.board.supply_a is not None or state.link is not before.link
    if is_time_up or is_shared or state.is_leaving is not before.is_leaving:
        return numbers
    return [index for index in numbers if state.connectors[index] is not before.connectors[index]]


def _decide_all(
    state: GuardState,
    settled: list[ConnectorState],
    concerned: Sequence[int],
    now_s: float,
    rules: Rules,
    later: list[GuardEffect],
) -> None:
    """Decide until nothing moves any more, so that nothing waits for the next fact to be decided about.

    What is decided last (a lock's third try, a fault that is over) may matter to what is decided first, and on a
    shared supply one connector's offer to the other's.
    """
    for _ in range(_LOOKS):
        has_moved = False
        for index in concerned:
            connector = settled[index]
            situation = Situation(state.board, state.link, connector, state.started_s, now_s)
            settled[index] = _decide(situation, settled[:index] + settled[index + 1 :], rules, later)
            has_moved = has_moved or settled[index] is not connector
        if not has_moved:
            return


# --- one connector ------------------------------------------------------------------------------------------


def _decide(
    situation: Situation, others: Sequence[ConnectorState], rules: Rules, later: list[GuardEffect]
) -> ConnectorState:
    """Let time pass, look for faults, decide the offer, let the sequence settle."""
    connector, now_s = situation.connector, situation.now_s
    held, fact = lease.pass_time(connector.lease, now_s)
    if held is not connector.lease:
        connector = replace(connector, lease=held)
    if fact is not None:
        later.append(Record(fact, connector.section.id, connector.pilot.plug_id))
    rcm = advance_test(situation.about(connector))
    if rcm is not connector.rcm:
        connector = replace(connector, rcm=rcm)
    acknowledged = faulting.note_acknowledged(connector)
    if acknowledged is not connector.acknowledged:
        connector = replace(connector, acknowledged=acknowledged)
    faults = faulting.update_faults(situation.about(connector), rules.monitors)
    if faults is not connector.faults:
        connector = replace(connector, faults=faults)
    situation = situation.about(connector)
    limits = rules.own_ceilings(situation)
    share = rules.share_supply(situation, others)
    if share is not None:
        limits += (share,)
    if limits != connector.offer.ceilings:
        situation = situation.about(replace(connector, offer=replace(connector.offer, ceilings=limits)))
    wanted_a = rules.decide_offer_a(situation, limits)
    connector = _settle(situation, wanted_a, rules, later)
    connector = _set_pilot(connector, wanted_a, rules.outputs, now_s)
    connector = _set_lock(situation.about(connector), rules, later)
    return _ask_for_latch(connector, now_s, later)


def _settle(situation: Situation, wanted_a: Amps, rules: Rules, later: list[GuardEffect]) -> ConnectorState:
    """Follow the table until it says to stay."""
    for _ in range(_SETTLE_TURNS):
        signal = classify(situation, wanted_a, rules.holds)
        state = rules.table[situation.connector.sequence.state][signal]
        if state is situation.connector.sequence.state and signal is not Signal.GONE:
            break
        connector = _enter(situation, state, signal, rules.outputs, later)
        if connector is situation.connector:
            break
        situation = situation.about(connector)
    return situation.connector


def _enter(
    situation: Situation,
    state: SequenceState,
    signal: Signal,
    outputs: Mapping[SequenceState, Output],
    later: list[GuardEffect],
) -> ConnectorState:
    """Go to another state: the relay line, the stop's deadline and the records that belong to it."""
    connector, now_s = situation.connector, situation.now_s
    pilot, sequence = connector.pilot, connector.sequence
    if state is sequence.state:
        # GONE with nothing running: from now on the sequence runs for whatever is plugged in.
        if sequence.plug_id == pilot.plug_id:
            return connector
        return replace(connector, sequence=replace(sequence, plug_id=pilot.plug_id))
    stop_by_s = float("inf")
    if state is SequenceState.STOPPING:
        stop_by_s = now_s + deadlines.STOP_UNDER_LOAD_S
        if pilot.lost_s is not None:
            stop_by_s = pilot.lost_s + deadlines.LOST_OPEN_AFTER_S
    is_known = signal not in (Signal.LOST, Signal.UNREADY)
    plug_id = pilot.plug_id if is_known else sequence.plug_id
    number = connector.section.id
    if state is SequenceState.CHARGING:
        later.append(Record(EventKind.CONTACTOR_CLOSED, number, sequence.plug_id))
    elif sequence.state in _PROVEN and not outputs[state].is_relay_closed:
        later.append(Record(EventKind.CONTACTOR_OPENED, number, sequence.plug_id, detail=signal.value))
    return replace(
        connector,
        contactor=_drive_relay(connector.contactor, outputs[state].is_relay_closed, now_s),
        sequence=replace(sequence, state=state, since_s=now_s, plug_id=plug_id, stop_by_s=stop_by_s),
    )


def _drive_relay(contactor: ContactorView, is_driven: bool, now_s: float) -> ContactorView:
    if is_driven is contactor.is_driven:
        return contactor
    if not is_driven:
        return replace(contactor, is_driven=False, driven_s=now_s)
    recent_s = tuple(at_s for at_s in contactor.recent_s if now_s < at_s + deadlines.CLOSINGS_WINDOW_S)
    return replace(contactor, is_driven=True, driven_s=now_s, total=contactor.total + 1, recent_s=(*recent_s, now_s))


def _set_pilot(
    connector: ConnectorState, wanted_a: Amps, outputs: Mapping[SequenceState, Output], now_s: float
) -> ConnectorState:
    """Offer, phases and lock as the sequence's state allows them."""
    is_x2 = outputs[connector.sequence.state].pilot is PilotOutput.X2
    offer = ceilings.apply_offer(connector.offer, wanted_a if is_x2 else 0.0, now_s)
    is_open = not connector.contactor.is_driven and connector.contactor.is_closed is not True
    set_point = connector.lease.set_point
    # DESIGN D13: phases change only in X1 with the contactor open.
    if set_point is not None and is_open and not is_x2:
        phases = min(set_point.phases, connector.section.phases)
        offer = offer if offer.phases == phases else replace(offer, phases=phases)
    sequence = connector.sequence
    if sequence.state is SequenceState.STOPPING and connector.pilot.lost_s is not None:
        stop_by_s = min(sequence.stop_by_s, connector.pilot.lost_s + deadlines.LOST_OPEN_AFTER_S)
        if stop_by_s != sequence.stop_by_s:
            sequence = replace(sequence, stop_by_s=stop_by_s)
    if offer is connector.offer and sequence is connector.sequence:
        return connector
    return replace(connector, offer=offer, sequence=sequence)


def _set_lock(situation: Situation, rules: Rules, later: list[GuardEffect]) -> ConnectorState:
    """The lock as the sequence's state asks for it (DESIGN D13)."""
    connector = situation.connector
    is_offered = rules.outputs[connector.sequence.state].pilot is PilotOutput.X2
    decided = rules.decide_lock(situation, is_offered)
    later += decided.replies
    return connector if decided.lock is connector.lock else replace(connector, lock=decided.lock)


def _ask_for_latch(connector: ConnectorState, now_s: float, later: list[GuardEffect]) -> ConnectorState:
    """Have the co-processor drop its latches after a replug or 60 s, once its own cause has gone (H2)."""
    fault, report = connector.faults.get(FaultCode.COPROCESSOR_FAULT), connector.pilot.report
    if fault is None or report is None or connector.pilot.lost_s is not None or report.active.value & ~_HOST_LOST:
        return connector
    is_due = report.state is PilotState.A or now_s >= fault.raised_s + deadlines.LATCH_CLEAR_AFTER_S
    if not is_due or now_s < connector.sequence.latch_cleared_s + deadlines.LATCH_CLEAR_APART_S:
        return connector
    later.append(ClearCoprocessorLatch(connector.section.id))
    return replace(connector, sequence=replace(connector.sequence, latch_cleared_s=now_s))


# --- effects ------------------------------------------------------------------------------------------------


def _drive(connector: ConnectorState, outputs: Mapping[SequenceState, Output]) -> Drive:
    output, offer = outputs[connector.sequence.state], connector.offer
    report = connector.pilot.report
    is_x2 = output.pilot is PilotOutput.X2 and offer.offered_a > 0.0
    return Drive(
        connector=connector.section.id,
        is_relay_closed=output.is_relay_closed,
        is_rcm_test_active=connector.rcm.phase is RcmPhase.TRIPPING,
        pilot=PilotCommand(
            connector=connector.section.id,
            output=PilotOutput.X2 if is_x2 else PilotOutput.X1,
            limit_a=Amps(offer.offered_a),
            permit=output.permit,
            is_locked=connector.lock.is_driven,
            phases=offer.phases,
            session_number=0 if report is None else report.plug_count & 0xFFFF,
        ),
    )


def _is_memorable(old: ConnectorState, new: ConnectorState) -> bool:
    """Whether something has changed that must outlive the process (DESIGN D11)."""
    if old.contactor.total != new.contactor.total or _is_testing(old) is not _is_testing(new):
        return True
    if old.acknowledged != new.acknowledged:
        return True
    if old.faults is new.faults:
        return False
    return faulting.acknowledge_only(old.faults) != faulting.acknowledge_only(new.faults)


def _is_testing(connector: ConnectorState) -> bool:
    return connector.rcm.phase is not RcmPhase.IDLE


def _memory(state: GuardState) -> Remember:
    return Remember(
        latched={item.section.id: faulting.acknowledge_only(item.faults) for item in state.connectors},
        closings={item.section.id: item.contactor.total for item in state.connectors},
        recent_s={item.section.id: item.contactor.recent_s for item in state.connectors},
        testing=frozenset(item.section.id for item in state.connectors if _is_testing(item)),
        acknowledged={item.section.id: item.acknowledged for item in state.connectors if item.acknowledged},
        coprocessor=state.told_boot,
    )


def _fault_records(old: ConnectorState, new: ConnectorState) -> list[GuardEffect]:
    if old.faults is new.faults:
        return []
    number, plug_id = new.section.id, new.pilot.plug_id
    raised = [code for code in new.faults if code not in old.faults]
    cleared = [code for code in old.faults if code not in new.faults]
    return [
        *(Record(EventKind.FAULT_RAISED, number, plug_id, code, CATALOGUE[code].text) for code in raised),
        *(Record(EventKind.FAULT_CLEARED, number, plug_id, code) for code in cleared),
    ]
