"""Firmware bundles, and a manufacturer that signs them."""

import base64
import datetime as dt
import random
from dataclasses import dataclass
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from evcharge_agent.updates.bundle import build
from tests.support.virtual_time import START_UTC_S

Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
NOW = dt.datetime.fromtimestamp(START_UTC_S, dt.UTC)
FROM, UNTIL = NOW - dt.timedelta(days=365), NOW + dt.timedelta(days=3650)


def bundle(version: str = "2.0.0", size: int = 20_000) -> bytes:
    """A small bundle."""
    return build(version, {"agent.img": random.Random(version).randbytes(size), "readme.txt": b"firmware"})


def make_key(kind: str = "ec") -> Key:
    """RSA with 2048 bits, or P-256."""
    return rsa.generate_private_key(65537, 2048) if kind == "rsa" else ec.generate_private_key(ec.SECP256R1())


@dataclass(frozen=True)
class Signer:
    """A key with its certificate."""

    key: Key
    certificate: x509.Certificate

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()

    def sign(self, data: bytes) -> str:
        """SHA-256 with RSA-PSS or ECDSA, Base64."""
        if isinstance(self.key, rsa.RSAPrivateKey):
            pss = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.DIGEST_LENGTH)
            return base64.b64encode(self.key.sign(data, pss, hashes.SHA256())).decode()
        return base64.b64encode(self.key.sign(data, ec.ECDSA(hashes.SHA256()))).decode()


def make_root(name: str = "Manufacturer") -> Signer:
    """A self-signed authority."""
    key = make_key()
    return Signer(key, _certificate(name, key, None, is_authority=True))


def make_signer(root: Signer, kind: str = "ec", **options: Any) -> Signer:
    """A signing certificate under `root`; `options` as `_certificate`."""
    key = make_key(kind)
    return Signer(key, _certificate("Firmware", key, root, **options))


def revocation_list(root: Signer, *revoked: Signer) -> str:
    """A CRL of the root, PEM."""
    builder = x509.CertificateRevocationListBuilder().issuer_name(root.certificate.subject)
    builder = builder.last_update(FROM).next_update(UNTIL)
    for one in revoked:
        entry = x509.RevokedCertificateBuilder().serial_number(one.certificate.serial_number).revocation_date(FROM)
        builder = builder.add_revoked_certificate(entry.build())
    return builder.sign(root.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


def _certificate(
    name: str,
    key: Key,
    issuer: Signer | None,
    *,
    is_authority: bool = False,
    not_after: dt.datetime = UNTIL,
    usage: x509.ObjectIdentifier = ExtendedKeyUsageOID.CODE_SIGNING,
) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if issuer is None else issuer.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(FROM)
        .not_valid_after(not_after)
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
    )
    if not is_authority:
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
    return builder.sign(key if issuer is None else issuer.key, hashes.SHA256())
