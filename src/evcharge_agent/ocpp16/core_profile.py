"""Core profile: what a central system asks of any charge point (OCPP 1.6, 5).

What an action does is the core's to decide; here it is asked, answered, and acted on once the answer has been sent.
"""

from collections.abc import Callable, Mapping
from typing import Any

from ocpp.v16 import call_result
from ocpp.v16.enums import (
    Action,
    AvailabilityStatus,
    AvailabilityType,
    ClearCacheStatus,
    ConfigurationStatus,
    DataTransferStatus,
    RemoteStartStopStatus,
    ResetStatus,
    ResetType,
    UnlockStatus,
)

from evcharge_agent.core.availability import SCHEDULED
from evcharge_agent.core.charging_profiles import ChargingProfile
from evcharge_agent.core.events import (
    AvailabilityAsked,
    AvailabilityOrdered,
    CacheClearRequested,
    Event,
    RemoteStartRequested,
    RemoteStopRequested,
    RequestId,
    ResetOrdered,
    UnlockAsked,
)
from evcharge_agent.core.facts import IdTag
from evcharge_agent.ocpp16.envelope import ErrorCode
from evcharge_agent.ocpp16.profile import Context, Feature, Handler, Reply, RequestRefusedError, Send, is_supported
from evcharge_agent.ocpp16.translate import CI_STRING_50, CI_STRING_500, NotAStampError, charging_profile
from evcharge_hal.contract.channel import UnlockOutcome


class CoreProfile:
    """Handlers of the Core profile. Our vendor id is the station's."""

    def __init__(self, context: Context) -> None:
        self._context = context

    @property
    def feature(self) -> Feature:
        """Core."""
        return Feature.CORE

    @property
    def triggers(self) -> Mapping[str, Send]:
        """None: the messages of this profile are not its own."""
        return {}

    async def run(self) -> None:
        """Nothing to do."""

    @property
    def handlers(self) -> Mapping[str, Handler]:
        """By action."""
        return {
            Action.remote_start_transaction: self._remote_start,
            Action.remote_stop_transaction: self._remote_stop,
            Action.get_configuration: self._get_configuration,
            Action.change_configuration: self._change_configuration,
            Action.change_availability: self._change_availability,
            Action.reset: self._reset,
            Action.unlock_connector: self._unlock_connector,
            Action.clear_cache: self._clear_cache,
            Action.data_transfer: self._transfer_data,
        }

    async def _remote_start(self, payload: Mapping[str, Any]) -> Reply:
        """OCPP 1.6, 5.11. A charging profile is ignored while SmartCharging is not supported."""
        connector = payload.get("connector_id")
        id_tag = IdTag(payload["id_tag"])
        # Connector 0 names the station, not a place to charge (OCTT TC_027).
        is_possible = bool(id_tag) and (connector is None or connector > 0)
        profile = self._profile_of(payload)
        status = await self._decide(
            lambda request: RemoteStartRequested(request, id_tag, connector, profile), is_possible=is_possible
        )
        return Reply(call_result.RemoteStartTransaction(status=status))

    def _profile_of(self, payload: Mapping[str, Any]) -> ChargingProfile | None:
        features = self._context.configuration.connection.keys.supported_feature_profiles
        if "charging_profile" not in payload or not is_supported(Feature.SMART_CHARGING, features):
            return None
        try:
            return charging_profile(payload["charging_profile"])
        except NotAStampError as error:
            raise RequestRefusedError(ErrorCode.PROPERTY_CONSTRAINT_VIOLATION, str(error)) from None

    async def _remote_stop(self, payload: Mapping[str, Any]) -> Reply:
        """OCPP 1.6, 5.12."""
        transaction_id = payload["transaction_id"]
        status = await self._decide(lambda request: RemoteStopRequested(request, transaction_id), is_possible=True)
        return Reply(call_result.RemoteStopTransaction(status=status))

    async def _decide(self, build: Callable[[RequestId], Event], *, is_possible: bool) -> RemoteStartStopStatus:
        """Ask the core; until the boot is accepted everything is refused (rule 7)."""
        if not is_possible or not self._context.is_accepted():
            return RemoteStartStopStatus.rejected
        answer = await self._context.ask(build)
        is_accepted = answer is not None and answer.is_accepted
        return RemoteStartStopStatus.accepted if is_accepted else RemoteStartStopStatus.rejected

    async def _change_availability(self, payload: Mapping[str, Any]) -> Reply:
        """OCPP 1.6, 5.2: on the disk, then the answer, then the change and its StatusNotifications (rule 9)."""
        connector = payload["connector_id"]
        is_operative = payload["type"] == AvailabilityType.operative
        answer = await self._context.ask(lambda request: AvailabilityAsked(request, connector, is_operative))
        if answer is None or not answer.is_accepted:
            return Reply(call_result.ChangeAvailability(status=AvailabilityStatus.rejected))
        status = AvailabilityStatus.scheduled if answer.reason == SCHEDULED else AvailabilityStatus.accepted
        order = AvailabilityOrdered(connector, is_operative)
        return Reply(call_result.ChangeAvailability(status=status), lambda: self._context.inbox.post(order))

    async def _reset(self, payload: Mapping[str, Any]) -> Reply:
        """OCPP 1.6, 5.14: always possible, and never before the answer has been sent (rule 12)."""
        order = ResetOrdered(is_hard=payload["type"] == ResetType.hard)
        return Reply(call_result.Reset(status=ResetStatus.accepted), lambda: self._context.inbox.post(order))

    async def _unlock_connector(self, payload: Mapping[str, Any]) -> Reply:
        """OCPP 1.6, 5.18: a transaction is stopped first; without a lock nothing is (rule 11)."""
        connector = payload["connector_id"]
        answer = await self._context.ask(lambda request: UnlockAsked(request, connector))
        if answer is not None and answer.is_accepted:
            status = UnlockStatus.unlocked
        elif answer is not None and answer.reason == UnlockOutcome.NOT_SUPPORTED.value:
            status = UnlockStatus.not_supported
        else:
            status = UnlockStatus.unlock_failed
        return Reply(call_result.UnlockConnector(status=status))

    async def _clear_cache(self, _: Mapping[str, Any]) -> Reply:
        """OCPP 1.6, 5.4."""
        answer = await self._context.ask(CacheClearRequested)
        is_cleared = answer is not None and answer.is_accepted
        status = ClearCacheStatus.accepted if is_cleared else ClearCacheStatus.rejected
        return Reply(call_result.ClearCache(status=status))

    async def _transfer_data(self, payload: Mapping[str, Any]) -> Reply:
        """OCPP 1.6, 5.6: our vendor id is known, but there is no message under it yet."""
        is_ours = payload["vendor_id"] == self._context.station.vendor
        status = DataTransferStatus.unknown_message_id if is_ours else DataTransferStatus.unknown_vendor_id
        return Reply(call_result.DataTransfer(status=status))

    async def _get_configuration(self, payload: Mapping[str, Any]) -> Reply:
        """OCPP 1.6, 5.8: without keys, or with an empty list, all of them."""
        known, unknown = self._context.configuration.report(payload.get("key") or ())
        keys = [
            {"key": line.key, "readonly": line.is_readonly}
            | ({} if line.value is None else {"value": line.value[:CI_STRING_500]})
            for line in known
        ]
        names = [name[:CI_STRING_50] for name in unknown]
        return Reply(call_result.GetConfiguration(configuration_key=keys or None, unknown_key=names or None))

    async def _change_configuration(self, payload: Mapping[str, Any]) -> Reply:
        """OCPP 1.6, 5.3."""
        status = await self._context.configuration.change(payload["key"], payload["value"])
        return Reply(call_result.ChangeConfiguration(status=ConfigurationStatus(status.value)))
