"""Charge points that cannot speak."""

import asyncio
import json
from typing import Any

from tests.support.strict.trace import Payload
from tests.support.wrong_charge_points.base import ChargePoint
from tests.support.wrong_charge_points.registry import breaks


@breaks("frames_have_a_shape")
class SendsObjects(ChargePoint):
    def text(self, text: str) -> str:
        return '{"heartbeat": true}' if '"Heartbeat"' in text else text


@breaks("frames_have_a_shape")
class SendsRubbish(ChargePoint):
    def text(self, text: str) -> str:
        return text[:-1] if '"Heartbeat"' in text else text


@breaks("payloads_fit_their_schemas")
class InventsMembers(ChargePoint):
    def spoil(self, action: str, payload: dict[str, Any]) -> dict[str, Any]:
        return payload | {"mood": "good"} if action == "Heartbeat" else payload


@breaks("payloads_fit_their_schemas")
class CountsInFloats(ChargePoint):
    def spoil(self, action: str, payload: dict[str, Any]) -> dict[str, Any]:
        return payload | {"meterStop": payload["meterStop"] + 0.5} if action == "StopTransaction" else payload


@breaks("payloads_fit_their_schemas")
class AnswersAtRandom(ChargePoint):
    def reply(self, action: str, payload: Payload, right: Payload | str) -> Payload | str:
        return {"status": "Maybe"} if action == "UnlockConnector" and payload["connectorId"] == 9 else right


@breaks("payloads_fit_their_schemas")
class InventsActions(ChargePoint):
    def text(self, text: str) -> str:
        return text.replace('"Heartbeat"', '"Heartattack"')


@breaks("no_member_is_null")
class SaysNull(ChargePoint):
    def spoil(self, action: str, payload: dict[str, Any]) -> dict[str, Any]:
        return payload | {"info": None} if action == "StatusNotification" else payload


@breaks("stamps_are_utc")
class LivesInItsZone(ChargePoint):
    def spoil(self, action: str, payload: dict[str, Any]) -> dict[str, Any]:
        wrong = {"timestamp": payload["timestamp"].replace("Z", "+02:00")} if action == "StartTransaction" else {}
        return payload | wrong


@breaks("texts_keep_their_length")
class TalksTooMuch(ChargePoint):
    def spoil(self, action: str, payload: dict[str, Any]) -> dict[str, Any]:
        return payload | {"chargePointVendor": "V" * 21} if action == "BootNotification" else payload


@breaks("message_ids_are_short")
class NamesAtLength(ChargePoint):
    def new_id(self, action: str) -> str:
        return super().new_id(action).ljust(37, "x") if action == "Heartbeat" else super().new_id(action)


@breaks("message_ids_are_unique")
class NamesAlike(ChargePoint):
    def new_id(self, action: str) -> str:
        return "beat" if action == "Heartbeat" else super().new_id(action)


@breaks("one_call_at_a_time")
class TalksOverItself(ChargePoint):
    """Two StatusNotifications at once after the boot."""

    async def register(self) -> None:
        self.waits_its_turn = True
        await super().register()
        self.waits_its_turn = False
        await asyncio.gather(self.call("Authorize", idTag="A"), self.call("Authorize", idTag="B"))
        self.waits_its_turn = True


@breaks("answers_were_asked_for")
class AnswersTwice(ChargePoint):
    async def send(self, frame: list[Any]) -> None:
        await super().send(frame)
        if frame[0] == 4:
            await super().send(frame)


@breaks("requests_are_answered")
class DoesNotListen(ChargePoint):
    async def answer(self, id_: str, action: str, payload: Payload) -> None:
        if action != "GetInstalledCertificateIds":
            await super().answer(id_, action, payload)


@breaks("errors_are_spelled_as_in_1_6")
class SpellsAsIn2(ChargePoint):
    def reply(self, action: str, payload: Payload, right: Payload | str) -> Payload | str:
        return "FormatViolation" if action == "GetInstalledCertificateIds" else right


@breaks("numbers_are_plain")
class WritesExponents(ChargePoint):
    def spoil(self, action: str, payload: dict[str, Any]) -> dict[str, Any]:
        if action != "MeterValues":
            return payload
        wrong: dict[str, Any] = json.loads(json.dumps(payload))
        for sampled in wrong["meterValue"][0]["sampledValue"]:
            sampled["value"] = f"{float(sampled['value']):e}"
        return wrong
