"""Shelly meters over real HTTP: three types, and answers that are none."""

import asyncio
import json
import time

import pytest

from evcharge_hal.contract.units import PerPhase
from evcharge_hal.instruments.http_json import MOST_BYTES
from evcharge_hal.instruments.shelly import ShellyMeter, generation_of, parse_em, parse_emeters
from evcharge_hal.instruments.values import InstrumentError, MeterValues
from tests.support.tiny_http import documents, reply, tiny_http


def emeter(power: float, **more: object) -> dict[str, object]:
    return {"power": power, "voltage": 230.0, "is_valid": True, "total": 1000.4, "total_returned": 10.0} | more


EM3 = {
    "/shelly": {"type": "SHEM-3", "mac": "0123456789AB", "auth": False},
    "/status": {"emeters": [emeter(2300.0, current=10.0), emeter(-460.0, current=2.0), emeter(0.0, current=0.0)]},
}
EM = {
    "/shelly": {"type": "SHEM", "auth": False},
    "/status": {"emeters": [emeter(1150.0, reactive=0.0), emeter(300.0, reactive=400.0)]},
}
PRO3EM = {
    "/shelly": {"gen": 2, "model": "SPEM-003CEBEU", "app": "Pro3EM"},
    "/rpc/EM.GetStatus?id=0": {
        "a_current": 4.0, "a_voltage": 230.0, "a_act_power": 920.0, "a_pf": 1.0, "a_freq": 50.0,
        "b_current": 1.0, "b_voltage": 231.0, "b_act_power": -231.0,
        "c_current": 0.0, "c_voltage": 229.0, "c_act_power": 0.0,
        "total_act_power": 689.0,
    },
    "/rpc/EMData.GetStatus?id=0": {"total_act": 123456.78, "total_act_ret": 9.4},
}  # fmt: skip
EM3_VALUES = MeterValues(
    energy_wh=3001,
    energy_export_wh=30,
    power_w=1840.0,
    power_by_phase_w=PerPhase(2300.0, -460.0, 0.0),
    current_a=PerPhase(10.0, 2.0, 0.0),
    voltage_v=PerPhase.uniform(230.0),
)


async def read(by_path: dict[str, object], channel: int = 0) -> MeterValues:
    async with tiny_http(documents(by_path)) as port:
        return await ShellyMeter("127.0.0.1", port, channel).read()


async def test_a_3em_is_read():
    assert await read(EM3) == EM3_VALUES


@pytest.mark.parametrize(("channel", "power_w", "current_a"), [(0, 1150.0, 5.0), (1, 300.0, 500.0 / 230.0)])
async def test_an_em_is_two_meters(channel, power_w, current_a):
    values = await read(EM, channel)
    assert values.power_w == power_w
    assert values.current_a == PerPhase(current_a, 0.0, 0.0)
    assert values.energy_wh == 1000


async def test_a_pro_3em_is_read():
    assert await read(PRO3EM) == MeterValues(
        energy_wh=123_457,
        energy_export_wh=9,
        power_w=689.0,
        power_by_phase_w=PerPhase(920.0, -231.0, 0.0),
        current_a=PerPhase(4.0, 1.0, 0.0),
        voltage_v=PerPhase(230.0, 231.0, 229.0),
        frequency_hz=50.0,
    )


async def test_one_that_was_replaced_by_another_generation_is_found():
    by_path: dict[str, object] = dict(EM3)
    async with tiny_http(documents(by_path)) as port:
        meter = ShellyMeter("127.0.0.1", port)
        assert await meter.read() == EM3_VALUES
        by_path.clear()
        by_path.update(PRO3EM)
        with pytest.raises(InstrumentError, match="404"):
            await meter.read()
        assert (await meter.read()).power_w == 689.0
        await meter.close()


async def whole(_path: str, writer: asyncio.StreamWriter, data: bytes) -> None:
    writer.write(data)


def chunked(document: object) -> bytes:
    body = json.dumps(document).encode()
    half = len(body) // 2
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (body[:half], body[half:], b""))
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks


async def test_an_answer_in_chunks_is_put_together():
    async with tiny_http(lambda path, writer: whole(path, writer, chunked(EM3[path]))) as port:
        assert await ShellyMeter("127.0.0.1", port).read() == EM3_VALUES


async def test_an_answer_without_a_length_ends_with_the_connection():
    async def serve(path: str, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.0 200 OK\r\n\r\n" + json.dumps(EM3[path]).encode())
        writer.write_eof()

    async with tiny_http(serve) as port:
        assert await ShellyMeter("127.0.0.1", port).read() == EM3_VALUES


OK = b"HTTP/1.1 200 OK\r\n"
HOSTILE = {
    "no HTTP": b"\x00\x01\x02\r\n\r\n",
    "another status": reply(EM3["/shelly"], "401 Unauthorized"),
    "no JSON": OK + b"Content-Length: 5\r\n\r\n<html",
    "a length that is none": OK + b"Content-Length: -1\r\n\r\n{}",
    "a length of five thousand digits": OK + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n{}",
    "chunks that are none": OK + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n{}\r\n0\r\n\r\n",
    "deep": OK + b"Content-Length: 60000\r\n\r\n" + b"[" * 60_000,
    "too long": OK + b"Content-Length: 100000\r\n\r\n" + b" " * (MOST_BYTES + 1),
    "a head without end": OK + b"X: " + b"x" * MOST_BYTES,
    "a list": reply([1, 2, 3]),
    "a number": reply(7),
    "no Shelly": reply({"hello": "world"}),
    "a generation that is none": reply({"gen": True}),
}


@pytest.mark.parametrize("kind", HOSTILE)
async def test_an_answer_that_is_none_is_an_error_and_the_next_reading_is_right(kind):
    by_path: dict[str, object] = {}

    async def serve(path: str, writer: asyncio.StreamWriter) -> None:
        writer.write(reply(by_path[path]) if by_path else HOSTILE[kind])

    async with tiny_http(serve) as port:
        meter = ShellyMeter("127.0.0.1", port, timeout_s=0.5)
        with pytest.raises(InstrumentError):
            await meter.read()
        by_path |= EM3
        assert await meter.read() == EM3_VALUES


async def test_a_peer_that_sends_a_byte_now_and_then_does_not_hold_the_reading():
    async def serve(_path: str, writer: asyncio.StreamWriter) -> None:
        writer.write(OK + b"Content-Length: 1000\r\n\r\n")
        for _ in range(1000):
            writer.write(b" ")
            await asyncio.sleep(0.01)

    async with tiny_http(serve) as port:
        began_s = time.monotonic()
        with pytest.raises(InstrumentError, match="no answer within"):
            await ShellyMeter("127.0.0.1", port, timeout_s=0.2).read()
        assert time.monotonic() - began_s < 2.0


async def test_nobody_there_is_said(unused_tcp_port):
    with pytest.raises(InstrumentError, match="no connection"):
        await ShellyMeter("127.0.0.1", unused_tcp_port).read()


@pytest.mark.parametrize(
    "document",
    [
        {}, {"emeters": None}, {"emeters": []}, {"emeters": "abc"}, {"emeters": [1, 2, 3]}, {"emeters": [None]},
        {"emeters": [emeter(0.0, is_valid=False)]}, [], None,
    ],
)  # fmt: skip
def test_clamps_that_are_none_are_refused(document):
    with pytest.raises(InstrumentError):
        parse_emeters(document)


@pytest.mark.parametrize("value", [None, "1", True, float("nan"), float("inf"), 10**400, [], {}])
def test_a_number_that_is_none_is_not_known(value):
    assert parse_emeters({"emeters": [emeter(0.0, voltage=value)]}).voltage_v is None
    assert parse_em({"total_act_power": value}, {"total_act": value}) == MeterValues()


@pytest.mark.parametrize("document", [{"gen": 0}, {"gen": "2"}, {"gen": 1.5}, {"gen": None}, {}, "x"])
def test_what_is_no_shelly_is_refused(document):
    with pytest.raises(InstrumentError, match="no Shelly"):
        generation_of(document)


def test_later_generations_answer_as_the_second():
    assert [generation_of({"gen": gen}) for gen in (1, 2, 3, 4)] == [1, 2, 2, 2]
