"""Certificates nobody sane would make: each is refused in words, none is an error nobody expects."""

import base64
import datetime as dt

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import ExtensionOID, NameOID

from evcharge_agent.ocpp16.security import certificates
from evcharge_agent.ocpp16.security.errors import BadCertificateError
from tests.support.certificates import ec_key

X400_ADDRESS = b"\x30\x04\xa3\x02\x30\x00"
EDI_PARTY_NAME = b"\x30\x04\xa5\x02\x30\x00"
VERSION_3 = b"\xa0\x03\x02\x01\x02"
VERSION_8 = b"\xa0\x03\x02\x01\x07"


def odd(oid: x509.ObjectIdentifier = ExtensionOID.SUBJECT_ALTERNATIVE_NAME, value: bytes = X400_ADDRESS) -> bytes:
    """A certificate with one extension of these bytes, as DER."""
    key, now = ec_key(), dt.datetime.now(dt.UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "odd")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(7).not_valid_before(now).not_valid_after(now + dt.timedelta(days=30))
    made = builder.add_extension(x509.UnrecognizedExtension(oid, value), critical=False).sign(key, hashes.SHA256())
    return made.public_bytes(serialization.Encoding.DER)


def pem_of(der: bytes) -> str:
    return f"-----BEGIN CERTIFICATE-----\n{base64.encodebytes(der).decode()}-----END CERTIFICATE-----\n"


@pytest.mark.parametrize(
    "der",
    [
        pytest.param(odd(), id="x400 address"),
        pytest.param(odd(value=EDI_PARTY_NAME), id="edi party name"),
        pytest.param(odd(value=b"\x30\x03\x86\x01\xff"), id="uri that is no ascii"),
        pytest.param(odd(value=b"\x30\x04\x87\x02\x01\x02"), id="address of two bytes"),
        pytest.param(odd(ExtensionOID.BASIC_CONSTRAINTS, b"\x04\x00"), id="constraints that are none"),
        pytest.param(odd(ExtensionOID.KEY_USAGE, b""), id="usage that is nothing"),
        pytest.param(odd(ExtensionOID.NAME_CONSTRAINTS, b"\x30\x06\xa0\x04\x30\x02\xa3\x00"), id="constrained to x400"),
        pytest.param(odd().replace(VERSION_3, VERSION_8), id="version 8"),
    ],
)
def test_an_odd_certificate_is_refused_in_words(der: bytes) -> None:
    with pytest.raises(BadCertificateError, match="no certificate"):
        certificates.read_chain(pem_of(der))
