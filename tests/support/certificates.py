"""Certificates made for one test: authorities, servers, chargers, firmware signers, good ones and bad ones."""

import datetime as dt
import ipaddress
import ssl
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from OpenSSL import crypto

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
DAY_S = 86_400.0


@dataclass(frozen=True)
class Made:
    """A certificate and its key."""

    certificate: x509.Certificate
    key: Key

    @property
    def pem(self) -> str:
        """The certificate."""
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()

    @property
    def key_pem(self) -> str:
        """The key in clear."""
        return self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode()

    def write(self, directory: Path, name: str, *chain: "Made") -> tuple[Path, Path]:
        """Write certificate (and the chain above it) and key into files."""
        certificate, key = directory / f"{name}.pem", directory / f"{name}.key"
        certificate.write_text(self.pem + "".join(one.pem for one in chain))
        key.write_text(self.key_pem)
        return certificate, key

    # --- what an authority signs --------------------------------------------------------------------------

    def authority(self, name: str = "sub", **options: object) -> "Made":
        """An authority under this one."""
        return make(name, issuer=self, is_authority=True, **options)  # type: ignore[arg-type]

    def server(self, *names: str, common_name: str = "server", **options: object) -> "Made":
        """A TLS server with these names (hosts or addresses); without names it has no SAN."""
        usage = options.pop("usage", ExtendedKeyUsageOID.SERVER_AUTH)
        return make(common_name, issuer=self, names=names, usage=usage, **options)  # type: ignore[arg-type]

    def client(self, common_name: str, organisation: str | None = None, **options: object) -> "Made":
        """A charge point's certificate with a key of its own."""
        usage = ExtendedKeyUsageOID.CLIENT_AUTH
        return make(common_name, issuer=self, organisation=organisation, usage=usage, **options)  # type: ignore[arg-type]

    def sign(self, request_pem: str, **options: object) -> str:
        """Answer a PKCS#10 request; the certificate as PEM."""
        request = x509.load_pem_x509_csr(request_pem.encode())
        assert request.is_signature_valid
        signed = make(
            "",
            issuer=self,
            subject=request.subject,
            public_key=request.public_key(),
            usage=ExtendedKeyUsageOID.CLIENT_AUTH,
            **options,  # type: ignore[arg-type]
        )
        return signed.pem


def ec_key() -> ec.EllipticCurvePrivateKey:
    """A P-256 key."""
    return ec.generate_private_key(ec.SECP256R1())


def rsa_key(bits: int = 2048) -> rsa.RSAPrivateKey:
    """An RSA key."""
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


def root(name: str = "root", **options: object) -> Made:
    """An authority that signs itself."""
    return make(name, is_authority=True, **options)  # type: ignore[arg-type]


def make(
    common_name: str,
    *,
    issuer: Made | None = None,
    organisation: str | None = None,
    names: Sequence[str] = (),
    usage: x509.ObjectIdentifier | None = None,
    is_authority: bool = False,
    key: Key | None = None,
    subject: x509.Name | None = None,
    public_key: object | None = None,
    from_s: float = -DAY_S,
    to_s: float = 365 * DAY_S,
    serial: int | None = None,
    path_length: int | None = None,
) -> Made:
    """Make one certificate; `from_s` and `to_s` are its validity against now."""
    key = key or ec_key()
    if subject is None:
        parts = [x509.NameAttribute(NameOID.COMMON_NAME, common_name)]
        if organisation is not None:
            parts.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation))
        subject = x509.Name(parts)
    now = dt.datetime.now(dt.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if issuer is None else issuer.certificate.subject)
        .public_key(key.public_key() if public_key is None else public_key)  # type: ignore[arg-type]
        .serial_number(serial or x509.random_serial_number())
        .not_valid_before(now + dt.timedelta(seconds=from_s))
        .not_valid_after(now + dt.timedelta(seconds=to_s))
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=path_length), critical=True)
    )
    if is_authority:
        builder = builder.add_extension(_authority_usage(), critical=True)
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName([_name(name) for name in names]), critical=False)
    if usage is not None:
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
    signer = key if issuer is None else issuer.key
    return Made(builder.sign(signer, hashes.SHA256()), key)


def with_sha1(made: Made, issuer: Made) -> Made:
    """Sign a certificate again, the way nobody should any more; `cryptography` does not."""
    key = crypto.PKey.from_cryptography_key(issuer.key)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        signed = crypto.X509.from_cryptography(made.certificate)
        signed.sign(key, "sha1")
        return Made(signed.to_cryptography(), made.key)


def server_context(
    directory: Path,
    server: Made,
    *chain: Made,
    client_root: Made | None = None,
    version: ssl.TLSVersion | None = None,
    ciphers: str | None = None,
) -> ssl.SSLContext:
    """TLS for a server in a test; `client_root` makes it ask for client certificates, `version` is its only one."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*server.write(directory, f"server-{id(server):x}", *chain))
    if client_root is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(cadata=client_root.pem)
    if version is not None:
        if version < ssl.TLSVersion.TLSv1_2:
            context.set_ciphers("ALL:@SECLEVEL=0")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # old versions are what is wanted
            context.minimum_version = context.maximum_version = version
    if ciphers is not None:
        context.set_ciphers(ciphers)
    return context


def _name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _authority_usage() -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )
