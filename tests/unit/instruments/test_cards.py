"""Cards: how numbers are written, one presentation a touch, PN532 frames, and what keyboards type."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evcharge_hal.instruments.key_events import EVENT, Typing, take_event
from evcharge_hal.instruments.pn532_frames import (
    Acknowledged,
    Command,
    FrameReader,
    Refused,
    Response,
    encode_command,
    uid_of_target,
)
from evcharge_hal.instruments.touch import Touch, see
from evcharge_hal.instruments.uid import UidFormat, UidRule, id_tag_of
from evcharge_hal.instruments.values import InstrumentError
from tests.support.fake_pn532 import ACK, frame

UID = bytes.fromhex("04A1B2C3D4E5F6")


@pytest.mark.parametrize(
    ("uid", "rule", "id_tag"),
    [
        (UID[:4], UidRule(), "04A1B2C3"),
        (UID, UidRule(), "04A1B2C3D4E5F6"),
        (UID + UID[:3], UidRule(), "04A1B2C3D4E5F604A1B2"),
        (UID, UidRule(UidFormat.HEX_LOWER), "04a1b2c3d4e5f6"),
        (UID, UidRule(is_reversed=True), "F6E5D4C3B2A104"),
        (UID[:4], UidRule(UidFormat.DECIMAL), "77705923"),
        (UID[:4], UidRule(UidFormat.DECIMAL, is_reversed=True), "3283263748"),
        (b"\xff" * 8, UidRule(UidFormat.DECIMAL), "18446744073709551615"),
        (b"\x00\x00\x00\x01", UidRule(UidFormat.DECIMAL), "1"),
    ],
)
def test_a_number_is_written_as_wanted(uid, rule, id_tag):
    assert id_tag_of(uid, rule) == id_tag
    assert len(id_tag) <= 20


@pytest.mark.parametrize(
    ("uid", "rule"), [(b"", UidRule()), (bytes(11), UidRule()), (b"\xff" * 10, UidRule(UidFormat.DECIMAL))]
)
def test_what_does_not_fit_an_id_tag_is_refused(uid, rule):
    with pytest.raises(InstrumentError, match="card reader"):
        id_tag_of(uid, rule)


@settings(max_examples=200, deadline=None)
@given(uid=st.binary(min_size=1, max_size=10), rule=st.builds(UidRule, st.sampled_from(UidFormat), st.booleans()))
def test_no_id_tag_is_too_long_or_that_of_another_card(uid, rule):
    try:
        id_tag = id_tag_of(uid, rule)
    except InstrumentError:
        assert rule.format is UidFormat.DECIMAL
        return
    base = 10 if rule.format is UidFormat.DECIMAL else 16
    back = int(id_tag, base).to_bytes(len(uid), "big")
    assert 1 <= len(id_tag) <= 20
    assert (back[::-1] if rule.is_reversed else back) == uid


@pytest.mark.parametrize(
    ("sightings", "presented"),
    [
        ([("A", 0.0)], ["A"]),
        ([("A", 0.0), ("A", 0.9), ("A", 1.8), ("A", 2.7)], ["A"]),
        ([("A", 0.0), ("A", 1.0)], ["A", "A"]),
        ([("A", 0.0), ("B", 0.1), ("A", 0.2)], ["A", "B", "A"]),
        ([("A", 5.0), ("A", 5.5), ("A", 6.6)], ["A", "A"]),
    ],
)
def test_one_presentation_a_touch(sightings, presented):
    state, found = Touch(), []
    for card, now_s in sightings:
        state, is_new = see(state, card, now_s)
        found += [card] if is_new else []
    assert found == presented


def test_a_request_is_the_one_of_the_manual():
    assert encode_command(Command.GET_FIRMWARE_VERSION).hex() == "0000ff02fed4022a00"
    assert encode_command(Command.SAM_CONFIGURATION, b"\x01\x14\x01").hex() == "0000ff05fbd4140114010200"


@settings(max_examples=200, deadline=None)
@given(cuts=st.lists(st.integers(0, 60), max_size=8), noise=st.binary(max_size=3).filter(lambda one: 0xFF not in one))
def test_frames_are_found_however_they_arrive(cuts, noise):
    stream = noise + ACK + frame(0xD5, 0x4B, 0x00) + ACK + frame(0x7F) + frame(0xD5, 0x03, 0x32, 0x01, 0x06, 0x07)
    reader, found, start = FrameReader(), [], 0
    for end in [*sorted(cuts), len(stream)]:
        found += reader.feed(stream[start:end])
        start = max(start, min(end, len(stream)))
    assert found == [
        Acknowledged(),
        Response(0x4A, b"\x00"),
        Acknowledged(),
        Refused(),
        Response(0x02, b"\x32\x01\x06\x07"),
    ]


@settings(max_examples=300, deadline=None)
@given(st.lists(st.binary(max_size=400), max_size=5))
def test_no_bytes_whatsoever_break_the_frame_reader(chunks):
    reader = FrameReader()
    for chunk in chunks:
        assert isinstance(reader.feed(chunk), list)
    reader.forget()
    assert reader.feed(ACK) == [Acknowledged()]


@pytest.mark.parametrize("data", [b"", b"\x00", b"\x00\x01\x02"])
def test_no_card_is_none(data):
    assert uid_of_target(data) is None


@pytest.mark.parametrize("data", ["01", "0101004408", "010100440800", "01010044080B" + 11 * "00", "01010044080401"])
def test_an_answer_about_a_card_that_is_none_is_refused(data):
    with pytest.raises(InstrumentError):
        uid_of_target(bytes.fromhex(data))


# Recorded from the kernel's tables: KEY_0 is 11, KEY_1 to KEY_9 are 2 to 10, KEY_A 30, KEY_B 48, KEY_F 33.
CODES = {
    "0": 11,
    **{str(digit): digit + 1 for digit in range(1, 10)},
    "A": 30,
    "B": 48,
    "C": 46,
    "D": 32,
    "E": 18,
    "F": 33,
}
ENTER = 28


def key(code: int, value: int = 1) -> bytes:
    return EVENT.pack(1_700_000_000, 0, 1, code, value)


def typed(text: str) -> list[bytes]:
    """Press, synchronise, release, as a reader does."""
    events = []
    for code in [*(CODES[one] for one in text), ENTER]:
        events += [key(code), EVENT.pack(0, 0, 0, 0, 0), key(code, 0), EVENT.pack(0, 0, 4, 4, code)]
    return events


def cards(events: list[bytes], step_s: float = 0.001) -> list[str]:
    state, found = Typing(), []
    for index, event in enumerate(events):
        state, card = take_event(state, event, 100.0 + index * step_s)
        found += [card] if card is not None else []
    return found


@pytest.mark.parametrize("text", ["0012345678", "04A1B2C3D4E5F6", "1", "9" * 20])
def test_what_was_typed_until_enter_is_a_card(text):
    assert cards(typed(text) + typed("42")) == [text, "42"]


def test_every_character_has_its_key():
    assert cards(typed("0123456789ABCDEF")) == ["0123456789ABCDEF"]


def test_the_keypad_types_digits_and_enter():
    keypad = {"7": 71, "8": 72, "9": 73, "4": 75, "5": 76, "6": 77, "1": 79, "2": 80, "3": 81, "0": 82}
    assert cards([key(code) for code in keypad.values()] + [key(96)]) == ["7894561230"]


def test_a_key_held_down_counts_once():
    assert cards([key(2), key(2, 2), key(2, 2), key(2, 0), key(ENTER)]) == ["1"]


def test_more_than_an_id_tag_holds_is_no_card_and_the_next_is():
    assert cards(typed("1" * 21) + typed("7")) == ["7"]


def test_enter_alone_is_no_card():
    assert cards([key(ENTER), key(ENTER)]) == []


def test_what_was_typed_long_before_does_not_belong_to_the_card():
    half, card = typed("12")[:-4], typed("345")
    state = Typing()
    for event in half:
        state, _ = take_event(state, event, 100.0)
    found = []
    for event in card:
        state, one = take_event(state, event, 100.6)
        found += [one] if one is not None else []
    assert found == ["345"]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.binary(min_size=EVENT.size, max_size=EVENT.size), max_size=60))
def test_no_events_whatsoever_make_an_id_tag_that_is_none(events):
    assert all(1 <= len(card) <= 20 for card in cards(events))
