"""The world as a process: its sockets, its meters, what it remembers when it is killed."""

import argparse
import http.client
import json
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pymodbus.client import ModbusTcpClient

from evcharge_hal.boards.loader import load_board
from evcharge_hal.contract.pilot import LinkUp, PilotCommand, PilotOutput
from evcharge_hal.contract.units import Amps
from evcharge_hal.link.native import NativeLink
from evcharge_hal.link.serial_port import SerialPort
from evcharge_hal.sim.cli import add_sim_parser, run_sim_command
from evcharge_hal.sim.client import SimClient, SimRefusedError, SimUnreachableError
from evcharge_hal.sim.gpio_lines import Claim, SetLevel

WITHIN_S = 10.0
CONFIG = """
[sim]
tcp_port = 0
speed = 100.0

[[sim.meters]]
name = "session-1"
role = "session"
connector = 1

[[sim.meters]]
name = "grid"
role = "grid"
unit = 3
"""


class Process:
    """A running `evcharge-sim` with directories of its own."""

    def __init__(self, config: str = CONFIG) -> None:
        self.root = Path(tempfile.mkdtemp(dir="/tmp"))
        self.runtime = self.root / "run"
        (self.root / "sim.toml").write_text(config)
        self.client = SimClient(self.runtime / "sim.sock")
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(self.command(), stderr=subprocess.PIPE, text=True)
        assert eventually(self.is_up), "the world did not come up"

    def command(self) -> list[str]:
        where = ["--config", str(self.root / "sim.toml"), "--runtime-dir", str(self.runtime)]
        state = ["--state-dir", str(self.root / "state"), "--log-level", "WARNING"]
        return [sys.executable, "-m", "evcharge_hal.sim", "run", *where, *state]

    def is_up(self) -> bool:
        if self.process.poll() is not None:
            raise AssertionError(self.process.communicate()[1])
        try:
            return bool(self.client.health()["world"]["is_up"])
        except SimUnreachableError:
            return False

    def kill(self, number: signal.Signals) -> tuple[int, str]:
        self.process.send_signal(number)
        _, errors = self.process.communicate(timeout=WITHIN_S)
        return self.process.returncode, errors

    def connector(self) -> dict[str, Any]:
        at: dict[str, Any] = self.client.state()["connectors"]["1"]
        return at


@contextmanager
def running(config: str = CONFIG) -> Iterator[Process]:
    world = Process(config)
    try:
        yield world
    finally:
        if world.process.poll() is None:
            world.kill(signal.SIGKILL)
        shutil.rmtree(world.root)


@pytest.fixture(scope="module")
def shared() -> Iterator[Process]:
    """One world for the tests that leave nothing behind."""
    with running() as world:
        yield world


def eventually(condition: Callable[[], bool], within_s: float = WITHIN_S) -> bool:
    deadline_s = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline_s:
            return False
        time.sleep(0.01)
    return True


class PtyHost:
    """A guard's wires without its rules: the driver on the real pty, the relay on the real socket."""

    def __init__(self, world: Process) -> None:
        self.port = SerialPort(str(world.runtime / "pilot"), 115_200)
        self.link = NativeLink((1, 2))
        self.lines = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.lines.connect(str(world.runtime / "gpio.sock"))
        self.relay = load_board(None).connector[0].pins.relay
        self.lines.sendall(Claim(self.relay, is_output=True).line())
        self.is_up = False

    def drive(self, limit_a: float, *, permit: bool) -> None:
        output = PilotOutput.X2 if limit_a else PilotOutput.X1
        self.link.command(PilotCommand(1, output, Amps(limit_a), permit), time.monotonic())
        self.lines.sendall(SetLevel(self.relay, permit).line())

    def run_until(self, condition: Callable[[], bool]) -> bool:
        def turn() -> bool:
            now_s = time.monotonic()
            events = [*self.link.receive(self.port.read(), now_s), *self.link.advance(now_s)]
            self.is_up = self.is_up or any(isinstance(event, LinkUp) for event in events)
            self.port.write(self.link.outgoing())
            self.port.flush()
            return condition()

        return eventually(turn)

    def charge(self, world: Process) -> None:
        world.client.perform("plug", connector=1)
        assert self.run_until(lambda: self.is_up)
        self.drive(32.0, permit=False)
        assert self.run_until(lambda: world.connector()["vehicle_state"] == "C")
        self.drive(32.0, permit=True)
        assert self.run_until(lambda: world.connector()["power_w"] > 5000)

    def close(self) -> None:
        self.port.close()
        self.lines.close()


def read_floats(world: Process, meter: str, address: int, count: int, unit: int = 1) -> list[float]:
    port = world.client.health()["meters"][meter]
    client = ModbusTcpClient("127.0.0.1", port=port, timeout=2.0, retries=0)
    assert client.connect()
    try:
        answer = client.read_input_registers(address, count=2 * count, device_id=unit)
        assert not answer.isError(), answer
        values = client.convert_from_registers(answer.registers, client.DATATYPE.FLOAT32)
        return values if isinstance(values, list) else [values]
    finally:
        client.close()


# --- HTTP --------------------------------------------------------------------------------------------------


def test_health_names_who_is_there(shared):
    health = shared.client.health()
    assert health["world"]["pid"] == shared.process.pid
    assert health["guard"] == {"is_connected": False}
    assert sorted(health["meters"]) == ["grid", "session-1"]
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as guard:
        guard.connect(str(shared.runtime / "gpio.sock"))
        assert eventually(lambda: shared.client.health()["guard"]["is_connected"])
    assert eventually(lambda: not shared.client.health()["guard"]["is_connected"])


def test_verbs_change_the_state_that_is_read_back(shared):
    assert shared.client.perform("plug", connector=2, cable_a=20)["connectors"]["2"]["pp_ohm"] == 680.0
    assert shared.client.state()["connectors"]["2"]["vehicle_state"] == "B"
    shared.client.perform("unplug", connector=2)


@pytest.mark.parametrize(
    ("verb", "fields", "field"),
    [
        ("plug", {"connector": 7}, "connector"),
        ("fault", {"kind": "gremlin"}, "kind"),
        ("speed", {"factor": float("nan")}, "factor"),
        ("swipe", {"id_tag": "x" * 30}, "id_tag"),
    ],
)
def test_a_refusal_names_field_and_range(shared, verb, fields, field):
    with pytest.raises(SimRefusedError) as refusal:
        shared.client.perform(verb, **fields)
    assert refusal.value.detail["field"] == field
    assert refusal.value.detail["allowed"]


def post(port: int, path: str, body: bytes) -> tuple[int, dict[str, Any]]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=WITHIN_S)
    try:
        connection.request("POST", path, body=body)
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


@pytest.mark.parametrize(
    ("path", "body", "status", "field"),
    [
        ("/sim/plug", b"", 400, "connector"),
        ("/sim/plug", b"{", 400, "body"),
        ("/sim/plug", b"[1]", 400, "Plug"),
        ("/sim/plug", b"\xff\xff", 400, "body"),
        ("/sim/plug", b'"' + b"x" * 70_000 + b'"', 400, "body"),
        ("/sim/plug", b"[" * 60_000, 400, "body"),
        ("/sim/speed", b'{"factor": 1e999}', 400, "factor"),
        ("/sim/plugg", b"{}", 404, None),
    ],
)
def test_any_body_gets_a_readable_answer_over_tcp_as_well(shared, path, body, status, field):
    found, answer = post(shared.client.health()["tcp_port"], path, body)
    assert found == status
    assert answer["error"].get("field") == field
    if status == 404:
        assert answer["error"]["nearest"] == "plug"


def test_without_a_world_the_client_says_so():
    with pytest.raises(SimUnreachableError, match="no simulated world answers"):
        SimClient(Path("nowhere/sim.sock")).state()


# --- instruments -------------------------------------------------------------------------------------------


def test_a_meter_answers_a_modbus_client(shared):
    volts = read_floats(shared, "session-1", 0x0000, 3)
    assert all(229.0 < each < 231.0 for each in volts)
    assert 49.9 < read_floats(shared, "grid", 0x0046, 1, unit=3)[0] < 50.1


def test_a_meter_refuses_what_the_real_one_refuses(shared):
    client = ModbusTcpClient("127.0.0.1", port=shared.client.health()["meters"]["session-1"], timeout=2.0, retries=0)
    assert client.connect()
    assert client.read_holding_registers(0, count=2, device_id=1).isError()
    assert client.read_input_registers(0, count=82, device_id=1).isError()
    assert client.read_input_registers(0x400, count=2, device_id=1).isError()
    assert not client.read_input_registers(0, count=80, device_id=1).isError()
    client.close()


def test_a_silent_meter_says_nothing_and_a_cleared_one_answers(shared):
    shared.client.perform("fault", kind="meter_silent", connector=1)
    with socket.create_connection(("127.0.0.1", shared.client.health()["meters"]["session-1"])) as master:
        master.settimeout(0.3)
        request = bytes.fromhex("000100000006010400000002")
        master.sendall(request)
        with pytest.raises(TimeoutError):
            master.recv(100)
        shared.client.perform("clear", kind="meter_silent", connector=1)
        master.settimeout(WITHIN_S)
        master.sendall(request)
        assert master.recv(100)[:2] == request[:2]


def test_a_card_reaches_every_listening_reader(shared):
    readers = [socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) for _ in range(2)]
    for reader in readers:
        reader.settimeout(WITHIN_S)
        reader.connect(str(shared.runtime / "reader.sock"))
    assert eventually(lambda: shared.client.health()["reader"]["listeners"] == 2)
    shared.client.perform("swipe", id_tag="04A2B3", connectors=[2])
    shared.client.perform("swipe", id_tag="MÜLLER")
    for reader in readers:
        lines = reader.makefile("rb")
        assert json.loads(lines.readline()) == {"id_tag": "04A2B3", "connectors": [2]}
        assert json.loads(lines.readline()) == {"id_tag": "MÜLLER", "connectors": [1, 2]}
        lines.close()
        reader.close()


# --- a charge, and death -----------------------------------------------------------------------------------


def test_a_register_never_goes_back_over_sigkill_and_the_board_boots_anew():
    with running() as world:
        host = PtyHost(world)
        host.charge(world)
        shown_wh = 0.0

        def shows(energy_wh: float) -> bool:
            nonlocal shown_wh
            shown_wh = round(read_floats(world, "session-1", 0x0048, 1)[0] * 1000.0)
            return shown_wh >= energy_wh

        assert host.run_until(lambda: shows(4.0))
        boot_count = world.client.health()["world"]["boot_count"]
        code, errors = world.kill(signal.SIGKILL)
        assert (code, errors) == (-signal.SIGKILL, "")
        host.close()
        world.start()
        assert read_floats(world, "session-1", 0x0048, 1)[0] * 1000.0 >= shown_wh - 0.01
        state = world.connector()
        assert (state["is_contactor_closed"], state["is_plugged"], state["closings"]) == (False, True, 1)
        assert world.client.health()["world"]["boot_count"] == boot_count + 1


def test_the_pilot_port_survives_its_readers_and_gives_the_next_one_fresh_frames():
    with running() as world:
        device = (world.runtime / "pilot").readlink()
        for _ in range(2):
            host = PtyHost(world)
            assert host.run_until(lambda host=host: host.is_up)
            host.close()
            time.sleep(0.3)
        assert (world.runtime / "pilot").readlink() == device


def test_sigterm_ends_it_cleanly_and_takes_the_sockets_away():
    with running() as world:
        clients = [socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) for _ in range(3)]
        for client, name in zip(clients, ("reader.sock", "gpio.sock", "sim.sock"), strict=True):
            client.connect(str(world.runtime / name))
        master = socket.create_connection(("127.0.0.1", world.client.health()["meters"]["grid"]))
        assert world.kill(signal.SIGTERM) == (0, "")
        for client in (*clients, master):
            client.close()
        assert list(world.runtime.iterdir()) == []


def test_two_worlds_cannot_share_a_board(shared):
    second = subprocess.run(shared.command(), capture_output=True, text=True, timeout=WITHIN_S, check=False)
    assert second.returncode == 1
    assert "another world runs on this state directory" in second.stderr
    assert len(second.stderr.splitlines()) == 1


def test_a_taken_meter_port_is_an_error_with_a_name():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        root = Path(tempfile.mkdtemp(dir="/tmp"))
        (root / "sim.toml").write_text(CONFIG + f"port = {port}\n")
        where = ["--config", str(root / "sim.toml"), "--runtime-dir", str(root / "run"), "--state-dir", str(root)]
        command = [sys.executable, "-m", "evcharge_hal.sim", "run", *where]
        done = subprocess.run(command, capture_output=True, text=True, timeout=WITHIN_S, check=False)
        shutil.rmtree(root)
    assert done.returncode == 1
    assert f"meter 'grid': port {port} cannot be used" in done.stderr
    assert "Traceback" not in done.stderr


# --- the command -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "code", "text"),
    [
        ("state", 0, "connector 1: A"),
        ("state --json", 0, '"connectors"'),
        ("health", 0, "meters: session-1 "),
        ("speed 90 --json", 0, '"speed": 90.0'),
        ("speed 100", 0, ""),
        ("plug 9", 2, "connector = 9: allowed: a whole number from 1 to 2"),
        ("fault gremlin", 2, "one of pilot_short"),
    ],
)
def test_the_same_verbs_as_a_command(shared, capsys, line, code, text):
    parser = argparse.ArgumentParser()
    add_sim_parser(parser.add_subparsers())
    args = parser.parse_args(["sim", *line.split(), "--runtime-dir", str(shared.runtime)])
    assert run_sim_command(args) == code
    captured = capsys.readouterr()
    assert text in (captured.err if code else captured.out)
