"""GetConfiguration and ChangeConfiguration over the settings (OCPP 1.6, 5.3 and 5.8).

Names compare without case, answers come in the order of the request, a refused value leaves the old one,
and a write-only key is never echoed.
"""

import enum
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from evcharge_agent.settings.catalogue import Entry, ocpp_entries
from evcharge_agent.settings.declare import Applies, KeyAccess, OcppKey
from evcharge_agent.settings.live import LiveSettings, OverlayWriter
from evcharge_agent.settings.sections import Settings
from evcharge_hal.contract.errors import EvchargeError

_NUMBER_OF_CONNECTORS = "NumberOfConnectors"
_FILE_PROTOCOLS = "SupportedFileTransferProtocols"
_FIXED_HERE = frozenset(
    {
        "UnlockConnectorOnEVSideDisconnect",
    }
)
"""Keys a central system may change by the standard (OCPP 1.6, 9.1) and that may be read-only here."""


class ChangeStatus(enum.Enum):
    """Answer to ChangeConfiguration; the values are OCPP's."""

    ACCEPTED = "Accepted"
    REJECTED = "Rejected"
    REBOOT_REQUIRED = "RebootRequired"
    NOT_SUPPORTED = "NotSupported"


@dataclass(frozen=True, slots=True)
class KeyValue:
    """One line of the answer to GetConfiguration."""

    key: str
    is_readonly: bool
    value: str | None


class KeyRegistry:
    """The configuration keys a central system sees."""

    def __init__(
        self,
        settings: Settings,
        overlay: OverlayWriter,
        on_change: Callable[[Settings], None] = lambda _: None,
        number_of_connectors: Callable[[], int | None] = lambda: None,
        factory: Settings | None = None,
    ) -> None:
        self.live = LiveSettings(settings, overlay, on_change, factory)
        self._number_of_connectors = number_of_connectors

    def report(self, names: Sequence[str] = ()) -> tuple[list[KeyValue], list[str]]:
        """Values of the named keys and the names that are unknown, both in request order; no names: all keys."""
        if not names:
            return [self._key_value(entry) for entry in ocpp_entries().values()], []
        known: list[KeyValue] = []
        unknown: list[str] = []
        for name in names:
            entry = ocpp_entries().get(name.casefold())
            if entry is None:
                unknown.append(name)
            else:
                known.append(self._key_value(entry))
        return known, unknown

    async def change(self, name: str, text: str) -> ChangeStatus:
        """Change a key; anything but ACCEPTED and REBOOT_REQUIRED leaves the old value."""
        entry = ocpp_entries().get(name.casefold())
        if entry is None:
            return ChangeStatus.NOT_SUPPORTED
        if _key_of(entry).access is KeyAccess.READ:
            return ChangeStatus.ACCEPTED if self._is_fixed_to(entry, text) else ChangeStatus.REJECTED
        try:
            applies = await self.live.put(entry, text)
        except EvchargeError:
            # The reason has no place in ChangeConfiguration.conf; a store that cannot write reports itself.
            return ChangeStatus.REJECTED
        return ChangeStatus.ACCEPTED if applies is Applies.LIVE else ChangeStatus.REBOOT_REQUIRED

    def _is_fixed_to(self, entry: Entry, text: str) -> bool:
        """The value in force is asked for: a central system that sets up its chargers need not see a failure."""
        if _key_of(entry).name not in _FIXED_HERE:
            return False
        try:
            return bool(entry.parse(text) == entry.value_in(self.live.settings))
        except EvchargeError:
            return False

    def _key_value(self, entry: Entry) -> KeyValue:
        key = _key_of(entry)
        value = entry.show(self.live.settings)
        if key.name == _NUMBER_OF_CONNECTORS and value is None:
            number = self._number_of_connectors()
            value = None if number is None else str(number)
        if key.name == _FILE_PROTOCOLS and value is None:
            value = ",".join(self.live.settings.files.protocols).upper()
        return KeyValue(key.name, key.access is KeyAccess.READ, value)


def _key_of(entry: Entry) -> OcppKey:
    key = entry.meaning.ocpp_key
    if key is None:
        msg = f"{entry.path} has no OCPP key"
        raise TypeError(msg)
    return key
