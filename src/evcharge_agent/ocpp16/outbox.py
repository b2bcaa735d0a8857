"""Draining the outbox: one transaction message after the other, the oldest first (rule 2 and 3)."""

import asyncio
from collections.abc import Callable
from typing import Any, Protocol

import structlog

from evcharge_agent.core.events import Event, TagInfoLearned, TransactionRegistered
from evcharge_agent.core.facts import IdTagInfo, TransactionStart, TransactionStop
from evcharge_agent.ocpp16.errors import CallFailedError, LinkClosedError
from evcharge_agent.ocpp16.keys import Configuration
from evcharge_agent.ocpp16.line import Line
from evcharge_agent.ocpp16.outbox_policy import Retry, decide_next
from evcharge_agent.ocpp16.translate import id_tag_info, transaction_call
from evcharge_agent.ocpp16.waiting import Signal
from evcharge_agent.store.errors import StoreError
from evcharge_agent.store.records import OutboxMessage

STORE_RETRY_S = 10.0

_LOG = structlog.get_logger(__name__)


class Outbox(Protocol):
    """The durable queue; the store satisfies it. Every operation may raise `StoreError`."""

    changed: asyncio.Event
    """Set when a message was queued; the one who drains the queue clears it."""

    async def oldest(self) -> OutboxMessage | None:
        """The message to send next."""
        ...

    async def count_attempt(self, sequence: int) -> int:
        """Count a send in vain; return how many there were."""
        ...

    async def acknowledge(
        self, sequence: int, transaction_id: int | None = None, info: IdTagInfo | None = None
    ) -> bool:
        """Take out a message that was answered."""
        ...

    async def park(self, sequence: int) -> bool:
        """Give a message up."""
        ...


class OutboxSender:
    """Sends transaction messages until they are answered or given up."""

    def __init__(self, outbox: Outbox, line: Line, configuration: Configuration, post: Callable[[Event], None]) -> None:
        self._outbox = outbox
        self._line = line
        self._configuration = configuration
        self._post = post
        self._current: OutboxMessage | None = None
        self._late: asyncio.Future[object] | None = None
        self._is_waiting = False
        self._turned = Signal()

    async def run(self) -> None:
        """Drain, for ever. A store that fails is tried again after a while."""
        while True:
            try:
                await self._step()
            except StoreError as error:
                _LOG.error("ocpp_outbox_unreadable", reason=error.reason)
                await self._pause(STORE_RETRY_S)

    async def settle(self, within_s: float) -> None:
        """Wait until all that is queued now has been sent or cannot be sent at once, at most `within_s`."""
        try:
            async with asyncio.timeout(within_s):
                while not self._is_waiting and await self._outbox.oldest() is not None:
                    await self._turned.wait()
        except (TimeoutError, StoreError):
            return

    def take_late_result(self, message_id: str, result: object) -> None:
        """A result of an earlier send of the current message counts (rule 1); any other is too late."""
        if self._current is not None and self._current.message_id == message_id and self._late is not None:
            if not self._late.done():
                self._late.set_result(result)
        else:
            _LOG.warning("ocpp_result_too_late", message_id=message_id)

    async def _step(self) -> None:
        # Read only when it can be sent: until then stamps are still corrected and transaction ids learned.
        await self._line.ready()
        self._outbox.changed.clear()
        message = await self._outbox.oldest()
        if message is None:
            await self._outbox.changed.wait()
            return
        await self._deliver(message)
        self._turned.notify()

    async def _deliver(self, message: OutboxMessage) -> None:
        keys = self._configuration.connection.keys
        try:
            payload = transaction_call(message, keys.stop_transaction_max_meter_values)
        except (ValueError, OverflowError, OSError) as error:  # the last two: a stamp no calendar has
            _LOG.error("ocpp_message_parked", message_id=message.message_id, reason=str(error))
            await self._outbox.park(message.sequence)
            return
        if payload is None:
            await self._outbox.acknowledge(message.sequence)
            return
        late = asyncio.get_running_loop().create_future()
        self._current, self._late = message, late
        try:
            result = await self._line.call(payload, message.message_id)
        except LinkClosedError:
            return  # time offline, and a line cut before the answer, are no attempt
        except CallFailedError as error:
            result = await self._after_failure(message, late, str(error))
        finally:
            self._current = self._late = None
        if result is not None:
            await self._accept(message, result)

    async def _after_failure(
        self, message: OutboxMessage, late: "asyncio.Future[object]", reason: str
    ) -> object | None:
        """Wait before the next send, or give up; return a result that came late after all."""
        sends = await self._outbox.count_attempt(message.sequence)
        keys = self._configuration.connection.keys
        decision = decide_next(sends, keys.transaction_message_attempts, keys.transaction_message_retry_interval_s)
        if isinstance(decision, Retry):
            _LOG.warning("ocpp_message_waits", message_id=message.message_id, sends=sends, wait_s=decision.after_s)
            return await self._pause(decision.after_s, late)
        if late.done():
            return late.result()
        _LOG.error("ocpp_message_parked", message_id=message.message_id, sends=sends, reason=reason)
        await self._outbox.park(message.sequence)
        return None

    async def _pause(self, wait_s: float, awaited: "asyncio.Future[object] | None" = None) -> object | None:
        """Wait, while others may pass by; return what `awaited` brought meanwhile."""
        self._is_waiting = True
        self._turned.notify()
        try:
            async with asyncio.timeout(wait_s):
                return await (awaited or asyncio.get_running_loop().create_future())
        except TimeoutError:
            return None
        finally:
            self._is_waiting = False

    async def _accept(self, message: OutboxMessage, result: Any) -> None:
        """Durable first, then told to the core."""
        answered = getattr(result, "id_tag_info", None)
        info = None if answered is None else id_tag_info(answered)
        fact = message.fact
        if isinstance(fact, TransactionStart) and info is not None:
            await self._outbox.acknowledge(message.sequence, result.transaction_id, info)
            self._post(TransactionRegistered(message.transaction, result.transaction_id, info))
            return
        await self._outbox.acknowledge(message.sequence, info=info)
        if isinstance(fact, TransactionStop) and fact.id_tag is not None and info is not None:
            self._post(TagInfoLearned(fact.id_tag, info))
