"""The settings as the core reads them (`core.rules.Rules`); mypy proves that they fit."""

from dataclasses import dataclass

from evcharge_agent.core.rules import (
    AuthorisationRules,
    ChargingRules,
    LimitRules,
    ReservationRules,
    Rules,
    SamplingRules,
    SessionRules,
    StandAloneRules,
)
from evcharge_agent.settings.sections import Settings


@dataclass(frozen=True, slots=True)
class RulesView:
    """A read-only view; as frozen as the settings behind it."""

    settings: Settings

    @property
    def authorisation(self) -> AuthorisationRules:
        """Who may charge."""
        return self.settings.ocpp.keys

    @property
    def site(self) -> StandAloneRules:
        """What counts while there is no central system."""
        return self.settings.site

    @property
    def reservation(self) -> ReservationRules:
        """What can be reserved."""
        return self.settings.ocpp.keys

    @property
    def session(self) -> SessionRules:
        """How a session begins, ends and survives."""
        return self.settings.ocpp.keys

    @property
    def sampling(self) -> SamplingRules:
        """What is measured for the central system, and how often."""
        return self.settings.ocpp.keys

    @property
    def charging(self) -> ChargingRules:
        """Which charging profiles are taken."""
        return self.settings.ocpp.keys

    @property
    def limits(self) -> LimitRules:
        """Limits a person set."""
        return self.settings.limits

    @property
    def is_central_system_enabled(self) -> bool:
        """A central system is configured and wanted."""
        return self.settings.ocpp.is_active

    @property
    def has_public_meter(self) -> bool:
        """Public: a lost session meter stops the session."""
        return self.settings.site.public_meter


def rules_of(settings: Settings) -> Rules:
    """View settings as the core's rules."""
    return RulesView(settings)
