"""What the fake co-processor does besides its safety rules: handshake, refusals, self-test, reports."""

from dataclasses import replace

import pytest

from evcharge_hal.contract.pilot import CoprocessorFault, PilotOutput, PilotState, ResetCause
from evcharge_hal.link.frames import (
    RESET_ARGUMENT,
    Control,
    Hello,
    HelloAck,
    Nak,
    NakReason,
    Reply,
    Request,
    RequestKind,
    Result,
    SelfTest,
)
from evcharge_hal.sim.coprocessor_connector import CoprocessorConnector
from tests.support.coprocessor_rig import CHARGE, IDLE, Rig
from tests.support.pilot_bench import CONNECTED_V, NO_CAR_V, SHORT_V, FakeCircuit


def test_it_announces_itself_at_boot_and_after_reset() -> None:
    rig = Rig()
    rig.run(0.01)
    rig.mcu.reset(ResetCause.BROWN_OUT, rig.now_s)
    rig.run(0.01)
    announcements = rig.of(HelloAck)
    assert [(ack.nonce, ack.ack, ack.boot_count, ack.reset_cause) for ack in announcements] == [  # type: ignore[union-attr]
        (0, 0, 3, ResetCause.POWER_ON),
        (0, 0, 4, ResetCause.BROWN_OUT),
    ]
    assert rig.mcu.boot_count == 4


def test_a_reset_opens_the_permit_and_is_answered_by_the_announcement() -> None:
    rig = Rig()
    rig.charge()
    rig.fall_silent()
    rig.send(Request(1, RequestKind.RESET, RESET_ARGUMENT))
    assert not rig.circuit.is_permitted
    announced = rig.of(HelloAck)[-1]
    assert isinstance(announced, HelloAck)
    assert (announced.nonce, announced.boot_count, announced.reset_cause) == (0, 4, ResetCause.SOFTWARE)
    rig.send(Request(1, RequestKind.RESET, RESET_ARGUMENT))
    assert rig.mcu.boot_count == 4, "not greeted yet: a repeated request does nothing"


def test_a_reset_with_another_argument_does_nothing() -> None:
    rig = Rig()
    rig.charge()
    rig.send(Request(1, RequestKind.RESET, 0))
    reply = rig.of(Reply)[-1]
    assert isinstance(reply, Reply)
    assert (reply.kind, reply.result) == (RequestKind.RESET, Result.UNSUPPORTED)
    assert rig.mcu.boot_count == 3
    assert rig.circuit.is_permitted


def test_set_points_before_hello_are_refused() -> None:
    rig = Rig(high_v=CONNECTED_V)
    rig.send(replace(CHARGE, is_permitted=False))
    rig.run(0.2)
    rig.send(Request(1, RequestKind.CLEAR_LATCH, 1))
    naks = rig.of(Nak)
    assert [(nak.reason, nak.refused_type) for nak in naks] == [(NakReason.NO_HELLO, 3), (NakReason.NO_HELLO, 6)]  # type: ignore[union-attr]
    assert rig.circuit.output is PilotOutput.X1
    rig.send(Hello(2, 3, 9))
    rig.run(0.2)
    rig.send(replace(CHARGE, is_permitted=False))
    assert rig.circuit.output is PilotOutput.X1, "no common version"


@pytest.mark.parametrize("control", [replace(IDLE, connector=2), replace(IDLE, connector=0), replace(IDLE, phases=4)])
def test_a_set_point_for_nobody_is_refused(control: Control) -> None:
    rig = Rig()
    rig.greet()
    rig.send(control)
    (nak,) = rig.of(Nak)
    assert isinstance(nak, Nak)
    assert (nak.reason, nak.ack) == (NakReason.BAD_VALUE, rig.seq)
    assert rig.status.control_age_ms == 0xFFFF


def test_refusals_are_not_a_flood() -> None:
    rig = Rig()
    for _ in range(1000):
        rig.send(CHARGE)
        rig.now_s += 0.001
    assert len(rig.of(Nak)) in (10, 11)


def test_output_nobody_takes_is_bounded() -> None:
    rig = Rig()
    for _ in range(10_000):
        rig.now_s += 0.1
        rig.mcu.advance(rig.now_s)
    assert len(rig.mcu.take_output()) < 5_000


def test_self_test_of_the_pilot() -> None:
    rig = Rig()
    rig.greet()
    for test, high_v, result in [
        (SelfTest.PILOT_LOOP, NO_CAR_V, Result.PASS),
        (SelfTest.PILOT_LOOP, CONNECTED_V, Result.REFUSED),
        (SelfTest.RCM, NO_CAR_V, Result.UNSUPPORTED),
        (77, NO_CAR_V, Result.UNSUPPORTED),
    ]:
        rig.circuit.high_v = high_v
        rig.run(0.5)
        rig.send(Request(1, RequestKind.SELF_TEST, test))
        reply = rig.of(Reply)[-1]
        assert isinstance(reply, Reply)
        assert (reply.result, reply.argument, reply.ack) == (result, test, rig.seq)
    assert rig.circuit.output is PilotOutput.X1


def test_a_failed_self_test_keeps_the_permit_open_until_it_passes() -> None:
    class Stuck(FakeCircuit):
        __slots__ = ()

        def drive(self, output: PilotOutput, duty: float) -> None:
            super().drive(PilotOutput.X1 if output is PilotOutput.F else output, duty)

    circuit = Stuck()
    connector = CoprocessorConnector(circuit, 32_000, 0.0)
    assert connector.run_self_test(SelfTest.PILOT_LOOP) is Result.FAIL
    connector.sample(0.1)
    assert connector.latched is CoprocessorFault.SELF_TEST
    assert connector.clear_latch(0xFFFF) is Result.REFUSED
    connector.circuit = FakeCircuit()
    assert connector.run_self_test(SelfTest.PILOT_LOOP) is Result.PASS
    connector.sample(0.2)
    assert connector.clear_latch(0xFFFF) is Result.PASS
    assert connector.latched is CoprocessorFault.NONE


def test_a_wake_up_pulse_is_no_fault() -> None:
    rig = Rig()
    rig.greet()
    rig.say(IDLE)
    rig.circuit.high_v = CONNECTED_V
    rig.run(0.5)
    for mode in (PilotOutput.E, PilotOutput.F):
        rig.say(replace(IDLE, mode=mode))
        rig.run(4.0)
        rig.say(replace(IDLE, mode=PilotOutput.X2, limit_ma=6_000))
        rig.run(0.5)
        assert rig.status.state is PilotState.B
        assert rig.status.latched_faults == 0
        assert rig.status.plug_count == 1


def test_latches_go_with_the_car() -> None:
    rig = Rig()
    rig.charge()
    rig.circuit.high_v = SHORT_V
    rig.run(0.5)
    assert rig.status.latched_faults == CoprocessorFault.PILOT_SHORT
    rig.circuit.high_v = NO_CAR_V
    rig.run(0.2)
    assert (rig.status.latched_faults, rig.status.first_fault) == (0, 0)


def test_status_says_what_is_driven_and_how_old_things_are() -> None:
    rig = Rig()
    rig.circuit.temperature_c = None
    rig.charge()
    rig.control = None
    rig.run(0.35)
    status = rig.status
    assert (status.output, status.duty_centipercent, status.is_permitted) == (PilotOutput.X2, 2666, True)
    assert 200 <= status.control_age_ms <= 400
    assert status.sample_age_ms <= 20
    assert status.temperature_decicelsius is None
    assert status.last_control_seq != 0
    assert status.uptime_ms == pytest.approx((rig.now_s - 10.0) * 1000.0, abs=110)


def test_a_deadline_is_announced_to_the_world() -> None:
    rig = Rig()
    rig.charge()
    rig.fall_silent()
    rig.mcu.advance(rig.now_s)
    assert rig.mcu.next_deadline_s(rig.now_s) <= rig.now_s + 0.02
    connector = rig.mcu._connectors[1]
    assert connector.next_deadline_s() == pytest.approx(rig.said_s + 1.0)
    rig.run(1.2)
    assert connector.next_deadline_s() == pytest.approx(rig.said_s + 4.0)


def test_a_failing_supply_is_told_not_latched_and_opens_nothing() -> None:
    rig = Rig()
    rig.charge()
    rig.mcu.see_supply_failing(True)
    rig.run(0.2)
    assert (rig.status.active_faults, rig.status.latched_faults, rig.status.is_permitted) == (64, 0, True)
    rig.mcu.reset(ResetCause.BROWN_OUT, rig.now_s)
    rig.greet()
    rig.run(0.2)
    assert rig.status.active_faults & 64, "a reset makes no supply better"
    rig.mcu.see_supply_failing(False)
    rig.run(0.2)
    assert not rig.status.active_faults & 64
