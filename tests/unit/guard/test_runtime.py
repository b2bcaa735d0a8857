"""The guard's shell under passed-in time, with a scripted co-processor and hand-moved lines.

The core decides; here is shown that facts reach it, that outputs follow in the promised order and that the
agent hears of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pytest

from evcharge_hal.boards.loader import load_board
from evcharge_hal.contract.channel import (
    ClearFault,
    ContactorState,
    EventKind,
    GuardEvent,
    GuardMessage,
    Hello,
    Indicate,
    Indication,
    LeaseState,
    RaiseFault,
    Reply,
    SetPoint,
    Status,
    Welcome,
    read_guard_message,
    write_message,
)
from evcharge_hal.contract.faults import FaultCode
from evcharge_hal.contract.lines import ConnectorLines
from evcharge_hal.contract.pilot import (
    CoprocessorFault,
    CoprocessorIdentity,
    LinkDown,
    LinkEvent,
    LinkNoticed,
    LinkUp,
    PilotCommand,
    PilotOutput,
    PilotReport,
    PilotState,
    ResetCause,
)
from evcharge_hal.contract.units import Amps, Seconds
from evcharge_hal.guard.effects import Remember
from evcharge_hal.guard.ring import RING_EVENTS
from evcharge_hal.guard.runtime import LINES_EVERY_S, Guard
from evcharge_hal.guard.statefile import Loaded, MemoryState
from evcharge_hal.guard.telling import AGENT_SILENT_S

IDENTITY = CoprocessorIdentity("0123456789abcdef", "1.0.0", 1, ResetCause.SOFTWARE, 2, Amps(32.0))


@dataclass
class ScriptedLink:
    """Tells what the test queues; notes what it is told."""

    log: list[str]
    queue: list[LinkEvent] = field(default_factory=list)
    commands: dict[int, PilotCommand] = field(default_factory=dict)
    cleared: list[int] = field(default_factory=list)
    deadline_s: float = 1e9

    def receive(self, data: bytes, now_s: float) -> Sequence[LinkEvent]:
        return self.advance(now_s)

    def advance(self, now_s: float) -> Sequence[LinkEvent]:
        events, self.queue = self.queue, []
        return events

    def command(self, command: PilotCommand, now_s: float) -> None:
        self.commands[command.connector] = command
        self.log.append(f"pilot {command.connector} permit {command.permit}")

    def clear_latch(self, connector: int) -> None:
        self.cleared.append(connector)

    def reset(self) -> None:
        self.log.append("reset asked")

    def outgoing(self) -> bytes:
        return b""

    def next_deadline_s(self) -> float:
        return self.deadline_s


@dataclass
class Line:
    """Any line; the relay notes its moves, a feedback follows its relay."""

    log: list[str]
    name: str
    level: bool = False
    follows: "Line | None" = None
    is_broken: bool = False
    is_sticky: bool = False
    """Follows every order and stays closed."""

    def set_closed(self, is_closed: bool) -> None:
        if self.is_broken:
            raise OSError("no line")
        self.level = is_closed or self.is_sticky
        self.log.append(f"{self.name} {'closed' if is_closed else 'open'}")

    def set_active(self, is_active: bool) -> None:
        if self.is_broken:
            raise OSError("no line")
        self.level = is_active
        self.log.append(f"{self.name} {is_active}")

    def is_active(self) -> bool:
        return self.follows.level if self.follows is not None else self.level


@dataclass
class Light:
    shown: tuple[float, float, float] = (9.0, 9.0, 9.0)

    def show(self, red: float, green: float, blue: float) -> None:
        self.shown = (red, green, blue)


class NotingState(MemoryState):
    def __init__(self, log: list[str], loaded: Loaded | None = None) -> None:
        super().__init__()
        self._log = log
        self._loaded = loaded

    def load(self, connectors: Sequence[int]) -> Loaded:
        return self._loaded or super().load(connectors)

    def save(self, remembered: Remember) -> None:
        super().save(remembered)
        self._log.append("saved")


class Bench:
    """A guard on a two-connector board, and everything it touches."""

    def __init__(self, loaded: Loaded | None = None) -> None:
        self.log: list[str] = []
        self.now_s = 100.0
        self.link = ScriptedLink(self.log)
        self.relays = {n: Line(self.log, f"relay {n}", level=True) for n in (1, 2)}
        self.rcms = {n: Line(self.log, f"rcm {n}") for n in (1, 2)}
        self.lights = {n: Light() for n in (1, 2)}
        self.tests = {n: Line(self.log, f"test {n}") for n in (1, 2)}
        self.messages: list[GuardMessage] = []
        self.state = NotingState(self.log, loaded)
        self.reports: dict[int, PilotReport] = {n: self.report(n, PilotState.A) for n in (1, 2)}
        self.guard = Guard(
            board=load_board(None),
            link=self.link,
            lines={n: self.lines(n) for n in (1, 2)},
            state_file=self.state,
            guard_id="guard",
            boot_id="boot",
            now_s=self.now_s,
            emit=self.emit,
        )

    def lines(self, number: int) -> ConnectorLines:
        relay = self.relays[number]
        feedback = Line(self.log, f"feedback {number}", follows=relay)
        # The test winding trips the monitor, so that the self-test passes.
        rcm, test = self.rcms[number], self.tests[number]
        return ConnectorLines(relay, feedback, _Either(rcm, test), test, self.lights[number])

    def emit(self, message: GuardMessage) -> None:
        assert read_guard_message(write_message(message)) == message
        self.messages.append(message)
        self.log.append(type(message).__name__)

    def report(self, number: int, state: PilotState) -> PilotReport:
        high_v = {PilotState.A: 12.0, PilotState.B: 9.0, PilotState.C: 6.0, PilotState.E: 0.0}[state]
        return PilotReport(
            connector=number,
            received_s=0.0,
            sample_age_s=0.0,
            state=state,
            output=PilotOutput.X1,
            duty=1.0,
            high_v=high_v,
            low_v=high_v,
            pp_ohm=None if state is PilotState.A else 220.0,
            is_permitted=False,
            is_locked=False,
            temperature_c=None,
            active=CoprocessorFault.NONE,
            latched=CoprocessorFault.NONE,
            boot_count=1,
            plug_count=0 if state is PilotState.A else 1,
        )

    def say(self, number: int, state: PilotState) -> None:
        self.reports[number] = self.report(number, state)

    def speak(self, number: int) -> PilotReport:
        """What a co-processor that follows its commands would report now."""
        command = self.link.commands[number]
        is_x2 = command.output is PilotOutput.X2
        report = self.reports[number]
        return replace(
            report,
            received_s=self.now_s,
            output=command.output,
            duty=0.5 if is_x2 else 1.0,
            low_v=-12.0 if is_x2 else report.high_v,
            is_permitted=command.permit,
        )

    def link_up(self) -> None:
        self.link.queue.append(LinkUp(IDENTITY, is_restart=False))
        self.guard.turn(self.now_s)

    def run(self, seconds: float, set_point: SetPoint | None = None) -> None:
        """Let time pass in steps of 100 ms with a living co-processor and, with `set_point`, a living agent."""
        for _ in range(round(seconds * 10)):
            self.now_s += 0.1
            self.link.queue += [self.speak(n) for n in (1, 2)]
            self.guard.link_bytes(b"x", self.now_s)
            if set_point is not None:
                plug_id = self.status().connectors[set_point.connector - 1].plug_id
                self.guard.agent_message(replace(set_point, plug_id=plug_id), self.now_s)
            self.guard.turn(self.now_s)

    def status(self) -> Status:
        return next(message for message in reversed(self.messages) if isinstance(message, Status))

    def events(self) -> list[GuardEvent]:
        return [message for message in self.messages if isinstance(message, GuardEvent)]

    def charge(self) -> None:
        """Bring connector 1 to a closed contactor."""
        self.link_up()
        self.say(1, PilotState.B)
        wish = SetPoint(1, None, Amps(16.0), permission=True)
        self.run(12.0, wish)
        self.say(1, PilotState.C)
        self.run(3.0, wish)
        assert self.status().connectors[0].contactor is ContactorState.CLOSED


@dataclass
class _Either:
    one: Line
    other: Line

    def is_active(self) -> bool:
        return self.one.level or self.other.level


@pytest.fixture
def bench() -> Bench:
    return Bench()


# --- start ------------------------------------------------------------------------------------------------


def test_the_first_thing_is_to_open_every_relay(bench: Bench) -> None:
    assert bench.log[:2] == ["relay 1 open", "relay 2 open"]


def test_a_broken_relay_line_does_not_keep_the_others_closed() -> None:
    bench = Bench()
    bench.relays[1].is_broken = True
    bench.relays[2].level = True
    bench.guard.open_relays()
    assert bench.relays[2].level is False


def test_remembered_latches_and_the_state_files_notice_reach_core_and_agent() -> None:
    latched = {1: frozenset({FaultCode.RCM_SELF_TEST}), 2: frozenset[FaultCode]()}
    bench = Bench(Loaded(Remember(latched, {1: 0, 2: 0}), "state file is damaged"))
    bench.guard.turn(bench.now_s)
    assert bench.status().connectors[0].faults == {FaultCode.RCM_SELF_TEST}
    assert [(event.kind, event.detail) for event in bench.events()[:2]] == [
        (EventKind.GUARD_STARTED, ""),
        (EventKind.NOTICE, "state file is damaged"),
    ]


def test_a_memory_that_cannot_be_written_is_told_to_the_agent_once_for_each_time_it_begins(bench: Bench) -> None:
    def told() -> list[str]:
        return [event.detail for event in bench.events() if event.kind is EventKind.NOTICE]

    bench.link_up()
    bench.state.problem = "No space left on device"
    bench.run(30.0)
    assert told() == ["latches and closings cannot be remembered, trying again: No space left on device"]
    bench.state.problem = ""
    bench.run(1.0)
    bench.state.problem = "Input/output error"
    bench.run(1.0)
    assert len(told()) == 2


def test_lines_are_read_before_anything_else_is_known(bench: Bench) -> None:
    bench.rcms[2].level = True
    bench.guard.lines_changed(bench.now_s)
    bench.guard.turn(bench.now_s)
    assert FaultCode.RCM_TRIP in bench.status().connectors[1].faults


# --- the order of effects ---------------------------------------------------------------------------------


def test_a_trip_opens_in_the_same_call_and_everything_else_comes_after(bench: Bench) -> None:
    bench.charge()
    del bench.log[:]
    bench.rcms[1].level = True
    bench.guard.lines_changed(bench.now_s)
    assert bench.log[0] == "relay 1 open"
    assert bench.log[1] == "pilot 1 permit False"
    assert bench.log[-1] == "saved"
    assert "GuardEvent" in bench.log[2:-1]
    assert bench.state.remembered is not None
    assert bench.state.remembered.latched[1] == {FaultCode.RCM_TRIP}


@pytest.mark.parametrize(
    ("wish", "output", "limit_a"),
    [
        (SetPoint(1, None, Amps(6.0), permission=True), PilotOutput.X2, 6.0),
        (SetPoint(1, None, Amps(16.0), permission=False), PilotOutput.X1, 0.0),
    ],
)
def test_a_cut_reaches_the_link_within_the_call_that_brought_it(
    bench: Bench, wish: SetPoint, output: PilotOutput, limit_a: float
) -> None:
    bench.charge()
    assert bench.link.commands[1].limit_a == 10.0  # without a temperature
    plug_id = bench.status().connectors[0].plug_id
    bench.guard.agent_message(replace(wish, plug_id=plug_id), bench.now_s)
    command = bench.link.commands[1]
    assert (command.output, command.limit_a, command.permit) == (output, limit_a, True)


def test_a_pilot_fault_opens_within_the_call_that_brought_the_bytes(bench: Bench) -> None:
    bench.charge()
    bench.say(1, PilotState.E)
    bench.link.queue.append(bench.speak(1))
    bench.guard.link_bytes(b"x", bench.now_s)
    assert not bench.relays[1].level
    assert not bench.link.commands[1].permit


def test_the_permit_is_given_before_the_relay_is_closed(bench: Bench) -> None:
    bench.charge()
    assert bench.log.index("pilot 1 permit True") < bench.log.index("relay 1 closed")


def test_the_other_connector_is_left_alone(bench: Bench) -> None:
    bench.charge()
    assert "relay 2 closed" not in bench.log
    assert bench.status().connectors[1].contactor is ContactorState.OPEN


# --- inputs -----------------------------------------------------------------------------------------------


def test_an_edge_that_nobody_reported_is_found_by_looking(bench: Bench) -> None:
    bench.charge()
    bench.rcms[1].level = True
    assert bench.guard.next_deadline_s(bench.now_s) <= bench.now_s + LINES_EVERY_S
    bench.now_s += LINES_EVERY_S
    bench.guard.turn(bench.now_s)
    assert not bench.relays[1].level


def test_a_lost_port_is_told_to_the_core(bench: Bench) -> None:
    bench.charge()
    bench.guard.link_failed("unplugged", bench.now_s)
    bench.guard.turn(bench.now_s)
    assert not bench.status().is_coprocessor_up
    lost = [event.detail for event in bench.events() if event.kind is EventKind.COPROCESSOR_LOST]
    assert lost == ["unplugged"]
    # The driver notices the silence later by itself; told twice is told once.
    bench.link.queue.append(LinkDown("silence"))
    bench.guard.turn(bench.now_s)
    assert [event.kind for event in bench.events()].count(EventKind.COPROCESSOR_LOST) == 1


def test_notices_of_the_link_are_logged_and_not_kept(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    before = len(bench.events())
    bench.link.queue += [LinkNoticed("noise", None, f"{n} bytes") for n in range(50)]
    bench.guard.turn(bench.now_s)
    assert caplog.text.count("noise") == 1
    assert len(bench.events()) == before


def test_the_deadline_is_the_first_of_all(bench: Bench) -> None:
    bench.guard.turn(bench.now_s)
    bench.link.deadline_s = bench.now_s + 0.01
    assert bench.guard.next_deadline_s(bench.now_s) == bench.now_s + 0.01


def test_after_a_turn_the_next_deadline_is_in_the_future(bench: Bench) -> None:
    bench.charge()
    for _ in range(500):
        due_s = bench.guard.next_deadline_s(bench.now_s)
        assert due_s > bench.now_s  # else the loop would spin
        bench.now_s = due_s
        bench.guard.turn(bench.now_s)


# --- messages ---------------------------------------------------------------------------------------------


def welcome(bench: Bench, guard_id: str | None, last_event: int) -> Welcome:
    bench.guard.agent_message(Hello(1, "test", guard_id, last_event), bench.now_s)
    return next(message for message in reversed(bench.messages) if isinstance(message, Welcome))


def test_hello_is_answered_with_what_the_board_is_and_a_status(bench: Bench) -> None:
    answer = welcome(bench, None, 0)
    assert (answer.guard_id, answer.boot_id, answer.board) == ("guard", "boot", "sim")
    assert [(c.connector, c.max_a, c.phases, c.has_fixed_cable) for c in answer.connectors] == [
        (1, 32.0, 3, False),
        (2, 32.0, 3, False),
    ]
    assert isinstance(bench.messages[-1], Status)


@pytest.mark.parametrize(
    ("guard_id", "last_event", "first"),
    [("guard", 2, 3), ("guard", 8, 9), ("guard", 99, 9), ("another", 2, 1), (None, 0, 1)],
)
def test_hello_gets_the_events_it_has_not_seen(bench: Bench, guard_id: str | None, last_event: int, first: int) -> None:
    bench.link_up()
    bench.guard.link_failed("gone", bench.now_s)
    bench.link_up()
    numbers = [event.number for event in bench.events()]
    assert numbers == list(range(1, 9))
    assert [event.number for event in welcome(bench, guard_id, last_event).events] == numbers[first - 1 :]


def test_a_power_loss_is_remembered_as_told_when_a_welcomed_agent_has_spoken(bench: Bench) -> None:
    indicate = Indicate(1, Indication.OFFLINE)

    def told() -> tuple[str, int] | None:
        return None if bench.state.remembered is None else bench.state.remembered.coprocessor

    bench.link.queue.append(LinkUp(replace(IDENTITY, reset_cause=ResetCause.POWER_ON), is_restart=False))
    bench.guard.turn(bench.now_s)
    bench.guard.agent_message(indicate, bench.now_s)
    assert told() is None, "it was told to nobody"
    events = welcome(bench, None, 0).events
    assert EventKind.POWER_RESTORED in [event.kind for event in events]
    assert told() is None, "what is on the wire may never be read"
    bench.guard.agent_message(indicate, bench.now_s)
    assert told() == (IDENTITY.uid, IDENTITY.boot_count)
    bench.log.clear()
    bench.guard.agent_message(indicate, bench.now_s)
    assert "saved" not in bench.log


def test_the_ring_keeps_the_newest_and_a_welcome_fits_its_line(bench: Bench) -> None:
    bench.link_up()
    for count in range(400):
        bench.guard.link_failed(f"{count} " + "é" * 300, bench.now_s)
        bench.link_up()
    answer = welcome(bench, "guard", 0)
    numbers = [event.number for event in answer.events]
    assert len(numbers) <= RING_EVENTS
    assert numbers == list(range(numbers[0], bench.events()[-1].number + 1))
    assert len(write_message(answer)) < 65536


def test_an_agent_that_talks_nonsense_pushes_no_fact_out_of_the_ring(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    bench.charge()
    bench.say(1, PilotState.A)
    bench.run(1.0)
    caplog.clear()
    plug_id = "x" * 64
    for count in range(2000):
        bench.guard.agent_message(RaiseFault(1, FaultCode.OVERCURRENT, is_present=count % 2 == 0), bench.now_s)
        bench.guard.agent_message(RaiseFault(2, FaultCode.RCM_TRIP, is_present=True), bench.now_s)
        bench.guard.agent_message(SetPoint(1, f"{count}{plug_id}"[:64], Amps(6.0), permission=True), bench.now_s)
        bench.run(0.1)
    kinds = [event.kind for event in welcome(bench, None, 0).events]
    assert {EventKind.GUARD_STARTED, EventKind.COPROCESSOR_UP, EventKind.PLUGGED, EventKind.UNPLUGGED} <= set(kinds)
    assert EventKind.NOTICE in kinds
    assert len(write_message(welcome(bench, None, 0))) < 65536
    # 200 s have passed, and nothing of this is said more than once in ten.
    assert len(caplog.records) < 100


def test_a_status_comes_every_second_and_on_every_change(bench: Bench) -> None:
    bench.link_up()
    bench.run(3.0)
    del bench.messages[:]
    bench.run(2.0)
    assert sum(isinstance(message, Status) for message in bench.messages) == 2
    bench.say(1, PilotState.B)
    bench.run(0.1)
    assert bench.status().connectors[0].pilot is PilotState.B


def test_a_temperature_that_wanders_is_no_change(bench: Bench) -> None:
    bench.link_up()
    bench.run(2.0)
    del bench.messages[:]
    for tenth in range(10):
        bench.reports[1] = replace(bench.reports[1], temperature_c=20.0 + tenth / 10)
        bench.run(0.1)
    # One for the sensor that appeared (its fault clears), one for the second that passed.
    assert sum(isinstance(message, Status) for message in bench.messages) <= 3


def test_a_connector_that_is_not_there_is_refused_or_ignored(bench: Bench) -> None:
    lines = {1: bench.lines(1)}
    board = load_board(None)
    guard = Guard(
        replace(board, connector=board.connector[:1]), bench.link, lines, MemoryState(), "g", "b", 0.0, bench.emit
    )
    guard.agent_message(ClearFault(7, 2, FaultCode.RCM_TRIP), 0.0)
    assert bench.messages[-1] == Reply(7, is_accepted=False, reason="there is no connector 2")
    count = len(bench.messages)
    guard.agent_message(SetPoint(2, None, Amps(6.0), permission=True), 0.0)
    guard.agent_message(Indicate(2, Indication.CHARGING), 0.0)
    guard.agent_message(RaiseFault(2, FaultCode.OVERCURRENT, is_present=True), 0.0)
    assert len(bench.messages) == count


def test_an_acknowledged_fault_is_replied_to_and_forgotten(bench: Bench) -> None:
    bench.link_up()
    bench.rcms[1].level = True
    bench.guard.lines_changed(bench.now_s)
    bench.rcms[1].level = False
    bench.run(1.0)
    bench.guard.agent_message(ClearFault(5, 1, FaultCode.RCM_TRIP), bench.now_s)
    replies = [message for message in bench.messages if isinstance(message, Reply)]
    assert [(reply.request, reply.is_accepted) for reply in replies] == [(5, True)]
    assert bench.state.remembered is not None
    assert bench.state.remembered.latched[1] == frozenset()


def test_a_wish_that_waited_while_the_guard_stood_still_renews_nothing(bench: Bench) -> None:
    bench.charge()
    wish = SetPoint(1, bench.status().connectors[0].plug_id, Amps(16.0), permission=True)
    bench.now_s += 20.0
    bench.guard.agent_message(wish, bench.now_s)
    bench.guard.turn(bench.now_s)
    assert bench.status().connectors[0].lease is LeaseState.LAPSED
    # The next one was said while the guard listened.
    bench.guard.agent_message(wish, bench.now_s + 0.5)
    bench.guard.turn(bench.now_s + 0.5)
    assert bench.status().connectors[0].lease is LeaseState.HELD


def test_an_acknowledgement_from_before_a_stall_clears_nothing_and_a_fault_is_taken(bench: Bench) -> None:
    bench.link_up()
    bench.rcms[1].level = True
    bench.guard.lines_changed(bench.now_s)
    bench.rcms[1].level = False
    bench.run(1.0)
    bench.now_s += 1.0
    bench.guard.agent_message(ClearFault(5, 1, FaultCode.RCM_TRIP), bench.now_s)
    bench.guard.agent_message(RaiseFault(2, FaultCode.OVERCURRENT, is_present=True), bench.now_s)
    bench.guard.turn(bench.now_s)
    replies = [message for message in bench.messages if isinstance(message, Reply)]
    assert [(reply.request, reply.is_accepted) for reply in replies] == [(5, False)]
    assert FaultCode.RCM_TRIP in bench.status().connectors[0].faults
    assert FaultCode.OVERCURRENT in bench.status().connectors[1].faults


# --- LED --------------------------------------------------------------------------------------------------


def test_the_led_shows_the_agents_word_until_the_agent_falls_silent(bench: Bench) -> None:
    bench.link_up()
    bench.run(1.0)
    offline = bench.lights[1].shown
    bench.guard.agent_message(Indicate(1, Indication.AWAITING_VEHICLE), bench.now_s)
    bench.run(0.2)
    named = bench.lights[1].shown
    assert named != offline
    bench.run(AGENT_SILENT_S)
    assert bench.lights[1].shown == offline


def test_a_fault_overrides_the_agents_word(bench: Bench) -> None:
    bench.link_up()
    bench.guard.agent_message(Indicate(1, Indication.AVAILABLE), bench.now_s)
    bench.rcms[1].level = True
    bench.run(0.2)
    assert bench.lights[1].shown == (1.0, 0.0, 0.0)


# --- the end ----------------------------------------------------------------------------------------------


def test_shutting_down_opens_first_and_leaves_everything_off(bench: Bench) -> None:
    bench.charge()
    del bench.log[:]
    bench.guard.shut_down(bench.now_s)
    assert bench.log[:2] == ["relay 1 open", "relay 2 open"]
    assert [command.permit for command in bench.link.commands.values()] == [False, False]
    assert bench.link.commands[1].output is PilotOutput.X1
    assert not bench.tests[1].level
    assert bench.lights[1].shown == (0.0, 0.0, 0.0)


def test_a_relay_line_that_fails_in_a_trip_costs_no_permit_no_latch_and_no_record(bench: Bench) -> None:
    bench.charge()
    bench.relays[1].is_broken = True
    bench.rcms[1].level = True
    with pytest.raises(OSError, match="no line"):
        bench.guard.lines_changed(bench.now_s)
    assert [command.permit for command in bench.link.commands.values()] == [False, False]
    assert bench.link.commands[1].output is PilotOutput.X1
    assert bench.state.remembered is not None
    assert bench.state.remembered.latched[1] == {FaultCode.RCM_TRIP}
    assert bench.events()[-1].fault is FaultCode.RCM_TRIP


def test_shutting_down_goes_on_after_whatever_fails(bench: Bench) -> None:
    bench.charge()
    bench.relays[1].is_broken = bench.tests[1].is_broken = True
    bench.guard.shut_down(bench.now_s)
    assert [command.permit for command in bench.link.commands.values()] == [False, False]
    assert bench.lights[2].shown == (0.0, 0.0, 0.0)


def test_the_lease_of_the_agent_reaches_the_core(bench: Bench) -> None:
    bench.charge()
    bench.run(float(Seconds(6.0)))  # silent for longer than the lease
    assert bench.status().connectors[0].offered_a == 6.0
    assert EventKind.LEASE_LAPSED in [event.kind for event in bench.events()]
