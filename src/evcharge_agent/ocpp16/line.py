"""The way out, as the parts see it."""

from typing import Any, Protocol


class Line(Protocol):
    """The way to the central system once it has accepted us."""

    async def ready(self) -> None:
        """Return once calls may be made."""
        ...

    async def call(self, payload: object, message_id: str | None = None) -> Any:
        """Make one call; raises a `CallFailedError` of the kind that happened."""
        ...
