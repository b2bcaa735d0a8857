"""Shell completion, written from the parser itself: `evcharge-agent completion bash`.

The script is static: completing a word starts no Python, which takes seconds on a small board.
"""

import argparse
from pathlib import Path

import shtab

from evcharge_agent.settings.catalogue import entries

SHELLS = ("bash", "zsh")

_SETTING = "_evcharge_setting"
_FUNCTIONS = {
    "bash": "{function}() {{ compgen -W '{names}' -- \"$1\"; }}",
    "zsh": "{function}() {{ compadd -- {names}; }}",
}


def script(parser: argparse.ArgumentParser, shell: str) -> str:
    """Write the completion of `parser` for one of `SHELLS`: commands, options, files, names of settings."""
    _mark(parser)
    function = _FUNCTIONS[shell].format(function=_SETTING, names=" ".join(entries()))
    return shtab.complete(parser, shell, preamble=function)


def _mark(parser: argparse.ArgumentParser) -> None:
    """Say what follows each argument: paths by their type, settings by the command they belong to."""
    is_setting = parser.prog.endswith((" config get", " config set"))
    for action in parser._actions:  # noqa: SLF001 - argparse shows its arguments in no other way
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001 - same
            for command in action.choices.values():
                _mark(command)
        elif action.type is Path:
            action.complete = shtab.DIRECTORY if action.dest.endswith("_dir") else shtab.FILE  # type: ignore[attr-defined]
        elif is_setting and action.dest == "name":
            action.complete = dict.fromkeys(SHELLS, _SETTING)  # type: ignore[attr-defined]
