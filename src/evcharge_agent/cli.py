"""The command line. Commands that talk to the running daemon need no configuration, only its socket.

Exit codes: 0 done · 1 the daemon said no · 2 a file or argument is wrong · 3 nothing answers.
"""

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from evcharge_agent import reports
from evcharge_agent.ocpp16 import signing
from evcharge_agent.ocpp16.security import cli as security_cli
from evcharge_agent.runtime.control import ControlError, RequestRefusedError, control_request, control_stream
from evcharge_agent.runtime.paths import RUNTIME_DIR_VARIABLE, SERVICE_STATE_DIR, find_runtime_dir
from evcharge_agent.settings import cli as settings_cli
from evcharge_agent.updates import cli as firmware_cli
from evcharge_hal.contract.errors import EvchargeError
from evcharge_hal.sim.cli import add_sim_parser, run_sim_command

DONE = 0
REFUSED = 1
WRONG = 2
NO_ANSWER = 3
CONTROL_SOCKET = "agent.sock"
_CLEAR = "\x1b[H\x1b[J"

_EPILOG = """examples:
  evcharge-agent demo                     charge a simulated car and watch
  evcharge-agent demo --once --json       one charge, one line of JSON
  evcharge-agent status                   what the charger does now
  evcharge-agent why                      why it offers the current it offers
  evcharge-agent check-config FILE        say what is wrong with a file

Commands find the running charger by --runtime-dir, else by $EVCHARGE_RUNTIME_DIR, else in /run/evcharge, else they
take the latest simulation on this machine."""

Handler = Callable[[argparse.Namespace], int]


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit code; no traceback for a user's mistake."""
    args = build_parser().parse_args(arguments)
    if getattr(args, "runtime_dir", None):
        os.environ[RUNTIME_DIR_VARIABLE] = str(args.runtime_dir)
    try:
        handler: Handler = args.handler
        return handler(args)
    except RequestRefusedError as error:
        return _complain(str(error), WRONG)
    except ControlError as error:
        return _complain(str(error), NO_ANSWER)
    except EvchargeError as error:
        return _complain(str(error), WRONG)
    except BrokenPipeError:
        # The reader of our output has seen enough (`status --watch | head`).
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except KeyboardInterrupt:
        return DONE


def build_parser() -> argparse.ArgumentParser:
    """All commands."""
    parser = argparse.ArgumentParser(
        prog="evcharge-agent",
        description="Charge-point software for an AC wallbox: the agent, its simulator and its commands.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_daemon(commands)
    _add_simulation(commands)
    _add_questions(commands)
    _add_actions(commands)
    settings_cli.add_parsers(commands, _request)
    security_cli.add_parsers(commands)
    firmware_cli.add_parsers(commands, signing.sign_file)
    add_sim_parser(commands)
    commands.choices["sim"].set_defaults(handler=lambda args: run_sim_command(args, find_runtime_dir()))
    completion = commands.add_parser(
        "completion",
        help="print the completion script of a shell",
        description='Print the completion script of a shell: eval "$(evcharge-agent completion bash)"',
    )
    completion.add_argument("shell", choices=("bash", "zsh"))
    completion.set_defaults(handler=lambda args: _complete(parser, args.shell))
    return parser


def _add_daemon(commands: Any) -> None:
    run = commands.add_parser("run", help="run the agent (the service does this)")
    run.add_argument("--config", type=Path, help="configuration file; without one the defaults")
    _add_runtime_dir(run)
    run.add_argument(
        "--state-dir",
        type=Path,
        help=f"where lasting data is kept; default: store.dir of the file, else {SERVICE_STATE_DIR}",
    )
    run.add_argument("--log-level", choices=("debug", "info", "warning", "error"), default="info")
    run.set_defaults(handler=_run)


def _add_simulation(commands: Any) -> None:
    simulate = commands.add_parser("simulate", help="run world, guard and agent on the simulated board")
    simulate.add_argument("--config", type=Path, required=True, help="one file with the tables of all three")
    simulate.add_argument(
        "--state-dir", type=Path, help="where everything that lasts is kept; default: a temporary one"
    )
    simulate.set_defaults(handler=_simulate)
    demo = commands.add_parser("demo", help="the same with an embedded central system and a scripted car")
    demo.add_argument("--once", action="store_true", help="one complete charge, then exit")
    demo.add_argument("--speed", type=_speed, default=60.0, help="how many times faster the battery fills (default 60)")
    demo.add_argument("--json", action="store_true", help="with --once: print one JSON object")
    demo.add_argument("--state-dir", type=Path, help="keep everything that lasts here")
    demo.set_defaults(handler=_demo)


def _add_questions(commands: Any) -> None:
    for name, text, summary in (
        ("status", reports.status_text, "what the charger does now"),
        ("why", reports.why_text, "why each connector offers the current it offers"),
    ):
        parser = commands.add_parser(name, help=summary)
        _add_runtime_dir(parser)
        parser.add_argument("--json", action="store_true", help="print the station as one JSON object")
        parser.add_argument("--watch", action="store_true", help="print again on every change until Ctrl-C")
        parser.set_defaults(handler=_questioner(text))
    sessions = commands.add_parser("sessions", help="past and running transactions")
    verbs = sessions.add_subparsers(required=True, metavar="VERB")
    listing = verbs.add_parser("list", help="newest first")
    _add_runtime_dir(listing)
    listing.add_argument("--limit", type=int, default=20, help="how many (default 20)")
    listing.add_argument("--json", action="store_true", help="print one JSON object")
    listing.set_defaults(handler=_list_sessions)


def _add_actions(commands: Any) -> None:
    start = commands.add_parser("start", help="authorise a connector with an id tag")
    start.add_argument("connector", type=int)
    start.add_argument("id_tag")
    start.set_defaults(
        handler=lambda args: _act({"command": "start", "connector": args.connector, "id_tag": args.id_tag})
    )
    stop = commands.add_parser("stop", help="stop the transaction on a connector")
    stop.add_argument("connector", type=int)
    stop.set_defaults(handler=lambda args: _act({"command": "stop", "connector": args.connector}))
    clear = commands.add_parser("clear-fault", help="acknowledge a latched fault whose cause has gone")
    clear.add_argument("connector", type=int)
    clear.add_argument("code", help="as `status --json` names it, for example rcm_trip")
    clear.set_defaults(
        handler=lambda args: _act({"command": "clear-fault", "connector": args.connector, "code": args.code})
    )
    for parser in (start, stop, clear):
        _add_runtime_dir(parser)


def _add_runtime_dir(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--runtime-dir", type=Path, metavar="DIR", help=f"where the sockets are; default: ${RUNTIME_DIR_VARIABLE}"
    )


# --- handlers ---------------------------------------------------------------------------------------------


def _run(args: argparse.Namespace) -> int:
    # First of all: this import keeps rich out of a daemon that never shows colours (4 MB).
    from evcharge_agent.runtime.logs import configure_logging  # noqa: PLC0415 - only the daemon pays for its libraries

    configure_logging(args.log_level)

    from evcharge_agent import app  # noqa: PLC0415 - same
    from evcharge_agent.settings.loader import load  # noqa: PLC0415 - same

    settings = load(args.config)
    runtime_dir = find_runtime_dir()
    runtime_dir.mkdir(parents=True, exist_ok=True)
    asyncio.run(app.run(settings, runtime_dir, args.state_dir or Path(settings.store.dir)))
    return DONE


def _simulate(args: argparse.Namespace) -> int:
    from evcharge_agent.demo.run import run_simulation  # noqa: PLC0415 - only the simulation pays for its libraries

    return run_simulation(args.config, args.state_dir)


def _demo(args: argparse.Namespace) -> int:
    from evcharge_agent.demo.run import run_demo  # noqa: PLC0415 - only the demo pays for its libraries

    return run_demo(is_once=args.once, speed=args.speed, as_json=args.json, state_dir=args.state_dir)


def _complete(parser: argparse.ArgumentParser, shell: str) -> int:
    from evcharge_agent import completion  # noqa: PLC0415 - only this command pays for its library

    sys.stdout.write(completion.script(parser, shell) + "\n")
    return DONE


def _questioner(text: Callable[[Mapping[str, Any]], str]) -> Handler:
    def ask(args: argparse.Namespace) -> int:
        if not args.watch:
            _print_view(_ask({"command": "status"}), text, as_json=args.json)
            return DONE
        for view in control_stream(_socket(), {"command": "watch"}):
            if sys.stdout.isatty() and not args.json:
                sys.stdout.write(_CLEAR)
            _print_view(view, text, as_json=args.json)
        return DONE

    return ask


def _print_view(view: Mapping[str, Any], text: Callable[[Mapping[str, Any]], str], *, as_json: bool) -> None:
    sys.stdout.write((json.dumps(view, ensure_ascii=False) if as_json else text(view)) + "\n")
    sys.stdout.flush()


def _list_sessions(args: argparse.Namespace) -> int:
    answer = _ask({"command": "sessions", "limit": args.limit})
    sys.stdout.write((json.dumps(answer) if args.json else reports.sessions_text(answer["sessions"])) + "\n")
    return DONE


def _act(request: Mapping[str, Any]) -> int:
    answer = _ask(request)
    if answer["is_accepted"]:
        sys.stdout.write("accepted\n")
        return DONE
    return _complain(f"refused: {answer['text'] or answer['reason']}", REFUSED)


def _request(command: str, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    return _ask({"command": command, **arguments})


def _ask(request: Mapping[str, Any]) -> dict[str, Any]:
    return control_request(_socket(), request)


def _socket() -> Path:
    return find_runtime_dir() / CONTROL_SOCKET


def _speed(text: str) -> float:
    try:
        speed = float(text)
    except ValueError:
        speed = 0.0
    if not 0.1 <= speed <= 10_000.0:  # noqa: PLR2004 - the bounds of [sim] speed
        raise argparse.ArgumentTypeError(f"{text!r}: allowed: a number from 0.1 to 10000")
    return speed


def _complain(text: str, code: int) -> int:
    sys.stderr.write(f"evcharge-agent: {text}\n")
    return code
