"""Where the security package keeps its files inside the agent's state directory."""

from pathlib import Path

from evcharge_agent.ocpp16.security.certificate_store import CertificateStore
from evcharge_agent.ocpp16.security.log import SecurityLog
from evcharge_agent.store.disk import Disk

_CERTIFICATES = "certificates"
_LOG = "security-log"


def store_of(state_dir: Path, disk: Disk | None = None) -> CertificateStore:
    """Certificates and keys."""
    return CertificateStore(state_dir / _CERTIFICATES, disk)


def log_of(state_dir: Path, disk: Disk | None = None) -> SecurityLog:
    """The security log."""
    return SecurityLog(state_dir / _LOG, disk)
