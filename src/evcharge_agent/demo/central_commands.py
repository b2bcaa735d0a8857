"""What the demo's central system can ask of a charger: one coroutine for each action."""

import abc
from collections.abc import Mapping
from typing import Any, cast

from ocpp.v16 import call
from ocpp.v16.enums import AvailabilityType, MessageTrigger, ResetType, UpdateType


class Commands(abc.ABC):
    """The actions, as plain values; each returns the status of the answer where it has one."""

    @abc.abstractmethod
    async def command(self, payload: object) -> Any:
        """Make any call to the charger; returns the result's payload class."""

    @abc.abstractmethod
    def stamp(self, ahead_s: float = 0.0) -> str:
        """Its own time, or that in `ahead_s`."""

    async def remote_start(self, connector: int | None, id_tag: str) -> str:
        """RemoteStartTransaction; returns the status."""
        answer = await self.command(call.RemoteStartTransaction(id_tag=id_tag, connector_id=connector))
        return str(answer.status)

    async def remote_stop(self, transaction_id: int) -> str:
        """RemoteStopTransaction; returns the status."""
        answer = await self.command(call.RemoteStopTransaction(transaction_id=transaction_id))
        return str(answer.status)

    async def get_configuration(self, *keys: str) -> dict[str, str | None]:
        """GetConfiguration, of all keys without arguments; unknown ones are absent from the result."""
        answer = await self.command(call.GetConfiguration(key=list(keys) or None))
        return {line["key"]: line.get("value") for line in answer.configuration_key or []}

    async def change_configuration(self, key: str, value: str) -> str:
        """ChangeConfiguration; returns the status."""
        answer = await self.command(call.ChangeConfiguration(key=key, value=value))
        return str(answer.status)

    async def change_availability(self, connector: int, kind: str) -> str:
        """ChangeAvailability to `Operative` or `Inoperative`; returns the status."""
        request = call.ChangeAvailability(connector_id=connector, type=AvailabilityType(kind))
        return str((await self.command(request)).status)

    async def reset(self, kind: str) -> str:
        """Reset, `Hard` or `Soft`; returns the status."""
        answer = await self.command(call.Reset(type=ResetType(kind)))
        return str(answer.status)

    async def unlock_connector(self, connector: int) -> str:
        """UnlockConnector; returns the status."""
        answer = await self.command(call.UnlockConnector(connector_id=connector))
        return str(answer.status)

    async def clear_cache(self) -> str:
        """ClearCache; returns the status."""
        answer = await self.command(call.ClearCache())
        return str(answer.status)

    async def send_local_list(self, version: int, tags: Mapping[str, str | None], kind: str = "Full") -> str:
        """SendLocalList, `Full` or `Differential`, of verdicts by tag, None without one; returns the status."""
        entries = [
            {"id_tag": tag} | ({} if verdict is None else {"id_tag_info": {"status": verdict}})
            for tag, verdict in tags.items()
        ]
        request = call.SendLocalList(version, UpdateType(kind), cast("Any", entries or None))
        return str((await self.command(request)).status)

    async def local_list_version(self) -> int:
        """GetLocalListVersion."""
        return int((await self.command(call.GetLocalListVersion())).list_version)

    async def reserve(
        self, connector: int, id_tag: str, number: int = 1, *, within_s: float = 600.0, parent: str | None = None
    ) -> str:
        """ReserveNow until so many seconds from now; returns the status."""
        expiry = self.stamp(within_s)
        request = call.ReserveNow(connector, expiry, id_tag, number, parent)
        return str((await self.command(request)).status)

    async def cancel_reservation(self, number: int) -> str:
        """CancelReservation; returns the status."""
        return str((await self.command(call.CancelReservation(number))).status)

    async def transfer_data(self, vendor_id: str, message_id: str | None = None, data: str | None = None) -> str:
        """DataTransfer; returns the status."""
        answer = await self.command(call.DataTransfer(vendor_id, message_id, data))
        return str(answer.status)

    async def trigger(self, message: str, connector: int | None = None) -> str:
        """TriggerMessage; returns the status."""
        request = call.TriggerMessage(requested_message=MessageTrigger(message), connector_id=connector)
        return str((await self.command(request)).status)
