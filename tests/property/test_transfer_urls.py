"""10^5 hostile addresses against a judge of its own."""

import zlib

import pytest

from evcharge_agent.ocpp16.transfer.urls import UrlRefusedError, parse_url
from tests.support.hostile_urls import PORTS, SEEDS, hostile_urls, is_in_grammar

BLOCKS = 4
IN_A_BLOCK = 30_000


def is_taken(text: str) -> bool:
    try:
        url = parse_url(text)
    except UrlRefusedError:
        return False
    assert str(url) == f"{url.scheme.value}://{url.authority}"
    assert url.host.isprintable()
    assert url.scheme.value in PORTS
    assert all(part.isprintable() and part not in {".", ".."} and "/" not in part for part in url.segments)
    return True


@pytest.mark.parametrize("block", range(BLOCKS))
def test_nothing_is_accepted_that_the_judge_refuses_nor_refused_that_it_accepts(block: int) -> None:
    taken = 0
    for text in hostile_urls(IN_A_BLOCK, zlib.crc32(b"urls") + block):
        is_right = is_in_grammar(text)
        assert is_taken(text) is is_right, ascii(text)
        taken += is_right
    assert IN_A_BLOCK * 0.02 < taken < IN_A_BLOCK * 0.6, "the texts are hostile, and some are addresses"


def test_the_judge_knows_an_address_when_it_sees_one() -> None:
    assert all(is_in_grammar(text) and is_taken(text) for text in SEEDS)
