"""What a secure connection remembers over a restart: what it came from until the new has worked once."""

import json
import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Protocol

from evcharge_agent.store.errors import StoreError

SHELF = "security_link"
_TRIAL = "profile_trial"
_KEY_BEFORE = "key_before"
_KNOWN_TIME = "known_utc_s"
_INSTALLED_WORKED = "installed_roots_worked"
_OWN_WORKED = "own_worked."

_log = logging.getLogger(__name__)


class Shelves(Protocol):
    """Small named texts that last; the store satisfies it."""

    async def keep(
        self, shelf: str, put: Mapping[str, str], remove: Collection[str] = (), *, is_whole: bool = False
    ) -> None:
        """Write, all or nothing."""
        ...

    async def kept(self, shelf: str) -> dict[str, str]:
        """Read all of a shelf."""
        ...


@dataclass(frozen=True, slots=True)
class Trial:
    """A security profile that has not worked yet, and the one it came from (A05.FR.08)."""

    before: int
    wanted: int


class LinkMemory:
    """`load` it before anything else. A disk that fails costs the memory of the next start only."""

    def __init__(self, shelves: Shelves | None = None) -> None:
        self._shelves = shelves
        self._texts: dict[str, str] | None = None
        self._owed: set[str] = set()
        """What is forgotten here and still on the disk: after a restart a way back would be open that is none."""
        self.anchor: str | None = None
        """Fingerprint of the root that vouched for the central system we are connected to; of this run."""
        self.own_in_use: int | None = None
        """Number of the charge point certificate the connection was made with; of this run."""

    async def load(self) -> None:
        """Read what an earlier run left, once."""
        if self._texts is not None:
            return
        try:
            self._texts = {} if self._shelves is None else await self._shelves.kept(SHELF)
        except StoreError as error:
            _log.warning("What the connection remembers cannot be read: %s", error.reason)

    # --- a profile on trial -------------------------------------------------------------------------------

    def trial(self, wanted: int) -> Trial | None:
        """The trial of the profile in force; a record of another one is void."""
        try:
            before, tried = json.loads(self._get(_TRIAL) or "null")
        except (ValueError, TypeError):
            return None
        is_on = type(before) is int and tried == wanted and 0 <= before < wanted
        return Trial(before, wanted) if is_on else None

    async def begin_trial(self, before: int, wanted: int) -> None:
        """Remember where to go back to.

        Raises:
            StoreError: it cannot be written; the profile must then stay.
        """
        await self._put({_TRIAL: json.dumps([before, wanted])}, must_last=True)

    async def end_trial(self) -> None:
        """Forget the way back: the new profile has worked, or the old one does again."""
        await self._remove(_TRIAL)

    # --- a key on trial -----------------------------------------------------------------------------------

    @property
    def key_before(self) -> str | None:
        """The AuthorizationKey that worked before the present one, until that has worked."""
        return self._get(_KEY_BEFORE)

    async def remember_key(self, key: str) -> None:
        """Keep a key that works before it is changed.

        Raises:
            StoreError: it cannot be written; the key must then stay.
        """
        await self._put({_KEY_BEFORE: key}, must_last=True)

    async def forget_key(self) -> None:
        """The present key works."""
        await self._remove(_KEY_BEFORE)

    # --- roots, certificates, time ------------------------------------------------------------------------

    @property
    def has_installed_root_worked(self) -> bool:
        """A central system has been verified with an installed root; others are no fallback any more."""
        return self._get(_INSTALLED_WORKED) is not None

    async def note_installed_root(self) -> None:
        """An installed root has worked."""
        await self._put({_INSTALLED_WORKED: "yes"})

    async def forget_installed_root(self) -> None:
        """The last installed root was deleted."""
        await self._remove(_INSTALLED_WORKED)

    def own_worked_utc_s(self, number: int) -> float | None:
        """When a charge point certificate was first taken by the central system."""
        return _number(self._get(f"{_OWN_WORKED}{number}"))

    async def note_own(self, number: int, utc_s: float) -> None:
        """A charge point certificate was taken for the first time."""
        if self.own_worked_utc_s(number) is None:
            await self._put({f"{_OWN_WORKED}{number}": f"{utc_s:.0f}"})

    @property
    def known_utc_s(self) -> float:
        """A moment that is certainly past."""
        return _number(self._get(_KNOWN_TIME)) or 0.0

    async def note_time(self, utc_s: float) -> None:
        """`utc_s` is certainly past."""
        await self._put({_KNOWN_TIME: f"{utc_s:.0f}"})

    # --- inside -------------------------------------------------------------------------------------------

    def _get(self, name: str) -> str | None:
        return None if self._texts is None else self._texts.get(name)

    async def _put(self, texts: Mapping[str, str], *, must_last: bool = False) -> None:
        try:
            if self._shelves is not None:
                await self._shelves.keep(SHELF, texts)
        except StoreError as error:
            if must_last:
                raise
            _log.warning("What the connection remembers cannot be written: %s", error.reason)
        self._texts = {**(self._texts or {}), **texts}
        self._owed -= set(texts)

    async def _remove(self, name: str) -> None:
        """Forget; where the disk fails, once more with the next thing to forget."""
        if self._get(name) is not None:
            self._texts = {other: text for other, text in (self._texts or {}).items() if other != name}
            self._owed.add(name)
        if not self._owed:
            return
        try:
            if self._shelves is not None:
                await self._shelves.keep(SHELF, {}, tuple(self._owed))
        except StoreError as error:
            _log.warning("What the connection remembers cannot be written: %s", error.reason)
        else:
            self._owed.clear()


def _number(text: str | None) -> float | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return None
