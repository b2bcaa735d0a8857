"""Laws of the security white paper: what a line is secured with, what is requested and what is told."""

import functools
from collections.abc import Iterator

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import NameOID

from tests.support.strict.expectations import Expectations
from tests.support.strict.law import Finding
from tests.support.strict.trace import Opened, Trace

TLS_FROM_PROFILE, CERTIFICATE_FROM_PROFILE = 2, 3
TELL_START_WITHIN_S = 30.0
MAX_REQUEST_LENGTH = 5500
START = "StartupOfTheDevice"
EVENTS = frozenset(
    f"FirmwareUpdated SettingSystemTime {START} ResetOrReboot SecurityLogWasCleared MemoryExhaustion"
    " TamperDetectionActivated FailedToAuthenticationAtCentralSystem FailedToAuthenticateAtCentralSystem"
    " CentralSystemFailedToAuthenticateAtChargePoint ReconfigurationOfSecurityParameters InvalidMessages"
    " AttemptedReplayAttacks InvalidFirmwareSignature InvalidFirmwareSigningCertificate"
    " InvalidCentralSystemCertificate InvalidChargePointCertificate InvalidTLSVersion InvalidTLSCipherSuite".split()
)


def lines_are_as_secure_as_the_profile(trace: Trace, expectations: Expectations) -> Iterator[Finding]:
    """A profile that has worked once is never left again for a lower one (A05.FR.08)."""
    worked = 0
    for entry in trace.entries:
        if not isinstance(entry, Opened) or entry.path is None:
            continue
        profile = _profile_at(trace, expectations, entry.at_s)
        shown = CERTIFICATE_FROM_PROFILE if entry.client is not None else TLS_FROM_PROFILE if entry.is_tls else 1
        needed = min(worked, profile)
        if shown < needed:
            yield entry.at_s, f"a line of profile {shown}, profile {needed} is in force"
        worked = max(worked, min(shown, profile))


def the_start_is_told(trace: Trace, _: Expectations) -> Iterator[Finding]:
    """StartupOfTheDevice is critical: each run tells it once it may speak (A04.FR.01)."""
    for run in trace.runs:
        if run.accepted_s is None:
            continue
        until_s = run.accepted_s + TELL_START_WITHIN_S
        if min(trace.ended_s, run.ended_s) < until_s or not trace.is_up(run.accepted_s, until_s):
            continue
        told = [call for call in trace.sent("SecurityEventNotification") if run.has(call) and call.at_s <= until_s]
        if not any(call.payload["type"] == START for call in told):
            yield until_s, "the start was not told"


def security_events_have_names(trace: Trace, _: Expectations) -> Iterator[Finding]:
    """An event is one of the table of the white paper, in its spelling."""
    for call in trace.sent("SecurityEventNotification"):
        if call.payload["type"] not in EVENTS:
            yield call.at_s, f"unknown event {call.payload['type']}"


def statuses_name_their_request(trace: Trace, _: Expectations) -> Iterator[Finding]:
    """What is told of a log or of signed firmware carries the id of a request that was taken; only Idle has none."""
    for action, cause in (
        ("LogStatusNotification", "GetLog"),
        ("SignedFirmwareStatusNotification", "SignedUpdateFirmware"),
    ):
        for call in trace.sent(action):
            asked = [one for one in trace.asked(cause) if one.number < call.number]
            taken = {one.payload["requestId"] for one in asked if (one.status or "").startswith("Accepted")}
            number = call.payload.get("requestId")
            if number not in taken and not (number is None and call.payload["status"] == "Idle"):
                yield call.at_s, f"request {number} is not one of {sorted(taken)}: {call}"


def certificates_are_requested_properly(trace: Trace, expectations: Expectations) -> Iterator[Finding]:
    """PKCS#10 as PEM, signed with its own key, a new key each time, and O is CpoName (A02.FR.02 to .05)."""
    keys: dict[bytes, str] = {}
    for call in trace.sent("SignCertificate"):
        text = str(call.payload["csr"])
        request = _request(text)
        if request is None or len(text) > MAX_REQUEST_LENGTH:
            yield call.at_s, "no request, or one too long"
            continue
        organisations = [part.value for part in request.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)]
        operator = _changed(trace, "CpoName", expectations.keys.get("CpoName", ""), call.at_s)
        if operator and organisations != [operator]:
            yield call.at_s, f"requested for {organisations}, not for {operator}"
        key = request.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        if keys.setdefault(key, text) != text:
            yield call.at_s, "another request with the same key"


@functools.cache
def _request(text: str) -> x509.CertificateSigningRequest | None:
    try:
        request = x509.load_pem_x509_csr(text.encode())
    except ValueError:
        return None
    return request if request.is_signature_valid else None


def _profile_at(trace: Trace, expectations: Expectations, at_s: float) -> int:
    return int(_changed(trace, "SecurityProfile", str(expectations.security_profile), at_s))


def _changed(trace: Trace, name: str, value: str, at_s: float) -> str:
    for call in trace.asked("ChangeConfiguration"):
        is_mine = str(call.payload["key"]).casefold() == name.casefold() and call.status == "Accepted"
        if is_mine and call.answered_s is not None and call.answered_s <= at_s:
            value = str(call.payload["value"])
    return value


SECURITY_LAWS = (
    lines_are_as_secure_as_the_profile,
    the_start_is_told,
    security_events_have_names,
    statuses_name_their_request,
    certificates_are_requested_properly,
)
