"""RAPI as a contract: what every `PilotLink` promises, and a whole charge over a real pty and the production port.

Time on the bench stands still while the kernel moves the bytes.
"""

import os
import pty
import select
import tty
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from evcharge_hal.boards.loader import load_board
from evcharge_hal.contract.channel import SetPoint
from evcharge_hal.contract.errors import InvalidFieldError
from evcharge_hal.contract.pilot import LinkNoticed, LinkUp, PilotCommand, PilotLink, PilotOutput, PilotState
from evcharge_hal.contract.units import Amps
from evcharge_hal.guard import core
from evcharge_hal.guard.effects import Drive, Remember
from evcharge_hal.guard.events import LinesRead, TimePassed
from evcharge_hal.link.native import NativeLink
from evcharge_hal.link.rapi import RapiLink
from evcharge_hal.link.serial_port import SerialPort
from tests.support import rapi_board
from tests.support.rapi_bench import Bench, run_at, stop
from tests.support.rapi_board import RapiBoard

LINKS: dict[str, Callable[[], PilotLink]] = {"native": lambda: NativeLink((1,)), "rapi": RapiLink}


# --- what both drivers promise ------------------------------------------------------------------------------


@pytest.fixture(params=LINKS)
def link(request: pytest.FixtureRequest) -> PilotLink:
    return LINKS[request.param]()


def test_a_driver_wants_to_be_called_at_once_and_greets(link: PilotLink) -> None:
    assert link.next_deadline_s() <= 5.0
    assert list(link.advance(5.0)) == []
    assert link.outgoing()
    assert link.outgoing() == b""
    assert link.next_deadline_s() > 5.0


def test_bytes_of_any_kind_do_not_raise_and_are_no_link(link: PilotLink) -> None:
    for data in (b"", b"\0" * 5000, b"$" * 5000, bytes(range(256)) * 8, b"$OK :01^00\r"):
        assert not [event for event in link.receive(data, 1.0) if isinstance(event, LinkUp)]


def test_a_set_point_before_the_greeting_is_no_word_on_the_line(link: PilotLink) -> None:
    link.advance(1.0)
    greeting = link.outgoing()
    link.command(PilotCommand(1, PilotOutput.X2, Amps(32.0), permit=True), 1.01)
    assert greeting
    assert link.outgoing() == b""


def test_a_connector_there_is_not_is_refused(link: PilotLink) -> None:
    with pytest.raises(InvalidFieldError, match="connector"):
        link.command(PilotCommand(7, PilotOutput.X1, Amps(0.0), permit=False), 0.0)


def test_a_silent_peer_is_greeted_again_and_nothing_piles_up(link: PilotLink) -> None:
    now_s, written = 1.0, 0
    for _ in range(500):
        now_s = max(now_s + 0.001, link.next_deadline_s())
        link.advance(now_s)
        written = max(written, len(link.outgoing()))
    assert now_s > 10.0
    assert 0 < written < 100


# --- over a pty ---------------------------------------------------------------------------------------------


class PtyLine:
    """The board on the master, the host through the production port."""

    def __init__(self) -> None:
        self.master, self.slave = pty.openpty()
        tty.setraw(self.master)
        self.port = self._open()

    def _open(self) -> SerialPort:
        return SerialPort(os.ttyname(self.slave), 115_200)

    def reopen(self) -> None:
        self.port.close()
        self.port = self._open()

    def to_host(self, data: bytes) -> bytes:
        os.write(self.master, data)
        return _collect(self.port.fileno(), len(data), self.port.read)

    def to_board(self, data: bytes) -> bytes:
        self.port.write(data)
        assert not self.port.wants_write
        return _collect(self.master, len(data), lambda: os.read(self.master, 4096))

    def close(self) -> None:
        self.port.close()
        os.close(self.master)
        os.close(self.slave)


def _collect(descriptor: int, length: int, read: Callable[[], bytes]) -> bytes:
    data = b""
    while len(data) < length:
        assert select.select([descriptor], [], [], 5.0)[0], "the pty swallowed bytes"
        data += read()
    return data


@pytest.fixture
def line() -> Iterator[PtyLine]:
    made = PtyLine()
    yield made
    made.close()


def bench_on(line: PtyLine, board: RapiBoard | None = None) -> Bench:
    return Bench(board or RapiBoard(), to_host=line.to_host, to_board=line.to_board)


def test_a_whole_charge_over_a_pty(line: PtyLine) -> None:
    bench = bench_on(line).charge(16.9)
    assert bench.report.state is PilotState.C
    assert bench.report.is_permitted
    assert bench.report.output is PilotOutput.X2
    assert bench.board.offered_a == 16
    bench.tell(run_at(10.0)).run(0.3)
    assert bench.board.offered_a == 10
    bench.tell(stop()).run(4.0)
    assert not bench.report.is_permitted
    bench.board.car = rapi_board.A
    assert bench.run(0.5).report.state is PilotState.A
    assert "LinkDown" not in bench.kinds()


def test_a_port_that_is_closed_and_opened_again_begins_with_a_stop(line: PtyLine) -> None:
    bench = bench_on(line).charge(16.0)
    bench.is_host_alive = False
    bench.run(1.1)
    assert bench.board.relay_closed
    line.reopen()
    bench.link = RapiLink()
    bench.is_host_alive = True
    said_before = len(bench.board.commands)
    bench.run(3.0)
    assert bench.board.commands[said_before] == "FS"
    assert not bench.board.relay_closed


def test_a_guard_that_is_gone_leaves_6_a_flowing_for_ever(line: PtyLine) -> None:
    """`host_loss = "derate"`, as docs/safety.md says it: the relay is never opened for the host's sake."""
    bench = bench_on(line).charge(32.0)
    bench.is_host_alive = False
    bench.run(600.0)
    assert bench.board.relay_closed
    assert bench.board.offered_a == 6


# --- the fake is what it is taken for -------------------------------------------------------------------------


def test_the_relays_times_are_those_of_the_table() -> None:
    bench = Bench().up()
    bench.board.car = rapi_board.B
    bench.tell(run_at(16.0)).run(2.0)
    for car, seconds, is_closed in (
        (rapi_board.C, 1.35, True),
        (rapi_board.B, 0.28, False),
        (rapi_board.C, 1.35, True),
        (rapi_board.A, 0.38, False),
    ):
        at_s = bench.board.now_s
        bench.board.car = car
        bench.run(3.0)
        changed_s, state = bench.board.relay_changes[-1]
        assert state is is_closed
        assert changed_s - at_s == pytest.approx(seconds, abs=0.06)


def test_a_residual_current_and_a_lost_diode_open_the_boards_relay_by_themselves() -> None:
    for name, within_s in (("is_gfi_tripped", 0.011), ("has_diode", 0.36)):
        bench = Bench().charge(16.0)
        at_s = bench.board.now_s
        setattr(bench.board, name, name != "has_diode")
        bench.run(1.0)
        changed_s, is_closed = bench.board.relay_changes[-1]
        assert not is_closed
        assert changed_s - at_s <= within_s


def test_a_line_of_more_than_32_characters_is_dropped_by_the_board_without_a_word() -> None:
    board = RapiBoard(post_s=0.1)
    board.advance(1.0)
    board.receive(b"$GS " + b"1" * 40 + b"\r")
    assert board.advance(2.0) == b""
    board.receive(b"$GS\r")
    assert board.advance(3.0).startswith(b"$OK ")


def test_fallback_of_0_a_is_6_a_and_the_relay_stays_closed() -> None:
    board = Bench().charge(16.0).board
    board.eeprom.heartbeat_a = 0
    board.advance(board.now_s + 10.0)
    assert board.capacity_a == 6
    assert board.relay_closed


# --- the guard as it is ---------------------------------------------------------------------------------------


def test_a_guard_that_is_not_built_for_such_a_board_never_enables_it(tmp_path: Path) -> None:
    """The loader refuses the board; should both be wired together all the same, nothing is charged."""
    path = tmp_path / "board.toml"
    path.write_text('[board]\nname = "one-connector"\n[[connector]]\nid = 1\ncable = "fixed"\ncable_a = 16\n')
    bench = Bench(RapiBoard(car=rapi_board.C))
    state = core.start(load_board(path), Remember({}, {}), bench.now_s)
    drives, taken = [], 0
    for _ in range(600):
        bench.run(0.1)
        plug_id = state.connectors[0].pilot.plug_id
        wish = SetPoint(1, plug_id, Amps(16.0), permission=True)
        lines = LinesRead(1, is_contactor_closed=False, is_rcm_tripped=bool(drives and drives[-1].is_rcm_test_active))
        facts = [event for event in bench.events[taken:] if not isinstance(event, LinkNoticed)]
        taken = len(bench.events)
        for fact in (*facts, lines, wish, TimePassed()):
            state, effects = core.step(state, fact, bench.now_s)
            for drive in (effect for effect in effects if isinstance(effect, Drive) and effect.connector == 1):
                drives.append(drive)
                bench.tell(drive.pilot)
    assert PilotOutput.X2 in [drive.pilot.output for drive in drives]  # it did mean to charge
    assert not any(drive.pilot.permit or drive.is_relay_closed for drive in drives)
    assert "FE" not in bench.board.commands
    assert not bench.board.relay_closed
