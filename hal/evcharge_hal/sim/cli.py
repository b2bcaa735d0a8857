"""`evcharge-agent sim VERB …`: the control interface as a command, made from the declared verbs."""

import argparse
import dataclasses
import enum
import json
import os
import sys
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from evcharge_hal.contract.schema import declared_of
from evcharge_hal.sim.client import SimClient, SimError, SimUnreachableError
from evcharge_hal.sim.verbs import VERBS

RUNTIME_DIR_VARIABLE = "EVCHARGE_RUNTIME_DIR"
CONTROL_SOCKET = "sim.sock"
EXIT_REFUSED = 2
EXIT_UNREACHABLE = 3

_POSITIONAL: Mapping[str, tuple[str, ...]] = {
    "plug": ("connector",),
    "unplug": ("connector",),
    "ev": ("connector",),
    "swipe": ("id_tag",),
    "fault": ("kind", "connector"),
    "clear": ("kind", "connector"),
    "meter": ("connector",),
    "house": (),
    "speed": ("factor",),
    "temperature": ("connector", "temperature_c"),
    "reset": (),
}


def add_sim_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command `sim` with all its verbs; `run_sim_command` runs what it parses."""
    sim = subparsers.add_parser("sim", help="change or show the simulated world")
    verbs = sim.add_subparsers(dest="sim_verb", required=True, metavar="VERB")
    for name, cls in VERBS.items():
        summary = (cls.__doc__ or "").splitlines()[0]
        parser = verbs.add_parser(name, help=summary, description=summary)
        for field in dataclasses.fields(cls):
            _add_field(parser, field, typing.get_type_hints(cls)[field.name], field.name in _POSITIONAL[name])
        _add_common(parser)
    _add_common(verbs.add_parser("state", help="Show the true state of the world."))
    _add_common(verbs.add_parser("health", help="Show who is there, and the ports of the meters."))


def run_sim_command(args: argparse.Namespace, default_runtime_dir: Path | None = None) -> int:
    """Run a parsed `sim` command; 2: refused, 3: no world answers."""
    try:
        answer = _ask(SimClient(_runtime_dir(args, default_runtime_dir) / CONTROL_SOCKET), args)
    except SimUnreachableError as error:
        sys.stderr.write(f"sim: {error}\n")
        return EXIT_UNREACHABLE
    except SimError as error:
        sys.stderr.write(f"sim: {error}\n")
        return EXIT_REFUSED
    if args.json:
        sys.stdout.write(json.dumps(answer, indent=2) + "\n")
    elif args.sim_verb == "state":
        sys.stdout.write("".join(line + "\n" for line in describe(answer)))
    elif args.sim_verb == "health":
        sys.stdout.write("".join(f"{name}: {_flat(value)}\n" for name, value in answer.items()))
    return 0


def describe(state: Mapping[str, Any]) -> list[str]:
    """Put a state into words, a line for each connector and one for the grid."""
    lines = []
    for number, at in state["connectors"].items():
        pilot, amps = at["pilot"], at["current_a"]
        offer = f" {pilot['duty'] * 100:.1f} %" if pilot["output"] == "x2" else ""
        lines.append(
            f"connector {number}: {at['vehicle_state']}, pilot {pilot['output']}{offer} {pilot['high_v']:.1f} V, "
            f"contactor {'closed' if at['is_contactor_closed'] else 'open'}, "
            f"{amps['l1']:.1f} {amps['l2']:.1f} {amps['l3']:.1f} A, {at['power_w']:.0f} W, {at['energy_wh']} Wh, "
            f"battery {at['car']['soc_pct']:.1f} %" + (f", faults: {', '.join(at['faults'])}" if at["faults"] else "")
        )
    grid = state["grid"]
    lines.append(f"grid: {grid['power_w']:.0f} W, import {grid['import_wh']} Wh, export {grid['export_wh']} Wh")
    return lines


def _ask(client: SimClient, args: argparse.Namespace) -> dict[str, Any]:
    if args.sim_verb == "state":
        return client.state()
    if args.sim_verb == "health":
        return client.health()
    names = [field.name for field in dataclasses.fields(VERBS[args.sim_verb])]
    fields = {name: getattr(args, name) for name in names if hasattr(args, name)}
    return client.perform(args.sim_verb, **fields)


def _runtime_dir(args: argparse.Namespace, default: Path | None) -> Path:
    directory = args.sim_runtime_dir or os.environ.get(RUNTIME_DIR_VARIABLE) or default
    if not directory:
        raise SimError(f"which world? Give --runtime-dir or set {RUNTIME_DIR_VARIABLE}")
    return Path(directory)


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--runtime-dir",
        dest="sim_runtime_dir",
        default=None,
        metavar="DIR",
        help=f"where the world's sockets are; default: ${RUNTIME_DIR_VARIABLE}",
    )
    parser.add_argument("--json", action="store_true", help="print the answer as JSON")


def _add_field(
    parser: argparse.ArgumentParser, field: "dataclasses.Field[Any]", hint: Any, is_positional: bool
) -> None:
    """Add one declared field; the world checks the range, so that there is one text for each error."""
    declared = declared_of(field)
    help_text = declared.title + (f" ({declared.unit})" if declared.unit else "")
    kind, is_list = _plain_type(hint)
    keywords: dict[str, Any] = {"default": argparse.SUPPRESS, "help": help_text.replace("%", "%%")}
    is_optional = field.default is not dataclasses.MISSING
    if kind is bool:
        parser.add_argument(_option(field.name), dest=field.name, action=argparse.BooleanOptionalAction, **keywords)
        return
    keywords["type"] = _number_or_none if types.NoneType in typing.get_args(hint) and kind is float else kind
    keywords["metavar"] = declared.unit or field.name.upper()
    if is_list:
        keywords["nargs"] = "+"
    elif is_positional and is_optional:
        keywords |= {"nargs": "?", "default": field.default}
    if is_positional:
        parser.add_argument(field.name, **keywords)
    else:
        parser.add_argument(_option(field.name), dest=field.name, required=not is_optional, **keywords)


def _plain_type(hint: Any) -> tuple[type, bool]:
    """Return the type a command-line word is turned into, and whether there are several."""
    parts = [part for part in typing.get_args(hint) if part is not types.NoneType]
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        return _plain_type(parts[0])
    if typing.get_origin(hint) is tuple:
        return _plain_type(parts[0])[0], True
    plain = getattr(hint, "__supertype__", hint)
    return (str if issubclass(plain, enum.Enum) else plain), False


def _number_or_none(text: str) -> float | None:
    return None if text == "none" else float(text)


def _option(name: str) -> str:
    return "--" + name.replace("_", "-")


def _flat(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {item}" for name, item in value.items())
    return str(value)
