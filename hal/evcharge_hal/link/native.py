"""Driver of the native pilot link, version 1 (`hal/protocol/pilot-link.md`). Sans-I/O and without a clock.

Greeting: nothing but HELLO is sent until the answer to this very HELLO arrives. Up: a CONTROL for each
connector every 100 ms. Any doubt (silence, a restart, set-points that are not taken) leads back to greeting,
and a permit given before the doubt is forgotten.
"""

import enum
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from evcharge_hal.contract.errors import InvalidFieldError
from evcharge_hal.contract.pilot import (
    CoprocessorIdentity,
    LinkDown,
    LinkEvent,
    LinkIncompatible,
    LinkNoticed,
    LinkUp,
    PilotCommand,
)
from evcharge_hal.link import deadlines
from evcharge_hal.link.frames import (
    PROTOCOL_VERSION,
    RESET_ARGUMENT,
    BadFrame,
    BadFrameReason,
    Event,
    Frame,
    FrameDecoder,
    FrameType,
    Hello,
    HelloAck,
    Nak,
    Reply,
    Request,
    RequestKind,
    Status,
)
from evcharge_hal.link.notices import NoticeLimiter
from evcharge_hal.link.outbox import Outbox
from evcharge_hal.link.reports import TransitClock, read_event, read_identity, read_report
from evcharge_hal.link.setpoint import SetPointPacer

DEADLINE_MS = (200, 2000)
REQUEST_PERIOD_S = 0.2
REQUEST_TRIES = 5
ALL_FAULTS = 0xFFFF


class _Phase(enum.Enum):
    GREETING = "greeting"
    UP = "up"
    INCOMPATIBLE = "incompatible"


@dataclass(slots=True)
class _Asked:
    """A REQUEST on its way; repeated with the same sequence number, so that any of the replies fits."""

    frame: Request
    tries_left: int = REQUEST_TRIES
    due_s: float = -math.inf


@dataclass(slots=True)
class _Connector:
    pacer: SetPointPacer
    heard_s: float = -math.inf
    is_late: bool = False
    clear_latch: _Asked | None = None

    def silence_due_s(self) -> float:
        return self.heard_s + (deadlines.STATUS_LOST_S if self.is_late else deadlines.STATUS_LATE_S)


class NativeLink:
    """A `PilotLink` for co-processors that speak pilot link v1.

    A set-point given before `LinkUp` is remembered and sent after it. `LinkDown` takes the permit out of what
    is remembered: the guard has to give it again.
    """

    def __init__(self, connectors: tuple[int, ...], deadline_ms: int = 1000) -> None:
        """Speak for these connectors; `deadline_ms` is how long a set-point counts at the co-processor.

        Raises:
            InvalidFieldError: a deadline the co-processor would not keep.
        """
        shortest, longest = DEADLINE_MS
        if not shortest <= deadline_ms <= longest:
            raise InvalidFieldError("deadline_ms", deadline_ms, f"a whole number from {shortest} to {longest} ms")
        self._connectors = {number: _Connector(SetPointPacer(deadline_ms)) for number in connectors}
        self._decoder = FrameDecoder()
        self._outbox = Outbox()
        self._phase = _Phase.GREETING
        self._nonce = 0
        """Of the handshake that is under way or was last completed; 0 until its HELLO is sent."""
        self._last_nonce = 0
        self._hello_due_s = 0.0
        self._hello_sent_s = -math.inf
        self._now_s = 0.0
        self._identity: CoprocessorIdentity | None = None
        self._has_restarted = False
        self._reset: _Asked | None = None
        self._transit = TransitClock()
        self._notices = NoticeLimiter()
        self._noise = NoticeLimiter(burst=1, window_s=deadlines.NOISE_PERIOD_S)

    # --- the port ---------------------------------------------------------------------------------------------

    def receive(self, data: bytes, now_s: float) -> Sequence[LinkEvent]:
        """Take bytes as they arrive; see `PilotLink.receive`."""
        self._now_s = now_s
        # A host that was stopped must not take the bytes that waited meanwhile for a link that lived.
        events = self._notice_silence(now_s)
        for frame in self._decoder.feed(data):
            events += self._on_frame(frame, now_s)
        self._send_due(now_s, is_heard=True)
        return events

    def advance(self, now_s: float) -> Sequence[LinkEvent]:
        """Let time pass; see `PilotLink.advance`."""
        self._now_s = now_s
        events = self._notice_silence(now_s)
        events += self._drop_unanswered(now_s)
        self._send_due(now_s)
        return events

    def command(self, command: PilotCommand, now_s: float) -> None:
        """Replace the set-point of one connector; see `PilotLink.command`.

        Raises:
            InvalidFieldError: the link was made without this connector.
        """
        self._connector(command.connector).pacer.take(command)
        self._now_s = now_s
        self._send_due(now_s)

    def clear_latch(self, connector: int) -> None:
        """Ask for all latches to be dropped; see `PilotLink.clear_latch`. Repeated until answered, five times.

        Raises:
            InvalidFieldError: the link was made without this connector.
        """
        request = Request(connector, RequestKind.CLEAR_LATCH, ALL_FAULTS)
        self._connector(connector).clear_latch = _Asked(request)
        self._send_due(self._now_s)

    def reset(self) -> None:
        """Ask for a restart; see `PilotLink.reset`. Repeated until it has restarted, five times."""
        if self._phase is not _Phase.UP:
            return
        self._reset = _Asked(Request(min(self._connectors, default=1), RequestKind.RESET, RESET_ARGUMENT))
        self._send_due(self._now_s)

    def outgoing(self) -> bytes:
        """Bytes to write now; see `PilotLink.outgoing`."""
        return self._outbox.take()

    def next_deadline_s(self) -> float:
        """When `advance` wants to be called at the latest; 0 before the first call."""
        if self._phase is not _Phase.UP:
            return self._hello_due_s
        dues_s = [math.inf]
        for connector in self._connectors.values():
            dues_s += [connector.pacer.due_s(), connector.silence_due_s()]
            if connector.clear_latch is not None:
                dues_s.append(connector.clear_latch.due_s)
        if self._reset is not None:
            dues_s.append(self._reset.due_s)
        return min(dues_s)

    def _connector(self, number: int) -> _Connector:
        if number not in self._connectors:
            raise InvalidFieldError("connector", number, "one of " + ", ".join(map(str, self._connectors)))
        return self._connectors[number]

    # --- sending ----------------------------------------------------------------------------------------------

    def _send_due(self, now_s: float, *, is_heard: bool = False) -> None:
        if self._phase is not _Phase.UP:
            if now_s >= self._hello_due_s:
                self._send_hello(now_s)
            return
        for number, connector in self._connectors.items():
            control = connector.pacer.send(now_s, is_heard=is_heard)
            if control is not None:
                self._outbox.put((FrameType.CONTROL, number), control)
            pending = connector.clear_latch
            if pending is not None:
                self._send_request(number, pending, now_s)
        if self._reset is not None:
            self._send_request(0, self._reset, now_s)

    def _send_hello(self, now_s: float) -> None:
        if self._nonce == 0:
            # Milliseconds of a monotonic clock: differs from the handshakes of an earlier process, too.
            self._nonce = int(now_s * 1000.0) % 0xFFFFFFFE + 1
            if self._nonce == self._last_nonce:
                self._nonce = self._nonce % 0xFFFFFFFE + 1
            self._last_nonce = self._nonce
        self._outbox.put((FrameType.HELLO, 0), Hello(PROTOCOL_VERSION, PROTOCOL_VERSION, self._nonce))
        is_incompatible = self._phase is _Phase.INCOMPATIBLE
        self._hello_due_s = now_s + (
            deadlines.HELLO_PERIOD_INCOMPATIBLE_S if is_incompatible else deadlines.HELLO_PERIOD_S
        )
        self._hello_sent_s = now_s

    def _send_request(self, place: int, pending: _Asked, now_s: float) -> None:
        if now_s < pending.due_s or not pending.tries_left:
            return
        seq = self._outbox.put((FrameType.REQUEST, place), pending.frame, pending.frame.seq or None)
        pending.frame = replace(pending.frame, seq=seq)
        pending.tries_left -= 1
        pending.due_s = now_s + REQUEST_PERIOD_S

    def _drop_unanswered(self, now_s: float) -> list[LinkEvent]:
        events: list[LinkEvent] = []
        for number, connector in self._connectors.items():
            pending = connector.clear_latch
            if pending is not None and not pending.tries_left and now_s >= pending.due_s:
                connector.clear_latch = None
                events.append(LinkNoticed("clear_latch", number, "no answer"))
        if self._reset is not None and not self._reset.tries_left and now_s >= self._reset.due_s:
            self._reset = None
            events.append(LinkNoticed("reset", None, "no answer"))
        return events

    # --- going up and down ------------------------------------------------------------------------------------

    def _go_down(self, reason: str, now_s: float, pause_s: float = 0.0) -> list[LinkEvent]:
        self._phase = _Phase.GREETING
        self._nonce = 0
        self._hello_due_s = now_s + pause_s
        self._reset = None
        self._outbox.clear()
        for connector in self._connectors.values():
            connector.pacer.revoke()
            connector.clear_latch = None
        return [LinkDown(reason)]

    def _restart(self, reason: str, now_s: float) -> list[LinkEvent]:
        self._has_restarted = True
        return self._go_down(reason, now_s)

    def _go_up(self, frame: HelloAck, now_s: float) -> list[LinkEvent]:
        identity = read_identity(frame)
        known = self._identity
        is_other_boot = known is not None and (known.uid, known.boot_count) != (identity.uid, identity.boot_count)
        is_restart = self._has_restarted or is_other_boot
        self._phase = _Phase.UP
        self._identity = identity
        self._has_restarted = False
        self._transit = TransitClock()
        self._outbox.seen_event = 0
        for connector in self._connectors.values():
            connector.heard_s = now_s
            connector.is_late = False
            connector.pacer.begin()
        events: list[LinkEvent] = [LinkUp(identity, is_restart)]
        if max(self._connectors, default=0) > identity.connectors:
            events.append(LinkNoticed("missing_connector", None, f"co-processor has {identity.connectors}"))
        return events

    def _notice_silence(self, now_s: float) -> list[LinkEvent]:
        if self._phase is not _Phase.UP:
            return []
        events: list[LinkEvent] = []
        for number, connector in self._connectors.items():
            silent_s = now_s - connector.heard_s
            if silent_s >= deadlines.STATUS_LOST_S:
                return [
                    *events,
                    *self._go_down(f"no status of connector {number} for {deadlines.STATUS_LOST_S} s", now_s),
                ]
            if silent_s >= deadlines.STATUS_LATE_S and not connector.is_late:
                connector.is_late = True
                events.append(LinkNoticed("status_late", number, f"no status for {deadlines.STATUS_LATE_S} s"))
        return events

    # --- receiving --------------------------------------------------------------------------------------------

    def _on_frame(self, frame: Frame | BadFrame, now_s: float) -> Sequence[LinkEvent]:
        if isinstance(frame, HelloAck):
            return self._on_hello_ack(frame, now_s)
        if isinstance(frame, BadFrame):
            return self._on_bad_frame(frame, now_s)
        if self._phase is not _Phase.UP:
            return []
        match frame:
            case Status():
                return self._on_status(frame, now_s)
            case Event():
                return self._on_event(frame, now_s)
            case Reply():
                return self._on_reply(frame)
            case Nak():
                detail = f"{frame.reason.name.lower()}, frame type {frame.refused_type}"
                return self._notices.admit(LinkNoticed("refused", None, detail), now_s)
            case _:
                # A host's own frame: the line echoes, or two hosts share it.
                return self._noise.admit(LinkNoticed("noise", None, f"a host's {type(frame).__name__}"), now_s)

    def _on_bad_frame(self, frame: BadFrame, now_s: float) -> Sequence[LinkEvent]:
        if self._phase is _Phase.INCOMPATIBLE and frame.reason is BadFrameReason.VERSION:
            return []  # said once, in LinkIncompatible
        return self._noise.admit(LinkNoticed("noise", None, f"{frame.reason.value}, {frame.length} bytes"), now_s)

    def _on_hello_ack(self, frame: HelloAck, now_s: float) -> Sequence[LinkEvent]:
        is_announcement = frame.nonce == 0
        if not is_announcement and frame.nonce != self._nonce:
            return []
        events: list[LinkEvent] = []
        if self._phase is _Phase.UP:
            if not is_announcement:
                return []
            events = self._restart(f"co-processor started again ({frame.reset_cause.value})", now_s)
        if not frame.proto_min <= PROTOCOL_VERSION <= frame.proto_max:
            return [*events, *self._go_incompatible(frame, now_s)]
        if is_announcement:
            self._has_restarted = self._identity is not None
            self._hello_due_s = max(now_s, self._hello_sent_s + deadlines.HELLO_SPACING_S)
            return events
        return [*events, *self._go_up(frame, now_s)]

    def _go_incompatible(self, frame: HelloAck, now_s: float) -> list[LinkEvent]:
        if self._phase is _Phase.INCOMPATIBLE:
            return []
        self._phase = _Phase.INCOMPATIBLE
        self._hello_due_s = now_s + deadlines.HELLO_PERIOD_INCOMPATIBLE_S
        spoken = f"{frame.proto_min} to {frame.proto_max}"
        return [LinkIncompatible(f"co-processor speaks pilot link {spoken}, this host {PROTOCOL_VERSION}")]

    def _on_status(self, frame: Status, now_s: float) -> Sequence[LinkEvent]:
        if self._identity is not None and frame.boot_count != self._identity.boot_count:
            return self._restart(f"co-processor started again (boot {frame.boot_count})", now_s)
        connector = self._connectors.get(frame.connector)
        if connector is None:
            return self._notices.admit(LinkNoticed("unknown_connector", None, str(frame.connector)), now_s)
        transit_s = self._transit.transit_s(frame.uptime_ms, now_s)
        if transit_s > deadlines.STATUS_LATE_S:
            stale = LinkNoticed("status_stale", frame.connector, f"{transit_s:.1f} s old")
            return self._notices.admit(stale, now_s)
        connector.heard_s = now_s
        connector.is_late = False
        report = read_report(frame, now_s, transit_s)
        ignored_s = min(frame.control_age_ms / 1000.0, connector.pacer.steady_s(now_s))
        if ignored_s >= deadlines.CONTROL_IGNORED_S:
            reason = f"connector {frame.connector} has taken no set-point for {deadlines.CONTROL_IGNORED_S} s"
            return [report, *self._go_down(reason, now_s, deadlines.HELLO_PAUSE_IGNORED_S)]
        return [report]

    def _on_event(self, frame: Event, now_s: float) -> Sequence[LinkEvent]:
        if frame.number == self._outbox.seen_event:
            return []
        self._outbox.seen_event = frame.number
        connector = frame.connector if frame.connector in self._connectors else None
        return self._notices.admit(read_event(frame, connector), now_s)

    def _on_reply(self, frame: Reply) -> Sequence[LinkEvent]:
        if self._reset is not None and frame.kind is RequestKind.RESET and frame.ack == self._reset.frame.seq:
            self._reset = None
            return [LinkNoticed("reset", None, frame.result.name.lower())]
        connector = self._connectors.get(frame.connector)
        pending = None if connector is None else connector.clear_latch
        if connector is None or pending is None:
            return []
        if frame.ack != pending.frame.seq or frame.kind is not RequestKind.CLEAR_LATCH:
            return []
        connector.clear_latch = None
        return [LinkNoticed("clear_latch", frame.connector, frame.result.name.lower())]
