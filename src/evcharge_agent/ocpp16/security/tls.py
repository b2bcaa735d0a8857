"""TLS to the central system: what is offered, who is believed, and what a failure means (white paper, 2.4 and 2.5).

There is no way to a context that verifies nothing. OpenSSL checks the chain and the name; a certificate without
subjectAltName is checked by its common name, after its chain. The time is checked here, because OpenSSL would ask the
system's clock (see `moments`): inside the handshake, before a byte of ours goes over the line.
"""

import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from evcharge_agent.ocpp16.errors import ConnectFailedError
from evcharge_agent.ocpp16.security.ports import SecurityEvent
from evcharge_agent.settings.ocpp_section import CipherPolicy

_ECDHE = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-AES256-GCM-SHA384"
_RSA = "AES128-GCM-SHA256:AES256-GCM-SHA384"
# Level 2: no RSA key under 2048 bits, no EC key under 224, no SHA-1 in a chain, whatever the system's default is.
_CIPHERS = {
    CipherPolicy.STANDARD: f"{_ECDHE}:@SECLEVEL=2",
    CipherPolicy.ALL: f"{_ECDHE}:{_RSA}:@SECLEVEL=2",
}
_NO_CHECK_TIME = ssl.VerifyFlags(0x200000)
"""X509_V_FLAG_NO_CHECK_TIME: `CheckedObject` checks it."""
_DER = 2
"""_ssl.ENCODING_DER."""


@dataclass(frozen=True, slots=True)
class Trust:
    """The roots one attempt believes in."""

    roots: tuple[str, ...] = ()
    """PEM."""
    ca_file: str | None = None
    is_system: bool = False
    """The system's roots."""
    are_installed: bool = False
    """Only roots that a central system installed."""


@dataclass(frozen=True, slots=True)
class OwnCertificate:
    """A certificate of the charger's own, as files."""

    certificate_file: Path
    key_file: Path | None = None
    """None: in the same file."""
    number: int | None = None
    """Of the certificate store; None: the installer's."""


@dataclass(slots=True)
class Seen:
    """What a handshake showed."""

    chain: list[bytes] = field(default_factory=list)
    """The verified chain as DER, the server first, the root last; empty until there is one."""
    not_after_utc_s: float = 0.0
    """When the first of them ends."""
    lost: Exception | None = None
    """Why the line went."""


class Validity(Protocol):
    """When it may be now; `moments.Moments` knows."""

    def now_utc_s(self) -> float:
        """The best guess."""
        ...

    def within(self, not_before_utc_s: float, not_after_utc_s: float) -> tuple[float, ...]:
        """Moments between the two that it may be now."""
        ...


class CheckedContext(ssl.SSLContext):
    """A context whose connections are checked against moments of ours."""

    moments: Validity
    seen: Seen


class CheckedObject(ssl.SSLObject):
    """One connection."""

    def do_handshake(self) -> None:
        """Shake hands, then look at the dates of the whole verified chain."""
        super().do_handshake()
        context = self.context
        if not isinstance(context, CheckedContext):
            raise ssl.SSLCertVerificationError("not checked")
        # There since Python 3.10; the public method of 3.13 gives bytes only, and no dates.
        inner: Any = self._sslobj  # type: ignore[attr-defined]
        chain = inner.get_verified_chain()
        if not chain:
            raise ssl.SSLCertVerificationError("no verified chain")
        context.seen.not_after_utc_s = _check_dates(chain, context.moments)
        context.seen.chain = [certificate.public_bytes(_DER) for certificate in chain]


def make_context(
    trust: Trust,
    ciphers: CipherPolicy,
    moments: Validity,
    own: OwnCertificate | None,
    *,
    verify_host: bool,
) -> CheckedContext:
    """Make the context of one attempt. Blocks: roots and keys are read.

    Raises:
        ConnectFailedError: a file cannot be used; the text names it.
    """
    context = CheckedContext(ssl.PROTOCOL_TLS_CLIENT)
    context.sslobject_class = CheckedObject
    context.moments = moments
    context.seen = Seen()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_CIPHERS[ciphers])
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    # Any certificate that is trusted ends a chain: a root signed by the one before it has no signature of its own.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | _NO_CHECK_TIME
    context.hostname_checks_common_name = True
    context.check_hostname = verify_host
    _load_trust(context, trust)
    if own is not None:
        try:
            # A key with a passphrase would make OpenSSL ask for it on the terminal.
            context.load_cert_chain(own.certificate_file, own.key_file, password=lambda: "")
        except (OSError, ValueError) as error:
            raise ConnectFailedError(f"the client certificate {own.certificate_file} cannot be used: {error}") from None
    return context


def _load_trust(context: ssl.SSLContext, trust: Trust) -> None:
    try:
        if trust.is_system:
            context.load_default_certs(ssl.Purpose.SERVER_AUTH)
        if trust.ca_file is not None:
            context.load_verify_locations(cafile=trust.ca_file)
        if trust.roots:
            context.load_verify_locations(cadata="".join(trust.roots))
    except (OSError, ValueError) as error:
        raise ConnectFailedError(f"the CA file {trust.ca_file or ''} cannot be used: {error}") from None


def _check_dates(chain: Sequence[Any], moments: Validity) -> float:
    """Check when all of a chain are valid, as OpenSSL reads it: `cryptography` would cost 8 MB more. Returns the end."""
    try:
        dates = [certificate.get_info() for certificate in chain]
        begins_utc_s = max(float(ssl.cert_time_to_seconds(one["notBefore"])) for one in dates)
        ends_utc_s = min(float(ssl.cert_time_to_seconds(one["notAfter"])) for one in dates)
    except (ValueError, KeyError, TypeError, ssl.SSLError):
        raise ssl.SSLCertVerificationError(1, "a certificate cannot be read") from None
    if moments.within(begins_utc_s, ends_utc_s):
        return ends_utc_s
    words = "certificate is not yet valid" if moments.now_utc_s() < begins_utc_s else "certificate has expired"
    raise ssl.SSLCertVerificationError(1, words)


# --- what a failure means ---------------------------------------------------------------------------------

_VERSION_REASONS = frozenset({"UNSUPPORTED_PROTOCOL", "TLSV1_ALERT_PROTOCOL_VERSION", "WRONG_SSL_VERSION"})
_CIPHER_REASONS = frozenset(
    {
        "SSLV3_ALERT_HANDSHAKE_FAILURE",
        "TLSV1_ALERT_INSUFFICIENT_SECURITY",
        "NO_CIPHERS_AVAILABLE",
        "NO_SHARED_CIPHER",
        "UNKNOWN_CIPHER_RETURNED",
        "WRONG_CIPHER_RETURNED",
        "DH_KEY_TOO_SMALL",
    }
)
_OUR_CERTIFICATE_REASONS = frozenset(
    {
        "SSLV3_ALERT_BAD_CERTIFICATE",
        "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE",
        "SSLV3_ALERT_CERTIFICATE_REVOKED",
        "SSLV3_ALERT_CERTIFICATE_EXPIRED",
        "SSLV3_ALERT_CERTIFICATE_UNKNOWN",
        "TLSV1_ALERT_UNKNOWN_CA",
        "TLSV1_ALERT_ACCESS_DENIED",
        "TLSV13_ALERT_CERTIFICATE_REQUIRED",
        "TLSV1_CERTIFICATE_UNOBTAINABLE",
    }
)


def meaning_of(error: BaseException) -> SecurityEvent | None:
    """The security event a failed handshake is; None: no matter of security.

    A server of TLS 1.2 that misses a client certificate sends the alert of one that shares no cipher; without a
    certificate of our own the two cannot be told apart.
    """
    if isinstance(error, ssl.SSLCertVerificationError):
        return SecurityEvent.INVALID_CENTRAL_SYSTEM_CERTIFICATE
    if not isinstance(error, ssl.SSLError):
        return None
    reason = (error.reason or "").upper()
    if reason == "EE_KEY_TOO_SMALL":
        return SecurityEvent.INVALID_CENTRAL_SYSTEM_CERTIFICATE
    if reason in _VERSION_REASONS:
        return SecurityEvent.INVALID_TLS_VERSION
    if reason in _CIPHER_REASONS:
        return SecurityEvent.INVALID_TLS_CIPHER_SUITE
    if reason in _OUR_CERTIFICATE_REASONS:
        return SecurityEvent.FAILED_TO_AUTHENTICATE
    return None
