"""Security events: every one into the security log, all to the central system, the critical ones for certain (A04).

What is critical waits on a shelf until the central system has confirmed it, over restarts and outages, in order.
What is not waits in memory and is given up after a few attempts. The same thing again and again is told once, with
the number of repetitions: a log that an intruder can flood shows nothing.
"""

import asyncio
import json
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace

import structlog
from ocpp.v16 import call

from evcharge_agent.core.facts import Instant
from evcharge_agent.ocpp16.errors import CallFailedError, CallRefusedError, LinkClosedError
from evcharge_agent.ocpp16.line import Line
from evcharge_agent.ocpp16.security.log import MAX_INFO_LENGTH, SecurityLog
from evcharge_agent.ocpp16.security.memory import Shelves
from evcharge_agent.ocpp16.security.ports import SecurityEvent
from evcharge_agent.ocpp16.stamps import to_stamp
from evcharge_agent.ocpp16.waiting import Signal
from evcharge_agent.runtime.clock import Clock
from evcharge_agent.settings.ocpp_section import SecurityEventNames
from evcharge_agent.store.errors import StoreError

SHELF = "security_events"
MAX_CRITICAL = 1000
"""Critical events that wait; beyond, the oldest is only in the log."""
MAX_OTHERS = 64
ATTEMPTS = 3
"""Of an event that is not critical."""
RETRY_S = (60.0, 600.0, 3600.0)
"""Wait before the next attempt; the last one from then on. Heartbeats come between: a central system that never answers
these messages is not taken for a dead line."""
BURST = 10
"""Equal events in a row that are told singly."""
REPEAT_S = 60.0
"""After that, one in this time."""
TIME_STEP_S = 1.0
"""A smaller step of the clock is no event."""
TIME_REPEAT_S = 600.0
_RARE = {SecurityEvent.SETTING_SYSTEM_TIME: TIME_REPEAT_S, SecurityEvent.MEMORY_EXHAUSTION: 3600.0}
"""Critical, and yet what a fault would repeat for ever: one in this time, seconds."""

_EDITION_4 = {SecurityEvent.FAILED_TO_AUTHENTICATE: "FailedToAuthenticateAtCentralSystem"}
_LOG = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Happened:
    """One event."""

    event: SecurityEvent
    detail: str
    at: Instant
    boot_id: str
    name: str = ""
    """On the shelf; empty: not there."""
    attempts: int = 0


@dataclass(slots=True)
class Rate:
    """How often one kind of event happened."""

    left: float
    at_s: float
    untold: int = 0


def spelled(event: SecurityEvent, names: SecurityEventNames) -> str:
    """The event's name in an edition of the white paper."""
    return _EDITION_4.get(event, event.value) if names is SecurityEventNames.EDITION_4 else event.value


class SecurityEvents:
    """The `EventSink`. Run `run` always, `deliver` where there is a central system."""

    def __init__(self, log: SecurityLog | None, shelves: Shelves | None, clock: Clock, boot_id: str) -> None:
        self._log = log
        self._shelves = shelves
        self._clock = clock
        self._boot_id = boot_id
        self._fresh: asyncio.Queue[Happened] = asyncio.Queue()
        self._waiting: deque[Happened] = deque()
        self._woken = Signal()
        self._rates: dict[SecurityEvent, Rate] = {}
        self._number = 0
        self._is_taken_up = False
        self._is_inspected = False

    def report(self, event: SecurityEvent, detail: str = "") -> None:
        """Take note of what has just happened; from the event loop only."""
        if event in _RARE:
            untold = self._untold(event, 1, _RARE[event])
        else:
            untold = 0 if event.is_critical else self._untold(event, BURST, REPEAT_S)
        if untold is None:
            return
        if untold:
            detail = f"{detail} (and {untold} more before)".lstrip()
        self._fresh.put_nowait(Happened(event, detail[:MAX_INFO_LENGTH], self._clock.now(), self._boot_id))

    def time_moved(self, moved_s: float) -> None:
        """Report that the clock was set, when it was worth it."""
        if abs(moved_s) > TIME_STEP_S:
            self.report(SecurityEvent.SETTING_SYSTEM_TIME, f"moved by {moved_s:.0f} s")

    async def settle(self, within_s: float) -> None:
        """Return when all that was reported is on the disk, at the latest after `within_s`."""
        try:
            async with asyncio.timeout(within_s):
                await self._fresh.join()
        except TimeoutError:
            _LOG.warning("security_events_not_written")

    @property
    def waiting(self) -> int:
        """Events the central system has not confirmed."""
        return len(self._waiting)

    # --- into the log and onto the shelf ------------------------------------------------------------------

    async def run(self) -> None:
        """Write down what is reported, for ever."""
        await self._inspect_log()  # before anything is added to it
        await self._take_up()
        while True:
            happened = await self._fresh.get()
            try:
                await self._write(happened)
            finally:
                self._fresh.task_done()

    async def _inspect_log(self) -> None:
        """Report, once a start, what somebody or something did to the log meanwhile."""
        if self._log is None or self._is_inspected:
            return
        self._is_inspected = True
        try:
            damage = await asyncio.to_thread(self._log.inspect)
        except OSError as error:
            _LOG.error("security_log_not_read", reason=str(error))
            return
        if damage is not None:
            is_cleared = damage.is_all_gone
            event = SecurityEvent.SECURITY_LOG_WAS_CLEARED if is_cleared else SecurityEvent.TAMPER_DETECTION_ACTIVATED
            self.report(event, damage.words)

    async def _take_up(self) -> bool:
        """Take up what an earlier run left, once; False while the shelf cannot be read."""
        if self._shelves is None or self._is_taken_up:
            return True
        try:
            texts = await self._shelves.kept(SHELF)
        except StoreError as error:
            _LOG.warning("security_events_not_read", reason=error.reason)
            return False
        left = [happened for name, text in texts.items() if (happened := _read(name, text)) is not None]
        self._waiting.extendleft(reversed(left))
        self._number = max((int(name) for name in texts if name.isdecimal()), default=0)
        self._is_taken_up = True
        if left:
            # Written one after the other: only the last can have been cut off between shelf and log.
            await asyncio.to_thread(self._append, left[-1], is_only_if_missing=True)
        self._woken.notify()
        return True

    async def _write(self, happened: Happened) -> None:
        _LOG.info("security_event", kind=happened.event.value, detail=happened.detail)
        if happened.event.is_critical:
            # Before the log: what stands there has been told or is going to be, whatever happens in between.
            happened = await self._shelve(happened)
        await asyncio.to_thread(self._append, happened)
        self._waiting.append(happened)
        await self._bound()
        self._woken.notify()

    def _append(self, happened: Happened, *, is_only_if_missing: bool = False) -> None:
        """Write to the log. Blocks."""
        at, kind, detail = happened.at, happened.event.value, happened.detail
        if self._log is None:
            return
        try:
            if not (is_only_if_missing and self._log.holds(kind, detail, at.utc_s)):
                self._log.append(kind, detail, at.utc_s, is_time_known=at.is_utc_trusted)
        except OSError as error:
            _LOG.error("security_log_not_written", reason=str(error))

    async def _shelve(self, happened: Happened) -> Happened:
        if not await self._take_up():
            return happened  # its number could be that of one that waits there
        self._number += 1
        happened = replace(happened, name=f"{self._number:016d}")
        if self._shelves is not None:
            try:
                await self._shelves.keep(SHELF, {happened.name: _text(happened)})
            except StoreError as error:
                _LOG.error("security_event_not_kept", kind=happened.event.value, reason=error.reason)
        return happened

    async def _bound(self) -> None:
        for is_critical, limit in ((True, MAX_CRITICAL), (False, MAX_OTHERS)):
            kind = [one for one in self._waiting if one.event.is_critical is is_critical]
            for old in kind[: max(len(kind) - limit, 0)]:
                _LOG.warning("security_event_not_told", kind=old.event.value)
                await self._forget(old)

    # --- to the central system ----------------------------------------------------------------------------

    async def deliver(self, line: Line, names: Callable[[], SecurityEventNames]) -> None:
        """Send what waits, oldest first, for ever."""
        while True:
            await self._woken.wait_until(lambda: bool(self._waiting) and names() is not SecurityEventNames.OFF)
            await line.ready()
            if self._waiting:
                pause_s = await self._send(line, self._waiting[0], names())
                await asyncio.sleep(pause_s)

    async def _send(self, line: Line, happened: Happened, names: SecurityEventNames) -> float:
        """Send one; return how long to wait before the next attempt."""
        message = call.SecurityEventNotification(
            type=spelled(happened.event, names),
            timestamp=to_stamp(self._utc_s(happened)),
            tech_info=happened.detail or None,
        )
        try:
            await line.call(message)
        except LinkClosedError:
            return 0.0  # being offline is no attempt
        except CallFailedError as error:
            return await self._note_failure(happened, error)
        await self._forget(happened)
        return 0.0

    async def _note_failure(self, happened: Happened, error: CallFailedError) -> float:
        attempts = happened.attempts + 1
        _LOG.info("security_event_refused", kind=happened.event.value, attempts=attempts, reason=str(error))
        is_unknown = isinstance(error, CallRefusedError) and error.code in {"NotImplemented", "NotSupported"}
        if not happened.event.is_critical and (is_unknown or attempts >= ATTEMPTS):
            await self._forget(happened)
            return 0.0
        if self._waiting and self._waiting[0] == happened:
            self._waiting[0] = replace(happened, attempts=attempts)
        return RETRY_S[-1] if is_unknown else RETRY_S[min(attempts, len(RETRY_S)) - 1]

    async def _forget(self, happened: Happened) -> None:
        if happened in self._waiting:
            self._waiting.remove(happened)
        if happened.name and self._shelves is not None:
            try:
                await self._shelves.keep(SHELF, {}, (happened.name,))
            except StoreError as error:
                _LOG.warning("security_event_not_removed", reason=error.reason)

    def _utc_s(self, happened: Happened) -> float:
        """Correct a stamp that was taken before the time was known, in this boot."""
        now = self._clock.now()
        at = happened.at
        if at.is_utc_trusted or not now.is_utc_trusted or happened.boot_id != self._boot_id:
            return at.utc_s
        return now.utc_s - (now.monotonic_s - at.monotonic_s)

    def _untold(self, event: SecurityEvent, burst: int, repeat_s: float) -> int | None:
        """Spend one of the event's budget: how many were not told before it, None when this one is not either."""
        now_s = self._clock.now().monotonic_s
        rate = self._rates.setdefault(event, Rate(float(burst), now_s))
        rate.left = min(float(burst), rate.left + (now_s - rate.at_s) / repeat_s)
        rate.at_s = now_s
        if rate.left < 1.0:
            rate.untold += 1
            return None
        rate.left -= 1.0
        untold, rate.untold = rate.untold, 0
        return untold


def _text(happened: Happened) -> str:
    at = happened.at
    return json.dumps(
        [happened.event.value, happened.detail, at.monotonic_s, at.utc_s, at.is_utc_trusted, happened.boot_id]
    )


def _read(name: str, text: str) -> Happened | None:
    """Read what `_text` wrote; None for anything else, as another version may have left it."""
    try:
        event, detail, monotonic_s, utc_s, is_trusted, boot_id = json.loads(text)
        at = Instant(float(monotonic_s), float(utc_s), is_utc_trusted=bool(is_trusted))
        to_stamp(at.utc_s)
        return Happened(SecurityEvent(event), str(detail)[:MAX_INFO_LENGTH], at, str(boot_id), name)
    except (ValueError, TypeError, OverflowError):
        _LOG.warning("security_event_not_readable", name=name)
        return None
