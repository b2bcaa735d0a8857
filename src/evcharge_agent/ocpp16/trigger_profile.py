"""Remote Trigger profile: the central system asks for a message out of turn (OCPP 1.6, 5.17).

The answer goes first, then the message, also while the boot is Pending (rule 7). Messages of other profiles can be
asked for while these are supported.
"""

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Protocol

from ocpp.v16 import call_result
from ocpp.v16.enums import Action, MessageTrigger, TriggerMessageStatus

from evcharge_agent.core.events import Event, SampleRequested
from evcharge_agent.ocpp16.profile import Feature, Handler, Reply, Send

MAX_ASKED = 64
"""Messages asked for and not sent yet; a central system that asks faster is refused."""


class Sources(Protocol):
    """Where the messages come from. Every send swallows a call that failed: it can be asked for again."""

    @property
    def connectors(self) -> tuple[int, ...]:
        """Known connectors, 0 among them, in order."""
        ...

    @property
    def is_accepted(self) -> bool:
        """The central system has accepted the boot."""
        ...

    async def send_boot(self) -> None:
        """Send BootNotification."""
        ...

    async def send_heartbeat(self) -> None:
        """Send Heartbeat."""
        ...

    async def send_status(self, connector: int) -> None:
        """Send the connector's StatusNotification."""
        ...


class TriggerProfile:
    """Handlers of the Remote Trigger profile, and the task that sends what was asked for."""

    def __init__(self, sources: Sources, post: Callable[[Event], None], others: Mapping[str, Send]) -> None:
        """Take `others`: messages of other profiles, by name."""
        self._sources = sources
        self._post = post
        self._others = others
        self._asked: asyncio.Queue[Send] = asyncio.Queue(MAX_ASKED)

    @property
    def feature(self) -> Feature | None:
        """RemoteTrigger."""
        return Feature.REMOTE_TRIGGER

    @property
    def triggers(self) -> Mapping[str, Send]:
        """None of its own."""
        return {}

    @property
    def handlers(self) -> Mapping[str, Handler]:
        """By action."""
        return {Action.trigger_message: self._trigger}

    async def run(self) -> None:
        """Send what was asked for, in order, for ever."""
        while True:
            send = await self._asked.get()
            await send()

    async def _trigger(self, payload: Mapping[str, Any]) -> Reply:
        connector = payload.get("connector_id")
        if connector is not None and connector not in self._sources.connectors:
            return self._reply(TriggerMessageStatus.rejected)
        match payload["requested_message"]:
            case MessageTrigger.boot_notification:
                return self._queue(self._sources.send_boot)
            case MessageTrigger.heartbeat:
                return self._queue(self._sources.send_heartbeat)
            case MessageTrigger.status_notification:
                wanted = self._sources.connectors if connector is None else (connector,)
                return self._queue(*(partial(self._sources.send_status, number) for number in wanted))
            case MessageTrigger.meter_values:
                return self._sample(connector)
            case other if other in self._others:
                return self._queue(self._others[other])
            case _:
                return self._reply(TriggerMessageStatus.not_implemented)

    def _queue(self, *sends: Send) -> Reply:
        if self._asked.qsize() + len(sends) > MAX_ASKED:
            return self._reply(TriggerMessageStatus.rejected)
        return self._reply(TriggerMessageStatus.accepted, lambda: self._enqueue(sends))

    def _enqueue(self, sends: tuple[Send, ...]) -> None:
        for send in sends:
            if not self._asked.full():
                self._asked.put_nowait(send)

    def _sample(self, connector: int | None) -> Reply:
        """The station has no meter of its own; samples of a transaction belong to a boot that was accepted."""
        if connector == 0 or not self._sources.is_accepted:
            return self._reply(TriggerMessageStatus.rejected)
        return self._reply(TriggerMessageStatus.accepted, lambda: self._post(SampleRequested(connector)))

    def _reply(self, status: TriggerMessageStatus, then: Callable[[], None] | None = None) -> Reply:
        return Reply(call_result.TriggerMessage(status=status), then)
