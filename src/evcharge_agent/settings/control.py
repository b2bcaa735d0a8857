"""What the control socket answers about settings; `settings.cli` is the other end."""

from collections.abc import Mapping
from typing import Any

from evcharge_agent.settings.catalogue import resettable_keys
from evcharge_agent.settings.declare import Role
from evcharge_agent.settings.live import LiveSettings
from evcharge_hal.contract.errors import InvalidFieldError

GET = "config.get"
SET = "config.set"
RESET_KEYS = "config.reset-keys"


def get(live: LiveSettings, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Answer `config.get {name?}` with the values as text; without a name all of them.

    Raises:
        InvalidFieldError: there is no setting of that name.
    """
    name = arguments.get("name")
    return {"values": dict(live.listing())} if name is None else {"values": {str(name): live.get(str(name))}}


async def reset_keys(live: LiveSettings) -> dict[str, Any]:
    """Answer `config.reset-keys`: the OCPP keys are what the file says; returns those that were not.

    The credentials stay, or the charger would lock itself out.

    Raises:
        EvchargeError: one could not be written.
    """
    return {"reset": await live.reset(resettable_keys())}


async def put(live: LiveSettings, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Answer `config.set {name, value}` with when the change acts.

    Whoever may open the socket is the installer: it belongs to root and the charger's group.

    Raises:
        InvalidFieldError: no such setting, one of the file only, or a value that does not fit.
        EvchargeError: it could not be written.
    """
    name, value = arguments.get("name"), arguments.get("value")
    if not isinstance(name, str) or not isinstance(value, str):
        raise InvalidFieldError("name, value", (name, value), "two texts")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise InvalidFieldError(name, value, "whole characters, no half of a surrogate pair") from None
    applies = await live.set(name, value, Role.INSTALLER)
    return {"name": name, "value": live.get(name), "applies": applies.value}
