"""Register maps: what is read of them and what is refused."""

import pytest

from evcharge_hal.contract.errors import InvalidFieldError
from evcharge_hal.instruments.registers import Phase, Quantity, RegisterType, load_map, parse_map, shipped_maps

GOOD = """
name = "x"
function_code = 4
registers = [
    { quantity = "power", address = 0, type = "f32" },
    { quantity = "voltage", phase = "l1", address = 2, type = "u16", scale = 0.1, absent = [65535] },
]
"""


def test_the_sdm630_reads_the_addresses_of_its_protocol_sheet():
    sdm630 = load_map("sdm630")
    assert sdm630.function_code == 4
    assert {(r.quantity, r.phase): (r.address, r.type, r.scale) for r in sdm630.registers} == {
        (Quantity.VOLTAGE, Phase.L1): (0x00, RegisterType.F32, 1.0),
        (Quantity.VOLTAGE, Phase.L2): (0x02, RegisterType.F32, 1.0),
        (Quantity.VOLTAGE, Phase.L3): (0x04, RegisterType.F32, 1.0),
        (Quantity.CURRENT, Phase.L1): (0x06, RegisterType.F32, 1.0),
        (Quantity.CURRENT, Phase.L2): (0x08, RegisterType.F32, 1.0),
        (Quantity.CURRENT, Phase.L3): (0x0A, RegisterType.F32, 1.0),
        (Quantity.PHASE_POWER, Phase.L1): (0x0C, RegisterType.F32, 1.0),
        (Quantity.PHASE_POWER, Phase.L2): (0x0E, RegisterType.F32, 1.0),
        (Quantity.PHASE_POWER, Phase.L3): (0x10, RegisterType.F32, 1.0),
        (Quantity.POWER, None): (0x34, RegisterType.F32, 1.0),
        (Quantity.POWER_FACTOR, None): (0x3E, RegisterType.F32, 1.0),
        (Quantity.FREQUENCY, None): (0x46, RegisterType.F32, 1.0),
        (Quantity.ENERGY_IMPORT, None): (0x48, RegisterType.F32, 1000.0),
        (Quantity.ENERGY_EXPORT, None): (0x4A, RegisterType.F32, 1000.0),
    }


@pytest.mark.parametrize("name", shipped_maps())
def test_every_shipped_map_loads(name):
    assert load_map(name).registers


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("gnm3t", "em3xx"), ("gnm3d", "em3xx"), ("em112", "em11x"), ("sdm230", "sdm120"), ("sdm72v2", "sdm630"),
        ("abb-b24", "abb-b2x"), ("pro380", "klefr6934"),
    ],
)  # fmt: skip
def test_a_meter_is_found_by_the_name_on_its_label(name, file):
    assert load_map(name) == load_map(file)


def test_no_name_means_two_maps():
    names = [name for file in shipped_maps() for name in (file, *load_map(file).also)]
    assert len(set(names)) == len(names)


def test_a_name_nearly_right_is_answered_with_the_right_one():
    with pytest.raises(InvalidFieldError, match="did you mean 'sdm630'"):
        load_map("sdm63O")


def test_a_map_of_ones_own_is_found_by_its_path(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(GOOD)
    assert load_map(str(path)) == parse_map(GOOD)


@pytest.mark.parametrize("name", ["sdm999", "", "../sdm630", "/nowhere/x.toml"])
def test_a_map_that_is_not_there_is_said(name):
    with pytest.raises(InvalidFieldError) as caught:
        load_map(name)
    assert caught.value.path == "map"


@pytest.mark.parametrize(
    ("old", "new", "path"),
    [
        ("function_code = 4", "function_code = 5", "function_code"),
        ("function_code = 4", "function_cod = 4", "function_cod"),
        ("function_code = 4", "", "function_code"),
        ("function_code = 4", "function_code = 4\nmax_block = 126", "max_block"),
        ("function_code = 4", "function_code = 4\nmax_block = 1", "max_block"),
        ("function_code = 4", "function_code = 4\ngap_ms = nan", "gap_ms"),
        ("function_code = 4", 'function_code = 4\nword_order = "middle"', "word_order"),
        ("function_code = 4", 'function_code = 4\nunavailable = ["nan"]', "unavailable[0]"),
        ("function_code = 4", "function_code = 4\nrollover_wh = 10", "rollover_wh"),
        ('"power"', '"powr"', "registers[0].quantity"),
        ('"power"', '"voltage"', "registers[0].phase"),
        ('quantity = "power"', 'quantity = "power", phase = "l1"', "registers[0].phase"),
        ("address = 0", "address = -1", "registers[0].address"),
        ("address = 0", "address = 65535", "registers[0].address"),
        ("address = 0", "address = 65536", "registers[0].address"),
        ('"f32"', '"f64"', "registers[0].type"),
        ("scale = 0.1", "scale = 0", "registers[1].scale"),
        ("absent = [65535]", "absent = [0.5]", "registers[1].absent[0]"),
        ('name = "x"', "name = 1", "name"),
        ('name = "x"', "name = ", "map"),
        (
            '{ quantity = "power", address = 0, type = "f32" },',
            '{ quantity = "voltage", phase = "l1", address = 0, type = "f32" },',
            "registers[1].quantity",
        ),
    ],
)
def test_what_is_wrong_is_named(old, new, path):
    assert old in GOOD
    with pytest.raises(InvalidFieldError) as caught:
        parse_map(GOOD.replace(old, new, 1))
    assert caught.value.path == path
    assert caught.value.allowed


def test_an_empty_map_is_refused():
    with pytest.raises(InvalidFieldError, match="at least one"):
        parse_map('name = "x"\nfunction_code = 3\nregisters = []')
