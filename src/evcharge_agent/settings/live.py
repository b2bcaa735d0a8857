"""The settings while the agent runs: one frozen value, replaced as a whole by every accepted change."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from evcharge_agent.settings.catalogue import Entry, entries, find, show_value
from evcharge_agent.settings.declare import Applies, Role, allowed_text
from evcharge_agent.settings.errors import HIDDEN
from evcharge_agent.settings.overlay import change, take_over
from evcharge_agent.settings.sections import Settings
from evcharge_hal.contract.errors import EvchargeError, InvalidFieldError

LIMITS = "limits."
SECRET_TEXT = "(hidden)"  # noqa: S105 - what is shown instead of a secret


class OverlayWriter(Protocol):
    """Keeps run-time changes; the store satisfies it."""

    async def set_setting(self, name: str, value: str) -> None:
        """Write durably, or raise an `EvchargeError`; afterwards the old value still stands."""
        ...

    async def clear_setting(self, name: str) -> bool:
        """Forget a change durably, or raise an `EvchargeError`; False when there was none."""
        ...


def _ignore(_: Settings) -> None:
    """Nobody wants to know."""


class LiveSettings:
    """The one place settings change, one after the other. Durable before visible, but for a limit that falls."""

    def __init__(
        self,
        settings: Settings,
        overlay: OverlayWriter,
        on_change: Callable[[Settings], None] = _ignore,
        factory: Settings | None = None,
    ) -> None:
        """`factory` is what stands in the file; without it the settings are that."""
        self._settings = settings
        self._factory = factory or settings
        self._overlay = overlay
        self._on_change = on_change
        self._turn = asyncio.Lock()

    @property
    def settings(self) -> Settings:
        """The settings as they are now."""
        return self._settings

    def listing(self) -> Mapping[str, str]:
        """All settings outside lists as text, by path; unset ones are empty, secrets hidden."""
        return {path: self.show(entry) for path, entry in entries().items()}

    def get(self, path: str) -> str:
        """One setting as text.

        Raises:
            InvalidFieldError: there is none of that name.
        """
        return self.show(find(path))

    def show(self, entry: Entry) -> str:
        """A setting as text, fit for a person."""
        if entry.is_secret and entry.value_in(self._settings) is not None:
            return SECRET_TEXT
        return entry.show(self._settings) or ""

    async def set(self, path: str, text: str, role: Role) -> Applies:
        """Change one setting on behalf of `role`; return when it acts.

        Raises:
            InvalidFieldError: no such setting, not this role's to change, or a value that does not fit.
            EvchargeError: it could not be written; the old value stands.
        """
        entry = find(path)
        if role not in entry.meaning.changed_by:
            allowed = " or ".join(one.value for one in entry.meaning.changed_by)
            shown = HIDDEN if entry.is_secret else text
            raise InvalidFieldError(path, shown, f"a change by {allowed}" if allowed else "a change in the file only")
        return await self.put(entry, text)

    async def reset(self, chosen: Iterable[Entry]) -> list[str]:
        """Put settings back to what the file says; return the paths of those that were different.

        Raises:
            EvchargeError: one could not be written; those before it are reset.
        """
        done: list[str] = []
        async with self._turn:
            try:
                for entry in chosen:
                    await self._overlay.clear_setting(entry.path)
                    if entry.value_in(self._settings) != entry.value_in(self._factory):
                        self._settings = take_over(self._settings, entry, self._factory)
                        done.append(entry.path)
            finally:
                changed = self._settings
        if done:
            self._on_change(changed)
        return done

    async def put(self, entry: Entry, text: str) -> Applies:
        """Change one setting; raises as `set`, but for the role."""
        async with self._turn:
            changed = change(self._settings, entry, text)
            before = self._settings
            if entry.value_in(changed) == entry.value_in(before):
                return entry.meaning.applies
            if _is_lowered(entry, before, changed):
                self._put_in_place(changed)
            try:
                await self._overlay.set_setting(entry.path, _as_stored(entry, changed))
            except EvchargeError:
                if self._settings is changed:
                    self._put_in_place(before)
                raise
            if self._settings is not changed:
                self._put_in_place(changed)
        return entry.meaning.applies

    def _put_in_place(self, settings: Settings) -> None:
        self._settings = settings
        self._on_change(settings)


def _is_lowered(entry: Entry, before: Settings, after: Settings) -> bool:
    """A limit that falls does not wait for the disk (DESIGN D7); what cannot be written is taken back."""
    return entry.path.startswith(LIMITS) and bool(entry.value_in(after) < entry.value_in(before))


def _as_stored(entry: Entry, settings: Settings) -> str:
    value = entry.value_in(settings)
    if value is None:
        raise InvalidFieldError(entry.path, None, allowed_text(entry.info))
    return str(value.get_secret_value()) if entry.is_secret else show_value(value)
