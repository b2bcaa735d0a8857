"""Board files: what the overlay gives, and the text of every refusal."""

import re
from pathlib import Path

import pytest

from evcharge_hal.boards.board import Board, Cable
from evcharge_hal.boards.checks import lost_protections
from evcharge_hal.boards.loader import (
    BoardFileError,
    load_board,
    make_pin_factory,
    section_names,
    shipped_boards,
)

EXAMPLE = Path(__file__).parents[3] / "config" / "board.example.toml"


def load(tmp_path: Path, text: str) -> Board:
    path = tmp_path / "board.toml"
    path.write_text(text)
    return load_board(path)


# --- what comes out ---------------------------------------------------------------------------------------


def test_no_file_is_the_simulated_board_as_shipped() -> None:
    board = load_board(None)
    assert board.board.name == "sim"
    assert [(c.id, c.max_a, c.phases, c.cable) for c in board.connector] == [
        (1, 32.0, 3, Cable.SOCKET),
        (2, 32.0, 3, Cable.SOCKET),
    ]


def test_an_empty_file_is_the_simulated_board(tmp_path: Path) -> None:
    assert load(tmp_path, "") == load_board(None)


@pytest.mark.parametrize("name", shipped_boards())
def test_every_shipped_board_can_be_used(tmp_path: Path, name: str) -> None:
    assert load(tmp_path, f'[board]\nname = "{name}"').board.name == name


def test_the_example_file_can_be_used_and_uses_every_line_it_has_commented_out(tmp_path: Path) -> None:
    example = EXAMPLE.read_text()
    assert load_board(EXAMPLE).connector[0].cable_a == 20.0
    # Defaults stand behind "# key = value"; a wrong key or value among them would be refused here.
    everything = re.sub(r"(?m)^# (?=\w+ = |\[connector\.pins\]|    \{|\])", "", example)
    assert "\nsupply_a" in everything
    assert "\nproximity = [" in everything
    full = load(tmp_path, everything)
    assert full.board.supply_a == 32.0
    assert len(full.connector) == 1
    assert full.thresholds == load_board(None).thresholds


def test_keys_overlay_one_by_one_and_connectors_merge_by_id(tmp_path: Path) -> None:
    shipped = load_board(None)
    board = load(
        tmp_path,
        """
        [[connector]]
        id = 2
        max_a = 16.0
        [connector.pins]
        rcm = 4
        """,
    )
    assert board.connector[0] == shipped.connector[0]
    assert board.connector[1].max_a == 16.0
    assert board.connector[1].phases == 3
    assert board.connector[1].pins.rcm == 4
    assert board.connector[1].pins.relay == shipped.connector[1].pins.relay


def test_only_the_fitted_connectors_are_there(tmp_path: Path) -> None:
    assert [c.id for c in load(tmp_path, "[board]\nconnectors = 1").connector] == [1]


def test_the_worlds_table_is_left_to_the_world(tmp_path: Path) -> None:
    assert load(tmp_path, '[sim]\nanything = "goes"') == load_board(None)


def test_a_board_file_of_ones_own_may_be_the_base(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(
        "[[connector]]\nid = 1\npins = { relay = 17, rcm = 2, rcm_test = 23, feedback = 3 }\n"
    )
    board = load(tmp_path, '[board]\nname = "mine.toml"\n[[connector]]\nid = 1\nmax_a = 16')
    assert board.board.name == "mine.toml"
    assert (board.connector[0].max_a, board.connector[0].pins.relay) == (16.0, 17)


def test_the_simulated_board_may_be_rated_higher_than_shipped(tmp_path: Path) -> None:
    assert load(tmp_path, "[[connector]]\nid = 1\nmax_a = 63.0").connector[0].max_a == 63.0


def test_the_guards_sections_are_named() -> None:
    assert section_names() == {"board", "link", "thresholds", "connector"}


# --- refusals: (text of the file, parts of the message) --------------------------------------------------

PINS = "pins = { relay = 17, rcm = 2, rcm_test = 23, feedback = 3 }"
REFUSALS = {
    "not toml": ("[board]\nname = sim\n", ["is not a TOML file", "line 2"]),
    "unknown table": ("[bord]\n", ["bord", "one of the tables board, connector", "did you mean 'board'?"]),
    "table is a value": ("board = 3\n", ["board = 3", "a table, written [board]"]),
    "connector is a table": ("[connector]\nid = 1\n", ["connector = ", "each written [[connector]]"]),
    "connector is a list of values": ("connector = [1]\n", ["each written [[connector]]"]),
    "unknown key": ("[board]\nsuply_a = 16\n", ["board.suply_a = 16", "did you mean 'supply_a'?"]),
    "unknown board": ('[board]\nname = "two-conector"\n', ["board.name", "did you mean 'two-connector'?"]),
    "board is a number": ("[board]\nname = 3\n", ["board.name = 3", "one-connector, sim, two-connector"]),
    "base is missing": ('[board]\nname = "other.toml"\n', ["other.toml: cannot be read"]),
    "wrong type": ("[board]\nsupply_a = true\n", ["board.supply_a = True", "from 6 to 160 A"]),
    "out of range": ("[board]\nsupply_a = 630\n", ["board.supply_a = 630", "from 6 to 160 A"]),
    "not a number": ("[board]\nsupply_a = nan\n", ["board.supply_a = ", "from 6 to 160 A"]),
    "enum": ('[board]\nrcm = "gpoi"\n', ["board.rcm = 'gpoi'", "one of gpio, mcu", "did you mean 'gpio'?"]),
    "connectors fitted: none": ("[board]\nconnectors = 0\n", ["board.connectors = 0", "from 1 to 2"]),
    "connectors fitted: a text": ('[board]\nconnectors = "1"\n', ["board.connectors = '1'", "from 1 to 2"]),
    "connectors fitted: more than there are": (
        '[board]\nname = "one-connector"\nconnectors = 2\n',
        ["board.connectors = 2", "at most 1"],
    ),
    "no id": ("[[connector]]\nmax_a = 16\n", ["connector[0].id", "required"]),
    "id is a list": ("[[connector]]\nid = [1]\n", ["connector[0].id = [1]", "a whole number"]),
    "no port": ("[link]\nport = ''\n", ["link.port = ''", "a text of 1 to 200 characters"]),
    "nan": ("[[connector]]\nid = 1\nmax_a = nan\n", ["connector[id=1].max_a = nan", "a number from 6 to 80 A"]),
    "endless": ("[[connector]]\nid = 1\nmax_a = -inf\n", ["connector[id=1].max_a = -inf"]),
    "id is true": ("[[connector]]\nid = true\n", ["connector[0].id = True", "a whole number"]),
    "id twice": ("[[connector]]\nid = 1\n[[connector]]\nid = 1\n", ["connector[1].id = 1", "each number once"]),
    "id too high": (f"[[connector]]\nid = 3\n{PINS}\n", ["connector", "at most 2"]),
    "ids with a gap": (
        f'[board]\nname = "{{base}}"\n[[connector]]\nid = 2\n{PINS}\n',
        ["connector.id = [2]", "numbers from 1 without a gap"],
    ),
    "no connector": ('[board]\nname = "{base}"\n', ["connector = []", "at least one [[connector]]"]),
    "connector key": ("[[connector]]\nid = 2\nmax = 16\n", ["connector[id=2].max = 16", "did you mean 'max_a'?"]),
    "connector value": ("[[connector]]\nid = 2\nmax_a = 5\n", ["connector[id=2].max_a = 5", "from 6 to 80 A"]),
    "pin value": ("[[connector]]\nid = 1\npins = { relay = 64 }\n", ["connector[id=1].pins.relay = 64", "0 to 63"]),
    "pins are a value": ("[[connector]]\nid = 1\npins = 3\n", ["connector[id=1].pins = 3", "a table of named"]),
    "pin used twice": (
        "[[connector]]\nid = 2\npins = { rcm = 22 }\n",
        ["connector[id=2].pins.rcm = 22", "connector[id=1].pins.rcm has this one"],
    ),
    "pin used twice in a connector": (
        "[[connector]]\nid = 1\npins = { rcm = 17 }\n",
        ["connector[id=1].pins.rcm = 17", "connector[id=1].pins.relay has this one"],
    ),
    "no relay": (
        '[board]\nname = "{base}"\n[[connector]]\nid = 1\npins = { rcm = 2, feedback = 3 }\n',
        ["connector[id=1].pins.relay", "required"],
    ),
    "no rcm": (
        '[board]\nname = "{base}"\n[[connector]]\nid = 1\npins = { relay = 17, rcm_test = 23, feedback = 3 }\n',
        ["connector[id=1].pins.rcm", 'required with rcm = "gpio"'],
    ),
    "no feedback": (
        '[board]\nname = "{base}"\n[[connector]]\nid = 1\npins = { relay = 17, rcm = 3, rcm_test = 23 }\n',
        ["connector[id=1].pins.feedback", 'required with relay_feedback = "mirror"'],
    ),
    "no test line": (
        '[board]\nname = "{base}"\n[[connector]]\nid = 1\npins = { relay = 17, rcm = 3, feedback = 4 }\n',
        ["connector[id=1].pins.rcm_test", "an untested monitor protects nobody"],
    ),
    "relay on the console": (
        "[[connector]]\nid = 1\npins = { relay = 14 }\n",
        ["connector[id=1].pins.relay = 14", "low at boot"],
    ),
    "test winding on a line with a pull-up": (
        "[[connector]]\nid = 1\npins = { rcm_test = 4 }\n",
        ["connector[id=1].pins.rcm_test = 4", "low at boot"],
    ),
    "a connector the hardware does not have": (
        f'[board]\nname = "one-connector"\n[[connector]]\nid = 2\nmax_a = 80\n{PINS}\n',
        ["connector.id = [2]", "the connectors board 'one-connector' has: [1]"],
    ),
    "no stop below 70": ("[thresholds]\nstop_at_c = 95\n", ["thresholds.stop_at_c = 95", "25 to 70"]),
    "too much without a sensor": ("[thresholds]\nsensor_lost_a = 16\n", ["sensor_lost_a = 16", "6 to 10 A"]),
    "a short circuit is no cable": (
        "[thresholds]\nproximity = [{ from_ohm = 0, to_ohm = 150, limit_a = 63 }]\n",
        ["thresholds.proximity[0].from_ohm = 0", "75 to 2200"],
    ),
    "two phases": ("[[connector]]\nid = 1\nphases = 2\n", ["connector[id=1].phases = 2", "1 or 3"]),
    "fixed cable without a rating": (
        '[[connector]]\nid = 1\ncable = "fixed"\n',
        ["connector[id=1].cable_a", 'required with cable = "fixed"'],
    ),
    "rating of a cable that is not there": (
        "[[connector]]\nid = 1\ncable_a = 20\n",
        ["connector[id=1].cable_a = 20.0", 'only with cable = "fixed"'],
    ),
    "rated above the hardware": (
        '[board]\nname = "two-connector"\n[[connector]]\nid = 1\nmax_a = 63\n',
        ["connector[id=1].max_a = 63", "at most 32 A, the rating of board 'two-connector'"],
    ),
    "derate above stop": (
        "[thresholds]\nderate_from_c = 65\n",
        ["thresholds.derate_from_c = 65.0", "less than stop_at_c, which is 65 °C"],
    ),
    "resume above stop": (
        "[thresholds]\nresume_below_c = 70\n",
        ["thresholds.resume_below_c = 70.0", "less than stop_at_c, which is 65 °C"],
    ),
    "window upside down": (
        "[thresholds]\nproximity = [{ from_ohm = 150, to_ohm = 75, limit_a = 63 }]\n",
        ["thresholds.proximity[0].to_ohm = 75.0", "more than from_ohm, which is 150"],
    ),
    "windows overlap": (
        """[thresholds]
        proximity = [
            { from_ohm = 140, to_ohm = 330, limit_a = 32 },
            { from_ohm = 75, to_ohm = 150, limit_a = 63 },
        ]""",
        ["thresholds.proximity[0].from_ohm = 140.0", "at least 150 Ω"],
    ),
    "rcm at the co-processor": ('[board]\nrcm = "mcu"\n', ["board.rcm = 'mcu'", "not supported by this version"]),
    "feedback by voltage": (
        '[board]\nrelay_feedback = "voltage"\n',
        ["board.relay_feedback = 'voltage'", "not supported by this version"],
    ),
    "lock": (
        '[[connector]]\nid = 1\nlock = "motor"\ncable = "fixed"\ncable_a = 16\n',
        ["connector[id=1].lock = 'motor'", "there is no plug to lock"],
    ),
    "derating co-processor": (
        '[board]\nhost_loss = "derate"\n',
        [
            "board.host_loss = 'derate'",
            "6 A without its guard",
            "no site under G100 may",
            "not supported by this version",
        ],
    ),
    "board with a relay of its own": (
        '[board]\npower_path = "mcu"\n',
        ["board.power_path = 'mcu'", "allowed: host", "closes its own relay", "not supported by this version"],
    ),
    "RAPI": (
        '[link]\ndriver = "rapi"\n',
        ["link.driver = 'rapi'", "allowed: native", 'power_path = "mcu"', "not supported by this version"],
    ),
    "a setting of the site, where nobody would read it": (
        "[site]\ng100 = true\n",
        ["site = ", "one of the tables board, connector, link, sim, thresholds"],
    ),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_refusals_name_file_key_value_and_what_is_allowed(tmp_path: Path, case: str) -> None:
    text, parts = REFUSALS[case]
    (tmp_path / "empty.toml").write_text("")
    with pytest.raises(BoardFileError) as caught:
        load(tmp_path, text.replace("{base}", "empty.toml"))
    message = str(caught.value)
    assert message.startswith(str(tmp_path))
    assert [part for part in parts if part not in message] == [], message
    assert "\n" not in message


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "board.toml"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(BoardFileError, match="is not a TOML file"):
        load_board(path)


def test_deeply_nested_values_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BoardFileError, match="is not a TOML file"):
        load(tmp_path, "x = " + "[" * 100_000)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(BoardFileError, match=r"nothing\.toml: cannot be read: No such file"):
        load_board(tmp_path / "nothing.toml")


def test_an_unknown_table_in_the_base_names_the_base(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text("[oops]\n")
    with pytest.raises(BoardFileError, match=r"mine\.toml: oops"):
        load(tmp_path, '[board]\nname = "mine.toml"')


def test_a_real_board_without_its_lines_says_what_is_missing(tmp_path: Path) -> None:
    board = load(tmp_path, '[board]\nname = "two-connector"')
    with pytest.raises(BoardFileError, match=r"board 'two-connector': (needs the lgpio library|no GPIO)"):
        make_pin_factory(board, tmp_path)


def test_protections_that_are_missing_are_named(tmp_path: Path) -> None:
    assert lost_protections(load_board(None)) == ()
    (lost,) = lost_protections(load(tmp_path, '[board]\nrelay_feedback = "none"\n'))
    assert "welded contactor" in lost
