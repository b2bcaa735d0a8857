"""`evcharge-agent security-log show|verify`: reads the files themselves, so it needs no running daemon."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from evcharge_agent.ocpp16.security.files import log_of
from evcharge_agent.runtime.paths import SERVICE_STATE_DIR

DONE = 0
BROKEN = 1
WRONG = 2


def add_parsers(commands: Any) -> None:
    """Add the commands."""
    parser = commands.add_parser("security-log", help="the security log: show it, or check that nobody changed it")
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    show = verbs.add_parser("show", help="all lines, oldest first")
    show.add_argument("--json", action="store_true", help="print the lines as they are")
    show.set_defaults(handler=_show)
    verify = verbs.add_parser("verify", help="exit code 1 when a line was changed, taken out or cut off")
    verify.set_defaults(handler=_verify)
    for one in (show, verify):
        one.add_argument("--state-dir", type=Path, default=SERVICE_STATE_DIR, help=f"default: {SERVICE_STATE_DIR}")


def _show(args: argparse.Namespace) -> int:
    try:
        content = log_of(args.state_dir).read()
    except OSError as error:
        return _complain(error)
    for line in content.decode("ascii", "replace").splitlines():
        sys.stdout.write((line if args.json else _text(line)) + "\n")
    return DONE


def _verify(args: argparse.Namespace) -> int:
    try:
        verdict = log_of(args.state_dir).verify()
    except OSError as error:
        return _complain(error)
    for problem in verdict.problems:
        sys.stdout.write(f"{problem}\n")
    sys.stdout.write(f"{verdict.lines} lines, {'damaged' if verdict.problems else 'unbroken'}\n")
    return BROKEN if verdict.problems else DONE


def _text(line: str) -> str:
    try:
        entry = json.loads(line)
        # As JSON writes them: no text of a message steers the terminal.
        info = json.dumps(entry.get("info", ""))[1:-1]
        return f"{json.dumps(entry['at'])[1:-1]}  {json.dumps(entry['event'])[1:-1]:<40} {info}".rstrip()
    except (ValueError, KeyError, TypeError, AttributeError):
        return json.dumps(line)[1:-1]


def _complain(error: OSError) -> int:
    sys.stderr.write(f"evcharge-agent: the security log cannot be read: {error.strerror}\n")
    return WRONG
