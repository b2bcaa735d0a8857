"""What goes wrong with certificates, in words for a log."""

from evcharge_hal.contract.errors import EvchargeError


class BadCertificateError(EvchargeError):
    """A certificate, chain or key cannot be used; the text says why and holds nothing of a key."""


class StoreFullError(EvchargeError):
    """`CertificateStoreMaxLength` certificates are installed."""
