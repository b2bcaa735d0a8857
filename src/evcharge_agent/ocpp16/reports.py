"""StatusNotifications and samples outside transactions: sent while connected, never queued on disk."""

import asyncio
from collections import deque
from typing import Protocol

import structlog

from evcharge_agent.core.effects import ConnectorState, ReportStatus
from evcharge_agent.core.facts import MeterSample
from evcharge_agent.ocpp16.errors import CallFailedError, LinkClosedError
from evcharge_agent.ocpp16.keys import Station
from evcharge_agent.ocpp16.line import Line
from evcharge_agent.ocpp16.statuses import StatusBook
from evcharge_agent.ocpp16.translate import meter_values, status_notification
from evcharge_agent.ocpp16.waiting import Signal
from evcharge_agent.runtime.clock import Clock

MAX_SAMPLES = 64
SENDS = 3
"""A status is no transaction message: after this many refusals the next change is the next chance."""
RETRY_S = 10.0
STOP_FIRST_WITHIN_S = 5.0
"""How long a state that follows a StopTransaction lets it go first."""

_AFTER_STOP = frozenset({ConnectorState.FINISHING, ConnectorState.AVAILABLE, ConnectorState.UNAVAILABLE})
_LOG = structlog.get_logger(__name__)


class Settled(Protocol):
    """Waits for the outbox to be drained as far as it can be."""

    async def __call__(self, within_s: float) -> None:
        """Return when it is, or after `within_s`."""
        ...


class Reporter:
    """Tells the central system the state of every connector, and changes only (rule 8)."""

    def __init__(self, line: Line, clock: Clock, station: Station, settled: Settled) -> None:
        self._line = line
        self._clock = clock
        self._station = station
        self._settled = settled
        self._book = StatusBook()
        self._samples: deque[MeterSample] = deque(maxlen=MAX_SAMPLES)
        self._is_online = False
        self._work = Signal()

    def report(self, report: ReportStatus) -> None:
        """Take in a change of state."""
        self._book = self._book.reported(report, is_online=self._is_online)
        self._work.notify()

    @property
    def connectors(self) -> tuple[int, ...]:
        """Connectors whose state is known, 0 among them, in order."""
        return tuple(sorted(self._book.latest))

    async def tell(self, connector: int) -> None:
        """Send a connector's state now, because it was asked for; what is owed is owed all the same."""
        report = self._book.latest[connector]
        try:
            await self._line.call(status_notification(report, self._station, self._began_utc_s(report)))
        except CallFailedError as error:
            _LOG.warning("ocpp_status_refused", connector=connector, reason=str(error), sends=1)

    def add_sample(self, sample: MeterSample) -> None:
        """Take in a sample outside any transaction; nobody misses it while there is no connection."""
        if self._is_online:
            self._samples.append(sample)
            self._work.notify()

    def line_changed(self, *, is_online: bool) -> None:
        """Calls may be made, or may no longer."""
        if is_online == self._is_online:
            return
        self._is_online = is_online
        self._samples.clear()
        self._book = self._book.went_online() if is_online else self._book.went_offline()
        self._work.notify()

    async def run(self) -> None:
        """Send what is owed, for ever."""
        while True:
            await self._line.ready()
            if self._book.queue:
                await self._send_status(self._book.queue[0])
            elif self._samples:
                await self._send_sample(self._samples.popleft())
            else:
                await self._work.wait()

    async def _send_status(self, report: ReportStatus) -> None:
        # Also after a boot: a power cut may have ended a transaction, or a whole one been charged before acceptance.
        if report.state in _AFTER_STOP and report.connector > 0:
            await self._settled(STOP_FIRST_WITHIN_S)
        for send in range(1, SENDS + 1):
            if not self._is_next(report):
                return
            try:
                await self._line.call(status_notification(report, self._station, self._began_utc_s(report)))
            except LinkClosedError:
                return
            except CallFailedError as error:
                _LOG.warning("ocpp_status_refused", connector=report.connector, reason=str(error), sends=send)
                await asyncio.sleep(RETRY_S)
            else:
                break
        self._book = self._book.delivered(report)

    async def _send_sample(self, sample: MeterSample) -> None:
        payload = meter_values(sample, None)
        if payload is None:
            return
        try:
            await self._line.call(payload)
        except CallFailedError as error:
            _LOG.warning("ocpp_sample_lost", connector=sample.connector, reason=str(error))

    def _is_next(self, report: ReportStatus) -> bool:
        """The connection may have gone and come back meanwhile, and with it the queue."""
        return bool(self._book.queue) and self._book.queue[0] is report

    def _began_utc_s(self, report: ReportStatus) -> float:
        """By the monotonic distance: a stamp from before the first time sync comes out right too (rule 6)."""
        now = self._clock.now()
        return now.utc_s - (now.monotonic_s - report.at.monotonic_s)
