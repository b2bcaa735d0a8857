"""Core profile: what a central system asks of any charge point (OCPP 1.6, 5).

Remote start and stop, and the configuration. The other actions of the profile slot in here.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from ocpp.v16 import call_result
from ocpp.v16.enums import Action, ConfigurationStatus, RemoteStartStopStatus

from evcharge_agent.core.events import Event, RemoteStartRequested, RemoteStopRequested, RequestId
from evcharge_agent.core.facts import IdTag
from evcharge_agent.ocpp16.keys import Configuration
from evcharge_agent.ocpp16.profile import Handler, Reply
from evcharge_agent.ocpp16.translate import CI_STRING_50, CI_STRING_500
from evcharge_agent.runtime.inbox import Inbox

DECIDE_WITHIN_S = 10.0
"""The core decides at once; a loop too busy for this long refuses rather than keeping the asker waiting."""


class CoreProfile:
    """Handlers of the Core profile."""

    def __init__(self, inbox: Inbox, configuration: Configuration, is_accepted: Callable[[], bool]) -> None:
        self._inbox = inbox
        self._configuration = configuration
        self._is_accepted = is_accepted

    @property
    def handlers(self) -> Mapping[str, Handler]:
        """By action."""
        return {
            Action.remote_start_transaction: self._remote_start,
            Action.remote_stop_transaction: self._remote_stop,
            Action.get_configuration: self._get_configuration,
            Action.change_configuration: self._change_configuration,
        }

    async def _remote_start(self, payload: Mapping[str, Any]) -> Reply:
        """OCPP 1.6, 5.11. A charging profile is ignored while SmartCharging is not supported."""
        connector = payload.get("connector_id")
        id_tag = IdTag(payload["id_tag"])
        # Connector 0 names the station, not a place to charge (OCTT TC_027).
        is_possible = bool(id_tag) and (connector is None or connector > 0)
        status = await self._decide(
            lambda request: RemoteStartRequested(request, id_tag, connector), is_possible=is_possible
        )
        return Reply(call_result.RemoteStartTransaction(status=status))

    async def _remote_stop(self, payload: Mapping[str, Any]) -> Reply:
        """OCPP 1.6, 5.12."""
        transaction_id = payload["transaction_id"]
        status = await self._decide(lambda request: RemoteStopRequested(request, transaction_id), is_possible=True)
        return Reply(call_result.RemoteStopTransaction(status=status))

    async def _decide(self, build: Callable[[RequestId], Event], *, is_possible: bool) -> RemoteStartStopStatus:
        """Ask the core; until the boot is accepted everything is refused (rule 7)."""
        if not is_possible or not self._is_accepted():
            return RemoteStartStopStatus.rejected
        try:
            async with asyncio.timeout(DECIDE_WITHIN_S):
                answer = await self._inbox.ask(build)
        except TimeoutError:
            return RemoteStartStopStatus.rejected
        return RemoteStartStopStatus.accepted if answer.is_accepted else RemoteStartStopStatus.rejected

    async def _get_configuration(self, payload: Mapping[str, Any]) -> Reply:
        """OCPP 1.6, 5.8: without keys, or with an empty list, all of them."""
        known, unknown = self._configuration.report(payload.get("key") or ())
        keys = [
            {"key": line.key, "readonly": line.is_readonly}
            | ({} if line.value is None else {"value": line.value[:CI_STRING_500]})
            for line in known
        ]
        names = [name[:CI_STRING_50] for name in unknown]
        return Reply(call_result.GetConfiguration(configuration_key=keys or None, unknown_key=names or None))

    async def _change_configuration(self, payload: Mapping[str, Any]) -> Reply:
        """OCPP 1.6, 5.3."""
        status = await self._configuration.change(payload["key"], payload["value"])
        return Reply(call_result.ChangeConfiguration(status=ConfigurationStatus(status.value)))
