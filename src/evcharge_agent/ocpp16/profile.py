"""How a feature profile plugs in: one file for each, holding the handlers of its actions."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from evcharge_agent.ocpp16.envelope import ErrorCode
from evcharge_hal.contract.errors import EvchargeError


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


class Profile(Protocol):
    """One feature profile."""

    @property
    def handlers(self) -> Mapping[str, Handler]:
        """By the action's OCPP name."""
        ...


def handlers_of(profiles: Iterable[Profile]) -> Mapping[str, Handler]:
    """All handlers of the profiles; an action belongs to exactly one of them."""
    return {action: handler for profile in profiles for action, handler in profile.handlers.items()}
