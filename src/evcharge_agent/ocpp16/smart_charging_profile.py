"""SmartCharging profile: limits from the central system (OCPP 1.6, 5.5, 5.7 and 5.16).

What is taken and what acts is the core's to decide. A schedule is computed from the last published view, so that
asking changes nothing.
"""

from collections.abc import Callable, Mapping
from typing import Any

from ocpp.v16 import call_result
from ocpp.v16.enums import (
    Action,
    ChargingProfileStatus,
    ClearChargingProfileStatus,
    GetCompositeScheduleStatus,
)

from evcharge_agent.core import composite
from evcharge_agent.core.charging_profiles import STATION, Criteria, Purpose, RateUnit
from evcharge_agent.core.composite import Question, ReportedSchedule
from evcharge_agent.core.events import ChargingProfilesCleared, ChargingProfileSet
from evcharge_agent.core.reasons import Reason
from evcharge_agent.core.view import StationView
from evcharge_agent.ocpp16.envelope import ErrorCode
from evcharge_agent.ocpp16.profile import Context, Feature, Handler, Reply, RequestRefusedError, Send
from evcharge_agent.ocpp16.stamps import to_stamp
from evcharge_agent.ocpp16.translate import NotAStampError, charging_profile


class SmartChargingProfile:
    """Handlers of the SmartCharging profile; `latest` is the station as last published."""

    def __init__(self, context: Context, latest: Callable[[], StationView]) -> None:
        self._context = context
        self._latest = latest

    @property
    def feature(self) -> Feature:
        """SmartCharging."""
        return Feature.SMART_CHARGING

    @property
    def triggers(self) -> Mapping[str, Send]:
        """None."""
        return {}

    async def run(self) -> None:
        """Nothing to do."""

    @property
    def handlers(self) -> Mapping[str, Handler]:
        """By action."""
        return {
            Action.set_charging_profile: self._set,
            Action.clear_charging_profile: self._clear,
            Action.get_composite_schedule: self._report,
        }

    async def _set(self, payload: Mapping[str, Any]) -> Reply:
        """OCPP 1.6, 5.16. A connector that does not exist is an error of the request, not of the profile."""
        connector = payload["connector_id"]
        try:
            profile = charging_profile(payload["cs_charging_profiles"])
        except NotAStampError as error:
            raise RequestRefusedError(ErrorCode.PROPERTY_CONSTRAINT_VIOLATION, str(error)) from None
        answer = await self._context.ask(lambda request: ChargingProfileSet(request, connector, profile))
        if answer is not None and answer.reason == Reason.UNKNOWN_CONNECTOR.value:
            raise RequestRefusedError(
                ErrorCode.PROPERTY_CONSTRAINT_VIOLATION, "connectorId: there is no such connector"
            )
        is_taken = answer is not None and answer.is_accepted
        status = ChargingProfileStatus.accepted if is_taken else ChargingProfileStatus.rejected
        return Reply(call_result.SetChargingProfile(status=status))

    async def _clear(self, payload: Mapping[str, Any]) -> Reply:
        """OCPP 1.6, 5.5."""
        purpose = payload.get("charging_profile_purpose")
        criteria = Criteria(
            id=payload.get("id"),
            connector=payload.get("connector_id"),
            purpose=Purpose(purpose) if purpose is not None else None,
            stack_level=payload.get("stack_level"),
        )
        answer = await self._context.ask(lambda request: ChargingProfilesCleared(request, criteria))
        is_cleared = answer is not None and answer.is_accepted
        status = ClearChargingProfileStatus.accepted if is_cleared else ClearChargingProfileStatus.unknown
        return Reply(call_result.ClearChargingProfile(status=status))

    async def _report(self, payload: Mapping[str, Any]) -> Reply:
        """OCPP 1.6, 5.7; without a unit in the one that is allowed, ampere before watt."""
        connection = self._context.configuration.connection
        connector, duration_s = payload["connector_id"], payload["duration"]
        basis = self._latest().charging
        if duration_s < 0 or connector not in (STATION, *basis.by_number):
            return Reply(call_result.GetCompositeSchedule(status=GetCompositeScheduleStatus.rejected))
        is_current_allowed = "Current" in connection.keys.charging_rate_units
        usual = RateUnit.CURRENT if is_current_allowed else RateUnit.POWER
        unit = RateUnit(payload.get("charging_rate_unit") or usual.value)
        question = Question(connector, duration_s, unit, connection.default_limit_a)
        return Reply(_reply(connector, composite.report(basis, question, self._context.clock.now())))


def _reply(connector: int, found: ReportedSchedule) -> call_result.GetCompositeSchedule:
    stamp = to_stamp(found.start_utc_s)
    periods = [
        {"start_period": period.start_s, "limit": period.limit}
        | ({} if period.phases is None else {"number_phases": period.phases})
        for period in found.periods
    ]
    return call_result.GetCompositeSchedule(
        status=GetCompositeScheduleStatus.accepted,
        connector_id=connector,
        schedule_start=stamp,
        charging_schedule={
            "duration": found.duration_s,
            "start_schedule": stamp,
            "charging_rate_unit": found.unit.value,
            "charging_schedule_period": periods,
        },
    )
