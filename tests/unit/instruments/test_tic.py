"""Frames of a Linky, both modes."""

import contextlib
import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evcharge_hal.contract.units import PerPhase
from evcharge_hal.instruments.tic import TicCutter, TicMode, parse_tic
from evcharge_hal.instruments.values import InstrumentError, MeterValues

HISTORIC, STANDARD = TicMode.HISTORIC, TicMode.STANDARD


def group(mode: TicMode, *parts: str) -> bytes:
    """A group with its checksum, summed up as the specification says: with the last separator in standard mode only."""
    separator = "\t" if mode is STANDARD else " "
    text = separator.join(parts)
    covered = text + separator if mode is STANDARD else text
    return f"\n{text}{separator}{chr((sum(map(ord, covered)) & 0x3F) + 0x20)}\r".encode()


def frame(mode: TicMode, *groups: tuple[str, ...]) -> bytes:
    return b"".join(group(mode, *parts) for parts in groups)


BASE = frame(
    HISTORIC,
    ("ADCO", "041876543210"),
    ("OPTARIF", "BASE"),
    ("ISOUSC", "45"),
    ("BASE", "001234567"),
    ("PTEC", "TH.."),
    ("IINST", "016"),
    ("IMAX", "090"),
    ("PAPP", "03680"),
    ("HHPHC", "A"),
    ("MOTDETAT", "000000"),
)
THREE = frame(
    STANDARD,
    ("ADSC", "041876543210"),
    ("DATE", "H261121113000", ""),
    ("LTARF", "HEURES CREUSES  "),
    ("EAST", "002000500"),
    ("EAIT", "000000750"),
    ("IRMS1", "016"),
    ("IRMS2", "001"),
    ("IRMS3", "000"),
    ("URMS1", "229"),
    ("URMS2", "230"),
    ("URMS3", "231"),
    ("SINSTS", "03910"),
    ("SMAXSN", "H261121031500", "05000"),
    ("SINSTI", "00010"),
)


def test_a_checksum_of_a_real_meter():
    """From the example in the specification's checksum section: PAPP 00550 ends in plus."""
    assert group(HISTORIC, "PAPP", "00550") == b"\nPAPP 00550 +\r"


def test_a_historic_frame_is_read_and_va_are_no_watts():
    assert parse_tic(BASE, HISTORIC) == MeterValues(
        energy_wh=1_234_567, current_a=PerPhase(16.0, 0.0, 0.0), apparent_power_va=3680.0, tariff="TH"
    )


def test_a_standard_frame_is_read():
    assert parse_tic(THREE, STANDARD) == MeterValues(
        energy_wh=2_000_500,
        energy_export_wh=750,
        current_a=PerPhase(16.0, 1.0, 0.0),
        voltage_v=PerPhase(229.0, 230.0, 231.0),
        apparent_power_va=3900.0,
        tariff="HEURES CREUSES",
    )


@pytest.mark.parametrize(
    ("indexes", "energy_wh"),
    [
        ([("HCHC", "000000100"), ("HCHP", "000000020")], 120),
        ([("HCHC", "000000100")], None),
        ([("EJPHN", "000000001"), ("EJPHPM", "000000002")], 3),
        ([(name, "000000001") for name in ("BBRHCJB", "BBRHPJB", "BBRHCJW", "BBRHPJW", "BBRHCJR", "BBRHPJR")], 6),
        ([("PAPP", "00000")], None),
        ([("BASE", "12x456789")], None),
    ],
)
def test_the_registers_of_each_contract_are_summed(indexes, energy_wh):
    assert parse_tic(frame(HISTORIC, *indexes), HISTORIC).energy_wh == energy_wh


def test_three_phases_in_historic_mode():
    groups = [("IINST1", "001"), ("IINST2", "002"), ("IINST3", "003"), ("PAPP", "01380")]
    assert parse_tic(frame(HISTORIC, *groups), HISTORIC).current_a == PerPhase(1.0, 2.0, 3.0)


@pytest.mark.parametrize(
    "damaged",
    [
        b"",
        b"\n",
        b"\nPAPP 03680 \x21\r",
        b"\nPAPP\r",
        b"\n\r",
        BASE.replace(b"03680", b"03681"),
        BASE.replace(b"PAPP ", b"PAPP"),
        b"\x80" + BASE,
        BASE + b"\n\xff 1 \x20\r",
        BASE * 100,
        THREE,
    ],
)
def test_what_is_no_frame_is_refused(damaged):
    if damaged == b"\x80" + BASE:  # Before the first group nothing counts.
        assert parse_tic(damaged, HISTORIC).energy_wh == 1_234_567
        return
    with pytest.raises(InstrumentError):
        parse_tic(damaged, HISTORIC)


@settings(max_examples=200, deadline=None)
@given(noise=st.binary(max_size=100), mode=st.sampled_from(TicMode))
def test_no_bytes_whatsoever_are_worse_than_refused(noise, mode):
    for text in (noise, b"\n" + noise + b"\r", BASE + noise):
        with contextlib.suppress(InstrumentError):
            assert isinstance(parse_tic(text, mode), MeterValues)


@settings(max_examples=100, deadline=None)
@given(cuts=st.lists(st.integers(0, 3 * len(BASE)), max_size=12))
def test_frames_are_cut_however_they_arrive(cuts):
    stream = BASE[50:] + b"\x03" + 2 * (b"\x02" + BASE + b"\x03") + b"\x02" + BASE[:20]
    cutter, found = TicCutter(), []
    edges = [0, *sorted(cuts), len(stream)]
    for start, end in itertools.pairwise(edges):
        found += cutter.feed(stream[start:end])
    assert found == 2 * [BASE]


def test_a_frame_that_was_cut_off_costs_itself_only():
    assert TicCutter().feed(b"\x02" + BASE[:30] + b"\x02" + BASE + b"\x03") == [BASE]
