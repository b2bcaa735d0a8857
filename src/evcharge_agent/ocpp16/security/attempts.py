"""Which credentials the next attempt to connect uses: the new ones, and what worked before while they are on trial.

Pure. Everything old is only ever tried while the new has not worked once (A05.FR.08, M05.FR.11, rule 20); new and old
then take turns, so that an outage of the network decides nothing.
"""

from dataclasses import dataclass, replace

NEW_PROFILE_ATTEMPTS = 3
"""Attempts with a new security profile before the old one gets one."""


@dataclass(frozen=True, slots=True)
class Attempts:
    """Failures since the last connection, by what refused."""

    failures: int = 0
    refused_keys: int = 0
    """Refusals of our name and password (401)."""
    untrusted: int = 0
    """Servers whose certificate did not lead to the roots that were tried."""
    refused_certificates: int = 0
    """Refusals of our certificate."""

    @property
    def is_old_profile_due(self) -> bool:
        """While a profile is on trial, this attempt is the old one's."""
        return self.failures % (NEW_PROFILE_ATTEMPTS + 1) == NEW_PROFILE_ATTEMPTS

    @property
    def is_old_key_due(self) -> bool:
        """While a key is on trial, this attempt is the old one's."""
        return self.refused_keys % 2 == 1

    def trust_index(self, count: int) -> int:
        """Which of `count` alternatives is believed in."""
        return self.untrusted % count

    def certificate_index(self, count: int) -> int:
        """Which of `count` own certificates is shown."""
        return self.refused_certificates % count

    def failed(self, *, key: bool = False, server: bool = False, certificate: bool = False) -> "Attempts":
        """Count a failure."""
        return replace(
            self,
            failures=self.failures + 1,
            refused_keys=self.refused_keys + key,
            untrusted=self.untrusted + server,
            refused_certificates=self.refused_certificates + certificate,
        )
