"""Charge points that measure badly, or answer badly."""

import json
from typing import Any

from tests.support.strict.trace import Payload
from tests.support.wrong_charge_points.base import ChargePoint
from tests.support.wrong_charge_points.registry import breaks


class ValueSpoiler(ChargePoint):
    """Changes the first sampled value of MeterValues of one context."""

    context = ""

    def change(self, sampled: dict[str, Any], payload: dict[str, Any]) -> None:
        """Do it."""

    def spoil(self, action: str, payload: dict[str, Any]) -> dict[str, Any]:
        if action != "MeterValues":
            return payload
        wrong: dict[str, Any] = json.loads(json.dumps(payload))
        sampled = wrong["meterValue"][0]["sampledValue"][0]
        if sampled["context"] == self.context:
            self.change(sampled, wrong)
        return wrong


@breaks("samples_keep_their_beat")
class SamplesOffBeat(ChargePoint):
    sample_offset_s = 1.4


@breaks("no_sample_is_missing")
class SkipsSamples(ChargePoint):
    samples_left_out = (2,)


@breaks("clock_samples_are_on_the_boundary")
class StampsOnArrival(ChargePoint):
    boundary_offset_s = 0.02


@breaks("no_boundary_is_missing")
class SkipsBoundaries(ChargePoint):
    boundaries_left_out = 2


@breaks("only_configured_measurands_are_sent")
class SendsWhatItLikes(ValueSpoiler):
    context = "Sample.Periodic"

    def change(self, sampled: dict[str, Any], payload: dict[str, Any]) -> None:
        payload["meterValue"][0]["sampledValue"].append(dict(sampled, measurand="Temperature", unit="Celsius"))


@breaks("only_configured_measurands_are_sent")
class LeavesOutTheRegister(ValueSpoiler):
    context = "Sample.Clock"

    def change(self, sampled: dict[str, Any], payload: dict[str, Any]) -> None:
        sampled.update(measurand="Voltage", value="230", unit="V")


@breaks("contexts_tell_the_truth")
class ClaimsATrigger(ChargePoint):
    async def tell(self, connector: int, state: str, error: str = "NoError", *, is_forced: bool = False) -> None:
        await super().tell(connector, state, error, is_forced=is_forced)
        if state == "Faulted":
            await self.call("MeterValues", connectorId=2, meterValue=[self.value(2, "Trigger", self.stamp())])


@breaks("stop_data_is_as_configured")
class AddsDataToTheStop(ChargePoint):
    def spoil(self, action: str, payload: dict[str, Any]) -> dict[str, Any]:
        if action != "StopTransaction":
            return payload
        sampled = {"value": str(payload["meterStop"]), "context": "Transaction.End"}
        return payload | {"transactionData": [{"timestamp": payload["timestamp"], "sampledValue": [sampled]}]}


@breaks("answers_come_before_actions")
class ActsBeforeItAnswers(ChargePoint):
    async def before_answer(self, action: str, payload: Payload) -> None:
        if action == "TriggerMessage" and payload["requestedMessage"] == "Heartbeat":
            await self.call("Heartbeat")


@breaks("triggers_are_followed")
class PromisesTooMuch(ChargePoint):
    async def call(self, action: str, id_: str | None = None, **payload: Any) -> Payload | str:
        is_triggered = action == "StatusNotification" and not self.accepted.is_set()
        return {} if is_triggered else await super().call(action, id_, **payload)


@breaks("secrets_stay_secret")
class ShowsItsPassword(ChargePoint):
    def reply(self, action: str, payload: Payload, right: Payload | str) -> Payload | str:
        if action != "GetConfiguration" or isinstance(right, str):
            return right
        lines = [
            line | {"value": "secret"} if line["key"] == "AuthorizationKey" else line
            for line in right["configurationKey"]
        ]
        return {**right, "configurationKey": lines}


@breaks("every_asked_key_is_answered")
class DropsUnknownKeys(ChargePoint):
    def reply(self, action: str, payload: Payload, right: Payload | str) -> Payload | str:
        return {**right, "unknownKey": []} if action == "GetConfiguration" and not isinstance(right, str) else right


@breaks("every_asked_key_is_answered")
class SortsKeys(ChargePoint):
    def reply(self, action: str, payload: Payload, right: Payload | str) -> Payload | str:
        if action != "GetConfiguration" or isinstance(right, str):
            return right
        return {**right, "configurationKey": sorted(right["configurationKey"], key=lambda line: str(line["key"]))}


@breaks("configuration_is_what_was_accepted")
class TakesRejectedValues(ChargePoint):
    def reply(self, action: str, payload: Payload, right: Payload | str) -> Payload | str:
        if action == "GetConfiguration" and payload.get("key") and not isinstance(right, str):
            lines = [
                line | {"value": "-1"} if line["key"] == "MeterValueSampleInterval" else line
                for line in right["configurationKey"]
            ]
            return {**right, "configurationKey": lines}
        return right


@breaks("impossible_starts_are_refused")
class StartsOnConnectorZero(ChargePoint):
    def reply(self, action: str, payload: Payload, right: Payload | str) -> Payload | str:
        is_impossible = action == "RemoteStartTransaction" and payload["idTag"] == "NOWHERE"
        return {"status": "Accepted"} if is_impossible else right


@breaks("impossible_starts_are_refused")
class StartsWhereAnotherCharges(ChargePoint):
    def reply(self, action: str, payload: Payload, right: Payload | str) -> Payload | str:
        is_impossible = action == "RemoteStartTransaction" and payload["idTag"] == "OTHER"
        return {"status": "Accepted"} if is_impossible else right


@breaks("unknown_transactions_are_not_stopped")
class StopsWhatItDoesNotKnow(ChargePoint):
    def reply(self, action: str, payload: Payload, right: Payload | str) -> Payload | str:
        return {"status": "Accepted"} if action == "RemoteStopTransaction" else right


@breaks("unknown_connectors_are_refused")
class UnlocksWhatItHasNot(ChargePoint):
    def reply(self, action: str, payload: Payload, right: Payload | str) -> Payload | str:
        return {"status": "Unlocked"} if action == "UnlockConnector" else right
