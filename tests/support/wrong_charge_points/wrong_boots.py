"""Charge points that do not know how to arrive, or how to stay."""

import asyncio
import itertools

from tests.support.strict.central import basic
from tests.support.strict.trace import Payload
from tests.support.wrong_charge_points.base import IDENTITY, PASSWORD, ChargePoint
from tests.support.wrong_charge_points.registry import breaks


@breaks("boot_once_for_each_start")
class BootsOnReconnect(ChargePoint):
    boots_on_reconnect = True

    async def register(self) -> None:
        self.statuses_after_boot = () if self.accepted.is_set() else (0, 1, 2)
        await super().register()


@breaks("boot_waits_its_interval")
class CannotWait(ChargePoint):
    boot_factor = 0.7


@breaks("boot_waits_its_interval")
class ForgetsToBoot(ChargePoint):
    boot_factor = 3.0


@breaks("only_boot_before_acceptance")
class SpeaksWhilePending(ChargePoint):
    async def while_not_accepted(self, status: str) -> None:
        if status == "Pending":
            await asyncio.sleep(1.0)
            await self.call("Authorize", idTag="SOMEBODY")


@breaks("only_boot_before_acceptance")
class SpeaksBeforeItsBoot(ChargePoint):
    async def register(self) -> None:
        if self.central.trace.lives[1:]:
            await self.call("Heartbeat")
        await super().register()


@breaks("a_rejected_charger_is_silent")
class AnswersWhileRejected(ChargePoint):
    async def while_not_accepted(self, status: str) -> None:
        self.is_silent = False


@breaks("remote_commands_wait_for_acceptance")
class ObeysWhilePending(ChargePoint):
    def reply(self, action: str, payload: Payload, right: Payload | str) -> Payload | str:
        is_early = action == "RemoteStartTransaction" and payload["idTag"] == "EARLY"
        return {"status": "Accepted"} if is_early else right


@breaks("all_statuses_follow_acceptance")
class ForgetsConnectorZero(ChargePoint):
    statuses_after_boot = (1, 2)


@breaks("a_lost_line_comes_back")
class StaysAway(ChargePoint):
    async def keep_line(self) -> None:
        line = asyncio.create_task(super().keep_line())
        while len(self.central.trace.lives) < 2 or self.pipe is not None:  # noqa: ASYNC110 - no event for it
            await asyncio.sleep(0.5)
        await asyncio.sleep(0.0)
        line.cancel()


@breaks("attempts_are_spaced")
class Hammers(ChargePoint):
    reconnect_s = 0.05


@breaks("the_subprotocol_is_ocpp16")
class SpeaksOtherProtocols(ChargePoint):
    subprotocols = ("ocpp2.0.1",)


@breaks("the_identity_is_in_the_path")
class HasNoName(ChargePoint):
    path = "/ocpp/"


@breaks("credentials_are_right")
class MistypesItsPassword(ChargePoint):
    def authorization(self, attempt: int) -> str | None:
        return super().authorization(attempt) if self.passwords[1:] else basic(IDENTITY, b"another")


@breaks("a_refused_key_is_not_the_last_word")
class InsistsOnItsNewPassword(ChargePoint):
    """Twice, before it gives in."""

    refused = 0

    def authorization(self, attempt: int) -> str | None:
        if len(self.passwords) > 1 and self.refused < 2:
            self.refused += 1
            return basic(IDENTITY, self.passwords[-1])
        return basic(IDENTITY, PASSWORD.encode())


@breaks("the_heart_beats_in_time")
class IsTooQuiet(ChargePoint):
    beat_factor = 1.4


@breaks("the_heart_does_not_race")
class IsExcited(ChargePoint):
    """Also where it was not asked to."""

    async def keep_clock(self) -> None:
        for _ in itertools.count():
            await asyncio.sleep(1.0)
            if self.accepted.is_set() and self.is_after_reset():
                await self.call("Heartbeat")

    def is_after_reset(self) -> bool:
        return any(call.status == "Accepted" for call in self.central.trace.asked("Reset"))
