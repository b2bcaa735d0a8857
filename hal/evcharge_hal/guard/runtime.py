"""The guard without a loop: facts in, outputs driven, messages out.

The real loop and the tests under virtual time drive the same `Guard`; it reads no clock and waits for nothing.
Its one promise about order: within an input's effects every relay that has to open is opened before anything
else happens, and the state file comes last.
"""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import PurePath

from evcharge_hal.boards.board import Board, Cable, Lock
from evcharge_hal.contract.channel import (
    CHANNEL_VERSION,
    AgentMessage,
    ClearFault,
    ConnectorRating,
    EventKind,
    GuardEvent,
    GuardMessage,
    Hello,
    Indicate,
    Reply,
    ResetGuard,
    SetPoint,
    Unlock,
    UnlockOutcome,
    Welcome,
)
from evcharge_hal.contract.lines import ConnectorLines
from evcharge_hal.contract.pilot import LinkDown, LinkEvent, LinkNoticed, PilotCommand, PilotLink, PilotOutput
from evcharge_hal.contract.units import Amps
from evcharge_hal.guard import core
from evcharge_hal.guard.deadlines import STOP_UNDER_LOAD_S
from evcharge_hal.guard.effects import ClearCoprocessorLatch, Drive, GuardEffect, Record, Remember
from evcharge_hal.guard.event_log import log_event
from evcharge_hal.guard.events import AgentHeard, GuardInput, LeaveOrdered, LinesRead, TimePassed
from evcharge_hal.guard.journal import Throttle
from evcharge_hal.guard.ring import EventRing
from evcharge_hal.guard.statefile import StateStore
from evcharge_hal.guard.telling import Telling

LINES_EVERY_S = 0.1
"""Inputs are read at least this often: an edge that was lost costs no more."""
LINES_RESTATED_S = 1.0
STOPPED_WITHIN_S = STOP_UNDER_LOAD_S + 0.5
"""After a reset was ordered; the core has opened long before, or something is wrong with it."""
RESTART_WITHIN_S = 1.2
"""How long a reset then waits for the contacts and the co-processor; the request is repeated for 1.0 s."""
STALL_S = 1.0
"""Between two turns; the longest sleep is `LINES_EVERY_S`, the shortest lease 1.0 s."""
_RESET_LOOKS_EVERY_S = 0.02
_DETAIL_LENGTH = 200
_NAME_LENGTH = 64
_NOTICE_EVERY_S = 10.0
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Leaving:
    """A reset under way."""

    stop_until_s: float
    over_by_s: float | None = None
    """The co-processor was asked to start again; None: cars are being stopped."""
    has_link_gone: bool = False


class Guard:
    """One board's guard: the pure core, its inputs and its outputs."""

    def __init__(
        self,
        board: Board,
        link: PilotLink,
        lines: Mapping[int, ConnectorLines],
        state_file: StateStore,
        guard_id: str,
        boot_id: str,
        now_s: float,
        emit: Callable[[GuardMessage], None],
    ) -> None:
        """Open every relay first, then take up what was remembered and read the inputs (security.md, H14)."""
        self.link = link
        self._lines = lines
        self.open_relays()
        self._board = board
        self._state_file = state_file
        self._guard_id = guard_id
        self._boot_id = boot_id
        self._emit = emit
        self._ring = EventRing()
        self._last_number = 0
        self._telling = Telling(lines, emit, now_s)
        self._fed_lines: dict[int, tuple[LinesRead, float]] = {}
        self._lines_due_s = now_s
        self._has_link_spoken = False
        self._turned_s = now_s
        self._leaving: _Leaving | None = None
        self.is_over = False
        """The guard was reset: everything is open and the process shall end."""
        self._throttle = Throttle(_NOTICE_EVERY_S)
        self._is_forgetful = False
        self._is_agent_welcome = False
        loaded = state_file.load(sorted(lines))
        self._state = core.start(board, loaded.remembered, now_s)
        self._record(Record(EventKind.GUARD_STARTED), now_s)
        if loaded.notice:
            self._record(Record(EventKind.NOTICE, detail=loaded.notice), now_s)
        self.lines_changed(now_s)

    # --- inputs -----------------------------------------------------------------------------------------

    def link_bytes(self, data: bytes, now_s: float) -> None:
        """Bytes came from the co-processor."""
        self._has_link_spoken = True
        self._take_link_events(self.link.receive(data, now_s), now_s)

    def link_failed(self, reason: str, now_s: float) -> None:
        """The port is gone; the caller reopens it no sooner than the driver notices the silence itself (1.0 s)."""
        self._feed(LinkDown(reason), now_s)

    def lines_changed(self, now_s: float) -> None:
        """Read all inputs and act on what is new; also called without an edge, since an edge can be lost."""
        self._lines_due_s = now_s + LINES_EVERY_S
        for connector, lines in self._lines.items():
            read = LinesRead(
                connector,
                is_contactor_closed=None if lines.feedback is None else lines.feedback.is_active(),
                is_rcm_tripped=lines.rcm is not None and lines.rcm.is_active(),
            )
            fed = self._fed_lines.get(connector)
            if fed is None or fed[0] != read or now_s - fed[1] >= LINES_RESTATED_S:
                self._fed_lines[connector] = (read, now_s)
                self._feed(read, now_s)

    def has_stood_still(self, now_s: float) -> bool:
        """Tell whether no turn was made for so long that what waits for us is no longer the agent's word."""
        return now_s >= self._turned_s + STALL_S

    def agent_message(self, message: AgentMessage, now_s: float, *, is_stale: bool = False) -> None:
        """The agent said something; `is_stale`: it waited while we stood still, and may be as old as that.

        A stale wish renews no lease and a stale acknowledgement clears nothing: the agent repeats the one within
        1 s, a person the other. Faults are taken, since the agent tells them once.
        """
        self._telling.hear_agent(now_s)
        if is_stale or self.has_stood_still(now_s):
            if isinstance(message, SetPoint):
                return
            if isinstance(message, ClearFault | Unlock):
                self._emit(Reply(message.request, is_accepted=False, reason="the guard stood still; ask again"))
                return
        if isinstance(message, Hello):
            self._is_agent_welcome = True
            self._welcome(message)
            self._telling.send(core.status(self._state, now_s), now_s)
            return
        if self._is_agent_welcome and self._state.told_boot != self._state.known_boot:
            self._feed(AgentHeard(), now_s)
        if isinstance(message, ResetGuard):
            self._begin_reset(message, now_s)
        elif message.connector not in self._lines:
            self._refuse_connector(message, message.connector, now_s)
        elif isinstance(message, Indicate):
            self._telling.indicate(message)
        else:
            self._feed(message, now_s)

    def turn(self, now_s: float) -> None:
        """Do what time has made due; call after each batch of inputs and at `next_deadline_s`."""
        self._turned_s = now_s
        self._take_link_events(self.link.advance(now_s), now_s)
        # With what the co-processor says ten times a second, so that the inputs need no turn of their own.
        if self._has_link_spoken or now_s >= self._lines_due_s:
            self._has_link_spoken = False
            self.lines_changed(now_s)
        if now_s >= core.next_deadline_s(self._state, now_s):
            self._feed(TimePassed(), now_s)
        self._watch_memory(now_s)
        if self._leaving is not None:
            self._leave(self._leaving, now_s)
        self._telling.tell(self._state, now_s)

    def next_deadline_s(self, now_s: float) -> float:
        """Return when `turn` wants to be called at the latest."""
        due_s = min(
            core.next_deadline_s(self._state, now_s),
            self.link.next_deadline_s(),
            self._lines_due_s,
            self._telling.next_deadline_s(),
        )
        return due_s if self._leaving is None else min(due_s, now_s + _RESET_LOOKS_EVERY_S)

    # --- the end ----------------------------------------------------------------------------------------

    def open_relays(self) -> None:
        """Open every relay, whatever state the rest is in; one broken line does not save the others."""
        for connector, lines in self._lines.items():
            _try(f"connector {connector}: the relay line does not follow", partial(lines.relay.set_closed, False))

    def shut_down(self, now_s: float) -> None:
        """Open the relays and tell the co-processor to permit nothing; `link.outgoing()` has the bytes.

        Never raises: the coil is permit AND relay, so what fails must not keep the rest from being withdrawn.
        """
        self.open_relays()
        # The lock stays as it is: nobody waits here for the proof that nothing flows any more (H18).
        held = {connector.section.id: connector.lock.is_driven for connector in self._state.connectors}
        for connector in self._lines:
            nothing = PilotCommand(connector, PilotOutput.X1, Amps(0.0), permit=False, is_locked=held[connector])
            _try(f"connector {connector}: the permit is not withdrawn", partial(self.link.command, nothing, now_s))
        for connector, lines in self._lines.items():
            if lines.rcm_test is not None:
                _try(f"connector {connector}: the RCM test line", partial(lines.rcm_test.set_active, False))
            if lines.led is not None:
                _try(f"connector {connector}: the LED", partial(lines.led.show, 0.0, 0.0, 0.0))

    def _begin_reset(self, message: ResetGuard, now_s: float) -> None:
        """Take the pilot away at once and let go of every car in order; a second request changes nothing.

        The core goes on being asked until the end: a trip on the way opens at once and is latched (H19).
        """
        if self._leaving is None:
            self._leaving = _Leaving(stop_until_s=now_s + STOPPED_WITHIN_S)
            self._feed(LeaveOrdered(), now_s)
            self._record(Record(EventKind.NOTICE, detail="reset: cars stop, then the co-processor starts again"), now_s)
        self._emit(Reply(message.request, is_accepted=True))

    def _leave(self, leaving: _Leaving, now_s: float) -> None:
        """Restart the co-processor once nothing is driven; end once it is starting and the contacts are open."""
        connectors = self._state.connectors
        if leaving.over_by_s is None:
            is_late = now_s >= leaving.stop_until_s
            if is_late:
                self.shut_down(now_s)
            if is_late or not any(connector.contactor.is_driven for connector in connectors):
                leaving.over_by_s = now_s + RESTART_WITHIN_S
                self.link.reset()
            return
        is_open = all(connector.contactor.is_closed is not True for connector in connectors)
        self.is_over = now_s >= leaving.over_by_s or (is_open and leaving.has_link_gone)

    # --- the core and its effects -----------------------------------------------------------------------

    def _feed(self, event: GuardInput, now_s: float) -> None:
        if self._leaving is not None and self._leaving.over_by_s is not None and isinstance(event, LinkDown):
            # As ordered, so no fault.
            self._leaving.has_link_gone = True
            return
        self._state, effects = core.step(self._state, event, now_s)
        self._apply(effects, now_s)

    def _apply(self, effects: Sequence[GuardEffect], now_s: float) -> None:
        problem = self._drive_all([effect for effect in effects if isinstance(effect, Drive)], now_s)
        remember: Remember | None = None
        for effect in effects:
            if isinstance(effect, Record):
                self._record(effect, now_s)
            elif isinstance(effect, Reply):
                self._emit(effect)
            elif isinstance(effect, ClearCoprocessorLatch):
                self.link.clear_latch(effect.connector)
            elif isinstance(effect, Remember):
                remember = effect
        if remember is not None:
            self._state_file.save(remember)
        if problem is not None:
            raise problem

    def _drive_all(self, drives: Sequence[Drive], now_s: float) -> Exception | None:
        """Drive the outputs; after a line has failed everything is off, and the caller raises when all is told."""
        try:
            for drive in drives:
                if not drive.is_relay_closed:
                    self._lines[drive.connector].relay.set_closed(False)
            for drive in drives:
                self._drive(drive, now_s)
        except Exception as error:  # noqa: BLE001 - the pin factory's own exceptions
            self.shut_down(now_s)
            return error
        return None

    def _drive(self, drive: Drive, now_s: float) -> None:
        lines = self._lines[drive.connector]
        self.link.command(drive.pilot, now_s)
        if lines.rcm_test is not None:
            lines.rcm_test.set_active(drive.is_rcm_test_active)
        if drive.is_relay_closed:
            lines.relay.set_closed(True)

    def _take_link_events(self, events: Iterable[LinkEvent], now_s: float) -> None:
        for event in events:
            if isinstance(event, LinkNoticed):
                if self._throttle.admits(f"link {event.code}", now_s):
                    _log.info("co-processor: %s (connector %s): %s", event.code, event.connector, event.detail)
            else:
                self._feed(event, now_s)

    def _watch_memory(self, now_s: float) -> None:
        """Tell the agent once when saving begins to fail; a person should know before the power goes."""
        problem = self._state_file.problem
        if problem and not self._is_forgetful:
            detail = f"latches and closings cannot be remembered, trying again: {problem}"
            self._record(Record(EventKind.NOTICE, detail=detail), now_s)
        self._is_forgetful = bool(problem)

    # --- messages ---------------------------------------------------------------------------------------

    def _record(self, record: Record, now_s: float) -> None:
        self._last_number += 1
        event = GuardEvent(
            number=self._last_number,
            at_s=now_s,
            kind=record.kind,
            connector=record.connector,
            plug_id=record.plug_id,
            fault=record.fault,
            detail=record.detail[:_DETAIL_LENGTH],
        )
        self._ring.add(event)
        self._emit(event)
        log_event(record, self._throttle, now_s)

    def _welcome(self, hello: Hello) -> None:
        last_event = hello.last_event if hello.guard_id == self._guard_id else 0
        welcome = Welcome(
            version=CHANNEL_VERSION,
            guard_id=self._guard_id,
            boot_id=self._boot_id,
            board=PurePath(self._board.board.name).stem[:_NAME_LENGTH],
            connectors=tuple(
                ConnectorRating(
                    section.id,
                    section.max_a,
                    section.phases,
                    section.cable is Cable.FIXED,
                    section.lock is not Lock.NONE,
                )
                for section in self._board.connector
            ),
            events=self._ring.after(last_event),
        )
        self._emit(welcome)

    def _refuse_connector(self, message: AgentMessage, connector: int, now_s: float) -> None:
        if isinstance(message, ClearFault):
            self._emit(Reply(message.request, is_accepted=False, reason=f"there is no connector {connector}"))
        elif isinstance(message, Unlock):
            self._emit(Reply(message.request, is_accepted=False, reason=UnlockOutcome.NOT_SUPPORTED.value))
        elif self._throttle.admits("connector", now_s):
            _log.warning("the agent speaks of connector %d, which this board does not have", connector)


def _try(what: str, action: Callable[[], None]) -> None:
    """Do one of several things that must all be tried."""
    try:
        action()
    except Exception as error:  # noqa: BLE001 - the pin factory's own exceptions; the next output matters more
        _log.critical("%s: %s", what, error)
