"""Laws about the feature profiles beyond Core: lists, firmware and logs.

Rule 17, and the status sequences of OCPP 1.6, 4.4 and 4.5, and of the security white paper, 4.
"""

from collections.abc import Iterator, Mapping

from tests.support.strict.expectations import Expectations, is_at
from tests.support.strict.law import Finding
from tests.support.strict.laws_boot import TRIGGERS
from tests.support.strict.trace import Call, Trace

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


def listed_tags_are_not_asked_about(trace: Trace, expectations: Expectations) -> Iterator[Finding]:
    """With LocalPreAuthorize a tag the list accepts needs no Authorize to start (OCPP 1.6, 3.5.3)."""
    for call in trace.sent("Authorize"):
        is_used = all(
            is_at(trace, expectations, key, call.at_s) for key in ("LocalPreAuthorize", "LocalAuthListEnabled")
        )
        listed = _listed_at(trace, call.number)
        # Who may stop another's charge, or use a reservation for a parent, is not for the list to say.
        is_for_more = any(one.is_open_at(call.number) for one in trace.transactions) or any(
            "parentIdTag" in order.payload for order in trace.asked("ReserveNow")
        )
        if is_used and not is_for_more and listed.get(str(call.payload["idTag"]).casefold()) == "Accepted":
            yield call.at_s, f"asked about a tag of the list: {call}"


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


def _listed_at(trace: Trace, number: int) -> dict[str, str]:
    """Status by tag as last accepted; entries with an expiry are left out."""
    listed: dict[str, str] = {}
    for call in trace.asked("SendLocalList"):
        if call.status != "Accepted" or call.answer_number is None or call.answer_number > number:
            continue
        if call.payload["updateType"] == "Full":
            listed.clear()
        for entry in call.payload.get("localAuthorizationList", ()):
            listed.pop(str(entry["idTag"]).casefold(), None)
            info = entry.get("idTagInfo")
            if info is not None and "expiryDate" not in info:
                listed[str(entry["idTag"]).casefold()] = info["status"]
    return listed


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
    listed_tags_are_not_asked_about,
    firmware_statuses_are_in_order,
    uploads_are_told_in_order,
    security_profiles_never_fall,
)
