"""What an instrument gives, and the ports the agent's runtime sees."""

from dataclasses import dataclass
from typing import Protocol

from evcharge_hal.contract.errors import EvchargeError
from evcharge_hal.contract.units import PerPhase, WattHours


class InstrumentError(EvchargeError):
    """An instrument gave nothing, or something it cannot mean; the text says what."""


class RefusedError(InstrumentError):
    """A meter is there and refuses what it was asked."""


class NotAskedError(InstrumentError):
    """A meter that was silent was not asked this time."""


@dataclass(frozen=True, slots=True)
class MeterValues:
    """One reading; None is "this meter does not say", never zero. Positive is import from the grid."""

    energy_wh: WattHours | None = None
    """Cumulative import register."""
    power_w: float | None = None
    current_a: PerPhase | None = None
    voltage_v: PerPhase | None = None
    power_factor: float | None = None
    frequency_hz: float | None = None
    energy_export_wh: WattHours | None = None
    """Cumulative export register."""
    power_by_phase_w: PerPhase | None = None
    apparent_power_va: float | None = None
    """Of meters that know no active power; never shown as watts."""
    tariff: str | None = None
    """Name of the tariff period in force, as the meter spells it."""


@dataclass(frozen=True, slots=True)
class Swipe:
    """A card was held to the reader; `connectors` is empty where the reader leaves it open."""

    id_tag: str
    connectors: tuple[int, ...] = ()


class Meter(Protocol):
    """A meter that is asked."""

    async def read(self) -> MeterValues:
        """Read all quantities once, all from the same moment as far as the meter can.

        Raises:
            InstrumentError: no answer, a refusal, or an answer that is none.
        """
        ...

    async def close(self) -> None:
        """Give the connection back; a later `read` opens it again."""
        ...


class CardReader(Protocol):
    """A reader that speaks when a card comes."""

    async def next_swipe(self) -> Swipe:
        """Wait for the next card.

        Raises:
            InstrumentError: the reader is not there, or sent what is no card; the next call tries again.
        """
        ...

    async def close(self) -> None:
        """Give the connection back."""
        ...
