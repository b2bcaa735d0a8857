"""An NXP PN532 on a serial port.

The chip is known to hang: after an unclean end, after weeks. So every opening wakes it up, aborts what it may
still be doing and configures it anew; the poll has a watchdog, and any trouble closes the port, so that the
next call begins from there. A chip that even so stays silent needs its reset line, which is not driven here.
"""

import asyncio

from evcharge_hal.instruments.pn532_frames import (
    ACK,
    WAKE_UP,
    Acknowledged,
    Command,
    FrameReader,
    Refused,
    Response,
    encode_command,
    uid_of_target,
)
from evcharge_hal.instruments.serial_line import LineSettings, SerialLine
from evcharge_hal.instruments.touch import Touch, see
from evcharge_hal.instruments.uid import UidRule, id_tag_of
from evcharge_hal.instruments.values import InstrumentError, Swipe

BAUD = 115_200
"""What the chip starts with (7.2.3)."""
POLL_PERIOD_S = 0.25
ANSWER_S = 0.5
"""An answer later than this is none: with one retry a poll takes about 50 ms."""
ACKNOWLEDGE_S = 0.1
"""The chip acknowledges within 15 ms (6.2.1.3)."""
_WAKE_S = 0.02
_NORMAL_MODE = bytes((0x01, 0x14, 0x01))
"""SAMConfiguration: no secure chip, 1 s, with interrupt line (7.2.10)."""
_FEW_RETRIES = bytes((0x05, 0xFF, 0x01, 0x01))
"""RFConfiguration, MaxRetries: look for a card twice and answer, instead of for ever (7.3.1)."""
_ONE_TYPE_A = bytes((0x01, 0x00))
"""InListPassiveTarget: one card, 106 kbit/s type A (7.3.5)."""


class Pn532Reader:
    """Polls for cards of ISO 14443 type A; see `values.CardReader`."""

    def __init__(self, path: str, rule: UidRule | None = None, poll_period_s: float = POLL_PERIOD_S) -> None:
        self._path = path
        self._rule = rule or UidRule()
        self._poll_period_s = poll_period_s
        self._frames = FrameReader()
        self._line: SerialLine | None = None
        self._touch = Touch()

    async def next_swipe(self) -> Swipe:
        """Poll until a card comes; see `values.CardReader.next_swipe`."""
        try:
            while True:
                line = self._line or await self._open()
                uid = uid_of_target(await self._request(line, Command.IN_LIST_PASSIVE_TARGET, _ONE_TYPE_A))
                now_s = asyncio.get_running_loop().time()
                if uid is not None:
                    self._touch, is_new = see(self._touch, uid.hex(), now_s)
                    if is_new:
                        return Swipe(id_tag_of(uid, self._rule))
                await asyncio.sleep(self._poll_period_s)
        except BaseException:
            # Also on cancellation: the answer to the poll must not meet the next one.
            await self.close()
            raise

    async def close(self) -> None:
        """Close the port; the next `next_swipe` opens it and sets the chip up again."""
        line, self._line = self._line, None
        if line is not None:
            line.close()

    async def _open(self) -> SerialLine:
        line = self._line = SerialLine(self._path, LineSettings(BAUD))
        self._frames.forget()
        await line.write(WAKE_UP)
        await asyncio.sleep(_WAKE_S)
        await line.write(ACK)
        await asyncio.sleep(_WAKE_S)
        line.discard()
        await self._request(line, Command.SAM_CONFIGURATION, _NORMAL_MODE)
        await self._request(line, Command.GET_FIRMWARE_VERSION)
        await self._request(line, Command.RF_CONFIGURATION, _FEW_RETRIES)
        return line

    async def _request(self, line: SerialLine, command: Command, data: bytes = b"") -> bytes:
        """Send a command and return the data of its answer; what does not belong to it is passed over."""
        name = command.name.replace("_", " ").lower()
        is_taken = False
        try:
            async with asyncio.timeout(ACKNOWLEDGE_S) as limit:
                await line.write(encode_command(command, data))
                while True:
                    for frame in self._frames.feed(await line.read()):
                        if isinstance(frame, Acknowledged):
                            is_taken = True
                            limit.reschedule(asyncio.get_running_loop().time() + ANSWER_S)
                        elif isinstance(frame, Refused):
                            raise InstrumentError(f"card reader at {self._path}: refused {name}")
                        elif isinstance(frame, Response) and is_taken and frame.command == command:
                            return frame.data
        except TimeoutError as error:
            what = "no answer" if is_taken else "no acknowledgement"
            raise InstrumentError(f"card reader at {self._path}: {what} to {name}") from error
