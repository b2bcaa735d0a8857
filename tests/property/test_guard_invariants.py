"""The safety case's invariants over random histories of the guard's core, and a bug each of them must find.

A history charges first and then lets anything happen: faults, lies in single reports, a silent or stale agent, a
lost or rebooted co-processor, a stalled or restarted guard. The judges (`tests.support.guard_laws`) see inputs
and outputs only. Every planted bug breaks one real rule of the core through `core.Rules`, or corrupts its
effects exactly as that bug would; the law it breaks must say so.
"""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evcharge_hal.boards.board import Lock
from evcharge_hal.contract.channel import CeilingSource, LeaseState
from evcharge_hal.contract.faults import FaultCode
from evcharge_hal.contract.units import Amps
from evcharge_hal.guard import closing, core, locking
from evcharge_hal.guard.ceilings import own_ceilings
from evcharge_hal.guard.core import RULES, Rules
from evcharge_hal.guard.effects import Drive, GuardEffect, Remember
from evcharge_hal.guard.events import LeaveOrdered, LinesRead
from evcharge_hal.guard.locking import Locking
from evcharge_hal.guard.sequence import SequenceState, Signal
from evcharge_hal.guard.state import GuardState, Situation
from tests.support.guard_histories import ACTIONS, DURATIONS_S, Act, play, random_history
from tests.support.guard_laws import BrokenLawError, Court
from tests.support.guard_world import Step, World, make_board

STATES, SIGNALS = SequenceState, Signal


def histories(connectors: int) -> st.SearchStrategy[list[Act]]:
    acts = st.builds(Act, st.sampled_from(sorted(ACTIONS)), st.integers(1, connectors), st.sampled_from(DURATIONS_S))
    return st.lists(acts, min_size=4, max_size=18)


def judged_world(step: Step, connectors: int, lock: Lock = Lock.NONE) -> World:
    board = make_board(connectors, supply_a=32.0 if connectors > 1 else None, lock=lock)
    return World(board, step=step, watchers=[Court(board)])


bounded = settings(
    deadline=None, max_examples=12, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow]
)


@bounded
@given(history=histories(1), seed=st.integers(0, 1000))
def test_inv_1_2_3_4_5_11_12_14_16_19_hold_on_one_connector(history: list[Act], seed: int) -> None:
    play(judged_world(core.step, 1), history, seed)


@bounded
@given(history=histories(2), seed=st.integers(0, 1000))
def test_inv_1_2_3_4_5_11_12_14_16_19_hold_on_two_connectors_with_one_supply(history: list[Act], seed: int) -> None:
    play(judged_world(core.step, 2), history, seed)


@bounded
@given(history=histories(1), seed=st.integers(0, 1000))
def test_inv_18_and_all_others_hold_with_a_lock(history: list[Act], seed: int) -> None:
    play(judged_world(core.step, 1, Lock.MOTOR), history, seed)


@pytest.mark.soak
@pytest.mark.parametrize("block", range(20))
def test_inv_all_hold_over_long_campaigns(block: int) -> None:
    for seed in range(block * 100, block * 100 + 100):
        connectors = 1 + seed % 2
        lock = Lock.SOLENOID if seed % 3 == 0 else Lock.NONE
        play(judged_world(core.step, connectors, lock), random_history(seed, connectors, length=40), seed)


# --- planted bugs -------------------------------------------------------------------------------------------


def with_rules(**changes: object) -> Step:
    return functools.partial(core.step, rules=replace(RULES, **changes))


def with_edges(*edges: tuple[SequenceState, Sequence[Signal], SequenceState]) -> Step:
    table = {state: dict(row) for state, row in RULES.table.items()}
    for state, signals, target in edges:
        table[state].update(dict.fromkeys(signals, target))
    return with_rules(table=table)


def without_monitor(*codes: FaultCode) -> Step:
    return with_rules(monitors=tuple(monitor for monitor in RULES.monitors if monitor.code not in codes))


def without_hold(*conditions: Callable[[Situation], bool]) -> Step:
    return with_rules(holds=tuple(hold for hold in RULES.holds if hold.is_holding not in conditions))


def without_ceiling(source: CeilingSource) -> Step:
    def forgetful(situation: Situation) -> tuple[core.Ceiling, ...]:
        return tuple(ceiling for ceiling in own_ceilings(situation) if ceiling.source is not source)

    return with_rules(own_ceilings=forgetful)


def with_effects(change: Callable[[GuardEffect], GuardEffect | None]) -> Step:
    def step(state: GuardState, event: core.GuardInput, now_s: float) -> tuple[GuardState, tuple[GuardEffect, ...]]:
        state, effects = core.step(state, event, now_s)
        changed = tuple(change(effect) for effect in effects)
        return state, tuple(effect for effect in changed if effect is not None)

    return step


def forget_latches(effect: GuardEffect) -> GuardEffect:
    if isinstance(effect, Remember):
        return replace(effect, latched=dict.fromkeys(effect.latched, frozenset()))
    return effect


def forget_closings(effect: GuardEffect) -> GuardEffect | None:
    return None if isinstance(effect, Remember) else effect


Stepped = tuple[GuardState, tuple[GuardEffect, ...]]


def forget_to_leave(state: GuardState, event: core.GuardInput, now_s: float) -> Stepped:
    state, effects = core.step(state, event, now_s)
    return replace(state, is_leaving=False), effects


def open_at_once_to_leave(state: GuardState, event: core.GuardInput, now_s: float) -> Stepped:
    state, effects = core.step(state, event, now_s)
    if not isinstance(event, LeaveOrdered):
        return state, effects
    return state, tuple(replace(one, is_relay_closed=False) if isinstance(one, Drive) else one for one in effects)


def ask_nobody_while_leaving(state: GuardState, event: core.GuardInput, now_s: float) -> Stepped:
    if state.is_leaving and isinstance(event, LinesRead):
        return state, ()
    return core.step(state, event, now_s)


def forget_who_acknowledged(state: GuardState, event: core.GuardInput, now_s: float) -> Stepped:
    state, effects = core.step(state, event, now_s)
    forgetful = tuple(replace(connector, acknowledged=frozenset()) for connector in state.connectors)
    return state.with_connectors(forgetful), effects


def unlock_with_the_permission(situation: Situation, is_offered: bool) -> Locking:
    decided = locking.decide_lock(situation, is_offered)
    return decided if decided.lock.is_wanted else Locking(replace(decided.lock, is_driven=False))


def unlock_a_weld(situation: Situation, is_offered: bool) -> Locking:
    faults = {code: fault for code, fault in situation.connector.faults.items() if code.value != "contactor_welded"}
    contactor = replace(situation.connector.contactor, is_closed=False)
    return locking.decide_lock(
        situation.about(replace(situation.connector, faults=faults, contactor=contactor)), is_offered
    )


def start_closed(effect: GuardEffect) -> GuardEffect:
    if isinstance(effect, Drive) and effect.pilot.session_number == 0:
        return replace(effect, pilot=replace(effect.pilot, permit=True))
    return effect


def ignore_the_lapse(situation: Situation, limits: Sequence[core.Ceiling]) -> Amps:
    lease = situation.connector.lease
    if lease.state is LeaseState.LAPSED:
        held = replace(situation.connector, lease=replace(lease, state=LeaseState.HELD))
        return RULES.decide_offer_a(situation.about(held), limits)
    return RULES.decide_offer_a(situation, limits)


def rise_to_the_lapse_current(situation: Situation, limits: Sequence[core.Ceiling]) -> Amps:
    lease = situation.connector.lease
    if lease.state is LeaseState.LAPSED and lease.set_point is not None:
        return Amps(min(lease.set_point.on_lapse_a, *(ceiling.limit_a for ceiling in limits)))
    return RULES.decide_offer_a(situation, limits)


def hold_for_ever(situation: Situation, limits: Sequence[core.Ceiling]) -> Amps:
    lease = situation.connector.lease
    if lease.state is LeaseState.SPENT:
        held = replace(situation.connector, lease=replace(lease, state=LeaseState.LAPSED))
        return RULES.decide_offer_a(situation.about(held), limits)
    return RULES.decide_offer_a(situation, limits)


def offer_below_the_minimum(situation: Situation, limits: Sequence[core.Ceiling]) -> Amps:
    set_point = situation.connector.lease.set_point
    if set_point is not None and 0.0 < set_point.offer_a < 6.0:
        return set_point.offer_a
    return RULES.decide_offer_a(situation, limits)


def raise_at_once(situation: Situation, limits: Sequence[core.Ceiling]) -> Amps:
    offer = replace(situation.connector.offer, raised_s=float("-inf"))
    return RULES.decide_offer_a(situation.about(replace(situation.connector, offer=offer)), limits)


def resume_at_once(situation: Situation, limits: Sequence[core.Ceiling]) -> Amps:
    offer = replace(situation.connector.offer, raised_s=float("-inf"), x1_since_s=float("-inf"))
    return RULES.decide_offer_a(situation.about(replace(situation.connector, offer=offer)), limits)


def only_ten_seconds_apart(situation: Situation) -> bool:
    recent_s = situation.connector.contactor.recent_s
    return bool(recent_s) and situation.now_s < recent_s[-1] + 10.0


def acts(*lines: tuple[str, float]) -> Sequence[Act]:
    return [Act(name, 1, then_s) for name, then_s in lines]


IN_B = (SIGNALS.B_PAUSED, SIGNALS.B_OFFERED)
WITHOUT_WEAR_GUARD = tuple(
    replace(hold, is_holding=only_ten_seconds_apart) if hold.is_holding is closing.is_reclose_guarded else hold
    for hold in RULES.holds
)
BOOT = acts(("unplug", 1.07))
FLAPPING = acts(("recover", 11.0), ("let_go", 4.03)) * 9
LAPSE = acts(("silence_agent", 11.0))
LAPSE_IN_B = acts(("let_go", 0.31), ("silence_agent", 11.0), ("ask", 4.03))
LAPSE_BELOW = acts(("tight_offer", 0.31), ("silence_agent", 11.0))
SILENT_AGENT = acts(("silence_agent", 11.0)) * 13
REBOOT = acts(("reboot", 1.07))
OLD_SAMPLES = acts(("let_go", 11.0), ("old_samples", 0.31), ("ask", 4.03))
BRIEF_SHORT = acts(("short", 0.31), ("recover", 11.0))
BRIEF_GAP = acts(("gap", 0.31), ("recover", 11.0))
BAD_DIODE = acts(("break_diode", 1.07))
WELD = acts(("weld", 0.31), ("let_go", 4.03))
UP_AND_DOWN = acts(("tight_offer", 0.31), ("full_offer", 0.31)) * 2
NO_SENSOR = acts(("full_offer", 0.31), ("lose_sensor", 1.07))
WARM = acts(("full_offer", 0.31), ("warm", 1.07))
UNTESTED = acts(("slow_rcm", 0.03), ("unplug", 11.0), ("ask", 11.0))
THIN_CABLE = acts(("unplug", 4.03), ("thin_cable", 0.03), ("plug", 1.07), ("full_offer", 11.0))
UNPLUGGED = acts(("unplug", 1.07))
OTHER_CABLE = acts(("thin_cable", 1.07))
NO_LOCK = acts(("unplug", 11.0), ("lose_lock", 0.31), ("ask", 11.0))
STOP = acts(("stop", 1.07), ("let_go", 4.03))
WELD_LOCKED = acts(("weld", 0.31), ("stop", 0.31), ("let_go", 4.03))
UNLOCKED_IS_FINE = tuple(hold for hold in RULES.holds if hold.is_holding is not closing.is_unlocked)
NO_JAM = tuple(monitor for monitor in RULES.monitors if monitor.code is not FaultCode.LOCK_JAM)
LEAK_TWICE = acts(("leak", 0.31), ("heal", 1.07), ("recover", 4.03)) * 2
SMALL_OFFER = acts(("small_offer", 1.07))
LEAVE = acts(("leave", 11.0))
LEAK_WHILE_LEAVING = acts(("leave", 0.31), ("leak", 1.07))
DIRECTED = (
    BOOT, FLAPPING, LAPSE, LAPSE_IN_B, LAPSE_BELOW, SILENT_AGENT, REBOOT, OLD_SAMPLES, BRIEF_SHORT, BRIEF_GAP, BAD_DIODE,
    WELD, UP_AND_DOWN, NO_SENSOR, WARM, UNTESTED, THIN_CABLE, UNPLUGGED, OTHER_CABLE, SMALL_OFFER, LEAVE, LEAK_WHILE_LEAVING,
    LEAK_TWICE, STOP, WELD_LOCKED,
)  # fmt: skip


@dataclass(frozen=True)
class Bug:
    law: str
    step: Step
    connectors: int = 1
    history: Sequence[Act] = ()
    lock: Lock = Lock.NONE


BUGS = {
    "inv_1_closes_in_b": Bug("INV-1", with_edges((STATES.OFFERED, [SIGNALS.B_OFFERED], STATES.CLOSING))),
    "inv_1_stays_closed_in_b": Bug("INV-1", with_edges((STATES.CHARGING, IN_B, STATES.CHARGING))),
    "inv_1_stays_closed_unplugged": Bug(
        "INV-1", with_edges((STATES.CHARGING, [SIGNALS.GONE], STATES.CHARGING)), history=UNPLUGGED
    ),
    "inv_1_forgets_the_age_of_the_sample": Bug("INV-1", without_hold(closing.is_sample_stale), history=OLD_SAMPLES),
    "inv_1_does_not_debounce_c": Bug("INV-1", without_hold(closing.is_c_unproven, closing.lacks_fresh_edge)),
    "inv_2_no_diode_check": Bug("INV-2", without_monitor(FaultCode.DIODE), history=BAD_DIODE),
    "inv_2_short_is_forgotten_when_gone": Bug("INV-2", without_monitor(FaultCode.PILOT_SHORT), history=BRIEF_SHORT),
    "inv_2_gap_is_forgotten_when_gone": Bug("INV-2", without_monitor(FaultCode.PILOT_INVALID), history=BRIEF_GAP),
    "inv_2_trip_stops_gracefully": Bug(
        "INV-2",
        with_edges(
            (STATES.CHARGING, [SIGNALS.TRIP], STATES.STOPPING), (STATES.STOPPING, [SIGNALS.TRIP], STATES.STOPPING)
        ),
        history=BAD_DIODE,
    ),
    "inv_3_no_weld_check": Bug("INV-3", without_monitor(FaultCode.CONTACTOR_WELDED), history=WELD),
    "inv_4_ignores_the_monitor": Bug("INV-4", without_monitor(FaultCode.RCM_TRIP)),
    "inv_4_closes_untested": Bug("INV-4", without_hold(closing.is_rcm_unproven), history=UNTESTED),
    "inv_4_latch_is_not_remembered": Bug("INV-4", with_effects(forget_latches)),
    "inv_4_is_acknowledged_again_and_again": Bug("INV-4", forget_who_acknowledged, history=LEAK_TWICE),
    "inv_5_forgets_the_cable": Bug("INV-5", without_ceiling(CeilingSource.CABLE), history=THIN_CABLE),
    "inv_5_forgets_the_temperature": Bug("INV-5", without_ceiling(CeilingSource.TEMPERATURE), history=WARM),
    "inv_5_forgets_the_lost_sensor": Bug(
        "INV-5", without_ceiling(CeilingSource.TEMPERATURE_SENSOR_LOST), history=NO_SENSOR
    ),
    "inv_5_cable_change_is_ignored": Bug("INV-5", without_monitor(FaultCode.CABLE_CHANGED), history=OTHER_CABLE),
    "inv_5_offers_5_9_a": Bug("INV-5", with_rules(decide_offer_a=offer_below_the_minimum), history=SMALL_OFFER),
    "inv_5_raises_at_once": Bug("INV-5", with_rules(decide_offer_a=raise_at_once), history=UP_AND_DOWN),
    "inv_5_resumes_at_once": Bug("INV-5", with_rules(decide_offer_a=resume_at_once)),
    "inv_5_both_get_the_whole_supply": Bug(
        "INV-5", with_rules(share_supply=lambda _situation, _others: None), connectors=2
    ),
    "inv_11_charges_on_without_a_word": Bug("INV-11", with_edges((STATES.CHARGING, [SIGNALS.LOST], STATES.CHARGING))),
    "inv_11_never_gets_past_the_first_stage": Bug(
        "INV-11", with_edges((STATES.STOPPING, [SIGNALS.OVERDUE, SIGNALS.LOST], STATES.STOPPING))
    ),
    "inv_11_charges_on_after_a_reboot": Bug(
        "INV-11", with_edges((STATES.CHARGING, [SIGNALS.UNREADY], STATES.CHARGING)), history=REBOOT
    ),
    "inv_12_rises_after_the_lapse": Bug(
        "INV-12", with_rules(decide_offer_a=rise_to_the_lapse_current), history=LAPSE_BELOW
    ),
    "inv_12_ignores_the_lapse": Bug("INV-12", with_rules(decide_offer_a=ignore_the_lapse), history=LAPSE),
    "inv_12_holds_for_ever": Bug("INV-12", with_rules(decide_offer_a=hold_for_ever), history=SILENT_AGENT),
    "inv_12_closes_after_the_lapse": Bug("INV-12", without_hold(closing.has_no_lease), history=LAPSE_IN_B),
    "inv_14_closes_right_after_the_start": Bug("INV-14", without_hold(closing.is_starting_up)),
    "inv_14_starts_with_the_permit": Bug("INV-14", with_effects(start_closed), history=BOOT),
    "inv_16_closes_again_at_once": Bug("INV-16", without_hold(closing.is_reclose_guarded)),
    "inv_16_closes_seven_times": Bug("INV-16", with_rules(holds=WITHOUT_WEAR_GUARD), history=FLAPPING),
    "inv_16_closings_are_not_counted": Bug("INV-16", with_effects(forget_closings)),
    "inv_18_closes_unlocked": Bug(
        "INV-18", with_rules(holds=UNLOCKED_IS_FINE, monitors=NO_JAM), history=NO_LOCK, lock=Lock.MOTOR
    ),
    "inv_18_unlocks_when_the_session_ends": Bug(
        "INV-18", with_rules(decide_lock=unlock_with_the_permission), history=STOP, lock=Lock.MOTOR
    ),
    "inv_18_unlocks_a_welded_outlet": Bug(
        "INV-18", with_rules(decide_lock=unlock_a_weld), history=WELD_LOCKED, lock=Lock.MOTOR
    ),
    "inv_19_wishes_count_after_the_order": Bug("INV-19", forget_to_leave, history=LEAVE),
    "inv_19_opens_under_load_at_once": Bug("INV-19", open_at_once_to_leave, history=LEAVE),
    "inv_19_waits_for_the_car_for_ever": Bug(
        "INV-19", with_edges((STATES.STOPPING, [SIGNALS.OVERDUE], STATES.STOPPING)), history=LEAVE
    ),
    "inv_19_core_is_not_asked_any_more": Bug("INV-4", ask_nobody_while_leaving, history=LEAK_WHILE_LEAVING),
}


@pytest.mark.parametrize("name", sorted(BUGS))
def test_planted_bug_is_found(name: str) -> None:
    bug = BUGS[name]
    found = find_broken_laws(bug, stop_at=bug.law)
    assert bug.law in found, f"{name}: found only {found}"


def find_broken_laws(bug: Bug, stop_at: str) -> set[str]:
    """Play histories until the law is broken; another law may break first, that history is then over."""
    found: set[str] = set()
    for seed in range(40):
        history = bug.history or random_history(seed, bug.connectors)
        try:
            play(judged_world(bug.step, bug.connectors, bug.lock), history, seed)
        except BrokenLawError as error:
            found.add(str(error).split(" ", 1)[0])
        except AssertionError:
            continue  # the bug kept the contactor from closing at all
        if stop_at in found:
            break
    return found


@pytest.mark.parametrize("index", range(len(DIRECTED)))
def test_inv_all_hold_over_the_histories_the_bugs_are_found_in(index: int) -> None:
    play(judged_world(core.step, 1), DIRECTED[index], seed=1)
    play(judged_world(core.step, 1, Lock.MOTOR), DIRECTED[index], seed=1)


def test_rules_name_every_decision() -> None:
    """A decision that is not among the rules could not be planted with a bug."""
    assert set(Rules.__dataclass_fields__) == {
        "table",
        "outputs",
        "monitors",
        "holds",
        "own_ceilings",
        "share_supply",
        "decide_offer_a",
        "decide_lock",
    }
