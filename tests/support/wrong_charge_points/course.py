"""The life a charge point leads before the strict central system: everything a law speaks of happens in it."""

import asyncio
import json
from typing import Any

from tests.support.strict.answering import error
from tests.support.strict.central import CallError, StrictCentral
from tests.support.strict.expectations import Expectations
from tests.support.strict.law import Violation
from tests.support.strict.line import LineClosedError
from tests.support.strict.trace import Call, to_stamp
from tests.support.virtual_time import START_UTC_S, run_virtual
from tests.support.wrong_charge_points.base import IDENTITY, PASSWORD, ChargePoint
from tests.support.wrong_charge_points.handlers import HANDLERS

OTHER_PASSWORD = "fedcba9876543210"  # noqa: S105 - of nobody
INTERVAL_S = 14
BEATS_EVERY_S = 20
EXPECTATIONS = Expectations(identity=IDENTITY, password=PASSWORD.encode(), security_profile=1).with_keys(
    CpoName="Operator",
    ConnectionTimeOut="15",
    MeterValueSampleInterval="3",
    MeterValuesSampledData="Energy.Active.Import.Register,Current.Import",
    TransactionMessageAttempts="3",
    TransactionMessageRetryInterval="2",
)


def judged(kind: type[ChargePoint]) -> list[Violation]:
    """What the strict central system says of a charge point of that kind."""
    found: list[Violation] = []

    async def main() -> None:
        central = StrictCentral(EXPECTATIONS, START_UTC_S)
        point = kind(central, HANDLERS)
        try:
            await course(central, point)
            found.extend(central.violations())
        finally:
            for task in point.tasks:
                task.cancel()
            await asyncio.gather(*point.tasks, return_exceptions=True)
            await central.stop()

    run_virtual(main())
    return found


async def course(central: StrictCentral, point: ChargePoint) -> None:
    """See above. Nothing is asserted here: the laws speak."""
    await _register(central, point)
    await _ask(central)
    await _cards(central, point)
    await _from_afar(central)
    await _availability(central)
    await _lists(central, point)
    await _reservations(central, point)
    await _profiles(central)
    await _files(central)
    await _lines(central, point)
    await attempt(central, "ChangeConfiguration", key="ClockAlignedDataInterval", value="0")
    await asyncio.sleep(2.5 * BEATS_EVERY_S)
    await _faults(point)


async def _register(central: StrictCentral, point: ChargePoint) -> None:
    central.answers.heartbeat_interval_s = BEATS_EVERY_S
    central.answers.boot("Rejected", INTERVAL_S)
    central.answers.boot("Pending", INTERVAL_S)
    await point.switch_on()
    await asyncio.sleep(2)
    await central.send_raw(json.dumps([2, "in-vain", "GetConfiguration", {}]))
    await asyncio.sleep(INTERVAL_S)
    await attempt(central, "RemoteStartTransaction", idTag="EARLY")
    await attempt(central, "TriggerMessage", requestedMessage="StatusNotification", connectorId=1)
    await asyncio.sleep(2 * INTERVAL_S)


async def _ask(central: StrictCentral) -> None:
    await attempt(central, "GetConfiguration")
    await attempt(central, "ChangeConfiguration", key="MeterValueSampleInterval", value="-1")
    await attempt(central, "ChangeConfiguration", key="NoSuchKey", value="1")
    await attempt(central, "ChangeConfiguration", key="ClockAlignedDataInterval", value="7")
    keys = ["ClockAlignedDataInterval", "AuthorizationKey", "NoSuchKey", "MeterValueSampleInterval"]
    await attempt(central, "GetConfiguration", key=keys)
    await attempt(central, "RemoteStartTransaction", idTag="NOWHERE", connectorId=0)
    await attempt(central, "RemoteStopTransaction", transactionId=999)
    await attempt(central, "UnlockConnector", connectorId=9)
    await attempt(central, "GetInstalledCertificateIds", certificateType="CentralSystemRootCertificate")
    await attempt(central, "ChangeConfiguration", key="SecurityProfile", value="0")
    await attempt(central, "TriggerMessage", requestedMessage="Heartbeat")
    await asyncio.sleep(15)


async def _cards(central: StrictCentral, point: ChargePoint) -> None:
    central.answers.tag("BAD", "Blocked")
    if await point.swipe("BAD"):
        await point.charge("BAD")
    await point.tell(1, "Available")
    central.answers.next("StartTransaction", error())
    central.answers.next("StopTransaction", error(), error())
    if await point.swipe("CARD"):
        await point.charge("CARD")
    central.answers.next("StopTransaction", *[error()] * 3)
    if await point.swipe("CARD", 2):
        await point.charge("CARD", 2)
    central.answers.tag_at_start("LATE", "Invalid")
    if await point.swipe("LATE"):
        await point.charge("LATE")
    await asyncio.sleep(15)


async def _from_afar(central: StrictCentral) -> None:
    await attempt(central, "RemoteStartTransaction", idTag="NOBODY", connectorId=1)
    await asyncio.sleep(40)
    start = await _started(central, "APP", 1)
    await attempt(central, "RemoteStartTransaction", idTag="OTHER", connectorId=1)
    await attempt(central, "RemoteStopTransaction", transactionId=_number(start))
    await asyncio.sleep(35)
    start = await _started(central, "APP", 2)
    await attempt(central, "UnlockConnector", connectorId=2)
    await asyncio.sleep(15)


async def _availability(central: StrictCentral) -> None:
    for kind in ("Inoperative", "Operative"):
        await attempt(central, "ChangeAvailability", connectorId=2, type=kind)
        await asyncio.sleep(6)
        if kind == "Inoperative":
            await _reserve(central, 6, 2, for_s=5)
        await asyncio.sleep(6)
    start = await _started(central, "APP", 1)
    await attempt(central, "ChangeAvailability", connectorId=1, type="Inoperative")
    await asyncio.sleep(2)
    await attempt(central, "RemoteStopTransaction", transactionId=_number(start))
    await asyncio.sleep(5)
    await attempt(central, "ChangeAvailability", connectorId=1, type="Operative")
    await asyncio.sleep(12)


async def _lists(central: StrictCentral, point: ChargePoint) -> None:
    entry = {"idTag": "LISTED", "idTagInfo": {"status": "Accepted"}}
    for version, kind in ((5, "Full"), (5, "Differential"), (3, "Differential"), (6, "Differential")):
        lists = {"listVersion": version, "updateType": kind, "localAuthorizationList": [entry]}
        await attempt(central, "SendLocalList", **lists)
        await attempt(central, "GetLocalListVersion")
    await attempt(central, "ChangeConfiguration", key="LocalPreAuthorize", value="true")
    if await point.swipe("LISTED"):
        await point.charge("LISTED")
    await attempt(central, "ChangeConfiguration", key="LocalPreAuthorize", value="false")


async def _reservations(central: StrictCentral, point: ChargePoint) -> None:
    await _reserve(central, 1, 1, for_s=600)
    await _reserve(central, 2, 2, for_s=600)
    await asyncio.sleep(12)
    await attempt(central, "CancelReservation", reservationId=2)
    await asyncio.sleep(1)
    await _reserve(central, 4, 2, for_s=-20)
    await _reserve(central, 3, 2, for_s=8)
    await asyncio.sleep(12)
    if await point.swipe("GUEST"):
        await point.charge("GUEST")


async def _reserve(central: StrictCentral, number: int, connector: int, for_s: float) -> None:
    expiry = to_stamp(central.utc_s() + for_s)
    order = {"connectorId": connector, "expiryDate": expiry, "idTag": "GUEST", "reservationId": number}
    await attempt(central, "ReserveNow", **order)


async def _profiles(central: StrictCentral) -> None:
    periods = [{"startPeriod": 0, "limit": 16.0}, {"startPeriod": 60, "limit": 8.0}]
    schedule = {"chargingRateUnit": "A", "chargingSchedulePeriod": periods}
    for connector, purpose in ((1, "TxProfile"), (1, "ChargePointMaxProfile"), (1, "TxDefaultProfile")):
        profile = {"chargingProfileId": 1, "stackLevel": 0, "chargingProfilePurpose": purpose}
        profile |= {"chargingProfileKind": "Relative", "chargingSchedule": schedule}
        await attempt(central, "SetChargingProfile", connectorId=connector, csChargingProfiles=profile)
    await attempt(central, "GetCompositeSchedule", connectorId=1, duration=300)
    await attempt(central, "ClearChargingProfile", id=99)
    await attempt(central, "RemoteStartTransaction", idTag="PLANNED", connectorId=2, chargingProfile=profile)


async def _files(central: StrictCentral) -> None:
    now = to_stamp(central.utc_s())
    await attempt(central, "UpdateFirmware", location="http://files.invalid/f", retrieveDate=now)
    await attempt(central, "GetDiagnostics", location="http://files.invalid/")
    log = {"remoteLocation": "http://files.invalid/"}
    await attempt(central, "GetLog", logType="SecurityLog", requestId=5, log=log)
    for _ in range(2):
        await attempt(central, "ExtendedTriggerMessage", requestedMessage="SignChargePointCertificate")
        await asyncio.sleep(1)
    await asyncio.sleep(5)


async def _lines(central: StrictCentral, point: ChargePoint) -> None:
    await attempt(central, "ChangeConfiguration", key="SecurityProfile", value="2")
    await central.drop()
    await asyncio.sleep(12)
    central.passwords[IDENTITY] = PASSWORD.encode()
    await attempt(central, "ChangeConfiguration", key="AuthorizationKey", value=OTHER_PASSWORD)
    await asyncio.sleep(12)
    await _started(central, "APP", 1)
    await attempt(central, "ClearChargingProfile", id=1)
    await attempt(central, "Reset", type="Soft")
    await asyncio.sleep(20)


async def _faults(point: ChargePoint) -> None:
    await point.tell(1, "Faulted", "GroundFailure")
    await asyncio.sleep(12)
    await point.tell(1, "Available")


async def attempt(central: StrictCentral, action: str, **payload: Any) -> None:
    """Ask; whatever comes of it is for the laws."""
    try:
        await central.call(action, **payload)
    except (CallError, AssertionError, LineClosedError):
        return


async def _started(central: StrictCentral, id_tag: str, connector: int) -> Call | None:
    """Start from afar and let it run for a while."""
    await attempt(central, "RemoteStartTransaction", idTag=id_tag, connectorId=connector)
    await asyncio.sleep(5)
    starts = [call for call in central.sent("StartTransaction") if call.result is not None]
    return starts[-1] if starts else None


def _number(start: Call | None) -> int:
    return 0 if start is None or start.result is None else int(start.result["transactionId"])
