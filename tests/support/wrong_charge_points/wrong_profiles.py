"""Charge points that do not understand lists, reservations and files."""

from typing import Any

from tests.support.strict.trace import Payload
from tests.support.wrong_charge_points.base import ChargePoint
from tests.support.wrong_charge_points.registry import breaks


@breaks("list_versions_are_kept")
class ForgetsItsVersion(ChargePoint):
    def reply(self, action: str, payload: Payload, right: Payload | str) -> Payload | str:
        return {"listVersion": 4} if action == "GetLocalListVersion" else right


@breaks("differential_lists_move_forward")
class TakesOldLists(ChargePoint):
    async def before_answer(self, action: str, payload: Payload) -> None:
        if action == "SendLocalList":
            self.list_version = 0


@breaks("reservations_are_told")
class ReservesInSecret(ChargePoint):
    async def tell(self, connector: int, state: str, error: str = "NoError", *, is_forced: bool = False) -> None:
        if state != "Reserved":
            await super().tell(connector, state, error, is_forced=is_forced)


@breaks("a_reserved_connector_is_kept")
class DoesNotNameItsReservation(ChargePoint):
    def spoil(self, action: str, payload: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in payload.items() if name != "reservationId"}


@breaks("a_reserved_connector_is_kept")
class GivesItToAnybody(ChargePoint):
    async def swipe(self, id_tag: str, connector: int = 1) -> bool:
        return await super().swipe("CARD" if id_tag == "GUEST" else id_tag, connector)

    async def charge(self, id_tag: str, connector: int = 1, for_s: float = 14.0) -> None:
        if id_tag == "GUEST":
            self.reserved.clear()
        await super().charge("CARD" if id_tag == "GUEST" else id_tag, connector, for_s)


@breaks("reservation_ids_are_known")
class InventsReservations(ChargePoint):
    def spoil(self, action: str, payload: dict[str, Any]) -> dict[str, Any]:
        is_mine = action == "StartTransaction" and payload["idTag"] == "CARD"
        return payload | {"reservationId": 77} if is_mine else payload


@breaks("firmware_statuses_are_in_order")
class InstallsBeforeItDownloads(ChargePoint):
    firmware_statuses = ("Installing", "Downloading", "Downloaded", "Installed")


@breaks("firmware_statuses_are_in_order")
class UpdatesItself(ChargePoint):
    async def register(self) -> None:
        await super().register()
        await self.call("FirmwareStatusNotification", status="Downloading")


@breaks("uploads_are_told_in_order")
class UploadsAtOnce(ChargePoint):
    upload_statuses = ("Uploaded",)


@breaks("security_profiles_never_fall")
class LowersItsGuard(ChargePoint):
    def reply(self, action: str, payload: Payload, right: Payload | str) -> Payload | str:
        if action == "ChangeConfiguration" and payload["key"] == "SecurityProfile":
            self.keys["SecurityProfile"] = payload["value"]
            return {"status": "Accepted"}
        return right
