"""gpiozero devices in this process, the world's GPIO server behind a real socket."""

import asyncio
import logging
import re
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from gpiozero import DigitalInputDevice, DigitalOutputDevice, InputDevice

from evcharge_hal.sim.config import GpioAtDeath, SimConfig
from evcharge_hal.sim.pin_factory import SimPinFactory, WorldUnreachableError
from evcharge_hal.sim.pins import GpioServer
from tests.support.sim_host import make_world

RELAY, MIRROR, RCM, RCM_TEST, LED = 17, 27, 22, 23, 5
WITHIN_S = 5.0


class Served:
    """A world whose lines are served on a thread of its own; time stands still unless told."""

    def __init__(self, path: Path, config: SimConfig | None = None) -> None:
        self.path = path
        self.world = make_world(config=config)
        self._loop = asyncio.new_event_loop()
        self._server = GpioServer(self.world, lambda: None)
        self._loop.run_until_complete(self._server.start(path))
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()

    def do(self, action: Callable[[], object]) -> object:
        """Run something where the world lives."""

        async def run() -> object:
            return action()

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result(WITHIN_S)

    def pass_time(self, duration_s: float) -> None:
        self.do(lambda: self.world.advance(self.world.now_s + duration_s))

    def line(self, pin: int) -> bool:
        return bool(self.do(lambda: self.world.line(pin)))

    def stop(self) -> None:
        asyncio.run_coroutine_threadsafe(self._server.stop(), self._loop).result(WITHIN_S)
        asyncio.run_coroutine_threadsafe(asyncio.sleep(0.05), self._loop).result(WITHIN_S)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(WITHIN_S)
        self._loop.close()


@contextmanager
def served(config: SimConfig | None = None) -> Iterator[Served]:
    directory = Path(tempfile.mkdtemp(dir="/tmp"))
    server = Served(directory / "gpio.sock", config)
    try:
        yield server
    finally:
        server.stop()
        shutil.rmtree(directory)


@contextmanager
def lines(server: Served) -> Iterator[SimPinFactory]:
    factory = SimPinFactory(server.path, connect_timeout_s=WITHIN_S)
    try:
        yield factory
    finally:
        factory.close()


def eventually(condition: Callable[[], bool]) -> bool:
    deadline_s = time.monotonic() + WITHIN_S
    while not condition():
        if time.monotonic() > deadline_s:
            return False
        time.sleep(0.002)
    return True


def test_an_output_moves_the_coil_and_the_mirror_contact_moves_an_input():
    with served() as server, lines(server) as factory:
        server.do(lambda: server.world.plant.connectors[1].set_permit(True))
        seen = []
        mirror = DigitalInputDevice(MIRROR, pull_up=None, active_state=True, pin_factory=factory)
        mirror.when_activated = lambda: seen.append("closed")
        mirror.when_deactivated = lambda: seen.append("open")
        relay = DigitalOutputDevice(RELAY, initial_value=False, pin_factory=factory)
        relay.on()
        assert eventually(lambda: server.line(RELAY))
        server.pass_time(1.0)
        assert eventually(lambda: mirror.is_active)
        relay.off()
        assert eventually(lambda: not server.line(RELAY))
        server.pass_time(1.0)
        assert eventually(lambda: not mirror.is_active)
        assert eventually(lambda: seen == ["closed", "open", "closed", "open"]), "with the bounce"


@pytest.mark.parametrize("pull_up", [None, False])
def test_an_input_has_the_level_of_the_world_from_the_first_read(pull_up):
    with served() as server:
        server.do(lambda: server.world.perform("fault", {"kind": "rcm_trip"}))
        server.pass_time(0.1)
        with lines(server) as factory:
            active_state = True if pull_up is None else None
            device = InputDevice(RCM, pull_up=pull_up, active_state=active_state, pin_factory=factory)
            assert device.is_active


def test_a_pull_on_the_guards_side_does_not_move_a_driven_line():
    with served() as server, lines(server) as factory:
        device = InputDevice(RCM, pull_up=True, pin_factory=factory)
        assert device.is_active, "low is active with a pull-up, and the line is low"
        assert not server.line(RCM)


def test_a_guard_that_comes_back_finds_its_retained_output():
    with served() as server:
        with lines(server) as factory:
            DigitalOutputDevice(RELAY, initial_value=True, pin_factory=factory)
            assert eventually(lambda: server.line(RELAY))
        assert server.line(RELAY), "closing a device or dying does not drive an output off"
        with lines(server) as factory:
            relay = DigitalOutputDevice(RELAY, initial_value=None, pin_factory=factory)
            assert relay.value == 1
            relay.off()
            assert eventually(lambda: not server.line(RELAY))


def test_released_lines_fall_when_the_guard_is_gone():
    with served(SimConfig(gpio_at_death=GpioAtDeath.RELEASED)) as server:
        with lines(server) as factory:
            DigitalOutputDevice(RELAY, initial_value=True, pin_factory=factory)
            assert eventually(lambda: server.line(RELAY))
        assert eventually(lambda: not server.line(RELAY))


def test_the_self_test_of_the_monitor_over_the_socket():
    with served() as server, lines(server) as factory:
        test = DigitalOutputDevice(RCM_TEST, initial_value=False, pin_factory=factory)
        rcm = InputDevice(RCM, pull_up=None, active_state=True, pin_factory=factory)
        test.on()
        assert eventually(lambda: server.line(RCM_TEST))
        server.pass_time(0.3)
        assert eventually(lambda: rcm.is_active)
        test.off()
        assert eventually(lambda: not server.line(RCM_TEST))
        server.pass_time(0.5)
        assert eventually(lambda: not rcm.is_active)


def test_a_callback_that_raises_does_not_deafen_the_other_lines(caplog):
    def fail() -> None:
        raise ValueError("on purpose")

    with served() as server, lines(server) as factory, caplog.at_level(logging.ERROR):
        bad = DigitalInputDevice(RCM, pull_up=None, active_state=True, pin_factory=factory)
        bad.when_activated = fail
        server.do(lambda: server.world.perform("fault", {"kind": "rcm_trip"}))
        server.pass_time(0.1)
        assert eventually(lambda: "on purpose" in caplog.text)
        server.do(lambda: server.world.perform("clear", {"kind": "rcm_trip"}))
        server.pass_time(1.0)
        assert eventually(lambda: not bad.is_active)


def test_thousands_of_changes_leave_nothing_behind():
    with served() as server, lines(server) as factory:
        light = DigitalOutputDevice(LED, initial_value=False, pin_factory=factory)
        for _ in range(2000):
            light.toggle()
        light.on()
        assert eventually(lambda: server.line(LED))
        assert light.pin.states == []


def test_a_world_that_is_not_there_is_an_error_with_a_name():
    path = Path("nowhere/gpio.sock")
    with pytest.raises(WorldUnreachableError, match=re.escape(str(path))):
        SimPinFactory(path, connect_timeout_s=0.1)


def test_a_world_that_comes_late_is_waited_for():
    with served() as late:
        moved = late.path.with_name("moved.sock")
        late.path.rename(moved)
        timer = threading.Timer(0.2, lambda: moved.rename(late.path))
        timer.start()
        with lines(late) as factory:
            DigitalOutputDevice(RELAY, initial_value=True, pin_factory=factory)
            assert eventually(lambda: late.line(RELAY))
        timer.join()


def test_a_restarted_world_is_driven_as_the_old_one_was(caplog):
    directory = Path(tempfile.mkdtemp(dir="/tmp"))
    first = Served(directory / "gpio.sock")
    try:
        with caplog.at_level(logging.WARNING), lines(first) as factory:
            relay = DigitalOutputDevice(RELAY, initial_value=True, pin_factory=factory)
            assert eventually(lambda: first.line(RELAY))
            first.stop()
            assert eventually(lambda: "is gone" in caplog.text)
            for _ in range(10):
                relay.toggle()
            assert caplog.text.count("is gone") == 1
            first.path.unlink(missing_ok=True)
            second = Served(directory / "gpio.sock")
            try:
                assert eventually(lambda: second.line(RELAY)), "a Pi goes on driving its lines"
                relay.off()
                assert eventually(lambda: not second.line(RELAY))
            finally:
                factory.close()
                second.stop()
    finally:
        shutil.rmtree(directory)


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        (b"claim 17 out\n", b"level 17 0\n"),
        (b"claim 22 in\n", b"level 22 0\n"),
        (b"set 17 1\n", b"error line 17 is set without a claim\n"),
        (
            b"claim 22 out\nset 22 1\n",
            b"level 22 0\nerror pin = 22: allowed: a line that is not an output of the board\n",
        ),
        (b"level 17 1\n", b"error only the world says 'level'\n"),
        (b"hello\n", b"error not a command: b'hello\\n'\n"),
        (b"claim 64 out\n", b"error not a command: b'claim 64 out\\n'\n"),
        (b"set 17 2\n", b"error not a command: b'set 17 2\\n'\n"),
        (b"claim 99999999999999999999 out\n", b"error not a command: b'claim 99999999999999999999 out\\n'\n"),
        (b"\xff\xfe\n", b"error not a command: b'\\xff\\xfe\\n'\n"),
    ],
)
def test_the_protocol_line_by_line(line, answer):
    with served() as server:

        async def talk() -> bytes:
            reader, writer = await asyncio.open_unix_connection(server.path)
            writer.write(line)
            try:
                return await asyncio.wait_for(reader.readexactly(len(answer)), WITHIN_S)
            finally:
                writer.close()

        assert asyncio.run(talk()) == answer


def test_an_endless_line_is_cut_off():
    with served() as server:

        async def talk() -> bytes:
            reader, writer = await asyncio.open_unix_connection(server.path)
            writer.write(b"x" * 100_000)
            try:
                return await asyncio.wait_for(reader.read(), WITHIN_S)
            except ConnectionError:
                return b""
            finally:
                writer.close()

        assert asyncio.run(talk()) == b""
