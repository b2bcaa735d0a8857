"""The settings the core reads, as read-only protocols the pydantic sections satisfy (DESIGN D5).

The core never imports a settings class: mypy proves that the sections fit, a test proves that every name
here is declared exactly once there.
"""

import enum
from collections.abc import Collection, Sequence
from typing import Protocol

from evcharge_agent.core.facts import IdTag, Measurand


class StandAlone(enum.Enum):
    """Who may charge while there is no central system (CHG-2)."""

    ACCEPT_ALL = "accept_all"
    LOCAL_LIST = "local_list"
    AUTOSTART = "autostart"


class StandAloneRules(Protocol):
    """What counts while there is no central system."""

    @property
    def stand_alone(self) -> StandAlone: ...
    @property
    def stand_alone_ids(self) -> Collection[IdTag]:
        """In upper case; beside those of the local list."""
        ...


class ReservationRules(Protocol):
    """What can be reserved."""

    @property
    def takes_reservations(self) -> bool:
        """The feature is there."""
        ...

    @property
    def reserve_connector_zero_supported(self) -> bool: ...


class AuthorisationRules(Protocol):
    """Who may charge."""

    @property
    def local_authorize_offline(self) -> bool: ...
    @property
    def local_pre_authorize(self) -> bool: ...
    @property
    def authorization_cache_enabled(self) -> bool: ...
    @property
    def allow_offline_tx_for_unknown_id(self) -> bool: ...
    @property
    def authorize_remote_tx_requests(self) -> bool: ...
    @property
    def stop_transaction_on_invalid_id(self) -> bool: ...
    @property
    def max_energy_on_invalid_id_wh(self) -> int: ...
    @property
    def uses_local_list(self) -> bool:
        """The feature is there and `LocalAuthListEnabled`."""
        ...

    @property
    def local_auth_list_max_length(self) -> int: ...
    @property
    def send_local_list_max_length(self) -> int: ...


class SessionRules(Protocol):
    """How a session begins, ends and survives."""

    @property
    def connection_time_out_s(self) -> int: ...
    @property
    def stop_transaction_on_ev_side_disconnect(self) -> bool: ...
    @property
    def continue_charging_after_power_loss(self) -> bool: ...
    @property
    def minimum_status_duration_s(self) -> int: ...
    @property
    def reset_retries(self) -> int: ...


class SamplingRules(Protocol):
    """What is measured for the central system, and how often."""

    @property
    def meter_value_sample_interval_s(self) -> int: ...
    @property
    def meter_values_sampled_data(self) -> Sequence[Measurand]: ...
    @property
    def clock_aligned_data_interval_s(self) -> int: ...
    @property
    def meter_values_aligned_data(self) -> Sequence[Measurand]: ...
    @property
    def stop_txn_sampled_data(self) -> Sequence[Measurand]: ...
    @property
    def stop_txn_aligned_data(self) -> Sequence[Measurand]: ...


class ChargingRules(Protocol):
    """Which charging profiles are taken."""

    @property
    def uses_charging_profiles(self) -> bool:
        """The feature is there."""
        ...

    @property
    def charge_profile_max_stack_level(self) -> int: ...
    @property
    def charging_rate_units(self) -> Sequence[str]:
        """`Current`, `Power` or both."""
        ...

    @property
    def charging_schedule_max_periods(self) -> int: ...
    @property
    def max_charging_profiles_installed(self) -> int: ...


class LimitRules(Protocol):
    """Limits a person set, and what happens when something is silent."""

    @property
    def user_limit_a(self) -> float: ...
    @property
    def installer_limit_a(self) -> float: ...
    @property
    def agent_lost_a(self) -> float: ...
    @property
    def agent_lost_hold_s(self) -> float: ...


class Rules(Protocol):
    """All of them."""

    @property
    def authorisation(self) -> AuthorisationRules: ...
    @property
    def site(self) -> StandAloneRules: ...
    @property
    def reservation(self) -> ReservationRules: ...
    @property
    def session(self) -> SessionRules: ...
    @property
    def sampling(self) -> SamplingRules: ...
    @property
    def charging(self) -> ChargingRules: ...
    @property
    def limits(self) -> LimitRules: ...
    @property
    def is_central_system_enabled(self) -> bool: ...
    @property
    def has_public_meter(self) -> bool:
        """Public: a lost session meter stops the session (DESIGN 4b)."""
        ...
