"""`evcharge-guard`: the only composition root of the guard."""

import argparse
import contextlib
import fcntl
import logging
import os
import pwd
import resource
import selectors
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from evcharge_hal.boards.board import Board
from evcharge_hal.boards.checks import lost_protections
from evcharge_hal.boards.loader import BoardFileError, load_board, make_pin_factory
from evcharge_hal.contract.boot import BOOT_ID_VARIABLE, read_boot_id
from evcharge_hal.contract.errors import EvchargeError
from evcharge_hal.gpio.factory import drive_relays_open, open_lines
from evcharge_hal.guard.channel_server import SOCKET_NAME, ChannelServer
from evcharge_hal.guard.journal import configure_logging
from evcharge_hal.guard.loop import GuardLoop, PortKeeper, WakePipe
from evcharge_hal.guard.runtime import Guard
from evcharge_hal.guard.statefile import STATE_FILE_NAME, StateFile, StateWriter
from evcharge_hal.host.notify import LoopBeat, Notifier
from evcharge_hal.link.native import NativeLink
from evcharge_hal.link.serial_port import SerialPort

EXIT_BAD_INPUT = 2
EXIT_UNAVAILABLE = 69
EXIT_INTERNAL = 70
LINK_DEADLINE_MS = 1000
LOCK_NAME = "guard.lock"
_THREAD_STACK_BYTES = 256 * 1024
# A trip's thread must not wait the default 5 ms for the loop to let go of the interpreter.
_SWITCH_INTERVAL_S = 0.0005
_STATE_GOODBYE_S = 2.0
FIFO_PRIORITY = 20
"""spec guard-loop.md: above everything ordinary, below the kernel's interrupt threads (50)."""
_MCL_CURRENT, _MCL_FUTURE, _MCL_ONFAULT = 1, 2, 4
_log = logging.getLogger("evcharge_hal.guard")

_DESCRIPTION = """\
The guard owns everything in a charge point that can hurt someone: the contactor relay, the residual current
monitor and the pilot co-processor. It runs the IEC 61851-1 sequence and closes the contactor only while an agent
asks for it on a lease. Without an agent it keeps the charge point safe and charges nobody."""
_RUN_EPILOG = f"""\
files in the runtime directory:
  {SOCKET_NAME}    where the agent connects (mode 0660)
  {LOCK_NAME}    held while a guard runs
  pilot, gpio.sock    made by evcharge-sim for the simulated board

environment:
  {BOOT_ID_VARIABLE}    replaces the kernel's boot id; a simulation sets a new one after a simulated power cut

exit status: 0 stopped by a signal, outputs off; 2 wrong options or board file; 69 lines, folders or another
guard in the way; 70 internal error, relays opened

example:
  evcharge-guard run --board /etc/evcharge/board.toml --agent-user evcharge"""


class StartError(EvchargeError):
    """Something outside the board file keeps the guard from starting."""


class OptionError(EvchargeError):
    """An option names something that does not exist."""


@dataclass(frozen=True, slots=True)
class Options:
    """What `run` was told."""

    board: Path
    runtime_dir: Path
    state_dir: Path
    agent_user: str | None
    log_level: str


_LINES_KEEP_THEIR_LEVEL = """\
The kernel keeps a line driven after the process that drove it has died. This opens every relay of the board and
nothing else; systemd runs it whenever the guard has ended (ExecStopPost). It does nothing while a guard runs.

exit status: 0 every relay is open; 2 wrong board file; 69 a relay may still be closed, or a guard runs"""


def main(arguments: Sequence[str] | None = None, run: Callable[[Options], int] | None = None) -> int:
    """Run the command line; return the exit status. `run` stands in for the guard in tests of the exits."""
    parsed = _parser().parse_args(arguments)
    if parsed.command == "check-board":
        return _check_board(parsed.file)
    if parsed.command == "safe-off":
        return _safe_off(parsed.board, parsed.runtime_dir)
    options = Options(parsed.board, parsed.runtime_dir, parsed.state_dir, parsed.agent_user, parsed.log_level)
    _ask_for_priority()
    threading.stack_size(_THREAD_STACK_BYTES)  # mlockall would lock 8 MB for each thread
    sys.setswitchinterval(_SWITCH_INTERVAL_S)
    handler = configure_logging(options.log_level, sys.stderr, os.environ)
    try:
        return (run or _run)(options)
    except (BoardFileError, OptionError) as error:
        _log.critical("%s", error)
        return EXIT_BAD_INPUT
    except EvchargeError as error:
        _log.critical("%s", error)
        return EXIT_UNAVAILABLE
    except Exception as error:  # noqa: BLE001 - the relays are open by now; a supervisor starts us again
        _log.critical("stopped by an internal error: %s: %s", type(error).__name__, error)
        _log.debug("where it happened", exc_info=error)
        return EXIT_INTERNAL
    finally:
        handler.close()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="evcharge-guard", description=_DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    run = commands.add_parser(
        "run",
        help="run the guard in the foreground",
        description=_DESCRIPTION,
        epilog=_RUN_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_places(run)
    run.add_argument(
        "--state-dir",
        type=Path,
        default=Path("/var/lib/evcharge-guard"),
        metavar="DIR",
        help="latched faults and contactor closings, kept (default: %(default)s)",
    )
    run.add_argument(
        "--agent-user", metavar="NAME", help="user the agent runs as; without it only root and the guard's own user"
    )
    run.add_argument("--log-level", type=str.lower, choices=("debug", "info", "warning", "error"), default="info")
    safe_off = commands.add_parser(
        "safe-off",
        help="open every relay and leave",
        description=_LINES_KEEP_THEIR_LEVEL,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_places(safe_off)
    check = commands.add_parser("check-board", help="say whether a board file can be used, and what it describes")
    check.add_argument("file", type=Path, metavar="FILE")
    return parser


def _add_places(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--board",
        type=Path,
        default=Path("/etc/evcharge/board.toml"),
        metavar="FILE",
        help="what the hardware is (default: %(default)s); check one with `evcharge-guard check-board FILE`",
    )
    parser.add_argument(
        "--runtime-dir",
        type=Path,
        default=Path("/run/evcharge"),
        metavar="DIR",
        help="sockets, gone after a reboot (default: %(default)s)",
    )


def _safe_off(board_file: Path, runtime_dir: Path) -> int:
    try:
        board = load_board(board_file)
        with _take_lock(runtime_dir):
            problems = drive_relays_open(board, make_pin_factory(board, runtime_dir))
    except BoardFileError as error:
        print(f"evcharge-guard: {error}", file=sys.stderr)  # noqa: T201 - the answer of a command
        return EXIT_BAD_INPUT
    except EvchargeError as error:
        problems = (str(error),)
    for problem in problems:
        print(f"evcharge-guard: {problem}", file=sys.stderr)  # noqa: T201 - same
    return EXIT_UNAVAILABLE if problems else 0


def _check_board(path: Path) -> int:
    try:
        board = load_board(path)
    except BoardFileError as error:
        print(error, file=sys.stderr)  # noqa: T201 - the answer of a command
        return EXIT_BAD_INPUT
    print(f"{path}: board '{board.board.name}'")  # noqa: T201
    for section in board.connector:
        cable = f"fixed cable of {section.cable_a:g} A" if section.cable.value == "fixed" else "socket"
        print(f"  connector {section.id}: {section.max_a:g} A, {section.phases} phases, {cable}")  # noqa: T201
    for lost in lost_protections(board):
        print(f"  WARNING {lost}")  # noqa: T201
    return 0


# --- run ------------------------------------------------------------------------------------------------------


def _run(options: Options) -> int:
    board = load_board(options.board)
    allowed_uids, group_id = _who_may_connect(options.agent_user)
    with contextlib.ExitStack() as stack:
        stack.enter_context(_take_lock(options.runtime_dir))
        _make_folder(options.state_dir)
        _lock_memory()
        wake = WakePipe()
        lines = open_lines(board, make_pin_factory(board, options.runtime_dir), wake.wake)
        selector = stack.enter_context(selectors.DefaultSelector())
        server = _listen(options.runtime_dir / SOCKET_NAME, selector, allowed_uids, group_id)
        stack.callback(server.close)
        state = StateWriter(StateFile(options.state_dir / STATE_FILE_NAME, read_boot_id()))
        stack.callback(state.close, _STATE_GOODBYE_S)
        port = PortKeeper(_port_opener(board, options.runtime_dir), selector)
        stack.callback(port.close)
        guard = Guard(
            board=board,
            link=NativeLink(tuple(sorted(lines)), LINK_DEADLINE_MS),
            lines=lines,
            state_file=state,
            guard_id=os.urandom(8).hex(),
            boot_id=read_boot_id(),
            now_s=time.monotonic(),
            emit=server.send,
        )
        notifier = Notifier.from_environment(os.environ)
        loop = GuardLoop(guard, port, server, wake, selector, on_turn=LoopBeat(notifier).turned)

        def stop(_number: int, _frame: object) -> None:
            notifier.stopping()
            loop.stop()

        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
            signal.signal(number, stop)
        _log.info("guarding board '%s' with %d connectors", board.board.name, len(lines))
        notifier.ready(f"guarding board '{board.board.name}', connectors {', '.join(map(str, sorted(lines)))}")
        loop.run()
        _log.info("stopped; all outputs are off")
    return 0


def _who_may_connect(agent_user: str | None) -> tuple[frozenset[int], int]:
    """Return the users that may connect, and the group the socket is for (-1: the guard's own)."""
    own = frozenset({0, os.getuid()})
    if agent_user is None:
        return own, -1
    try:
        entry = pwd.getpwnam(agent_user)
    except KeyError:
        raise OptionError(f"--agent-user {agent_user}: there is no such user") from None
    return own | {entry.pw_uid}, -1 if entry.pw_gid == os.getegid() else entry.pw_gid


def _listen(path: Path, selector: selectors.BaseSelector, allowed_uids: frozenset[int], group_id: int) -> ChannelServer:
    try:
        return ChannelServer(path, selector, allowed_uids, group_id=group_id)
    except OSError as error:
        raise StartError(f"cannot listen at {path}: {error.strerror or error}") from error


def _take_lock(runtime_dir: Path) -> IO[str]:
    """Make sure that no other guard drives the same lines; the kernel frees the lock whatever happens to us."""
    _make_folder(runtime_dir)
    path = runtime_dir / LOCK_NAME
    try:
        lock = path.open("w")
    except OSError as error:
        raise StartError(f"cannot write {path}: {error.strerror}") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        raise StartError(f"another guard runs with {runtime_dir}") from None
    return lock


def _make_folder(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StartError(f"cannot make the folder {path}: {error.strerror}") from error


def _port_opener(board: Board, runtime_dir: Path) -> Callable[[], SerialPort]:
    path = str(runtime_dir / board.link.port)  # an absolute port stands for itself
    return lambda: SerialPort(path, board.link.baud)


def _ask_for_priority() -> None:
    """Run ahead of everything ordinary where the unit grants it (`LimitRTPRIO`), else as we are.

    Before any thread is made, so that all have it: they share the interpreter's lock, and one that waits behind
    ordinary work while holding it would hold up the loop.
    """
    if resource.getrlimit(resource.RLIMIT_RTPRIO)[0] >= FIFO_PRIORITY:
        # Refused where the kernel rations real time to control groups; the guard works without.
        with contextlib.suppress(PermissionError):
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(FIFO_PRIORITY))


def _lock_memory() -> None:
    """Keep our pages out of reach of the swapper where the unit grants it (`LimitMEMLOCK=infinity`).

    With a smaller limit locking would succeed now and make a later allocation fail, so it is not tried.
    """
    if resource.getrlimit(resource.RLIMIT_MEMLOCK)[0] != resource.RLIM_INFINITY:
        return
    import ctypes  # noqa: PLC0415 - 1 MB that only a unit with the permission pays

    if ctypes.CDLL(None).mlockall(_MCL_CURRENT | _MCL_FUTURE | _MCL_ONFAULT) != 0:
        _log.info("memory is not locked: not permitted")


if __name__ == "__main__":
    sys.exit(main())
