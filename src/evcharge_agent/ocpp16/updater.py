"""What the OCPP side needs to install firmware; `evcharge_agent.updates` satisfies it."""

from pathlib import Path
from typing import Protocol


class Updater(Protocol):
    """Installs firmware so that either the old or the new one is there, whenever the power goes."""

    @property
    def version(self) -> str | None:
        """Of the firmware an update brought; None: the one the charger was made with."""
        ...

    @property
    def digest(self) -> str:
        """SHA-256 of the file it came from, hexadecimal; empty without an update."""
        ...

    def install(self, path: Path, digest: str) -> str | None:
        """Put the file in place for the next start; blocks. Returns why the file is no firmware for this charger.

        Raises:
            OSError: the disk fails; the old firmware stays.
        """
        ...


class NoUpdater:
    """A charger whose firmware comes another way."""

    @property
    def version(self) -> None:
        """None."""
        return

    @property
    def digest(self) -> str:
        """None."""
        return ""

    def install(self, path: Path, digest: str) -> str:  # noqa: ARG002 - nothing is looked at
        """Never."""
        return "nothing here installs firmware"
