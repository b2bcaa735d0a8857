"""Everything a secure connection works with, put together once for each start of the agent."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from evcharge_agent.ocpp16.keys import ConnectionSettings, Station
from evcharge_agent.ocpp16.security.certificate_store import CertificateStore
from evcharge_agent.ocpp16.security.events import SecurityEvents
from evcharge_agent.ocpp16.security.files import log_of, store_of
from evcharge_agent.ocpp16.security.log import SecurityLog
from evcharge_agent.ocpp16.security.memory import LinkMemory, Shelves
from evcharge_agent.ocpp16.security.moments import Moments
from evcharge_agent.ocpp16.security.own import OwnCertificates
from evcharge_agent.ocpp16.security.ports import SecurityEvent
from evcharge_agent.ocpp16.security.roots import Roots
from evcharge_agent.runtime.clock import Clock
from evcharge_agent.store.disk import Disk

SETTLE_WITHIN_S = 2.0
"""How long a reset waits for the disk."""
_NOWHERE = Path("/nonexistent")


@dataclass(frozen=True, slots=True)
class Vault:
    """Certificates, security log, events and what the connection remembers."""

    certificates: CertificateStore
    log: SecurityLog | None
    memory: LinkMemory
    events: SecurityEvents
    moments: Moments

    @classmethod
    def open(cls, state_dir: Path, shelves: Shelves, clock: Clock, boot_id: str, disk: Disk | None = None) -> "Vault":
        """Work in the agent's state directory; nothing is read or made yet."""
        memory = LinkMemory(shelves)
        log = log_of(state_dir, disk)
        events = SecurityEvents(log, shelves, clock, boot_id)
        clock.on_moved = events.time_moved
        return cls(
            certificates=store_of(state_dir, disk),
            log=log,
            memory=memory,
            events=events,
            moments=Moments(clock, memory),
        )

    @classmethod
    def without_memory(cls, clock: Clock) -> "Vault":
        """Nothing is installed and nothing lasts."""
        memory = LinkMemory()
        return cls(
            certificates=CertificateStore(_NOWHERE),
            log=None,
            memory=memory,
            events=SecurityEvents(None, None, clock, ""),
            moments=Moments(clock, memory),
        )

    def settings_changed(self, before: ConnectionSettings, after: ConnectionSettings) -> None:
        """Report what was changed of the security parameters; never a value of a secret (A01.FR.12)."""
        changed = [
            name
            for name, is_other in (
                (f"SecurityProfile {after.security_profile}", before.security_profile != after.security_profile),
                ("AuthorizationKey", _key_of(before) != _key_of(after)),
                ("CpoName", before.keys.cpo_name != after.keys.cpo_name),
            )
            if is_other
        ]
        if changed:
            self.events.report(SecurityEvent.RECONFIGURATION, ", ".join(changed))

    def note_invalid(self, reason: str) -> None:
        """Report a frame that is none; `reason` says what is wrong with it and holds nothing of it."""
        self.events.report(SecurityEvent.INVALID_MESSAGES, reason)

    async def note_reset(self, *, is_hard: bool) -> None:
        """Report a reset, and wait until that is on the disk: what comes next is the end of this run."""
        self.events.report(SecurityEvent.RESET_OR_REBOOT, "hard reset" if is_hard else "soft reset")
        await self.events.settle(SETTLE_WITHIN_S)

    def roots(self, settings: Callable[[], ConnectionSettings]) -> Roots:
        """The roots under these settings."""
        return Roots(self.certificates, settings, self.memory, self.moments)

    def own(self, settings: Callable[[], ConnectionSettings], station: Station) -> OwnCertificates:
        """The charger's own certificates under these settings."""
        return OwnCertificates(self.certificates, settings, station, self.roots(settings), self.memory, self.moments)


def _key_of(settings: ConnectionSettings) -> str | None:
    key = settings.authorization_key
    return None if key is None else key.get_secret_value()
