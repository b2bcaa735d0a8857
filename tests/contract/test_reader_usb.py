"""The USB keyboard reader on a pipe that carries recorded `struct input_event`s."""

import asyncio
import contextlib
import errno
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from evcharge_hal.instruments.uid import UidFormat, UidRule
from evcharge_hal.instruments.usb_keyboard import UsbKeyboardReader, grab
from evcharge_hal.instruments.values import InstrumentError, Swipe
from tests.unit.instruments.test_cards import typed


@contextlib.asynccontextmanager
async def reader_and_pipe(
    directory: Path, rule: UidRule | None = None
) -> AsyncIterator[tuple[UsbKeyboardReader, int, list[int]]]:
    """A reader, the end to type on, and the descriptors it grabbed."""
    path = directory / "event-kbd"
    os.mkfifo(path)
    grabbed: list[int] = []
    reader = UsbKeyboardReader(str(path), rule, grabbed.append)
    typist = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    try:
        yield reader, typist, grabbed
    finally:
        await reader.close()
        os.close(typist)


async def test_cards_come_one_by_one_and_the_device_is_grabbed(tmp_path):
    async with reader_and_pipe(tmp_path) as (reader, typist, grabbed):
        os.write(typist, b"".join(typed("0012345678") + typed("0087654321")))
        assert await reader.next_swipe() == Swipe("0012345678")
        assert await reader.next_swipe() == Swipe("0087654321")
        assert len(grabbed) == 1


async def test_events_in_single_bytes_are_put_together(tmp_path):
    async with reader_and_pipe(tmp_path) as (reader, typist, _):
        waiting = asyncio.create_task(reader.next_swipe())
        for byte in b"".join(typed("42")):
            os.write(typist, bytes((byte,)))
            await asyncio.sleep(0)
        assert await waiting == Swipe("42")


async def test_a_card_typed_again_at_once_is_one_touch(tmp_path):
    async with reader_and_pipe(tmp_path) as (reader, typist, _):
        os.write(typist, b"".join(3 * typed("42") + typed("7")))
        assert [await reader.next_swipe(), await reader.next_swipe()] == [Swipe("42"), Swipe("7")]


@pytest.mark.parametrize(
    ("text", "rule", "id_tag"),
    [
        ("04A1B2C3", UidRule(UidFormat.HEX, is_reversed=True), "C3B2A104"),
        ("04A1B2C3", UidRule(UidFormat.DECIMAL), "77705923"),
        ("123", UidRule(UidFormat.DECIMAL), "123"),  # no whole bytes: it stands as typed
    ],
)
async def test_a_number_is_written_anew_where_that_is_wanted(tmp_path, text, rule, id_tag):
    async with reader_and_pipe(tmp_path, rule) as (reader, typist, _):
        os.write(typist, b"".join(typed(text)))
        assert await reader.next_swipe() == Swipe(id_tag)


async def test_a_reader_that_is_not_there_is_said(tmp_path):
    with pytest.raises(InstrumentError, match="No such file"):
        await UsbKeyboardReader(str(tmp_path / "nothing")).next_swipe()


async def test_a_device_that_cannot_be_grabbed_is_not_read(tmp_path):
    """Otherwise cards would be typed into the console as well."""
    plain = tmp_path / "plain"
    plain.write_bytes(b"".join(typed("42")))
    with pytest.raises(InstrumentError, match="cannot be grabbed"):
        await UsbKeyboardReader(str(plain)).next_swipe()
    with plain.open("rb") as file, pytest.raises(OSError) as caught:
        grab(file.fileno())
    assert caught.value.errno == errno.ENOTTY


async def test_a_reader_that_is_unplugged_is_said_and_found_again(tmp_path):
    path = tmp_path / "event-kbd"
    os.mkfifo(path)
    reader = UsbKeyboardReader(str(path), None, lambda _descriptor: None)
    waiting = asyncio.create_task(reader.next_swipe())
    await asyncio.sleep(0.01)
    with path.open("wb") as device:
        device.write(b"".join(typed("42")))
        device.flush()
        assert await waiting == Swipe("42")
        waiting = asyncio.create_task(reader.next_swipe())
        await asyncio.sleep(0.01)
    with pytest.raises(InstrumentError, match="gone"):
        await waiting
    waiting = asyncio.create_task(reader.next_swipe())
    await asyncio.sleep(0.01)
    with path.open("wb") as device:
        device.write(b"".join(typed("7")))
        device.flush()
        assert await waiting == Swipe("7")
    await reader.close()
