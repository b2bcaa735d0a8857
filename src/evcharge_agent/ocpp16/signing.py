"""Who signed a firmware file, and whether it is that file (security white paper L01.FR.01, .02, .11, .12). Blocking.

SHA-256 over the whole file; RSA-PSS, and ECDSA, which this charger takes as well. `cryptography` is imported when it is
first needed.
"""

import base64
import binascii
import enum
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from evcharge_agent.ocpp16.security.errors import BadCertificateError

if TYPE_CHECKING:
    from cryptography import x509

_READ_BYTES = 1024 * 1024


class SignerStatus(enum.Enum):
    """What a signing certificate is worth."""

    VALID = "valid"
    INVALID = "invalid"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True)
class SignerVerdict:
    """See `judge_signer`."""

    status: SignerStatus
    reason: str = ""


def judge_signer(
    certificate_pem: str, roots_pem: Sequence[str], revoked_pem: str, moment_utc_s: float
) -> SignerVerdict:
    """Judge the certificate a firmware file is signed with, at a moment.

    It leads to one of the manufacturer's roots, may sign, and is in no revocation list (PEM) of who issued it.
    """
    from evcharge_agent.ocpp16.security import certificates  # noqa: PLC0415 - 8 MB only who needs them pays for

    try:
        chain = certificates.read_chain(certificate_pem)
        roots = [root for pem in roots_pem for root in certificates.read_chain(pem)]
    except BadCertificateError as error:
        return SignerVerdict(SignerStatus.INVALID, str(error))
    fault = certificates.find_chain_fault(chain, roots, [moment_utc_s]) or _find_usage_fault(chain[0])
    if fault is not None:
        return SignerVerdict(SignerStatus.INVALID, fault)
    if any(_is_revoked(one, [*chain, *roots], revoked_pem) for one in chain):
        return SignerVerdict(SignerStatus.REVOKED, "in the revocation list")
    return SignerVerdict(SignerStatus.VALID)


def is_signed(path: Path, certificate_pem: str, signature: str) -> bool:
    """Tell whether `signature` (Base64) over the whole file is by the key of the certificate. Raises OSError."""
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - as above
    from cryptography.hazmat.primitives import hashes  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils  # noqa: PLC0415

    from evcharge_agent.ocpp16.security import certificates  # noqa: PLC0415

    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_READ_BYTES):
            digest.update(chunk)
    hashed = utils.Prehashed(hashes.SHA256())
    try:
        key = certificates.read_chain(certificate_pem)[0].public_key()
        raw = base64.b64decode("".join(signature.split()), validate=True)
        if isinstance(key, rsa.RSAPublicKey):
            pss = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.AUTO)
            key.verify(raw, digest.digest(), pss, hashed)
        elif isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(raw, digest.digest(), ec.ECDSA(hashed))
        else:
            return False
    except (BadCertificateError, InvalidSignature, binascii.Error, ValueError):
        return False
    return True


def _find_usage_fault(certificate: "x509.Certificate") -> str | None:
    """A certificate that says what it is for must say so of signing."""
    from cryptography import x509  # noqa: PLC0415
    from cryptography.x509.oid import ExtendedKeyUsageOID  # noqa: PLC0415

    try:
        if not certificate.extensions.get_extension_for_class(x509.KeyUsage).value.digital_signature:
            return "not for signing"
    except x509.ExtensionNotFound:
        pass
    try:
        usages = set(certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)
    except x509.ExtensionNotFound:
        return None
    allowed = {ExtendedKeyUsageOID.CODE_SIGNING, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE}
    return None if usages & allowed else "not for signing code"


def _is_revoked(certificate: "x509.Certificate", issuers: "Sequence[x509.Certificate]", revoked_pem: str) -> bool:
    """Ask the lists that one of the issuers signed; others say nothing."""
    from cryptography import x509  # noqa: PLC0415

    end = "-----END X509 CRL-----"
    for part in revoked_pem.split(end)[:-1]:
        try:
            listed = x509.load_pem_x509_crl((part.strip() + f"\n{end}\n").encode())
            entry = listed.get_revoked_certificate_by_serial_number(certificate.serial_number)
            is_of_issuer = listed.issuer == certificate.issuer
        except ValueError:
            continue
        if entry is not None and is_of_issuer and any(_has_signed(one, listed) for one in issuers):
            return True
    return False


def _has_signed(issuer: "x509.Certificate", listed: "x509.CertificateRevocationList") -> bool:
    try:
        return listed.is_signature_valid(issuer.public_key())  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return False


def sign_file(path: Path, key_file: Path) -> str:
    """Sign a file as a manufacturer does, for tests and demos: SHA-256 with RSA-PSS or ECDSA, Base64.

    Raises:
        OSError: a file cannot be read.
        ValueError: the key is none that can sign.
    """
    from cryptography.hazmat.primitives import hashes, serialization  # noqa: PLC0415 - as above
    from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa  # noqa: PLC0415

    content = path.read_bytes()
    try:
        key = serialization.load_pem_private_key(key_file.read_bytes(), None)
    except (ValueError, TypeError):
        raise ValueError("not a PEM key without a password") from None
    if isinstance(key, rsa.RSAPrivateKey):
        pss = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.DIGEST_LENGTH)
        return base64.b64encode(key.sign(content, pss, hashes.SHA256())).decode()
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return base64.b64encode(key.sign(content, ec.ECDSA(hashes.SHA256()))).decode()
    raise ValueError("neither an RSA nor an EC key")
