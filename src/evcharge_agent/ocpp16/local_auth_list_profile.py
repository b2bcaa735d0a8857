"""Local Auth List Management profile: SendLocalList and GetLocalListVersion (OCPP 1.6, 5.10 and 5.15).

The core decides and keeps the list; the answer goes out when it is on the disk.
"""

from collections.abc import Callable, Mapping
from typing import Any

from ocpp.v16 import call_result
from ocpp.v16.enums import Action, UpdateStatus

from evcharge_agent.core.events import LocalListSent
from evcharge_agent.core.facts import IdTag, IdTagInfo
from evcharge_agent.core.local_list import Update, UpdateKind
from evcharge_agent.core.reasons import Reason
from evcharge_agent.core.view import StationView
from evcharge_agent.ocpp16.profile import Context, Feature, Handler, Reply, Send
from evcharge_agent.ocpp16.translate import id_tag_info

_STATUSES: Mapping[str, UpdateStatus] = {
    Reason.LIST_OFF.value: UpdateStatus.not_supported,
    Reason.LIST_VERSION.value: UpdateStatus.version_mismatch,
}
"""What a refusal of the core is called; all others are failures."""


class LocalAuthListProfile:
    """Handlers of the Local Auth List Management profile; `read_station` gives the station as it is now."""

    def __init__(self, context: Context, read_station: Callable[[], StationView]) -> None:
        self._context = context
        self._read_station = read_station

    @property
    def feature(self) -> Feature:
        """LocalAuthListManagement."""
        return Feature.LOCAL_AUTH_LIST

    @property
    def triggers(self) -> Mapping[str, Send]:
        """None: this profile sends nothing."""
        return {}

    @property
    def handlers(self) -> Mapping[str, Handler]:
        """By action."""
        return {Action.send_local_list: self._send_local_list, Action.get_local_list_version: self._get_version}

    async def run(self) -> None:
        """Nothing to do."""

    async def _get_version(self, _: Mapping[str, Any]) -> Reply:
        """-1 while the list is switched off, 0 while it is empty."""
        return Reply(call_result.GetLocalListVersion(list_version=self._read_station().local_list_version))

    async def _send_local_list(self, payload: Mapping[str, Any]) -> Reply:
        update = read_update(payload)
        if update is None:
            return Reply(call_result.SendLocalList(status=UpdateStatus.failed))
        answer = await self._context.ask(lambda request: LocalListSent(request, update))
        if answer is None:
            status = UpdateStatus.failed
        elif answer.is_accepted:
            status = UpdateStatus.accepted
        else:
            status = _STATUSES.get(answer.reason, UpdateStatus.failed)
        return Reply(call_result.SendLocalList(status=status))


def read_update(payload: Mapping[str, Any]) -> Update | None:
    """Read SendLocalList; None when a date in it is none, for that entry would then be good for ever."""
    entries: list[tuple[IdTag, IdTagInfo | None]] = []
    for item in payload.get("local_authorization_list") or ():
        told = item.get("id_tag_info")
        info = None if told is None else id_tag_info(told)
        if info is not None and info.expiry_utc_s is None and told.get("expiry_date") is not None:
            return None
        entries.append((IdTag(item["id_tag"]), info))
    return Update(UpdateKind(payload["update_type"]), payload["list_version"], tuple(entries))
