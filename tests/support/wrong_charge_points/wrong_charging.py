"""Charge points that do not understand charging profiles."""

from typing import Any

from tests.support.strict.trace import Payload
from tests.support.wrong_charge_points.base import ChargePoint
from tests.support.wrong_charge_points.registry import breaks


class Liar(ChargePoint):
    """Gives one answer to an action, whatever it is."""

    lies_about = ""
    status = "Accepted"

    def reply(self, action: str, payload: Payload, right: Payload | str) -> Payload | str:
        return {"status": self.status} if action == self.lies_about else right


@breaks("impossible_profiles_are_refused")
class TakesAnyProfile(Liar):
    lies_about = "SetChargingProfile"


class SchedulesBadly(ChargePoint):
    """Changes its composite schedule."""

    def change(self, result: dict[str, Any]) -> None:
        """Do it."""

    def reply(self, action: str, payload: Payload, right: Payload | str) -> Payload | str:
        if action == "GetCompositeSchedule" and not isinstance(right, str):
            wrong = {**right, "chargingSchedule": {**right["chargingSchedule"]}}
            self.change(wrong)
            return wrong
        return right


@breaks("schedules_are_well_formed")
class BeginsLate(SchedulesBadly):
    def change(self, result: dict[str, Any]) -> None:
        result["chargingSchedule"]["chargingSchedulePeriod"] = [
            {"startPeriod": 10, "limit": 16.0},
            {"startPeriod": 60, "limit": 8.0},
        ]


@breaks("schedules_are_well_formed")
class PlansTooFar(SchedulesBadly):
    def change(self, result: dict[str, Any]) -> None:
        result["chargingSchedule"]["duration"] = 86_400


@breaks("schedules_are_well_formed")
class SpeaksOfAnother(SchedulesBadly):
    def change(self, result: dict[str, Any]) -> None:
        result["connectorId"] = 2


@breaks("schedules_follow_the_profiles")
class ForgetsItsSecondPeriod(SchedulesBadly):
    def change(self, result: dict[str, Any]) -> None:
        result["chargingSchedule"]["chargingSchedulePeriod"] = [{"startPeriod": 0, "limit": 16.0}]


@breaks("schedules_follow_the_profiles")
class PromisesTooMuch(SchedulesBadly):
    def change(self, result: dict[str, Any]) -> None:
        periods = result["chargingSchedule"]["chargingSchedulePeriod"]
        result["chargingSchedule"]["chargingSchedulePeriod"] = [{**one, "limit": one["limit"] + 1} for one in periods]


@breaks("clears_tell_the_truth")
class ClearsWhatIsNotThere(Liar):
    lies_about = "ClearChargingProfile"


@breaks("clears_tell_the_truth")
class DoesNotKnowWhatItHas(Liar):
    lies_about = "ClearChargingProfile"
    status = "Unknown"


@breaks("only_tx_profiles_come_with_a_start")
class StartsWithAnyProfile(ChargePoint):
    def reply(self, action: str, payload: Payload, right: Payload | str) -> Payload | str:
        return {"status": "Accepted"} if "chargingProfile" in payload else right


@breaks("the_draw_keeps_its_limit")
class DrawsWhatItLikes(ChargePoint):
    def value(self, connector: int, context: str, stamp: str) -> dict[str, Any]:
        value = super().value(connector, context, stamp)
        if context == "Sample.Periodic":
            more = {"value": "20.0", "context": context, "measurand": "Current.Import", "unit": "A", "phase": "L1"}
            value["sampledValue"].append(more)
        return value
