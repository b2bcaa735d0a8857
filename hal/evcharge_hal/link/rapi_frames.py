"""RAPI, the serial protocol of OpenEVSE boards: command and reply lines. Pure.

    to the board    $GS :2A^1F CR       command, sequence id (hexadecimal, never 00), XOR of everything before ^
    to the host     $OK fe 0 02 0200 :2A^5C CR      or $NK ...; the id comes back
                    $AB 00 8.2.1^.. CR              the board has booted
                    $AT 03 03 16 0140^.. CR         its state has changed; also between a command and its reply

The line carries more than that: text for terminals, echoes, halves of lines after a reset. Whatever does not begin
with `$` or does not carry the right check is dropped and counted as noise (OpenEVSE firmware, header of rapi_proc.h).
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from evcharge_hal.contract.errors import InvalidFieldError

MAX_COMMAND_LENGTH = 31
"""Characters before CR. The board keeps 32 with its own terminator and drops a longer line without a word."""
MAX_TOKENS = 10
MAX_SEQUENCE = 0xFF
MAX_LINE_LENGTH = 96
"""Longest line of a board is about 50 characters; what is longer is not one."""

_START, _END, _CHECK = ord("$"), ord("\r"), ord("^")
_HEX = frozenset(b"0123456789ABCDEFabcdef")


@dataclass(frozen=True, slots=True)
class RapiReply:
    """`$OK` or `$NK`. NK does not mean that nothing happened: a limit, for one, was clamped."""

    is_ok: bool
    arguments: tuple[str, ...]
    sequence: int | None
    """None: the board does not echo ids, or the command came damaged and its id was not read."""


@dataclass(frozen=True, slots=True)
class RapiBoot:
    """`$AB`: the board has started; whatever it was told before is forgotten."""

    post_code: int
    """0: passed."""
    firmware: str


@dataclass(frozen=True, slots=True)
class RapiState:
    """The board's state, from `$AT` or from the answer to `$GS`."""

    evse: int
    pilot: int
    flags: int
    amps: int | None
    """Capacity; None where the line does not carry it."""


@dataclass(frozen=True, slots=True)
class RapiOther:
    """A whole line with a right check that is none of the above: a button, an echo of a command."""

    text: str


@dataclass(frozen=True, slots=True)
class RapiNoise:
    """Bytes that are no line of the protocol."""

    reason: str
    length: int


RapiLine = RapiReply | RapiBoot | RapiState | RapiOther | RapiNoise


def checksum(data: bytes) -> int:
    """XOR of all bytes, `$` included."""
    value = 0
    for byte in data:
        value ^= byte
    return value


def encode_command(body: str, sequence: int) -> bytes:
    """A whole line for a command such as `SC 16 V`.

    Raises:
        InvalidFieldError: an id outside 1..255, or a line the board would drop.
    """
    if not 1 <= sequence <= MAX_SEQUENCE:
        raise InvalidFieldError("sequence", sequence, "a whole number from 1 to 255")
    text = f"${body} :{sequence:02X}".encode("ascii", "replace")
    line = text + f"^{checksum(text):02X}".encode()
    if len(line) > MAX_COMMAND_LENGTH or text.count(b" ") + 1 > MAX_TOKENS or not body.isprintable() or "$" in body:
        raise InvalidFieldError("command", body, f"{MAX_COMMAND_LENGTH} printable characters, {MAX_TOKENS} words")
    return line + b"\r"


def next_sequence(sequence: int) -> int:
    """The id after this one; 00 means none and is skipped."""
    return sequence % MAX_SEQUENCE + 1


def read_decimal(token: str) -> int | None:
    """A whole number as the board writes it; None for anything else."""
    digits = token.removeprefix("-")
    return int(token) if digits.isascii() and digits.isdigit() and len(digits) <= 10 else None  # noqa: PLR2004 - 32 bit


def read_hexadecimal(token: str) -> int | None:
    """One to eight hexadecimal digits; None for anything else."""
    is_number = 0 < len(token) <= 8 and token.isascii() and _HEX.issuperset(token.encode())  # noqa: PLR2004 - 32 bit
    return int(token, 16) if is_number else None


def read_state(arguments: tuple[str, ...], *, is_transition: bool) -> RapiState | None:
    """`evse pilot amps vflags` of `$AT`, or `evse elapsed pilot vflags` of the answer to `$GS`."""
    if len(arguments) != 4:  # noqa: PLR2004 - the four fields named above
        return None
    evse, flags = read_hexadecimal(arguments[0]), read_hexadecimal(arguments[3])
    pilot = read_hexadecimal(arguments[1] if is_transition else arguments[2])
    amps = read_decimal(arguments[2] if is_transition else arguments[1])
    if evse is None or pilot is None or amps is None or flags is None:
        return None
    if is_transition and amps < 0:
        return None
    return RapiState(evse, pilot, flags, amps if is_transition else None)


@dataclass(slots=True)
class LineDecoder:
    """Turns bytes of any length and content into lines; never raises."""

    _line: bytearray = field(default_factory=bytearray)
    """From `$` on; empty while waiting for one."""
    _skipped: int = 0

    def feed(self, data: bytes) -> Iterator[RapiLine]:
        """Give every line that is complete with these bytes."""
        for byte in data:
            if byte == _START:
                yield from self._drop("cut off")
                self._line.append(byte)
            elif not self._line:
                self._skipped += 1
            elif byte == _END:
                line = bytes(self._line)
                self._line.clear()
                yield parse_line(line)
            elif len(self._line) >= MAX_LINE_LENGTH:
                yield from self._drop("too long")
            else:
                self._line.append(byte)
        yield from self._tell_skipped()

    def clear(self) -> None:
        """Forget a line that has begun: what follows it comes from another time."""
        self._line.clear()

    def _drop(self, reason: str) -> Iterator[RapiNoise]:
        yield from self._tell_skipped()
        if self._line:
            yield RapiNoise(reason, len(self._line))
            self._line.clear()

    def _tell_skipped(self) -> Iterator[RapiNoise]:
        # Line feeds of a terminal's echo are no news.
        if self._skipped > 1:
            yield RapiNoise("text", self._skipped)
        self._skipped = 0


def parse_line(line: bytes) -> RapiLine:
    """One line from `$` to before CR."""
    body, separator, check = line.rpartition(b"^")
    if not separator or len(check) != 2 or not _HEX.issuperset(check):  # noqa: PLR2004 - two digits
        return RapiNoise("no checksum", len(line))
    if int(check, 16) != checksum(body):
        return RapiNoise("checksum", len(line))
    if not body.isascii():
        return RapiNoise("not text", len(line))
    return _read_words(body.decode("ascii")[1:], len(line))


def _read_words(text: str, length: int) -> RapiLine:
    words = tuple(text.split())
    if not words:
        return RapiNoise("empty", length)
    kind, arguments = words[0], words[1:]
    if kind in ("OK", "NK"):
        return _read_reply(kind == "OK", arguments, length)
    if kind == "AB" and arguments:
        code = read_hexadecimal(arguments[0])
        if code is not None:
            return RapiBoot(code, " ".join(arguments[1:]))
        return RapiNoise("boot line", length)
    if kind == "AT":
        return read_state(arguments, is_transition=True) or RapiNoise("state line", length)
    return RapiOther(text)


def _read_reply(is_ok: bool, arguments: tuple[str, ...], length: int) -> RapiLine:
    if not arguments or not arguments[-1].startswith(":"):
        return RapiReply(is_ok, arguments, None)
    sequence = read_hexadecimal(arguments[-1][1:])
    if not sequence or sequence > MAX_SEQUENCE:
        return RapiNoise("sequence id", length)
    return RapiReply(is_ok, arguments[:-1], sequence)
