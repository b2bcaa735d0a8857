"""Frames of a Linky meter's customer output, historic and standard mode (Enedis-NOI-CPT_54E). Pure.

A Linky tells apparent power: it stands in `apparent_power_va` and never as watts.
"""

import enum
from collections.abc import Mapping

from evcharge_hal.contract.units import PerPhase, WattHours
from evcharge_hal.instruments.serial_line import LineSettings, Parity
from evcharge_hal.instruments.values import InstrumentError, MeterValues


class TicMode(enum.Enum):
    """How the output is set at the meter."""

    HISTORIC = "historic"
    STANDARD = "standard"


LINES = {
    TicMode.HISTORIC: LineSettings(1200, Parity.EVEN, 7),
    TicMode.STANDARD: LineSettings(9600, Parity.EVEN, 7),
}
_STX, _ETX, _LF, _CR = b"\x02", b"\x03", b"\n", b"\r"
_LONGEST_BYTES = 4096
_DATED_PARTS = 3
_INDEXES = (
    ("BASE",),
    ("HCHC", "HCHP"),
    ("EJPHN", "EJPHPM"),
    ("BBRHCJB", "BBRHPJB", "BBRHCJW", "BBRHPJW", "BBRHCJR", "BBRHPJR"),
)
"""Registers in historic mode, by contract; their sum is what was drawn."""
_MOST_DIGITS = 10


class TicCutter:
    """Cuts from STX to ETX, without them."""

    def __init__(self) -> None:
        self._waiting = b""

    def feed(self, data: bytes) -> list[bytes]:
        """Take bytes in; see `telegram_meter.Cutter.feed`."""
        self._waiting = (self._waiting + data)[-2 * _LONGEST_BYTES :]
        *whole, self._waiting = self._waiting.split(_ETX)
        return [frame.rpartition(_STX)[2] for frame in whole if _STX in frame]

    def forget(self) -> None:
        """Start anew."""
        self._waiting = b""


def parse_tic(frame: bytes, mode: TicMode) -> MeterValues:
    """Read one frame.

    Raises:
        InstrumentError: too long, damaged, or without any group.
    """
    if len(frame) > _LONGEST_BYTES:
        raise InstrumentError("no TIC frame")
    groups: dict[str, str] = {}
    for part in frame.split(_LF)[1:]:
        label, value = _group(part.partition(_CR)[0], mode)
        groups[label] = value
    if not groups:
        raise InstrumentError("an empty TIC frame")
    return _standard(groups) if mode is TicMode.STANDARD else _historic(groups)


def checksum(text: bytes) -> int:
    """Checksum over a group (54E, 5.3.6): six bits, moved into the printable characters."""
    return (sum(text) & 0x3F) + 0x20


def _group(text: bytes, mode: TicMode) -> tuple[str, str]:
    separator = b"\t" if mode is TicMode.STANDARD else b" "
    # The checksum itself may be a space; in standard mode the last separator counts into it.
    content, last, told = text[:-2], text[-2:-1], text[-1:]
    covered = content + last if mode is TicMode.STANDARD else content
    parts = content.split(separator)
    is_whole = last == separator and len(parts) in (2, _DATED_PARTS) and parts[0]
    if not is_whole or not text.isascii() or told != bytes((checksum(covered),)):
        raise InstrumentError("a TIC frame with a wrong checksum")
    return parts[0].decode(), parts[-1].decode().strip()


def _standard(groups: Mapping[str, str]) -> MeterValues:
    return MeterValues(
        energy_wh=_wh(groups, ("EAST",)),
        energy_export_wh=_wh(groups, ("EAIT",)),
        current_a=_per_phase(groups, "IRMS"),
        voltage_v=_per_phase(groups, "URMS"),
        apparent_power_va=_net(_number(groups, "SINSTS"), _number(groups, "SINSTI")),
        tariff=groups.get("LTARF") or None,
    )


def _historic(groups: Mapping[str, str]) -> MeterValues:
    single_a = _number(groups, "IINST")
    energies = [_wh(groups, names) for names in _INDEXES if names[0] in groups]
    return MeterValues(
        energy_wh=energies[0] if energies else None,
        current_a=_per_phase(groups, "IINST") if single_a is None else PerPhase(single_a, 0.0, 0.0),
        apparent_power_va=_number(groups, "PAPP"),
        tariff=groups.get("PTEC", "").rstrip(".") or None,
    )


def _number(groups: Mapping[str, str], label: str) -> float | None:
    text = groups.get(label, "")
    return float(text) if text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS else None


def _wh(groups: Mapping[str, str], labels: tuple[str, ...]) -> WattHours | None:
    values = [_number(groups, label) for label in labels]
    known = [value for value in values if value is not None]
    return WattHours(round(sum(known))) if len(known) == len(labels) else None


def _per_phase(groups: Mapping[str, str], label: str) -> PerPhase | None:
    """Phases the meter does not name are not there."""
    values = [_number(groups, f"{label}{phase}") for phase in (1, 2, 3)]
    if values[0] is None:
        return None
    return PerPhase(*(value if value is not None else 0.0 for value in values))


def _net(drawn_va: float | None, fed_va: float | None) -> float | None:
    return None if drawn_va is None else drawn_va - (fed_va or 0.0)
