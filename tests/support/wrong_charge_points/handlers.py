"""How the right charge point answers."""

import asyncio
from collections.abc import Mapping
from functools import partial

from tests.support.strict.laws_credentials import key_bytes
from tests.support.strict.trace import Payload, stamp_s
from tests.support.wrong_charge_points.base import Answer, ChargePoint, Handler
from tests.support.wrong_charge_points.secure_handlers import SECURE_HANDLERS

CONNECTORS = (1, 2)


def get_configuration(point: ChargePoint, payload: Payload) -> Answer:
    asked = payload.get("key") or list(point.keys)
    known = {name.casefold(): name for name in point.keys}
    lines: list[Payload] = []
    for key in asked:
        if key == "AuthorizationKey":
            lines.append({"key": key, "readonly": False})
        elif key.casefold() in known:
            name = known[key.casefold()]
            lines.append({"key": name, "readonly": False, "value": point.keys[name]})
    unknown = [key for key in asked if key.casefold() not in known and key != "AuthorizationKey"]
    return {"configurationKey": lines, "unknownKey": unknown}, None


def change_configuration(point: ChargePoint, payload: Payload) -> Answer:
    if payload["key"] == "AuthorizationKey":
        point.passwords.append(key_bytes(payload["value"]))
        return {"status": "Accepted"}, point.pipe.close if point.pipe is not None else None
    if payload["key"] not in point.keys:
        return {"status": "NotSupported"}, None
    is_fall = payload["key"] == "SecurityProfile" and payload["value"] < point.keys["SecurityProfile"]
    if payload["value"] == "-1" or is_fall:
        return {"status": "Rejected"}, None
    point.keys[payload["key"]] = payload["value"]
    return {"status": "Accepted"}, None


def remote_start(point: ChargePoint, payload: Payload) -> Answer:
    connector = payload.get("connectorId", 1)
    if not point.accepted.is_set() or connector not in CONNECTORS or connector in point.open or connector in point.out:
        return {"status": "Rejected"}, None
    if payload.get("chargingProfile", {}).get("chargingProfilePurpose", "TxProfile") != "TxProfile":
        return {"status": "Rejected"}, None
    return {"status": "Accepted"}, partial(_begin, point, connector, payload["idTag"])


async def _begin(point: ChargePoint, connector: int, id_tag: str) -> None:
    """Nobody comes for this tag; for every other a car is plugged in after a second."""
    await point.tell(connector, "Preparing")
    if id_tag == "NOBODY":
        await asyncio.sleep(float(point.keys["ConnectionTimeOut"]) * point.timeout_factor)
        await point.tell(connector, "Available")
    else:
        await asyncio.sleep(1.0)
        await point.charge(id_tag, connector, for_s=600.0)


def remote_stop(point: ChargePoint, payload: Payload) -> Answer:
    for connector, number in point.open.items():
        if number == payload["transactionId"] and point.accepted.is_set():
            return {"status": "Accepted"}, partial(_end, point, connector, "Remote")
    return {"status": "Rejected"}, None


async def _end(point: ChargePoint, connector: int, reason: str) -> None:
    if not point.stopping[connector].done():
        point.stopping[connector].set_result(reason)


def change_availability(point: ChargePoint, payload: Payload) -> Answer:
    connector = payload["connectorId"]
    if connector not in CONNECTORS:
        return {"status": "Rejected"}, None
    is_out = payload["type"] == "Inoperative"
    (point.out.add if is_out else point.out.discard)(connector)
    if connector in point.open:
        return {"status": "Scheduled"}, None
    return {"status": "Accepted"}, partial(point.tell, connector, "Unavailable" if is_out else "Available")


def trigger(point: ChargePoint, payload: Payload) -> Answer:
    message, connector = payload["requestedMessage"], payload.get("connectorId", 1)
    if connector not in CONNECTORS:
        return {"status": "Rejected"}, None
    if message == "StatusNotification":
        return {"status": "Accepted"}, partial(point.tell, connector, point.states[connector], is_forced=True)
    if message == "Heartbeat":
        return {"status": "Accepted"}, partial(_call, point, "Heartbeat")
    return {"status": "NotImplemented"}, None


async def _call(point: ChargePoint, action: str) -> None:
    await point.call(action)


def reset(point: ChargePoint, payload: Payload) -> Answer:
    return {"status": "Accepted"}, partial(_restart, point, f"{payload['type']}Reset")


async def _restart(point: ChargePoint, reason: str) -> None:
    for connector in list(point.open):
        await _end(point, connector, reason)
        await asyncio.sleep(2.0)
    point.is_booted = False
    point.accepted.clear()
    if point.pipe is not None:
        await point.pipe.close()


def unlock(point: ChargePoint, payload: Payload) -> Answer:
    if payload["connectorId"] not in point.open:
        return {"status": "NotSupported"}, None
    return {"status": "Unlocked"}, partial(_end, point, payload["connectorId"], "UnlockCommand")


def send_local_list(point: ChargePoint, payload: Payload) -> Answer:
    if payload["updateType"] == "Differential" and payload["listVersion"] <= point.list_version:
        return {"status": "VersionMismatch"}, None
    point.list_version = payload["listVersion"]
    point.listed = {entry["idTag"] for entry in payload["localAuthorizationList"]}
    return {"status": "Accepted"}, None


def get_local_list_version(point: ChargePoint, _: Payload) -> Answer:
    return {"listVersion": point.list_version}, None


def reserve_now(point: ChargePoint, payload: Payload) -> Answer:
    connector, left_s = payload["connectorId"], stamp_s(payload["expiryDate"]) - point.central.utc_s()
    if connector not in CONNECTORS or point.states[connector] != "Available" or left_s <= 0:
        return {"status": "Rejected"}, None
    point.reserved[connector] = payload
    return {"status": "Accepted"}, partial(_keep, point, payload, left_s)


async def _keep(point: ChargePoint, order: Payload, left_s: float) -> None:
    """Reserved, until it is over."""
    await point.tell(order["connectorId"], "Reserved")
    await asyncio.sleep(left_s + point.expiry_offset_s)
    if point.expires and point.reserved.get(order["connectorId"]) is order:
        del point.reserved[order["connectorId"]]
        await point.tell(order["connectorId"], "Available")


def cancel_reservation(point: ChargePoint, payload: Payload) -> Answer:
    for connector, order in point.reserved.items():
        if order["reservationId"] == payload["reservationId"]:
            del point.reserved[connector]
            return {"status": "Accepted"}, partial(point.tell, connector, "Available")
    return {"status": "Rejected"}, None


def set_charging_profile(point: ChargePoint, payload: Payload) -> Answer:
    purpose = payload["csChargingProfiles"]["chargingProfilePurpose"]
    number = payload["csChargingProfiles"].get("transactionId")
    is_tx = payload["connectorId"] in point.open and number in (None, point.open[payload["connectorId"]])
    is_possible = {"TxProfile": is_tx, "ChargePointMaxProfile": payload["connectorId"] == 0}.get(purpose, True)
    if is_possible:
        point.profiles[payload["csChargingProfiles"]["chargingProfileId"]] = payload
    return {"status": "Accepted" if is_possible else "Rejected"}, None


def clear_charging_profile(point: ChargePoint, payload: Payload) -> Answer:
    """By id only."""
    return {"status": "Unknown" if point.profiles.pop(payload["id"], None) is None else "Accepted"}, None


def get_composite_schedule(point: ChargePoint, payload: Payload) -> Answer:
    """What is right as long as there is one profile, relative and without an end."""
    periods: list[Payload] = [{"startPeriod": 0, "limit": 32.0}]
    for one in point.profiles.values():
        if one["connectorId"] == payload["connectorId"]:
            periods = one["csChargingProfiles"]["chargingSchedule"]["chargingSchedulePeriod"]
    schedule = {"duration": payload["duration"], "chargingRateUnit": "A", "chargingSchedulePeriod": periods}
    result = {"status": "Accepted", "connectorId": payload["connectorId"], "scheduleStart": point.stamp()}
    return result | {"chargingSchedule": schedule}, None


def update_firmware(point: ChargePoint, _: Payload) -> Answer:
    statuses = point.firmware_statuses
    return {}, partial(_tell_all, point, "FirmwareStatusNotification", statuses)


def get_diagnostics(point: ChargePoint, _: Payload) -> Answer:
    return {"fileName": "log"}, partial(_tell_all, point, "DiagnosticsStatusNotification", point.upload_statuses)


async def _tell_all(point: ChargePoint, action: str, statuses: tuple[str, ...]) -> None:
    for status in statuses:
        await point.call(action, status=status)


HANDLERS: Mapping[str, Handler] = {
    **SECURE_HANDLERS,
    "CancelReservation": cancel_reservation,
    "ChangeAvailability": change_availability,
    "ChangeConfiguration": change_configuration,
    "ClearChargingProfile": clear_charging_profile,
    "GetCompositeSchedule": get_composite_schedule,
    "GetConfiguration": get_configuration,
    "GetDiagnostics": get_diagnostics,
    "GetLocalListVersion": get_local_list_version,
    "RemoteStartTransaction": remote_start,
    "RemoteStopTransaction": remote_stop,
    "ReserveNow": reserve_now,
    "Reset": reset,
    "SendLocalList": send_local_list,
    "SetChargingProfile": set_charging_profile,
    "TriggerMessage": trigger,
    "UnlockConnector": unlock,
    "UpdateFirmware": update_firmware,
}
