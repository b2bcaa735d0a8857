"""Which blocks are asked for, and what registers mean."""

import math
import struct
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evcharge_hal.contract.units import PerPhase
from evcharge_hal.instruments.blocks import Block, decode_values, plan_blocks
from evcharge_hal.instruments.registers import (
    Phase,
    Quantity,
    Register,
    RegisterMap,
    RegisterType,
    Unavailable,
    WordOrder,
    load_map,
)
from evcharge_hal.instruments.values import InstrumentError, MeterValues

SDM630 = load_map("sdm630")
BIG, LITTLE = WordOrder.BIG, WordOrder.LITTLE


def power(
    raw_type: RegisterType, scale: float = 1.0, order: WordOrder = BIG, absent: tuple[int, ...] = ()
) -> RegisterMap:
    register = Register(Quantity.POWER, 0, raw_type, scale, absent=absent)
    return RegisterMap("x", 3, (register,), order)


def read_power(register_map: RegisterMap, *words: int) -> float | None:
    return decode_values(register_map, {Block(0, len(words)): words}).power_w


def f32(value: float) -> list[int]:
    return list(struct.unpack(">HH", struct.pack(">f", value)))


def sdm630_words(**by_address: float) -> dict[Block, list[int]]:
    words = [0] * 76
    for address, value in by_address.items():
        start = int(address.removeprefix("at_"), 16)
        words[start : start + 2] = f32(value)
    return {Block(0, 76): words}


@pytest.mark.parametrize(
    ("raw_type", "order", "words", "value"),
    [
        (RegisterType.U16, BIG, [0xFFFE], 65534.0),
        (RegisterType.I16, BIG, [0xFFFE], -2.0),
        (RegisterType.U32, BIG, [0x0001, 0x0002], 65538.0),
        (RegisterType.U32, LITTLE, [0x0002, 0x0001], 65538.0),
        (RegisterType.I32, BIG, [0xFFFF, 0xFFFE], -2.0),
        (RegisterType.I32, LITTLE, [0xFFFE, 0xFFFF], -2.0),
        (RegisterType.F32, BIG, [0x4248, 0x0000], 50.0),
        (RegisterType.F32, LITTLE, [0x0000, 0x4248], 50.0),
        (RegisterType.U64, BIG, [0, 0, 1, 0], 65536.0),
        (RegisterType.U64, LITTLE, [0, 1, 0, 0], 65536.0),
        (RegisterType.I64, BIG, [0xFFFF, 0xFFFF, 0xFFFF, 0xFFFF], -1.0),
    ],
)
def test_numbers_are_read_as_they_are_stored(raw_type, order, words, value):
    assert read_power(power(raw_type, order=order), *words) == value


@pytest.mark.parametrize(
    ("register_map", "words"),
    [
        (power(RegisterType.F32), f32(math.nan)),
        (power(RegisterType.F32), f32(math.inf)),
        (power(RegisterType.F32), f32(-math.inf)),
        (power(RegisterType.I32, absent=(0x7FFFFFFF,)), [0x7FFF, 0xFFFF]),
        (power(RegisterType.U16, absent=(0xFFFF, 0xFFFE)), [0xFFFE]),
    ],
)
def test_what_a_meter_does_not_say_is_none_and_never_zero(register_map, words):
    assert read_power(register_map, *words) is None


ONES, GREATEST, LEAST = Unavailable
MARKS = [
    (RegisterType.U16, [0xFFFF], {ONES}),
    (RegisterType.U32, [0xFFFF, 0xFFFF], {ONES}),
    (RegisterType.U64, [0xFFFF] * 4, {ONES}),
    (RegisterType.I16, [0x7FFF], {GREATEST}),
    (RegisterType.I32, [0x7FFF, 0xFFFF], {GREATEST}),
    (RegisterType.I64, [0x7FFF, 0xFFFF, 0xFFFF, 0xFFFF], {GREATEST}),
    (RegisterType.I16, [0x8000], {LEAST}),
    (RegisterType.I32, [0x8000, 0x0000], {LEAST}),
    # -1 is a number, and so is half of the range.
    (RegisterType.I32, [0xFFFF, 0xFFFF], set()),
    (RegisterType.U32, [0x7FFF, 0xFFFF], set()),
    (RegisterType.U16, [0x8000], set()),
]


@pytest.mark.parametrize(("raw_type", "words", "marks"), MARKS)
@pytest.mark.parametrize("mark", Unavailable)
def test_marks_of_unavailable_numbers_depend_on_their_type(raw_type, words, marks, mark):
    register_map = replace(power(raw_type), unavailable=(mark,))
    assert (read_power(register_map, *words) is None) == (mark in marks)


def abb_words(**by_address: tuple[int, ...]) -> dict[Block, list[int]]:
    blocks = {block: [0] * block.count for block in plan_blocks(load_map("abb-b23"))}
    for address, words in by_address.items():
        start = int(address.removeprefix("at_"), 16)
        for block, image in blocks.items():
            if block.address <= start < block.end:
                image[start - block.address : start - block.address + len(words)] = words
    return blocks


NOTHING = (0xFFFF, 0xFFFF)


def test_a_phase_without_voltage_is_not_wired_where_the_meter_says_so():
    words = abb_words(at_5B00=(0, 2301), at_5B02=NOTHING, at_5B04=NOTHING, at_5B0C=(0, 1600), at_5B0E=NOTHING)
    values = decode_values(load_map("abb-b23"), words)
    assert values.voltage_v == PerPhase(2301 * 0.1, 0.0, 0.0)
    assert values.current_a == PerPhase(16.0, 0.0, 0.0)


def test_an_unknown_current_on_a_live_phase_stays_unknown():
    words = abb_words(at_5B00=(0, 2301), at_5B02=(0, 2301), at_5B04=NOTHING, at_5B0C=(0, 1600), at_5B0E=NOTHING)
    values = decode_values(load_map("abb-b23"), words)
    assert values.voltage_v == PerPhase(2301 * 0.1, 2301 * 0.1, 0.0)
    assert values.current_a is None


def test_without_any_voltage_nothing_is_known_about_wires():
    words = abb_words(at_5B00=NOTHING, at_5B02=NOTHING, at_5B04=NOTHING, at_5B0C=NOTHING)
    values = decode_values(load_map("abb-b23"), words)
    assert (values.voltage_v, values.current_a) == (None, None)


@pytest.mark.parametrize(("told", "frequency_hz"), [(50.0, 50.0), (500.0, 50.0), (499.5, 49.95), (449.0, 449.0)])
def test_a_frequency_ten_times_too_high_is_put_right(told, frequency_hz):
    assert decode_values(SDM630, sdm630_words(at_46=told)).frequency_hz == pytest.approx(frequency_hz)


@pytest.mark.parametrize("scale", [0.1, 1000.0, -1.0])
def test_the_scale_turns_into_base_units(scale):
    assert read_power(power(RegisterType.U16, scale), 25) == 25 * scale


@pytest.mark.parametrize(
    ("kilowatt_hours", "energy_wh"),
    [
        (0.0, 0),
        (1.0, 1000),
        (1234.5, 1_234_500),
        (0.0006, 1),
        (0.0004, 0),
        (-0.001, None),
        (math.nan, None),
        (3e38, None),
    ],
)
def test_energy_is_whole_watt_hours(kilowatt_hours, energy_wh):
    assert decode_values(SDM630, sdm630_words(at_48=kilowatt_hours)).energy_wh == energy_wh


def test_one_phase_that_is_not_known_makes_the_whole_value_unknown():
    values = decode_values(SDM630, sdm630_words(at_0=230.0, at_2=math.nan, at_4=231.0, at_6=16.0))
    assert values.voltage_v is None
    assert values.current_a == PerPhase(16.0, 0.0, 0.0)


def test_the_plan_in_small_blocks():
    assert plan_blocks(SDM630, with_holes=False, max_block=6)[:3] == (Block(0, 6), Block(6, 6), Block(12, 6))
    assert {block.count for block in plan_blocks(SDM630, with_holes=False, max_block=1)} == {2}


def test_a_single_phase_meter_has_nothing_on_the_other_phases():
    register_map = RegisterMap("x", 4, (Register(Quantity.CURRENT, 6, RegisterType.F32, phase=Phase.L1),))
    assert decode_values(register_map, {Block(6, 2): f32(16.0)}) == MeterValues(current_a=PerPhase(16.0, 0.0, 0.0))


@pytest.mark.parametrize("words", [[], [0] * 75, [0] * 77])
def test_a_block_of_another_length_is_refused(words):
    with pytest.raises(InstrumentError, match="instead of 76"):
        decode_values(SDM630, {Block(0, 76): words})


def test_a_register_that_was_not_read_is_refused():
    with pytest.raises(InstrumentError, match="0x0034"):
        decode_values(SDM630, {Block(0, 18): [0] * 18})


def test_the_plan_for_the_sdm630():
    assert plan_blocks(SDM630) == (Block(0, 76),)
    assert plan_blocks(SDM630, with_holes=False) == (
        Block(0, 18),
        Block(0x34, 2),
        Block(0x3E, 2),
        Block(0x46, 6),
    )


registers = st.builds(
    Register,
    quantity=st.just(Quantity.POWER),
    address=st.integers(0, 300),
    type=st.sampled_from(RegisterType),
)
maps = st.builds(
    RegisterMap,
    name=st.just("x"),
    function_code=st.just(3),
    registers=st.lists(registers, min_size=1, max_size=20).map(tuple),
    max_block=st.integers(4, 125),
    max_hole=st.integers(0, 20),
)


@settings(max_examples=200, deadline=None)
@given(register_map=maps, with_holes=st.booleans())
def test_a_plan_covers_every_register_in_blocks_the_meter_gives(register_map, with_holes):
    blocks = plan_blocks(register_map, with_holes=with_holes)
    assert list(blocks) == sorted(blocks)
    wanted = {address for register in register_map.registers for address in range(register.address, register.end)}
    for block in blocks:
        assert 1 <= block.count <= register_map.max_block
        # A block begins and ends with something that was asked for.
        assert {block.address, block.end - 1} <= wanted
        if not with_holes:
            assert set(range(block.address, block.end)) <= wanted
    for register in register_map.registers:
        assert any(block.address <= register.address and register.end <= block.end for block in blocks)


@settings(max_examples=200, deadline=None)
@given(
    words=st.lists(st.integers(0, 0xFFFF), min_size=76, max_size=76),
    order=st.sampled_from(WordOrder),
)
def test_no_words_whatsoever_break_the_decoder_or_become_a_number_that_is_none(words, order):
    register_map = RegisterMap("x", 4, SDM630.registers, order, max_block=80, max_hole=40)
    values = decode_values(register_map, {Block(0, 76): words})
    assert values.energy_wh is None or values.energy_wh >= 0
    for number in (values.power_w, values.power_factor, values.frequency_hz):
        assert number is None or math.isfinite(number)
    for phases in (values.current_a, values.voltage_v):
        assert phases is None or all(math.isfinite(value) for value in (phases.l1, phases.l2, phases.l3))
