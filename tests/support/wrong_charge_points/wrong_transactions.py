"""Charge points whose bills nobody should pay."""

import asyncio
from typing import Any

from tests.support.strict.trace import Payload, to_stamp
from tests.support.wrong_charge_points.base import ChargePoint
from tests.support.wrong_charge_points.registry import breaks

HOUR_S = 3600.0


class Spoiler(ChargePoint):
    """Changes the messages of one action."""

    action = ""
    changes: dict[str, Any] = {}  # noqa: RUF012 - each kind has its own

    def spoil(self, action: str, payload: dict[str, Any]) -> dict[str, Any]:
        return payload | self.changes if action == self.action else payload


@breaks("transaction_ids_are_given")
class InventsNumbers(ChargePoint):
    def spoil(self, action: str, payload: dict[str, Any]) -> dict[str, Any]:
        is_wrong = "transactionId" in payload and "Sample.Clock" in str(payload)
        return payload | {"transactionId": payload["transactionId"] + 1000} if is_wrong else payload


@breaks("one_stop_for_each_transaction")
class StopsTwice(ChargePoint):
    async def deliver(self, action: str, **payload: Any) -> Payload | str:
        answer = await super().deliver(action, **payload)
        if action == "StopTransaction" and payload.get("idTag") == "LATE":
            return answer
        return await super().deliver(action, **payload) if action == "StopTransaction" else answer


@breaks("transaction_messages_are_in_order")
class RemembersLate(ChargePoint):
    async def stop(self, connector: int, number: int, reason: str, id_tag: str) -> None:
        value = self.value(connector, "Transaction.End", self.stamp())
        await super().stop(connector, number, reason, id_tag)
        await self.deliver("MeterValues", connectorId=connector, transactionId=number, meterValue=[value])


@breaks("one_transaction_on_a_connector")
class StartsTwice(ChargePoint):
    """A second transaction begins before the first is over."""

    async def charge(self, id_tag: str, connector: int = 1, for_s: float = 14.0) -> None:
        if id_tag == "CARD" and connector == 2:
            other = await self.deliver(
                "StartTransaction",
                connectorId=connector,
                idTag=id_tag,
                meterStart=self.register_wh[connector],
                timestamp=self.stamp(),
            )
            assert not isinstance(other, str)
            self.spawn(self.end_soon(other["transactionId"], connector))
        await super().charge(id_tag, connector, for_s)

    async def end_soon(self, number: int, connector: int) -> None:
        await asyncio.sleep(1.0)
        register_wh = self.register_wh[connector]
        await self.deliver("StopTransaction", transactionId=number, meterStop=register_wh, timestamp=self.stamp())


@breaks("the_register_never_falls")
class CountsDown(Spoiler):
    action = "StopTransaction"
    changes = {"meterStop": 1}  # noqa: RUF012


@breaks("a_stop_names_only_a_presented_tag")
class NamesTagsNobodyShowed(ChargePoint):
    def spoil(self, action: str, payload: dict[str, Any]) -> dict[str, Any]:
        is_wrong = action == "StopTransaction" and payload["reason"] == "Remote"
        return payload | {"idTag": "APP"} if is_wrong else payload


@breaks("only_the_owner_stops")
class LetsStrangersStop(ChargePoint):
    def spoil(self, action: str, payload: dict[str, Any]) -> dict[str, Any]:
        is_wrong = action == "StopTransaction" and "idTag" in payload
        return payload | {"idTag": "STRANGER"} if is_wrong else payload


@breaks("stop_reasons_have_causes")
class BlamesThePower(ChargePoint):
    def spoil(self, action: str, payload: dict[str, Any]) -> dict[str, Any]:
        is_wrong = action == "StopTransaction" and payload["reason"] == "UnlockCommand"
        return payload | {"reason": "PowerLoss"} if is_wrong else payload


@breaks("commands_end_in_their_reason")
class BlamesTheDriver(ChargePoint):
    def spoil(self, action: str, payload: dict[str, Any]) -> dict[str, Any]:
        is_wrong = action == "StopTransaction" and payload["reason"] == "Remote"
        return payload | {"reason": "Local"} if is_wrong else payload


@breaks("refused_tags_end_their_transaction")
class ChargesTheRefused(ChargePoint):
    async def deliver(self, action: str, **payload: Any) -> Payload | str:
        if payload.get("reason") == "DeAuthorized":
            await asyncio.sleep(35.0)
        return await super().deliver(action, **payload)


@breaks("only_authorised_tags_start")
class DoesNotListenToRefusals(ChargePoint):
    async def swipe(self, id_tag: str, connector: int = 1) -> bool:
        await super().swipe(id_tag, connector)
        return True


@breaks("only_authorised_tags_start")
class AsksNobody(ChargePoint):
    async def swipe(self, id_tag: str, connector: int = 1) -> bool:
        if id_tag != "CARD":
            return await super().swipe(id_tag, connector)
        await self.tell(connector, "Preparing")
        return True


@breaks("the_register_never_falls")
class ForgetsItsRegister(ChargePoint):
    async def charge(self, id_tag: str, connector: int = 1, for_s: float = 14.0) -> None:
        self.register_wh[connector] = 0
        await super().charge(id_tag, connector, for_s)


@breaks("retries_are_spaced")
class RetriesTooSoon(ChargePoint):
    retry_factor = 0.25


@breaks("retries_are_counted")
class RetriesTooOften(ChargePoint):
    attempts_more = 1


@breaks("retries_are_counted")
class GivesUpEarly(ChargePoint):
    attempts_more = -1


@breaks("connection_time_out_is_kept")
class WaitsTooLong(ChargePoint):
    timeout_factor = 2.0


@breaks("connection_time_out_is_kept")
class WaitsTooShort(ChargePoint):
    timeout_factor = 0.5


@breaks("lapsed_authorisations_start_nothing")
class ComesTooLate(ChargePoint):
    """The tag is good for ConnectionTimeOut, the car comes a minute after it."""

    async def swipe(self, id_tag: str, connector: int = 1) -> bool:
        may_charge = await super().swipe(id_tag, connector)
        if id_tag == "CARD" and connector == 2:
            await asyncio.sleep(15.0)
            await self.tell(connector, "Available")
            await asyncio.sleep(60.0)
            await self.tell(connector, "Preparing")
        return may_charge


@breaks("stamps_are_believable")
class LivesInTheFuture(ChargePoint):
    def spoil(self, action: str, payload: dict[str, Any]) -> dict[str, Any]:
        wrong = {"timestamp": to_stamp(self.central.utc_s() + HOUR_S)} if action == "StatusNotification" else {}
        return payload | wrong


@breaks("statuses_are_fresh")
class TellsOldNews(ChargePoint):
    """A state it has been in for a minute."""

    def spoil(self, action: str, payload: dict[str, Any]) -> dict[str, Any]:
        is_wrong = action == "StatusNotification" and payload["status"] == "Faulted"
        return payload | {"timestamp": to_stamp(self.central.utc_s() - 62.0)} if is_wrong else payload
