"""One owner of a Modbus line, whoever hangs on it: a serial bus, a TCP meter, a gateway with a bus behind it.

Meters come one after another in the order they asked, each gets the rest it needs between two requests while
others are served, and one that is dead is asked ever more rarely, so that its time-outs are not everybody's.
"""

import asyncio
from dataclasses import dataclass
from typing import Protocol

from evcharge_hal.instruments.rtu_frames import Answer, Request
from evcharge_hal.instruments.values import InstrumentError, NotAskedError

FAILURES_BEFORE_BACK_OFF = 2
"""One lost frame is noise."""
FIRST_BACK_OFF_S = 1.0
LONGEST_BACK_OFF_S = 8.0


class Transport(Protocol):
    """Carries one request at a time."""

    @property
    def name(self) -> str:
        """Where it is, for people."""
        ...

    async def ask(self, request: Request) -> Answer:
        """Send a request and wait for its answer.

        Raises:
            InstrumentError: no connection, no answer in time, or one that is none.
        """
        ...

    def disconnect(self) -> None:
        """Give the connection back; the next `ask` makes it again."""
        ...


@dataclass(slots=True)
class _Unit:
    rest_until_s: float = 0.0
    failures: int = 0
    asked_again_s: float = 0.0


class ModbusLine:
    """Shares `transport` among the meters made with it."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._lock = asyncio.Lock()
        self._units: dict[int, _Unit] = {}

    @property
    def name(self) -> str:
        """Where it is, for people."""
        return self._transport.name

    def join(self, unit: int) -> None:
        """Announce a meter: a meter that is alone on a line is never backed off from."""
        self._units.setdefault(unit, _Unit())

    async def ask(self, request: Request, rest_s: float) -> Answer:
        """Ask when it is this meter's turn; `rest_s` is the peace it wants after its last request.

        Raises:
            InstrumentError: no answer, or an answer that is none.
            NotAskedError: the meter is dead and it is too early to ask again.
        """
        loop = asyncio.get_running_loop()
        unit = self._units.setdefault(request.unit, _Unit())
        left_s = unit.asked_again_s - loop.time()
        if left_s > 0.0:
            raise NotAskedError(f"silent since {unit.failures} requests, asked again in {left_s:.0f} s")
        await asyncio.sleep(max(0.0, unit.rest_until_s - loop.time()))
        async with self._lock:
            try:
                answer = await self._transport.ask(request)
            except InstrumentError:
                self._failed(unit, loop.time())
                raise
            finally:
                unit.rest_until_s = loop.time() + rest_s
        unit.failures, unit.asked_again_s = 0, 0.0
        return answer

    async def close(self) -> None:
        """Give the connection back once nobody uses it; a later `ask` makes it again."""
        async with self._lock:
            self._transport.disconnect()

    def _failed(self, unit: _Unit, now_s: float) -> None:
        unit.failures += 1
        beyond = unit.failures - FAILURES_BEFORE_BACK_OFF
        if beyond >= 0 and len(self._units) > 1:
            unit.asked_again_s = now_s + min(LONGEST_BACK_OFF_S, FIRST_BACK_OFF_S * 2.0 ** min(beyond, 10))
