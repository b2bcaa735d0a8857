"""What other parts use of the security package, small enough to be faked.

The security white paper's certificates, events and log belong to `ocpp16/security`; firmware updates and log uploads
only need what stands here.
"""

import enum
from typing import Protocol


class SecurityEvent(enum.Enum):
    """Events of the security white paper; the values are those of its third edition."""

    FIRMWARE_UPDATED = "FirmwareUpdated"
    FAILED_TO_AUTHENTICATE = "FailedToAuthenticationAtCentralSystem"
    CENTRAL_SYSTEM_FAILED_TO_AUTHENTICATE = "CentralSystemFailedToAuthenticate"
    SETTING_SYSTEM_TIME = "SettingSystemTime"
    STARTUP_OF_THE_DEVICE = "StartupOfTheDevice"
    RESET_OR_REBOOT = "ResetOrReboot"
    SECURITY_LOG_WAS_CLEARED = "SecurityLogWasCleared"
    RECONFIGURATION = "ReconfigurationOfSecurityParameters"
    MEMORY_EXHAUSTION = "MemoryExhaustion"
    INVALID_MESSAGES = "InvalidMessages"
    ATTEMPTED_REPLAY_ATTACKS = "AttemptedReplayAttacks"
    TAMPER_DETECTION_ACTIVATED = "TamperDetectionActivated"
    INVALID_FIRMWARE_SIGNATURE = "InvalidFirmwareSignature"
    INVALID_FIRMWARE_SIGNING_CERTIFICATE = "InvalidFirmwareSigningCertificate"
    INVALID_CENTRAL_SYSTEM_CERTIFICATE = "InvalidCentralSystemCertificate"
    INVALID_CHARGE_POINT_CERTIFICATE = "InvalidChargePointCertificate"
    INVALID_TLS_VERSION = "InvalidTLSVersion"
    INVALID_TLS_CIPHER_SUITE = "InvalidTLSCipherSuite"

    @property
    def is_critical(self) -> bool:
        """Told to the central system with guaranteed delivery (A04.FR.01)."""
        return self in _CRITICAL


_CRITICAL = frozenset(
    {
        SecurityEvent.FIRMWARE_UPDATED,
        SecurityEvent.SETTING_SYSTEM_TIME,
        SecurityEvent.STARTUP_OF_THE_DEVICE,
        SecurityEvent.RESET_OR_REBOOT,
        SecurityEvent.SECURITY_LOG_WAS_CLEARED,
        SecurityEvent.MEMORY_EXHAUSTION,
        SecurityEvent.TAMPER_DETECTION_ACTIVATED,
    }
)


class EventSink(Protocol):
    """Takes security events: into the security log, and on to the central system."""

    def report(self, event: SecurityEvent, detail: str = "") -> None:
        """Take note of what has just happened. `detail` is for people, at most 255 characters, never a secret."""
        ...


class ManufacturerRoots(Protocol):
    """The roots firmware signing certificates are checked against."""

    def manufacturer_roots(self) -> tuple[str, ...]:
        """Return the installed ManufacturerRootCertificates as PEM, newest first. Blocks for the time of a file."""
        ...


class SecurityLogReader(Protocol):
    """The security log, for GetLog(SecurityLog)."""

    def read(self, oldest_utc_s: float | None = None, latest_utc_s: float | None = None) -> bytes:
        """Return the lines between two moments, each with its line end, oldest first. Blocks for the time of a file."""
        ...
