"""A serial line that damages what it carries, in every way lines and adapters are known for; all by one seed."""

import enum
import math
import random
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field

REMEMBERED_FRAMES = 300
"""What may be told again: about 10 s of one connector's talk."""
LATEST_S = 0.15
"""Longest time bytes may sit on the way down: an old set-point is the one thing that nobody could see through."""


class Damage(enum.Enum):
    """What happens to one frame, or to all of them for a while."""

    DROP = "drop"
    DUPLICATE = "duplicate"
    HALF = "half frame"
    JOIN = "joined with the next"
    NOISE = "noise before it"
    LATE = "late"
    STALE = "stale reply"
    ECHO = "echo"
    FLIP = "bit flips"
    BAUD = "wrong baud"
    SILENCE = "silence"


FRAME_KINDS = (Damage.DROP, Damage.DUPLICATE, Damage.HALF, Damage.JOIN, Damage.NOISE, Damage.LATE)
UPWARD_KINDS = (*FRAME_KINDS, Damage.STALE)
"""A wire has no memory downward: what the host said seconds ago cannot come again. Replies can, from a buffer."""
SPELLS = (Damage.BAUD, Damage.SILENCE)
HARMFUL = frozenset({Damage.HALF, Damage.JOIN, Damage.NOISE, Damage.FLIP, Damage.BAUD})
"""Leaves bytes behind that are no frame."""


@dataclass(frozen=True, slots=True)
class Severity:
    """How bad a line is."""

    flip_rate: float
    """Of each bit."""
    rates: Mapping[Damage, float]
    """Of each frame."""
    spells_per_s: float
    spell_s: float


@dataclass(slots=True)
class DamagedLine:
    """Both directions between a host and its co-processor; frames are cut at zero bytes. Times in s."""

    luck: random.Random
    severity: Severity | None = None
    """None: a sound line."""
    frames: Counter[str] = field(default_factory=Counter)
    """Carried, by direction, before anything happened to them."""
    damaged: Counter[Damage] = field(default_factory=Counter)
    spoilt_upward: int = 0
    """Frames to the host that no longer are any."""
    _spell: Damage | None = None
    _spell_until_s: float = 0.0
    _looked_s: float | None = None
    _memory: deque[bytes] = field(default_factory=lambda: deque(maxlen=REMEMBERED_FRAMES))
    _echo: bytearray = field(default_factory=bytearray)
    _waiting: dict[str, deque[tuple[float, bytes]]] = field(default_factory=lambda: {"up": deque(), "down": deque()})

    def carry(self, data: bytes, now_s: float, way: str) -> bytes:
        """Carry bytes `up` to the host or `down`; returns what arrives now, which may be older."""
        kinds = UPWARD_KINDS if way == "up" else FRAME_KINDS
        self._begin_spell(now_s)
        arriving = bytearray()
        waiting = self._waiting[way]
        for frame in data.split(b"\0")[:-1]:
            due_s, bent = now_s, b"\0"
            if frame:
                self.frames[way] += 1
                due_s, bent = self._bend(frame + b"\0", now_s, way, kinds)
            # Later bytes never overtake earlier ones.
            waiting.append((max(due_s, waiting[-1][0] if waiting else 0.0), bent))
        while waiting and waiting[0][0] <= now_s:
            arriving += waiting.popleft()[1]
        if way == "up":
            arriving += self._echo
            self._echo.clear()
        return bytes(arriving)

    def heal(self) -> None:
        """From now on the line is sound; what is on its way arrives."""
        self.severity = self._spell = None

    def _begin_spell(self, now_s: float) -> None:
        if self._spell is not None and now_s >= self._spell_until_s:
            self._spell = None
        elapsed_s = 0.0 if self._looked_s is None else now_s - self._looked_s
        self._looked_s = now_s
        if self.severity is None or self._spell is not None:
            return
        if self.luck.random() < self.severity.spells_per_s * elapsed_s:
            self._spell = self.luck.choice(SPELLS)
            self._spell_until_s = now_s + self.luck.uniform(0.02, self.severity.spell_s)

    def _bend(self, frame: bytes, now_s: float, way: str, kinds: tuple[Damage, ...]) -> tuple[float, bytes]:
        """When a frame arrives and what is left of it."""
        if way == "up":
            self._memory.append(frame)
        severity = self.severity
        if severity is None:
            return now_s, frame
        if self._spell is not None:
            return now_s, self._note(self._spell, way, self._in_spell(frame))
        for kind in kinds:
            if self.luck.random() < severity.rates[kind]:
                due_s = now_s + self.luck.uniform(0.0, LATEST_S) if kind is Damage.LATE else now_s
                return due_s, self._note(kind, way, self._damage(frame, kind))
        flipped = self._flip(frame, severity.flip_rate)
        return now_s, frame if flipped == frame else self._note(Damage.FLIP, way, flipped)

    def _note(self, kind: Damage, way: str, bent: bytes) -> bytes:
        self.damaged[kind] += 1
        self.spoilt_upward += way == "up" and kind in HARMFUL
        return bent

    def _in_spell(self, frame: bytes) -> bytes:
        return b"" if self._spell is Damage.SILENCE else self.luck.randbytes(len(frame))

    def _damage(self, frame: bytes, kind: Damage) -> bytes:
        match kind:
            case Damage.DROP:
                return b""
            case Damage.DUPLICATE:
                return frame * self.luck.randint(2, 4)
            case Damage.HALF:
                return self._half(frame)
            case Damage.JOIN:
                return frame[:-1]
            case Damage.NOISE:
                return self.luck.randbytes(self.luck.randint(1, 90)) + frame
            case Damage.STALE:
                return frame + b"".join(self.luck.choices(self._memory, k=self.luck.randint(1, 8)))
            case _:
                return frame  # late; an echo is made where the host speaks

    def _half(self, frame: bytes) -> bytes:
        cut = self.luck.randrange(1, len(frame))
        return frame[:cut] + self.luck.choice((b"", b"\0")) if self.luck.random() < 0.5 else frame[cut:]

    def _flip(self, frame: bytes, rate: float) -> bytes:
        """Flip each bit with this chance, by the distances between the flips."""
        bits, position, flipped = 8 * len(frame), -1, None
        while True:
            position += 1 + int(math.log(1.0 - self.luck.random()) / math.log1p(-rate))
            if position >= bits:
                return frame if flipped is None else bytes(flipped)
            flipped = bytearray(frame) if flipped is None else flipped
            flipped[position // 8] ^= 1 << position % 8

    def echo(self, data: bytes) -> None:
        """The host's own bytes, which come back to it on a line that echoes."""
        severity = self.severity
        if severity is not None and data and self.luck.random() < severity.rates[Damage.ECHO]:
            self.damaged[Damage.ECHO] += 1
            self._echo += data


def draw_severity(luck: random.Random) -> Severity:
    """A line from hardly noticeable to hopeless: flips of 1e-6 to 1e-2 of all bits, the rest by chance."""
    badness = 10.0 ** luck.uniform(-4.0, -0.7)
    rates = {kind: luck.choice((0.0, badness, badness)) for kind in (*UPWARD_KINDS, Damage.ECHO)}
    return Severity(
        10.0 ** luck.uniform(-6.0, -2.0), rates, luck.choice((0.0, 0.02, 0.2)), luck.choice((0.2, 1.2, 4.0))
    )
