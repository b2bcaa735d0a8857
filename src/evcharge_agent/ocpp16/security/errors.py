"""What goes wrong with certificates, in words for a log."""

from evcharge_agent.ocpp16.errors import ConnectFailedError
from evcharge_agent.ocpp16.security.ports import SecurityEvent
from evcharge_hal.contract.errors import EvchargeError


class BadCertificateError(EvchargeError):
    """A certificate, chain or key cannot be used; the text says why and holds nothing of a key."""


class StoreFullError(EvchargeError):
    """`CertificateStoreMaxLength` certificates are installed."""


class InsecureError(ConnectFailedError):
    """No connection could be made because it would not have been secure; `meaning` is the security event it is."""

    def __init__(self, reason: str, meaning: SecurityEvent) -> None:
        super().__init__(reason)
        self.meaning = meaning
