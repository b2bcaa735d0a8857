"""Lines of RAPI: what is sent, what is believed, what is dropped."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evcharge_hal.contract.errors import InvalidFieldError
from evcharge_hal.link.rapi_frames import (
    MAX_COMMAND_LENGTH,
    LineDecoder,
    RapiBoot,
    RapiNoise,
    RapiOther,
    RapiReply,
    RapiState,
    checksum,
    encode_command,
    next_sequence,
    read_decimal,
    read_hexadecimal,
    read_state,
)


def line(text: str) -> bytes:
    value = 0
    for byte in text.encode():
        value ^= byte
    return text.encode() + f"^{value:02X}\r".encode()


def feed(data: bytes) -> list[object]:
    return list(LineDecoder().feed(data))


@pytest.mark.parametrize(
    ("text", "value"), [("$GS", 0x30), ("$GC", 0x20), ("$G0", 0x53), ("$GV", 0x35), ("$GP", 0x33), ("$F0 1", 0x43)]
)
def test_the_checksum_is_that_of_the_protocols_own_examples(text: str, value: int) -> None:
    assert checksum(text.encode()) == value


def test_a_command_carries_id_check_and_carriage_return() -> None:
    assert encode_command("SC 16 V", 0x2A) == line("$SC 16 V :2A")


def test_the_longest_command_we_have_fits_the_boards_buffer_of_32() -> None:
    for body in ("SY 60 6", "SC 80 V", "SY 165", "S4 0"):
        assert len(encode_command(body, 255)) <= 32


@pytest.mark.parametrize("body", ["X" * MAX_COMMAND_LENGTH, "a b c d e f g h i j", "GS\r$FF D 0", "FP $", "é\n"])
def test_a_command_the_board_would_drop_or_read_as_two_is_refused(body: str) -> None:
    with pytest.raises(InvalidFieldError, match="command"):
        encode_command(body, 1)


@pytest.mark.parametrize("sequence", [0, 256, -1])
def test_the_id_00_does_not_exist(sequence: int) -> None:
    with pytest.raises(InvalidFieldError, match="sequence"):
        encode_command("GS", sequence)


def test_ids_go_round_without_00() -> None:
    assert next_sequence(255) == 1
    assert next_sequence(1) == 2


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$OK :01", RapiReply(is_ok=True, arguments=(), sequence=1)),
        ("$NK 32 :fF", RapiReply(is_ok=False, arguments=("32",), sequence=255)),
        ("$OK", RapiReply(is_ok=True, arguments=(), sequence=None)),
        ("$AB 00 8.2.1", RapiBoot(0, "8.2.1")),
        ("$AB 0e D7.1.3", RapiBoot(14, "D7.1.3")),
        ("$AT 03 03 16 0140", RapiState(3, 3, 0x140, 16)),
        ("$AN 1", RapiOther("AN 1")),
        ("$GS :01", RapiOther("GS :01")),
    ],
)
def test_whole_lines(text: str, expected: object) -> None:
    assert feed(line(text)) == [expected]


@pytest.mark.parametrize(
    "data",
    [
        b"$OK :01\r",  # a reply always carries its check
        b"$OK :01^00\r",
        b"$OK :01*63\r",
        b"$OK :01^1\r",
        line("$OK :00"),
        line("$OK :100"),
        line("$OK :x1"),
        line("$AB zz 1"),
        line("$AT 03 03 -1 0140"),
        line("$AT 03 03 16"),
        line("$"),
        "$OK é^00\r".encode(),
        b"$" + b"X" * 200 + b"\r",
    ],
)
def test_what_is_no_line_is_noise(data: bytes) -> None:
    lines = feed(data)
    assert lines
    assert all(isinstance(found, RapiNoise) for found in lines)


def test_trap_text_of_the_terminal_before_between_and_after_lines_is_dropped() -> None:
    data = b"\nrelayCloseMs: 100\rrelayHoldPwm: 75\r\n" + line("$AB 00 8.2.1") + b"\nZ0 1 2\r\n" + line("$OK :05")
    lines = [found for found in feed(data) if not isinstance(found, RapiNoise)]
    assert lines == [RapiBoot(0, "8.2.1"), RapiReply(is_ok=True, arguments=(), sequence=5)]


def test_a_line_that_breaks_off_does_not_take_the_next_with_it() -> None:
    assert feed(b"$OK 12 3" + line("$OK :07"))[-1] == RapiReply(is_ok=True, arguments=(), sequence=7)


def test_line_feeds_of_an_echo_are_not_worth_a_word() -> None:
    assert feed(line("$OK :07") + b"\n") == [RapiReply(is_ok=True, arguments=(), sequence=7)]


@pytest.mark.parametrize("word", ["", "-", "1_0", "+5", "\uff15", "0x1", "1e3", "9" * 11, "--1"])
def test_a_number_is_digits_and_nothing_python_would_also_take(word: str) -> None:
    assert read_decimal(word) is None
    assert read_hexadecimal("-" + word) is None


def test_states_of_the_two_lines_have_their_fields_in_another_order() -> None:
    assert read_state(("fe", "120", "02", "0100"), is_transition=False) == RapiState(0xFE, 2, 0x100, None)
    assert read_state(("02", "03", "10", "0100"), is_transition=True) == RapiState(2, 3, 0x100, 10)


@given(st.binary(max_size=300), st.integers(1, 40))
@settings(deadline=None, max_examples=200)
def test_any_bytes_in_any_pieces_give_the_same_lines_and_never_raise(data: bytes, size: int) -> None:
    pieces = LineDecoder()
    found = [line for at in range(0, len(data), size) for line in pieces.feed(data[at : at + size])]
    assert [item for item in found if not isinstance(item, RapiNoise)] == [
        item for item in feed(data) if not isinstance(item, RapiNoise)
    ]


@given(st.text(st.characters(codec="ascii", categories=("L", "N")), min_size=1, max_size=8), st.integers(1, 255))
@settings(deadline=None, max_examples=100)
def test_a_flipped_bit_is_never_taken_for_a_reply(word: str, sequence: int) -> None:
    good = bytearray(line(f"$OK {word} :{sequence:02X}"))
    expected = feed(bytes(good))
    for index in range(len(good) - 1):
        bad = bytearray(good)
        bad[index] ^= 0x10
        assert feed(bytes(bad)) != expected
