"""The fake co-processor's safety rules, each with co-processors that break it: a rule that lets one pass is no test."""

import itertools
from collections.abc import Callable
from dataclasses import replace

import pytest

from evcharge_hal.contract.pilot import CoprocessorFault, PilotOutput, PilotState, ResetCause
from evcharge_hal.link.frames import (
    OpenReason,
    Request,
    RequestKind,
)
from evcharge_hal.sim.coprocessor_connector import CoprocessorConnector
from tests.support.broken_coprocessors import (
    BelievesABetterCable,
    ClearsHostLostByRequest,
    ClosesAsOftenAsAsked,
    ClosesInAnyState,
    ClosesOnFirstSight,
    ClosesWithoutDiode,
    ClosesWithoutPwm,
    CountsAfterAShort,
    CountsTheCarAtBoot,
    ForgetsLatches,
    HasNoBackstop,
    HasNoDeadline,
    HoldsForEver,
    HoldsStateForEver,
    IgnoresCable,
    IgnoresHardwareLimit,
    IgnoresRevocation,
    IgnoresTheCarLeaving,
    IsArmedAtBoot,
    KeepsThePwm,
    LetsAReturningHostGoOn,
    LiftsToTheMinimum,
    LosesShortEdges,
    MissesCable,
    MissesDiode,
    MissesInvalid,
    MissesShort,
    NeedsNoEdgeAfterOpening,
    NeverClearsLatches,
    OpensBeforeTheCarLetsGo,
    OpensSlowlyOnEAndF,
    OpensUnderLoadAtOnce,
    RoundsUp,
    SamplesTooSeldom,
    SilenceExtendsAStop,
    TakesAnyDeadline,
    UnlocksUnderLoad,
)
from tests.support.coprocessor_rig import CHARGE, IDLE, ConnectorType, Rig
from tests.support.pilot_bench import CONNECTED_V, NO_CAR_V, READY_V, SHORT_V, VENTILATION_V


def closes_only_in_c2(kind: ConnectorType) -> None:
    wishes = [(high_v, CHARGE) for high_v in (NO_CAR_V, CONNECTED_V, VENTILATION_V, SHORT_V, 10.5, 7.5)]
    wishes += [(READY_V, replace(CHARGE, mode=mode)) for mode in (PilotOutput.X1, PilotOutput.F, PilotOutput.E)]
    wishes += [(READY_V, replace(CHARGE, limit_ma=5_999)), (READY_V, replace(CHARGE, is_permitted=False))]
    for high_v, control in wishes:
        rig = Rig(kind)
        rig.greet()
        rig.say(IDLE)
        rig.run(0.2)
        rig.circuit.high_v = high_v
        rig.say(control)
        rig.run(1.0)
        assert True not in rig.circuit.permits, (high_v, control)


def closes_only_with_a_proven_diode(kind: ConnectorType) -> None:
    rig = Rig(kind)
    rig.circuit.low_v = -READY_V
    rig.greet()
    rig.say(IDLE)
    rig.circuit.high_v = CONNECTED_V
    rig.run(0.5)
    rig.circuit.high_v = READY_V
    rig.run(0.5)
    rig.say(CHARGE)
    rig.run(1.0)
    assert True not in rig.circuit.permits
    assert rig.status.latched_faults == CoprocessorFault.DIODE


def closes_only_after_samples_of_this_pwm(kind: ConnectorType) -> None:
    rig = Rig(kind)
    rig.greet()
    rig.say(IDLE)
    rig.circuit.high_v = READY_V
    rig.run(1.0)
    rig.say(CHARGE)
    assert not rig.circuit.is_permitted, "not one negative half-wave has been seen"
    rig.run(0.1)
    assert rig.circuit.is_permitted


def opens_when_the_car_leaves_c(kind: ConnectorType) -> None:
    for high_v, state in [(NO_CAR_V, PilotState.A), (CONNECTED_V, PilotState.B), (VENTILATION_V, PilotState.D)]:
        rig = Rig(kind)
        rig.charge()
        rig.circuit.high_v = high_v
        assert rig.opened_within(0.1), state
        assert rig.status.state is state
        assert rig.opening is OpenReason.VEHICLE_LEFT_C


def opens_on_a_pilot_fault(kind: ConnectorType) -> None:
    for high_v, low_v, limit_s, fault in [
        (SHORT_V, -12.0, 0.1, CoprocessorFault.PILOT_SHORT),
        (READY_V, -READY_V, 0.1, CoprocessorFault.DIODE),
        (7.5, -12.0, 0.6, CoprocessorFault.PILOT_INVALID),
        (-12.0, -12.0, 0.6, CoprocessorFault.PILOT_INVALID),
    ]:
        rig = Rig(kind)
        rig.charge()
        rig.circuit.high_v, rig.circuit.low_v = high_v, low_v
        assert rig.opened_within(limit_s), fault
        assert rig.opening is OpenReason.PILOT_FAULT
        assert rig.status.latched_faults == fault
        assert rig.status.first_fault == fault


def opens_when_the_pilot_flaps(kind: ConnectorType) -> None:
    rig = Rig(kind)
    rig.charge()
    for step in range(100):
        rig.circuit.high_v = (CONNECTED_V, VENTILATION_V)[step % 2]
        rig.run(0.01)
    assert not rig.circuit.is_permitted


def a_latched_fault_keeps_it_open(kind: ConnectorType) -> None:
    rig = Rig(kind)
    rig.charge()
    rig.circuit.low_v = -READY_V
    rig.run(0.2)
    rig.circuit.low_v = -12.0
    rig.run(20.0)
    rig.say(replace(CHARGE, is_permitted=False))
    rig.run(0.2)
    rig.say(CHARGE)
    rig.run(20.0)
    assert not rig.circuit.is_permitted
    rig.send(Request(1, RequestKind.CLEAR_LATCH, CoprocessorFault.DIODE))
    rig.run(0.5)
    assert rig.circuit.is_permitted, "the host asked anew before, and the cause has gone"


def opens_on_e_and_f_at_once(kind: ConnectorType) -> None:
    for mode in (PilotOutput.E, PilotOutput.F):
        rig = Rig(kind)
        rig.charge()
        rig.say(replace(CHARGE, mode=mode))
        assert not rig.circuit.is_permitted
        assert rig.opening is OpenReason.OUTPUT_E_OR_F
        rig.say(CHARGE)
        rig.run(20.0)
        assert not rig.circuit.is_permitted, "the host has to ask anew"


def opens_when_told_at_once(kind: ConnectorType) -> None:
    rig = Rig(kind)
    rig.charge()
    rig.say(replace(CHARGE, is_permitted=False))
    assert not rig.circuit.is_permitted
    rig.now_s += 0.02
    rig.say(CHARGE)
    assert rig.opening is OpenReason.COMMANDED
    rig.run(10.0)
    assert rig.circuit.is_permitted, "an edge was given, however short"


def takes_the_pwm_away_when_the_host_falls_silent(kind: ConnectorType) -> None:
    for deadline_ms, limit_s in [(1000, 1.1), (65_535, 2.1), (200, 0.3), (0, 0.3)]:
        rig = Rig(kind)
        rig.charge(replace(CHARGE, deadline_ms=deadline_ms))
        last_s = rig.said_s
        rig.fall_silent()
        rig.run(5.0, lambda: rig.circuit.output is PilotOutput.X1, step_s=0.05)  # noqa: B023 - used before the next
        assert rig.now_s - last_s <= limit_s
        assert rig.circuit.is_permitted, "PWM first, permit after"
        assert rig.status.latched_faults == CoprocessorFault.HOST_LOST


def opens_when_the_host_stays_silent(kind: ConnectorType) -> None:
    rig = Rig(kind)
    rig.charge()
    last_s = rig.said_s
    rig.fall_silent()
    rig.run(6.0, lambda: not rig.circuit.is_permitted, step_s=0.05)
    assert rig.now_s - last_s <= 4.1
    assert not rig.circuit.is_permitted
    assert rig.opening is OpenReason.HOST_LOST


def a_returning_host_does_not_stop_the_letting_go(kind: ConnectorType) -> None:
    rig = Rig(kind)
    rig.charge()
    last_s = rig.said_s
    rig.fall_silent()
    rig.run(1.5)
    rig.say(CHARGE)
    rig.run(10.0, lambda: not rig.circuit.is_permitted)
    assert rig.now_s - last_s <= 4.1
    assert rig.circuit.output is PilotOutput.X1


def stays_open_without_a_fresh_edge(kind: ConnectorType) -> None:
    rig = Rig(kind)
    rig.charge()
    rig.fall_silent()
    rig.run(6.0)
    rig.say(CHARGE)
    rig.run(20.0)
    assert not rig.circuit.is_permitted, "a replayed permit closes nothing"
    assert rig.circuit.output is PilotOutput.X1
    rig.send(Request(1, RequestKind.CLEAR_LATCH, 0xFFFF))
    rig.run(1.0)
    assert not rig.circuit.is_permitted, "nor does a cleared latch"
    assert rig.status.latched_faults == CoprocessorFault.HOST_LOST
    rig.say(IDLE)
    rig.run(0.2)
    assert rig.status.latched_faults == 0
    rig.say(CHARGE)
    rig.run(0.5)
    assert rig.circuit.is_permitted


def stays_open_after_boot_without_an_edge(kind: ConnectorType) -> None:
    rig = Rig(kind)
    rig.charge()
    rig.mcu.reset(ResetCause.WATCHDOG, rig.now_s)
    assert not rig.circuit.is_permitted
    rig.run(1.0)
    assert rig.circuit.output is PilotOutput.X1, "not greeted: set-points do not count"
    rig.greet()
    rig.run(20.0)
    assert not rig.circuit.is_permitted
    assert rig.circuit.output is PilotOutput.X2


def a_hello_renews_no_deadline(kind: ConnectorType) -> None:
    rig = Rig(kind)
    rig.charge()
    rig.fall_silent()
    for _ in range(45):
        rig.greet()
        rig.send(Request(1, RequestKind.SELF_TEST, 99))
        rig.run(0.1)
    assert not rig.circuit.is_permitted


def states_at_most_the_limit(kind: ConnectorType) -> None:
    rig = Rig(kind, max_a=80.0)
    rig.greet()
    rig.circuit.high_v = CONNECTED_V
    rig.run(0.5)
    for limit_ma in [
        *range(0, 8_000, 7),
        *range(8_000, 81_000, 331),
        50_999,
        51_000,
        51_001,
        52_500,
        80_000,
        2**32 - 1,
    ]:
        rig.send(replace(CHARGE, limit_ma=limit_ma, is_permitted=False))
        output, duty_pct = rig.circuit.output, rig.circuit.duty * 100.0
        if limit_ma < 6_000:
            assert output is PilotOutput.X1, limit_ma
            continue
        assert output is PilotOutput.X2, limit_ma
        # What the car reads, IEC 61851-1 Table A.8.
        stated_a = duty_pct * 0.6 if duty_pct <= 85.0 else (duty_pct - 64.0) * 2.5
        limit_a = min(limit_ma / 1000.0, 80.0)
        assert limit_a - 1.6 < stated_a <= limit_a + 1e-9, limit_ma
        assert 10.0 - 1e-9 <= duty_pct <= 96.0 + 1e-9
        if limit_a <= 51.0:
            assert stated_a > limit_a - 0.0061


def states_at_most_what_hardware_and_cable_carry(kind: ConnectorType) -> None:
    cases = [(None, 32.0), (100.0, 32.0), (220.0, 32.0), (680.0, 20.0), (1500.0, 13.0)]
    for pp_ohm, limit_a in cases:
        rig = Rig(kind)
        rig.circuit.pp_ohm = pp_ohm
        rig.charge(replace(CHARGE, limit_ma=63_000))
        assert rig.circuit.duty * 60.0 == pytest.approx(limit_a, abs=0.01), pp_ohm
        assert rig.circuit.duty * 60.0 <= limit_a + 1e-9
    rig.circuit.pp_ohm = 220.0
    rig.run(0.5)
    assert rig.circuit.duty * 60.0 <= 13.0, "a cable does not get better while it is plugged in"


def refuses_a_cable_that_cannot_be(kind: ConnectorType) -> None:
    for pp_ohm in (0.0, 74.0, 2201.0, 1e9):
        rig = Rig(kind)
        rig.charge()
        rig.circuit.pp_ohm = pp_ohm
        assert rig.opened_within(0.1)
        assert rig.circuit.output is PilotOutput.X1
        assert rig.status.latched_faults == CoprocessorFault.CABLE


def stops_under_load_after_7_s(kind: ConnectorType) -> None:
    rig = Rig(kind)
    rig.charge()
    rig.say(replace(CHARGE, mode=PilotOutput.X1))
    rig.run(6.8)
    assert rig.circuit.is_permitted, "the host's own limit of 6 s comes first"
    assert rig.opened_within(0.3)
    assert rig.opening is OpenReason.STOP_BACKSTOP
    rig.say(CHARGE)
    rig.run(20.0)
    assert not rig.circuit.is_permitted


def silence_does_not_extend_a_stop(kind: ConnectorType) -> None:
    rig = Rig(kind)
    rig.charge()
    rig.say(replace(CHARGE, mode=PilotOutput.X1))
    rig.run(5.5)
    rig.fall_silent()
    rig.run(1.3)
    assert rig.circuit.is_permitted
    assert rig.opened_within(0.3), "7 s after the PWM went away, not 3 s after the deadline"


def closings_are_apart(kind: ConnectorType) -> None:
    rig = Rig(kind)
    rig.charge()
    closed_s = [rig.now_s]
    for _ in range(300):
        rig.circuit.high_v = CONNECTED_V
        rig.run(0.05)
        rig.circuit.high_v = READY_V
        before = len(rig.circuit.permits)
        rig.run(0.3)
        closed_s += [rig.now_s] * rig.circuit.permits[before:].count(True)
    gaps_s = [after - before for before, after in itertools.pairwise(closed_s)]
    assert len(gaps_s) >= 8
    assert min(gaps_s[1:]) >= 9.4


def counts_plugs(kind: ConnectorType) -> None:
    rig = Rig(kind, high_v=CONNECTED_V)
    rig.run(1.0)
    assert rig.status.plug_count == 0, "it was there at boot"
    for plug in range(1, 4):
        rig.circuit.high_v = NO_CAR_V
        rig.run(0.5)
        for _ in range(5):  # contacts bounce
            rig.circuit.high_v = CONNECTED_V
            rig.run(0.05)
            rig.circuit.high_v = NO_CAR_V
            rig.run(0.05)
        for high_v in (CONNECTED_V, READY_V, CONNECTED_V, SHORT_V, CONNECTED_V):
            rig.circuit.high_v = high_v
            rig.run(0.5)
        assert rig.status.plug_count == plug
    rig.mcu.reset(ResetCause.SOFTWARE, rig.now_s)
    rig.run(0.5)
    assert rig.status.plug_count == 0


def holds_the_lock_while_closed(kind: ConnectorType) -> None:
    rig = Rig(kind)
    rig.charge(replace(CHARGE, is_locked=True))
    assert rig.circuit.is_locked
    rig.say(CHARGE)
    rig.run(0.5)
    assert rig.circuit.is_locked
    assert rig.status.is_locked
    rig.say(IDLE)
    rig.run(0.4)
    assert rig.circuit.is_locked, "the current has to end first"
    rig.run(0.2)
    assert rig.circuit.is_locked is False


Rule = Callable[[ConnectorType], None]
RULES: dict[Rule, tuple[ConnectorType, ...]] = {
    closes_only_in_c2: (ClosesInAnyState, ClosesWithoutPwm),
    closes_only_with_a_proven_diode: (ClosesWithoutDiode,),
    closes_only_after_samples_of_this_pwm: (ClosesOnFirstSight,),
    opens_when_the_car_leaves_c: (IgnoresTheCarLeaving, SamplesTooSeldom),
    opens_on_a_pilot_fault: (MissesShort, MissesDiode, MissesInvalid, HoldsStateForEver),
    opens_when_the_pilot_flaps: (HoldsStateForEver,),
    a_latched_fault_keeps_it_open: (ForgetsLatches, NeverClearsLatches),
    opens_on_e_and_f_at_once: (OpensSlowlyOnEAndF, NeedsNoEdgeAfterOpening),
    opens_when_told_at_once: (IgnoresRevocation, LosesShortEdges),
    takes_the_pwm_away_when_the_host_falls_silent: (
        HasNoDeadline,
        TakesAnyDeadline,
        KeepsThePwm,
        OpensUnderLoadAtOnce,
    ),
    opens_when_the_host_stays_silent: (HasNoDeadline, HoldsForEver),
    a_returning_host_does_not_stop_the_letting_go: (LetsAReturningHostGoOn,),
    stays_open_without_a_fresh_edge: (LetsAReturningHostGoOn, ClearsHostLostByRequest),
    stays_open_after_boot_without_an_edge: (IsArmedAtBoot,),
    a_hello_renews_no_deadline: (HasNoDeadline,),
    states_at_most_the_limit: (RoundsUp, LiftsToTheMinimum),
    states_at_most_what_hardware_and_cable_carry: (IgnoresHardwareLimit, IgnoresCable, BelievesABetterCable),
    refuses_a_cable_that_cannot_be: (MissesCable,),
    stops_under_load_after_7_s: (HasNoBackstop, OpensBeforeTheCarLetsGo, NeedsNoEdgeAfterOpening),
    silence_does_not_extend_a_stop: (SilenceExtendsAStop,),
    closings_are_apart: (ClosesAsOftenAsAsked,),
    counts_plugs: (CountsTheCarAtBoot, CountsAfterAShort),
    holds_the_lock_while_closed: (UnlocksUnderLoad,),
}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_rule(rule: Rule) -> None:
    rule(CoprocessorConnector)


@pytest.mark.parametrize(
    ("rule", "broken"),
    [
        pytest.param(rule, broken, id=f"{rule.__name__}-{broken.__name__}")
        for rule, bugs in RULES.items()
        for broken in bugs
    ],
)
def test_planted_bug_is_caught(rule: Rule, broken: ConnectorType) -> None:
    with pytest.raises(AssertionError) as caught:
        rule(broken)
    assert "the rig must be able to charge" not in str(caught.value), "the rule itself has to notice"
