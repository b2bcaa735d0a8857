"""Charge points that do not understand lists and files."""

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


@breaks("listed_tags_are_not_asked_about")
class AsksAboutEverybody(ChargePoint):
    async def swipe(self, id_tag: str, connector: int = 1) -> bool:
        self.listed.clear()
        return await super().swipe(id_tag, connector)


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
