"""The OCPP configuration keys, each declared once, one file for each feature profile.

Names, types and access follow OCPP 1.6 edition 2, 9; where this version has no behaviour behind a key
that every charge point must answer, the key is read-only and says so truthfully. The TOML name is the key
itself, so a central system's documentation can be copied into `[ocpp.keys]`.
"""

from evcharge_agent.settings.keys.core import CoreKeys
from evcharge_agent.settings.keys.firmware import FirmwareKeys
from evcharge_agent.settings.keys.local_auth_list import LocalAuthListKeys
from evcharge_agent.settings.keys.off_peak import OffPeakKeys
from evcharge_agent.settings.keys.reservation import ReservationKeys
from evcharge_agent.settings.keys.security import SecurityKeys
from evcharge_agent.settings.keys.smart_charging import SmartChargingKeys


class OcppKeys(
    LocalAuthListKeys, ReservationKeys, CoreKeys, FirmwareKeys, SmartChargingKeys, SecurityKeys, OffPeakKeys
):
    """Factory values of the OCPP configuration keys; what a central system changed is kept in the store and wins."""

    @property
    def uses_local_list(self) -> bool:
        """The local authorisation list counts: a list nobody can change any more does not."""
        return self.local_auth_list_enabled and self._has_feature("LocalAuthListManagement")

    @property
    def uses_charging_profiles(self) -> bool:
        """Charging profiles count: those nobody can change any more do not."""
        return self._has_feature("SmartCharging")

    @property
    def takes_reservations(self) -> bool:
        """Reservations count: those nobody can withdraw any more do not."""
        return self._has_feature("Reservation")

    def _has_feature(self, name: str) -> bool:
        return name.casefold() in {part.strip().casefold() for part in self.supported_feature_profiles.split(",")}
