"""Charge points that do not know how they are."""

from typing import Any

from tests.support.strict.trace import Payload
from tests.support.wrong_charge_points.base import ChargePoint
from tests.support.wrong_charge_points.registry import breaks


@breaks("connectors_exist")
class HasAThirdConnector(ChargePoint):
    statuses_after_boot = (0, 1, 2, 3)

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.states[3] = "Available"


@breaks("the_station_has_three_states")
class IsCharging(ChargePoint):
    async def register(self) -> None:
        self.states[0] = "Preparing"
        await super().register()


@breaks("status_moves_are_legal")
class StartsFromFinishing(ChargePoint):
    """Preparing is left out between two transactions."""

    async def tell(self, connector: int, state: str, error: str = "NoError", *, is_forced: bool = False) -> None:
        if state == "Available" and self.states[connector] == "Finishing" and connector == 2:
            await super().tell(connector, "Preparing")
            await super().tell(connector, "Unavailable")
        await super().tell(connector, state, error, is_forced=is_forced)


@breaks("only_changes_are_told")
class RepeatsItself(ChargePoint):
    async def tell(self, connector: int, state: str, error: str = "NoError", *, is_forced: bool = False) -> None:
        await super().tell(connector, state, error, is_forced=is_forced)
        if state == "Finishing" and connector == 2:
            await super().tell(connector, state, error, is_forced=True)


@breaks("faulted_names_its_fault")
class IsBrokenWithoutError(ChargePoint):
    async def tell(self, connector: int, state: str, error: str = "NoError", *, is_forced: bool = False) -> None:
        await super().tell(connector, state, "NoError", is_forced=is_forced)


@breaks("finishing_follows_the_stop")
class FinishesEarly(ChargePoint):
    async def stop(self, connector: int, number: int, reason: str, id_tag: str) -> None:
        await self.tell(connector, "Finishing")
        await super().stop(connector, number, reason, id_tag)


@breaks("charging_has_a_transaction")
class ChargesForNothing(ChargePoint):
    async def tell(self, connector: int, state: str, error: str = "NoError", *, is_forced: bool = False) -> None:
        if state == "Faulted":
            await super().tell(2, "Charging")
        await super().tell(connector, state, error, is_forced=is_forced)


@breaks("availability_is_obeyed")
class StaysInService(ChargePoint):
    async def tell(self, connector: int, state: str, error: str = "NoError", *, is_forced: bool = False) -> None:
        if state != "Unavailable":
            await super().tell(connector, state, error, is_forced=is_forced)


@breaks("availability_is_obeyed")
class ForgetsWhatWasScheduled(ChargePoint):
    async def answer(self, id_: str, action: str, payload: Payload) -> None:
        await super().answer(id_, action, payload)
        if action == "ChangeAvailability" and payload["connectorId"] == 1:
            self.out.discard(1)
