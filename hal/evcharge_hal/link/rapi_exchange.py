"""Commands on their way to a RAPI board and back: ids, time-outs, what is dropped. Sans-I/O."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from evcharge_hal.link.rapi_frames import RapiReply, encode_command, next_sequence

REPLY_S = 0.7
"""A board answers within some tens of milliseconds; while it tests its residual current sensor, after 1 s."""
PACE_S = 0.2
"""Between two commands of the same words, so that a board that answers and does not follow is not flooded."""


@dataclass(frozen=True, slots=True)
class Pending:
    """A command that waits for its answer."""

    body: str
    sent_s: float


@dataclass(slots=True)
class Exchange:
    """Gives each command an id and takes only the answer with that id for its answer."""

    _sequence: int = 0
    _pending: dict[int, Pending] = field(default_factory=dict)
    _unsent: dict[int, bytes] = field(default_factory=dict)
    _sent_s: dict[str, float] = field(default_factory=dict)

    @property
    def is_idle(self) -> bool:
        """Nothing waits for an answer."""
        return not self._pending

    def bodies(self) -> Sequence[str]:
        """Commands that wait for their answers."""
        return [pending.body for pending in self._pending.values()]

    def is_paced(self, body: str, now_s: float) -> bool:
        """The same words may be said again."""
        return now_s >= self.pace_due_s(body)

    def pace_due_s(self, body: str) -> float:
        """When the same words may be said again."""
        return self._sent_s.get(body, -math.inf) + PACE_S

    def send(self, body: str, now_s: float) -> None:
        """Put a command on its way."""
        sequence = next_sequence(self._sequence)
        self._sequence = sequence
        self._pending[sequence] = Pending(body, now_s)
        self._unsent[sequence] = encode_command(body, sequence)
        self._sent_s[body] = now_s

    def forget(self) -> Sequence[str]:
        """Wait for nothing any more; an answer that comes later is dropped. Returns what was waited for."""
        bodies = self.bodies()
        self._pending.clear()
        self._unsent.clear()
        return bodies

    def drop_late(self, now_s: float) -> Sequence[str]:
        """Give up what has had no answer in time, also what nobody has taken to the port."""
        late = [sequence for sequence, pending in self._pending.items() if now_s >= pending.sent_s + REPLY_S]
        for sequence in late:
            self._unsent.pop(sequence, None)
        return [self._pending.pop(sequence).body for sequence in late]

    def match(self, reply: RapiReply) -> Pending | None:
        """The command this answers; None for a late, foreign or repeated one."""
        return None if reply.sequence is None else self._pending.pop(reply.sequence, None)

    def take_only(self) -> Pending | None:
        """The only command on its way; None if there are several or none."""
        return self._pending.pop(next(iter(self._pending))) if len(self._pending) == 1 else None

    def due_s(self) -> float:
        """When the first answer is late."""
        return min((pending.sent_s + REPLY_S for pending in self._pending.values()), default=math.inf)

    def take(self) -> bytes:
        """Bytes for the port."""
        data = b"".join(self._unsent.values())
        self._unsent.clear()
        return data
