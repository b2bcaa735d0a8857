"""What the LED should say; the guard plays the pattern and lets faults override it (DESIGN D1). Pure."""

from collections.abc import Mapping

from evcharge_agent.core.effects import ConnectorState
from evcharge_agent.core.session import Phase
from evcharge_hal.contract.channel import Indication

_STATES: Mapping[ConnectorState, Indication] = {
    ConnectorState.AVAILABLE: Indication.AVAILABLE,
    ConnectorState.PREPARING: Indication.AWAITING_AUTHORISATION,
    ConnectorState.CHARGING: Indication.CHARGING,
    # leds.md: "connected, waiting for the car (also: car finished)".
    ConnectorState.SUSPENDED_EV: Indication.AWAITING_VEHICLE,
    ConnectorState.SUSPENDED_EVSE: Indication.PAUSED,
    ConnectorState.FINISHING: Indication.FINISHED,
    ConnectorState.RESERVED: Indication.RESERVED,
    ConnectorState.UNAVAILABLE: Indication.UNAVAILABLE,
    ConnectorState.FAULTED: Indication.UNAVAILABLE,
}


def decide_indication(state: ConnectorState, phase: Phase, is_offline: bool) -> Indication:
    """The indication for a connector; a missing central system shows only where nobody is being served."""
    if state is ConnectorState.AVAILABLE and is_offline:
        return Indication.OFFLINE
    if state is ConnectorState.PREPARING and phase in (Phase.AUTHORISED, Phase.STARTING, Phase.ACTIVE):
        return Indication.AWAITING_VEHICLE
    return _STATES[state]
