"""The read-only side of the core: the latest view, and waiting for the next one."""

import asyncio
from collections.abc import AsyncIterator
from typing import Generic, TypeVar

V = TypeVar("V")


class SnapshotHub(Generic[V]):
    """Holds the latest view. Any number of readers; a slow one skips views and never slows the loop."""

    def __init__(self, first: V) -> None:
        self._latest = first
        self._version = 0
        self._changed = asyncio.Event()

    @property
    def latest(self) -> V:
        """The view as of the last event."""
        return self._latest

    @property
    def version(self) -> int:
        """Grows by one with every change."""
        return self._version

    def publish(self, view: V) -> None:
        """Replace the view; an equal one wakes nobody."""
        if view == self._latest:
            return
        self._latest = view
        self._version += 1
        # Readers hold the old event; each version has its own, so none can miss a change.
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    async def newer_than(self, version: int) -> tuple[int, V]:
        """Wait for a view newer than `version`; return its version with it."""
        while self._version <= version:
            await self._changed.wait()
        return self._version, self._latest

    async def follow(self) -> AsyncIterator[V]:
        """Give the latest view at once, then the latest after every change."""
        version, view = self._version, self._latest
        while True:
            yield view
            version, view = await self.newer_than(version)
