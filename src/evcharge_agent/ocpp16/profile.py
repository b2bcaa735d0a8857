"""How a feature profile plugs in: one file for each, holding the handlers of its actions."""

import asyncio
import enum
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from evcharge_agent.core.effects import Answer
from evcharge_agent.core.events import Event, RequestId
from evcharge_agent.ocpp16.envelope import ErrorCode
from evcharge_agent.ocpp16.keys import Configuration, Station
from evcharge_agent.ocpp16.line import Line
from evcharge_agent.runtime.clock import Clock
from evcharge_agent.runtime.inbox import Inbox
from evcharge_hal.contract.errors import EvchargeError

DECIDE_WITHIN_S = 10.0
"""The core decides at once; a loop too busy for this long refuses rather than keeping the asker waiting."""


class Feature(enum.Enum):
    """A feature profile of OCPP 1.6; the values are those of `SupportedFeatureProfiles`."""

    CORE = "Core"
    FIRMWARE_MANAGEMENT = "FirmwareManagement"
    LOCAL_AUTH_LIST = "LocalAuthListManagement"
    RESERVATION = "Reservation"
    SMART_CHARGING = "SmartCharging"
    REMOTE_TRIGGER = "RemoteTrigger"


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to a request, and what to do once it has been sent: answer first, act after."""

    payload: object
    """A payload class of `ocpp.v16.call_result`."""
    then: Callable[[], None] | None = None


class RequestRefusedError(EvchargeError):
    """Raised by a handler: the request is answered with a CALLERROR."""

    def __init__(self, code: ErrorCode, description: str) -> None:
        super().__init__(description)
        self.code = code
        self.description = description


Handler = Callable[[Mapping[str, Any]], Awaitable[Reply]]
"""Takes the payload with snake_case names, already valid by its schema. Must never make a call itself."""

Send = Callable[[], Awaitable[None]]
"""Sends one message now. Swallows a call that failed: it can be asked for again."""


def _stay(_: str) -> None:
    """There is no connection to end."""


@dataclass(frozen=True, slots=True)
class Context:
    """What a feature profile works with."""

    inbox: Inbox
    configuration: Configuration
    station: Station
    clock: Clock
    line: Line
    is_accepted: Callable[[], bool]
    """The central system has accepted the boot."""
    reconnect: Callable[[str], None] = _stay
    """End the connection, for this reason, once what was asked has been answered; a new one is made."""

    async def ask(self, build: Callable[[RequestId], Event]) -> Answer | None:
        """Ask the core; None when it is too busy."""
        try:
            async with asyncio.timeout(DECIDE_WITHIN_S):
                return await self.inbox.ask(build)
        except TimeoutError:
            return None


class Profile(Protocol):
    """One feature profile."""

    @property
    def feature(self) -> Feature | None:
        """What switches it on and off; None is always on (the security white paper)."""
        ...

    @property
    def handlers(self) -> Mapping[str, Handler]:
        """By the action's OCPP name."""
        ...

    @property
    def triggers(self) -> Mapping[str, Send]:
        """Messages of its own that a central system can ask for, by the name TriggerMessage knows them under."""
        ...

    async def run(self) -> None:
        """Do its work beside the handlers until cancelled; returns at once where there is none."""
        ...


MakeProfile = Callable[[Context], Profile]


def is_supported(feature: Feature, features: str) -> bool:
    """Whether `SupportedFeatureProfiles` names it."""
    return feature.value.casefold() in {name.strip().casefold() for name in features.split(",")}


def supported(profiles: Iterable[Profile], features: str) -> tuple[Profile, ...]:
    """Those that `SupportedFeatureProfiles` names; Core is no option."""
    names = {name.strip().casefold() for name in f"{Feature.CORE.value},{features}".split(",")}
    return tuple(one for one in profiles if one.feature is None or one.feature.value.casefold() in names)


def handlers_of(profiles: Iterable[Profile]) -> Mapping[str, Handler]:
    """All handlers of the profiles; an action belongs to exactly one of them."""
    return {action: handler for profile in profiles for action, handler in profile.handlers.items()}


def triggers_of(profiles: Iterable[Profile]) -> Mapping[str, Send]:
    """All messages the profiles can be asked for."""
    return {name: send for profile in profiles for name, send in profile.triggers.items()}
