"""Modbus RTU over a serial port (our own framer: docs/adr/0011).

The wire has no transaction numbers, so time keeps answers apart: after a request that failed the line is
listened to for as long again before anybody is asked, and what arrives then is thrown away.
"""

import asyncio
import contextlib

from evcharge_hal.contract.units import Seconds
from evcharge_hal.instruments.rtu_frames import (
    Answer,
    Request,
    answer_bytes,
    encode_request,
    find_answer,
    frame_silence_s,
    transfer_s,
)
from evcharge_hal.instruments.serial_line import LineSettings, SerialLine
from evcharge_hal.instruments.values import InstrumentError

DEFAULT_RESPONSE_S = Seconds(0.3)
"""Meters begin to answer within 60 ms; adapters add their latency."""
_MOST_NOISE_BYTES = 1024


class RtuTransport:
    """A serial bus at `path`; see `modbus_line.Transport`. `response_s` is the wait beyond the line's own time."""

    def __init__(self, path: str, settings: LineSettings, response_s: Seconds = DEFAULT_RESPONSE_S) -> None:
        self._path = path
        self._settings = settings
        self._response_s = response_s
        self._line: SerialLine | None = None
        self._quiet_from_s = 0.0

    @property
    def name(self) -> str:
        """The port."""
        return self._path

    async def ask(self, request: Request) -> Answer:
        """Send a request and wait for its answer; see `modbus_line.Transport.ask`."""
        loop = asyncio.get_running_loop()
        timeout_s = self._response_s + transfer_s(8 + answer_bytes(request.count), self._settings.baud)
        line = self._opened()
        is_done = False
        try:
            await self._fall_silent(line)
            answer = await self._exchange(line, request, timeout_s)
            is_done = True
        finally:
            # Also on cancellation: the answer to what was asked must not meet the next question.
            pause_s = 0.0 if is_done else timeout_s
            self._quiet_from_s = loop.time() + pause_s + frame_silence_s(self._settings.baud)
        return answer

    def disconnect(self) -> None:
        """Close the port; the next `ask` opens it again."""
        line, self._line = self._line, None
        if line is not None:
            line.close()

    def _opened(self) -> SerialLine:
        if self._line is None:
            self._line = SerialLine(self._path, self._settings)
        return self._line

    async def _fall_silent(self, line: SerialLine) -> None:
        """Wait until late answers are over, and forget them."""
        loop = asyncio.get_running_loop()
        await asyncio.sleep(max(0.0, self._quiet_from_s - loop.time()))
        with contextlib.suppress(TimeoutError):
            line.discard()
            noise = 0
            while noise < _MOST_NOISE_BYTES:
                async with asyncio.timeout(frame_silence_s(self._settings.baud)):
                    noise += len(await self._read(line))
            raise InstrumentError("the line is never silent")

    async def _exchange(self, line: SerialLine, request: Request, timeout_s: float) -> Answer:
        received = b""
        try:
            async with asyncio.timeout(timeout_s):
                await line.write(encode_request(request))
                while True:
                    # Only the end of what is not an answer can still be the beginning of one.
                    received = (received + await self._read(line))[-_MOST_NOISE_BYTES:]
                    answer = find_answer(request, received)
                    if answer is not None:
                        return answer
        except TimeoutError as error:
            said = f"{len(received)} bytes that are no answer" if received else "no answer"
            raise InstrumentError(f"{said} within {timeout_s:.2g} s") from error
        except InstrumentError:
            self.disconnect()
            raise

    async def _read(self, line: SerialLine) -> bytes:
        try:
            return await line.read()
        except InstrumentError:
            self.disconnect()
            raise
