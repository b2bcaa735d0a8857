"""The real `evcharge-guard`: its command line, its exits, and one charge against the simulated world's process."""

import contextlib
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from evcharge_hal.contract.channel import (
    AgentMessage,
    ContactorState,
    EventKind,
    GuardEvent,
    GuardMessage,
    Hello,
    Reply,
    ResetGuard,
    SetPoint,
    Status,
    Welcome,
    read_guard_message,
    write_message,
)
from evcharge_hal.contract.faults import FaultCode
from evcharge_hal.contract.units import Amps

GUARD = [sys.executable, "-m", "evcharge_hal.guard"]
WORLD = [sys.executable, "-m", "evcharge_hal.sim"]
WAIT_S = 20.0


@pytest.fixture
def folder() -> Iterator[Path]:
    """A short path: unix sockets have 108 bytes."""
    made = Path(tempfile.mkdtemp(dir="/tmp"))
    yield made
    shutil.rmtree(made)


def guard(*arguments: str, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*GUARD, *arguments], capture_output=True, text=True, timeout=WAIT_S, env=environment, check=False
    )


def in_folder(folder: Path, board: str = "") -> list[str]:
    (folder / "board.toml").write_text(board)
    return ["--board", str(folder / "board.toml"), "--runtime-dir", str(folder), "--state-dir", str(folder / "state")]


# --- command line -----------------------------------------------------------------------------------------


def test_a_good_board_file_is_described(folder: Path) -> None:
    (folder / "board.toml").write_text('[[connector]]\nid = 2\ncable = "fixed"\ncable_a = 20')
    done = guard("check-board", str(folder / "board.toml"))
    assert done.returncode == 0
    assert done.stdout.splitlines()[1:] == [
        "  connector 1: 32 A, 3 phases, socket",
        "  connector 2: 32 A, 3 phases, fixed cable of 20 A",
    ]


@pytest.mark.parametrize("command", ["check-board", "run"])
def test_a_bad_board_file_is_exit_2_with_one_line(folder: Path, command: str) -> None:
    options = in_folder(folder, "[board]\nsuply_a = 16\n")
    done = guard(command, *(options if command == "run" else options[1:2]))
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "board.toml: board.suply_a = 16: allowed: one of the names" in line
    assert "did you mean 'supply_a'?" in line


def test_a_board_this_machine_does_not_have_is_exit_2(folder: Path) -> None:
    done = guard("run", *in_folder(folder, '[board]\nname = "two-connector"'))
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "board 'two-connector'" in done.stderr


@pytest.mark.parametrize("arguments", [[], ["walk"], ["run", "--log-level", "loud"], ["check-board"]])
def test_wrong_options_are_exit_2_with_usage(arguments: list[str]) -> None:
    done = guard(*arguments)
    assert done.returncode == 2
    assert done.stderr.startswith("usage: evcharge-guard")


def test_an_unknown_agent_user_is_named(folder: Path) -> None:
    done = guard("run", *in_folder(folder), "--agent-user", "no-such-user")
    assert done.returncode == 2
    assert "--agent-user no-such-user: there is no such user" in done.stderr


def test_a_folder_that_cannot_be_made_is_named(folder: Path) -> None:
    (folder / "file").write_text("")
    done = guard("run", *in_folder(folder)[:2], "--runtime-dir", str(folder / "file" / "run"))
    assert done.returncode == 69
    assert "cannot make the folder" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("level", ["info", "debug"])
def test_an_internal_error_is_exit_70_with_one_line_and_a_traceback_only_for_debugging(level: str) -> None:
    program = """if True:
        import sys
        from evcharge_hal.guard.__main__ import main
        def run(_options):
            raise RuntimeError("a bug")
        sys.exit(main(sys.argv[1:], run))
    """
    command = [sys.executable, "-c", program, "run", "--log-level", level]
    done = subprocess.run(command, capture_output=True, text=True, timeout=WAIT_S, check=False)
    assert done.returncode == 70
    line, *more = done.stderr.splitlines()
    assert "stopped by an internal error: RuntimeError: a bug" in line
    assert ("Traceback (most recent call last):" in more) is (level == "debug")
    assert bool(more) is (level == "debug")


# --- with a world -----------------------------------------------------------------------------------------


class Agent:
    """Speaks for the agent: reads what the guard says on a thread, and repeats a wish every half second."""

    def __init__(self, path: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        wait_until(lambda: self.socket.connect_ex(str(path)) == 0)
        self.messages: list[GuardMessage] = []
        self.wish: SetPoint | None = None
        self._changed = threading.Condition()
        self._is_over = False
        self._threads = [threading.Thread(target=self._read), threading.Thread(target=self._repeat)]
        self.send(Hello(1, "test"))
        for thread in self._threads:
            thread.start()

    def send(self, message: AgentMessage) -> None:
        self.socket.sendall(write_message(message))

    def _read(self) -> None:
        # A guard that goes with a line of ours unread resets the connection.
        with contextlib.suppress(ConnectionResetError), self.socket.makefile("rb") as lines:
            for line in lines:
                with self._changed:
                    self.messages.append(read_guard_message(line))
                    self._changed.notify_all()

    def _repeat(self) -> None:
        with self._changed:
            while not self._is_over:
                status = self.status()
                if self.wish is not None and status is not None:
                    plug_id = status.connectors[self.wish.connector - 1].plug_id
                    with contextlib.suppress(OSError):  # the guard may go before us
                        self.send(SetPoint(self.wish.connector, plug_id, self.wish.offer_a, self.wish.permission))
                self._changed.wait(0.5)

    def status(self) -> Status | None:
        return next((message for message in reversed(self.messages) if isinstance(message, Status)), None)

    def wait_for(self, is_so: Callable[[Status], bool]) -> Status:
        with self._changed:

            def find() -> Status | None:
                status = self.status()
                return status if status is not None and is_so(status) else None

            found = self._changed.wait_for(find, WAIT_S)
            assert found, self.status()
            return found

    def wait_for_event(self, kind: EventKind, count: int = 1) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: self.count(kind) >= count, WAIT_S), self.messages[-5:]

    def count(self, kind: EventKind) -> int:
        return sum(isinstance(message, GuardEvent) and message.kind is kind for message in self.all_events())

    def all_events(self) -> list[GuardEvent]:
        events: list[GuardEvent] = []
        for message in self.messages:
            events += message.events if isinstance(message, Welcome) else ()
            events += [message] if isinstance(message, GuardEvent) else []
        return events

    def close(self) -> None:
        with self._changed:
            self._is_over = True
            self._changed.notify_all()
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(WAIT_S)
        self.socket.close()


class House:
    """A world and a guard as processes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.options = in_folder(folder)
        self.processes: list[subprocess.Popen[bytes]] = []
        self.log = folder / "guard.log"

    def start_world(self) -> subprocess.Popen[bytes]:
        (self.folder / "world.toml").write_text("")
        for name in ("gpio.sock", "sim.sock"):
            (self.folder / name).unlink(missing_ok=True)
        process = self._start(
            *WORLD,
            *("run", "--config", str(self.folder / "world.toml"), "--runtime-dir", str(self.folder)),
            *("--state-dir", str(self.folder / "world")),
        )
        wait_until((self.folder / "gpio.sock").exists)
        wait_until((self.folder / "sim.sock").exists)
        return process

    def start_guard(self) -> subprocess.Popen[bytes]:
        return self._start(*GUARD, "run", *self.options, "--log-level", "DEBUG")

    def _start(self, *command: str) -> subprocess.Popen[bytes]:
        environment = {**os.environ, "EVCHARGE_BOOT_ID": "boot-of-the-test"}
        with self.log.open("ab") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
        self.processes.append(process)
        return process

    def ask(self, method: str, verb: str, body: dict[str, Any] | None = None) -> Any:
        connection = http.client.HTTPConnection("world", timeout=WAIT_S)
        connection.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.sock.connect(str(self.folder / "sim.sock"))
        try:
            connection.request(method, f"/sim/{verb}", json.dumps(body or {}), {"Content-Type": "application/json"})
            answer = connection.getresponse()
            text = answer.read()
            assert answer.status == 200, text
            return json.loads(text)
        finally:
            connection.close()

    def close(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.wait(WAIT_S)


def wait_until(is_so: Callable[[], bool]) -> None:
    give_up_s = time.monotonic() + WAIT_S
    while not is_so():
        assert time.monotonic() < give_up_s
        time.sleep(0.005)


@pytest.fixture
def house(folder: Path) -> Iterator[House]:
    made = House(folder)
    yield made
    made.close()


@contextlib.contextmanager
def agent_of(house: House) -> Iterator[Agent]:
    agent = Agent(house.folder / "guard.sock")
    try:
        yield agent
    finally:
        agent.close()


def test_the_guard_greets_its_co_processor_and_leaves_when_told(house: House) -> None:
    house.start_world()
    process = house.start_guard()
    with agent_of(house) as agent:
        agent.wait_for(lambda status: status.is_coprocessor_up)
        welcome = next(message for message in agent.messages if isinstance(message, Welcome))
        assert (welcome.board, welcome.boot_id) == ("sim", "boot-of-the-test")
        assert [event.kind for event in agent.all_events()][:2] == [EventKind.GUARD_STARTED, EventKind.COPROCESSOR_UP]
        second = guard("run", *house.options)
        assert second.returncode == 69
        assert "another guard runs" in second.stderr
        process.send_signal(signal.SIGTERM)
        assert process.wait(WAIT_S) == 0
    assert not (house.folder / "guard.sock").exists()
    assert "Traceback" not in house.log.read_text()


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGQUIT])
def test_a_lost_terminal_ends_it_like_any_other_signal(house: House, number: signal.Signals) -> None:
    house.start_world()
    process = house.start_guard()
    with agent_of(house) as agent:
        agent.wait_for(lambda status: status.is_coprocessor_up)
        process.send_signal(number)
        assert process.wait(WAIT_S) == 0
    assert "all outputs are off" in house.log.read_text()


def test_relays_that_a_dead_guard_left_closed_are_opened_and_those_of_a_living_one_left_alone(house: House) -> None:
    house.start_world()
    process = house.start_guard()
    with agent_of(house) as agent:
        agent.wish = SetPoint(1, None, Amps(16.0), permission=True)
        house.ask("POST", "plug", {"connector": 1})
        house.ask("POST", "ev", {"connector": 1, "request": "charge"})
        agent.wait_for(lambda status: status.connectors[0].contactor is ContactorState.CLOSED)
        refused = guard("safe-off", *house.options[:4])
        assert refused.returncode == 69
        assert "another guard runs" in refused.stderr
        assert house.ask("GET", "state")["connectors"]["1"]["is_relay_on"]
        process.kill()
        process.wait(WAIT_S)
    assert house.ask("GET", "state")["connectors"]["1"]["is_relay_on"], "the world retains lines, as the kernel does"
    done = guard("safe-off", *house.options[:4])
    assert (done.returncode, done.stderr) == (0, "")
    assert not house.ask("GET", "state")["connectors"]["1"]["is_relay_on"]


def test_a_board_that_cannot_be_read_is_not_called_safe(folder: Path) -> None:
    done = guard("safe-off", *in_folder(folder, "[board]\nsuply_a = 16\n")[:4])
    assert done.returncode == 2
    assert "board.suply_a" in done.stderr


@pytest.mark.system
def test_a_charge_a_trip_and_a_restart_that_remembers_it(house: House) -> None:
    house.start_world()
    process = house.start_guard()
    with agent_of(house) as agent:
        agent.wish = SetPoint(1, None, Amps(16.0), permission=True)
        house.ask("POST", "plug", {"connector": 1})
        house.ask("POST", "ev", {"connector": 1, "request": "charge"})
        agent.wait_for(lambda status: status.connectors[0].contactor is ContactorState.CLOSED)
        house.ask("POST", "fault", {"connector": 1, "kind": "rcm_trip"})
        status = agent.wait_for(lambda status: FaultCode.RCM_TRIP in status.connectors[0].faults)
        assert status.connectors[0].contactor in (ContactorState.OPENING, ContactorState.OPEN)
        process.send_signal(signal.SIGINT)
        assert process.wait(WAIT_S) == 0
    house.ask("POST", "clear", {"connector": 1, "kind": "rcm_trip"})
    house.start_guard()
    with agent_of(house) as agent:
        agent.wait_for(lambda status: FaultCode.RCM_TRIP in status.connectors[0].faults)
    assert "Traceback" not in house.log.read_text()


@pytest.mark.system
def test_a_reset_opens_the_contactor_restarts_the_co_processor_and_ends_with_code_0(house: House) -> None:
    house.start_world()
    process = house.start_guard()
    with agent_of(house) as agent:
        agent.wish = SetPoint(1, None, Amps(16.0), permission=True)
        house.ask("POST", "plug", {"connector": 1})
        house.ask("POST", "ev", {"connector": 1, "request": "charge"})
        agent.wait_for(lambda status: status.connectors[0].contactor is ContactorState.CLOSED)
        boots = house.ask("GET", "state")["coprocessor"]["boot_count"]
        agent.send(ResetGuard(7))
        assert process.wait(WAIT_S) == 0
        agent.wait_for(lambda status: status.connectors[0].contactor is ContactorState.OPEN)
        assert Reply(7, is_accepted=True) in agent.messages
    assert house.ask("GET", "state")["coprocessor"]["boot_count"] == boots + 1
    assert not house.ask("GET", "state")["connectors"]["1"]["is_contactor_closed"]
    assert "Traceback" not in house.log.read_text()


@pytest.mark.system
def test_a_co_processor_that_goes_and_comes_back_is_found_again(house: House) -> None:
    world = house.start_world()
    house.start_guard()
    with agent_of(house) as agent:
        agent.wait_for_event(EventKind.COPROCESSOR_UP)
        world.kill()
        world.wait(WAIT_S)
        agent.wait_for(lambda status: not status.is_coprocessor_up)
        house.start_world()
        agent.wait_for_event(EventKind.COPROCESSOR_UP, 2)
