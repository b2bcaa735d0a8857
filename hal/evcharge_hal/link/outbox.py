"""Frames of the host on their way to the port."""

from dataclasses import dataclass, field

from evcharge_hal.link.frames import Frame, FrameType, Hello, next_sequence, pack, wrap


@dataclass(slots=True)
class Outbox:
    """Frames to write. A newer one replaces an unsent one of the same key: nobody wants an old set-point."""

    seq: int = 0
    seen_event: int = 0
    _frames: dict[tuple[FrameType, int], bytes] = field(default_factory=dict)
    _packed: dict[tuple[FrameType, int], tuple[Frame, bytes]] = field(default_factory=dict)
    """The latest frame of each key and its payload: most are repeated unchanged."""

    def put(self, key: tuple[FrameType, int], frame: Frame, seq: int | None = None) -> int:
        """Queue a frame, a repetition under its old `seq`; returns the sequence number it has."""
        if seq is None:
            self.seq = seq = next_sequence(self.seq)
        self._frames.pop(key, None)
        # A zero byte in front ends whatever noise the other side takes for the beginning of a frame.
        start = b"\0" if isinstance(frame, Hello) else b""
        known, payload = self._packed.get(key, (None, b""))
        if known is not frame:
            payload = pack(frame)
            self._packed[key] = (frame, payload)
        self._frames[key] = start + wrap(frame, payload, seq, self.seen_event)
        return seq

    def take(self) -> bytes:
        """Return what waits, and forget it."""
        data = b"".join(self._frames.values())
        self._frames.clear()
        return data

    def clear(self) -> None:
        """Forget what waits."""
        self._frames.clear()
