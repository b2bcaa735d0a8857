"""Charge points that do not understand reservations."""

from typing import Any

from tests.support.strict.trace import Payload
from tests.support.wrong_charge_points.base import ChargePoint
from tests.support.wrong_charge_points.registry import breaks


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
            self.reserved.pop(1, None)
        await super().charge("CARD" if id_tag == "GUEST" else id_tag, connector, for_s)


@breaks("reservation_ids_are_known")
class InventsReservations(ChargePoint):
    def spoil(self, action: str, payload: dict[str, Any]) -> dict[str, Any]:
        is_mine = action == "StartTransaction" and payload["idTag"] == "CARD"
        return payload | {"reservationId": 77} if is_mine else payload


@breaks("reservations_are_answered_by_state")
class ReservesAnything(ChargePoint):
    def reply(self, action: str, payload: Payload, right: Payload | str) -> Payload | str:
        return {"status": "Accepted"} if action == "ReserveNow" else right


@breaks("reservations_are_answered_by_state")
class IsAlwaysOccupied(ChargePoint):
    """But for those it reserves all the same."""

    def reply(self, action: str, payload: Payload, right: Payload | str) -> Payload | str:
        is_refused = action == "ReserveNow" and right == {"status": "Rejected"}
        return {"status": "Occupied"} if is_refused else right


@breaks("reservations_end_in_time")
class ReservesForEver(ChargePoint):
    expires = False


@breaks("reservations_end_in_time")
class GivesUpReservations(ChargePoint):
    expiry_offset_s = -6.0
