"""Reservation profile: ReserveNow and CancelReservation (OCPP 1.6, 5.13 and 5.4; ocpp16.md rule 18).

The core decides and keeps the reservations; the answer goes out when they are on the disk.
"""

from collections.abc import Mapping
from typing import Any

from ocpp.v16 import call_result
from ocpp.v16.enums import Action, CancelReservationStatus, ReservationStatus

from evcharge_agent.core.events import CancelRequested, ReserveRequested
from evcharge_agent.core.facts import IdTag
from evcharge_agent.core.reasons import Reason
from evcharge_agent.core.reservations import Reservation
from evcharge_agent.ocpp16.profile import Context, Feature, Handler, Reply, Send
from evcharge_agent.ocpp16.stamps import from_stamp

_STATUSES: Mapping[str, ReservationStatus] = {
    Reason.BUSY.value: ReservationStatus.occupied,
    Reason.FAULT.value: ReservationStatus.faulted,
    Reason.OUT_OF_SERVICE.value: ReservationStatus.unavailable,
}
"""What a refusal of the core is called; all others are rejections."""


class ReservationProfile:
    """Handlers of the Reservation profile."""

    def __init__(self, context: Context) -> None:
        self._context = context

    @property
    def feature(self) -> Feature:
        """Reservation."""
        return Feature.RESERVATION

    @property
    def triggers(self) -> Mapping[str, Send]:
        """None: this profile sends nothing."""
        return {}

    @property
    def handlers(self) -> Mapping[str, Handler]:
        """By action."""
        return {Action.reserve_now: self._reserve, Action.cancel_reservation: self._cancel}

    async def run(self) -> None:
        """Nothing to do."""

    async def _reserve(self, payload: Mapping[str, Any]) -> Reply:
        wanted = read_reservation(payload)
        status = ReservationStatus.rejected
        if wanted is not None and self._context.is_accepted():
            answer = await self._context.ask(lambda request: ReserveRequested(request, wanted))
            if answer is not None and answer.is_accepted:
                status = ReservationStatus.accepted
            elif answer is not None:
                status = _STATUSES.get(answer.reason, ReservationStatus.rejected)
        return Reply(call_result.ReserveNow(status=status))

    async def _cancel(self, payload: Mapping[str, Any]) -> Reply:
        number = payload["reservation_id"]
        answer = await self._context.ask(lambda request: CancelRequested(request, number))
        is_cancelled = answer is not None and answer.is_accepted
        status = CancelReservationStatus.accepted if is_cancelled else CancelReservationStatus.rejected
        return Reply(call_result.CancelReservation(status=status))


def read_reservation(payload: Mapping[str, Any]) -> Reservation | None:
    """Read ReserveNow; None when its date is none, or nobody is named."""
    expiry_utc_s = from_stamp(payload["expiry_date"])
    if expiry_utc_s is None or not payload["id_tag"]:
        return None
    parent = payload.get("parent_id_tag")
    return Reservation(
        reservation_id=payload["reservation_id"],
        connector=payload["connector_id"],
        id_tag=IdTag(payload["id_tag"]),
        parent_id_tag=IdTag(parent) if parent else None,
        expiry_utc_s=expiry_utc_s,
    )
