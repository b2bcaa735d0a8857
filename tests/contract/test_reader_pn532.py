"""The PN532 driver against a chip at the level of bytes, on a pty."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from evcharge_hal.instruments.pn532 import Pn532Reader
from evcharge_hal.instruments.touch import AWAY_S
from evcharge_hal.instruments.uid import UidFormat, UidRule
from evcharge_hal.instruments.values import InstrumentError, Swipe
from tests.support.fake_pn532 import FakePn532, fake_pn532

UID_4, UID_7, UID_10 = bytes.fromhex("04A1B2C3"), bytes.fromhex("04A1B2C3D4E5F6"), bytes.fromhex("0102030405060708090A")
SET_UP = [0x14, 0x02, 0x32]


@contextlib.asynccontextmanager
async def reader_and_chip(rule: UidRule | None = None) -> AsyncIterator[tuple[Pn532Reader, FakePn532]]:
    async with fake_pn532() as chip:
        reader = Pn532Reader(chip.device.path, rule, poll_period_s=0.01)
        try:
            yield reader, chip
        finally:
            await reader.close()


@contextlib.asynccontextmanager
async def no_swipe(reader: Pn532Reader, for_s: float) -> AsyncIterator[None]:
    """Nothing is presented while the body runs and for a while after."""
    waiting = asyncio.create_task(reader.next_swipe())
    yield
    await asyncio.sleep(for_s)
    assert not waiting.done()
    waiting.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await waiting


@pytest.mark.parametrize(
    ("uid", "rule", "id_tag"),
    [
        (UID_4, None, "04A1B2C3"),
        (UID_7, UidRule(UidFormat.HEX_LOWER), "04a1b2c3d4e5f6"),
        (UID_10, UidRule(is_reversed=True), "0A090807060504030201"),
        (UID_4, UidRule(UidFormat.DECIMAL), "77705923"),
    ],
)
async def test_a_card_is_read(uid, rule, id_tag):
    async with reader_and_chip(rule) as (reader, chip):
        chip.card = uid
        assert await reader.next_swipe() == Swipe(id_tag)
        assert chip.requests == [*SET_UP, 0x4A]
        assert chip.aborts == 1


async def test_a_card_that_comes_later_is_polled_for():
    async with reader_and_chip() as (reader, chip):
        async with no_swipe(reader, 0.1):
            pass
        assert chip.requests.count(0x4A) >= 3
        waiting = asyncio.create_task(reader.next_swipe())
        await asyncio.sleep(0.05)
        chip.card = UID_4
        assert await waiting == Swipe("04A1B2C3")


async def test_a_card_held_to_the_reader_is_one_touch():
    async with reader_and_chip() as (reader, chip):
        chip.card = UID_4
        await reader.next_swipe()
        async with no_swipe(reader, 0.1):
            # It flickers, as cards at the edge of the field do.
            for _ in range(5):
                chip.card = None
                await asyncio.sleep(0.03)
                chip.card = UID_4
                await asyncio.sleep(0.03)
        chip.card = UID_7
        assert await reader.next_swipe() == Swipe("04A1B2C3D4E5F6")


async def test_a_card_that_was_away_is_a_new_touch():
    async with reader_and_chip() as (reader, chip):
        chip.card = UID_4
        await reader.next_swipe()
        chip.card = None
        async with no_swipe(reader, AWAY_S):
            pass
        chip.card = UID_4
        assert await reader.next_swipe() == Swipe("04A1B2C3")


async def test_a_chip_that_hangs_is_set_up_anew():
    async with reader_and_chip() as (reader, chip):
        waiting = asyncio.create_task(reader.next_swipe())
        await asyncio.sleep(0.1)
        chip.is_hung = True
        with pytest.raises(InstrumentError, match="no acknowledgement to in list passive target"):
            await waiting
        chip.requests.clear()
        chip.card = UID_4
        assert await reader.next_swipe() == Swipe("04A1B2C3")
        assert chip.requests == [*SET_UP, 0x4A]


async def test_a_chip_that_takes_and_never_answers_is_given_up():
    async with reader_and_chip() as (reader, chip):
        chip.is_mute = True
        with pytest.raises(InstrumentError, match="no answer to sam configuration"):
            await reader.next_swipe()
        chip.is_mute = False
        chip.card = UID_4
        assert await reader.next_swipe() == Swipe("04A1B2C3")


async def test_a_chip_that_lost_its_supply_is_woken_again():
    async with reader_and_chip() as (reader, chip):
        waiting = asyncio.create_task(reader.next_swipe())
        await asyncio.sleep(0.1)
        chip.sleep()
        with pytest.raises(InstrumentError, match="no acknowledgement"):
            await waiting
        chip.card = UID_4
        assert await reader.next_swipe() == Swipe("04A1B2C3")


async def test_an_unclean_end_is_cleaned_up_by_the_next_opening():
    async with reader_and_chip() as (first, chip):
        waiting = asyncio.create_task(first.next_swipe())
        await asyncio.sleep(0.1)
        waiting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await waiting
        chip.card = UID_4
        assert await Pn532Reader(chip.device.path).next_swipe() == Swipe("04A1B2C3")
        assert chip.aborts == 2


@pytest.mark.parametrize(
    "noise",
    [b"\x00", b"\x00\xff", b"\x00\xff\x03\xfe", b"\x00\x00\xff\x05\xfb\xd5\x4b\x01", bytes(50), b"\xff" * 300],
    ids=["zero", "start", "length", "half an answer", "zeros", "ones"],
)
async def test_noise_before_an_answer_is_passed_over_or_costs_one_poll(noise):
    async with reader_and_chip() as (reader, chip):
        chip.card, chip.noise = UID_4, noise
        try:
            swipe = await reader.next_swipe()
        except InstrumentError:
            chip.noise = b""
            swipe = await reader.next_swipe()
        assert swipe == Swipe("04A1B2C3")


async def test_a_reader_that_is_not_there_is_said_and_found(tmp_path):
    port = tmp_path / "reader"
    reader = Pn532Reader(str(port))
    with pytest.raises(InstrumentError, match="cannot open"):
        await reader.next_swipe()
    async with fake_pn532() as chip:
        port.symlink_to(chip.device.path)
        chip.card = UID_4
        assert await reader.next_swipe() == Swipe("04A1B2C3")
        chip.card = None
        waiting = asyncio.create_task(reader.next_swipe())
        await asyncio.sleep(0.05)
        chip.device.unplug()
        with pytest.raises(InstrumentError):
            await waiting
