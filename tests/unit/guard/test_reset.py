"""A hard reset asked for by the agent: everything opens at once, nothing closes again, the process ends."""

from dataclasses import replace

import pytest

from evcharge_hal.contract.channel import ContactorState, EventKind, Hello, Reply, ResetGuard, SetPoint
from evcharge_hal.contract.pilot import LinkDown
from evcharge_hal.contract.units import Amps
from evcharge_hal.guard.runtime import RESET_WITHIN_S
from tests.unit.guard.test_runtime import Bench


@pytest.fixture
def charging() -> Bench:
    bench = Bench()
    bench.charge()
    bench.log.clear()
    return bench


def test_all_relays_open_and_permits_go_before_the_co_processor_is_asked_and_anybody_is_told(charging: Bench) -> None:
    charging.guard.agent_message(ResetGuard(7), charging.now_s)
    assert charging.log[:2] == ["relay 1 open", "relay 2 open"]
    asked = charging.log.index("reset asked")
    assert all(charging.log.index(f"pilot {number} permit False") < asked for number in (1, 2))
    assert charging.log.index("Reply") > asked
    assert charging.messages[-1] == Reply(7, is_accepted=True)


def test_the_agent_is_told_that_the_contactor_is_open(charging: Bench) -> None:
    charging.guard.agent_message(ResetGuard(7), charging.now_s)
    charging.guard.turn(charging.now_s + 0.01)
    assert charging.status().connectors[0].contactor is ContactorState.OPEN
    assert charging.status().connectors[0].offered_a == 0.0
    assert [event.connector for event in charging.events() if event.kind is EventKind.CONTACTOR_OPENED] == [1]


def test_it_is_over_when_the_co_processor_starts_again(charging: Bench) -> None:
    charging.guard.agent_message(ResetGuard(7), charging.now_s)
    charging.guard.turn(charging.now_s + 0.01)
    assert not charging.guard.is_over
    charging.link.queue.append(LinkDown("co-processor started again (software)"))
    charging.guard.link_bytes(b"x", charging.now_s + 0.02)
    charging.guard.turn(charging.now_s + 0.02)
    assert charging.guard.is_over


def test_a_contactor_that_stays_closed_is_waited_for_but_not_for_long(charging: Bench) -> None:
    charging.relays[1].is_broken = True
    charging.guard.agent_message(ResetGuard(7), charging.now_s)
    charging.link.queue.append(LinkDown("co-processor started again (software)"))
    charging.guard.turn(charging.now_s + 0.5)
    assert charging.status().connectors[0].contactor is ContactorState.OPENING
    assert not charging.guard.is_over
    charging.guard.turn(charging.now_s + RESET_WITHIN_S)
    assert charging.guard.is_over


def test_a_silent_co_processor_does_not_keep_it(charging: Bench) -> None:
    charging.guard.agent_message(ResetGuard(7), charging.now_s)
    deadline_s = charging.guard.next_deadline_s(charging.now_s)
    assert charging.now_s < deadline_s < charging.now_s + 0.1
    charging.guard.turn(charging.now_s + RESET_WITHIN_S)
    assert charging.guard.is_over


def test_nothing_closes_any_more_whatever_is_said(charging: Bench) -> None:
    charging.guard.agent_message(ResetGuard(7), charging.now_s)
    plug_id = charging.status().connectors[0].plug_id
    wish = SetPoint(1, plug_id, Amps(16.0), permission=True)
    for _ in range(10):
        charging.now_s += 0.1
        charging.link.queue += [charging.speak(number) for number in (1, 2)]
        charging.guard.link_bytes(b"x", charging.now_s)
        charging.guard.agent_message(replace(wish, plug_id=plug_id), charging.now_s)
        charging.guard.agent_message(Hello(1, "again"), charging.now_s)
        charging.guard.lines_changed(charging.now_s)
        charging.guard.turn(charging.now_s)
    assert "relay 1 closed" not in charging.log
    assert not charging.link.commands[1].permit
    assert not charging.relays[1].level


def test_asking_twice_resets_once_and_is_answered_twice(charging: Bench) -> None:
    charging.guard.agent_message(ResetGuard(7), charging.now_s)
    charging.guard.agent_message(ResetGuard(8), charging.now_s + 0.1)
    assert charging.log.count("reset asked") == 1
    assert [message.request for message in charging.messages if isinstance(message, Reply)] == [7, 8]
