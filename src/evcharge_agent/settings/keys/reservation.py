"""Configuration keys of the Reservation profile (OCPP 1.6, 9.3)."""

from evcharge_agent.settings.declare import Section
from evcharge_agent.settings.keys.declaring import R, key


class ReservationKeys(Section):
    """Keys of reservations."""

    reserve_connector_zero_supported: bool = key(
        "ReserveConnectorZeroSupported",
        R,
        "Connector 0 can be reserved: one connector, whichever, is then kept free.",
        default=True,
    )
