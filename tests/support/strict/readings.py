"""Reads meter values out of the trace."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tests.support.strict.trace import Call, Trace, stamp_s

REGISTER = "Energy.Active.Import.Register"
PERIODIC = "Sample.Periodic"
CLOCK = "Sample.Clock"


@dataclass(frozen=True, slots=True)
class Reading:
    """One MeterValue with one context."""

    call: Call
    connector: int
    transaction_id: int | None
    utc_s: float
    context: str
    measurands: frozenset[str]


def readings_of(trace: Trace) -> Iterator[Reading]:
    """All values of all MeterValues, by first send; a value with several contexts is several readings."""
    for sends in trace.sends:
        call = sends[0]
        if call.action != "MeterValues":
            continue
        for value in call.payload["meterValue"]:
            yield from _split(call, value)


def _split(call: Call, value: Mapping[str, Any]) -> Iterator[Reading]:
    sampled = value["sampledValue"]
    for context in dict.fromkeys(one.get("context", PERIODIC) for one in sampled):
        mine = frozenset(one.get("measurand", REGISTER) for one in sampled if one.get("context", PERIODIC) == context)
        number = call.payload.get("transactionId")
        connector = int(call.payload["connectorId"])
        yield Reading(call, connector, number, stamp_s(value["timestamp"]), context, mine)


def registers_of(trace: Trace, connector: int) -> list[tuple[Call, float]]:
    """The import register of a connector in Wh, in the order of the moments it was read."""
    connectors = {one.id: one.connector for one in trace.transactions}
    found: list[tuple[float, int, Call, float]] = []
    for sends in trace.sends:
        call = sends[0]
        where = call.connector if call.connector is not None else connectors.get(call.payload.get("transactionId"))
        if where != connector:
            continue
        for at_utc_s, register_wh in _registers(call):
            found.append((at_utc_s, call.number, call, register_wh))
    found.sort(key=lambda one: one[:2])
    return [(call, register_wh) for _, _, call, register_wh in found]


def _registers(call: Call) -> Iterator[tuple[float, float]]:
    payload = call.payload
    match call.action:
        case "StartTransaction":
            yield stamp_s(payload["timestamp"]), float(payload["meterStart"])
        case "StopTransaction":
            yield stamp_s(payload["timestamp"]), float(payload["meterStop"])
        case "MeterValues":
            for value in payload["meterValue"]:
                for one in value["sampledValue"]:
                    if one.get("measurand", REGISTER) == REGISTER and "phase" not in one:
                        scale = 1000.0 if one.get("unit") == "kWh" else 1.0
                        yield stamp_s(value["timestamp"]), float(one["value"]) * scale
