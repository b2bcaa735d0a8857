"""A meter that talks by itself on a serial line: P1 and TIC. A reading is the newest whole telegram."""

from collections.abc import Callable
from typing import Protocol

from evcharge_hal.instruments.serial_line import LineSettings, SerialLine
from evcharge_hal.instruments.values import InstrumentError, MeterValues

FRESH_S = 2.0
"""What has waited in the port for longer says nothing about now."""


class Cutter(Protocol):
    """Cuts telegrams out of a stream."""

    def feed(self, data: bytes) -> list[bytes]:
        """Take bytes in and return the whole telegrams among them."""
        ...

    def forget(self) -> None:
        """Start anew."""
        ...


class TelegramMeter:
    """Waits for telegrams on `path`; see `values.Meter`. A reading takes up to the meter's own period."""

    def __init__(
        self,
        path: str,
        settings: LineSettings,
        cutter: Cutter,
        parse: Callable[[bytes], MeterValues],
        fresh_s: float = FRESH_S,
    ) -> None:
        self._path = path
        self._settings = settings
        self._cutter = cutter
        self._parse = parse
        self._fresh_s = fresh_s
        self._line: SerialLine | None = None

    async def read(self) -> MeterValues:
        """Return the newest telegram, or wait for the next; see `values.Meter.read`."""
        try:
            line = self._opened()
            if line.age_s > self._fresh_s:
                line.forget()
                self._cutter.forget()
            while True:
                telegrams = self._cutter.feed(await line.read())
                if telegrams:
                    break
        except InstrumentError:
            await self.close()
            raise
        try:
            return self._parse(telegrams[-1])
        except InstrumentError as error:
            raise InstrumentError(f"meter at {self._path}: {error}") from error

    async def close(self) -> None:
        """Close the port; the next `read` opens it again."""
        line, self._line = self._line, None
        self._cutter.forget()
        if line is not None:
            line.close()

    def _opened(self) -> SerialLine:
        if self._line is None:
            self._line = SerialLine(self._path, self._settings)
        return self._line
