"""Writes the reference documents from the declarations: `python -m evcharge_agent.settings.docs [--check]`.

With `--check` nothing is written; what differs is shown and the exit code is 1. The generator is the one
place that reads the declarations of both processes.
"""

import difflib
import importlib
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from evcharge_agent.settings import board_docs
from evcharge_agent.settings.catalogue import ocpp_entries, show_value
from evcharge_agent.settings.declare import NOT_SUPPORTED, Meaning, Section, allowed_text, meaning_of, type_of
from evcharge_agent.settings.errors import is_list, section_of
from evcharge_agent.settings.keys import OcppKeys
from evcharge_agent.settings.planned import planned_names
from evcharge_agent.settings.schema import json_schema
from evcharge_agent.settings.sections import Settings
from evcharge_agent.settings.tables import GENERATED, cell, code, table

_TABLES_OF_BEHAVIOUR = {
    "guard-sequence.md": ("evcharge_hal.guard.sequence", "render_markdown"),
    "session-table.md": ("evcharge_agent.core.session", "as_markdown"),
}
"""Documents that a module prints of itself. Imported by name: no process depends on them."""

_CONFIGURATION_INTRO = """\
`evcharge-agent check-config FILE` checks a file; every problem is named with file, key, value and what is
allowed. Without a file the defaults run. An example with comments: `config/evcharge-agent.example.toml`.

What is changed at run time (by whom stands in the column *changed by*) is kept in the store and wins over
the file; the file itself is never edited. *live*: acts at once. *restart*: acts when the agent starts."""

_KEYS_INTRO = """\
Names compare without case. `R` read-only, `RW` readable and writable, `W` writable and never shown. A factory
value stands under `[ocpp.keys]` of the configuration file; the store wins. Read-only keys can be given a
value on the simulated board only."""


def documents() -> dict[str, str]:
    """All generated documents by file name."""
    made = {
        "board.md": board_docs.render(),
        "configuration.md": render_configuration(),
        "configuration.schema.json": json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n",
        "ocpp-keys.md": render_keys(),
    }
    for name, (module, function) in _TABLES_OF_BEHAVIOUR.items():
        render: Callable[[], str] = getattr(importlib.import_module(module), function)
        made[name] = render().rstrip("\n") + "\n"
    return made


def render_configuration() -> str:
    """`evcharge-agent.toml`, section by section."""
    lines = [
        "# Configuration of evcharge-agent",
        "",
        GENERATED,
        "",
        _CONFIGURATION_INTRO,
        "",
    ]
    for heading, section in _sections(Settings, ""):
        lines += [f"## {heading}", "", _intro(section), ""]
        lines += [*table(("name", "meaning", "allowed", "default", "changed by", "acts"), _rows(section)), ""]
    lines += ["## Names without behaviour", "", "These names of other versions are known to this one.", ""]
    lines += [*table(("name", "in this version"), planned_names()), ""]
    return "\n".join(lines)


def render_keys() -> str:
    """The OCPP configuration keys."""
    lines = [
        "# OCPP configuration keys",
        "",
        GENERATED,
        "",
        _KEYS_INTRO,
        "",
    ]
    rows = [
        (
            code(entry.meaning.ocpp_key.name),
            entry.meaning.ocpp_key.access.value,
            cell(str(entry.info.description)),
            cell(allowed_text(entry.info)),
            _default(entry.info.default, entry.is_secret),
            code(entry.path),
        )
        for entry in ocpp_entries().values()
        if entry.meaning.ocpp_key is not None
    ]
    lines += [*table(("key", "access", "meaning", "allowed", "default", "setting"), rows), ""]
    return "\n".join(lines)


def _sections(root: type[Section], prefix: str) -> Iterator[tuple[str, type[Section]]]:
    for name, info in root.model_fields.items():
        section = section_of(info)
        if section is None or section is OcppKeys:
            continue
        yield (f"[[{name}]]" if is_list(info) else f"[{prefix}{name}]"), section
        yield from _sections(section, f"{prefix}{name}.")


def _intro(section: type[Section]) -> str:
    text = (section.__doc__ or "").strip()
    if section is Settings.model_fields["ocpp"].annotation:
        text += "\n\n`[ocpp.keys]` holds factory values of the configuration keys: [ocpp-keys.md](ocpp-keys.md)."
    return text


def _rows(section: type[Section]) -> Iterator[tuple[str, ...]]:
    for name, info in section.model_fields.items():
        meaning = meaning_of(info)
        if meaning is None:
            continue
        description = f"**{info.title}.** {info.description}"
        default = "required" if info.is_required() else _default(info.default, type_of(info) is SecretStr)
        yield (
            code(name),
            cell(description),
            cell(_allowed(info, meaning)),
            default,
            _changed_by(meaning),
            meaning.applies.value,
        )


def _allowed(info: FieldInfo, meaning: Meaning) -> str:
    """What is accepted, and what another version would."""
    text = allowed_text(info)
    return f"{text} ({', '.join(meaning.not_yet)}: {NOT_SUPPORTED})" if meaning.not_yet else text


def _changed_by(meaning: Meaning) -> str:
    return ", ".join(role.value for role in meaning.changed_by) or "file only"


def _default(value: object, is_secret: bool) -> str:
    if value is None:
        return "none (never shown)" if is_secret else "none"
    if isinstance(value, tuple):
        return code("[" + ", ".join(show_value(item) for item in value) + "]")
    return code(show_value(value)) if value != "" else "empty"


def write(directory: Path) -> None:
    """Write every document that differs."""
    for name, text in documents().items():
        path = directory / name
        if not path.exists() or path.read_text("utf-8") != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")


def differences(directory: Path) -> str:
    """What `write` would change, as a unified diff; empty when all is up to date."""
    found: list[str] = []
    for name, text in documents().items():
        path = directory / name
        old = path.read_text("utf-8") if path.exists() else ""
        found += difflib.unified_diff(
            old.splitlines(keepends=True), text.splitlines(keepends=True), str(path), f"{path} (generated)"
        )
    return "".join(found)


def main(arguments: list[str]) -> int:
    """Write or check the documents in `docs/` of the working directory."""
    directory = Path("docs")
    if "--check" not in arguments:
        write(directory)
        return 0
    found = differences(directory)
    if found:
        sys.stdout.write(found + "\nThe reference documents are out of date: run `make docs`.\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
