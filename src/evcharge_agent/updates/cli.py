"""`evcharge-agent firmware build|sign`: bundles for the simulated installer, and the signature a central system sends."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from evcharge_agent.updates.bundle import BadBundleError, build

DONE = 0
WRONG = 2
Sign = Callable[[Path, Path], str]
"""Signs the file with the key; both are paths. Raises ValueError, OSError."""


def add_parsers(commands: Any, sign: Sign) -> None:
    """Add the commands; `sign` knows the cryptography."""
    parser = commands.add_parser("firmware", help="make firmware bundles for the simulated board, and sign them")
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    make = verbs.add_parser("build", help="pack files into a bundle")
    make.add_argument("version", help="one to four numbers with dots between them, for example 1.2.0")
    make.add_argument("files", nargs="+", type=Path, help="what is in it")
    make.add_argument("--output", type=Path, required=True, help="the bundle")
    make.set_defaults(handler=_build)
    signature = verbs.add_parser("sign", help="print the signature of a file for SignedUpdateFirmware")
    signature.add_argument("file", type=Path)
    signature.add_argument("--key", type=Path, required=True, help="PEM file with an RSA or EC key, not encrypted")
    signature.set_defaults(handler=lambda args: _sign(args, sign))


def _build(args: argparse.Namespace) -> int:
    try:
        content = build(args.version, {path.name: path.read_bytes() for path in args.files})
        args.output.write_bytes(content)
    except BadBundleError as error:
        return _complain(str(error))
    except OSError as error:
        return _complain(f"{error.filename}: {error.strerror}")
    sys.stdout.write(f"{args.output}: version {args.version}, {len(content)} bytes\n")
    return DONE


def _sign(args: argparse.Namespace, sign: Sign) -> int:
    try:
        signature = sign(args.file, args.key)
    except OSError as error:
        return _complain(f"{error.filename}: {error.strerror}")
    except ValueError as error:
        return _complain(f"{args.key}: {error}")
    sys.stdout.write(signature + "\n")
    return DONE


def _complain(text: str) -> int:
    sys.stderr.write(f"evcharge-agent: {text}\n")
    return WRONG
