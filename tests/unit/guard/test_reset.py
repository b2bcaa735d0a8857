"""A hard reset asked for by the agent: cars are let go of in order, nothing closes again, the process ends."""

from dataclasses import replace

import pytest

from evcharge_hal.contract.channel import ContactorState, EventKind, Hello, Reply, ResetGuard, SetPoint
from evcharge_hal.contract.faults import FaultCode
from evcharge_hal.contract.pilot import LinkDown, PilotOutput, PilotState
from evcharge_hal.contract.units import Amps
from evcharge_hal.guard.runtime import RESTART_WITHIN_S, STOPPED_WITHIN_S
from tests.unit.guard.test_runtime import Bench


@pytest.fixture
def charging() -> Bench:
    bench = Bench()
    bench.charge()
    bench.log.clear()
    return bench


def order(bench: Bench) -> None:
    bench.guard.agent_message(ResetGuard(7), bench.now_s)


def let_go(bench: Bench) -> None:
    """The car has opened S2, the co-processor says so."""
    bench.say(1, PilotState.B)
    bench.run(0.1)


def asked(bench: Bench) -> bool:
    return "reset asked" in bench.log


def test_the_pilot_goes_at_once_and_the_contactor_stays_until_the_car_has_let_go(charging: Bench) -> None:
    order(charging)
    assert charging.link.commands[1].output is PilotOutput.X1
    assert charging.messages[-1] == Reply(7, is_accepted=True)
    charging.run(2.0)
    assert charging.relays[1].level
    assert not asked(charging)
    let_go(charging)
    assert not charging.relays[1].level
    assert not charging.link.commands[1].permit
    assert charging.log.index("relay 1 open") < charging.log.index("reset asked")


def test_a_car_that_does_not_let_go_is_cut_off_after_six_seconds(charging: Bench) -> None:
    order(charging)
    charging.run(5.8)
    assert charging.relays[1].level
    charging.run(0.3)
    assert not charging.relays[1].level
    assert asked(charging)


def test_a_trip_on_the_way_opens_at_once_and_is_remembered(charging: Bench) -> None:
    order(charging)
    charging.run(1.0)
    charging.rcms[1].level = True
    charging.guard.lines_changed(charging.now_s)
    assert not charging.relays[1].level
    assert charging.state.remembered is not None
    assert charging.state.remembered.latched[1] == {FaultCode.RCM_TRIP}


def test_a_pilot_fault_on_the_way_opens_at_once(charging: Bench) -> None:
    order(charging)
    charging.say(1, PilotState.E)
    charging.link.queue.append(charging.speak(1))
    charging.guard.link_bytes(b"x", charging.now_s)
    assert not charging.relays[1].level


def test_a_trip_while_the_co_processor_starts_again_is_remembered(charging: Bench) -> None:
    order(charging)
    let_go(charging)
    assert asked(charging)
    charging.rcms[1].level = True
    charging.guard.lines_changed(charging.now_s)
    assert charging.state.remembered is not None
    assert charging.state.remembered.latched[1] == {FaultCode.RCM_TRIP}


def test_the_agent_is_told_that_the_contactor_is_open(charging: Bench) -> None:
    order(charging)
    let_go(charging)
    assert charging.status().connectors[0].contactor is ContactorState.OPEN
    assert charging.status().connectors[0].offered_a == 0.0
    assert [event.connector for event in charging.events() if event.kind is EventKind.CONTACTOR_OPENED] == [1]


def test_it_is_over_when_the_co_processor_starts_again_and_that_is_no_fault(charging: Bench) -> None:
    order(charging)
    let_go(charging)
    assert not charging.guard.is_over
    charging.link.queue.append(LinkDown("co-processor started again (software)"))
    charging.guard.link_bytes(b"x", charging.now_s + 0.02)
    charging.guard.turn(charging.now_s + 0.02)
    assert charging.guard.is_over
    assert EventKind.COPROCESSOR_LOST not in [event.kind for event in charging.events()]


def test_without_a_car_it_takes_one_turn(charging: Bench) -> None:
    bench = Bench()
    bench.link_up()
    bench.run(1.0)
    order(bench)
    bench.guard.turn(bench.now_s)
    assert asked(bench)


def test_a_contact_that_stays_closed_is_waited_for_but_not_for_long(charging: Bench) -> None:
    charging.relays[1].is_sticky = True
    order(charging)
    let_go(charging)
    charging.link.queue.append(LinkDown("co-processor started again (software)"))
    charging.guard.turn(charging.now_s + 0.5)
    assert charging.status().connectors[0].contactor is ContactorState.OPENING
    assert not charging.guard.is_over
    charging.guard.turn(charging.now_s + RESTART_WITHIN_S)
    assert charging.guard.is_over
    assert charging.state.remembered is not None
    assert FaultCode.CONTACTOR_WELDED in charging.state.remembered.latched[1]


def test_a_silent_co_processor_does_not_keep_it(charging: Bench) -> None:
    order(charging)
    began_s = charging.now_s
    while not charging.guard.is_over:
        deadline_s = charging.guard.next_deadline_s(charging.now_s)
        assert charging.now_s < deadline_s < charging.now_s + 0.1
        charging.now_s = deadline_s
        charging.guard.turn(charging.now_s)
    assert not charging.relays[1].level
    assert charging.now_s - began_s < STOPPED_WITHIN_S + RESTART_WITHIN_S + 0.1


def test_nothing_closes_any_more_whatever_is_said(charging: Bench) -> None:
    plug_id = charging.status().connectors[0].plug_id
    order(charging)
    wish = SetPoint(1, plug_id, Amps(16.0), permission=True)
    for _ in range(90):
        charging.now_s += 0.1
        charging.link.queue += [charging.speak(number) for number in (1, 2)]
        charging.guard.link_bytes(b"x", charging.now_s)
        charging.guard.agent_message(replace(wish, plug_id=plug_id), charging.now_s)
        charging.guard.agent_message(Hello(1, "again"), charging.now_s)
        charging.guard.lines_changed(charging.now_s)
        charging.guard.turn(charging.now_s)
        assert charging.link.commands[1].output is PilotOutput.X1
    assert "relay 1 closed" not in charging.log[charging.log.index("relay 1 open") :]
    assert not charging.relays[1].level


def test_asking_twice_resets_once_and_is_answered_twice(charging: Bench) -> None:
    order(charging)
    charging.guard.agent_message(ResetGuard(8), charging.now_s + 0.1)
    let_go(charging)
    charging.guard.agent_message(ResetGuard(9), charging.now_s)
    charging.run(0.2)
    assert charging.log.count("reset asked") == 1
    assert [message.request for message in charging.messages if isinstance(message, Reply)] == [7, 8, 9]
