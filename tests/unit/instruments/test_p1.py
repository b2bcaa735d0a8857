"""P1 telegrams: what is read of them and what is refused."""

import contextlib
import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evcharge_hal.contract.units import PerPhase
from evcharge_hal.instruments.p1 import P1Cutter, parse_p1
from evcharge_hal.instruments.values import InstrumentError, MeterValues

BODY = """/EVC5\\2SIMULATED

1-3:0.2.8(50)
0-0:1.0.0(261121113000W)
1-0:1.8.1(001234.567*kWh)
1-0:1.8.2(000765.433*kWh)
1-0:2.8.1(000010.500*kWh)
1-0:2.8.2(000000.250*kWh)
0-0:96.14.0(0002)
1-0:1.7.0(00.378*kW)
1-0:2.7.0(00.000*kW)
1-0:32.7.0(229.9*V)
1-0:52.7.0(230.4*V)
1-0:72.7.0(231.0*V)
1-0:31.7.0(001*A)
1-0:51.7.0(002*A)
1-0:71.7.0(003.25*A)
1-0:21.7.0(00.878*kW)
1-0:41.7.0(00.000*kW)
1-0:61.7.0(00.250*kW)
1-0:22.7.0(00.000*kW)
1-0:42.7.0(00.750*kW)
1-0:62.7.0(00.000*kW)
0-1:24.2.1(261121110000W)(00123.456*m3)
!""".replace("\n", "\r\n").encode()


def arc(data: bytes) -> int:
    """CRC-16/ARC bit by bit (reflected 8005, no seed)."""
    register = 0
    for byte in data:
        register ^= byte
        for _ in range(8):
            register = register >> 1 ^ (0xA001 if register & 1 else 0)
    return register


def sealed(body: bytes) -> bytes:
    return body + b"%04X\r\n" % arc(body)


VALUES = MeterValues(
    energy_wh=2_000_000,
    energy_export_wh=10_750,
    power_w=378.0,
    current_a=PerPhase(1.0, 2.0, 3.25),
    voltage_v=PerPhase(229.9, 230.4, 231.0),
    power_by_phase_w=PerPhase(878.0, -750.0, 250.0),
    tariff="0002",
)


def test_the_checksum_is_the_one_of_the_catalogue():
    assert arc(b"123456789") == 0xBB3D


def test_a_telegram_is_read():
    assert parse_p1(sealed(BODY)) == VALUES


def test_feeding_in_is_negative():
    body = BODY.replace(b"1-0:1.7.0(00.378", b"1-0:1.7.0(00.000").replace(b"1-0:2.7.0(00.000", b"1-0:2.7.0(01.500")
    assert parse_p1(sealed(body)).power_w == -1500.0


def test_a_single_phase_meter_has_nothing_on_the_others():
    body = b"\r\n".join(
        line for line in BODY.split(b"\r\n") if not line.startswith((b"1-0:5", b"1-0:7", b"1-0:4", b"1-0:6"))
    )
    values = parse_p1(sealed(body))
    assert values.voltage_v == PerPhase(229.9, 0.0, 0.0)
    assert values.current_a == PerPhase(1.0, 0.0, 0.0)
    assert values.power_by_phase_w == PerPhase(878.0, 0.0, 0.0)


def test_a_meter_with_a_total_needs_no_tariffs():
    body = BODY.replace(b"1-0:1.8.1(001234.567", b"1-0:1.8.0(000042.000")
    assert parse_p1(sealed(body)).energy_wh == 42_000


def test_older_meters_have_no_checksum():
    assert parse_p1(BODY + b"\r\n", has_checksum=False) == VALUES
    with pytest.raises(InstrumentError, match="checksum"):
        parse_p1(BODY + b"\r\n")


@pytest.mark.parametrize(
    "telegram",
    [
        b"",
        b"/",
        b"/!",
        sealed(BODY[1:]),
        sealed(BODY)[:-6] + b"0000\r\n",
        sealed(BODY).replace(b"00.378", b"00.379"),
        BODY + b"+1AB\r\n",
        sealed(b"/x\r\n\r\n!"),
        sealed(b"/x\r\n\r\n1-0:1.7.0(nan*kW)\r\n!"),
        sealed(b"/x\r\n\r\n1-0:1.7.0(00.378*GW)\r\n!"),
        sealed(b"/x\r\n\r\n" + b"1-0:1.7.0(00.378*kW)\r\n" * 1000 + b"!"),
    ],
)
def test_what_is_no_telegram_is_refused(telegram):
    with pytest.raises(InstrumentError):
        parse_p1(telegram)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_no_bytes_whatsoever_are_worse_than_refused(noise):
    for telegram in (noise, sealed(b"/" + noise + b"!"), sealed(BODY[:-1] + noise + b"!")):
        with contextlib.suppress(InstrumentError):
            assert isinstance(parse_p1(telegram), MeterValues)


@settings(max_examples=100, deadline=None)
@given(cuts=st.lists(st.integers(0, 3 * len(sealed(BODY))), max_size=12))
def test_telegrams_are_cut_however_they_arrive(cuts):
    stream = BODY[300:] + b"\r\n" + 2 * sealed(BODY) + sealed(BODY)[:100]
    cutter, found = P1Cutter(), []
    edges = [0, *sorted(cuts), len(stream)]
    for start, end in itertools.pairwise(edges):
        found += cutter.feed(stream[start:end])
    assert found == 2 * [sealed(BODY)]


def test_a_telegram_that_was_cut_off_costs_itself_only():
    cutter = P1Cutter()
    assert cutter.feed(sealed(BODY)[:200] + b"\r\n" + sealed(BODY)) == [sealed(BODY)]


def test_a_flood_without_end_is_forgotten():
    cutter = P1Cutter()
    for _ in range(100):
        assert cutter.feed(b"/" + b"x" * 4096) == []
    assert cutter.feed(b"\r\n" + sealed(BODY))[-1] == sealed(BODY)
