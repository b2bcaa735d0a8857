"""Certificates that the central system renews, installs, lists and deletes, and those that are none."""

import hashlib
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import NameOID

from tests.octt.bench import Bench, in_memory
from tests.octt.pki import OPERATOR, SERIAL, Pki, Tls, validity
from tests.support.certificates import Made
from tests.support.strict.trace import Opened

CENTRAL_SYSTEM, MANUFACTURER = "CentralSystemRootCertificate", "ManufacturerRootCertificate"
EVENT = "SecurityEventNotification"


@in_memory(tls=Tls.MUTUAL, ocpp={"security_profile": 3}, keys={"CpoName": OPERATOR})
async def test_tc_074_update_charge_point_certificate(bench: Bench) -> None:
    """Asked to, it requests a certificate for a new key, takes what comes and shows it from then on."""
    await bench.booted()
    request = await _request(bench)
    signed = bench.pki.root.sign(request, **validity())
    assert await bench.central.order("CertificateSigned", certificateChain=signed) == "Accepted"
    number = x509.load_pem_x509_certificate(signed.encode()).serial_number
    await bench.central.until(lambda: _shown(bench)[-1] == number, "a line with the new certificate")
    assert _shown(bench)[0] == bench.pki.client.certificate.serial_number
    assert len(bench.central.sent("BootNotification")) == 1
    await bench.charging()


@in_memory()
async def test_tc_075_1_install_manufacturer_root(bench: Bench) -> None:
    """Installed, and listed by its hashes."""
    await _install(bench, MANUFACTURER)


@in_memory()
async def test_tc_075_2_install_central_system_root(bench: Bench) -> None:
    """The same for central systems."""
    await _install(bench, CENTRAL_SYSTEM)


@in_memory()
async def test_tc_076_delete_certificate(bench: Bench) -> None:
    """Deleted by its hashes, and then there is none; the other one stays."""
    await bench.booted()
    for use in (MANUFACTURER, CENTRAL_SYSTEM):
        pem = Pki.new_root(use).pem
        assert await bench.central.order("InstallCertificate", certificateType=use, certificate=pem) == "Accepted"
    (data,) = (await _list(bench, MANUFACTURER))["certificateHashData"]
    assert await bench.central.order("DeleteCertificate", certificateHashData=data) == "Accepted"
    assert await _list(bench, MANUFACTURER) == {"status": "NotFound"}
    assert await bench.central.order("DeleteCertificate", certificateHashData=data) == "NotFound"
    assert (await _list(bench, CENTRAL_SYSTEM))["status"] == "Accepted"


@in_memory(tls=Tls.MUTUAL, ocpp={"security_profile": 3}, keys={"CpoName": OPERATOR})
async def test_tc_077_invalid_charge_point_certificate(bench: Bench) -> None:
    """A certificate that a stranger signed is refused and told; the one in use stays."""
    await bench.booted()
    request = await _request(bench)
    forged = Pki.new_root("stranger").sign(request, **validity())
    assert await bench.central.order("CertificateSigned", certificateChain=forged) == "Rejected"
    await bench.central.expect(EVENT, type="InvalidChargePointCertificate")
    await bench.central.drop()
    await bench.central.until(lambda: len(_shown(bench)) > 1, "the second line")
    assert set(_shown(bench)) == {bench.pki.client.certificate.serial_number}


@in_memory(tls=Tls.SERVER, ocpp={"security_profile": 2, "authorization_key": "0123456789abcdef"})
async def test_tc_078_invalid_central_system_certificate(bench: Bench) -> None:
    """It does not speak to a server that cannot prove itself, and tells the one that can."""
    await bench.booted()
    forger = Pki.new_root("stranger").server("127.0.0.1", **validity())
    for wrong in (forger, bench.pki.root.server("other.invalid", **validity())):
        lines = len(_shown(bench))
        await bench.central.change_tls(bench.pki.context(wrong))
        await bench.sleep(12)
        assert len(_shown(bench)) == lines
        await bench.central.change_tls(bench.pki.context())
        await bench.central.expect(EVENT, type="InvalidCentralSystemCertificate")
    assert len(bench.central.sent("BootNotification")) == 1
    await bench.charging()


async def _install(bench: Bench, use: str) -> None:
    await bench.booted()
    made = Pki.new_root(use)
    assert await _list(bench, use) == {"status": "NotFound"}
    order = {"certificateType": use, "certificate": "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"}
    assert await bench.central.order("InstallCertificate", **order) == "Rejected"
    assert await bench.central.order("InstallCertificate", **order | {"certificate": made.pem}) == "Accepted"
    assert await _list(bench, use) == {"status": "Accepted", "certificateHashData": [_hash_data(made)]}
    other = MANUFACTURER if use == CENTRAL_SYSTEM else CENTRAL_SYSTEM
    assert await _list(bench, other) == {"status": "NotFound"}


async def _list(bench: Bench, use: str) -> Any:
    return await bench.central.call("GetInstalledCertificateIds", certificateType=use)


async def _request(bench: Bench) -> str:
    """Have the charger ask for a certificate; the request as PEM."""
    order = {"requestedMessage": "SignChargePointCertificate"}
    assert await bench.central.order("ExtendedTriggerMessage", **order) == "Accepted"
    text = str((await bench.central.expect("SignCertificate")).payload["csr"])
    request = x509.load_pem_x509_csr(text.encode())
    assert request.is_signature_valid
    assert request.public_key() != bench.pki.client.key.public_key(), "a new key pair"
    names = {part.oid: part.value for part in request.subject}
    assert (names[NameOID.COMMON_NAME], names[NameOID.ORGANIZATION_NAME]) == (SERIAL, OPERATOR)
    return text


def _shown(bench: Bench) -> list[int | None]:
    """Serial numbers of the certificates shown on each line."""
    return [entry.client for entry in bench.central.trace.entries if isinstance(entry, Opened)]


def _hash_data(made: Made) -> dict[str, str]:
    """RFC 6960, 4.1.1, of a certificate that signed itself."""
    certificate = made.certificate
    point = serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
    return {
        "hashAlgorithm": "SHA256",
        "issuerNameHash": hashlib.sha256(certificate.issuer.public_bytes()).hexdigest(),
        "issuerKeyHash": hashlib.sha256(certificate.public_key().public_bytes(*point)).hexdigest(),  # type: ignore[call-arg]
        "serialNumber": f"{certificate.serial_number:x}",
    }
