"""What the embedded central system is told of firmware, diagnostics and logs: taken in and answered."""

from collections.abc import Callable
from typing import Any, TypeVar, cast

from ocpp import routing
from ocpp.v16 import call_result
from ocpp.v16.enums import Action

F = TypeVar("F", bound=Callable[..., Any])


def _on(action: Action) -> Callable[[F], F]:
    """The library's decorator, typed."""
    return cast("Callable[[F], F]", routing.on(action))


class FileNotifications:
    """Handlers for a session; `_central` remembers."""

    _central: Any

    @_on(Action.firmware_status_notification)
    def on_firmware_status(self, call_unique_id: str, **payload: Any) -> call_result.FirmwareStatusNotification:
        """Remember how far an update is."""
        self._central.take(Action.firmware_status_notification, call_unique_id, payload)
        return call_result.FirmwareStatusNotification()

    @_on(Action.signed_firmware_status_notification)
    def on_signed_firmware_status(
        self, call_unique_id: str, **payload: Any
    ) -> call_result.SignedFirmwareStatusNotification:
        """Remember how far a signed update is."""
        self._central.take(Action.signed_firmware_status_notification, call_unique_id, payload)
        return call_result.SignedFirmwareStatusNotification()

    @_on(Action.diagnostics_status_notification)
    def on_diagnostics_status(self, call_unique_id: str, **payload: Any) -> call_result.DiagnosticsStatusNotification:
        """Remember how far an upload is."""
        self._central.take(Action.diagnostics_status_notification, call_unique_id, payload)
        return call_result.DiagnosticsStatusNotification()

    @_on(Action.log_status_notification)
    def on_log_status(self, call_unique_id: str, **payload: Any) -> call_result.LogStatusNotification:
        """Remember how far a log's upload is."""
        self._central.take(Action.log_status_notification, call_unique_id, payload)
        return call_result.LogStatusNotification()
