"""Telegrams of a smart meter's P1 port (DSMR 5.0.2 P1 companion standard; OBIS codes of IEC 62056-61). Pure.

Its own parser and not dsmr-parser: of a telegram twenty lines are needed here, and that package costs 12.5 MB
(docs/adr/0011).
"""

import re
from collections.abc import Mapping

from evcharge_hal.contract.units import PerPhase, WattHours
from evcharge_hal.instruments.rtu_frames import crc16
from evcharge_hal.instruments.serial_line import LineSettings, Parity
from evcharge_hal.instruments.values import InstrumentError, MeterValues

DSMR_4 = LineSettings(115_200)
"""DSMR 4 and later: with a checksum."""
DSMR_2 = LineSettings(9600, Parity.EVEN, 7)
"""Before: no checksum, the parity of each character instead."""
_LONGEST_BYTES = 8192
_CHECKSUM_DIGITS = 4
_VALUE = re.compile(rb"1-0:(\d{1,2}\.\d{1,2}\.\d{1,3})(?:\*255)?\((\d{1,10}(?:\.\d{1,6})?)\*(\w{1,4})\)\r?")
_TARIFF = re.compile(rb"0-0:96\.14\.0(?:\*255)?\((\w{1,8})\)\r?")
_SCALES = {b"kWh": 1000.0, b"Wh": 1.0, b"kW": 1000.0, b"W": 1.0, b"V": 1.0, b"A": 1.0}


class P1Cutter:
    """Cuts from `/` to the end of the line that begins with `!`."""

    def __init__(self) -> None:
        self._waiting = b""

    def feed(self, data: bytes) -> list[bytes]:
        """Take bytes in; see `telegram_meter.Cutter.feed`."""
        self._waiting = (self._waiting + data)[-2 * _LONGEST_BYTES :]
        found: list[bytes] = []
        while (start := self._waiting.find(b"/")) >= 0:
            mark = self._waiting.find(b"\n!", start)
            end = self._waiting.find(b"\n", mark + 1) if mark >= 0 else -1
            if end < 0:
                self._waiting = self._waiting[start:]
                return found
            # A telegram that was cut off has no end: the next one's beginning is the real one.
            begun = self._waiting.rfind(b"/", start, mark)
            is_cut_off = begun > start and self._waiting[begun - 1 : begun] == b"\n"
            found.append(self._waiting[begun if is_cut_off else start : end + 1])
            self._waiting = self._waiting[end + 1 :]
        self._waiting = b""
        return found

    def forget(self) -> None:
        """Start anew."""
        self._waiting = b""


def parse_p1(telegram: bytes, *, has_checksum: bool = True) -> MeterValues:
    """Read one telegram.

    Raises:
        InstrumentError: too long, damaged, or without any value of electricity.
    """
    body, mark, rest = telegram.rpartition(b"!")
    if len(telegram) > _LONGEST_BYTES or not mark or not body.startswith(b"/"):
        raise InstrumentError("no P1 telegram")
    if has_checksum:
        wanted = b"%04X" % crc16(body + mark, seed=0)
        if rest.strip().upper() != wanted or len(rest.strip()) != _CHECKSUM_DIGITS:
            raise InstrumentError("a P1 telegram with a wrong checksum")
    numbers: dict[str, float] = {}
    tariff = None
    for line in body.split(b"\n"):
        match = _VALUE.fullmatch(line)
        if match and match[3] in _SCALES:
            numbers[match[1].decode()] = float(match[2]) * _SCALES[match[3]]
        elif found := _TARIFF.fullmatch(line):
            tariff = found[1].decode()
    if not numbers:
        raise InstrumentError("a P1 telegram without values of electricity")
    return _values(numbers, tariff)


def _values(numbers: Mapping[str, float], tariff: str | None) -> MeterValues:
    drawn_w, fed_w = numbers.get("1.7.0"), numbers.get("2.7.0", 0.0)
    return MeterValues(
        energy_wh=_energy_wh(numbers, "1.8"),
        energy_export_wh=_energy_wh(numbers, "2.8"),
        power_w=None if drawn_w is None else drawn_w - fed_w,
        current_a=_per_phase(numbers, ("31.7.0", "51.7.0", "71.7.0")),
        voltage_v=_per_phase(numbers, ("32.7.0", "52.7.0", "72.7.0")),
        power_by_phase_w=_net_power_w(numbers),
        tariff=tariff,
    )


def _energy_wh(numbers: Mapping[str, float], code: str) -> WattHours | None:
    """The total, or the sum of the two tariffs where the meter has no total."""
    total = numbers.get(f"{code}.0")
    tariffs = [numbers[name] for name in (f"{code}.1", f"{code}.2") if name in numbers]
    if total is None and not tariffs:
        return None
    return WattHours(round(total if total is not None else sum(tariffs)))


def _per_phase(numbers: Mapping[str, float], codes: tuple[str, str, str]) -> PerPhase | None:
    """Phases a meter does not name are not wired to it."""
    if codes[0] not in numbers:
        return None
    return PerPhase(*(numbers.get(code, 0.0) for code in codes))


def _net_power_w(numbers: Mapping[str, float]) -> PerPhase | None:
    drawn = _per_phase(numbers, ("21.7.0", "41.7.0", "61.7.0"))
    if drawn is None:
        return None
    fed = _per_phase(numbers, ("22.7.0", "42.7.0", "62.7.0")) or PerPhase.uniform(0.0)
    return PerPhase(drawn.l1 - fed.l1, drawn.l2 - fed.l2, drawn.l3 - fed.l3)
