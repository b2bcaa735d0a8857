"""Digital lines of one connector, behind gpiozero in production and behind the plant in tests."""

from dataclasses import dataclass
from typing import Protocol


class RelayLine(Protocol):
    """The Pi's half of the coil chain; energised together with the co-processor's permit."""

    def set_closed(self, is_closed: bool) -> None:
        """Drive the line. Opening is done before the call returns."""
        ...


class InputLine(Protocol):
    """A level; polarity has been applied, True is the named condition."""

    def is_active(self) -> bool:
        """Read the level now."""
        ...


class OutputLine(Protocol):
    """A line such as the RCM's test winding."""

    def set_active(self, is_active: bool) -> None:
        """Drive the line."""
        ...


class Led(Protocol):
    """A red, green, blue light; each channel 0..1."""

    def show(self, red: float, green: float, blue: float) -> None:
        """Show a colour until told otherwise."""
        ...


@dataclass(frozen=True, slots=True)
class ConnectorLines:
    """All digital lines of one connector; None: the board does not have it."""

    relay: RelayLine
    feedback: InputLine | None = None
    """Mirror contact; active while the contactor is closed."""
    rcm: InputLine | None = None
    """Residual current monitor; active while tripped, and once after a trip that nobody has read yet."""
    rcm_test: OutputLine | None = None
    led: Led | None = None
