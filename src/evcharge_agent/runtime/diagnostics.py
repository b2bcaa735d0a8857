"""What a charger can say of itself for diagnosis: log, settings, versions, the station as it is, the sessions.

Secrets are not in the settings' listing, and are named here as well, so that they can be taken out of everything.
"""

import asyncio
import importlib.metadata
import json
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from evcharge_agent.core.facts import Instant
from evcharge_agent.core.view import StationView, as_json
from evcharge_agent.runtime.clock import Clock
from evcharge_agent.runtime.redaction import redacted
from evcharge_agent.settings.catalogue import entries
from evcharge_agent.settings.live import LiveSettings
from evcharge_agent.store.errors import StoreError
from evcharge_agent.store.store import Store
from evcharge_hal.contract.schema import encode

MAX_SESSIONS = 200
_LIBRARIES = ("evcharge-agent", "ocpp", "websockets", "cryptography", "pydantic")
Files = dict[str, bytes]


@dataclass(frozen=True, slots=True)
class Diagnostics:
    """Makes the pieces."""

    live: LiveSettings
    store: Store
    clock: Clock
    view: Callable[[], StationView]
    lines: Callable[[], Sequence[tuple[float, str]]]
    """Of the log: monotonic time and text."""
    more: Callable[[], Mapping[str, object]]
    """Versions and the like."""

    async def files(self, is_wanted: Callable[[float], bool]) -> tuple[Files, list[str], list[str]]:
        """Make the files by name, and name the secrets and the id tags that must not be in them.

        `is_wanted` judges the moment of a line or a session, seconds since 1970.
        """
        view = self.view()
        sessions, tags = await self._sessions(is_wanted)
        tags += [str(one.session.id_tag) for one in view.connectors if one.session is not None]
        found = {
            "log.jsonl": await asyncio.to_thread(_log, self.clock.now(), self.lines(), is_wanted),
            "settings.json": _text(dict(self.live.listing())),
            "station.json": _text(redacted("station", as_json(view))),
            "sessions.json": sessions,
            "versions.json": _text({**_versions(), **self.more()}),
        }
        return found, self._secrets(), sorted(set(tags))

    async def _sessions(self, is_wanted: Callable[[float], bool]) -> tuple[bytes, list[str]]:
        try:
            rows = await self.store.sessions(MAX_SESSIONS)
            known = [str(tag) for tag in await self.store.authorisations()]
        except StoreError as error:
            return _text({"problem": error.reason}), []
        shown = [redacted("session", encode(row)) for row in rows if is_wanted(row.start.started.utc_s)]
        tags = [str(row.start.id_tag) for row in rows]
        tags += [str(row.stop.id_tag) for row in rows if row.stop is not None and row.stop.id_tag is not None]
        return _text(shown), tags + known

    def _secrets(self) -> list[str]:
        values = [entry.value_in(self.live.settings) for entry in entries().values() if entry.is_secret]
        return [str(value.get_secret_value()) for value in values if value is not None]


def _log(now: Instant, lines: Sequence[tuple[float, str]], is_wanted: Callable[[float], bool]) -> bytes:
    """The wanted lines with their moments; takes a noticeable time on a small board."""
    wanted = []
    for monotonic_s, text in lines:
        utc_s = now.utc_s - (now.monotonic_s - monotonic_s)
        if is_wanted(utc_s):
            wanted.append(f'{{"utc_s": {utc_s:.3f}, "entry": {_one_line(text)}}}\n')
    return "".join(wanted).encode(errors="replace")


def _one_line(text: str) -> str:
    """A line of the log is JSON already; anything else becomes a text of it."""
    try:
        json.loads(text)
    except ValueError:
        return json.dumps(text)
    return text


def _text(value: Any) -> bytes:
    return (json.dumps(value, indent=1, default=str, ensure_ascii=False) + "\n").encode(errors="replace")


def _versions() -> dict[str, object]:
    found: dict[str, object] = {"python": platform.python_version(), "kernel": platform.release()}
    for name in _LIBRARIES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = None
    return found
