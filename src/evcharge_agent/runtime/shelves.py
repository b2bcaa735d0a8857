"""How the values of each shelf are written down: JSON by their type, read back with every bound checked."""

import functools
import logging
from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter, ValidationError

from evcharge_agent.core.charging_profiles import Installed
from evcharge_agent.core.facts import Shelf
from evcharge_agent.core.local_list import ListEntry, ListVersion
from evcharge_agent.core.reservations import Reservation
from evcharge_agent.store.store import Store

_log = logging.getLogger(__name__)

_TYPES: Mapping[Shelf, Any] = {
    Shelf.LOCAL_LIST: ListEntry | ListVersion,
    Shelf.CHARGING_PROFILES: Installed,
    Shelf.RESERVATIONS: Reservation,
}
"""Type of the values: a frozen dataclass, or one of several."""


@functools.cache
def _codec(shelf: Shelf) -> TypeAdapter[Any]:
    return TypeAdapter(_TYPES[shelf])


def encode(shelf: Shelf, value: object) -> str:
    """Write a value down."""
    return _codec(shelf).dump_json(value).decode()


async def restore(store: Store, shelf: Shelf) -> dict[str, Any]:
    """Read a shelf; what cannot be read, as another version may have left it, is left out and logged.

    Raises:
        StoreError: the disk cannot be read.
    """
    found: dict[str, Any] = {}
    for name, text in (await store.kept(shelf.value)).items():
        try:
            found[name] = _codec(shelf).validate_json(text)
        except ValidationError as error:
            _log.warning("%s of %s could not be read: %s", name, shelf.value, error.error_count())
    return found
