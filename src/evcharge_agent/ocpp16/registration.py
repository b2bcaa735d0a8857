"""Registering with the central system and keeping its time: BootNotification and Heartbeat, the shells."""

import asyncio
from collections.abc import Callable
from typing import Protocol

import structlog
from ocpp.v16 import call

from evcharge_agent.ocpp16.boot import Boot, Registration
from evcharge_agent.ocpp16.errors import CallFailedError, LinkClosedError
from evcharge_agent.ocpp16.keys import Configuration, Station
from evcharge_agent.ocpp16.link import Link
from evcharge_agent.ocpp16.stamps import believable_utc_s
from evcharge_agent.ocpp16.translate import boot_notification
from evcharge_agent.ocpp16.waiting import Signal
from evcharge_agent.runtime.clock import Clock
from evcharge_agent.settings.catalogue import ocpp_entries
from evcharge_agent.settings.declare import bounds_of
from evcharge_agent.store.errors import StoreError

SYNC_EVERY_S = 86_400.0
"""The time is asked for at least daily, even where other traffic makes Heartbeats superfluous."""
CLOCK_TOLERANCE_S = 1.0
"""Stamps have whole seconds at some central systems: a smaller difference is no reason to move the clock."""
HEARTBEAT_RETRY_S = 10.0
_HEARTBEAT_INTERVAL = "HeartbeatInterval"

_LOG = structlog.get_logger(__name__)


class StampCorrector(Protocol):
    """Corrects stamps taken before the time was known; the store satisfies it."""

    async def correct_stamps(self, moved_s: float, *, offset_s: float | None = None) -> int:
        """Shift the untrusted stamps of this boot."""
        ...


class TimeKeeper:
    """Sets the wall clock from what the central system says (DESIGN D9, rule 6)."""

    def __init__(self, clock: Clock, stamps: StampCorrector) -> None:
        self._clock = clock
        self._stamps = stamps
        self.last_sync_s: float | None = None
        """Monotonic time of the last believable answer."""

    async def learn(self, current_time: str, asked_s: float) -> None:
        """Take in `currentTime` of an answer that has just arrived to a question of monotonic `asked_s`.

        Nobody says when in between the stamp was made, so a slow answer moves the clock only by more than that.
        """
        utc_s = believable_utc_s(current_time)
        if utc_s is None:
            _LOG.warning("ocpp_time_not_believed", current_time=current_time[:40])
            return
        now = self._clock.now()
        self.last_sync_s = now.monotonic_s
        is_first = not now.is_utc_trusted
        tolerance_s = CLOCK_TOLERANCE_S + now.monotonic_s - asked_s
        if not is_first and abs(utc_s - now.utc_s) < tolerance_s:
            return
        moved_s = self._clock.learn_utc(utc_s)
        _LOG.info("ocpp_time_learned", moved_s=round(moved_s, 3))
        if is_first:
            try:
                await self._stamps.correct_stamps(moved_s, offset_s=utc_s - now.monotonic_s)
            except StoreError as error:
                _LOG.error("ocpp_stamps_not_corrected", reason=error.reason)


class Registrar:
    """Sends BootNotification until it is accepted, then Heartbeats. `on_change`: the registration changed."""

    def __init__(
        self,
        link: Link,
        clock: Clock,
        configuration: Configuration,
        station: Station,
        time_keeper: TimeKeeper,
        on_change: Callable[[], None],
    ) -> None:
        self._link = link
        self._clock = clock
        self._configuration = configuration
        self._station = station
        self._time = time_keeper
        self._on_change = on_change
        self._woken = Signal()
        self.boot = Boot()

    @property
    def is_accepted(self) -> bool:
        """The central system has accepted this run of the charger."""
        return self.boot.is_accepted

    def may_answer(self) -> bool:
        """Requests of the central system are answered."""
        return self.boot.may_answer(self._now_s())

    def settings_changed(self) -> None:
        """Put a new HeartbeatInterval to work."""
        self._woken.notify()

    async def run(self) -> None:
        """Register until accepted, then beat, for ever."""
        while True:
            await self._link.changed.wait_until(lambda: self._link.is_connected)
            due_s = self.boot.due_s if self.boot.due_s is not None else self._next_beat_s()
            wait_s = due_s - self._now_s()
            if wait_s > 0.0:
                # Woken by settings, and by a boot that was asked for and answered meanwhile.
                await self._woken.wait(wait_s)
            elif self.boot.due_s is not None:
                await self.register()
            elif not await self.beat():
                await asyncio.sleep(HEARTBEAT_RETRY_S)

    async def register(self) -> None:
        """Send BootNotification now, because it is due or was asked for."""
        asked_s = self._now_s()
        try:
            answer = await self._link.call(boot_notification(self._station))
        except LinkClosedError:
            return  # the next connection is the next chance
        except CallFailedError:
            self.boot = self.boot.unanswered(self._now_s())
            return
        await self._time.learn(answer.current_time, asked_s)
        self.boot = self.boot.answered(Registration(answer.status), answer.interval, self._now_s())
        _LOG.info("ocpp_boot_answered", status=self.boot.registration.value, interval_s=answer.interval)
        if self.boot.is_accepted and answer.interval > 0:
            await self._adopt_interval(answer.interval)
        self._woken.notify()
        self._on_change()

    async def _adopt_interval(self, interval_s: int) -> None:
        """BootNotification.conf overrides HeartbeatInterval (OCPP 1.6, 4.2), within the bounds of the key."""
        bounds = bounds_of(ocpp_entries()[_HEARTBEAT_INTERVAL.casefold()].info)
        lowest_s, highest_s = int(bounds.ge or interval_s), int(bounds.le or interval_s)
        taken_s = min(max(interval_s, lowest_s), highest_s)
        if taken_s != interval_s:
            _LOG.warning("ocpp_boot_interval_bounded", interval_s=interval_s, taken_s=taken_s)
        if taken_s != self._configuration.connection.keys.heartbeat_interval_s:
            await self._configuration.change(_HEARTBEAT_INTERVAL, str(taken_s))

    async def beat(self) -> bool:
        """Send a Heartbeat now, because it is due or was asked for; False when it was not answered."""
        asked_s = self._now_s()
        try:
            answer = await self._link.call(call.Heartbeat())
        except CallFailedError:
            return False
        await self._time.learn(answer.current_time, asked_s)
        return True

    def _next_beat_s(self) -> float:
        """Any answered call shows that both sides live; only the time must be asked for now and then."""
        interval_s = self._configuration.connection.keys.heartbeat_interval_s
        quiet_since_s = max(self._link.last_answer_s or 0.0, self._time.last_sync_s or 0.0)
        synced_s = self._time.last_sync_s or 0.0
        return min(quiet_since_s + interval_s, synced_s + SYNC_EVERY_S)

    def _now_s(self) -> float:
        return self._clock.now().monotonic_s
