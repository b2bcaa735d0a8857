"""ExtendedTriggerMessage of the security white paper: TriggerMessage for more messages, on without RemoteTrigger."""

from collections.abc import Callable, Mapping

from ocpp.v16 import call_result
from ocpp.v16.enums import Action, MessageTrigger, TriggerMessageStatus

from evcharge_agent.core.events import Event
from evcharge_agent.ocpp16.profile import Feature, Handler, Reply, Send
from evcharge_agent.ocpp16.trigger_profile import Sources, TriggerProfile

SIGNED_FIRMWARE_STATUS = "SignedFirmwareStatusNotification"
"""What FirmwareStatusNotification means here: the white paper's message, whether or not the plain one is supported."""


class ExtendedTriggerProfile(TriggerProfile):
    """As `TriggerProfile`."""

    def __init__(self, sources: Sources, post: Callable[[Event], None], others: Mapping[str, Send]) -> None:
        """Take `others`: messages of other profiles, by name."""
        plain: str = MessageTrigger.firmware_status_notification.value
        known = {name: send for name, send in others.items() if name != plain}
        if SIGNED_FIRMWARE_STATUS in known:
            known[plain] = known[SIGNED_FIRMWARE_STATUS]
        super().__init__(sources, post, known)

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
