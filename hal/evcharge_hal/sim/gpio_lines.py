"""Text protocol of the simulated GPIO lines, both directions: one command a line.

The guard sends `claim PIN out|in` and `set PIN 0|1`; the world answers every claim with the line's present
level and sends `level PIN 0|1` whenever it moves an input. `error TEXT` tells of a line that broke the rules.
"""

from dataclasses import dataclass

from evcharge_hal.contract.errors import ProtocolError

MAX_LINE_BYTES = 200


@dataclass(frozen=True, slots=True)
class Claim:
    """The guard takes a line as an output or an input."""

    pin: int
    is_output: bool

    def line(self) -> bytes:
        """Return the command as bytes."""
        return f"claim {self.pin} {'out' if self.is_output else 'in'}\n".encode()


@dataclass(frozen=True, slots=True)
class SetLevel:
    """The guard drives an output."""

    pin: int
    is_high: bool

    def line(self) -> bytes:
        """Return the command as bytes."""
        return f"set {self.pin} {int(self.is_high)}\n".encode()


@dataclass(frozen=True, slots=True)
class Level:
    """The world says how a line is."""

    pin: int
    is_high: bool

    def line(self) -> bytes:
        """Return the command as bytes."""
        return f"level {self.pin} {int(self.is_high)}\n".encode()


_PINS = {str(pin): pin for pin in range(64)}
_LEVELS = {"0": False, "1": True}
_DIRECTIONS = {"out": True, "in": False}


def read_command(line: bytes) -> Claim | SetLevel | Level:
    """Decode one line.

    Raises:
        ProtocolError: it is none of the commands.
    """
    words = line.decode("ascii", "replace").split()
    if len(words) == 3 and words[1] in _PINS:  # noqa: PLR2004 - three words
        verb, pin, value = words[0], _PINS[words[1]], words[2]
        if verb == "claim" and value in _DIRECTIONS:
            return Claim(pin, _DIRECTIONS[value])
        if verb in ("set", "level") and value in _LEVELS:
            return (SetLevel if verb == "set" else Level)(pin, _LEVELS[value])
    msg = f"not a command: {line[:40]!r}"
    raise ProtocolError(msg)
