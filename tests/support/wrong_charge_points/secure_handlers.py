"""How the right charge point answers requests of the security white paper."""

from collections.abc import Mapping
from functools import partial

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import NameOID

from tests.support.strict.trace import Payload
from tests.support.wrong_charge_points.base import Answer, ChargePoint, Handler


def extended_trigger(point: ChargePoint, payload: Payload) -> Answer:
    if payload["requestedMessage"] != "SignChargePointCertificate":
        return {"status": "NotImplemented"}, None
    return {"status": "Accepted"}, partial(_request, point)


async def _request(point: ChargePoint) -> None:
    await point.call("SignCertificate", csr=request_of(point))


def request_of(point: ChargePoint) -> str:
    """PKCS#10 as PEM."""
    parts = {NameOID.COMMON_NAME: "SERIAL", NameOID.ORGANIZATION_NAME: point.operator()}
    subject = x509.Name([x509.NameAttribute(oid, text) for oid, text in parts.items()])
    request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(point.new_key(), hashes.SHA256())
    return request.public_bytes(serialization.Encoding.PEM).decode()


def get_log(point: ChargePoint, payload: Payload) -> Answer:
    return {"status": "Accepted", "filename": "log"}, partial(_tell_log, point, payload["requestId"])


async def _tell_log(point: ChargePoint, number: int) -> None:
    for status in point.upload_statuses:
        await point.call("LogStatusNotification", status=status, requestId=number + point.request_id_offset)


SECURE_HANDLERS: Mapping[str, Handler] = {"ExtendedTriggerMessage": extended_trigger, "GetLog": get_log}
