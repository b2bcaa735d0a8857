"""COBS against the examples of the paper and of Wikipedia, and against bytes that are none."""

import pytest

from evcharge_hal.contract.errors import ProtocolError
from evcharge_hal.link import cobs

EXAMPLES = [
    (b"", b"\x01"),
    (b"\x00", b"\x01\x01"),
    (b"\x00\x00", b"\x01\x01\x01"),
    (b"\x11\x22\x00\x33", b"\x03\x11\x22\x02\x33"),
    (b"\x11\x22\x33\x44", b"\x05\x11\x22\x33\x44"),
    (b"\x11\x00\x00\x00", b"\x02\x11\x01\x01\x01"),
    (bytes(range(1, 255)) + b"\xff", b"\xff" + bytes(range(1, 255)) + b"\x02\xff"),
    (b"\x00" + bytes(range(1, 255)), b"\x01\xff" + bytes(range(1, 255)) + b"\x01"),
    (bytes(range(2, 256)) + b"\x00", b"\xff" + bytes(range(2, 256)) + b"\x01\x01"),
]


@pytest.mark.parametrize(("data", "stuffed"), EXAMPLES)
def test_examples_both_ways(data: bytes, stuffed: bytes) -> None:
    assert cobs.encode(data) == stuffed
    assert cobs.decode(stuffed) == data


def test_a_full_last_block_may_end_without_a_closing_code() -> None:
    full = bytes(range(1, 255))
    assert cobs.decode(b"\xff" + full) == full


@pytest.mark.parametrize("stuffed", [b"", b"\x00", b"\x02", b"\x03\x11", b"\x02\x11\x00", b"\x05\x11\x00\x22\x33"])
def test_what_is_not_cobs_is_refused(stuffed: bytes) -> None:
    with pytest.raises(ProtocolError, match="not COBS"):
        cobs.decode(stuffed)
