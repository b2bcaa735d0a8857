"""Certificates as values: reading, judging, hashing, requesting. Pure but for the randomness of a new key.

The only module that imports `cryptography` (8 MB): import it where it is used, never at the top of another module.
OpenSSL checks the servers of TLS connections; what is judged here are certificates that are handed to us.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from cryptography.x509.verification import Criticality, ExtensionPolicy, PolicyBuilder, Store, VerificationError

from evcharge_agent.ocpp16.security.errors import BadCertificateError

MIN_RSA_BITS = 2048
MIN_EC_BITS = 224
MAX_CHAIN_DEPTH = 5
MAX_CERTIFICATES = 10
"""In one text; more are no chain."""
MAX_REQUEST_LENGTH = 5500
"""Characters of a PKCS#10 request in SignCertificate.req."""

_ALGORITHMS: dict[str, hashes.HashAlgorithm] = {
    "SHA256": hashes.SHA256(),
    "SHA384": hashes.SHA384(),
    "SHA512": hashes.SHA512(),
}
_WEAK_HASHES = (hashes.MD5, hashes.SHA1)
_UNREADABLE = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)
"""What the library raises for certificates it cannot read; the last four are no ValueError."""
_ORGANISATION_LENGTH = 64
"""Upper bound of organizationName (RFC 5280, A.1)."""


@dataclass(frozen=True, slots=True)
class Window:
    """When a certificate is valid, seconds since 1970."""

    not_before_utc_s: float
    not_after_utc_s: float


# --- reading ----------------------------------------------------------------------------------------------


def read_chain(pem: str) -> list[x509.Certificate]:
    """Read the certificates of a text, in its order.

    Raises:
        BadCertificateError: there is none, too many, or one that cannot be read.
    """
    chain = read_bundle(pem)
    if len(chain) > MAX_CERTIFICATES:
        raise BadCertificateError(f"more than {MAX_CERTIFICATES} certificates")
    return chain


def read_bundle(pem: str) -> list[x509.Certificate]:
    """Read however many certificates; raises as `read_chain`."""
    try:
        chain = x509.load_pem_x509_certificates(pem.encode("ascii"))
        for certificate in chain:
            certificate.public_key()  # read late: a key nobody knows shows itself here
            tuple(certificate.extensions)
    except _UNREADABLE as error:
        raise BadCertificateError(f"no certificate: {type(error).__name__}") from None
    return chain


def read_one(pem: str) -> x509.Certificate:
    """Read a text that holds exactly one certificate; raises as `read_chain`."""
    chain = read_chain(pem)
    if len(chain) != 1:
        raise BadCertificateError("more than one certificate")
    return chain[0]


def write_pem(*certificates: x509.Certificate) -> str:
    """Write certificates as PEM."""
    return "".join(one.public_bytes(serialization.Encoding.PEM).decode() for one in certificates)


def fingerprint(certificate: x509.Certificate) -> str:
    """SHA-256 of the whole certificate, hex."""
    return certificate.fingerprint(hashes.SHA256()).hex()


def window_of(certificate: x509.Certificate) -> Window:
    """When it is valid."""
    return Window(certificate.not_valid_before_utc.timestamp(), certificate.not_valid_after_utc.timestamp())


def common_window(chain: Iterable[x509.Certificate]) -> Window:
    """When all of them are valid."""
    windows = [window_of(one) for one in chain]
    return Window(max(one.not_before_utc_s for one in windows), min(one.not_after_utc_s for one in windows))


# --- judging ----------------------------------------------------------------------------------------------


def is_issued_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """`issuer` signed it."""
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def find_root_fault(certificate: x509.Certificate, within: Callable[[float, float], Sequence[float]]) -> str | None:
    """Say why `certificate` cannot be a root; None: it can. `within` gives moments it may be now between two."""
    weakness = _find_weakness(certificate)
    if weakness is not None:
        return weakness
    if not is_authority(certificate):
        return "not the certificate of an authority"
    window = window_of(certificate)
    if not within(window.not_before_utc_s, window.not_after_utc_s):
        return "not valid now"
    return None


def is_authority(certificate: x509.Certificate) -> bool:
    """It may sign certificates (RFC 5280, 4.2.1.3 and 4.2.1.9); old roots say nothing of it and sign themselves."""
    try:
        may_sign = certificate.extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign
    except x509.ExtensionNotFound:
        may_sign = True
    try:
        return may_sign and certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return may_sign and certificate.version is x509.Version.v1 and is_issued_by(certificate, certificate)


def find_chain_fault(
    chain: Sequence[x509.Certificate], roots: Sequence[x509.Certificate], moments_utc_s: Sequence[float]
) -> str | None:
    """Say why `chain`, its leaf first, does not lead to one of `roots` at one of the moments; None: it does."""
    for certificate in chain:
        weakness = _find_weakness(certificate)
        if weakness is not None:
            return weakness
    if not roots:
        return "no root to check it against"
    faults = [_find_path_fault(chain, roots, moment) for moment in moments_utc_s]
    return None if None in faults else (faults[0] if faults else "the time is not known")


def _find_path_fault(
    chain: Sequence[x509.Certificate], roots: Sequence[x509.Certificate], moment_utc_s: float
) -> str | None:
    moment = datetime.fromtimestamp(moment_utc_s, UTC)
    # Certificates of chargers name no host and the roots of operators are no web roots: only authority is asked for.
    authorities = ExtensionPolicy.permit_all().require_present(
        x509.BasicConstraints, Criticality.AGNOSTIC, _check_authority
    )
    try:
        verifier = (
            PolicyBuilder()
            .store(Store(list(roots)))
            .time(moment)
            .max_chain_depth(MAX_CHAIN_DEPTH)
            .extension_policies(ca_policy=authorities, ee_policy=ExtensionPolicy.permit_all())
            .build_client_verifier()
        )
        verifier.verify(chain[0], list(chain[1:]))
    except (VerificationError, ValueError, UnsupportedAlgorithm) as error:
        return f"no chain to a known root: {error}"[:200]
    return None


def _check_authority(_: object, certificate: x509.Certificate, constraints: x509.BasicConstraints) -> None:
    if not constraints.ca or not is_authority(certificate):
        raise ValueError("signed by what is no authority")


def find_leaf_fault(leaf: x509.Certificate, request_pem: str) -> str | None:
    """Say why `leaf` is not what was requested (A02.FR.06); None: it is."""
    request = x509.load_pem_x509_csr(request_pem.encode())
    if _key_bytes(leaf.public_key()) != _key_bytes(request.public_key()):
        return "another key than was requested"
    for oid in (NameOID.COMMON_NAME, NameOID.ORGANIZATION_NAME):
        if _names(leaf.subject, oid) != _names(request.subject, oid):
            return "another name than was requested"
    extensions = leaf.extensions
    try:
        if extensions.get_extension_for_class(x509.BasicConstraints).value.ca:
            return "the certificate of an authority"
    except x509.ExtensionNotFound:
        pass
    try:
        if not extensions.get_extension_for_class(x509.KeyUsage).value.digital_signature:
            return "not for signing"
    except x509.ExtensionNotFound:
        pass
    try:
        usages = set(extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)
    except x509.ExtensionNotFound:
        return None
    is_for_us = usages & {ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE}
    return None if is_for_us else "not for TLS clients"


def _find_weakness(certificate: x509.Certificate) -> str | None:
    key = certificate.public_key()
    is_small_rsa = isinstance(key, rsa.RSAPublicKey) and key.key_size < MIN_RSA_BITS
    is_small_ec = isinstance(key, ec.EllipticCurvePublicKey) and key.key_size < MIN_EC_BITS
    if is_small_rsa or is_small_ec:
        return "a key that is too short"
    if not isinstance(key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey):
        return "a key that is neither RSA nor EC"
    try:
        is_weak = isinstance(certificate.signature_hash_algorithm, _WEAK_HASHES)
    except UnsupportedAlgorithm:
        return "a signature of an unknown kind"
    # The signature of a root under itself proves nothing, weak or not.
    return "a signature that is too weak" if is_weak and certificate.issuer != certificate.subject else None


# --- naming -----------------------------------------------------------------------------------------------


def hash_data(certificate: x509.Certificate, issuer_key_pem: str | None, algorithm: str) -> dict[str, str]:
    """Write CertificateHashData (RFC 6960, 4.1.1). Without the issuer's key its own, as for whoever signs itself."""
    key = certificate.public_key() if issuer_key_pem is None else read_public_key(issuer_key_pem)
    return {
        "hash_algorithm": algorithm,
        "issuer_name_hash": _digest(algorithm, certificate.issuer.public_bytes()),
        "issuer_key_hash": _digest(algorithm, _bit_string(_key_bytes(key))),
        "serial_number": f"{certificate.serial_number:x}",
    }


def public_key_pem(certificate: x509.Certificate) -> str:
    """Write the certificate's public key."""
    return (
        certificate.public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        .decode()
    )


def read_public_key(pem: str) -> ec.EllipticCurvePublicKey | rsa.RSAPublicKey:
    """Read a public key that was written by `public_key_pem`.

    Raises:
        BadCertificateError: it is none.
    """
    try:
        key = serialization.load_pem_public_key(pem.encode())
    except (ValueError, UnsupportedAlgorithm):
        raise BadCertificateError("no public key") from None
    if not isinstance(key, ec.EllipticCurvePublicKey | rsa.RSAPublicKey):
        raise BadCertificateError("a key that is neither RSA nor EC")
    return key


def _digest(algorithm: str, data: bytes) -> str:
    digest = hashes.Hash(_ALGORITHMS[algorithm])
    digest.update(data)
    return digest.finalize().hex()


def _key_bytes(key: object) -> bytes:
    return key.public_bytes(  # type: ignore[attr-defined, no-any-return]
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def _bit_string(spki: bytes) -> bytes:
    """The value of subjectPublicKey without tag, length and number of unused bits (RFC 6960, 4.1.1)."""
    start, _ = _contents(spki, 0)
    _, algorithm_end = _contents(spki, start)
    key_start, key_end = _contents(spki, algorithm_end)
    return spki[key_start + 1 : key_end]


def _contents(der: bytes, at: int) -> tuple[int, int]:
    """Where the contents of the DER element at `at` begin and end."""
    length, start = der[at + 1], at + 2
    if length & 0x80:
        start += length & 0x7F
        length = int.from_bytes(der[at + 2 : start])
    return start, start + length


def _names(name: x509.Name, oid: x509.ObjectIdentifier) -> list[str | bytes]:
    return [attribute.value for attribute in name.get_attributes_for_oid(oid)]


# --- requesting -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Request:
    """A new key pair and the request to certify it."""

    key_pem: str
    request_pem: str

    def __repr__(self) -> str:
        """Show nothing of the key."""
        return "Request(…)"


def make_request(serial: str, organisation: str) -> Request:
    """Make a key pair (EC P-256) and its PKCS#10 request: CN is the serial number, O the operator (A02.FR.02-.05)."""
    key = ec.generate_private_key(ec.SECP256R1())
    names = [x509.NameAttribute(NameOID.COMMON_NAME, serial)]
    if organisation:
        names.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation[:_ORGANISATION_LENGTH]))
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(names)).sign(key, hashes.SHA256())
    key_pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return Request(key_pem.decode(), request.public_bytes(serialization.Encoding.PEM).decode())
