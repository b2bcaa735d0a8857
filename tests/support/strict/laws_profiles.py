"""Laws about the feature profiles beyond Core but for charging: lists, reservations, firmware and logs.

Rules 17 and 18, and the status sequences of OCPP 1.6, 4.4 and 4.5, and of the security white paper, 4.
"""

from collections.abc import Iterator, Mapping

from tests.support.strict.expectations import Expectations
from tests.support.strict.law import Finding
from tests.support.strict.laws_boot import TRIGGERS
from tests.support.strict.trace import FOREVER_S, Call, Trace, stamp_s

CLOCKS_AGREE_S = 5.0
NO_LIST = -1

FIRMWARE_MOVES: Mapping[str, str] = {
    "": "Downloading DownloadScheduled DownloadFailed",
    "Idle": "Downloading DownloadScheduled DownloadFailed",
    "DownloadScheduled": "Downloading DownloadFailed",
    "DownloadPaused": "Downloading DownloadFailed",
    "Downloading": "Downloaded DownloadFailed DownloadPaused",
    "Downloaded": "Installing InstallScheduled InstallationFailed SignatureVerified InvalidSignature",
    "SignatureVerified": "Installing InstallScheduled InstallationFailed",
    "InstallScheduled": "Installing InstallationFailed",
    "Installing": "Installed InstallationFailed InstallRebooting InstallVerificationFailed",
    "InstallRebooting": "Installing Installed InstallationFailed InstallVerificationFailed",
    "Installed": "Downloading DownloadScheduled DownloadFailed",
    "DownloadFailed": "Downloading DownloadScheduled DownloadFailed",
    "InstallationFailed": "Downloading DownloadScheduled DownloadFailed",
    "InvalidSignature": "Downloading DownloadScheduled DownloadFailed",
    "InstallVerificationFailed": "Downloading DownloadScheduled DownloadFailed",
}
"""What may be told after what; the first is nothing told yet."""
SIGNED = "SignedFirmwareStatusNotification"


def list_versions_are_kept(trace: Trace, _: Expectations) -> Iterator[Finding]:
    """GetLocalListVersion tells the version last accepted; a list that was not accepted changes nothing."""
    known: int | None = None
    for call in trace.asked("SendLocalList", "GetLocalListVersion"):
        if call.action == "SendLocalList" and call.status == "Accepted":
            known = int(call.payload["listVersion"])
            is_empty_full = call.payload["updateType"] == "Full" and not call.payload.get("localAuthorizationList")
            known = None if is_empty_full else known
        elif call.action == "GetLocalListVersion" and call.result is not None:
            told = int(call.result["listVersion"])
            if known is not None and told not in (known, NO_LIST):
                yield call.at_s, f"list version {told}, not {known}"
            known = told if known is None and told != NO_LIST else known


def differential_lists_move_forward(trace: Trace, _: Expectations) -> Iterator[Finding]:
    """A differential list is accepted only with a version beyond the present one (rule 17)."""
    known: int | None = None
    for call in trace.asked("SendLocalList"):
        version = int(call.payload["listVersion"])
        if call.status != "Accepted":
            continue
        if call.payload["updateType"] == "Differential" and known is not None and version <= known:
            yield call.at_s, f"differential list {version} accepted over {known}"
        known = version


def reservations_are_told(trace: Trace, expectations: Expectations) -> Iterator[Finding]:
    """An accepted reservation makes its connector Reserved, until it is used, cancelled or expired (rule 18)."""
    for order in trace.asked("ReserveNow"):
        if order.status != "Accepted" or order.answered_s is None or order.connector == 0:
            continue
        until_s = order.answered_s + expectations.follow_within_s
        if until_s > _end_s(trace, order) or not trace.is_up(order.at_s, until_s):
            continue
        states = [call for call in trace.statuses(int(order.payload["connectorId"])) if call.at_s <= until_s]
        if not states or states[-1].payload["status"] not in ("Reserved", "Faulted", "Unavailable"):
            yield until_s, f"not Reserved after {order}"


def a_reserved_connector_is_kept(trace: Trace, _: Expectations) -> Iterator[Finding]:
    """Where a reservation holds, only its tag or its parent's begins, and the start names the reservation."""
    for transaction in trace.transactions:
        start = transaction.start
        began_s = stamp_s(str(start.payload["timestamp"])) - trace.utc_offset_s
        holding = [
            order
            for order in trace.asked("ReserveNow")
            if order.status == "Accepted" and order.connector == transaction.connector
            if order.answered_s is not None and order.answered_s <= began_s < _end_s(trace, order, start)
        ]
        named = start.payload.get("reservationId")
        for order in holding[-1:]:
            is_owner = str(order.payload["idTag"]).casefold() == str(start.payload["idTag"]).casefold()
            if not is_owner and "parentIdTag" not in order.payload:
                yield start.at_s, f"begun on a connector reserved by {order}: {start}"
            elif is_owner and named != order.payload["reservationId"]:
                yield start.at_s, f"reservation {order.payload['reservationId']} is not named: {start}"


def reservation_ids_are_known(trace: Trace, _: Expectations) -> Iterator[Finding]:
    """A start names a reservation that was accepted, and no other start has named."""
    used: set[object] = set()
    for transaction in trace.transactions:
        number = transaction.start.payload.get("reservationId")
        if number is None:
            continue
        accepted = {
            order.payload["reservationId"]
            for order in trace.asked("ReserveNow")
            if order.status == "Accepted" and order.number < transaction.start.number
        }
        if number not in accepted or number in used:
            yield transaction.start.at_s, f"reservation {number}: {transaction.start}"
        used.add(number)


def firmware_statuses_are_in_order(trace: Trace, _: Expectations) -> Iterator[Finding]:
    """Firmware is downloaded, checked where it is signed, and installed, in this order, because it was asked for."""
    for action, cause in (("FirmwareStatusNotification", "UpdateFirmware"), (SIGNED, "SignedUpdateFirmware")):
        before = ""
        for call in _once(trace, action):
            status = str(call.payload["status"])
            if _is_triggered(trace, call):
                continue
            if not any(order.number < call.number and order.result is not None for order in trace.asked(cause)):
                yield call.at_s, f"{status}, but nobody asked"
            elif status not in FIRMWARE_MOVES.get(before, "").split():
                yield call.at_s, f"{status} after {before or 'nothing'}"
            before = status


def uploads_are_told_in_order(trace: Trace, _: Expectations) -> Iterator[Finding]:
    """An upload is told by Uploading and by how it ended, because it was asked for."""
    for action, cause in (("DiagnosticsStatusNotification", "GetDiagnostics"), ("LogStatusNotification", "GetLog")):
        is_uploading = False
        for call in _once(trace, action):
            status = str(call.payload["status"])
            if _is_triggered(trace, call):
                continue
            if not any(order.number < call.number and order.result is not None for order in trace.asked(cause)):
                yield call.at_s, f"{status}, but nobody asked"
            elif (status == "Uploaded" and not is_uploading) or (status == "Uploading" and is_uploading):
                yield call.at_s, f"{status} {'again' if is_uploading else 'without Uploading'}"
            is_uploading = status == "Uploading"


def security_profiles_never_fall(trace: Trace, _: Expectations) -> Iterator[Finding]:
    """SecurityProfile is changed upwards only."""
    known: int | None = None
    for call in trace.asked("GetConfiguration", "ChangeConfiguration"):
        for line in (call.result or {}).get("configurationKey", []):
            if line["key"] == "SecurityProfile":
                known = int(line["value"])
        is_change = call.action == "ChangeConfiguration" and call.payload["key"] == "SecurityProfile"
        if is_change and call.status in ("Accepted", "RebootRequired"):
            wanted = int(call.payload["value"])
            if known is not None and wanted < known:
                yield call.at_s, f"SecurityProfile from {known} to {wanted} was {call.status}"
            known = wanted


def _end_s(trace: Trace, order: Call, but: Call | None = None) -> float:
    """When a reservation is over: cancelled, replaced, expired, or used (by another start than `but`)."""
    ends = [stamp_s(str(order.payload["expiryDate"])) - trace.utc_offset_s, trace.ended_s if but is None else FOREVER_S]
    for call in trace.asked("CancelReservation", "ReserveNow", "ChangeAvailability"):
        is_mine = call.payload.get("reservationId") == order.payload["reservationId"]
        is_out = call.action == "ChangeAvailability" and call.connector in (0, order.connector)
        if call.number > order.number and call.status == "Accepted" and (is_mine or is_out):
            ends.append(call.at_s)
    for call in trace.sent("StartTransaction", "StatusNotification"):
        is_other_start = call.action == "StartTransaction" and call is not but
        is_over = is_other_start or call.payload.get("status") in ("Faulted", "Unavailable", "Preparing")
        if (call.number > order.number and call.connector == order.connector and is_over and but is None) or (
            call.number > order.number and call.connector == order.connector and is_other_start
        ):
            ends.append(call.at_s)
    return min(ends)


def _once(trace: Trace, action: str) -> list[Call]:
    return [sends[0] for sends in trace.sends if sends[0].action == action]


def _is_triggered(trace: Trace, call: Call) -> bool:
    """A status that was asked for tells where things are, and moves nothing."""
    asked = [one for one in trace.asked(*TRIGGERS) if one.status == "Accepted" and one.number < call.number]
    wanted = [one for one in asked if str(one.payload["requestedMessage"]) in call.action]
    return any(call.at_s - one.at_s <= CLOCKS_AGREE_S for one in wanted)


PROFILE_LAWS = (
    list_versions_are_kept,
    differential_lists_move_forward,
    reservations_are_told,
    a_reserved_connector_is_kept,
    reservation_ids_are_known,
    firmware_statuses_are_in_order,
    uploads_are_told_in_order,
    security_profiles_never_fall,
)
