"""ExtendedTriggerMessage of the security white paper: TriggerMessage for more messages, on without RemoteTrigger."""

from collections.abc import Callable, Mapping

from ocpp.v16 import call_result
from ocpp.v16.enums import Action, TriggerMessageStatus

from evcharge_agent.ocpp16.profile import Feature, Handler, Reply
from evcharge_agent.ocpp16.trigger_profile import TriggerProfile


class ExtendedTriggerProfile(TriggerProfile):
    """As `TriggerProfile`."""

    @property
    def feature(self) -> Feature | None:
        """No option."""
        return None

    @property
    def handlers(self) -> Mapping[str, Handler]:
        """By action."""
        return {Action.extended_trigger_message: self._trigger}

    def _reply(self, status: TriggerMessageStatus, then: Callable[[], None] | None = None) -> Reply:
        return Reply(call_result.ExtendedTriggerMessage(status=status), then)
