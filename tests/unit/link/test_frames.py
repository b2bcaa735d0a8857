"""The codec: layouts, ranges, and how it finds its place again."""

import pytest

from evcharge_hal.contract.errors import InvalidFieldError
from evcharge_hal.contract.pilot import PilotOutput, PilotState, ResetCause
from evcharge_hal.link.frames import (
    MAX_WIRE_BYTES,
    BadFrame,
    BadFrameReason,
    Control,
    FrameDecoder,
    Hello,
    HelloAck,
    Nak,
    NakReason,
    Status,
    encode,
    next_sequence,
)

HELLO = Hello(1, 1, 99, seq=4)
CONTROL = Control(1, PilotOutput.X2, 16_000, True, True, 3, 5, 1000, seq=8, ack=2)


def test_a_frame_survives_the_wire_whole_and_byte_by_byte() -> None:
    wire = encode(HELLO) + encode(CONTROL)
    assert FrameDecoder().feed(wire) == [HELLO, CONTROL]
    decoder = FrameDecoder()
    assert [frame for byte in wire for frame in decoder.feed(bytes([byte]))] == [HELLO, CONTROL]


def test_zeros_between_frames_are_nothing() -> None:
    assert FrameDecoder().feed(b"\0\0" + encode(HELLO) + b"\0\0\0") == [HELLO]


def test_noise_spoils_at_most_the_frame_it_runs_into() -> None:
    frames = FrameDecoder().feed(b"\xaa\x55" + encode(HELLO) + encode(CONTROL))
    assert [type(frame) for frame in frames] == [BadFrame, Control]


def test_memory_is_bounded_and_an_endless_frame_is_reported_once() -> None:
    decoder = FrameDecoder()
    for _ in range(1000):
        assert decoder.feed(b"\xaa" * 100) == []
        assert len(decoder._partial) <= MAX_WIRE_BYTES
    assert decoder.feed(b"\0" + encode(HELLO)) == [BadFrame(BadFrameReason.TOO_LONG, MAX_WIRE_BYTES), HELLO]


def test_reset_forgets_a_frame_that_has_begun() -> None:
    decoder = FrameDecoder()
    decoder.feed(encode(HELLO)[:5])
    decoder.reset()
    assert decoder.feed(encode(CONTROL)) == [CONTROL]


@pytest.mark.parametrize(
    ("frame", "path"),
    [
        (Hello(1, 1, 2**32), "hello.nonce"),
        (Hello(-1, 1, 1), "hello.proto_min"),
        (Control(1, PilotOutput.X1, -1, False, False, 3, 0, 1000), "control.limit_ma"),
        (Control(1, PilotOutput.X1, 0, False, False, 3, 65_536, 1000), "control.session_id"),
        (Nak(NakReason.VERSION, 256), "nak.refused_type"),
    ],
)
def test_a_value_that_does_not_fit_names_its_field(frame: Hello | Control | Nak, path: str) -> None:
    with pytest.raises(InvalidFieldError) as raised:
        encode(frame)
    assert raised.value.path == path
    assert "from 0 to" in raised.value.allowed


def test_a_refusal_names_what_it_refuses_only_if_the_check_was_right() -> None:
    wire = bytearray(encode(CONTROL))
    wire[3] ^= 1
    (bad,) = FrameDecoder().feed(bytes(wire))
    assert isinstance(bad, BadFrame)
    assert (bad.reason.arrived_whole, bad.seq, bad.type_number) == (False, 0, 0)
    (bad,) = FrameDecoder().feed(encode(CONTROL, version=2))
    assert isinstance(bad, BadFrame)
    assert (bad.reason.arrived_whole, bad.seq, bad.type_number) == (True, 8, 3)


def test_sequence_numbers_skip_zero() -> None:
    numbers = [0]
    for _ in range(256):
        numbers.append(next_sequence(numbers[-1]))
    assert numbers == [0, *range(1, 256), 1]


def test_the_longest_frames_fit_the_smallest_controller() -> None:
    u8, u16, u32 = 0xFF, 0xFFFF, 0xFFFFFFFF
    status = Status(
        connector=u8,
        state=PilotState.INVALID,
        output=PilotOutput.E,
        high_mv=-0x8000,
        low_mv=0x7FFF,
        duty_centipercent=u16,
        pp_ohm=None,
        is_permitted=True,
        is_locked=True,
        temperature_decicelsius=None,
        active_faults=u16,
        latched_faults=u16,
        first_fault=u16,
        last_control_seq=u8,
        control_age_ms=u16,
        sample_age_ms=u16,
        boot_count=u32,
        plug_count=u32,
        uptime_ms=u32,
    )
    ack = HelloAck(u8, u8, u32, u8, u8, u8, u32, u16, 2**64 - 1, u32, ResetCause.FAULT, u16, u8, u32)
    for frame in (status, ack):
        assert len(encode(frame)) <= MAX_WIRE_BYTES
        assert FrameDecoder().feed(encode(frame)) == [frame]
