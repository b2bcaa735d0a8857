"""Shelly EM and 3EM (first generation) and Pro 3EM (second generation) over HTTP.

A 3EM counts each phase by itself: its import is what the phases drew, not what the house drew when one fed in
while another drew.
"""

import math
from collections.abc import Mapping, Sequence

from evcharge_hal.contract.units import PerPhase, WattHours
from evcharge_hal.instruments.http_json import get_json
from evcharge_hal.instruments.values import InstrumentError, MeterValues

DEFAULT_TIMEOUT_S = 1.5
_MOST = 1e12
_PHASES = 3


class ShellyMeter:
    """Asks a Shelly at `host`:`port`; see `values.Meter`. `channel` is the clamp of an EM, which has two."""

    def __init__(self, host: str, port: int = 80, channel: int = 0, timeout_s: float = DEFAULT_TIMEOUT_S) -> None:
        self._host = host
        self._port = port
        self._channel = channel
        self._timeout_s = timeout_s
        self._generation: int | None = None

    async def read(self) -> MeterValues:
        """Ask for everything once; see `values.Meter.read`."""
        if self._generation is None:
            self._generation = generation_of(await self._get("/shelly"))
        try:
            if self._generation == 1:
                return parse_emeters(await self._get("/status"), self._channel)
            status = await self._get("/rpc/EM.GetStatus?id=0")
            return parse_em(status, await self._get("/rpc/EMData.GetStatus?id=0"))
        except InstrumentError:
            # It may have been replaced by one of the other generation.
            self._generation = None
            raise

    async def close(self) -> None:
        """Nothing is kept open."""

    async def _get(self, path: str) -> object:
        return await get_json(self._host, self._port, path, self._timeout_s)


def generation_of(document: object) -> int:
    """Read `/shelly`, which every Shelly answers; only the second generation names itself.

    Raises:
        InstrumentError: it is no Shelly, or one whose answers are unknown.
    """
    if isinstance(document, Mapping):
        generation = document.get("gen", 1 if "type" in document else None)
        if generation == 1:
            return 1
        # Later generations answer to the same calls.
        if isinstance(generation, int) and not isinstance(generation, bool) and generation > 1:
            return 2
    raise InstrumentError("no Shelly")


def parse_emeters(document: object, channel: int = 0) -> MeterValues:
    """Read `/status` of the first generation: three phases, or one channel of an EM.

    Raises:
        InstrumentError: there are no such clamps, or they say that they do not measure.
    """
    emeters = document.get("emeters") if isinstance(document, Mapping) else None
    if not isinstance(emeters, Sequence) or not all(isinstance(one, Mapping) for one in emeters):
        raise InstrumentError("a Shelly without clamps")
    used = emeters if len(emeters) == _PHASES else emeters[channel : channel + 1]
    if not used or any(one.get("is_valid") is False for one in used):
        raise InstrumentError("a Shelly whose clamps do not measure")
    power_by_phase_w = _phases([_number(one, "power") for one in used])
    return MeterValues(
        energy_wh=_sum_wh([_number(one, "total") for one in used]),
        energy_export_wh=_sum_wh([_number(one, "total_returned") for one in used]),
        power_w=None if power_by_phase_w is None else power_by_phase_w.total,
        power_by_phase_w=power_by_phase_w,
        current_a=_phases([_current_a(one) for one in used]),
        voltage_v=_phases([_number(one, "voltage") for one in used]),
    )


def parse_em(status: object, data: object) -> MeterValues:
    """Read EM.GetStatus and EMData.GetStatus of the second generation.

    Raises:
        InstrumentError: one of them is no object.
    """
    if not isinstance(status, Mapping) or not isinstance(data, Mapping):
        raise InstrumentError("a Shelly without a three-phase meter")

    def phases(name: str) -> PerPhase | None:
        return _phases([_number(status, f"{phase}_{name}") for phase in "abc"])

    return MeterValues(
        energy_wh=_sum_wh([_number(data, "total_act")]),
        energy_export_wh=_sum_wh([_number(data, "total_act_ret")]),
        power_w=_number(status, "total_act_power"),
        power_by_phase_w=phases("act_power"),
        current_a=phases("current"),
        voltage_v=phases("voltage"),
        frequency_hz=_number(status, "a_freq"),
    )


def _number(table: Mapping[object, object], name: str) -> float | None:
    value = table.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    # First: an integer may be too long for a float.
    return float(value) if abs(value) <= _MOST and math.isfinite(value) else None


def _current_a(emeter: Mapping[object, object]) -> float | None:
    """Told by the 3EM; the EM tells voltage and power only, and reactive power where it is new enough."""
    told_a = _number(emeter, "current")
    power_w, voltage_v = _number(emeter, "power"), _number(emeter, "voltage")
    if told_a is not None or power_w is None or not voltage_v:
        return told_a
    return math.hypot(power_w, _number(emeter, "reactive") or 0.0) / voltage_v


def _phases(values: Sequence[float | None]) -> PerPhase | None:
    known = [value for value in values if value is not None]
    if len(known) < len(values):
        return None
    return PerPhase(*(known + [0.0] * (_PHASES - len(known)))[:_PHASES])


def _sum_wh(values: Sequence[float | None]) -> WattHours | None:
    known = [value for value in values if value is not None and value >= 0.0]
    return WattHours(round(sum(known))) if len(known) == len(values) else None
